package keymgmt

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const nobody = 65534

// asNobody runs work on a thread whose access to files is that of an ordinary user, also where the tests run as root.
func asNobody(t *testing.T, work func()) {
	if os.Geteuid() != 0 {
		work()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsgid(nobody); err != nil {
			t.Error(err)
			return
		}
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Error(err)
			return
		}
		work()
	}()
	<-done
}

// TestEraseAndPermissions: a file that its owner made read-only is erased as well. What cannot be erased is an error,
// never a receipt.
func TestEraseAndPermissions(t *testing.T) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keymgmt")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, nobody, nobody))
	}
	finished := false
	f, w := FilesIn(dir), testWrapper()
	asNobody(t, func() {
		r, err := CreateKeyring(ctx, f, w, Options{})
		require.NoError(t, err)
		require.NoError(t, r.GenerateMany(ctx, []string{"a/1", "a/2"}))

		// A read-only root file.
		require.NoError(t, os.Chmod(f.Root, 0o400))
		_, err = os.OpenFile(f.Root, os.O_WRONLY, 0)
		require.ErrorIs(t, err, fs.ErrPermission, "the test works as an ordinary user")
		before, link := readFile(t, f.Root), filepath.Join(dir, "link")
		require.NoError(t, os.Link(f.Root, link))
		_, err = r.Destroy(ctx, "a/1", Destruction{})
		require.NoError(t, err)
		require.Equal(t, make([]byte, len(before)), readFile(t, link))

		// A folder that cannot be written: it opens while there is nothing to erase.
		folder := filepath.Dir(f.Root)
		require.NoError(t, os.Chmod(folder, 0o500))
		reopen(t, f, w)
		require.NoError(t, os.Chmod(folder, 0o700))
		require.NoError(t, os.WriteFile(aside(f.Root), before, 0o600))
		require.NoError(t, os.Chmod(folder, 0o500))
		_, err = OpenKeyring(ctx, f, w, Options{})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, aside(f.Root))
		require.ErrorContains(t, err, "permissions")
		receipt, err := r.Destroy(ctx, "a/1", Destruction{})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.Nil(t, receipt)
		require.NoError(t, os.Chmod(folder, 0o700))
		receipt, err = r.Destroy(ctx, "a/1", Destruction{})
		require.ErrorIs(t, err, ErrDestroyed)
		require.NotNil(t, receipt)
		gone(t, aside(f.Root))
		finished = true
	})
	require.True(t, finished)
}
