package sse

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// interposed lets something happen just before a swap: the races that goroutines meet once in a thousand runs, every time.
type interposed struct {
	*memStore
	before func()
}

func (s *interposed) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	return s.memStore.SwapHead(ctx, partition, version, blob)
}

// race opens a partition twice: whatever other does in before happens between a write of ix and its swap.
func race(t *testing.T) (s *interposed, ix, other *Index) {
	s = &interposed{memStore: newMemStore()}
	mustCreate(t, s.memStore, smallSchema, Options{})
	return s, mustOpen(t, s, Options{}), mustOpen(t, s.memStore, Options{})
}

func TestLostRaces(t *testing.T) {
	ctx := context.Background()
	doc := func(id string, revision uint64, tag string) Document {
		return Document{ID: id, Revision: revision, Stored: []byte(tag), Fields: Fields{"tag": {String(tag)}}}
	}
	put := func(d ...Document) Batch { return Batch{Put: d} }
	for _, c := range []struct {
		name         string
		first        Batch
		mine, theirs Batch
		want         uint64 // revision of "x" in the end; 0 if it is gone
		late         uint64 // of a deleted "x": a revision that must not come back
	}{
		{"they are newer", put(doc("x", 1, "a")), put(doc("x", 2, "mine")), put(doc("x", 3, "theirs")), 3, 0},
		{"I am newer", put(doc("x", 1, "a")), put(doc("x", 5, "mine")), put(doc("x", 3, "theirs")), 5, 0},
		{"the same", put(doc("x", 1, "a")), put(doc("x", 2, "mine")), put(doc("x", 2, "theirs")), 2, 0},
		{"both new", Batch{}, put(doc("x", 2, "mine")), put(doc("x", 1, "theirs")), 2, 0},
		{"they delete", put(doc("x", 1, "a")), put(doc("x", 2, "mine")), Batch{Delete: []Deletion{{"x", 2}}}, 0, 2},
		{"they delete less", put(doc("x", 1, "a")), put(doc("x", 3, "mine")), Batch{Delete: []Deletion{{"x", 2}}}, 3, 0},
		{"I delete whatever is there", put(doc("x", 1, "a")), Batch{Delete: []Deletion{{ID: "x"}}}, put(doc("x", 7, "theirs")), 0, 7},
		{"I delete what was not there", put(doc("y", 1, "a")), Batch{Put: []Document{doc("y", 2, "b")}, Delete: []Deletion{{ID: "x"}}}, put(doc("x", 7, "theirs")), 0, 7},
		{"I delete an older one", put(doc("x", 1, "a")), Batch{Delete: []Deletion{{"x", 4}}}, put(doc("x", 7, "theirs")), 7, 0},
		{"both delete", put(doc("x", 1, "a")), Batch{Delete: []Deletion{{ID: "x"}}}, Batch{Delete: []Deletion{{ID: "x"}}}, 0, 1},
	} {
		for _, fold := range []int{0, maxTails} { // with and without tails that the write takes over
			for _, compacted := range []bool{false, true} {
				name := fmt.Sprintf("%s, %d tails, compacted %v", c.name, fold, compacted)
				s, ix, other := race(t)
				require.NoError(t, other.Apply(ctx, c.first))
				for i := 1; i < fold; i++ {
					require.NoError(t, other.Apply(ctx, put(doc(fmt.Sprint("tail-", i), 1, "tail"))))
				}
				s.before = func() {
					require.NoError(t, other.Apply(ctx, c.theirs), name)
					if compacted {
						require.NoError(t, other.Compact(ctx, CompactOptions{DeleteNow: true}))
					}
				}
				require.NoError(t, ix.Apply(ctx, c.mine), name)
				require.Nil(t, s.before, "there was no race")
				h, err := ix.Get(ctx, "x")
				if c.want == 0 {
					require.ErrorIs(t, err, ErrNotFound, name)
				} else {
					require.NoError(t, err, name)
					require.Equal(t, c.want, h.Revision, name)
				}
				found := count(t, other, Or(Term("tag", String("mine")), Term("tag", String("theirs")), Term("tag", String("a"))))
				require.LessOrEqual(t, found, 2, name)
				require.Equal(t, c.want > 0, count(t, other, Or(Term("tag", String("mine")), Term("tag", String("theirs")))) == 1, name)
				require.Equal(t, max(fold-1, 0), count(t, other, Term("tag", String("tail"))), name)
				require.NoError(t, ix.Verify(ctx))
				if c.late > 0 {
					require.NoError(t, other.Apply(ctx, put(doc("x", c.late, "late"))))
					require.Zero(t, count(t, ix, Term("tag", String("late"))), name)
				}
			}
		}
	}
}

