package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
)

// filled yields count pages full of one byte.
func filled(with byte, count int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		page := bytes.Repeat([]byte{with}, sse.PageSize)
		for range count {
			if !yield(page, nil) {
				return
			}
		}
	}
}

// requireWholeOrAbsent says which it is.
func requireWholeOrAbsent(t *testing.T, s sse.Store, p, id sse.ID, with byte, count int) bool {
	t.Helper()
	got, err := s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: uint32(count)}})
	infos, lerr := s.Segments(t.Context(), p)
	require.NoError(t, lerr)
	listed := false
	for _, info := range infos {
		listed = listed || info.ID == id && int(info.Pages) == count
	}
	if err != nil {
		require.ErrorIs(t, err, sse.ErrMissing)
		return false
	}
	require.True(t, listed)
	require.True(t, bytes.Equal(bytes.Repeat([]byte{with}, count*sse.PageSize), got[0]))
	return true
}

// TestRoundTrips counts how often a client speaks to the server, on the wire, once a connection has prepared its statements.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	_, dsn := created(t, server)
	x := newProxy(t, server)
	s, p := open(t, x.pool(t, dsn)), sse.GenerateID()
	version := uint64(0)
	var segments []sse.ID
	for range 6 {
		segments = append(segments, sse.GenerateID())
	}
	var runs []sse.Run
	for i := range 300 {
		runs = append(runs, sse.Run{Segment: segments[i%5], First: uint32(i), Count: uint32(i % 50)})
	}
	steps := []struct {
		what  string
		turns int64
		do    func() error
	}{
		{"first write", -1, func() error { return s.WriteSegment(t.Context(), p, segments[0], filled(1, 400)) }},
		{"write", 1, func() error { return s.WriteSegment(t.Context(), p, segments[1], filled(1, 400)) }},
		{"write of 2 MiB", 1, func() error { return s.WriteSegment(t.Context(), p, segments[2], filled(1, 512)) }},
		{"first large write", -1, func() error { return s.WriteSegment(t.Context(), p, segments[3], filled(1, 2000)) }},
		// Sweep, registration, three batches of 2 MiB, the rest.
		{"large write", 6, func() error { return s.WriteSegment(t.Context(), p, segments[4], filled(1, 2000)) }},
		{"first read", -1, func() error { _, err := s.Read(t.Context(), p, runs[:1]); return err }},
		{"read", 1, func() error { _, err := s.Read(t.Context(), p, runs); return err }},
		{"first list", -1, func() error { _, err := s.Segments(t.Context(), p); return err }},
		{"list", 1, func() error { _, err := s.Segments(t.Context(), p); return err }},
		{"swap 1", -1, func() error { version++; return s.SwapHead(t.Context(), p, version, []byte("head")) }},
		{"swap 2", -1, func() error { version++; return s.SwapHead(t.Context(), p, version, []byte("head")) }},
		{"swap 3", 1, func() error { version++; return s.SwapHead(t.Context(), p, version, make([]byte, 1<<20)) }},
		{"first head", -1, func() error { _, _, err := s.Head(t.Context(), p, 0); return err }},
		{"head", 1, func() error { _, _, err := s.Head(t.Context(), p, 0); return err }},
		{"first delete", -1, func() error { return s.DeleteSegment(t.Context(), p, segments[0]) }},
		{"delete", 1, func() error { return s.DeleteSegment(t.Context(), p, segments[1]) }},
	}
	for _, step := range steps {
		before := x.turns.Load()
		require.NoError(t, step.do(), step.what)
		if step.turns >= 0 {
			assert.Equal(t, step.turns, x.turns.Load()-before, step.what)
		}
	}
}

// TestLateSwap: a swap is given up by its caller while it is on its way. Once Head has told that it did not take effect, it cannot when it arrives.
func TestLateSwap(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	direct, dsn := created(t, server)
	other := open(t, direct)
	for _, last := range []uint64{0, 2} {
		for _, asks := range []bool{true, false} {
			x := newProxy(t, server)
			s, p, q := open(t, x.pool(t, dsn)), sse.GenerateID(), sse.GenerateID()
			for v := uint64(1); v <= 3; v++ { // prepares the statements, on this one connection
				require.NoError(t, s.SwapHead(t.Context(), q, v, []byte("elsewhere")))
			}
			for v := uint64(1); v <= last; v++ {
				require.NoError(t, s.SwapHead(t.Context(), p, v, []byte("before")))
			}
			x.held.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := s.SwapHead(ctx, p, last+1, []byte("late"))
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			x.held.Store(false) // for new connections: what is held stays held
			if asks {
				_, latest, err := s.Head(t.Context(), p, last+1)
				require.ErrorIs(t, err, sse.ErrMissing)
				require.Equal(t, last, latest)
			}
			close(x.free)
			// The server has dealt with what was held when it has ended the connection that this came over.
			left := 0
			if asks {
				left = 1
			}
			require.Eventually(t, func() bool {
				n := -1
				err := direct.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", x.Addr().String()).Scan(&n)
				return err == nil && n == left
			}, time.Minute, 10*time.Millisecond)
			blob, latest, err := other.Head(t.Context(), p, 0)
			require.NoError(t, err)
			if !asks { // nobody asked, so it may: this shows that it did arrive
				require.Equal(t, last+1, latest)
				require.Equal(t, "late", string(blob))
				continue
			}
			require.Equal(t, last, latest, "the late swap took effect")
			require.NoError(t, other.SwapHead(t.Context(), p, last+1, []byte("next")), "who knows nothing of the fence")
			require.ErrorIs(t, s.SwapHead(t.Context(), p, last+1, []byte("second")), sse.ErrConflict)
			require.NoError(t, s.SwapHead(t.Context(), p, last+2, []byte("after")))
		}
	}
}

