package ssetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
)

// testManyRuns reads a thousand runs of twenty segments at once, forwards, backwards and crossing.
func testManyRuns(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	const segments, size = 20, 50
	for n := range uint64(segments) {
		require.NoError(t, s.WriteSegment(ctx, p, numbered(1, n), pages(n, size)))
	}
	var runs []sse.Run
	for i := range uint32(1000) {
		first := i * 31 % size
		runs = append(runs, sse.Run{Segment: numbered(1, uint64(i*7%segments)), First: first, Count: min(i%5, size-first)})
	}
	got, err := s.Read(ctx, p, runs)
	require.NoError(t, err)
	require.Len(t, got, len(runs))
	for i, r := range runs {
		require.True(t, bytes.Equal(run(uint64(i*7%segments), r.First, r.Count), got[i]), "run %d: %v", i, r)
	}
	runs[999].Segment = numbered(2, 0)
	_, err = s.Read(ctx, p, runs)
	require.ErrorIs(t, err, sse.ErrMissing, "one of many is missing")
}

// largePages is more than stores write in one piece: 10 MiB and a page.
const largePages = 2561

// testLarge writes a large segment, during which nobody sees it, refuses one that ends in an error late, and keeps a large head.
func testLarge(t *testing.T, s sse.Store) {
	ctx, p, id := t.Context(), sse.GenerateID(), sse.GenerateID()
	unseen := func() {
		_, err := s.Read(ctx, p, []sse.Run{{Segment: id, Count: 1}})
		assert.ErrorIs(t, err, sse.ErrMissing)
		infos, err := s.Segments(ctx, p)
		assert.NoError(t, err)
		assert.Empty(t, infos)
	}
	for _, good := range []uint32{largePages - 1, largePages} {
		err := s.WriteSegment(ctx, p, id, func(yield func([]byte, error) bool) {
			for n := range good {
				if n%1000 == 999 {
					unseen()
				}
				if !yield(page(3, n), nil) {
					return
				}
			}
			if good != largePages {
				yield(make([]byte, sse.PageSize-1), nil)
			}
		})
		if good == largePages {
			require.NoError(t, err)
			continue
		}
		require.Error(t, err)
		unseen()
	}
	require.ErrorIs(t, s.WriteSegment(ctx, p, id, pages(4, largePages)), sse.ErrExists)
	infos, err := s.Segments(ctx, p)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.EqualValues(t, largePages, infos[0].Pages)
	runs := []sse.Run{{Segment: id, Count: largePages}}
	for n := uint32(0); n < largePages; n += 97 {
		runs = append(runs, sse.Run{Segment: id, First: n, Count: min(2, largePages-n)})
	}
	got, err := s.Read(ctx, p, runs)
	require.NoError(t, err)
	for i, r := range runs {
		require.True(t, bytes.Equal(run(3, r.First, r.Count), got[i]), "%v", r)
	}
	require.NoError(t, s.DeleteSegment(ctx, p, id))
	unseen()

	for version := uint64(1); version <= 3; version++ {
		blob := run(version, 0, 1400)[:5<<20+int(version)]
		require.ErrorIs(t, s.SwapHead(ctx, p, version+1, blob), sse.ErrConflict)
		require.NoError(t, s.SwapHead(ctx, p, version, blob))
		require.ErrorIs(t, s.SwapHead(ctx, p, version, blob), sse.ErrConflict)
		got, latest, err := s.Head(ctx, p, 0)
		require.NoError(t, err)
		require.Equal(t, version, latest)
		require.True(t, bytes.Equal(blob, got))
	}
}

