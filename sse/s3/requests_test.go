package s3_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

// page is page n of a segment.
func page(n uint32) []byte {
	b := make([]byte, 0, sse.PageSize)
	for len(b) < sse.PageSize {
		b = binary.BigEndian.AppendUint32(b, n)
		b = binary.BigEndian.AppendUint32(b, uint32(len(b)))
	}
	return b
}

func pages(count uint32) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := range count {
			if !yield(page(n), nil) {
				return
			}
		}
	}
}

// isRun says whether b is what a run must hold.
func isRun(b []byte, first, count uint32) bool {
	if len(b) != int(count)*sse.PageSize {
		return false
	}
	for n := range count {
		if !bytes.Equal(page(first+n), b[n*sse.PageSize:(n+1)*sse.PageSize]) {
			return false
		}
	}
	return true
}

func mustWrite(t *testing.T, s sse.Store, p sse.ID, count uint32) sse.ID {
	t.Helper()
	id := sse.GenerateID()
	require.NoError(t, s.WriteSegment(t.Context(), p, id, pages(count)))
	return id
}

// TestReadRequests counts the requests of reads, and holds each back until all have been sent: a read is one round.
func TestReadRequests(t *testing.T) {
	server := servers.S3(t)
	client, w := newWatched(t, server)
	s, p := mustOpen(t, client, s3.Place{Bucket: server.Bucket(t)}), sse.GenerateID()
	const length = 600
	a, b := mustWrite(t, s, p, length), mustWrite(t, s, p, length)
	run := func(id sse.ID, first, count uint32) sse.Run { return sse.Run{Segment: id, First: first, Count: count} }
	far := func(n int) (runs []sse.Run) {
		for i := range uint32(n) {
			runs = append(runs, run(a, i*34, 1)) // 33 pages between them
		}
		return runs
	}
	for _, c := range []struct {
		what string
		runs []sse.Run
		want string
	}{
		{"nothing", nil, ""},
		{"one run", []sse.Run{run(a, 3, 2)}, "GET"},
		{"the same twice", []sse.Run{run(a, 3, 2), run(a, 3, 2)}, "GET"},
		{"overlap, out of order", []sse.Run{run(a, 100, 50), run(a, 90, 20), run(a, 92, 1)}, "GET"},
		{"32 pages between", []sse.Run{run(a, 43, 1), run(a, 10, 1)}, "GET"},
		{"33 pages between", []sse.Run{run(a, 44, 1), run(a, 10, 1)}, "GET GET"},
		{"two segments", []sse.Run{run(a, 3, 2), run(b, 3, 2)}, "GET GET"},
		{"two segments, two runs each", []sse.Run{run(b, 500, 2), run(a, 3, 2), run(a, 500, 2), run(b, 3, 2)}, "GET GET GET GET"},
		{"whole segments", []sse.Run{run(a, 0, length), run(b, 0, length)}, "GET GET"},
		{"empty run", []sse.Run{run(a, 3, 0)}, "HEAD"},
		{"empty runs", []sse.Run{run(a, 3, 0), run(a, 600, 0), run(b, 0, 0)}, "HEAD HEAD"},
		{"empty run beside another", []sse.Run{run(a, 600, 0), run(a, 3, 1)}, "GET"},
		{"as many as go out at once", far(16), strings.TrimSpace(strings.Repeat("GET ", 16))},
	} {
		for _, runs := range [][]sse.Run{c.runs, c.runs} {
			want := strings.Fields(c.want)
			w.hold(len(want))
			got, err := s.Read(t.Context(), p, runs)
			require.NoError(t, err, c.what)
			assert.Equal(t, want, append([]string{}, w.take()...), c.what)
			require.Len(t, got, len(runs))
			for i, r := range runs {
				assert.True(t, isRun(got[i], r.First, r.Count), "%s: run %d", c.what, i)
			}
		}
	}
	// 17 are two rounds: held until 17 are there, the 17th never comes.
	w.hold(17)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			w.mu.Lock()
			n := len(w.lines)
			w.mu.Unlock()
			if n >= 16 {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := s.Read(ctx, p, far(17))
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, w.take(), 16)
	got, err := s.Read(t.Context(), p, far(17))
	require.NoError(t, err)
	assert.Len(t, got, 17)
	assert.Len(t, w.take(), 17)
}

// TestOtherRequests counts the requests of everything else.
func TestOtherRequests(t *testing.T) {
	server := servers.S3(t)
	client, w := newWatched(t, server)
	at := s3.Place{Bucket: server.Bucket(t), Prefix: "x/"}
	expect := func(what, want string) {
		t.Helper()
		assert.Equal(t, want, strings.Join(w.take(), " "), what)
	}
	mustOpen(t, client, at)
	expect("open a new store", "GET LIST PUT PUT HEAD")
	s := mustOpen(t, client, at)
	expect("open a store that is there", "GET PUT HEAD")

	ctx, p := t.Context(), sse.GenerateID()
	_, _, err := s.Head(ctx, p, 0)
	require.NoError(t, err)
	expect("no head", "LIST")
	require.NoError(t, s.SwapHead(ctx, p, 1, []byte("1")))
	expect("first head", "PUT LIST")
	w.hold(2)
	_, _, err = s.Head(ctx, p, 0)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"LIST", "GET"}, w.take(), "a head that is known, in one round")
	require.NoError(t, s.SwapHead(ctx, p, 2, []byte("2")))
	expect("next head", "PUT LIST")
	s = mustOpen(t, client, at)
	w.take()
	require.NoError(t, s.SwapHead(ctx, p, 3, []byte("3")))
	expect("next head without having looked", "HEAD PUT LIST")
	require.ErrorIs(t, s.SwapHead(ctx, p, 3, []byte("3")), sse.ErrConflict)
	expect("lost", "HEAD PUT HEAD")
	s = mustOpen(t, client, at)
	w.take()
	_, _, err = s.Head(ctx, p, 0)
	require.NoError(t, err)
	expect("a head that is not known", "LIST GET")
	for v := uint64(4); v <= sse.HeadsKept+1; v++ {
		w.take()
		require.NoError(t, s.SwapHead(ctx, p, v, nil))
	}
	assert.Equal(t, "PUT", w.lines[0])
	assert.ElementsMatch(t, []string{"PUT", "LIST", "DELETE"}, w.take(), "one head too many")
	_, latest, err := s.Head(ctx, p, 1)
	require.ErrorIs(t, err, sse.ErrMissing)
	require.EqualValues(t, sse.HeadsKept+1, latest)

	w.take()
	id := mustWrite(t, s, p, 2048)
	expect("a segment of 8 MiB", "PUT")
	long := mustWrite(t, s, p, 2048+1)
	expect("a page more", "HEAD BEGIN PART PART COMPLETE")
	_, err = s.Segments(ctx, p)
	require.NoError(t, err)
	expect("segments", "LIST")
	require.NoError(t, s.DeleteSegment(ctx, p, id))
	expect("delete", "HEAD DELETE")
	require.ErrorIs(t, s.DeleteSegment(ctx, p, id), sse.ErrMissing)
	expect("delete what is not there", "HEAD")
	require.ErrorIs(t, s.WriteSegment(ctx, p, long, pages(5000)), sse.ErrExists)
	expect("a long segment that exists is not sent", "HEAD")
}
