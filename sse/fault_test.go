package sse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// Every operation of the store fails once, at every place in whatever writes, or the caller's context ends there. Each time the partition is as it
// was or as it should be; repetition then succeeds.
func TestFaultsLeaveThePartitionWhole(t *testing.T) {
	newKey := []byte("fedcba9876543210fedcba9876543210")
	compact := func(o CompactOptions) func(context.Context, *Index) error {
		return func(ctx context.Context, ix *Index) error { return ix.Compact(ctx, o) }
	}
	apply := func(b Batch) func(context.Context, *Index) error {
		return func(ctx context.Context, ix *Index) error { return ix.Apply(ctx, b) }
	}
	steps := map[string]func(ctx context.Context, ix *Index) error{
		"tail":   apply(batchOf("x", 3)),
		"full":   apply(batchOf("x", 300)),
		"delete": apply(Batch{Delete: []Deletion{{ID: "a-1"}, {ID: "b-1"}}}),
		"load": func(ctx context.Context, ix *Index) error {
			done, err := ix.Load(ctx, sequence(300, loadDoc), LoadOptions{})
			if (err == nil) != (done == 300) || err != nil && done != 0 {
				return fmt.Errorf("%d are done: %w", done, err)
			}
			return err
		},
		"field":  func(ctx context.Context, ix *Index) error { return ix.AddField(ctx, Field{Name: "more", Type: Date}) },
		"tiers":  compact(CompactOptions{}),
		"all":    compact(CompactOptions{Full: true, DeleteNow: true}),
		"rotate": compact(CompactOptions{NewKey: newKey, DeleteNow: true}),
	}
	after := map[string]int{"tail": 608, "full": 905, "delete": 603, "load": 905}
	for name, step := range steps {
		for _, how := range []string{"fault", "lost swap", "context", "context after swap"} {
			for n := 1; ; n++ {
				if testing.Short() && n > 10 && n%7 != 0 {
					continue // pages of long segments, mostly
				}
				s := newMemStore()
				ix := mustCreate(t, s, smallSchema, Options{})
				require.NoError(t, ix.Apply(t.Context(), batchOf("a", 300)))
				require.NoError(t, ix.Apply(t.Context(), batchOf("b", 300)))
				for i := range 5 {
					require.NoError(t, ix.Apply(t.Context(), batchOf(fmt.Sprint("t", i), 1)))
				}
				what := fmt.Sprintf("%s, %s, call %d", name, how, n)
				ctx, cancel := context.WithCancel(t.Context())
				wantErr := errDisk
				if strings.HasPrefix(how, "context") {
					wantErr = context.Canceled
				}
				calls, hit := 0, false
				s.swapLost = strings.Contains(how, "swap")
				s.fail = func(string) error {
					if calls++; calls != n {
						return nil
					}
					if hit = true; wantErr == context.Canceled {
						cancel()
					}
					return wantErr
				}
				err := step(ctx, ix)
				cancel()
				s.fail = nil
				if !hit {
					require.NoError(t, err)
					require.Greater(t, n, 2, "the fault was never injected")
					break
				}
				want := 605
				re, oerr := Open(t.Context(), s, testKey, ID{1}, Options{})
				if errors.Is(oerr, ErrDecrypt) && name == "rotate" {
					re, oerr = Open(t.Context(), s, newKey, ID{1}, Options{})
				}
				require.NoError(t, oerr)
				re.Close()
				require.NoError(t, re.Verify(t.Context()), what)
				if w, changes := after[name]; changes && err == nil {
					want = w
				}
				require.Equal(t, want, count(t, re, Term("tag", String("all"))), "%s: %v", what, err)
				if err != nil {
					require.ErrorIs(t, err, wantErr, what)
				}
				require.NoError(t, step(t.Context(), re), "%s, again", what)
				if w, changes := after[name]; changes {
					want = w
				}
				require.Equal(t, want, count(t, re, Term("tag", String("all"))))
			}
		}
	}
}

