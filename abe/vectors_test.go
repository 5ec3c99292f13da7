package abe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// What was ever sealed stays readable, and what was refused stays refused: the files in testdata/vectors/v1 are never changed,
// only added to. The files policy-* belong to another test. -write-vectors makes those that are missing.
var writeVectors = flag.Bool("write-vectors", false, "write the vector files that do not exist")

const vectorFiles = 46

// Outcomes of opening a vector.
const (
	success        = "success"
	noMatch        = "no match"        // the header does not open with this key
	formatFailure  = "format failure"  // the bytes are no canonical object, key, params or authority
	payloadFailure = "payload failure" // the header opens, the payload does not
)

// Who refused an object that does not match.
const (
	refusedByGate = "gate" // a friendly check of public data; the vector says how to go past it
	refusedByLock = "lock" // the mathematics
)

// vector is one case. Binary fields are hexadecimal.
type vector struct {
	What       string // "open", "key", "params", "authority" or "encapsulate"
	Comment    string
	Outcome    string
	Refused    string   `json:",omitempty"` // open with no match: "gate" or "lock", what refused
	Weights    []string `json:",omitempty"` // open, gate: past it, the weight of each row of ct3; "" is 0
	Quotient   bool     `json:",omitempty"` // open, gate: past it, sk2 divided by each component of an attribute
	Key        string   `json:",omitempty"` // open, key
	Params     string   `json:",omitempty"` // params, encapsulate
	Authority  string   `json:",omitempty"` // authority
	Sealed     string   `json:",omitempty"` // open
	Associated string   `json:",omitempty"`
	Companion  string   `json:",omitempty"`
	Plaintext  string   `json:",omitempty"`
	Policy     string   `json:",omitempty"` // encapsulate, and open on success: what Inspect says
	Sigma      string   `json:",omitempty"` // encapsulate
	Core       string   `json:",omitempty"` // encapsulate
	SharedKey  string   `json:",omitempty"` // encapsulate: K
}

func (v vector) check(t *testing.T) {
	bin := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	failed := func(err error) {
		require.Equal(t, formatFailure, v.Outcome, "%v", err)
		require.ErrorIs(t, err, ErrFormat)
	}
	switch v.What {
	case "params":
		if _, err := NewParams(bin(v.Params)); err != nil {
			failed(err)
			return
		}
	case "authority":
		if _, err := NewAuthority(bin(v.Authority)); err != nil {
			failed(err)
			return
		}
	case "key":
		if _, err := NewKey(bin(v.Key)); err != nil {
			failed(err)
			return
		}
	case "encapsulate":
		params, err := NewParams(bin(v.Params))
		require.NoError(t, err)
		var companion []byte
		if v.Companion != "" {
			companion = bin(v.Companion)
		}
		core, K := params.encapsulateSigma(parsePolicy(t, v.Policy), companion, [keySize]byte(bin(v.Sigma)))
		require.Equal(t, v.Core, hex.EncodeToString(core))
		require.Equal(t, v.SharedKey, hex.EncodeToString(K[:]))
	case "open":
		v.checkOpen(t, bin)
		return
	default:
		t.Fatalf("what is %q?", v.What)
	}
	require.Equal(t, success, v.Outcome)
}

func (v vector) checkOpen(t *testing.T, bin func(string) []byte) {
	k, err := NewKey(bin(v.Key))
	require.NoError(t, err)
	opts := &Options{AssociatedData: bin(v.Associated)}
	if v.Companion != "" {
		opts.Companion = bin(v.Companion)
	}
	sealed := bin(v.Sealed)
	got, err := k.Open(sealed, opts)
	if err != nil && errors.Is(err, ErrFormat) {
		require.Equal(t, formatFailure, v.Outcome, "%v", err)
		return
	}
	if err == nil {
		require.Equal(t, success, v.Outcome)
		require.Equal(t, v.Plaintext, hex.EncodeToString(got))
		h, err := Inspect(sealed)
		require.NoError(t, err)
		require.Equal(t, v.Policy, h.Policy.String())
		return
	}
	require.ErrorIs(t, err, ErrDecrypt)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	_, headerErr := k.openHeader(h, opts.Companion, opts.AssociatedData)
	if headerErr == nil {
		require.Equal(t, payloadFailure, v.Outcome)
		return
	}
	require.Equal(t, noMatch, v.Outcome)
	if !errors.As(headerErr, new(*DeniedError)) {
		require.Equal(t, refusedByLock, v.Refused)
		return
	}
	require.Equal(t, refusedByGate, v.Refused)
	attempts := v.pastTheGate(t, k, h)
	require.NotEmpty(t, attempts, "a vector that the gate refuses says what to try behind it")
	for _, d := range attempts {
		require.False(t, opensWith(k, h, opts, d), "only the gate refused")
	}
}

