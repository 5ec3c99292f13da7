package abe

import (
	"bytes"
	"crypto/mlkem"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The tests in this file run on both suites: one API, one policy language, one behaviour.
func onBothSuites(t *testing.T, f func(t *testing.T, suite Suite)) {
	for _, suite := range []Suite{FABEO, TKN20} {
		t.Run(suite.String(), func(t *testing.T) { f(t, suite) })
	}
}

const testVocabulary = "age: number 0..150\nborn: date 1900-01-01..2100-12-31\ndept: many of cardiology, \"intensive care\", psychiatry\nrole: one of biller, doctor, nurse\n"

func parseVocabulary(t testing.TB, text string) *Vocabulary {
	v, err := ParseVocabulary(text)
	require.NoError(t, err)
	return v
}

func withTestVocabulary(t testing.TB, suite Suite) *Authority {
	a, err := GenerateAuthority(suite, parseVocabulary(t, testVocabulary))
	require.NoError(t, err)
	return a
}

func issueTo(t testing.TB, a *Authority, w Window, texts ...string) *Key {
	var attributes []Attribute
	for _, text := range texts {
		u, err := ParseAttribute(text)
		require.NoError(t, err)
		attributes = append(attributes, u)
	}
	k, err := a.IssueKey(w, attributes...)
	require.NoError(t, err)
	return k
}

// holder issues a key with an attribute of each kind.
func holder(t testing.TB, a *Authority, w Window) *Key {
	k, err := a.IssueKey(w, Attribute{Name: "role", Value: "doctor"}, Attribute{Name: "dept", Value: "cardiology"}, Attribute{Name: "on-call"},
		Attribute{Name: "age", Value: "42", Kind: Number}, Attribute{Name: "born", Value: "1984-02-29", Kind: Date})
	require.NoError(t, err)
	return k
}

// Policies of every sort, opened or denied, by record and as a stream, with keys and params that went through their encodings.
func TestSuitesSealAndOpen(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		again, err := NewAuthority(a.ExposeSecret())
		require.NoError(t, err)
		require.Equal(t, a.ExposeSecret(), again.ExposeSecret())
		params, err := NewParams(a.Params().Bytes())
		require.NoError(t, err)
		require.Equal(t, a.Params().Fingerprint(), params.Fingerprint())
		require.Equal(t, suite, params.Suite())
		require.Equal(t, testVocabulary, params.Vocabulary().String())
		issued := holder(t, again, Window{testDay - 10, testDay + 10})
		k, err := NewKey(issued.ExposeSecret())
		require.NoError(t, err)
		require.Equal(t, issued.ExposeSecret(), k.ExposeSecret())
		require.Equal(t, Window{testDay - 10, testDay + 10}, k.Window())
		require.Equal(t, suite, k.Suite())
		require.Contains(t, k.Attributes(), Attribute{Name: "dept", Value: "psychiatry", Kind: Not})
		require.Equal(t, params.Fingerprint(), k.Params().Fingerprint())

		opts := &Options{Day: testDay, AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{4}, 32)}
		read := &Options{AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{4}, 32)}
		for text, granted := range map[string]bool{
			"on-call": true, "role = doctor and dept = cardiology": true, "role = nurse or on-call": true, "2 of (on-call, role = nurse, age >= 18)": true,
			"age in 18..65 and born < 1990-01-01": true, "not dept = psychiatry and role != biller": true, "on-call and (on-call or absent) and (on-call or role = nurse)": true,
			"age > 42": false, "born = 1984-03-01": false, "dept != cardiology": false, "not (on-call2 or role = doctor)": false, "2 of (absent, role = nurse, age >= 18)": false,
		} {
			policy, err := ParsePolicy(text)
			require.NoError(t, err, text)
			sealed, err := params.Seal(policy, []byte(text), opts)
			if text == "not (on-call2 or role = doctor)" {
				require.Error(t, err, "an undeclared flag cannot be denied")
				continue
			}
			require.NoError(t, err, text)
			h, err := Inspect(sealed)
			require.NoError(t, err)
			require.Equal(t, []any{uint8(2), suite, params.Authority(), Day(testDay), true, false}, []any{h.Version, h.Suite, h.Authority, h.Day, h.NeedsCompanion, h.Hybrid})
			got, err := k.Open(sealed, read)
			r, streamErr := k.Decrypt(bytes.NewReader(sealed), read)
			if !granted {
				denied(t, err, DeniedPolicy)
				denied(t, streamErr, DeniedPolicy)
				continue
			}
			require.NoError(t, err, text)
			require.Equal(t, text, string(got))
			require.NoError(t, streamErr)
			got, err = io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, text, string(got))

			// What is wrong is refused by the mathematics or by the gate, never opened.
			for _, bad := range []*Options{nil, {AssociatedData: read.AssociatedData}, {Companion: read.Companion}, {AssociatedData: read.AssociatedData, Companion: bytes.Repeat([]byte{5}, 32)}} {
				_, err := k.Open(sealed, bad)
				require.ErrorIs(t, err, ErrDecrypt)
			}
			flipped := bytes.Clone(sealed)
			flipped[len(flipped)-1] ^= 1
			_, err = k.Open(flipped, read)
			mathematicsRefuses(t, err)
		}
		other := holder(t, withTestVocabulary(t, suite), always)
		sealed, err := params.Seal(parsePolicy(t, "on-call"), nil, nil)
		require.NoError(t, err)
		_, err = other.Open(sealed, nil)
		denied(t, err, DeniedAuthority)
	})
}

