package ssetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
)

// Run checks a kind of store. Each call of open gives an empty one; clean up with t.Cleanup. The tests run in parallel, as most wait for disks.
func Run(t *testing.T, open func(t *testing.T) sse.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s sse.Store)
	}{
		{"Empty", testEmpty},
		{"ReadBack", testReadBack},
		{"ReadOutside", testReadOutside},
		{"Partitions", testPartitions},
		{"BadPages", testBadPages},
		{"Invisible", testInvisible},
		{"Exists", testExists},
		{"Delete", testDelete},
		{"DeleteUnderReaders", testDeleteUnderReaders},
		{"Heads", testHeads},
		{"HeadRefused", testHeadRefused},
		{"SwapRace", testSwapRace},
		{"Context", testContext},
		{"ManyRuns", testManyRuns},
		{"Large", testLarge},
		{"Cancelled", testCancelled},
		{"Model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func testEmpty(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	blob, latest, err := s.Head(ctx, p, 0)
	require.NoError(t, err)
	assert.Zero(t, latest)
	assert.Empty(t, blob)
	_, latest, err = s.Head(ctx, p, 1)
	assert.ErrorIs(t, err, sse.ErrMissing)
	assert.Zero(t, latest)
	infos, err := s.Segments(ctx, p)
	require.NoError(t, err)
	assert.Empty(t, infos)
	_, err = s.Read(ctx, p, []sse.Run{{Segment: sse.GenerateID(), Count: 1}})
	assert.ErrorIs(t, err, sse.ErrMissing)
	assert.ErrorIs(t, s.DeleteSegment(ctx, p, sse.GenerateID()), sse.ErrMissing)
	out, err := s.Read(ctx, p, nil)
	require.NoError(t, err)
	assert.Empty(t, out)
	infos, err = s.Segments(ctx, p)
	require.NoError(t, err)
	assert.Empty(t, infos, "looking made nothing")
}

func testReadBack(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	before := time.Now()
	sizes := []uint32{1, 2, 63, 64, 65, 300}
	segments := make([]sse.ID, len(sizes))
	for i, n := range sizes {
		segments[i] = sse.GenerateID()
		require.NoError(t, s.WriteSegment(ctx, p, segments[i], pages(uint64(i), n)))
	}
	infos, err := s.Segments(ctx, p)
	require.NoError(t, err)
	require.Len(t, infos, len(sizes))
	for _, info := range infos {
		for i, id := range segments {
			if id == info.ID {
				assert.Equal(t, sizes[i], info.Pages)
			}
		}
		// An hour allows for the clock of a server.
		assert.WithinRange(t, info.Created, before.Add(-time.Hour), time.Now().Add(time.Hour))
	}

	var runs []sse.Run
	var want [][]byte
	ask := func(i int, first, count uint32) {
		runs = append(runs, sse.Run{Segment: segments[i], First: first, Count: count})
		want = append(want, run(uint64(i), first, count))
	}
	for i, n := range sizes {
		ask(i, 0, n)
		ask(i, n-1, 1)
		ask(i, n, 0)
		ask(i, 0, 0)
	}
	ask(5, 10, 200) // overlapping, out of order, twice
	ask(0, 0, 1)
	ask(5, 150, 150)
	ask(5, 150, 150)
	ask(3, 62, 2)
	for range 2 {
		got, err := s.Read(ctx, p, runs)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			assert.True(t, bytes.Equal(want[i], got[i]), "run %d: %v", i, runs[i])
			for j := range got[i] {
				got[i][j] = 0 // ours to spoil
			}
		}
	}
}

