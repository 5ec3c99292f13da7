package abe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The files attack-* in testdata/vectors/v2 are what known breaks and dishonest sealers would open. They are never changed, only added to;
// -write-vectors makes those that are missing. Those that the gate refuses carry the attack behind it.
func TestAttackVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors", "v2")
	if *writeVectors {
		writeAttacks(t, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "attack-*.json"))
	require.NoError(t, err)
	require.Equal(t, 43, len(files))
	specSays(t, "(43 files)")
	outcomes, refused := map[string]int{}, map[string]int{}
	for _, file := range files {
		v := readVector[vector](t, file)
		outcomes[v.Outcome]++
		refused[v.Refused]++
		t.Run(filepath.Base(file), v.check)
	}
	require.Equal(t, map[string]int{success: 1, noMatch: 34, formatFailure: 8}, outcomes)
	require.Equal(t, 11, refused[refusedByGate])
	require.Equal(t, 23, refused[refusedByLock])
}

func writeAttacks(t *testing.T, dir string) {
	x := hex.EncodeToString
	add := func(name string, v vector) {
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		f, err := os.OpenFile(filepath.Join(dir, "attack-"+name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			return
		}
		require.NoError(t, err)
		_, err = f.Write(append(b, '\n'))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	const vocabulary = "age: number 0..150\ndept: many of cardiology, psychiatry\nrole: one of doctor, nurse"
	a, err := GenerateAuthority(FABEO, parseVocabulary(t, vocabulary))
	require.NoError(t, err)
	params, window := a.Params(), Window{testDay, testDay + 3}
	seal := func(policy string) ([]byte, *formula) {
		sealed, err := params.Seal(parsePolicy(t, policy), []byte("x"), &Options{Day: testDay})
		require.NoError(t, err)
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		f, err := h.formula()
		require.NoError(t, err)
		return sealed, f
	}
	// gate adds an object that the policy denies to a key, with weights to be tried behind the gate.
	gate := func(name, comment, policy string, k *Key, weigh func(f *formula) []pairing.Scalar) {
		sealed, f := seal(policy)
		v := vector{What: "open", Comment: comment, Outcome: noMatch, Refused: refusedByGate, Key: x(k.ExposeSecret()), Sealed: x(sealed)}
		for _, w := range weigh(f) {
			b := w.Bytes()
			v.Weights = append(v.Weights, new(big.Int).SetBytes(b[:]).Text(16))
		}
		add(name, v)
	}
	// claiming weighs rows as if the key also had the components for some rows.
	claiming := func(k *Key, rows ...int) func(f *formula) []pairing.Scalar {
		return func(f *formula) []pairing.Scalar {
			held := slices.Clone(fabeoOf(k).atoms)
			for _, i := range rows {
				held = append(held, f.atoms[i])
			}
			sel, ok := f.satisfy(func(u atom) bool { return slices.Contains(held, u) })
			require.True(t, ok)
			b := make([]pairing.Scalar, f.leaves())
			for _, c := range sel {
				b[c.row] = c.coeff.scalar()
			}
			return b
		}
	}
	key := func(texts ...string) *Key { return issueTo(t, a, window, texts...) }
	keyA, keyB := key("a"), key("b")

	gate("and-share", "a key for a alone: opens if an and gives its share to one child", "a and b", keyA, claiming(keyA, 1))
	gate("rho", "a key for b alone: opens without the multi-use index, with rows of a that cancel each other", "(a or b) and (a or c)", keyB, func(f *formula) []pairing.Scalar {
		rows := slices.Clone(f.rows())
		for i := range rows {
			rows[i].rho = 1
		}
		b, ok := attack(rand.New(rand.NewPCG(3, 3)), mutant(f, rows, f.cols(), 1), keyB.has)
		require.True(t, ok)
		return b
	})
	two := key("a", "b")
	gate("threshold-degree", "a key for two of three: opens if the polynomial has a lower degree", "3 of (a, b, c, d)", two, func(f *formula) []pairing.Scalar {
		rows := slices.Clone(f.rows())
		for i := range 4 {
			rows[i].m = slices.DeleteFunc(slices.Clone(rows[i].m), func(m term) bool { return m.col == rows[2].m[len(rows[2].m)-2].col })
		}
		b, ok := attack(rand.New(rand.NewPCG(3, 3)), mutant(f, rows, f.cols(), f.tau()), two.has)
		require.True(t, ok)
		return b
	})
	expired := issueTo(t, a, Window{testDay - 3, testDay - 1}, "a")
	gate("window-past", "a key whose window ended the day before", "a", expired, claiming(expired, 8))
	early := issueTo(t, a, Window{testDay + 1, testDay + 3}, "a")
	gate("window-future", "a key whose window begins the day after", "a", early, claiming(early, 8))
	minor, words := key("age = 17"), key("agegroup", "ge", `x = "18"`)
	gate("comparison", "age 17 for age >= 18, with the components of its own prefixes", "age >= 18", minor, claiming(minor, 0))
	gate("comparison-cut", "flags that a comparison cut into words would ask for", "age >= 18", words, claiming(words, 0))
	cut := key("my", "team = my")
	gate("name-cut", "names that a name cut at _ would ask for", "my_role", cut, claiming(cut, 0))
	north := key("north", "n", "th-and-doctor", "th")
	gate("operator-in-name", "names that a parser finds which reads operators inside names", "north-and-doctor", north, claiming(north, 0))
	quoted := key("team = a", "team = b", "team = x")
	gate("operator-in-value", "values that a parser finds which does not know quotes", `team = "a or b"`, quoted, claiming(quoted, 0))

	strange := key(`x = "0 0"`, `y = "0"`, "h-b", "hb")
	sealed, _ := seal("nobody")
	add("special-element", vector{What: "open", Comment: "names that are special elsewhere: sk2 divided by a component opens if one of them is H_b", Outcome: noMatch, Refused: refusedByGate,
		Quotient: true, Key: x(strange.ExposeSecret()), Sealed: x(sealed)})

	// Keys made of parts of two keys.
	whole, p, q := key("a", "b"), fabeoOf(keyA), fabeoOf(keyB)
	u, v := Attribute{Name: "a"}.atom(), Attribute{Name: "b"}.atom()
	for name, k := range map[string]fabeoKey{
		"of-a": {sk2: p.sk2, sk3: p.sk3}, "of-b": {sk2: q.sk2, sk3: q.sk3}, "mixed": {sk2: p.sk2, sk3: q.sk3},
		"product": {sk2: p.sk2.Add(q.sk2), sk3: p.sk3.Add(q.sk3)}, "mean": {sk2: half(p.sk2.Add(q.sk2)), sk3: halfG2(p.sk3.Add(q.sk3))},
	} {
		k.pub, k.atoms, k.sk1 = p.pub, fabeoOf(whole).atoms, maps.Clone(p.sk1)
		k.sk1[u], k.sk1[v] = p.sk1[u], q.sk1[v]
		add("key-pooled-"+name, vector{What: "key", Comment: "a key for a and b put together from one for a and one for b", Outcome: formatFailure, Key: x(withSecret(whole, &k).ExposeSecret())})
	}
	// A key that claims another window or another number than it was issued for.
	for name, claims := range map[string]*Key{"window": issueTo(t, a, Window{testDay - 3, testDay + 3}, "a"), "flag": key("b"), "number": key("age = 18")} {
		from := keyA
		if name == "number" {
			from = minor
		}
		forged := *fabeoOf(claims)
		forged.sk1, forged.sk2, forged.sk3 = map[atom]pairing.G1{}, fabeoOf(from).sk2, fabeoOf(from).sk3
		have := fabeoOf(from).atoms
		for i, at := range forged.atoms {
			forged.sk1[at] = fabeoOf(from).sk1[have[min(i, len(have)-1)]]
			if own, ok := fabeoOf(from).sk1[at]; ok {
				forged.sk1[at] = own
			}
		}
		add("key-claims-"+name, vector{What: "key", Comment: "a key that was edited to claim more than it was issued for", Outcome: formatFailure, Key: x(withSecret(claims, &forged).ExposeSecret())})
	}

	// The sealer knows sigma and s1 and makes everything fit but one element.
	reader, policy := key("b", "c"), parsePolicy(t, dishonestPolicy)
	locked := func(name, comment string, sealed []byte) {
		add(name, vector{What: "open", Comment: comment, Outcome: noMatch, Refused: refusedByLock, Key: x(reader.ExposeSecret()), Sealed: x(sealed)})
	}
	for name, change := range dishonestCases() {
		locked("dishonest-"+name, "honest but for one element of enc, everything else made to fit", dishonestSeal(t, params, policy, [keySize]byte{byte(len(name)), 8}, change))
	}
	honest := dishonestSeal(t, params, policy, [keySize]byte{8}, nil)
	add("honest", vector{What: "open", Comment: "the sealer of the dishonest cases without a change", Outcome: success, Key: x(reader.ExposeSecret()), Sealed: x(honest), Plaintext: x([]byte("x")), Policy: policy.String(), Day: testDay.String()})
	// Points that are none of the group, in every sort of place, with everything else made to fit.
	for place, at := range map[string]int{"ct1": 0, "ct2-used": pairing.G2Size, "row-used": 3*pairing.G2Size + pairing.G1Size, "row-unused": 3 * pairing.G2Size, "row-day": 3*pairing.G2Size + 5*pairing.G1Size} {
		size, torsion := pairing.G1Size, "g1-generator-torsion-11"
		if at < 3*pairing.G2Size {
			size, torsion = pairing.G2Size, "g2-generator-torsion-13"
		}
		bad := badPoints(t, size, make([]byte, size))
		for kind, point := range map[string][]byte{"identity": bad[map[int]string{48: "g1-identity", 96: "g2-identity"}[size]], "torsion": bad[torsion], "generator": generatorOf(size)} {
			if place == "row-day" && kind != "identity" || place == "row-unused" && kind == "generator" {
				continue // as dishonest-row-unused-first
			}
			require.Len(t, point, size)
			locked("point-"+place+"-"+kind, "an element of enc replaced, everything else made to fit", dishonestSeal(t, params, policy, [keySize]byte{byte(at), 9}, func(enc []byte) { copy(enc[at:], point) }))
		}
	}
	// Honest elements in other places.
	for name, change := range map[string]func(enc []byte){
		"rows-swapped": func(enc []byte) { swap(enc[3*pairing.G2Size:], pairing.G1Size) },
		"ct2-swapped":  func(enc []byte) { swap(enc[pairing.G2Size:], pairing.G2Size) },
		"ct1-and-ct2":  func(enc []byte) { swap(enc, pairing.G2Size) },
		"rows-add-up":  func(enc []byte) { shiftRows(t, enc[3*pairing.G2Size:]) },
	} {
		locked("dishonest-"+name, "honest elements, moved", dishonestSeal(t, params, policy, [keySize]byte{byte(len(name)), 10}, change))
	}
}

// swap exchanges the first two elements of so many bytes.
func swap(b []byte, size int) {
	first := bytes.Clone(b[:size])
	copy(b, b[size:2*size])
	copy(b[size:], first)
}

// shiftRows adds a point to the first row and takes it from the third: a sum of rows without random weights sees nothing.
func shiftRows(t *testing.T, rows []byte) {
	for i, shift := range []pairing.G1{pairing.G1Generator(), {}, pairing.G1Generator().Neg()} {
		if i == 1 {
			continue
		}
		p, err := pairing.NewG1(rows[i*pairing.G1Size:][:pairing.G1Size])
		require.NoError(t, err)
		b := p.Add(shift).Bytes()
		copy(rows[i*pairing.G1Size:], b[:])
	}
}