// Trees with all uses, every set of attributes, behind the gate: what satisfies opens and nothing else does.
func TestSuitesOpenExactlyWhatIsSatisfied(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a, err := GenerateAuthority(suite, nil)
		require.NoError(t, err)
		var keys []*Key
		for set := range uint(8) {
			attributes := []Attribute{{Name: "bystander"}}
			for i := range 3 {
				if set>>i&1 == 1 {
					attributes = append(attributes, patternAttribute(i))
				}
			}
			keys = append(keys, keyFor(a, attributes...))
		}
		for n := 1; n <= 3; n++ {
			if n == 3 && testing.Short() {
				break
			}
			for _, tree := range allTrees(n) {
				for _, pattern := range allReusePatterns(n) {
					s, err := a.Params().sealer(tree.policy(t, pattern), &Options{Day: testDay})
					require.NoError(t, err)
					pre := s.appendPre(nil, nil)
					body, sigma, err := s.public.encapsulate(pre, s.formula)
					require.NoError(t, err)
					all, _ := s.formula.satisfy(func(atom) bool { return true })
					for set := range uint(1) << (slices.Max(pattern) + 1) {
						sel, ok := s.formula.satisfy(keys[set].has)
						require.Equal(t, tree.holds(pattern, set), ok)
						if !ok {
							sel = slices.DeleteFunc(slices.Clone(all), func(c selected) bool { return !keys[set].has(s.formula.atoms[c.row]) })
						}
						got, err := keys[set].in().secret.decapsulate(pre, body, s.formula, sel)
						if ok {
							require.NoError(t, err)
							require.Equal(t, sigma, got)
						} else {
							require.ErrorIs(t, err, ErrDecrypt)
						}
					}
				}
			}
		}
	})
}

func TestSuitesSealMany(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		k := holder(t, a, always)
		sealed, err := a.Params().SealMany(parsePolicy(t, "age >= 18"), []Record{{ID: "1", Plaintext: []byte("one"), AssociatedData: []byte("x")}, {ID: "2", Plaintext: []byte("two")}}, &Options{Day: 7})
		require.NoError(t, err)
		got, err := k.Open(sealed[1], nil)
		require.NoError(t, err)
		require.Equal(t, "two", string(got))
		_, err = k.Open(sealed[0], nil)
		mathematicsRefuses(t, err)
		_, err = k.Open(bytes.Replace(sealed[1], []byte("\x00\x00\x00\x012"), []byte("\x00\x00\x00\x011"), 1), nil)
		mathematicsRefuses(t, err)
		_, err = a.Params().SealMany(parsePolicy(t, "on-call"), nil, &Options{AssociatedData: []byte("x")})
		require.ErrorContains(t, err, "stand in each Record")
	})
}