func testReadOutside(t *testing.T, s sse.Store) {
	ctx, p, id := t.Context(), sse.GenerateID(), sse.GenerateID()
	require.NoError(t, s.WriteSegment(ctx, p, id, pages(1, 5)))
	for _, r := range []sse.Run{
		{First: 5, Count: 1}, {First: 0, Count: 6}, {First: 4, Count: 2}, {First: 6, Count: 0}, {First: 0, Count: math.MaxUint32},
		{First: math.MaxUint32, Count: 1}, {First: math.MaxUint32, Count: math.MaxUint32}, {First: 1, Count: math.MaxUint32},
	} {
		r.Segment = id
		_, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 1}, r})
		assert.Error(t, err, "%v", r)
	}
	_, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 1}, {Segment: sse.GenerateID(), Count: 1}})
	assert.ErrorIs(t, err, sse.ErrMissing)
}

func testPartitions(t *testing.T, s sse.Store) {
	ctx, p, q, id := t.Context(), sse.GenerateID(), sse.GenerateID(), sse.GenerateID()
	require.NoError(t, s.WriteSegment(ctx, p, id, pages(1, 2)))
	require.NoError(t, s.SwapHead(ctx, p, 1, []byte("p")))
	_, err := s.Read(ctx, q, []sse.Run{{Segment: id, Count: 1}})
	assert.ErrorIs(t, err, sse.ErrMissing)
	_, latest, err := s.Head(ctx, q, 0)
	require.NoError(t, err)
	assert.Zero(t, latest)
	require.NoError(t, s.WriteSegment(ctx, q, id, pages(2, 3)))
	require.NoError(t, s.SwapHead(ctx, q, 1, []byte("q")))
	require.NoError(t, s.DeleteSegment(ctx, p, id))
	got, err := s.Read(ctx, q, []sse.Run{{Segment: id, Count: 3}})
	require.NoError(t, err)
	assert.Equal(t, run(2, 0, 3), got[0])
	for part, want := range map[sse.ID]string{p: "p", q: "q"} {
		blob, latest, err := s.Head(ctx, part, 0)
		require.NoError(t, err)
		assert.EqualValues(t, 1, latest)
		assert.Equal(t, want, string(blob))
	}
}

func testBadPages(t *testing.T, s sse.Store) {
	ctx, p, id := t.Context(), sse.GenerateID(), sse.GenerateID()
	absent := func(what string) {
		t.Helper()
		_, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 1}})
		assert.ErrorIs(t, err, sse.ErrMissing, what)
		infos, err := s.Segments(ctx, p)
		require.NoError(t, err)
		assert.Empty(t, infos, what)
	}
	broken := errors.New("broken")
	for _, at := range []uint32{0, 1, 64, 130} {
		for _, bad := range []struct {
			page []byte
			err  error
		}{
			{nil, nil}, {make([]byte, sse.PageSize-1), nil}, {make([]byte, sse.PageSize+1), nil}, {make([]byte, 2*sse.PageSize), nil},
			{nil, broken}, {page(1, at), broken},
		} {
			starts := 0
			err := s.WriteSegment(ctx, p, id, func(yield func([]byte, error) bool) {
				starts++
				for n := range at {
					if !yield(page(1, n), nil) {
						assert.Fail(t, "stopped at a good page")
						return
					}
				}
				if yield(bad.page, bad.err) {
					assert.Fail(t, "went on after a bad page")
				}
			})
			what := fmt.Sprintf("%d bytes, %v, at page %d", len(bad.page), bad.err, at)
			assert.Error(t, err, what)
			if bad.err != nil {
				assert.ErrorIs(t, err, broken, what)
			}
			assert.Equal(t, 1, starts, "pages are pulled once")
			absent(what)
		}
		assert.Panics(t, func() {
			_ = s.WriteSegment(ctx, p, id, func(yield func([]byte, error) bool) {
				for n := range at {
					yield(page(1, n), nil)
				}
				panic("in the middle")
			})
		})
		absent("panic")
	}
	assert.Error(t, s.WriteSegment(ctx, p, id, pages(1, 0)), "a segment without pages")
	absent("no pages")
	require.NoError(t, s.WriteSegment(ctx, p, id, pages(1, 3)), "the ID is still free")
}