// TestConnectionCut cuts the connection after so and so many bytes of each call, in both directions together.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	direct, dsn := created(t, server)
	watch := open(t, direct)
	x := newProxy(t, server)
	s, p := open(t, x.pool(t, dsn)), sse.GenerateID()
	cuts := 16
	if testing.Short() {
		cuts = 5
	}
	// each calls do undisturbed first, and then cuts it at moments spread over the bytes that this took, the answer included.
	each := func(do func(n int) error, look func(n int, err error)) {
		t.Helper()
		require.NoError(t, do(-2)) // statements are prepared
		before := x.bytes.Load()
		require.NoError(t, do(-1))
		total := x.bytes.Load() - before
		failed := 0
		for n := range cuts {
			require.NoError(t, s.DeleteSegment(t.Context(), p, put(t, s, p)), "there is a connection that works")
			x.cutAt.Store(total * int64(n) / int64(cuts))
			err := do(n)
			x.cutAt.Store(-1)
			if err != nil {
				failed++
			}
			look(n, err)
		}
		require.Positive(t, failed, "the cuts hit")
	}

	for _, size := range []int{3, 1500} {
		ids := make(map[int]sse.ID)
		each(func(n int) error {
			ids[n] = sse.GenerateID()
			return s.WriteSegment(t.Context(), p, ids[n], filled(byte(size), size))
		}, func(n int, err error) {
			there := requireWholeOrAbsent(t, watch, p, ids[n], byte(size), size)
			require.True(t, err != nil || there, "what was acknowledged is there")
		})
	}

	ids := make(map[int]sse.ID)
	for n := -2; n < cuts; n++ {
		ids[n] = sse.GenerateID()
		require.NoError(t, watch.WriteSegment(t.Context(), p, ids[n], filled(9, 20)))
	}
	each(func(n int) error { return s.DeleteSegment(t.Context(), p, ids[n]) }, func(n int, err error) {
		there := requireWholeOrAbsent(t, watch, p, ids[n], 9, 20)
		require.True(t, err != nil || !there, "what was acknowledged is gone")
	})

	for _, size := range []int{1000, 3 << 20} {
		q, version := sse.GenerateID(), uint64(0)
		require.NoError(t, s.SwapHead(t.Context(), q, 1, nil))
		version = 1
		blob := func(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d;", n), size/4) }
		each(func(n int) error {
			err := s.SwapHead(t.Context(), q, version+1, blob(n))
			if err == nil {
				version++
			}
			return err
		}, func(n int, err error) {
			got, latest, herr := s.Head(t.Context(), q, 0)
			require.NoError(t, herr)
			if err != nil {
				require.NotErrorIs(t, err, sse.ErrConflict)
				if latest == version { // for good
					require.NoError(t, watch.SwapHead(t.Context(), q, version+1, blob(n)))
					got, latest, herr = s.Head(t.Context(), q, 0)
					require.NoError(t, herr)
				}
				version++
			}
			require.Equal(t, version, latest)
			require.True(t, bytes.Equal(blob(n), got))
		})
	}

	// Reads are repeated over another connection, if there is one to be had.
	id := put(t, s, p)
	before := x.bytes.Load()
	for range 2 {
		before = x.bytes.Load()
		require.True(t, requireWholeOrAbsent(t, s, p, id, 7, 2))
	}
	total := x.bytes.Load() - before
	for n := range cuts {
		x.cutAt.Store(total * int64(n) / int64(cuts))
		require.True(t, requireWholeOrAbsent(t, s, p, id, 7, 2))
		x.cutAt.Store(-1)
	}
}

// put stores a segment of two pages.
func put(t *testing.T, s sse.Store, p sse.ID) sse.ID {
	t.Helper()
	id := sse.GenerateID()
	// The first use of a connection that was cut fails.
	require.Eventually(t, func() bool {
		err := s.WriteSegment(t.Context(), p, id, filled(7, 2))
		if err != nil {
			id = sse.GenerateID()
		}
		return err == nil
	}, time.Minute, time.Millisecond)
	return id
}
