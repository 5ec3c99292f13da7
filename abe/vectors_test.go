package abe

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// What was ever sealed stays readable, and what was refused stays refused: the files in testdata/vectors are never changed,
// only added to. v1 has objects, keys, params and authorities of version 1, v2 of version 2. The files policy* and attack-* belong to other
// tests. -write-vectors makes those of version 2 that are missing.
var writeVectors = flag.Bool("write-vectors", false, "write the vector files that do not exist")

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
	HybridKey  string   `json:",omitempty"` // open: the seed of an ML-KEM-768 key, 64 bytes
	Policy     string   `json:",omitempty"` // encapsulate, and open on success: what Inspect says
	Day        string   `json:",omitempty"` // the same, version 2
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
		sigma := [keySize]byte(bin(v.Sigma))
		var core []byte
		var K [keySize]byte
		if v.Day == "" {
			core, K = encapsulate1(params, parsePolicy(t, v.Policy), companion, sigma)
		} else {
			var day Day
			require.NoError(t, day.UnmarshalText([]byte(v.Day)))
			s, err := params.sealer(parsePolicy(t, v.Policy), &Options{Day: day, Companion: companion})
			require.NoError(t, err)
			core, K = s.encapsulateSigma(sigma)
		}
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
	if v.HybridKey != "" {
		opts.HybridKey, err = mlkem.NewDecapsulationKey768(bin(v.HybridKey))
		require.NoError(t, err)
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
		if h.Version == version2 {
			require.Equal(t, v.Day, h.Day.String())
		}
		return
	}
	require.ErrorIs(t, err, ErrDecrypt)
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	_, headerErr := k.openHeader(h, opening{associated: opts.AssociatedData, companion: opts.Companion, hybrid: opts.HybridKey})
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
	f, err := h.formula()
	require.NoError(t, err)
	if len(v.Weights) > 0 {
		require.Len(t, v.Weights, f.leaves())
		weights := make([]pairing.Scalar, len(v.Weights))
		for i, w := range v.Weights {
			n, ok := new(big.Int).SetString("0"+w, 16)
			require.True(t, ok)
			weights[i] = newCoefficient(n).scalar()
		}
		attempts = append(attempts, combineWeighted(f, decodeAll(t, f, h.enc()), weights, fabeoOf(k)))
	}
	if v.Quotient { // a name that hashes to H_b gives the master secret: TestBugSpecialElementAmongAttributes
		ct1, err := pairing.NewG2(h.enc()[:pairing.G2Size])
		require.NoError(t, err)
		for _, sk1 := range fabeoOf(k).sk1 {
			attempts = append(attempts, pairing.PairProduct(pairing.Pair{P: fabeoOf(k).sk2.Add(sk1.Neg()), Q: ct1}))
		}
	}
	return attempts
}

// opensWith is everything that follows the pairings, without the gate.
func opensWith(k *Key, h *header, opts *Options, d pairing.GT) bool {
	f, err := h.formula()
	if err != nil {
		return false
	}
	sigma, err := fabeoPublicOf(k.Params()).recover(h.pre, h.body, f, d)
	if err != nil {
		return false
	}
	var shared []byte
	if h.Hybrid && opts.HybridKey != nil {
		if shared, err = opts.HybridKey.Decapsulate(h.hybrid); err != nil {
			return false
		}
	}
	_, err = unwrap(h, sharedKey(sigma, shared, opts.Companion, h.core), opts.AssociatedData)
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
		f := h.withDay(h.Policy.formula())
		sel, ok := f.satisfy(k.has)
		require.True(t, ok)
		v := vector{Weights: make([]string, f.leaves())}
		for _, c := range sel {
			v.Weights[c.row] = hex.EncodeToString(c.coeff.be[:])
		}
		attempts := v.pastTheGate(t, k, h)
		require.Len(t, attempts, 1)
		require.True(t, opensWith(k, h, opts, attempts[0]), policy)
		require.False(t, opensWith(k, h, &Options{AssociatedData: opts.AssociatedData}, attempts[0]), "without the companion")
		require.False(t, opensWith(k, h, &Options{Companion: opts.Companion}, attempts[0]), "without the associated data")

		r := pairing.RandomScalar()
		hb := fabeoPublicOf(a.Params()).hb().Mul(r)
		collision := withSecret(k, &fabeoKey{sk1: map[atom]pairing.G1{Attribute{Name: "x"}.atom(): hb}, sk2: pairing.G1Generator().Mul(fabeoMasterOf(a).alpha).Add(hb)})
		attempts = vector{Quotient: true}.pastTheGate(t, collision, h)
		require.Len(t, attempts, 1)
		require.True(t, opensWith(collision, h, opts, attempts[0]), policy)
	}
}

func TestVectors(t *testing.T) {
	if *writeVectors {
		writeMissing(t, filepath.Join("testdata", "vectors", "v2"))
	}
	checkVectors(t, "v1", 46, 6, 15)
	checkVectors(t, "v2", vectors2, vectors2Gate, vectors2Lock)
}

// checkVectors checks the files of one version: how many there must be, and how many of them the gate and the lock refuse.
func checkVectors(t *testing.T, version string, count, gate, lock int) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", version, "*.json"))
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(file string) bool {
		name := filepath.Base(file)
		return strings.HasPrefix(name, "policy") || strings.HasPrefix(name, "attack-")
	})
	require.Len(t, files, count)
	outcomes, refused := map[string]int{}, map[string]int{}
	for _, file := range files {
		v := readVector[vector](t, file)
		outcomes[v.Outcome]++
		refused[v.Refused]++
		t.Run(version+"/"+filepath.Base(file), v.check)
	}
	require.Greater(t, count-outcomes[success], outcomes[success], "more failing than passing ones")
	for _, o := range []string{success, noMatch, formatFailure, payloadFailure} {
		require.Positive(t, outcomes[o], o)
	}
	require.Equal(t, outcomes[noMatch], refused[refusedByGate]+refused[refusedByLock])
	require.Equal(t, gate, refused[refusedByGate])
	require.Equal(t, lock, refused[refusedByLock])
}

// readVector reads one file, without fields that V does not know.
func readVector[V any](t *testing.T, file string) (v V) {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&v), file)
	return v
}
