package sse

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// syncs counts what a Dir makes durable.
func syncs(d *Dir) *atomic.Int64 {
	var n atomic.Int64
	d.disk.fault = func(op, _ string) error {
		if op == "sync" || op == "syncdir" {
			n.Add(1)
		}
		return nil
	}
	return &n
}

// One record takes at most six syncs to be durable, whatever was written before; eight writers at once share them.
func TestSyncsOfSmallBatches(t *testing.T) {
	ctx := context.Background()
	d := openDir(t, t.TempDir())
	ix := mustCreate(t, d, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("first", 1)))
	n := syncs(d)
	for i := range 40 {
		before := n.Load()
		require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprint("one-", i), 1)))
		require.LessOrEqual(t, n.Load()-before, int64(6))
	}
	one := n.Load() / 40
	require.Positive(t, one)

	// Eight writers that all wait while another batch is being written: two commits in all.
	n.Store(0)
	require.NoError(t, ix.writing.take(ctx))
	var wg sync.WaitGroup
	begin := func(i int) {
		wg.Go(func() { require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprint("eight-", i), 1))) })
	}
	begin(0)
	waitFor(t, func() bool { return ix.queue.length() == 0 && ix.queue.serving() })
	for i := range 8 {
		begin(i + 1)
	}
	waitFor(t, func() bool { return ix.queue.length() == 8 })
	ix.writing.give()
	wg.Wait()
	require.LessOrEqual(t, n.Load(), 2*one)
	require.Equal(t, 1+40+9, count(t, ix, Term("tag", String("all"))))
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *queue) serving() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy
}

func waitFor(t testing.TB, what func() bool) {
	require.Eventually(t, what, 10*time.Minute, time.Millisecond)
}

// grouped lets batches wait together and then commits them, and returns their errors.
func grouped(t *testing.T, ix *Index, batches ...Batch) []error {
	require.NoError(t, ix.writing.take(t.Context()))
	errs := make([]error, len(batches))
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, ix.Apply(t.Context(), Batch{Delete: []Deletion{{ID: "nobody"}}})) })
	waitFor(t, func() bool { return ix.queue.length() == 0 && ix.queue.serving() })
	for i := range batches {
		wg.Go(func() { errs[i] = ix.Apply(t.Context(), batches[i]) })
		waitFor(t, func() bool { return ix.queue.length() == i+1 })
	}
	ix.writing.give()
	wg.Wait()
	return errs
}

// Batches that meet in a group mean what they mean one after the other.
func TestGroupsResolveInOrder(t *testing.T) {
	put := func(id string, revision uint64, tag string) Batch {
		return Batch{Put: []Document{{ID: id, Revision: revision, Fields: Fields{"tag": {String(tag)}}}}}
	}
	fresh := put("x", 1, "fresh")
	fresh.New = true
	for name, c := range map[string]struct {
		batches []Batch
		want    string // tag of x, "" if it is gone
		swaps   uint64
	}{
		"up":                {[]Batch{put("x", 2, "two"), put("x", 3, "three"), put("x", 4, "four")}, "four", 1},
		"down":              {[]Batch{put("x", 4, "four"), put("x", 3, "three")}, "four", 1},
		"equal":             {[]Batch{put("x", 2, "first"), put("x", 2, "second")}, "first", 1},
		"deleted":           {[]Batch{put("x", 2, "two"), {Delete: []Deletion{{"x", 2}}}, put("x", 2, "late")}, "", 1},
		"deleted and back":  {[]Batch{put("x", 2, "two"), {Delete: []Deletion{{"x", 2}}}, put("x", 3, "back")}, "back", 1},
		"whatever is there": {[]Batch{put("x", 7, "seven"), {Delete: []Deletion{{ID: "x"}}}, put("x", 6, "six")}, "", 2},
		"whatever, then":    {[]Batch{put("x", 7, "seven"), {Delete: []Deletion{{ID: "x"}}}, put("x", 8, "eight")}, "eight", 3},
		"new":               {[]Batch{fresh, put("x", 2, "two")}, "two", 2},
	} {
		ix := mustCreate(t, newMemStore(), smallSchema, Options{})
		before := ix.Anchor().Counter
		for _, err := range grouped(t, ix, c.batches...) {
			require.NoError(t, err, name)
		}
		require.Equal(t, before+c.swaps, ix.Anchor().Counter, name)
		for _, tag := range strings.Fields("first second two three four five six seven eight late back fresh") {
			want := 0
			if tag == c.want {
				want = 1
			}
			require.Equal(t, want, count(t, ix, Term("tag", String(tag))), "%s: %s", name, tag)
		}
		require.NoError(t, ix.Verify(t.Context()))
	}
}

