package abe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The files in testdata/vectors/issuing/v1 are never changed, only added to. -write-vectors makes those that are missing. All steps of issuing but the dealing, the nonce and z are
// deterministic, so that most cases fix what comes out byte for byte.

const issuingVectorFiles = 46

// issuingVector is one case of docs/spec/issuing.md. Binary fields are hexadecimal.
type issuingVector struct {
	What    string   // the step: what is decoded or made
	Comment string   //
	Outcome string   // success, no match, format failure
	Secret  string   `json:",omitempty"` // transform key, mediated key or issuer
	Set     string   `json:",omitempty"` // issuer set
	Sealed  string   `json:",omitempty"` // transform, open
	Value   string   `json:",omitempty"` // open: transformed header
	Request string   `json:",omitempty"`
	Inputs  []string `json:",omitempty"` // issue: approvals; combine: partial keys
	Output  string   `json:",omitempty"` // on success: plaintext, transformed header, approval, partial key, key; what is decoded only has none
	Rogues  []int    `json:",omitempty"` // combine: issuers that the error names
}

func (v issuingVector) run(t *testing.T) (out []byte, err error) {
	bin := func(s string) []byte { b, err := hex.DecodeString(s); require.NoError(t, err); return b }
	set := func() *IssuerSet { s, err := NewIssuerSet(bin(v.Set)); require.NoError(t, err); return s }
	request := func() *Request { r, err := NewRequest(bin(v.Request)); require.NoError(t, err); return r }
	issuer := func() *Issuer { i, err := NewIssuer(bin(v.Secret), set()); require.NoError(t, err); return i }
	inputs := [][]byte{}
	for _, input := range v.Inputs {
		inputs = append(inputs, bin(input))
	}
	switch v.What {
	case "transform key":
		_, err = NewTransformKey(bin(v.Secret))
	case "mediated key":
		_, err = NewMediatedKey(bin(v.Secret))
	case "issuer set":
		_, err = NewIssuerSet(bin(v.Set))
	case "issuer":
		_, err = NewIssuer(bin(v.Secret), set())
	case "request":
		_, err = NewRequest(bin(v.Request))
	case "partial key":
		_, err = NewPartialKey(bin(v.Secret))
	case "transform":
		k, err := NewTransformKey(bin(v.Secret))
		require.NoError(t, err)
		return k.Transform(bin(v.Sealed))
	case "open":
		k, err := NewMediatedKey(bin(v.Secret))
		require.NoError(t, err)
		return k.Open(bin(v.Sealed), bin(v.Value), nil)
	case "approve":
		return issuer().Approve(request())
	case "issue":
		partial, err := issuer().Issue(request(), inputs...)
		if err != nil {
			return nil, err
		}
		return partial.ExposeSecret(), nil
	case "combine":
		var partials []*PartialKey
		for _, input := range inputs {
			k, err := NewPartialKey(input)
			require.NoError(t, err)
			partials = append(partials, k)
		}
		k, err := set().Combine(request(), partials...)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	default:
		t.Fatalf("what is %q?", v.What)
	}
	return nil, err
}

func (v issuingVector) check(t *testing.T) {
	out, err := v.run(t)
	switch {
	case err == nil:
		require.Equal(t, success, v.Outcome)
		require.Equal(t, v.Output, hex.EncodeToString(out))
	case errors.Is(err, ErrFormat):
		require.Equal(t, formatFailure, v.Outcome, "%v", err)
	default:
		require.Equal(t, noMatch, v.Outcome, "%v", err)
		if v.What == "transform" || v.What == "open" {
			require.ErrorIs(t, err, ErrDecrypt)
		}
		var rogue *PartialKeyError
		require.Equal(t, len(v.Rogues) > 0, errors.As(err, &rogue))
		if rogue != nil {
			require.Equal(t, v.Rogues, rogue.Issuers)
		}
	}
}

func TestIssuingVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors", "issuing", "v1")
	if *writeVectors {
		writeIssuingVectors(t, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.Equal(t, issuingVectorFiles, len(files))
	outcomes := map[string]int{}
	for _, file := range files {
		v := readVector[issuingVector](t, file)
		outcomes[v.Outcome]++
		t.Run(filepath.Base(file), v.check)
	}
	require.Greater(t, outcomes[noMatch]+outcomes[formatFailure], outcomes[success], "more failing than passing ones")
	require.Greater(t, outcomes[noMatch], 10)
	require.Greater(t, outcomes[formatFailure], 10)
}

func writeIssuingVectors(t *testing.T, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	x := func(b []byte) string { return hex.EncodeToString(b) }
	add := func(name, comment, outcome string, v issuingVector) {
		v.Comment, v.Outcome = comment, outcome
		if outcome == success {
			out, err := v.run(t)
			require.NoError(t, err)
			v.Output = x(out)
		}
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
	seal := func(a *Authority, policy string, day Day) []byte {
		sealed, err := a.Params().Seal(fabeoPolicy(t, policy), []byte("blood pressure 120/80"), &Options{Day: day})
		require.NoError(t, err)
		return sealed
	}
	a := fabeoAuthority(t, hospitalWords)
	window := Window{First: 20454, Last: 20818}
	transform, mediated, err := a.IssueMediated(window, hospitalAttributes(t)...)
	require.NoError(t, err)
	tk, mk := transform.ExposeSecret(), mediated.ExposeSecret()
	otherTransform, otherMediated, err := a.IssueMediated(window, hospitalAttributes(t)...)
	require.NoError(t, err)
	const policy = "age >= 18 and not dept = psychiatry and role = nurse"
	sealed := seal(a, policy, 20500)
	good, err := transform.Transform(sealed)
	require.NoError(t, err)
	wrong, err := otherTransform.Transform(sealed)
	require.NoError(t, err)
	orderThree := append([]byte{0x80}, make([]byte, 47)...)

	add("transform-key-ok", "with a number, a date, a negation and a window", success, issuingVector{What: "transform key", Secret: x(tk)})
	add("transform-key-sk3", "sk3 of another key", formatFailure, issuingVector{What: "transform key", Secret: x(append(bytes.Clone(tk[:len(tk)-96]), otherTransform.ExposeSecret()[len(tk)-96:]...))})
	add("transform-key-components", "all components of another key", formatFailure, issuingVector{What: "transform key", Secret: x(append(bytes.Clone(tk[:len(tk)-fabeoKeySize(transform.in().size())]), otherTransform.ExposeSecret()[len(tk)-fabeoKeySize(transform.in().size()):]...))})
	add("transform-key-order-three", "sk2 is the point (0, 2) of order three", formatFailure, issuingVector{What: "transform key", Secret: x(changedAt(tk, len(tk)-144, orderThree...))})
	add("transform-key-suite", "suite 2", formatFailure, issuingVector{What: "transform key", Secret: x(changedAt(tk, 7, 2))})
	add("mediated-key-ok", "the user's part of the same key", success, issuingVector{What: "mediated key", Secret: x(mk)})
	add("mediated-key-zero", "z is 0", formatFailure, issuingVector{What: "mediated key", Secret: x(changedAt(mk, len(mk)-32, make([]byte, 32)...))})
	add("mediated-key-other", "z of another key", formatFailure, issuingVector{What: "mediated key", Secret: x(append(bytes.Clone(mk[:len(mk)-32]), otherMediated.ExposeSecret()[len(mk)-32:]...))})
	add("mediated-key-window", "a later end of the window", formatFailure, issuingVector{What: "mediated key", Secret: x(bytes.Replace(mk, []byte{0x4f, 0xe6, 0x51, 0x52}, []byte{0x4f, 0xe6, 0xff, 0xff}, 1))})
	add("transform-ok", "the value for an object inside the window", success, issuingVector{What: "transform", Secret: x(tk), Sealed: x(sealed)})
	add("transform-policy", "the policy is not satisfied", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(seal(a, "dept = psychiatry", 20500))})
	add("transform-window", "sealed after the window", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(seal(a, policy, 20819))})
	add("transform-authority", "of another authority", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(seal(fabeoAuthority(t, hospitalWords), policy, 20500))})
	h, err := decodeHeader(sealed)
	require.NoError(t, err)
	g1 := pairing.G1Generator().Bytes()
	g2 := pairing.G2Generator().Bytes()
	start := len(h.core) - len(h.body) + keySize
	add("transform-row", "the last row, which the key does not use, is another point", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(changedAt(sealed, len(h.core)-48, g1[:]...))})
	add("transform-row-order-three", "the last row is the point (0, 2)", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(changedAt(sealed, len(h.core)-48, orderThree...))})
	add("transform-ct1", "ct1 is g2", noMatch, issuingVector{What: "transform", Secret: x(tk), Sealed: x(changedAt(sealed, start, g2[:]...))})
	add("transform-cut", "a byte of the header is missing", formatFailure, issuingVector{What: "transform", Secret: x(tk), Sealed: x(sealed[:h.Size-1])})
	add("open-ok", "with the gateway's value", success, issuingVector{What: "open", Secret: x(mk), Sealed: x(sealed), Value: x(good)})
	add("open-other-user", "a value from the transform key of another user with the same attributes", noMatch, issuingVector{What: "open", Secret: x(mk), Sealed: x(sealed), Value: x(wrong)})
	add("open-other-header", "the value of another header", noMatch, issuingVector{What: "open", Secret: x(mk), Sealed: x(seal(a, policy, 20500)), Value: x(good)})
	add("open-negated", "-X, of order 2 r", noMatch, issuingVector{What: "open", Secret: x(mk), Sealed: x(sealed), Value: x(negatedTarget(good))})
	one := pairing.GTIdentity().Bytes()
	add("open-one", "X is 1", noMatch, issuingVector{What: "open", Secret: x(mk), Sealed: x(sealed), Value: x(append(bytes.Clone(good[:8]), one[:]...))})
	add("open-trailing", "one byte more", formatFailure, issuingVector{What: "open", Secret: x(mk), Sealed: x(sealed), Value: x(append(bytes.Clone(good), 0))})

	set, issuers := split(t, a, 2, 3)
	second, secondIssuers := split(t, a, 2, 3)
	r, err := set.Request("Ada Weber, ward 3", window, hospitalAttributes(t)...)
	require.NoError(t, err)
	approved := approvals(t, r, issuers...)
	all := partials(t, r, issuers...)
	elsewhere, err := set.Request("Ada Weber, ward 3", window, hospitalAttributes(t)...)
	require.NoError(t, err)
	at := 8 + 4 + len(a.Params().Bytes()) + 2
	hexes := func(list ...[]byte) (out []string) {
		for _, b := range list {
			out = append(out, x(b))
		}
		return out
	}
	secret := issuers[0].ExposeSecret()
	add("issuer-set-ok", "two of three", success, issuingVector{What: "issuer set", Set: x(set.Bytes())})
	add("issuer-set-threshold", "claims three of three", formatFailure, issuingVector{What: "issuer set", Set: x(changedAt(set.Bytes(), at-2, 3))})
	add("issuer-set-share", "Y of issuer 2 is from another dealing", formatFailure, issuingVector{What: "issuer set", Set: x(changedAt(set.Bytes(), at+issuerKeysSize+32, second.Bytes()[at+issuerKeysSize+32:at+2*issuerKeysSize]...))})
	add("issuer-set-twice", "issuers 1 and 2 have one signing key", formatFailure, issuingVector{What: "issuer set", Set: x(changedAt(set.Bytes(), at, set.Bytes()[at+issuerKeysSize:at+issuerKeysSize+32]...))})
	add("issuer-ok", "issuer 1", success, issuingVector{What: "issuer", Secret: x(secret), Set: x(set.Bytes())})
	add("issuer-other-set", "of another dealing", formatFailure, issuingVector{What: "issuer", Secret: x(secondIssuers[0].ExposeSecret()), Set: x(set.Bytes())})
	add("issuer-renumbered", "issuer 1 as issuer 2", formatFailure, issuingVector{What: "issuer", Secret: x(changedAt(secret, 40, 2)), Set: x(set.Bytes())})
	add("issuer-zero", "the share is 0", formatFailure, issuingVector{What: "issuer", Secret: x(changedAt(secret, 41, make([]byte, 32)...)), Set: x(set.Bytes())})
	add("request-ok", "number, date, negation, window", success, issuingVector{What: "request", Request: x(r.Bytes())})
	add("request-holder", "a line feed in the name", formatFailure, issuingVector{What: "request", Request: x(bytes.Replace(r.Bytes(), []byte(", "), []byte("\n "), 1))})
	add("request-trailing", "one byte more", formatFailure, issuingVector{What: "request", Request: x(append(r.Bytes(), 0))})
	add("approve-ok", "by issuer 1", success, issuingVector{What: "approve", Secret: x(secret), Set: x(set.Bytes()), Request: x(r.Bytes())})
	foreign, err := second.Request("Ada Weber, ward 3", window, hospitalAttributes(t)...)
	require.NoError(t, err)
	add("approve-other-set", "a request to another set", noMatch, issuingVector{What: "approve", Secret: x(secret), Set: x(set.Bytes()), Request: x(foreign.Bytes())})
	two := *r
	two.holding.items = append([]atom{}, r.holding.items...)
	for i, item := range two.holding.items { // is in psychiatry instead of not
		if item == (Attribute{Name: "dept", Value: "psychiatry", Kind: Not}).atom() {
			two.holding.items = append(two.holding.items[:i], two.holding.items[i+1:]...)
			break
		}
	}
	add("approve-negation-missing", "a request that leaves out dept != psychiatry", noMatch, issuingVector{What: "approve", Secret: x(secret), Set: x(set.Bytes()), Request: x(two.encode())})
	add("issue-ok", "by issuer 1 with the approvals of 2 and 3", success, issuingVector{What: "issue", Secret: x(secret), Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(approved[1:]...)})
	add("issue-one-approval", "one approval, twice", noMatch, issuingVector{What: "issue", Secret: x(secret), Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(approved[1], approved[1])})
	add("issue-other-request", "an approval of another request", noMatch, issuingVector{What: "issue", Secret: x(secret), Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(append(approvals(t, elsewhere, issuers[2]), approved[1])...)})
	add("issue-renumbered", "the approval of issuer 2 as one of issuer 3", noMatch, issuingVector{What: "issue", Secret: x(secret), Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(approved[1], changedAt(approved[1], 40, 3))})
	add("partial-key-identity", "sk3 is the identity", formatFailure, issuingVector{What: "partial key", Secret: x(changedAt(all[0].ExposeSecret(), len(all[0].ExposeSecret())-96, append([]byte{0xc0}, make([]byte, 95)...)...))})
	add("combine-ok", "issuers 3 and 1", success, issuingVector{What: "combine", Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(all[2].ExposeSecret(), all[0].ExposeSecret())})
	add("combine-one", "one partial key", noMatch, issuingVector{What: "combine", Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(all[2].ExposeSecret())})
	add("combine-rogue", "issuer 2 sends the partial key of issuer 3", noMatch, issuingVector{What: "combine", Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(all[0].ExposeSecret(), changedAt(all[2].ExposeSecret(), 40, 2)), Rogues: []int{2}})
	add("combine-off-request", "issuers 1 and 3 for another request with the same attributes", noMatch, issuingVector{What: "combine", Set: x(set.Bytes()), Request: x(r.Bytes()), Inputs: hexes(partials(t, elsewhere, issuers[0], issuers[2])[0].ExposeSecret(), all[1].ExposeSecret(), partials(t, elsewhere, issuers[0], issuers[2])[1].ExposeSecret()), Rogues: []int{1, 3}})
}
