package ledger

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var errFault = errors.New("no space left on device")

// failAt lets a disk fail at its step number k, from 0, once or from then on, and counts the steps.
func failAt(d *disk, k int, forever bool, steps *int) {
	*steps = 0
	d.fault = func(step, path string) error {
		n := *steps
		*steps++
		if n == k || (forever && n > k) {
			return errFault
		}
		return nil
	}
}

// TestLogFaults lets every single step of an append fail, once and for ever. The log on disk then has the old head or
// the new one, whole; an append that failed without doubt can be repeated at once.
func TestLogFaults(t *testing.T) {
	ctx := t.Context()
	s := testSigner(t)
	base := filepath.Join(t.TempDir(), "base")
	require.NoError(t, newLog(t, base, s, 200).Close())
	uncertain := 0
	for k := 0; ; k++ {
		for _, forever := range []bool{false, true} {
			dir := filepath.Join(filepath.Dir(base), "log")
			copyDir(t, base, dir)
			l, err := OpenLog(ctx, dir, s, nil)
			require.NoError(t, err)
			var steps int
			failAt(&l.disk, k, forever, &steps)
			_, err = l.Append(ctx, testLeaves(200, 700)...)
			if steps <= k { // the fault lay beyond the last step
				require.NoError(t, err)
				require.NoError(t, l.Close())
				require.NoError(t, checkLog(dir, s.Verifier(), l.Checkpoint().Bytes()))
				require.Greater(t, k, 20)
				require.Equal(t, 4, uncertain, "rename and last sync, once and for ever")
				return
			}
			require.ErrorIs(t, err, errFault)
			require.EqualValues(t, 200, l.Checkpoint().Size)
			require.NoError(t, checkLog(dir, s.Verifier(), l.Checkpoint().Bytes()))
			l.disk.fault = nil
			_, again := l.Append(ctx, testLeaves(200, 700)...)
			if again != nil {
				uncertain++
				require.ErrorContains(t, again, "open it again")
			}
			require.NoError(t, l.Close())
			l, err = OpenLog(ctx, dir, s, nil)
			require.NoError(t, err)
			size := l.Checkpoint().Size
			require.Contains(t, []int64{200, 700}, size)
			require.Equal(t, referenceRoot(testLeaves(0, size)), l.Checkpoint().Root[:])
			_, err = l.Append(ctx, testLeaves(size, 900)...)
			require.NoError(t, err)
			require.NoError(t, l.Close())
			require.NoError(t, checkLog(dir, s.Verifier(), nil))
		}
	}
}

// TestBlobFaults does the same to a batch: what was there stays, what is visible is whole, and Commit can be repeated.
func TestBlobFaults(t *testing.T) {
	ctx := t.Context()
	big := patternBytes(t, 2*chunkSize+1)
	for k := 0; ; k++ {
		b := newBlobs(t, filepath.Join(t.TempDir(), "blobs"))
		old := putBytes(t, b, []byte("was there before"))
		var steps int
		failAt(&b.disk, k, false, &steps)
		batch := b.Batch()
		want := map[CID][]byte{old: []byte("was there before")}
		var err error
		for i := range int64(12) {
			data := testLeaf(i)
			if i == 5 {
				data = big
			}
			var c CID
			c, _, err = batch.Put(ctx, bytes.NewReader(data))
			if errors.Is(err, errFault) {
				c, _, err = batch.Put(ctx, bytes.NewReader(data)) // the batch is as it was
			}
			require.NoError(t, err)
			want[c] = data
		}
		err = batch.Commit(ctx)
		if err != nil {
			require.ErrorIs(t, err, errFault)
			require.NoError(t, b.Verify(ctx, nil))
			require.NoError(t, batch.Commit(ctx))
		}
		for c, data := range want {
			got, err := readBlob(b, c)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
		require.NoError(t, b.Verify(ctx, nil))
		if steps <= k {
			require.Greater(t, k, 40)
			require.NoError(t, batch.Discard())
			break
		}
		failAt(&b.disk, 0, false, &steps)
		require.ErrorIs(t, b.Delete(ctx, old), errFault)
		_, err = readBlob(b, old)
		require.NoError(t, err)
		require.NoError(t, batch.Discard())
		require.NoError(t, b.Close())
	}
	// One Put on a full disk: nothing of it is left.
	b := newBlobs(t, t.TempDir())
	var steps int
	failAt(&b.disk, 0, true, &steps)
	_, _, err := b.Put(ctx, bytes.NewReader(big))
	require.ErrorIs(t, err, errFault)
	b.disk.fault = nil
	require.Len(t, files(t, b.dir), 2, "format and lock")
}

// TestOldFoldersAreSynced: a folder that a killed process made but did not live to sync is synced by the next one, before
// its first checkpoint counts.
func TestOldFoldersAreSynced(t *testing.T) {
	dir := t.TempDir()
	s := testSigner(t)
	require.NoError(t, newLog(t, dir, s).Close())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tile", "0", "000.p"), 0o700))
	l, err := OpenLog(t.Context(), dir, s, nil)
	require.NoError(t, err)
	defer l.Close()
	synced := map[string]bool{}
	l.disk.fault = func(step, path string) error {
		if step == "syncdir" {
			synced[path] = true
		}
		if step == "rename" { // the checkpoint: all must be done
			for _, d := range []string{"", "tile", "tile/0", "tile/0/000.p", "tile/entries", "tile/entries/000.p"} {
				require.True(t, synced[filepath.Join(dir, d)], d)
			}
		}
		return nil
	}
	_, err = l.Append(context.Background(), testLeaf(0))
	require.NoError(t, err)
}
