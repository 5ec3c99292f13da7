package sse

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDirTmpfsFull fills a real file system of 1 MiB. It needs the right to mount one; TestDirFullDisk covers the same paths with
// injected faults for everybody.
func TestDirTmpfsFull(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no right to mount: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(mount, 0), "no file is left open") }()
	d := dirBefore(t, filepath.Join(mount, "store"))

	err := d.WriteSegment(t.Context(), faultPartition, newSegment, filled(2, 1000))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.False(t, changes["write"].state(t, d))
	err = d.SwapHead(t.Context(), faultPartition, HeadsKept+1, make([]byte, 2<<20))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.False(t, changes["swap"].state(t, d))
	requireUntouched(t, d, "")
	require.NoError(t, d.Check(t.Context()), "nothing is left lying")

	require.NoError(t, d.WriteSegment(t.Context(), faultPartition, newSegment, filled(2, 20)), "the room was given back")
	require.NoError(t, changes["swap"].do(d))
}