// pastTheGate computes what an attacker takes for d, by the pairings.
func (v vector) pastTheGate(t *testing.T, k *Key, h *header) (attempts []pairing.GT) {
	if len(v.Weights) > 0 {
		require.Len(t, v.Weights, len(h.Policy.formula().rows()))
		weights := make([]pairing.Scalar, len(v.Weights))
		for i, w := range v.Weights {
			n, ok := new(big.Int).SetString("0"+w, 16)
			require.True(t, ok)
			weights[i] = publicScalar(n)
		}
		attempts = append(attempts, withRows(h.Policy, weights, k, nothing).evaluate(t, h.Policy, h.enc, k.in().sk2, k.in().sk3))
	}
	if v.Quotient { // a name that hashes to H_b gives the master secret: TestBugSpecialElementAmongAttributes
		ct1, err := pairing.NewG2(h.enc[:pairing.G2Size])
		require.NoError(t, err)
		for _, sk1 := range k.in().sk1 {
			attempts = append(attempts, pairing.PairProduct(pairing.Pair{P: k.in().sk2.Add(sk1.Neg()), Q: ct1}))
		}
	}
	return attempts
}

// opensWith is everything that follows the pairings.
func opensWith(k *Key, h *header, opts *Options, d pairing.GT) bool {
	K, err := k.in().params.recover(h, opts.Companion, d)
	if err == nil {
		_, err = unwrap(h, K, opts.AssociatedData)
	}
	return err == nil
}

// What the vectors do past the gate opens what it should: with the weights of satisfy, and with a component that is H_b^r.
func TestPastTheGateIsNotBlind(t *testing.T) {
	a := generate(t)
	for _, policy := range []string{"a", "a and b", "2 of (a, x, b)", "(a or x) and (a or b)"} {
		k := issue(t, a, "a", "b")
		opts := &Options{AssociatedData: []byte("ad"), Companion: bytes.Repeat([]byte{3}, 32)}
		sealed, err := a.Params().Seal(parsePolicy(t, policy), nil, opts)
		require.NoError(t, err)
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		sel, ok := h.Policy.formula().satisfy(k.has)
		require.True(t, ok)
		v := vector{Weights: make([]string, len(h.Policy.formula().rows()))}
		for _, c := range sel {
			v.Weights[c.row] = hex.EncodeToString(c.coeff.be[:])
		}
		attempts := v.pastTheGate(t, k, h)
		require.Len(t, attempts, 1)
		require.True(t, opensWith(k, h, opts, attempts[0]), policy)
		require.False(t, opensWith(k, h, &Options{AssociatedData: opts.AssociatedData}, attempts[0]), "without the companion")
		require.False(t, opensWith(k, h, &Options{Companion: opts.Companion}, attempts[0]), "without the associated data")

		r := pairing.RandomScalar()
		hb := a.Params().hb().Mul(r)
		collision := keyOf(&keyParts{params: a.Params(), sk1: map[atom]pairing.G1{Attribute{Name: "x"}.atom(): hb}, sk2: pairing.G1Generator().Mul(a.in().alpha).Add(hb)})
		attempts = vector{Quotient: true}.pastTheGate(t, collision, h)
		require.Len(t, attempts, 1)
		require.True(t, opensWith(collision, h, opts, attempts[0]), policy)
	}
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors", "v1")
	if *writeVectors {
		writeMissing(t, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(file string) bool { return strings.HasPrefix(filepath.Base(file), "policy-") })
	require.Equal(t, vectorFiles, len(files))
	outcomes, refused := map[string]int{}, map[string]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var v vector
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&v), file)
		outcomes[v.Outcome]++
		refused[v.Refused]++
		t.Run(filepath.Base(file), v.check)
	}
	require.Greater(t, vectorFiles-outcomes[success], outcomes[success], "more failing than passing ones")
	for _, o := range []string{success, noMatch, formatFailure, payloadFailure} {
		require.Positive(t, outcomes[o], o)
	}
	require.Equal(t, outcomes[noMatch], refused[refusedByGate]+refused[refusedByLock])
	require.Equal(t, 6, refused[refusedByGate])
	require.Equal(t, 15, refused[refusedByLock])
}