// Rows that others delete while they are being merged are deleted in the merge.
func TestDeletionDuringCompaction(t *testing.T) {
	ctx := context.Background()
	newKey := []byte("fedcba9876543210fedcba9876543210")
	for name, o := range map[string]CompactOptions{"tiers": {}, "full": {Full: true}, "rotate": {NewKey: newKey}} {
		s, ix, other := race(t)
		require.NoError(t, ix.Apply(ctx, batchOf("a", 300)))
		require.NoError(t, ix.Apply(ctx, batchOf("b", 300)))
		require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-1"}}}))
		s.before = func() {
			require.NoError(t, other.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-2"}, {ID: "b-7"}}, Put: []Document{smallDoc("c", 1)}}))
		}
		require.NoError(t, ix.Compact(ctx, o), name)
		require.Nil(t, s.before)
		require.Equal(t, 598, count(t, ix, Term("tag", String("all"))), name)
		for _, id := range []string{"a-1", "a-2", "b-7"} {
			_, err := ix.Get(ctx, id)
			require.ErrorIs(t, err, ErrNotFound)
		}
		_, err := ix.Get(ctx, "c")
		require.NoError(t, err, name)
		require.NoError(t, ix.Verify(ctx))
	}
}

// A full compaction meets a merge that began before a deletion and ends after it: the row must not survive in what that merge wrote.
func TestErasureMeetsAnotherMerge(t *testing.T) {
	ctx := context.Background()
	s, slow, eraser := race(t)
	require.NoError(t, eraser.Apply(ctx, batchOf("a", 300)))
	require.NoError(t, eraser.Apply(ctx, batchOf("b", 300)))
	paused, resume, done := make(chan struct{}), make(chan struct{}), make(chan error)
	s.before = func() { close(paused); <-resume }
	go func() { done <- slow.Compact(ctx, CompactOptions{}) }()
	<-paused
	require.NoError(t, eraser.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-7"}}}))
	mine := &interposed{memStore: s.memStore}
	mine.before = func() {
		close(resume)
		require.NoError(t, <-done)
	}
	ix := mustOpen(t, mine, Options{})
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	st := ix.current()
	all, err := ix.contents(ctx, &meter{}, st, wanted{})
	require.NoError(t, err)
	rows := 0
	for _, c := range all {
		l, err := ix.loadAll(ctx, c)
		require.NoError(t, err)
		for _, r := range l.rows {
			require.NotEqual(t, "a-7", r.id, "the erased row is still in a segment")
		}
		rows += len(l.rows)
	}
	require.Equal(t, 599, rows)
	require.Len(t, s.segments[ID{1}], len(all))
}

// Somebody with the key seals other pages under the keys of a segment that exists: every page opens, and the root tells.
func TestRootBindsThePages(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{smallDoc("a", 1)}}))
	r := ix.current().readers[0]
	fake := encodeTail([]document{{row: row{id: "b", revision: 1, stored: []byte("b")}, postings: ix.tailOf(t, r).docs[0].postings}}, smallSchema)
	require.Len(t, fake, int(r.tail))
	var root [32]byte
	var pages []byte
	for p, err := range sealStream(r.keys, fake, r.pages(), kindTail, &root) {
		require.NoError(t, err)
		pages = append(pages, p...)
	}
	s.segments[ID{1}][r.id].pages = pages
	_, err := mustOpen(t, s, Options{}).Search(ctx, Term("tag", String("all")), SearchOptions{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "manifest")
}

func (ix *Index) tailOf(t *testing.T, r *reader) *tail {
	all, err := ix.contents(context.Background(), &meter{}, ix.current(), wanted{})
	require.NoError(t, err)
	for _, c := range all {
		if c.reader == r {
			return c.tail
		}
	}
	t.Fatal("no tail")
	return nil
}