// A header may name one authority and the suite of another: anybody can write it. It is refused whatever the length of its body is, and so it is behind
// the gate.
func TestSuitesAreNotMixed(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		k := holder(t, a, always)
		sealed, err := a.Params().Seal(parsePolicy(t, "on-call"), []byte("x"), &Options{Day: testDay})
		require.NoError(t, err)
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		f, sel, err := k.choose(h)
		require.NoError(t, err)
		bodies := [][]byte{h.body, append(bytes.Clone(h.body), make([]byte, 48)...), make([]byte, fabeoBodySize(f.leaves(), f.tau()))}
		for _, n := range []int{0, 1, 31, 32, 40, 200, len(h.body) - 1} {
			bodies = append(bodies, h.body[:n])
		}
		for _, body := range bodies {
			mixed := *h
			mixed.Suite, mixed.body = FABEO+TKN20-suite, body
			object := append(encodeCore(&mixed), sealed[len(h.core):]...)
			_, err := k.Open(object, nil)
			if mixed.Suite == FABEO && len(body) != fabeoBodySize(f.leaves(), f.tau()) {
				require.ErrorIs(t, err, ErrFormat)
			} else {
				denied(t, err, DeniedAuthority)
			}
			_, err = k.Rewrap(object, nil, a.Params(), h.Policy, nil)
			require.Error(t, err)
			sigma, err := k.in().secret.decapsulate(encodeCore(&mixed)[:len(h.pre)], body, f, sel)
			if suite == FABEO || !bytes.Equal(body, h.body) { // circl does not see pre: K does
				require.ErrorIs(t, err, ErrDecrypt, "%d bytes", len(body))
				continue
			}
			mixed.core = encodeCore(&mixed)
			_, err = mixed.finish(sigma, opening{})
			require.ErrorIs(t, err, ErrDecrypt)
		}
	})
}

// A key opens what was sealed inside its window, on the days around both ends, and says so if it cannot.
func TestSuitesWindow(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		policy := parsePolicy(t, "on-call")
		at := func(day Day) []byte {
			sealed, err := a.Params().Seal(policy, []byte("x"), &Options{Day: day})
			require.NoError(t, err)
			return sealed
		}
		w := Window{testDay, testDay + 40}
		k := holder(t, a, w)
		for _, day := range []Day{1, w.First - 1, w.First, w.First + 1, w.First + 17, w.Last - 1, w.Last, w.Last + 1, LastDay} {
			_, err := k.Open(at(day), nil)
			if w.Contains(day) {
				require.NoError(t, err, "%v", day)
				continue
			}
			d := denied(t, err, DeniedWindow)
			require.Equal(t, []any{day, w}, []any{d.Day, d.Window})
			require.ErrorContains(t, err, day.String())
			require.ErrorContains(t, err, w.String())
		}
		// The policy comes first: a new window would not help.
		_, err := issueTo(t, a, w, "role = nurse").Open(at(1), nil)
		denied(t, err, DeniedPolicy)
		_, err = a.IssueKey(Window{}, Attribute{Name: "on-call"})
		require.ErrorContains(t, err, "all of time")
		_, err = a.IssueKey(Window{2, 1}, Attribute{Name: "on-call"})
		require.ErrorContains(t, err, "before it begins")

		// Behind the gate: the header moved to a day that the key reads, the suite's mathematics alone, and the day's leaves left out.
		sealed := at(w.Last + 1)
		moved := bytes.Clone(sealed)
		moved[fixedSize+32+7] = byte(w.Last)
		moved[fixedSize+32+6] = byte(w.Last >> 8)
		_, err = k.Open(moved, nil)
		mathematicsRefuses(t, err)
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		without, err := policy.expand(nil)
		require.NoError(t, err)
		f := h.withDay(without)
		for name, form := range map[string]*formula{"as sealed": f, "without the day": without, "of another day": without.withDay(w.Last), "the day as an or": newFormula(gate(1, f.root.kids), f.atoms)} {
			sel, ok := form.satisfy(k.has)
			if !ok {
				sel, _ = form.satisfy(func(u atom) bool { return true })
				sel = slices.DeleteFunc(sel, func(c selected) bool { return !k.has(form.atoms[c.row]) })
			}
			_, err := k.in().secret.decapsulate(h.pre, h.body, form, sel)
			require.ErrorIs(t, err, ErrDecrypt, name)
		}
	})
}

