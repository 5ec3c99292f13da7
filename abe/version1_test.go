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
