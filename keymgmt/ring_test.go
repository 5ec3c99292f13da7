package keymgmt

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// testWrapper is a key file's wrapper without a file.
func testWrapper() Wrapper { return &keyFile{kek: GenerateSecret(keySize)} }

func ctxFor(actor, reason string) context.Context {
	return WithUse(context.Background(), Use{Actor: actor, Reason: reason})
}

func newRing(t testing.TB) (*Keyring, Wrapper) {
	t.Helper()
	w := testWrapper()
	r, err := CreateKeyring(context.Background(), FilesIn(t.TempDir()), w, Options{})
	require.NoError(t, err)
	return r, w
}

func reopen(t testing.TB, f Files, w Wrapper) *Keyring {
	t.Helper()
	r, err := OpenKeyring(context.Background(), f, w, Options{})
	require.NoError(t, err)
	return r
}

// exposed is the bytes of the primary.
func exposed(t testing.TB, r *Keyring, name string) []byte {
	t.Helper()
	k, err := r.Get(context.Background(), name)
	require.NoError(t, err)
	return k.Secret.ExposeSecret()
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// put lays a pair of files into a new folder.
func put(t testing.TB, ring, root []byte) Files {
	t.Helper()
	f := FilesIn(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(f.Root), 0o700))
	require.NoError(t, os.WriteFile(f.Ring, ring, 0o600))
	require.NoError(t, os.WriteFile(f.Root, root, 0o600))
	return f
}

func linkFile(from, to string) error { return os.Link(from, to) }

// everyFile reads all files of a ring's folders.
func everyFile(t testing.TB, f Files, see func(path string, b []byte)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Dir(f.Ring), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			see(path, readFile(t, path))
		}
		return err
	}))
}