// Past the gate of the window under FABEO: a key whose components for days are given other names, other weights, or taken from another key.
func TestWindowIsALock(t *testing.T) {
	a := generate(t)
	p := parsePolicy(t, "a")
	ch := bare{fabeoMasterOf(a)}.challenge(t, p.onDay(testDay))
	reads, err := a.IssueKey(Window{testDay, testDay}, Attribute{Name: "a"})
	require.NoError(t, err)
	sel, ok := ch.f.satisfy(reads.has)
	require.True(t, ok)
	got, err := fabeoOf(reads).decapsulate(ch.pre, ch.body, ch.f, sel)
	require.NoError(t, err)
	require.Equal(t, ch.sigma, got, "a window of one day opens that day")
	for _, w := range []Window{{testDay - 1, testDay - 1}, {testDay + 1, testDay + 1}, {0, testDay - 1}, {testDay + 1, LastDay}} {
		k, err := a.IssueKey(w, Attribute{Name: "a"})
		require.NoError(t, err)
		_, ok := attack(rand.New(rand.NewPCG(1, 1)), ch.f, k.has)
		require.False(t, ok, "%v: the attacker's linear system has no solution", w)
		day := ch.f.atoms[sel[1].row]
		for u, sk1 := range fabeoOf(k).sk1 {
			_, err := relabelled(fabeoOf(k), ch.f, sk1).decapsulate(ch.pre, ch.body, ch.f, sel)
			require.ErrorIs(t, err, ErrDecrypt, "%v: %q for the day", w, u)
		}
		// With the day's component of a key that reads it: two keys do not combine.
		stolen := *fabeoOf(k)
		stolen.sk1 = map[atom]pairing.G1{sk(p): fabeoOf(k).sk1[sk(p)], day: fabeoOf(reads).sk1[day]}
		_, err = stolen.decapsulate(ch.pre, ch.body, ch.f, sel)
		require.ErrorIs(t, err, ErrDecrypt)
		// And a key file that claims another window is refused when it is loaded.
		claims := *k.in()
		claims.window = Window{testDay, testDay}
		forged := withSecret(keyOf(&claims), relabelled(fabeoOf(k), ch.f, fabeoOf(k).sk2))
		fabeoOf(forged).atoms = keyAtoms(claims.items, &claims.window)
		_, err = NewKey(forged.ExposeSecret())
		require.ErrorContains(t, err, "do not belong together")
	}
}

func sk(p *Policy) atom { return p.formula().atoms[0] }

// Keys and objects on both sides of a vocabulary that grew go together; one that changed its meaning is refused.
func TestSuitesWithVocabulary(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		grown, err := a.WithVocabulary(parseVocabulary(t, testVocabulary+"ward: number 1..99\n"))
		require.NoError(t, err)
		require.Equal(t, a.Params().Authority(), grown.Params().Authority())
		require.NotEqual(t, a.Params().Fingerprint(), grown.Params().Fingerprint())
		oldKey, newKey := holder(t, a, always), holder(t, grown, always)
		for _, p := range []*Params{a.Params(), grown.Params()} {
			sealed, err := p.Seal(parsePolicy(t, "age >= 18"), []byte("x"), nil)
			require.NoError(t, err)
			for _, k := range []*Key{oldKey, newKey} {
				_, err := k.Open(sealed, nil)
				require.NoError(t, err)
			}
		}
		_, err = a.WithVocabulary(parseVocabulary(t, "age: number 0..200\n"))
		require.Error(t, err)
		_, err = a.WithVocabulary(nil)
		require.Error(t, err)
	})
}

