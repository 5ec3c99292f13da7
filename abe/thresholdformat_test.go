package abe

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThresholdEncodings(t *testing.T) {
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, 2, 3)
	r := request(t, set, "a", "role = doctor")
	partial := partials(t, r, issuers[0], issuers[2])[1]
	require.Equal(t, 3, partial.Issuer())
	require.Len(t, issuers[0].ExposeSecret(), 105)
	require.Len(t, partial.ExposeSecret(), 189+48*len(r.atoms()))
	refusesOtherShapes(t, set.Bytes(), func(b []byte) ([]byte, error) {
		s, err := NewIssuerSet(b)
		if err != nil {
			return nil, err
		}
		return s.Bytes(), nil
	})
	refusesOtherShapes(t, issuers[0].ExposeSecret(), func(b []byte) ([]byte, error) {
		i, err := NewIssuer(b, set)
		if err != nil {
			return nil, err
		}
		return i.ExposeSecret(), nil
	})
	refusesOtherShapes(t, r.Bytes(), func(b []byte) ([]byte, error) {
		r, err := NewRequest(b)
		if err != nil {
			return nil, err
		}
		return r.encode(), nil
	})
	refusesOtherShapes(t, partial.ExposeSecret(), func(b []byte) ([]byte, error) {
		k, err := NewPartialKey(b)
		if err != nil {
			return nil, err
		}
		return k.ExposeSecret(), nil
	})

	loaded, err := NewIssuerSet(set.Bytes())
	require.NoError(t, err)
	require.Equal(t, set.ID(), loaded.ID())
	restored, err := NewIssuer(issuers[1].ExposeSecret(), loaded)
	require.NoError(t, err)
	require.Equal(t, 2, restored.Index())
	sentRequest, err := NewRequest(r.Bytes())
	require.NoError(t, err)
	sentPartial, err := NewPartialKey(partials(t, sentRequest, restored, issuers[0])[0].ExposeSecret())
	require.NoError(t, err)
	k, err := loaded.Combine(sentRequest, sentPartial, partial)
	require.NoError(t, err)
	sealed, err := loaded.Params().Seal(fabeoPolicy(t, "a and role = doctor"), []byte("x"), nil)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	require.NoError(t, err)

	secret := issuers[0].ExposeSecret()
	for at := range secret { // every byte of an issuer's secret
		_, err := NewIssuer(changedAt(secret, at, secret[at]^1), set)
		require.ErrorIs(t, err, ErrFormat, "byte %d", at)
	}
	for name, bad := range map[string][]byte{
		"number of another": changedAt(secret, 40, 2), "number 0": changedAt(secret, 40, 0), "number 4": changedAt(secret, 40, 4),
		"share of another": changedAt(secret, 41, issuers[1].ExposeSecret()[41:73]...), "share 0": changedAt(secret, 41, make([]byte, 32)...),
		"signing key of another": changedAt(secret, 73, issuers[1].ExposeSecret()[73:]...),
	} {
		_, err := NewIssuer(bad, set)
		require.ErrorIs(t, err, ErrFormat, name)
	}
	_, err = NewIssuer(secret, nil)
	require.ErrorContains(t, err, "no issuer set")
	point := partial.ExposeSecret()
	for name, bad := range map[string][]byte{
		"identity": changedAt(point, 45, append([]byte{0xc0}, make([]byte, 47)...)...), "order three": changedAt(point, 45, append([]byte{0x80}, make([]byte, 47)...)...),
		"no components": append(changedAt(point[:45], 41, 0, 0, 0, 0), point[len(point)-144:]...), "issuer 0": changedAt(point, 40, 0), "issuer 33": changedAt(point, 40, 33),
		"sk3 identity": changedAt(point, len(point)-96, append([]byte{0xc0}, make([]byte, 95)...)...),
	} {
		_, err := NewPartialKey(bad)
		require.ErrorIs(t, err, ErrFormat, name)
	}
	requireRedacted(t, issuers[0], *issuers[0], partial, *partial)
	require.Equal(t, r.Bytes(), sentRequest.Bytes())
	r.Bytes()[20] ^= 1
	require.Equal(t, sentRequest.Bytes(), r.Bytes(), "a copy")
}
