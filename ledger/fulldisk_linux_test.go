package ledger

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFullDisk runs on a real file system that is full. Mounting one takes the right to; fault_test.go does the same
// with injected faults for everybody.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	ctx := t.Context()
	s := testSigner(t)
	l := newLog(t, dir+"/log", s, 100)
	b := newBlobs(t, dir+"/blobs")
	kept := putBytes(t, b, patternBytes(t, 2000))

	// A blob that does not fit.
	_, _, err := b.Put(ctx, newPattern(3*chunkSize))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, b.Verify(ctx, nil))
	require.Len(t, files(t, dir+"/blobs"), 3, "nothing is left of it")

	// A batch that fills the disk to the brim.
	batch := b.Batch()
	for i := int64(0); err == nil || i == 0; i++ {
		_, _, err = batch.Put(ctx, bytes.NewReader(patternBytes(t, 60000+i)))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	ballast, err := os.Create(dir + "/ballast")
	require.NoError(t, err)
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, unix.ENOSPC)

	head := l.Checkpoint()
	_, err = l.Append(ctx, testLeaves(100, 2000)...)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "nothing was appended")
	require.Equal(t, head, l.Checkpoint())
	require.NoError(t, l.Verify(ctx, nil))

	// With room again, all goes on where it was.
	require.NoError(t, ballast.Close())
	require.NoError(t, os.Remove(dir+"/ballast"))
	require.NoError(t, batch.Discard())
	_, err = l.Append(ctx, testLeaves(100, 2000)...)
	require.NoError(t, err)
	require.NoError(t, l.Verify(ctx, nil))
	require.NoError(t, l.Close())
	require.NoError(t, checkLog(dir+"/log", s.Verifier(), head.Bytes()))
	_, err = readBlob(b, kept)
	require.NoError(t, err)
	require.NoError(t, b.Verify(ctx, nil))
	require.NoError(t, b.Close())
}