// ML-KEM-768: both keys are needed, and the gate is not the lock.
func TestSuitesHybrid(t *testing.T) {
	pq, err := mlkem.GenerateKey768()
	require.NoError(t, err)
	otherPQ, err := mlkem.GenerateKey768()
	require.NoError(t, err)
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		k := holder(t, a, always)
		policy := parsePolicy(t, "on-call")
		to, read := &Options{HybridTo: pq.EncapsulationKey()}, &Options{HybridKey: pq}
		sealed, err := a.Params().Seal(policy, []byte("x"), to)
		require.NoError(t, err)
		classic, err := a.Params().Seal(policy, []byte("x"), nil)
		require.NoError(t, err)
		require.Equal(t, len(classic)+mlkem.CiphertextSize768, len(sealed))
		h, err := Inspect(sealed)
		require.NoError(t, err)
		require.True(t, h.Hybrid)
		got, err := k.Open(sealed, read)
		require.NoError(t, err)
		require.Equal(t, "x", string(got))

		_, err = k.Open(sealed, nil)
		denied(t, err, DeniedHybrid)
		_, err = k.Open(classic, read)
		denied(t, err, DeniedNoHybrid)
		_, err = k.Open(sealed, &Options{HybridKey: otherPQ})
		mathematicsRefuses(t, err)
		_, err = a.Params().Seal(policy, nil, read)
		require.ErrorContains(t, err, "for opening")
		_, err = k.Open(sealed, to)
		require.ErrorContains(t, err, "for sealing")
		_, err = a.Params().Seal(policy, nil, &Options{HybridTo: new(mlkem.EncapsulationKey768)})
		require.ErrorContains(t, err, "no key")
		_, err = k.Open(sealed, &Options{HybridKey: new(mlkem.DecapsulationKey768)})
		require.ErrorContains(t, err, "no key")
		_, err = k.Rewrap(sealed, read, a.Params(), policy, nil)
		require.ErrorContains(t, err, "needs an ML-KEM-768 key and its new header would not")
		header, err := k.Rewrap(sealed, read, a.Params(), policy, &Options{HybridTo: otherPQ.EncapsulationKey()})
		require.NoError(t, err)
		_, err = k.Open(append(header, sealed[h.Size:]...), &Options{HybridKey: otherPQ})
		require.NoError(t, err)
		_, err = k.Open(sealed, &Options{Day: 5, HybridKey: pq})
		require.ErrorContains(t, err, "Options.Day")

		// Behind the gate: sigma alone is not enough, and neither is another shared secret.
		full, err := decodeHeader(sealed)
		require.NoError(t, err)
		f, sel, err := k.choose(full)
		require.NoError(t, err)
		sigma, err := k.in().secret.decapsulate(full.pre, full.body, f, sel)
		require.NoError(t, err)
		shared, err := pq.Decapsulate(full.hybrid)
		require.NoError(t, err)
		for name, c := range map[string]struct {
			shared []byte
			opens  bool
		}{"the shared secret": {shared, true}, "none": {nil, false}, "zeros": {make([]byte, 32), false}} {
			_, err := unwrap(full, sharedKey(sigma, c.shared, nil, full.core), nil)
			require.Equal(t, c.opens, err == nil, name)
		}
		// Cut out of the header, or changed, it does not open either.
		changed := bytes.Clone(sealed)
		changed[len(full.pre)-1] ^= 1
		_, err = k.Open(changed, read)
		mathematicsRefuses(t, err)
		full.Header.Hybrid, full.hybrid = false, nil
		cut := append(encodeCore(full), sealed[len(full.core):]...)
		_, err = k.Open(cut, nil)
		mathematicsRefuses(t, err)
	})
}

