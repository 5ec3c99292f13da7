package sse

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// held lets a swap wait inside the store until it is released: a writer that is held up for as long as the test likes.
type held struct {
	*memStore
	arrived, release chan struct{}
}

func (s *held) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	if s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
		<-s.release
	}
	return s.memStore.SwapHead(ctx, partition, version, blob)
}

// A writer is held up inside the swap for longer than the grace period, while a sweep takes what it wrote. The swap must lose, whatever the clocks say, and
// the batch is written again.
func TestSweepFencesTheHeldWriter(t *testing.T) {
	for _, size := range []int{3, 300} {
		ctx := context.Background()
		s := &held{memStore: newMemStore(), arrived: make(chan struct{}), release: make(chan struct{})}
		mustCreate(t, s.memStore, smallSchema, Options{})
		ix, other := mustOpen(t, s, Options{}), mustOpen(t, s.memStore, Options{})
		done := make(chan error)
		arrived := s.arrived
		go func() { done <- ix.Apply(ctx, batchOf("a", size)) }()
		<-arrived
		require.Len(t, s.segments[ID{1}], 1)
		var old ID
		for id, seg := range s.segments[ID{1}] {
			old = id
			seg.created = time.Now().Add(-2 * defaultGrace)
		}
		require.NoError(t, other.Compact(ctx, CompactOptions{}))
		require.Empty(t, s.segments[ID{1}], "the sweep took it")
		require.True(t, other.current().manifest.givenUp(old))
		// Others write on, and sweep again; the name stays.
		require.NoError(t, other.Apply(ctx, batchOf("b", 2)))
		require.NoError(t, other.Compact(ctx, CompactOptions{DeleteNow: true}))
		require.True(t, other.current().manifest.givenUp(old))
		close(s.release)
		require.NoError(t, <-done, "the writer's own clock says that it was quick")
		require.NoError(t, ix.Verify(ctx))
		require.Equal(t, size+2, count(t, ix, Term("tag", String("all"))))
		require.Equal(t, size+2, count(t, other, Term("tag", String("all"))))
	}
}

// What is given up is forgotten when nobody can come back with it.
func TestFenceIsForgotten(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{Grace: time.Second})
	_, err := ix.writeFull(ctx, key(testKey), newBuilderOf("x"))
	require.NoError(t, err)
	for _, seg := range s.segments[ID{1}] {
		seg.created = time.Now().Add(-time.Minute)
	}
	require.NoError(t, ix.Compact(ctx, CompactOptions{}))
	require.Empty(t, s.segments[ID{1}])
	require.Len(t, ix.current().manifest.retired, 1)
	time.Sleep(2100 * time.Millisecond) // retirement counts in whole seconds
	require.NoError(t, ix.Compact(ctx, CompactOptions{}))
	require.NoError(t, ix.Apply(ctx, batchOf("a", 1)))
	require.Empty(t, ix.current().manifest.retired)
}

// A removed file is named at once by whoever needs it, and nobody takes it for one that was replaced.
func TestRemovedSegmentIsNamed(t *testing.T) {
	ctx := context.Background()
	for name, use := range map[string]func(ix *Index) error{
		"apply":   func(ix *Index) error { return ix.Apply(ctx, Batch{Put: []Document{smallDoc("a-1", 5)}}) },
		"compact": func(ix *Index) error { return ix.Compact(ctx, CompactOptions{Full: true}) },
		"rotate":  func(ix *Index) error { return ix.Compact(ctx, CompactOptions{NewKey: make([]byte, KeySize)}) },
		"verify":  func(ix *Index) error { return ix.Verify(ctx) },
		"get":     func(ix *Index) error { _, err := ix.Get(ctx, "a-1"); return err },
	} {
		d := openDir(t, t.TempDir())
		ix := mustCreate(t, d, smallSchema, Options{})
		require.NoError(t, ix.Apply(ctx, batchOf("a", 300)))
		require.NoError(t, ix.Apply(ctx, batchOf("t", 3)))
		path := d.SegmentPath(ID{1}, ix.current().readers[0].id)
		require.NoError(t, os.Remove(path))
		ix = mustOpen(t, d, Options{})
		before := ix.Anchor()
		err := use(ix)
		require.ErrorIs(t, err, ErrDamaged, name)
		require.ErrorContains(t, err, path, name)
		require.ErrorContains(t, err, "backup", name)
		require.Equal(t, before, ix.Anchor(), "%s changed something", name)
		names, err := filepath.Glob(d.SegmentPath(ID{1}, ID{})[:len(d.SegmentPath(ID{1}, ID{}))-len(ID{}.String()+segmentExt)] + "*")
		require.NoError(t, err)
		require.Len(t, names, 1, "%s left something behind", name)
	}
}