func batchOf(name string, n int) (b Batch) {
	for i := range n {
		b.Put = append(b.Put, smallDoc(fmt.Sprintf("%s-%d", name, i), i))
	}
	return b
}

// A writer that is slower than half of the grace period writes again, as its segment may have been swept.
func TestSlowWriterStartsOver(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{Grace: 100 * time.Millisecond})
	slow := true
	s.fail = func(op string) error {
		if op == "write" && slow {
			slow = false
			time.Sleep(60 * time.Millisecond)
		}
		return nil
	}
	require.NoError(t, ix.Apply(ctx, batchOf("a", 3)))
	require.False(t, slow)
	require.Len(t, s.segments[ID{1}], 1, "the first segment was left behind")
	require.Equal(t, 3, count(t, ix, Term("tag", String("all"))))
	require.NoError(t, ix.Verify(ctx))
}

// What a compaction replaced stays for readers until the grace period is over, and goes at once for an erasure.
func TestGraceAndErasure(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("a", 300)))
	require.NoError(t, ix.Apply(ctx, batchOf("b", 300)))
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-7"}}}))
	old := ix.current()
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	require.Len(t, s.segments[ID{1}], 4)
	// A reader in the middle of a query on the old manifest ends it.
	all, o := Term("tag", String("all")), SearchOptions{MaxPages: 1000, MaxTerms: 100}
	res, err := ix.search(ctx, old, all, o, nil)
	require.NoError(t, err)
	require.Equal(t, 599, res.Total)

	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	require.Len(t, s.segments[ID{1}], 1)
	require.Equal(t, 599, count(t, ix, all))
	// The row is in no segment any more, not even marked as deleted.
	for _, r := range ix.current().readers {
		all, err := ix.contents(ctx, &meter{}, ix.current(), wanted{})
		require.NoError(t, err)
		l, err := ix.loadAll(ctx, all[0])
		require.NoError(t, err)
		require.Len(t, l.rows, 599)
		require.EqualValues(t, 599, r.rows)
		for _, row := range l.rows {
			require.NotEqual(t, "a-7", row.id)
		}
	}
	_, err = ix.search(ctx, old, all, o, nil)
	require.ErrorIs(t, err, ErrMissing, "Search would begin again with the new manifest")
}

// What a writer left behind that died before its swap goes when it is old enough, not before.
func TestSweepTakesLeftovers(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("a", 3)))
	_, err := ix.writeFull(ctx, key(testKey), newBuilderOf("x"))
	require.NoError(t, err)
	require.NoError(t, ix.Compact(ctx, CompactOptions{DeleteNow: true}))
	require.Len(t, s.segments[ID{1}], 2, "a writer may still commit it")
	for _, seg := range s.segments[ID{1}] {
		seg.created = time.Now().Add(-2 * defaultGrace)
	}
	require.NoError(t, ix.Compact(ctx, CompactOptions{}))
	require.Len(t, s.segments[ID{1}], 1)
	require.NoError(t, ix.Verify(ctx))
}

func newBuilderOf(id string) *builder {
	b := newBuilder(smallSchema)
	b.add(document{row: row{id: id, revision: 1}})
	return b
}

// After a swap of unknown outcome nothing is deleted that it may have made live, large bitmaps included.
func TestUnknownOutcomeDeletesNothing(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	var b, d Batch
	for i := range 10_000 {
		b.Put = append(b.Put, Document{ID: fmt.Sprint(i), Revision: 1})
	}
	for _, i := range rand.New(rand.NewPCG(7, 8)).Perm(10_000)[:4500] {
		d.Delete = append(d.Delete, Deletion{ID: fmt.Sprint(i)})
	}
	require.NoError(t, ix.Apply(ctx, b))
	s.swapLost = true
	broken := false
	s.fail = func(op string) error {
		if broken = broken || op == "swap"; broken && op != "delete" {
			return errDisk
		}
		return nil
	}
	require.ErrorIs(t, ix.Apply(ctx, d), errUnknown)
	s.fail = nil
	ix = mustOpen(t, s, Options{})
	require.Positive(t, ix.current().readers[0].deleted.bytes, "the test has no large bitmap")
	require.NoError(t, ix.Verify(ctx))
	require.Equal(t, 10_000-len(d.Delete), count(t, ix, Not(Term("tag", String("x")))))
	require.NoError(t, ix.Apply(ctx, d))
}

