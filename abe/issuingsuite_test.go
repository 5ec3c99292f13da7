package abe

import (
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