// writeMissing makes cases with fresh keys; their files pin what this version reads.
func writeMissing(t *testing.T, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	add := func(name string, v vector) {
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		f, err := os.OpenFile(filepath.Join(dir, name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			return
		}
		require.NoError(t, err)
		_, err = f.Write(append(b, '\n'))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	x := func(b []byte) string { return hex.EncodeToString(b) }
	changed := func(b []byte, at int, to ...byte) []byte { b = bytes.Clone(b); copy(b[at:], to); return b }

	a, other := generate(t), generate(t)
	doctor, err := a.IssueKey(Attribute{Name: "role", Value: "doctor"}, Attribute{Name: "dept", Value: "cardiology"}, Attribute{Name: "on-call"})
	require.NoError(t, err)
	onlyB := issue(t, a, "b")
	add("params-ok", vector{What: "params", Comment: "public parameters", Outcome: success, Params: x(a.Params().Bytes())})
	add("params-one", vector{What: "params", Comment: "Y is 1", Outcome: formatFailure, Params: x(func() []byte {
		one := pairing.GTIdentity().Bytes()
		return append(bytes.Clone(a.Params().Bytes()[:12]), one[:]...)
	}())})
	add("params-trailing", vector{What: "params", Comment: "one byte more", Outcome: formatFailure, Params: x(append(a.Params().Bytes(), 0))})
	add("params-not-in-group", vector{What: "params", Comment: "last bit of Y flipped", Outcome: formatFailure, Params: x(changed(a.Params().Bytes(), 587, a.Params().Bytes()[587]^1))})
	add("authority-ok", vector{What: "authority", Comment: "master secret", Outcome: success, Authority: x(a.ExposeSecret())})
	add("authority-zero", vector{What: "authority", Comment: "alpha is 0", Outcome: formatFailure, Authority: x(append(a.ExposeSecret()[:44], make([]byte, 32)...))})
	add("authority-order", vector{What: "authority", Comment: "alpha is the group order", Outcome: formatFailure, Authority: x(append(a.ExposeSecret()[:44], groupOrder.Bytes()...))})
	add("authority-other-fingerprint", vector{What: "authority", Comment: "alpha of another authority", Outcome: formatFailure, Authority: x(append(a.ExposeSecret()[:44], other.ExposeSecret()[44:]...))})
	add("key-ok", vector{What: "key", Comment: "a key with a flag and two values", Outcome: success, Key: x(doctor.ExposeSecret())})
	bad := onlyB.ExposeSecret()
	add("key-relabelled", vector{What: "key", Comment: "a key for b that claims a", Outcome: formatFailure, Key: x(changed(bad, 8+4+588+4+4+4+6, 'a'))})
	add("key-order-three", vector{What: "key", Comment: "sk2 is the point (0, 2) of order three", Outcome: formatFailure, Key: x(changed(bad, len(bad)-144, append([]byte{0x80}, make([]byte, 47)...)...))})
	add("key-identity", vector{What: "key", Comment: "sk3 is the identity", Outcome: formatFailure, Key: x(changed(bad, len(bad)-96, append([]byte{0xc0}, make([]byte, 95)...)...))})

	for i, policy := range []string{"a", "a and b", "2 of (a, b, c)", "(a or b) and (a or c)", `role = doctor and (dept = cardiology or dept = "intensive care")`} {
		var companion []byte
		if i%2 == 1 {
			companion = bytes.Repeat([]byte{byte(i)}, 32)
		}
		sigma := [keySize]byte{byte(i), 1, 2}
		core, K := a.Params().encapsulateSigma(parsePolicy(t, policy), companion, sigma)
		add(fmt.Sprint("encapsulate-", i), vector{What: "encapsulate", Comment: "core and K from sigma", Outcome: success, Params: x(a.Params().Bytes()), Policy: policy, Sigma: x(sigma[:]), Companion: x(companion), Core: x(core), SharedKey: x(K[:])})
	}

	// An attempt is what is tried behind the gate; nil says that the lock refuses.
	type attempt func(*vector)
	weights := func(w ...string) attempt { return func(v *vector) { v.Weights = w } }
	quotient := func(v *vector) { v.Quotient = true }
	open := func(name, comment, outcome string, k *Key, sealed []byte, opts *Options, plaintext, policy string, past ...attempt) {
		v := vector{What: "open", Comment: comment, Outcome: outcome, Key: x(k.ExposeSecret()), Sealed: x(sealed), Associated: x(opts.AssociatedData), Companion: x(opts.Companion), Plaintext: x([]byte(plaintext)), Policy: policy}
		if outcome == noMatch {
			v.Refused = refusedByLock
		}
		for _, p := range past {
			v.Refused = refusedByGate
			p(&v)
		}
		if !strings.HasPrefix(name, "encapsulate-") {
			name = "open-" + name
		}
		add(name, v)
	}
	const policy = `role = doctor and (dept = cardiology or dept = "intensive care")`
	opts := &Options{AssociatedData: []byte("patient 17"), Companion: bytes.Repeat([]byte{3}, 32)}
	sealed, err := a.Params().Seal(parsePolicy(t, policy), []byte("blood pressure 120/80"), opts)
	require.NoError(t, err)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	open("ok", "with associated data and a companion", success, doctor, sealed, opts, "blood pressure 120/80", policy)
	bare, err := a.Params().Seal(parsePolicy(t, "on-call"), nil, nil)
	require.NoError(t, err)
	open("empty", "an empty plaintext, no options", success, doctor, bare, &Options{}, "", "on-call")
	many, err := a.Params().SealMany(parsePolicy(t, "2 of (on-call, x, role = doctor)"), []Record{{ID: "r1", Plaintext: []byte("one")}, {ID: "r2", Plaintext: []byte("two")}}, nil)
	require.NoError(t, err)
	open("many", "second record of two with one encapsulation", success, doctor, many[1], &Options{}, "two", "2 of (on-call, x, role = doctor)")
	open("many-renamed", "record id changed", noMatch, doctor, bytes.Replace(many[1], []byte("r2"), []byte("r1"), 1), &Options{}, "", "")
	open("not-satisfied", "a key that does not satisfy the policy", noMatch, onlyB, sealed, opts, "", "", weights("1", "1", ""))
	tauObject, err := a.Params().Seal(parsePolicy(t, "(a or b) and (a or c)"), []byte("x"), nil)
	require.NoError(t, err)
	open("tau", "a key for b alone: opens without the multi-use index", noMatch, onlyB, tauObject, &Options{}, "", "", weights(tauWeights(t)...))
	andObject, err := a.Params().Seal(parsePolicy(t, "b and c"), []byte("x"), nil)
	require.NoError(t, err)
	open("and", "a key for b alone: opens if an and gives its share to one child", noMatch, onlyB, andObject, &Options{}, "", "", weights("1", ""))
	strange, err := a.IssueKey(Attribute{Name: "x", Value: "0 0"}, Attribute{Name: "x", Value: "0"}, Attribute{Name: "h-b"})
	require.NoError(t, err)
	open("special", "a key for names that are special elsewhere", noMatch, strange, andObject, &Options{}, "", "", quotient)
	foreign, err := other.IssueKey(doctor.Attributes()...)
	require.NoError(t, err)
	open("other-authority", "the same attributes from another authority", noMatch, foreign, sealed, opts, "", "", weights("1", "1", ""))
	open("companion-missing", "no companion", noMatch, doctor, sealed, &Options{AssociatedData: opts.AssociatedData}, "", "", weights("1", "1", ""))
	open("companion-wrong", "another companion", noMatch, doctor, sealed, &Options{AssociatedData: opts.AssociatedData, Companion: bytes.Repeat([]byte{4}, 32)}, "", "")
	strict, err := a.Params().Seal(parsePolicy(t, "on-call and zebra"), []byte("x"), nil)
	require.NoError(t, err)
	open("weakened", "an and in the header replaced by an or", noMatch, doctor, bytes.Replace(strict, []byte("on-call and zebra"), []byte("on-call or zebras"), 1), &Options{}, "", "")
	start := len(h.core) - len(h.enc)
	open("ct3-unused", "a row that this key does not use is replaced by the point (0, 2)", noMatch, doctor, changed(sealed, len(h.core)-48, append([]byte{0x80}, make([]byte, 47)...)...), opts, "", "")
	open("ct1-identity", "ct1 is the identity", noMatch, doctor, changed(sealed, start, append([]byte{0xc0}, make([]byte, 95)...)...), opts, "", "")
	open("commitment", "a bit of the commitment flipped", noMatch, doctor, changed(sealed, h.Size-1, sealed[h.Size-1]^1), opts, "", "")
	open("associated-wrong", "other associated data, which the commitment refuses", noMatch, doctor, sealed, &Options{AssociatedData: []byte("patient 18"), Companion: opts.Companion}, "", "")
	open("payload-cut", "last byte missing", payloadFailure, doctor, sealed[:len(sealed)-1], opts, "", "")
	open("header-cut", "cut within the header", formatFailure, doctor, sealed[:h.Size-1], opts, "", "")
	open("suite", "suite 2", formatFailure, doctor, changed(sealed, 7, 2), opts, "", "")
	open("id-invisible", "record id with an escape character", formatFailure, doctor, bytes.Replace(many[1], []byte("r2"), []byte("r\x1b"), 1), &Options{}, "", "")
	flippedPayload := changed(sealed, len(sealed)-1, sealed[len(sealed)-1]^1)
	open("payload-flipped", "last bit of the payload flipped", payloadFailure, doctor, flippedPayload, opts, "", "")
	open("commitment-associated", "the commitment is to other associated data", noMatch, doctor, func() []byte {
		core, K := a.Params().encapsulate(parsePolicy(t, "on-call"), nil)
		head, payloadKey := makeHeader(core, K, "", []byte("patient 18"), 0)
		object, err := appendPayload(head, payloadKey, []byte("x"), []byte("patient 17"))
		require.NoError(t, err)
		return object
	}(), &Options{AssociatedData: []byte("patient 17")}, "", "")

	// The sealer knows sigma and s1 and makes everything fit but one element.
	reader, dishonest := issue(t, a, "b", "c"), parsePolicy(t, dishonestPolicy)
	for name, change := range dishonestCases() {
		open("encapsulate-dishonest-"+name, "honest but for one element of enc, everything else made to fit", noMatch, reader,
			dishonestSeal(t, a.Params(), dishonest, [keySize]byte{byte(len(name)), 7}, change), &Options{}, "", "")
	}
}

// tauWeights are the weights with which a key for b opens (a or b) and (a or c) if all rows have the same rho: those of the two rows
// of a cancel each other.
func tauWeights(t *testing.T) (weights []string) {
	p := parsePolicy(t, "(a or b) and (a or c)")
	rows := slices.Clone(p.formula().rows())
	for i := range rows {
		rows[i].rho = 1
	}
	b, ok := attack(rand.New(rand.NewPCG(3, 3)), mutant(p, rows, p.formula().cols(), 1), func(u atom) bool { return u.name() == "b" })
	require.True(t, ok)
	for _, w := range b {
		weights = append(weights, w.Text(16))
	}
	return weights
}