func TestContextEndsApply(t *testing.T) {
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	pages := 0
	s.fail = func(op string) error {
		if op == "page" {
			if pages++; pages == 5 {
				cancel()
			}
		}
		return ctx.Err()
	}
	require.ErrorIs(t, ix.Apply(ctx, batchOf("a", 300)), context.Canceled)
	s.fail = nil
	require.Equal(t, 0, count(t, ix, Term("tag", String("all"))))
}

// A head that is in place and could not be synced is no success: a crash may bring the head before it back. Nothing that this one names is
// deleted, and repeating the step makes it durable.
func TestUnsyncedHeadIsAnError(t *testing.T) {
	ctx := context.Background()
	d := openDir(t, t.TempDir())
	ix := mustCreate(t, d, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("a", 300)))
	fail := func(op, path string) error {
		if op == "syncdir" && filepath.Base(path) == headsDir {
			return errDisk
		}
		return nil
	}
	for name, step := range map[string]func() error{
		"apply":   func() error { return ix.Apply(ctx, batchOf("b", 300)) },
		"compact": func() error { return ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}) },
	} {
		before, err := d.Segments(ctx, ix.partition)
		require.NoError(t, err)
		d.disk.fault = fail
		err = step()
		d.disk.fault = nil
		require.ErrorIs(t, err, errDisk, name)
		require.ErrorIs(t, err, errNotDurable, name)
		after, err := d.Segments(ctx, ix.partition)
		require.NoError(t, err)
		for _, s := range before {
			require.Contains(t, after, s, "%s deleted a segment that the head before still names", name)
		}
		require.NoError(t, step(), "%s, repeated", name)
	}
	r, err := ix.Search(ctx, Not(Term("tag", String("none"))), SearchOptions{CountOnly: true})
	require.NoError(t, err)
	require.Equal(t, 600, r.Total)
	require.NoError(t, ix.Verify(ctx))
}

// lateSwap loses the answer to a swap, which lands when the test says.
type lateSwap struct {
	*memStore
	land func() error
}

func (s *lateSwap) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	if s.land == nil {
		s.land = func() error { return s.memStore.SwapHead(context.Background(), partition, version, blob) }
		return errDisk
	}
	return s.memStore.SwapHead(ctx, partition, version, blob)
}

// A swap that nobody finds, and that lands afterwards, names segments that are still there.
func TestSwapLandsLate(t *testing.T) {
	for name, step := range map[string]func(ix *Index) error{
		"apply": func(ix *Index) error { return ix.Apply(t.Context(), batchOf("x", 300)) },
		"load": func(ix *Index) error {
			_, err := ix.Load(t.Context(), sequence(300, loadDoc), LoadOptions{})
			return err
		},
		"rotate": func(ix *Index) error {
			return ix.Compact(t.Context(), CompactOptions{NewKey: testKey, DeleteNow: true})
		},
	} {
		s := &lateSwap{memStore: newMemStore()}
		require.NoError(t, mustCreate(t, s.memStore, smallSchema, Options{}).Apply(t.Context(), batchOf("a", 300)))
		err := step(mustOpen(t, s, Options{}))
		require.ErrorIs(t, err, errDisk, name)
		require.ErrorIs(t, err, errUnknown, name)
		require.NoError(t, s.land())
		re := mustOpen(t, s, Options{})
		require.NoError(t, re.Verify(t.Context()), name)
		require.NoError(t, step(re), name)
		want := 600
		if name == "rotate" {
			want = 300
		}
		require.Equal(t, want, count(t, re, Term("tag", String("all"))), name)
	}
}
