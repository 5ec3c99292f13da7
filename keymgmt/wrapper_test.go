package keymgmt

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostileArgonParameters: a file must not make us allocate a TiB, nor make a passphrase cheap to guess. Nothing
// here runs Argon2id, or the test would not end.
func TestHostileArgonParameters(t *testing.T) {
	ctx := context.Background()
	w, err := NewPassphrase(NewSecret([]byte("correct horse")))
	require.NoError(t, err)
	wrapped, err := w.Wrap(ctx, GenerateSecret(32), "x")
	require.NoError(t, err)
	for _, p := range []argonParams{
		{3, 1 << 30, 4}, {3, 1<<32 - 1, 4}, {3, 256<<10 + 1, 4}, {3, 16<<10 - 1, 4}, {3, 0, 4},
		{0, 64 << 10, 4}, {17, 64 << 10, 4}, {1<<32 - 1, 64 << 10, 4}, {3, 64 << 10, 0}, {3, 64 << 10, 17}, {3, 64 << 10, 255},
	} {
		b := bytes.Clone(wrapped)
		binary.BigEndian.PutUint32(b[8:], p.time)
		binary.BigEndian.PutUint32(b[12:], p.memory)
		b[16] = p.threads
		_, err := w.Unwrap(ctx, b, "x")
		require.ErrorIs(t, err, ErrDamaged, "%+v", p)
	}
	// Parameters within the bounds that are not those of the file: the check value does not fit.
	b := bytes.Clone(wrapped)
	binary.BigEndian.PutUint32(b[8:], 2)
	_, err = w.Unwrap(ctx, b, "x")
	require.ErrorIs(t, err, ErrWrongKey)
	// What was wrapped with other parameters is read, and new wrappings use the present ones.
	old := &passphrase{phrase: NewSecret([]byte("correct horse")), want: argonParams{1, 16 << 10, 1}}
	weak, err := old.Wrap(ctx, GenerateSecret(32), "x")
	require.NoError(t, err)
	_, err = w.Unwrap(ctx, weak, "x")
	require.NoError(t, err)
	again, err := w.Wrap(ctx, GenerateSecret(32), "x")
	require.NoError(t, err)
	p, _, _, err := readPassphraseWrapped(again)
	require.NoError(t, err)
	require.Equal(t, argonDefault, p)
}

// TestWrappedKeyIsAuthenticated repairs the public check value, so that only the AEAD is left to refuse.
func TestWrappedKeyIsAuthenticated(t *testing.T) {
	ctx := context.Background()
	kek := GenerateSecret(32)
	w := &keyFile{kek: kek}
	wrapped, err := w.Wrap(ctx, GenerateSecret(32), "x")
	require.NoError(t, err)
	other := &keyFile{kek: GenerateSecret(32)}
	b := bytes.Clone(wrapped)
	copy(b[8:], subkey(other.kek.ExposeSecret(), labelKEKCheck)[:checkSize])
	_, err = other.Unwrap(ctx, b, "x")
	require.ErrorIs(t, err, ErrDamaged, "a forged check value does not make another key fit")
	_, err = w.Unwrap(ctx, wrapped, "y")
	require.ErrorIs(t, err, ErrDamaged, "the name is authenticated")
}

func TestPassphraseText(t *testing.T) {
	ctx := context.Background()
	_, err := NewPassphrase(NewSecret(nil))
	require.Error(t, err)
	composed, err := NewPassphrase(NewSecret([]byte("Zażółć"))) // one code point per letter
	require.NoError(t, err)
	decomposed, err := NewPassphrase(NewSecret([]byte("Zaz\u0307o\u0301\u0142c\u0301")))
	require.NoError(t, err)
	wrapped, err := composed.Wrap(ctx, GenerateSecret(32), "x")
	require.NoError(t, err)
	_, err = decomposed.Unwrap(ctx, wrapped, "x")
	require.NoError(t, err, "the same passphrase from another keyboard")
	_, err = NewPassphrase(NewSecret([]byte{0xff, 0xfe}))
	require.NoError(t, err, "bytes that are no text are taken as they are")
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	_, err := OpenKeyFile(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = CreateKeyFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	b := readFile(t, path)
	_, err = CreateKeyFile(path)
	require.ErrorIs(t, err, ErrExists)
	require.Equal(t, b, readFile(t, path))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)

	for _, mode := range []os.FileMode{0o644, 0o640, 0o602} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = OpenKeyFile(path)
		require.ErrorIs(t, err, ErrPermissions)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(path, 0o600))
	for i := range b {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			require.NoError(t, os.WriteFile(path, c, 0o600))
			_, err = OpenKeyFile(path)
			require.ErrorIs(t, err, ErrDamaged, "byte %d", i)
			require.ErrorContains(t, err, path)
		}
		require.NoError(t, os.WriteFile(path, b[:i], 0o600))
		_, err = OpenKeyFile(path)
		require.ErrorIs(t, err, ErrDamaged, "%d bytes", i)
	}
	require.NoError(t, os.WriteFile(path, append(b, 0), 0o600))
	_, err = OpenKeyFile(path)
	require.ErrorIs(t, err, ErrDamaged)
	_, err = OpenKeyFile(filepath.Dir(path))
	require.ErrorIs(t, err, ErrDamaged)
	_, err = CreateKeyFile(filepath.Join(path, "below-a-file"))
	require.Error(t, err)
}
