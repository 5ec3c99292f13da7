package sse

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// Every operation of the store fails once, at every place in a batch, a compaction and a rotation. Each time the partition is as it
// was or as it should be; repetition then succeeds.
func TestFaultsLeaveThePartitionWhole(t *testing.T) {
	ctx := context.Background()
	newKey := []byte("fedcba9876543210fedcba9876543210")
	steps := map[string]func(ix *Index) error{
		"tail":   func(ix *Index) error { return ix.Apply(ctx, batchOf("x", 3)) },
		"full":   func(ix *Index) error { return ix.Apply(ctx, batchOf("x", 300)) },
		"delete": func(ix *Index) error { return ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-1"}, {ID: "b-1"}}}) },
		"tiers":  func(ix *Index) error { return ix.Compact(ctx, CompactOptions{}) },
		"all":    func(ix *Index) error { return ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}) },
		"rotate": func(ix *Index) error { return ix.Compact(ctx, CompactOptions{NewKey: newKey, DeleteNow: true}) },
	}
	after := map[string]int{"tail": 608, "full": 905, "delete": 603}
	for name, step := range steps {
		for _, lost := range []bool{false, true} {
			for n := 1; ; n++ {
				s := newMemStore()
				ix := mustCreate(t, s, smallSchema, Options{})
				require.NoError(t, ix.Apply(ctx, batchOf("a", 300)))
				require.NoError(t, ix.Apply(ctx, batchOf("b", 300)))
				for i := range 5 {
					require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprint("t", i), 1)))
				}
				calls, hit := 0, false
				s.swapLost = lost
				s.fail = func(string) error {
					if calls++; calls == n {
						hit = true
						return errDisk
					}
					return nil
				}
				err := step(ix)
				s.fail = nil
				if !hit {
					require.NoError(t, err)
					require.Greater(t, n, 3, "the fault was never injected")
					break
				}
				want := 605
				re, oerr := Open(ctx, s, testKey, ID{1}, Options{})
				if errors.Is(oerr, ErrDecrypt) && name == "rotate" {
					re, oerr = Open(ctx, s, newKey, ID{1}, Options{})
				}
				require.NoError(t, oerr)
				require.NoError(t, re.Verify(ctx), "%s, fault %d", name, n)
				if w, changes := after[name]; changes && err == nil {
					want = w
				}
				require.Equal(t, want, count(t, re, Term("tag", String("all"))), "%s, fault %d: %v", name, n, err)
				if err != nil {
					require.ErrorIs(t, err, errDisk)
				}
				require.NoError(t, step(re), "%s again after fault %d", name, n)
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
	require.Len(t, s.segments[ID{1}], 2, "the first segment is left for the sweep")
	require.Equal(t, 3, count(t, ix, Term("tag", String("all"))))
	time.Sleep(110 * time.Millisecond)
	require.NoError(t, ix.Compact(ctx, CompactOptions{}))
	require.Len(t, s.segments[ID{1}], 1, "the sweep left it")
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
	p, err := compile(smallSchema, Term("tag", String("all")))
	require.NoError(t, err)
	res, err := ix.search(ctx, old, p, SearchOptions{MaxPages: 1000, MaxTerms: 100})
	require.NoError(t, err)
	require.Equal(t, 599, res.Total)

	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	require.Len(t, s.segments[ID{1}], 1)
	require.Equal(t, 599, count(t, ix, Term("tag", String("all"))))
	// The row is in no segment any more, not even marked as deleted.
	for _, r := range ix.current().readers {
		all, err := ix.contents(ctx, &meter{}, ix.current(), nil)
		require.NoError(t, err)
		l, err := ix.loadAll(ctx, all[0])
		require.NoError(t, err)
		require.Len(t, l.rows, 599)
		require.EqualValues(t, 599, r.rows)
		for _, row := range l.rows {
			require.NotEqual(t, "a-7", row.id)
		}
	}
	_, err = ix.search(ctx, old, p, SearchOptions{MaxPages: 1000, MaxTerms: 100})
	require.ErrorIs(t, err, ErrMissing, "Search would begin again with the new manifest")
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