// Rewrap: another header before the same payload.
func TestSuitesRewrap(t *testing.T) {
	onBothSuites(t, func(t *testing.T, suite Suite) {
		a := withTestVocabulary(t, suite)
		reader, nurse := holder(t, a, always), issueTo(t, a, Window{testDay, testDay}, "role = nurse")
		for _, record := range []bool{false, true} {
			companion := bytes.Repeat([]byte{8}, 32)
			opts := &Options{AssociatedData: []byte("ad"), Companion: companion}
			sealed, err := a.Params().Seal(parsePolicy(t, "role = doctor"), []byte("plaintext"), opts)
			require.NoError(t, err)
			if record {
				many, err := a.Params().SealMany(parsePolicy(t, "role = doctor"), []Record{{ID: "r17", Plaintext: []byte("plaintext"), AssociatedData: []byte("ad")}}, &Options{Companion: companion})
				require.NoError(t, err)
				sealed = many[0]
			}
			old, err := Inspect(sealed)
			require.NoError(t, err)
			to := &Options{Day: testDay, Companion: bytes.Repeat([]byte{9}, 32)}
			header, err := reader.Rewrap(sealed[:old.Size], opts, a.Params(), parsePolicy(t, "role = nurse"), to)
			require.NoError(t, err)
			h, err := Inspect(header)
			require.NoError(t, err)
			require.Equal(t, len(header), h.Size)
			require.Equal(t, []any{"role = nurse", Day(testDay), old.RecordID, true}, []any{h.Policy.String(), h.Day, h.RecordID, h.NeedsCompanion})
			object := append(header, sealed[old.Size:]...)
			got, err := nurse.Open(object, &Options{AssociatedData: []byte("ad"), Companion: to.Companion})
			require.NoError(t, err)
			require.Equal(t, "plaintext", string(got))
			_, err = reader.Open(object, &Options{AssociatedData: []byte("ad"), Companion: to.Companion})
			denied(t, err, DeniedPolicy)
			_, err = nurse.Open(object, opts)
			mathematicsRefuses(t, err, "the old companion")
			_, err = reader.Open(sealed, opts)
			require.NoError(t, err, "the old header still opens")

			_, err = nurse.Rewrap(sealed, opts, a.Params(), parsePolicy(t, "role = nurse"), to)
			denied(t, err, DeniedPolicy)
			_, err = reader.Rewrap(sealed, opts, a.Params(), parsePolicy(t, "role = nurse"), opts)
			require.ErrorContains(t, err, "associated data")
			_, err = reader.Rewrap(sealed, opts, a.Params(), parsePolicy(t, "role = nurse"), nil)
			require.ErrorContains(t, err, "needs a companion key and its new header would not")
			_, err = reader.Rewrap(sealed, &Options{AssociatedData: []byte("wrong"), Companion: companion}, a.Params(), parsePolicy(t, "role = nurse"), to)
			mathematicsRefuses(t, err)
			_, err = reader.Rewrap(sealed, opts, nil, parsePolicy(t, "role = nurse"), nil)
			require.ErrorContains(t, err, "no params")
			_, err = reader.Rewrap(sealed[:old.Size-1], opts, a.Params(), parsePolicy(t, "role = nurse"), nil)
			require.ErrorIs(t, err, ErrFormat)
		}
	})
	// From version 1, and between suites.
	a, b := generate(t), generateTKN(t)
	k := issue(t, a, "a")
	sealed := seal1(t, a.Params(), "a", "old")
	size := len(sealed) - len("old") - payloadHead - tagSize
	header, err := k.Rewrap(sealed, nil, b.Params(), parsePolicy(t, "b"), nil)
	require.NoError(t, err)
	got, err := issue(t, b, "b").Open(append(header, sealed[size:]...), nil)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
}

