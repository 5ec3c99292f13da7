package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	independent "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// rawPath decodes a proof and returns its path for an independent verifier.
func rawPath(t testing.TB, b []byte) [][]byte {
	p, err := newProof(b)
	require.NoError(t, err)
	var path [][]byte
	for _, h := range p.path {
		path = append(path, h[:])
	}
	return path
}

// referenceRoot is RFC 6962, section 2.1, written down as it stands there.
func referenceRoot(leaves [][]byte) []byte {
	h := rfc6962.DefaultHasher
	switch len(leaves) {
	case 0:
		return h.EmptyRoot()
	case 1:
		return h.HashLeaf(leaves[0])
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return h.HashChildren(referenceRoot(leaves[:k]), referenceRoot(leaves[k:]))
}

// TestProofsOfAllSizes checks roots, every inclusion proof and every consistency proof of all trees of up to 130 leaves
// against another implementation.
func TestProofsOfAllSizes(t *testing.T) {
	const most = 130
	ctx := t.Context()
	l := newLog(t, t.TempDir(), testSigner(t))
	v := l.Verifier()
	heads := []*Checkpoint{l.Checkpoint()}
	for i := range int64(most) {
		_, err := l.Append(ctx, testLeaf(i))
		require.NoError(t, err)
		heads = append(heads, l.Checkpoint())
	}
	leaves := testLeaves(0, most)
	for size, head := range heads {
		require.EqualValues(t, size, head.Size)
		require.Equal(t, referenceRoot(leaves[:size]), head.Root[:])
		for i := range int64(size) {
			p, err := l.ProveInclusion(ctx, i, head)
			require.NoError(t, err)
			require.NoError(t, independent.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), rfc6962.DefaultHasher.HashLeaf(leaves[i]), rawPath(t, p), head.Root[:]))
			if size%16 == 1 || size == most { // our own verifier checks two signatures each time
				require.NoError(t, VerifyInclusion(head.Bytes(), v, leaves[i], i, p))
			}
		}
		for older := range size + 1 {
			p, err := l.ProveConsistency(ctx, heads[older], head)
			require.NoError(t, err)
			require.NoError(t, independent.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), uint64(size), rawPath(t, p), heads[older].Root[:], head.Root[:]))
			if size%16 == 1 || size == most {
				require.NoError(t, VerifyConsistency(heads[older].Bytes(), head.Bytes(), v, p))
			}
		}
	}
}

// TestLargeLog does the same with seeded samples where there are three levels of tiles.
func TestLargeLog(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	sizes := []int64{1, 255, 256, 257, 512, 5000, 30465, 65535, 65536, 65537, 66000, 66048}
	l := newLog(t, dir, testSigner(t))
	var heads []*Checkpoint
	at := int64(0)
	for _, n := range sizes {
		_, err := l.Append(ctx, testLeaves(at, n)...)
		require.NoError(t, err)
		heads = append(heads, l.Checkpoint())
		at = n
	}
	leaves := testLeaves(0, at)
	require.NoError(t, l.Verify(ctx, nil))
	rng := rand.New(rand.NewPCG(1, 2))
	for k, head := range heads {
		require.Equal(t, referenceRoot(leaves[:head.Size]), head.Root[:])
		for range 20 {
			i := rng.Int64N(head.Size)
			p, err := l.ProveInclusion(ctx, i, head)
			require.NoError(t, err)
			require.NoError(t, independent.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(head.Size), rfc6962.DefaultHasher.HashLeaf(leaves[i]), rawPath(t, p), head.Root[:]))
			require.NoError(t, VerifyInclusion(head.Bytes(), l.Verifier(), leaves[i], i, p))
			leaf, err := l.Leaf(ctx, i)
			require.NoError(t, err)
			require.Equal(t, leaves[i], leaf)
		}
		for _, older := range heads[:k+1] {
			p, err := l.ProveConsistency(ctx, older, head)
			require.NoError(t, err)
			require.NoError(t, VerifyConsistency(older.Bytes(), head.Bytes(), l.Verifier(), p))
		}
	}
	i := int64(65000)
	for leaf, err := range l.Leaves(ctx, i, at) {
		require.NoError(t, err)
		require.Equal(t, leaves[i], leaf)
		i++
	}
	require.Equal(t, at, i)
	// Every remembered head is found again by a reopened log, for writing and for reading.
	require.NoError(t, l.Close())
	for _, head := range heads {
		require.NoError(t, func() error {
			r, err := ReadLog(ctx, dir, testSigner(t).Verifier(), head.Bytes())
			if err == nil {
				require.Equal(t, at, r.Checkpoint().Size)
			}
			return err
		}())
	}
	// Partial tiles of full tiles are gone, the others are there.
	for _, f := range files(t, dir) {
		if full, _, ok := strings.Cut(f, ".p"); ok {
			require.NoFileExists(t, filepath.Join(dir, full))
		}
	}
}

