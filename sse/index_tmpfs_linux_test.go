package sse

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndexOnFullDisk fills a real file system of 3 MiB with batches, loads and merges: what was acknowledged stays, what was not is not there, and when
// there is room again writing goes on. It needs the right to mount one; TestFaultsLeaveThePartitionWhole injects the same for everybody.
func TestIndexOnFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("no right to mount: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(mount, 0), "no file is left open") }()
	d := openDir(t, filepath.Join(mount, "store"))
	ballast := filepath.Join(mount, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 512<<10), 0o600))
	ix := mustCreate(t, d, smallSchema, Options{})
	rows, full := 0, 0
	for i := 0; full < 3; i++ {
		size := []int{300, 1, 40}[i%3]
		err := ix.Apply(t.Context(), batchOf(fmt.Sprint("batch-", i), size))
		if err == nil {
			rows += size
		} else {
			require.ErrorIs(t, err, syscall.ENOSPC)
			full++
		}
		require.Equal(t, rows, count(t, ix, Term("tag", String("all"))))
	}
	done, err := ix.Load(t.Context(), sequence(20_000, loadDoc), LoadOptions{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Zero(t, done)
	require.ErrorIs(t, ix.Compact(t.Context(), CompactOptions{Full: true}), syscall.ENOSPC)
	require.ErrorIs(t, ix.Compact(t.Context(), CompactOptions{NewKey: make([]byte, KeySize)}), syscall.ENOSPC)
	ix = mustOpen(t, d, Options{})
	require.NoError(t, ix.Verify(t.Context()))
	require.Equal(t, rows, count(t, ix, Term("tag", String("all"))))
	require.NoError(t, d.Check(t.Context()), "nothing half written is left")

	require.NoError(t, os.Remove(ballast))
	require.NoError(t, ix.Apply(t.Context(), batchOf("again", 300)))
	require.Equal(t, rows+300, count(t, ix, Term("tag", String("all"))))
	require.NoError(t, ix.Verify(t.Context()))
}