func TestCheckAndUnsupported(t *testing.T) {
	k := issue(t, generate(t), "a")
	require.NoError(t, k.Check())
	wrong := *fabeoOf(k)
	wrong.sk2 = wrong.sk2.Add(wrong.sk2)
	require.ErrorContains(t, withSecret(k, &wrong).Check(), "do not belong together")
	require.ErrorContains(t, new(Key).Check(), "no key")
	tkn := generateTKN(t)
	require.ErrorIs(t, issue(t, tkn, "a").Check(), ErrUnsupported)
	_, err := issue(t, tkn, "a").Delegate(Attribute{Name: "a"})
	require.ErrorIs(t, err, ErrUnsupported)
	_, _, err = tkn.IssueMediated(always, Attribute{Name: "a"})
	require.ErrorIs(t, err, ErrUnsupported)
	_, _, err = tkn.Split(2, 3)
	require.ErrorIs(t, err, ErrUnsupported)
	for _, s := range []Suite{0, 3} {
		_, err := GenerateAuthority(s, nil)
		require.ErrorContains(t, err, "choose FABEO")
		require.Contains(t, s.String(), "unknown")
	}
}

// Headers of declarations: exactly what the policy needs, in canonical form, and bound.
func TestDeclarationsInHeaders(t *testing.T) {
	a := withTestVocabulary(t, FABEO)
	k := holder(t, a, always)
	sealed, err := a.Params().Seal(parsePolicy(t, "age >= 18"), []byte("x"), &Options{Day: testDay})
	require.NoError(t, err)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	require.Equal(t, "age: number 0..150\n", h.Vocabulary.String())
	for _, text := range []string{"", "age: number 0..150", "age: number 0..150\nrole: one of a, b\n", "age: number 0..0\n", "age: text\n", "age:  number 0..150\n"} {
		b := encodeWithDeclarations(h, text)
		_, err := Inspect(append(b, sealed[len(h.core):]...))
		require.ErrorIs(t, err, ErrFormat, "%q", text)
	}
	// Another range of as many bits is another set of atoms, and one that the body is not for.
	tried := 0
	for hi := 151; hi < 256; hi++ {
		other := append(encodeWithDeclarations(h, fmt.Sprintf("age: number 0..%d\n", hi)), sealed[len(h.core):]...)
		if decoded, err := decodeHeader(other); err == nil {
			tried++
			_, err = k.Open(other, nil)
			denied(t, err, DeniedPolicy)
			f, err := decoded.formula()
			require.NoError(t, err)
			own, err := h.formula()
			require.NoError(t, err)
			sel, ok := own.satisfy(k.has)
			require.True(t, ok)
			_, err = relabelled(fabeoOf(k), f, fabeoOf(k).sk2).decapsulate(decoded.pre, decoded.body, f, sel)
			require.ErrorIs(t, err, ErrDecrypt)
			_, err = k.in().secret.decapsulate(decoded.pre, decoded.body, own, sel)
			require.ErrorIs(t, err, ErrDecrypt, "the range is in pre, and so in the mask and the coins")
		}
	}
	require.Positive(t, tried)
}

func encodeWithDeclarations(h *header, text string) []byte {
	good := h.Vocabulary.String()
	core := encodeCore(h)
	at := bytes.Index(core, []byte(good)) - 4
	b := bytes.Clone(core[:at])
	b = append(b, 0, 0, byte(len(text)>>8), byte(len(text)))
	b = append(append(b, text...), core[at+4+len(good):]...)
	size := len(b) - fixedSize
	b[10], b[11] = byte(size>>8), byte(size)
	return b
}

// A key may not come to more than 4,096 components nor 1,024 attributes, and the error says so.
func TestKeyLimits(t *testing.T) {
	var text string
	var attributes []Attribute
	for i := range 70 {
		text += fmt.Sprintf("n%02d: number -4611686018427387904..4611686018427387903\n", i)
		attributes = append(attributes, Attribute{Name: fmt.Sprintf("n%02d", i), Value: "5", Kind: Number})
	}
	a, err := GenerateAuthority(FABEO, parseVocabulary(t, text))
	require.NoError(t, err)
	_, err = a.IssueKey(always, attributes...)
	require.ErrorContains(t, err, "4096")
}