// testCancelled ends the context of each call at moments spread over the time that it takes. What a call that failed left is what was there before, or, of
// a swap, all of the new: whichever Head says.
func testCancelled(t *testing.T, s sse.Store) {
	p, rounds := sse.GenerateID(), 12
	if testing.Short() {
		rounds = 6
	}
	old := sse.GenerateID()
	require.NoError(t, s.WriteSegment(t.Context(), p, old, pages(1, 700)))
	// cancelled calls do with a context that ends after a share of the time that the call takes undisturbed.
	cancelled := func(round int, do func(ctx context.Context) error, undisturbed time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), undisturbed*time.Duration(round)/time.Duration(rounds))
		defer cancel()
		err := do(ctx)
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		return err
	}
	timed := func(do func(ctx context.Context) error) time.Duration {
		start := time.Now()
		require.NoError(t, do(t.Context()))
		return time.Since(start)
	}

	read := func(ctx context.Context) error {
		got, err := s.Read(ctx, p, []sse.Run{{Segment: old, Count: 700}, {Segment: old, First: 3, Count: 1}})
		if err == nil {
			require.True(t, bytes.Equal(run(1, 0, 700), got[0]))
		}
		return err
	}
	took := timed(read)
	for round := range rounds {
		_ = cancelled(round, read, took)
	}

	for _, size := range []uint32{3, 700} {
		write := func(id sse.ID) func(ctx context.Context) error {
			return func(ctx context.Context) error { return s.WriteSegment(ctx, p, id, pages(2, size)) }
		}
		took := timed(write(sse.GenerateID()))
		for round := range rounds {
			id := sse.GenerateID()
			err := cancelled(round, write(id), took)
			got, rerr := s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: size}})
			if err == nil {
				require.NoError(t, rerr)
				require.True(t, bytes.Equal(run(2, 0, size), got[0]))
				continue
			}
			require.ErrorIs(t, rerr, sse.ErrMissing, "an error, so it is not there")
			// The ID is free, unless the cancelled call comes to a server only now: then the segment is there whole.
			if err := write(id)(t.Context()); !errors.Is(err, sse.ErrExists) {
				require.NoError(t, err)
			}
			got, rerr = s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: size}})
			require.NoError(t, rerr)
			require.True(t, bytes.Equal(run(2, 0, size), got[0]))
		}
	}

	for round := range rounds {
		id := sse.GenerateID()
		require.NoError(t, s.WriteSegment(t.Context(), p, id, pages(2, 40)))
		if round == 0 {
			took = timed(func(ctx context.Context) error { return s.DeleteSegment(ctx, p, id) })
			continue
		}
		err := cancelled(round, func(ctx context.Context) error { return s.DeleteSegment(ctx, p, id) }, took)
		got, rerr := s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 40}})
		if err == nil || rerr != nil {
			require.ErrorIs(t, rerr, sse.ErrMissing, "%v", err)
			continue
		}
		require.True(t, bytes.Equal(run(2, 0, 40), got[0]), "it is there whole")
	}

	head := func(version uint64, round int) []byte {
		return bytes.Repeat([]byte(fmt.Sprint(version, " ", round, ";")), 10_000)
	}
	took = timed(func(ctx context.Context) error { return s.SwapHead(ctx, p, 1, head(1, 0)) })
	version := uint64(1)
	for round := range rounds {
		err := cancelled(round, func(ctx context.Context) error { return s.SwapHead(ctx, p, version+1, head(version+1, round)) }, took)
		got, latest, herr := s.Head(t.Context(), p, 0)
		require.NoError(t, herr)
		if err == nil {
			require.Equal(t, version+1, latest)
		}
		if latest == version+1 {
			version++
			require.True(t, bytes.Equal(head(version, round), got))
			continue
		}
		require.Equal(t, version, latest)
		version++
		// Head said that the version is free. If the cancelled swap comes to a server only now it is that, whole.
		want := head(version, -1)
		if err := s.SwapHead(t.Context(), p, version, want); errors.Is(err, sse.ErrConflict) {
			want = head(version, round)
		} else {
			require.NoError(t, err)
		}
		got, latest, herr = s.Head(t.Context(), p, 0)
		require.NoError(t, herr)
		require.Equal(t, version, latest)
		require.True(t, bytes.Equal(want, got))
	}
}
