package keymgmt_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/keymgmt/keymgmttest"
)

func TestPassphraseConforms(t *testing.T) {
	with := func(phrase string) func(t *testing.T) keymgmt.Wrapper {
		return func(t *testing.T) keymgmt.Wrapper {
			w, err := keymgmt.NewPassphrase(keymgmt.NewSecret([]byte(phrase)))
			require.NoError(t, err)
			return w
		}
	}
	keymgmttest.TestWrapper(t, with("correct horse"), with("correct horse "))
}

func TestKeyFileConforms(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		_, err := keymgmt.CreateKeyFile(filepath.Join(dir, name))
		require.NoError(t, err)
	}
	with := func(name string) func(t *testing.T) keymgmt.Wrapper {
		return func(t *testing.T) keymgmt.Wrapper {
			w, err := keymgmt.OpenKeyFile(filepath.Join(dir, name))
			require.NoError(t, err)
			return w
		}
	}
	keymgmttest.TestWrapper(t, with("one"), with("two"))
}
