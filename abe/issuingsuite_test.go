package abe

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// On TKN20 everything of docs/spec/issuing.md is a typed error, before anything is drawn.
func TestIssuingIsForFABEO(t *testing.T) {
	a, err := GenerateAuthority(TKN20, nil)
	require.NoError(t, err)
	k, err := a.IssueKey(always, named(t, "a", "b")...)
	require.NoError(t, err)
	for what, f := range map[string]func() error{
		"delegation":          func() error { _, err := k.Delegate(named(t, "a")...); return err },
		"mediated decryption": func() error { _, _, err := a.IssueMediated(always, named(t, "a")...); return err },
		"threshold issuing":   func() error { _, _, err := a.Split(2, 3); return err },
	} {
		err := f()
		require.ErrorIs(t, err, ErrUnsupported, what)
		require.ErrorContains(t, err, "TKN20", what)
	}
}

// An authority of version 1 issues in every way, under its params of version 1.
func TestIssuingByAuthoritiesOfVersion1(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "vectors", "v1", "authority-ok.json"))
	require.NoError(t, err)
	var v struct{ Authority string }
	require.NoError(t, json.Unmarshal(file, &v))
	secret, err := hex.DecodeString(v.Authority)
	require.NoError(t, err)
	a, err := NewAuthority(secret)
	require.NoError(t, err)
	sealed, err := a.Params().Seal(fabeoPolicy(t, "a"), []byte("x"), nil)
	require.NoError(t, err)

	transform, mediated := issueMediated(t, a, always, "a")
	transform, err = NewTransformKey(transform.ExposeSecret())
	require.NoError(t, err)
	mediated, err = NewMediatedKey(mediated.ExposeSecret())
	require.NoError(t, err)
	value, err := transform.Transform(sealed)
	require.NoError(t, err)
	_, err = mediated.Open(sealed, value, nil)
	require.NoError(t, err)

	set, issuers := split(t, a, 2, 2)
	set, err = NewIssuerSet(set.Bytes())
	require.NoError(t, err)
	r := request(t, set, "a", "b")
	k, err := set.Combine(r, partials(t, r, issuers...)...)
	require.NoError(t, err)
	child, err := k.Delegate(named(t, "a")...)
	require.NoError(t, err)
	child, err = NewKey(child.ExposeSecret())
	require.NoError(t, err)
	_, err = child.Open(sealed, nil)
	require.NoError(t, err)
}
