package sse

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Merges that fail in the background show in Stats, hold nobody up for ever, and are tried again.
func TestBackgroundFailuresShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := newMemStore()
		ix, err := Create(ctx, s, testKey, ID{1}, smallSchema, Options{})
		require.NoError(t, err)
		var broken atomic.Bool
		s.fail = func(op string) error {
			if broken.Load() && op == "read" { // batches that are new read nothing of full segments
				return errDisk
			}
			return nil
		}
		apply := func(i int) {
			b := batchOf(fmt.Sprint(i), tailRows)
			b.New = true
			require.NoError(t, ix.Apply(ctx, b))
			synctest.Wait()
		}
		broken.Store(true)
		for i := range 5 {
			apply(i)
		}
		st, err := ix.Stats(ctx)
		require.NoError(t, err)
		require.ErrorIs(t, st.MergeError, errDisk)
		require.Equal(t, 5, st.Segments)
		broken.Store(false)
		time.Sleep(time.Minute)
		apply(5)
		st, err = ix.Stats(ctx)
		require.NoError(t, err)
		require.NoError(t, st.MergeError)
		require.LessOrEqual(t, st.Segments, 3)
		require.Equal(t, 6*tailRows, count(t, ix, Term("tag", String("all"))))
		ix.Close()
	})
}

// From a number of segments on, writers are refused while merges fail, and go on when they work again.
func TestOvercrowdedPartitionRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand segments")
	}
	ctx := context.Background()
	s := newMemStore()
	ix, err := Create(ctx, s, testKey, ID{1}, smallSchema, Options{})
	require.NoError(t, err)
	writer := mustOpen(t, s, Options{})
	for i := range overcrowded {
		w, err := writer.writeFull(ctx, key(testKey), newBuilderOf(fmt.Sprint("x", i)))
		require.NoError(t, err)
		st, err := writer.refresh(ctx)
		require.NoError(t, err)
		if i%128 == 0 || i == overcrowded-1 { // few heads
			c := newChange(nil)
			c.add = []*segment{w}
			require.NoError(t, writer.commit(ctx, st, c))
		} else {
			st.manifest.segments = append(st.manifest.segments, w)
		}
	}
	_, err = ix.refresh(ctx)
	require.NoError(t, err)
	require.Len(t, ix.current().manifest.segments, overcrowded)
	before := ix.Anchor()
	var broken atomic.Bool
	broken.Store(true)
	s.fail = func(op string) error {
		if broken.Load() && op == "read" {
			return errDisk
		}
		return nil
	}
	b := batchOf("more", 1)
	b.New = true
	err = ix.Apply(ctx, b)
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "segments")
	require.Equal(t, before, ix.Anchor())
	broken.Store(false)
	ix.tending.again = time.Time{}
	require.NoError(t, ix.Apply(ctx, b))
	settle(t, ix)
	ix.Close()
	require.Less(t, len(ix.current().manifest.segments), 20)
	require.Equal(t, overcrowded+1, count(t, ix, Not(Term("tag", String("nothing")))))
}