func TestReopenAndGrow(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "new", "log")
	s := testSigner(t)
	var remembered []byte
	rng := rand.New(rand.NewPCG(3, 4))
	for n := int64(0); n < 1200; {
		l, err := OpenLog(ctx, dir, s, remembered)
		require.NoError(t, err)
		require.Equal(t, n, l.Checkpoint().Size)
		more := n + 1 + rng.Int64N(150)
		first, err := l.Append(ctx, testLeaves(n, more)...)
		require.NoError(t, err)
		require.Equal(t, n, first)
		n = more
		require.Equal(t, referenceRoot(testLeaves(0, n)), l.Checkpoint().Root[:])
		remembered = l.Checkpoint().Bytes()
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
	}
	require.NoError(t, checkLog(dir, s.Verifier(), remembered))
}

func TestAppendRefuses(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 3)
	for _, leaves := range [][][]byte{nil, {make([]byte, MinLeaf-1)}, {make([]byte, MaxLeaf+1)}, {testLeaf(1), nil}, make([][]byte, MaxLeaves+1)} {
		_, err := l.Append(ctx, leaves...)
		require.Error(t, err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := l.Append(gone, testLeaf(3))
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 3, l.Checkpoint().Size)

	r, err := ReadLog(ctx, dir, l.Verifier(), nil)
	require.NoError(t, err)
	_, err = r.Append(ctx, testLeaf(3))
	require.ErrorIs(t, err, ErrReadOnly)

	_, err = OpenLog(ctx, dir, testSigner(t), nil)
	require.ErrorIs(t, err, ErrLocked)

	require.NoError(t, l.Close())
	_, err = l.Append(ctx, testLeaf(3))
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = l.Leaf(ctx, 3)
	require.ErrorContains(t, err, "leaves 0 to 2")
	_, err = l.Leaf(ctx, -1)
	require.Error(t, err)
	for _, err := range l.Leaves(ctx, 1, 4) {
		require.Error(t, err)
	}
	_, err = l.ProveInclusion(ctx, 3, l.Checkpoint())
	require.Error(t, err)
	_, err = l.ProveInclusion(ctx, 0, nil)
	require.Error(t, err)
}

