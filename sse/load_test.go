package sse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func sequence(n int, doc func(i int) (Document, error)) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i := range n {
			if !yield(doc(i)) {
				return
			}
		}
	}
}

func loadDoc(i int) (Document, error) { return smallDoc(fmt.Sprint("load-", i), i), nil }

// Load leaves what Apply would have left: updates and repeated IDs of one sequence, and rows that are newer in the partition already.
func TestLoadAgainstApply(t *testing.T) {
	ctx := context.Background()
	for _, memory := range []int{leastMemory, 0} {
		s := newMemStore()
		ix := mustCreate(t, s, smallSchema, Options{})
		newer := smallDoc("load-5", 5)
		newer.Revision, newer.Fields["tag"] = 9, []Value{String("newer")}
		require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{newer, smallDoc("load-6", 6), smallDoc("other", 1)}, Delete: []Deletion{{"load-8", 3}}}))
		n := 60_000
		if testing.Short() {
			n = 20_000
		}
		var reads, dones []int
		done, err := ix.Load(ctx, sequence(n+3, func(i int) (Document, error) {
			d := smallDoc(fmt.Sprint("load-", i), i)
			switch i {
			case n: // an update of one that was just loaded
				d = smallDoc("load-77", 1)
				d.Revision, d.Fields["tag"] = 2, []Value{String("updated")}
			case n + 1:
				d = smallDoc("load-78", 1) // the same revision again: the first stays
				d.Fields["tag"] = []Value{String("repeated")}
			case n + 2:
				d = smallDoc(fmt.Sprint("load-", n-1), 1) // in the same segment
				d.Revision, d.Fields["tag"] = 2, []Value{String("updated")}
			}
			return d, nil
		}), LoadOptions{Memory: memory, Progress: func(read, done int) { reads, dones = append(reads, read), append(dones, done) }})
		require.NoError(t, err)
		require.Equal(t, n+3, done)
		require.True(t, slices.IsSorted(reads) && slices.IsSorted(dones))
		require.Equal(t, n+3, dones[len(dones)-1])
		full := 0
		for _, r := range ix.current().readers {
			if !r.isTail() {
				full++
			}
		}
		if memory > 0 && !testing.Short() {
			require.Greater(t, full, 1, "the memory is bounded")
		} else if memory == 0 {
			require.Equal(t, 1, full)
		}
		// load-5 stays, load-8 is deleted, two are updated.
		require.Equal(t, n-4+1, count(t, ix, Term("tag", String("all"))))
		require.Equal(t, 1, count(t, ix, Term("tag", String("newer"))))
		require.Equal(t, 2, count(t, ix, Term("tag", String("updated"))))
		require.Zero(t, count(t, ix, Term("tag", String("repeated"))))
		for id, revision := range map[string]uint64{"load-5": 9, "load-6": 1, "load-77": 2, fmt.Sprint("load-", n-1): 2} {
			h, err := ix.Get(ctx, id)
			require.NoError(t, err, id)
			require.Equal(t, revision, h.Revision, id)
		}
		_, err = ix.Get(ctx, "load-8")
		require.ErrorIs(t, err, ErrNotFound)
		require.NoError(t, ix.Verify(ctx))
		// The same again changes nothing.
		before := count(t, ix, Not(Term("tag", String("nothing"))))
		_, err = ix.Load(ctx, sequence(n, loadDoc), LoadOptions{Memory: memory})
		require.NoError(t, err)
		require.Equal(t, before, count(t, ix, Not(Term("tag", String("nothing")))))
		require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
		require.Equal(t, before, count(t, ix, Not(Term("tag", String("nothing")))))
		require.NoError(t, ix.Verify(ctx))
	}
}

// Load ends early for every reason there is: what it says took effect did, and it goes on from there.
func TestLoadEndsEarly(t *testing.T) {
	broken := errors.New("the source broke")
	for name, c := range map[string]struct {
		doc  func(i int, cancel func()) (Document, error)
		want error
	}{
		"source": {func(i int, _ func()) (Document, error) { return smallDoc("x", 1), broken }, broken},
		"cancel": {func(i int, cancel func()) (Document, error) { cancel(); return loadDoc(i) }, context.Canceled},
		"batch":  {func(i int, _ func()) (Document, error) { return Document{ID: "x"}, nil }, ErrBatch},
		"schema": {func(i int, _ func()) (Document, error) {
			return Document{ID: "x", Revision: 1, Fields: Fields{"nope": {Int(1)}}}, nil
		}, ErrSchema},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newMemStore()
		ix := mustCreate(t, s, smallSchema, Options{})
		const n = 50_000
		done, err := ix.Load(ctx, sequence(n, func(i int) (Document, error) {
			if i == n-100 {
				return c.doc(i, cancel)
			}
			return loadDoc(i)
		}), LoadOptions{Memory: leastMemory, New: true})
		cancel()
		require.ErrorIs(t, err, c.want, name)
		require.Positive(t, done, name)
		require.Less(t, done, n)
		ix = mustOpen(t, s, Options{})
		require.Equal(t, done, count(t, ix, Term("tag", String("all"))), name)
		for _, i := range []int{0, done - 1} {
			_, err := ix.Get(t.Context(), fmt.Sprint("load-", i))
			require.NoError(t, err)
		}
		_, err = ix.Get(t.Context(), fmt.Sprint("load-", done))
		require.ErrorIs(t, err, ErrNotFound)
		rest, err := ix.Load(t.Context(), sequence(n-done, func(i int) (Document, error) { return loadDoc(done + i) }), LoadOptions{New: true})
		require.NoError(t, err)
		require.Equal(t, n, done+rest)
		require.Equal(t, n, count(t, ix, Term("tag", String("all"))))
	}
}

// Somebody writes between the look-ups of a load and its swap.
func TestLoadLosesRaces(t *testing.T) {
	ctx := context.Background()
	s, ix, other := race(t)
	s.before = func() {
		d := smallDoc("load-3", 3)
		d.Revision, d.Fields["tag"] = 2, []Value{String("theirs")}
		require.NoError(t, other.Apply(ctx, Batch{Put: []Document{d, smallDoc("load-4", 4)}}))
		require.NoError(t, other.Apply(ctx, batchOf("b", 300)))
		require.NoError(t, other.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	}
	_, err := ix.Load(ctx, sequence(400, loadDoc), LoadOptions{})
	require.NoError(t, err)
	require.Nil(t, s.before)
	require.Equal(t, 399+300, count(t, ix, Term("tag", String("all"))))
	require.Equal(t, 1, count(t, ix, Term("tag", String("theirs"))))
	require.NoError(t, ix.Verify(ctx))
}