// A batch that cannot be indexed spoils nothing for those that wait beside it.
func TestBadBatchInGroup(t *testing.T) {
	ix := mustCreate(t, newMemStore(), smallSchema, Options{})
	var wg sync.WaitGroup
	errs := make([]error, 30)
	for i := range errs {
		b := batchOf(fmt.Sprint("b", i), 1+i%3)
		switch i % 5 {
		case 1:
			b.Put[0].Revision = 0
		case 2:
			b.Put[0].Fields["n"] = []Value{Int(-1)}
		}
		wg.Go(func() { errs[i] = ix.Apply(t.Context(), b) })
	}
	wg.Wait()
	rows := 0
	for i, err := range errs {
		switch i % 5 {
		case 1:
			require.ErrorIs(t, err, ErrBatch)
		case 2:
			require.ErrorIs(t, err, ErrSchema)
		default:
			require.NoError(t, err)
			rows += 1 + i%3
		}
	}
	require.Equal(t, rows, count(t, ix, Term("tag", String("all"))))
}

// blocking is a store whose writes wait until they are let go on, or their context ends.
type blocking struct {
	*memStore
	gate chan struct{}
	in   chan struct{}
}

func (s *blocking) WriteSegment(ctx context.Context, partition, segment ID, pages iter.Seq2[[]byte, error]) error {
	s.in <- struct{}{}
	select {
	case <-s.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.memStore.WriteSegment(ctx, partition, segment, pages)
}

// Callers of a group leave one after the other: who leaves while others stay does not know the outcome, and the others get theirs. When
// the last one leaves the write is called off.
func TestCallersLeaveTheirGroup(t *testing.T) {
	s := &blocking{memStore: newMemStore(), gate: make(chan struct{}), in: make(chan struct{})}
	mustCreate(t, s.memStore, smallSchema, Options{})
	ix := mustOpen(t, s, Options{})
	type caller struct {
		end context.CancelFunc
		err chan error
	}
	begin := func(name string) *caller {
		ctx, end := context.WithCancel(t.Context())
		c := &caller{end, make(chan error, 1)}
		go func() { c.err <- ix.Apply(ctx, batchOf(name, 1)) }()
		return c
	}
	first := begin("first")
	<-s.in
	// Two wait. One leaves before it is taken: nothing of it is written.
	early := begin("early")
	waitFor(t, func() bool { return ix.queue.length() == 1 })
	early.end()
	err := <-early.err
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, errUnknown)
	a, b, c := begin("a"), begin("b"), begin("c")
	waitFor(t, func() bool { return ix.queue.length() == 3 })
	s.gate <- struct{}{}
	require.NoError(t, <-first.err)
	<-s.in
	b.end()
	err = <-b.err
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errUnknown)
	s.gate <- struct{}{}
	require.NoError(t, <-a.err)
	require.NoError(t, <-c.err)
	require.Equal(t, 4, count(t, ix, Term("tag", String("all"))), "first, a, b and c")

	// All leave: the group ends, and nothing is written.
	d := begin("d")
	<-s.in
	d.end()
	err = <-d.err
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, errUnknown)
	deadline, end := context.WithTimeout(t.Context(), time.Millisecond)
	defer end()
	late := make(chan error)
	go func() { late <- ix.Apply(deadline, batchOf("late", 1)) }()
	<-s.in
	err = <-late
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, errUnknown)
	require.Equal(t, 4, count(t, ix, Term("tag", String("all"))))
	require.Equal(t, 0, count(t, ix, Term("tag", String("early"))))
}