// TestGroupCommit appends from many goroutines: every leaf is where Append said, and checkpoints are shared.
func TestGroupCommit(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t))
	const workers, each = 16, 25
	var mu sync.Mutex
	at := map[int64]int64{}
	commits, begun := 0, make(chan struct{})
	l.disk.fault = func(step, path string) error {
		if step != "rename" {
			return nil
		}
		if commits++; commits > 1 { // only the committing goroutine is here
			return nil
		}
		close(begun)
		for waiting := 0; waiting < workers-1; time.Sleep(time.Millisecond) { // the second commit is shared for certain: all others wait for it
			l.mu.Lock()
			waiting = len(l.queue)
			l.mu.Unlock()
		}
		return nil
	}
	var wg sync.WaitGroup
	for w := range int64(workers) {
		wg.Go(func() {
			if w > 0 {
				<-begun
			}
			for k := range int64(each) {
				id := w*each*2 + 2*k
				first, err := l.Append(ctx, testLeaf(id), testLeaf(id+1))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				at[first] = id
				mu.Unlock()
				if _, err := l.ProveInclusion(ctx, first, l.Checkpoint()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, l.Close())
	require.Len(t, at, workers*each)
	require.Less(t, commits, workers*each, "concurrent appends share checkpoints")
	for first, id := range at {
		for k := range int64(2) {
			leaf, err := l.Leaf(ctx, first+k)
			require.NoError(t, err)
			require.Equal(t, testLeaf(id+k), leaf)
		}
	}
	require.NoError(t, checkLog(dir, l.Verifier(), nil))
}

// TestCancelWhileWaiting takes leaves back that no commit has begun on, and only those.
func TestCancelWhileWaiting(t *testing.T) {
	l := newLog(t, t.TempDir(), testSigner(t))
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.disk.fault = func(step, path string) error {
		once.Do(func() { close(held); <-hold })
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 2)
	go func() { _, err := l.Append(ctx, testLeaf(0)); result <- err }() // its commit is under way
	<-held
	second := make(chan error)
	go func() { _, err := l.Append(ctx, testLeaf(1)); second <- err }() // waits
	for queued := false; !queued; {
		l.mu.Lock()
		queued = len(l.queue) == 1
		l.mu.Unlock()
	}
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)
	close(hold)
	require.NoError(t, <-result)
	require.NoError(t, l.Close())
	require.EqualValues(t, 1, l.Checkpoint().Size)
}

// TestReaderFollows reads while another handle appends, through many sweeps of partial tiles.
func TestReaderFollows(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 1)
	r, err := ReadLog(ctx, dir, l.Verifier(), nil)
	require.NoError(t, err)
	slow, err := ReadLog(ctx, dir, l.Verifier(), nil) // stays at its first head
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		for n := int64(1); n < 1500; n += 37 {
			if _, err := l.Append(ctx, testLeaves(n, n+37)...); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for finished := false; !finished; {
		select {
		case err := <-done:
			require.NoError(t, err)
			finished = true
		default:
		}
		require.NoError(t, r.Refresh(ctx))
		head := r.Checkpoint()
		for i := int64(0); i < head.Size; i += 97 {
			leaf, err := r.Leaf(ctx, i)
			require.NoError(t, err)
			require.Equal(t, testLeaf(i), leaf)
			p, err := r.ProveInclusion(ctx, i, head)
			require.NoError(t, err)
			require.NoError(t, VerifyInclusion(head.Bytes(), r.Verifier(), leaf, i, p))
		}
		require.NoError(t, r.Verify(ctx, nil))
		require.NoError(t, l.Verify(ctx, nil))
	}
	require.Equal(t, l.Checkpoint().Bytes(), r.Checkpoint().Bytes())
	leaf, err := slow.Leaf(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, testLeaf(0), leaf)
	_, err = slow.ProveInclusion(ctx, 5, l.Checkpoint())
	require.ErrorContains(t, err, "Refresh")
}

func TestVerifyReportsProgress(t *testing.T) {
	l := newLog(t, t.TempDir(), testSigner(t), 1000)
	var last int64
	require.NoError(t, l.Verify(t.Context(), func(done, total int64) {
		require.Greater(t, done, last)
		require.EqualValues(t, 1000, total)
		last = done
	}))
	require.EqualValues(t, 1000, last)
	ctx, cancel := context.WithCancel(t.Context())
	err := l.Verify(ctx, func(done, total int64) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}

// TestRollback gives the log an older copy of itself, and other histories under the same key.
func TestRollback(t *testing.T) {
	ctx := t.Context()
	s := testSigner(t)
	base := t.TempDir()
	dir, old, fork := filepath.Join(base, "log"), filepath.Join(base, "old"), filepath.Join(base, "fork")
	l := newLog(t, dir, s, 300)
	copyDir(t, dir, old)
	copyDir(t, dir, fork)
	_, err := l.Append(ctx, testLeaves(300, 700)...)
	require.NoError(t, err)
	remembered := l.Checkpoint()

	f, err := OpenLog(ctx, fork, s, nil)
	require.NoError(t, err)
	_, err = f.Append(ctx, testLeaves(299, 800)...) // one leaf twice: another history
	require.NoError(t, err)
	require.NoError(t, f.Close())

	for _, c := range []struct {
		dir  string
		here int64
	}{{old, 300}, {fork, 801}, {filepath.Join(base, "none"), 0}} {
		for _, open := range []func() error{
			func() error { _, err := OpenLog(ctx, c.dir, s, remembered.Bytes()); return err },
			func() error { _, err := ReadLog(ctx, c.dir, s.Verifier(), remembered.Bytes()); return err },
		} {
			err := open()
			var conflict *ConflictError
			require.ErrorAs(t, err, &conflict)
			require.Equal(t, remembered.Bytes(), conflict.Remembered.Bytes())
			require.ErrorContains(t, err, fmt.Sprintf("%x", remembered.Root))
			if c.here > 0 {
				require.Equal(t, c.here, conflict.Here.Size)
				require.ErrorContains(t, err, fmt.Sprintf("%x", conflict.Here.Root))
			}
		}
		require.NoFileExists(t, filepath.Join(base, "none", "checkpoint"))
	}
	// The prover refuses to join the two histories, too.
	_, err = f.ProveConsistency(ctx, remembered, f.Checkpoint())
	var conflict *ConflictError
	require.ErrorAs(t, err, &conflict)
	_, err = f.ProveInclusion(ctx, 0, remembered)
	require.ErrorAs(t, err, &conflict)
	_, err = l.ProveConsistency(ctx, l.Checkpoint(), f.Checkpoint())
	require.ErrorAs(t, err, &conflict)

	// A reader notices while it runs, and keeps what it had.
	r, err := ReadLog(ctx, dir, s.Verifier(), nil)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	copyDir(t, old, dir)
	require.ErrorAs(t, r.Refresh(ctx), &conflict)
	require.ErrorAs(t, r.Verify(ctx, nil), &conflict)
	copyDir(t, fork, dir)
	require.ErrorAs(t, r.Refresh(ctx), &conflict)
	require.EqualValues(t, 700, r.Checkpoint().Size)

}

func TestOpenRefusesOtherFolders(t *testing.T) {
	ctx := t.Context()
	s := testSigner(t)
	var damage *DamageError

	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "holiday.jpg"), []byte("x"))
	_, err := OpenLog(ctx, dir, s, nil)
	require.ErrorAs(t, err, &damage)
	require.Equal(t, filepath.Join(dir, "holiday.jpg"), damage.File)

	_, err = ReadLog(ctx, t.TempDir(), s.Verifier(), nil)
	require.ErrorAs(t, err, &damage)
	require.ErrorIs(t, err, os.ErrNotExist)

	dir = t.TempDir()
	newLog(t, dir, s, 3).Close()
	_, err = OpenLog(ctx, dir, otherSigner(t), nil)
	require.ErrorContains(t, err, "belongs to the key")
	_, err = ReadLog(ctx, dir, otherSigner(t).Verifier(), nil)
	require.ErrorContains(t, err, "belongs to the key")

	require.NoError(t, os.Remove(filepath.Join(dir, checkpointFile)))
	_, err = OpenLog(ctx, dir, s, nil)
	require.ErrorContains(t, err, "the checkpoint is missing, but there are tiles")

	_, err = OpenLog(ctx, dir, nil, nil)
	require.Error(t, err)
	_, err = ReadLog(ctx, dir, nil, nil)
	require.Error(t, err)

	foreign := newLog(t, t.TempDir(), otherSigner(t), 1).Checkpoint().Bytes()
	_, err = OpenLog(ctx, t.TempDir(), s, foreign)
	require.ErrorContains(t, err, "the remembered head")
	require.False(t, errors.As(err, new(*ConflictError)))
}
