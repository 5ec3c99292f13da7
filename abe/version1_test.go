package abe

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Version 1 is read and never written by the package: what tests need of its sealers is here.

// authorityFrom is an authority with a given secret.
func authorityFrom(alpha pairing.Scalar) *Authority {
	m := newFABEOMaster(alpha)
	return authorityOf(newParams(version2, FABEO, new(Vocabulary), m.public()), m)
}

// encodeCore writes the core of a decoded header anew, field by field.
func encodeCore(h *header) []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEObject, Version: h.Version, Suite: uint8(h.Suite)})
	b = append(b, 0, 0, 0, 0)
	b = append(b, h.Authority[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0, byte(h.Day>>8), byte(h.Day))
	if h.NeedsCompanion {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = wire.AppendString(b, h.Policy.String())
	b = wire.AppendString(b, h.Vocabulary.String())
	b = wire.AppendBytes(b, h.hybrid)
	b = append(b, h.body...)
	size := len(b) - 12
	copy(b[8:], []byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
	return b
}

// formula is what the body of h is for.
func (h *header) formula() (*formula, error) {
	f, err := h.Policy.expand(h.Vocabulary)
	if err != nil {
		return nil, err
	}
	return h.withDay(f), nil
}

// encapsulate1 is the encapsulation of version 1.
func encapsulate1(p *Params, policy *Policy, companion []byte, sigma [keySize]byte) (core []byte, K [keySize]byte) {
	f := policy.formula()
	h := &header{Header: Header{Version: version1, Suite: FABEO, Authority: p.authority, Policy: policy, NeedsCompanion: companion != nil}}
	h.body = make([]byte, fabeoBodySize(f.leaves(), f.tau()))
	core = encodeCore(h)
	pre := core[:len(core)-len(h.body)]
	core = append(bytes.Clone(pre), fabeoPublicOf(p).encapsulateSigma(pre, f, sigma)...)
	return core, sharedKey(sigma, nil, companion, core)
}

func seal1(t testing.TB, p *Params, policy string, plaintext string) []byte {
	core, K := encapsulate1(p, parsePolicy(t, policy), nil, [keySize]byte{1, 2, 3})
	sealed, err := sealRecord(core, K, "", []byte(plaintext), nil)
	require.NoError(t, err)
	return sealed
}

// key1 is k in version 1: without its window.
func key1(k *Key) *Key {
	parts, s := *k.in(), *fabeoOf(k)
	parts.version, parts.window = version1, Window{}
	parts.params = newParams(version1, FABEO, new(Vocabulary), parts.params.public)
	s.atoms = keyAtoms(parts.items, nil)
	s.sk1 = map[atom]pairing.G1{}
	for _, u := range s.atoms {
		s.sk1[u] = fabeoOf(k).sk1[u]
	}
	parts.secret = &s
	return keyOf(&parts)
}

// Version 1: its objects open with satisfying keys of any window, its keys open its objects and no others, and all of it is written back as it was.
func TestVersion1IsRead(t *testing.T) {
	a := generate(t)
	old := seal1(t, a.Params(), "a and b", "old")
	now, err := a.Params().Seal(parsePolicy(t, "a and b"), []byte("new"), nil)
	require.NoError(t, err)
	k1, err := NewKey(key1(issue(t, a, "a", "b")).ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, Window{}, k1.Window())
	require.Equal(t, flags("a", "b"), k1.Attributes())
	past, err := a.IssueKey(Window{0, 1}, flags("a", "b")...)
	require.NoError(t, err)
	for name, k := range map[string]*Key{"a key of version 1": k1, "a key of today": issue(t, a, "a", "b"), "a key that ended": past} {
		got, err := k.Open(old, nil)
		require.NoError(t, err, name)
		require.Equal(t, "old", string(got), name)
	}
	_, err = k1.Open(now, nil)
	d := denied(t, err, DeniedWindow)
	require.Equal(t, Window{}, d.Window)
	require.ErrorContains(t, err, "ask for a new key")
	_, err = past.Open(now, nil)
	denied(t, err, DeniedWindow)
	_, err = issue(t, a, "a").Open(old, nil)
	denied(t, err, DeniedPolicy)
	h, err := Inspect(old)
	require.NoError(t, err)
	require.Equal(t, []any{uint8(1), Day(0), a.Params().Authority(), ""}, []any{h.Version, h.Day, h.Authority, h.Vocabulary.String()})

	// An old object whose version is set to 2, or a new one set to 1, does not open.
	for _, object := range [][]byte{old, now} {
		b := bytes.Clone(object)
		b[6] ^= 3
		_, err := issue(t, a, "a", "b").Open(b, nil)
		require.Error(t, err)
	}
	// Params and authority of version 1: the same authority, and what they make is of version 2.
	params, err := NewParams(newParams(version1, FABEO, new(Vocabulary), a.Params().public).Bytes())
	require.NoError(t, err)
	require.Equal(t, params.Authority(), params.Fingerprint())
	require.Equal(t, a.Params().Authority(), params.Authority())
	require.NotEqual(t, a.Params().Fingerprint(), params.Fingerprint())
	sealed, err := params.Seal(parsePolicy(t, "a"), nil, nil)
	require.NoError(t, err)
	h, err = Inspect(sealed)
	require.NoError(t, err)
	require.Equal(t, uint8(2), h.Version)
	b := authorityOf(params, a.in().master)
	loaded, err := NewAuthority(b.ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, b.ExposeSecret(), loaded.ExposeSecret())
	k, err := NewKey(issue(t, loaded, "a").ExposeSecret())
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	require.NoError(t, err)
	grown, err := loaded.WithVocabulary(parseVocabulary(t, "age: number 0..150"))
	require.NoError(t, err)
	require.Equal(t, uint8(version2), grown.Params().version)
	require.Equal(t, loaded.Params().Authority(), grown.Params().Authority())
	_, err = grown.IssueKey(always, Attribute{Name: "age", Value: "42", Kind: Number})
	require.NoError(t, err)
}