func testInvisible(t *testing.T, s sse.Store) {
	ctx, p, id := t.Context(), sse.GenerateID(), sse.GenerateID()
	require.NoError(t, s.WriteSegment(ctx, p, id, func(yield func([]byte, error) bool) {
		for n := range uint32(200) {
			if !yield(page(9, n), nil) {
				return
			}
			if n%50 == 0 || n == 199 {
				_, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 1}})
				assert.ErrorIs(t, err, sse.ErrMissing)
				infos, err := s.Segments(ctx, p)
				assert.NoError(t, err)
				assert.Empty(t, infos)
				// A long write keeps nobody else from working.
				assert.NoError(t, s.SwapHead(ctx, p, uint64(n/50)+1+uint64(n/199), []byte{1}))
				assert.NoError(t, s.WriteSegment(ctx, sse.GenerateID(), id, pages(8, 1)))
			}
		}
	}))
	got, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 200}})
	require.NoError(t, err)
	assert.True(t, bytes.Equal(run(9, 0, 200), got[0]))
}

func testExists(t *testing.T, s sse.Store) {
	ctx, p, id := t.Context(), sse.GenerateID(), sse.GenerateID()
	const writers, size = 8, 70
	var won atomic.Uint64
	var wins atomic.Int32
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			err := s.WriteSegment(ctx, p, id, pages(w, size))
			if err == nil {
				wins.Add(1)
				won.Store(w)
			} else {
				assert.ErrorIs(t, err, sse.ErrExists)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, wins.Load(), "exactly one writer gets the ID")
	assert.ErrorIs(t, s.WriteSegment(ctx, p, id, pages(99, 1)), sse.ErrExists)
	got, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: size}})
	require.NoError(t, err)
	assert.True(t, bytes.Equal(run(won.Load(), 0, size), got[0]), "the winner's pages and nobody else's")
	infos, err := s.Segments(ctx, p)
	require.NoError(t, err)
	assert.Len(t, infos, 1)
}

func testDelete(t *testing.T, s sse.Store) {
	ctx, p, gone, stays := t.Context(), sse.GenerateID(), sse.GenerateID(), sse.GenerateID()
	require.NoError(t, s.WriteSegment(ctx, p, gone, pages(1, 3)))
	require.NoError(t, s.WriteSegment(ctx, p, stays, pages(2, 3)))
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.DeleteSegment(ctx, p, gone); err == nil {
				wins.Add(1)
			} else {
				assert.ErrorIs(t, err, sse.ErrMissing)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, wins.Load(), "exactly one sweeper removed it")
	_, err := s.Read(ctx, p, []sse.Run{{Segment: gone, Count: 1}})
	assert.ErrorIs(t, err, sse.ErrMissing)
	infos, err := s.Segments(ctx, p)
	require.NoError(t, err)
	assert.Equal(t, []sse.ID{stays}, ids(infos))
	got, err := s.Read(ctx, p, []sse.Run{{Segment: stays, Count: 3}})
	require.NoError(t, err)
	assert.Equal(t, run(2, 0, 3), got[0])
}

func testDeleteUnderReaders(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	const size = 40
	for round := range uint64(5) {
		id := sse.GenerateID()
		require.NoError(t, s.WriteSegment(ctx, p, id, pages(round, size)))
		var wg sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				for n := 0; ; n++ {
					got, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: size}})
					if n == 0 {
						started <- struct{}{}
					}
					if err != nil {
						assert.ErrorIs(t, err, sse.ErrMissing)
						return
					}
					if !assert.True(t, bytes.Equal(run(round, 0, size), got[0])) {
						return
					}
				}
			})
		}
		for range 4 {
			<-started
		}
		assert.NoError(t, s.DeleteSegment(ctx, p, id))
		wg.Wait() // readers end, so they see that it is gone
	}
}
