// Package keymgmttest holds what every implementation of keymgmt.Wrapper must do. It is for tests only.
package keymgmttest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/keymgmt"
)

// TestWrapper runs the conformance suite. open returns a new instance of the same key-encryption key at every call;
// other returns one with another key.
func TestWrapper(t *testing.T, open, other func(t *testing.T) keymgmt.Wrapper) {
	ctx := context.Background()
	key := keymgmt.GenerateSecret(32)
	const name = "veilchart/root/00/1"
	w := open(t)
	wrapped, err := w.Wrap(ctx, key, name)
	require.NoError(t, err)

	t.Run("round trip", func(t *testing.T) {
		for _, reader := range []keymgmt.Wrapper{w, open(t)} {
			got, err := reader.Unwrap(ctx, wrapped, name)
			require.NoError(t, err)
			require.True(t, got.Equal(key))
		}
	})
	t.Run("fits a root file", func(t *testing.T) { require.LessOrEqual(t, len(wrapped), 4096) })
	t.Run("shows nothing of the key", func(t *testing.T) {
		plain := key.ExposeSecret()
		for i := range len(plain) - 7 {
			require.NotContains(t, string(wrapped), string(plain[i:i+8]))
		}
	})
	t.Run("two wrappings differ", func(t *testing.T) {
		again, err := w.Wrap(ctx, key, name)
		require.NoError(t, err)
		require.NotEqual(t, wrapped, again)
		got, err := open(t).Unwrap(ctx, again, name)
		require.NoError(t, err)
		require.True(t, got.Equal(key))
	})
	t.Run("wraps again after unwrapping", func(t *testing.T) {
		fresh := open(t)
		_, err := fresh.Unwrap(ctx, wrapped, name)
		require.NoError(t, err)
		again, err := fresh.Wrap(ctx, key, name)
		require.NoError(t, err)
		got, err := open(t).Unwrap(ctx, again, name)
		require.NoError(t, err)
		require.True(t, got.Equal(key))
	})
	t.Run("another name", func(t *testing.T) {
		_, err := w.Unwrap(ctx, wrapped, "veilchart/root/00/2")
		require.Error(t, err)
	})
	t.Run("another key", func(t *testing.T) {
		_, err := other(t).Unwrap(ctx, wrapped, name)
		require.ErrorIs(t, err, keymgmt.ErrWrongKey)
		require.NotErrorIs(t, err, keymgmt.ErrDamaged)
	})
	t.Run("every byte altered", func(t *testing.T) {
		for i := range wrapped {
			b := bytes.Clone(wrapped)
			b[i] ^= 0x40
			got, err := w.Unwrap(ctx, b, name)
			require.Error(t, err, "byte %d", i)
			require.Nil(t, got)
			require.True(t, errors.Is(err, keymgmt.ErrDamaged) || errors.Is(err, keymgmt.ErrWrongKey), "byte %d: %v", i, err)
		}
	})
	t.Run("every length", func(t *testing.T) {
		for i := range wrapped {
			_, err := w.Unwrap(ctx, wrapped[:i], name)
			require.ErrorIs(t, err, keymgmt.ErrDamaged, "%d bytes", i)
		}
		_, err := w.Unwrap(ctx, append(bytes.Clone(wrapped), 0), name)
		require.ErrorIs(t, err, keymgmt.ErrDamaged)
	})
	t.Run("destroyed key", func(t *testing.T) {
		gone := keymgmt.GenerateSecret(32)
		gone.Destroy()
		_, err := w.Wrap(ctx, gone, name)
		require.ErrorIs(t, err, keymgmt.ErrClosed)
	})
	t.Run("cancelled", func(t *testing.T) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err := w.Wrap(over, key, name)
		require.ErrorIs(t, err, context.Canceled)
		_, err = w.Unwrap(over, wrapped, name)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("concurrent", func(t *testing.T) {
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				b, err := w.Wrap(ctx, key, name)
				if err == nil {
					_, err = w.Unwrap(ctx, b, name)
				}
				done <- err
			}()
		}
		for range cap(done) {
			require.NoError(t, <-done)
		}
	})
	t.Run("carries a ring", func(t *testing.T) {
		f := keymgmt.FilesIn(t.TempDir())
		r, err := keymgmt.CreateKeyring(ctx, f, open(t), keymgmt.Options{})
		require.NoError(t, err)
		k, err := r.Generate(ctx, "a/1")
		require.NoError(t, err)
		_, err = r.Generate(ctx, "a/2")
		require.NoError(t, err)
		_, err = r.Destroy(ctx, "a/2", keymgmt.Destruction{})
		require.NoError(t, err)
		r, err = keymgmt.OpenKeyring(ctx, f, open(t), keymgmt.Options{})
		require.NoError(t, err)
		got, err := r.Get(ctx, "a/1")
		require.NoError(t, err)
		require.True(t, got.Secret.Equal(k.Secret))
		_, err = keymgmt.OpenKeyring(ctx, f, other(t), keymgmt.Options{})
		require.ErrorIs(t, err, keymgmt.ErrWrongKey)
		require.NoError(t, r.Rewrap(ctx, other(t)))
		_, err = keymgmt.OpenKeyring(ctx, f, open(t), keymgmt.Options{})
		require.ErrorIs(t, err, keymgmt.ErrWrongKey)
		r, err = keymgmt.OpenKeyring(ctx, f, other(t), keymgmt.Options{})
		require.NoError(t, err)
		got, err = r.Get(ctx, "a/1")
		require.NoError(t, err)
		require.True(t, got.Secret.Equal(k.Secret))
	})
}
