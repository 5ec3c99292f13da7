package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

// broken is a store behind a proxy, and the same store without it.
func broken(t *testing.T) (p *proxy, far, near *s3.Store, at s3.Place) {
	t.Helper()
	server := servers.S3(t)
	at = s3.Place{Bucket: server.Bucket(t)}
	near = mustOpen(t, server.Client(t), at)
	p = newProxy(t, server)
	return p, mustOpen(t, p.client(t), at), near, at
}

// TestCutReads breaks connections in the middle of answers, in their head and in their body, up to four times for one run.
func TestCutReads(t *testing.T) {
	t.Parallel() // it mostly waits
	p, far, near, _ := broken(t)
	part := sse.GenerateID()
	id := mustWrite(t, near, part, 300)
	runs := []sse.Run{{Segment: id, First: 5, Count: 250}}
	for _, faults := range [][]fault{
		{cutDown(0)}, {cutDown(1)}, {cutDown(100)}, {cutDown(700)}, {cutDown(5000)}, {cutDown(250 * sse.PageSize)}, {cutUp(0)}, {cutUp(50)},
		{cutDown(100_000), cutDown(5000), cutUp(10), cutDown(400_000), cutDown(300_000)},
	} {
		p.next(faults...)
		got, err := far.Read(t.Context(), part, runs)
		require.NoError(t, err, "%v", faults)
		require.True(t, isRun(got[0], 5, 250), "%v", faults)
		require.Zero(t, p.left(), "%v", faults)
	}
	require.NoError(t, near.SwapHead(t.Context(), part, 1, bytes.Repeat([]byte("head"), 50_000)))
	for _, n := range []int64{0, 300, 1000, 150_000} {
		for order := range 2 { // the listing and the head go out together
			p.next([]fault{cutDown(n), none}[order], []fault{cutDown(n), none}[1-order])
			blob, latest, err := far.Head(t.Context(), part, 0)
			require.NoError(t, err)
			require.EqualValues(t, 1, latest)
			require.True(t, bytes.Equal(bytes.Repeat([]byte("head"), 50_000), blob))
		}
	}
	// Without end it is an error, after a bounded number of tries.
	always := cutDown(3000)
	p.every(&always)
	_, err := far.Read(t.Context(), part, runs)
	require.Error(t, err)
	assert.NotErrorIs(t, err, sse.ErrMissing)
	assert.ErrorContains(t, err, "broke off")
}

// TestReplacedWhileRead: an answer that broke off is not taken up with the bytes of another object.
func TestReplacedWhileRead(t *testing.T) {
	t.Parallel() // it mostly waits
	p, far, near, at := broken(t)
	part := sse.GenerateID()
	id := mustWrite(t, near, part, 300)
	server := servers.S3(t)
	replace := func() {
		other := bytes.Repeat([]byte{7}, 300*sse.PageSize)
		put(t, server.Client(t), at.Bucket, part.String()+"/segments/"+id.String(), other)
	}
	far.SetStall(time.Hour)
	stands := hangDown(100_000)
	p.next(stands)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := far.Read(ctx, part, []sse.Run{{Segment: id, Count: 300}})
		done <- err
	}()
	<-p.hung
	replace()
	p.cut()
	require.ErrorIs(t, <-done, sse.ErrDamaged)
}

// TestStandstill: an answer that stands still in the middle is asked for again; and who waits for one can be called off.
func TestStandstill(t *testing.T) {
	t.Parallel() // it mostly waits
	p, far, near, _ := broken(t)
	part := sse.GenerateID()
	id := mustWrite(t, near, part, 300)
	runs := []sse.Run{{Segment: id, Count: 300}}
	far.SetStall(200 * time.Millisecond)
	p.next(hangDown(200_000), hangDown(5000))
	got, err := far.Read(t.Context(), part, runs)
	require.NoError(t, err)
	require.True(t, isRun(got[0], 0, 300))
	for range 2 {
		<-p.hung
	}

	far.SetStall(time.Hour)
	far.SetPatience(50*time.Millisecond, time.Minute)
	var written sse.ID
	calls := map[string]func(ctx context.Context) error{
		"Read":     func(ctx context.Context) error { _, err := far.Read(ctx, part, runs); return err },
		"Segments": func(ctx context.Context) error { _, err := far.Segments(ctx, part); return err },
		"Head":     func(ctx context.Context) error { _, _, err := far.Head(ctx, part, 0); return err },
		"SwapHead": func(ctx context.Context) error { return far.SwapHead(ctx, part, 1, []byte("x")) },
		"Delete":   func(ctx context.Context) error { return far.DeleteSegment(ctx, part, id) },
		"Write":    func(ctx context.Context) error { return far.WriteSegment(ctx, part, written, pages(3)) },
		"WriteLong": func(ctx context.Context) error {
			return far.WriteSegment(ctx, part, sse.GenerateID(), pages(2500))
		},
	}
	for name, call := range calls {
		for _, n := range []int64{0, 10} {
			written = sse.GenerateID()
			p.next(hangDown(n))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- call(ctx) }()
			<-p.hung
			cancel()
			require.ErrorIs(t, <-done, context.Canceled, name) // would wait for ever
			if n > 0 {                                         // the service had begun to answer, so the segment was there, and what was given up is undone
				_, err := near.Read(t.Context(), part, []sse.Run{{Segment: written, Count: 1}})
				require.ErrorIs(t, err, sse.ErrMissing)
			}
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, call := range calls {
		require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
	}
}

// TestGivenUpButDone: who gives up a write that the service is just carrying out is told how it ended.
func TestGivenUpButDone(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, c := range map[string]struct {
		before int // requests before the one that stores
		call   func(ctx context.Context, s *s3.Store, part, id sse.ID) error
	}{
		"SwapHead": {0, func(ctx context.Context, s *s3.Store, part, _ sse.ID) error {
			return s.SwapHead(ctx, part, 1, []byte("1"))
		}},
		"WriteSegment": {0, func(ctx context.Context, s *s3.Store, part, id sse.ID) error {
			return s.WriteSegment(ctx, part, id, pages(3))
		}},
		"long": {4, func(ctx context.Context, s *s3.Store, part, id sse.ID) error {
			return s.WriteSegment(ctx, part, id, pages(2500))
		}},
	} {
		p, far, near, _ := broken(t)
		part, id := sse.GenerateID(), sse.GenerateID()
		far.SetPatience(time.Hour, time.Hour)
		faults := make([]fault, c.before, c.before+1)
		for i := range faults {
			faults[i] = none
		}
		p.next(append(faults, hangDown(10))...)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.call(ctx, far, part, id) }()
		<-p.hung
		cancel()
		p.cut()
		require.NoError(t, <-done, name)
		_, latest, err := near.Head(t.Context(), part, 0)
		require.NoError(t, err)
		infos, err := near.Segments(t.Context(), part)
		require.NoError(t, err)
		require.EqualValues(t, 1, latest+uint64(len(infos)), name)
	}
}

// TestLateSwap: a swap that was given up may still arrive, and takes effect if nobody else stored that version; not otherwise. So who does not know
// how a swap ended keeps what its head names.
func TestLateSwap(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, last := range []uint64{0, 2} {
		for _, taken := range []bool{false, true} {
			p, far, near, _ := broken(t)
			part, ctx := sse.GenerateID(), t.Context()
			far.SetPatience(50*time.Millisecond, time.Minute)
			for v := uint64(1); v <= last; v++ {
				require.NoError(t, far.SwapHead(ctx, part, v, []byte("before")))
			}
			p.next(late)
			given, cancel := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- far.SwapHead(given, part, last+1, []byte("late")) }()
			<-p.hung
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
			_, latest, err := far.Head(ctx, part, last+1)
			require.ErrorIs(t, err, sse.ErrMissing)
			require.Equal(t, last, latest)
			want := "late"
			if taken {
				want = "next"
				require.NoError(t, near.SwapHead(ctx, part, last+1, []byte(want)))
			}
			p.cut()
			<-p.done
			for _, s := range []*s3.Store{near, far} {
				blob, latest, err := s.Head(ctx, part, 0)
				require.NoError(t, err)
				require.Equal(t, last+1, latest)
				require.Equal(t, want, string(blob))
			}
			require.ErrorIs(t, far.SwapHead(ctx, part, last+1, []byte("again")), sse.ErrConflict)
			require.NoError(t, far.SwapHead(ctx, part, last+2, []byte("after")))
		}
	}
}

// TestLostAnswers loses the answers to requests that the service carried out. The retry is told that the object exists, and finds out
// that it is its own; unless it is another's.
func TestLostAnswers(t *testing.T) {
	t.Parallel() // it mostly waits
	p, far, near, _ := broken(t)
	ctx, part := t.Context(), sse.GenerateID()
	for _, count := range []uint32{3, 2048, 2500} { // one PUT; one PUT; multipart
		if testing.Short() && count == 2048 {
			continue
		}
		for lost := range 7 {
			id := sse.GenerateID()
			faults := make([]fault, lost+1)
			for i := range lost {
				faults[i] = none
			}
			faults[lost] = loseAnswer
			p.next(faults...)
			require.NoError(t, far.WriteSegment(ctx, part, id, pages(count)), "%d pages, request %d", count, lost)
			got, err := near.Read(ctx, part, []sse.Run{{Segment: id, Count: count}})
			require.NoError(t, err)
			require.True(t, isRun(got[0], 0, count))
			p.next(loseAnswer, loseAnswer)
			require.ErrorIs(t, far.WriteSegment(ctx, part, id, pages(count)), sse.ErrExists)
			p.next()
			require.NoError(t, near.DeleteSegment(ctx, part, id))
		}
	}
	for v := uint64(1); v <= 12; v++ {
		faults := []fault{none, none, none, none}
		faults[v%4] = loseAnswer
		p.next(faults...)
		blob := fmt.Appendf(nil, "head %d", v)
		require.NoError(t, far.SwapHead(ctx, part, v, blob))
		p.next(loseAnswer, loseAnswer)
		require.ErrorIs(t, far.SwapHead(ctx, part, v, blob), sse.ErrConflict, "the same bytes again are another's")
		p.next()
		got, latest, err := near.Head(ctx, part, 0)
		require.NoError(t, err)
		require.Equal(t, v, latest)
		require.Equal(t, blob, got)
	}
}

// TestCutWrites breaks connections in the middle of requests. Writes get through in the end; what does not is not there.
func TestCutWrites(t *testing.T) {
	t.Parallel() // it mostly waits
	p, far, near, _ := broken(t)
	ctx, part := t.Context(), sse.GenerateID()
	for _, count := range []uint32{300, 2500} {
		for _, faults := range [][]fault{
			{cutUp(0)}, {cutUp(100)}, {cutUp(1000)}, {cutUp(200_000), cutUp(2000)}, {none, cutUp(100_000), cutUp(5)}, {none, none, cutUp(300_000)},
			{none, none, none, cutUp(300), none, cutUp(700)},
		} {
			id := sse.GenerateID()
			p.next(faults...)
			require.NoError(t, far.WriteSegment(ctx, part, id, pages(count)), "%d pages, %v", count, faults)
			got, err := near.Read(ctx, part, []sse.Run{{Segment: id, Count: count}})
			require.NoError(t, err)
			require.True(t, isRun(got[0], 0, count))
			require.NoError(t, near.DeleteSegment(ctx, part, id))
		}
	}
	p.next()
	far.SetPatience(50*time.Millisecond, 50*time.Millisecond)
	for _, always := range []fault{cutUp(3000), cutUp(100), cutDown(0)} {
		for _, count := range []uint32{300, 2500} {
			if testing.Short() && count > 300 {
				continue
			}
			// The client tries again for seconds, mostly: it draws its pauses.
			ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			p.every(&always)
			err := far.WriteSegment(ctx, part, sse.GenerateID(), pages(count))
			p.every(nil)
			cancel()
			require.Error(t, err)
			require.NotErrorIs(t, err, sse.ErrExists)
		}
	}
	// A request whose answers are all lost is carried out all the same: then the segment is there, whole, for the sweep to find.
	infos, err := near.Segments(t.Context(), part)
	require.NoError(t, err)
	for _, info := range infos {
		got, err := near.Read(t.Context(), part, []sse.Run{{Segment: info.ID, Count: info.Pages}})
		require.NoError(t, err)
		require.True(t, isRun(got[0], 0, 300), "whole or not at all")
	}
}

// TestConditions asks the server itself, under concurrency: of many requests to create an object, in one piece and in parts, one is
// carried out.
func TestConditions(t *testing.T) {
	t.Parallel() // it mostly waits
	server := servers.S3(t)
	bucket := server.Bucket(t)
	const rounds, writers = 20, 8
	create := map[string]func(c *minio.Client, key string, b []byte) error{
		"PUT": func(c *minio.Client, key string, b []byte) error {
			var o minio.PutObjectOptions
			o.SetMatchETagExcept("*")
			_, err := c.PutObject(t.Context(), bucket, key, bytes.NewReader(b), int64(len(b)), o)
			return err
		},
		"multipart": func(c *minio.Client, key string, b []byte) error {
			core := minio.Core{Client: c}
			id, err := core.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
			if err != nil {
				return err
			}
			p, err := core.PutObjectPart(t.Context(), bucket, key, id, 1, bytes.NewReader(b), int64(len(b)), minio.PutObjectPartOptions{})
			if err != nil {
				return err
			}
			var o minio.PutObjectOptions
			o.SetMatchETagExcept("*")
			_, err = core.CompleteMultipartUpload(t.Context(), bucket, key, id, []minio.CompletePart{{PartNumber: 1, ETag: p.ETag}}, o)
			return err
		},
	}
	for name, create := range create {
		for round := range rounds {
			key := fmt.Sprint(name, round)
			var won atomic.Int32
			var winner atomic.Int32
			var wg sync.WaitGroup
			start := make(chan struct{})
			for w := range writers {
				c := server.Client(t)
				wg.Go(func() {
					<-start
					err := create(c, key, bytes.Repeat([]byte{byte(w)}, 20_000))
					if err == nil {
						won.Add(1)
						winner.Store(int32(w))
						return
					}
					assert.Equal(t, minio.PreconditionFailed, minio.ToErrorResponse(err).Code)
				})
			}
			close(start)
			wg.Wait()
			require.EqualValues(t, 1, won.Load(), key)
			o, err := server.Client(t).GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
			require.NoError(t, err)
			b := make([]byte, 1)
			_, err = o.Read(b)
			require.NoError(t, err)
			require.EqualValues(t, winner.Load(), b[0])
			require.NoError(t, o.Close())
		}
	}
}

// TestServerKilled kills the server with SIGKILL at different points of writes, and starts it again. What was acknowledged is there, the
// rest whole or not at all, and writers that wait go on.
func TestServerKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	server := servers.NewS3(t)
	s, part := mustOpen(t, server.Client(t), s3.Place{Bucket: server.Bucket(t)}), sse.GenerateID()
	restart := func() {
		require.NoError(t, server.Kill())
		require.NoError(t, server.Start())
	}
	const count = 5000 // three parts
	written := 0
	for _, at := range []uint32{0, 1000, 2048, 2100, 4200, count - 1} {
		for _, stays := range []bool{false, true} { // down until the writer gives up, or back at once
			id := sse.GenerateID()
			ctx, cancel := context.WithCancel(t.Context())
			err := s.WriteSegment(ctx, part, id, func(yield func([]byte, error) bool) {
				for n := range uint32(count) {
					if n == at {
						require.NoError(t, server.Kill())
						if stays {
							time.AfterFunc(300*time.Millisecond, cancel) // the client would try for long
						} else {
							require.NoError(t, server.Start())
						}
					}
					if !yield(page(n), nil) {
						return
					}
				}
			})
			cancel()
			if stays {
				require.ErrorIs(t, err, context.Canceled)
				require.NoError(t, server.Start())
			}
			infos, e := s.Segments(t.Context(), part)
			require.NoError(t, e)
			if err == nil {
				written++
				got, err := s.Read(t.Context(), part, []sse.Run{{Segment: id, Count: count}})
				require.NoError(t, err)
				require.True(t, isRun(got[0], 0, count))
			} else {
				_, err := s.Read(t.Context(), part, []sse.Run{{Segment: id, Count: 1}})
				require.ErrorIs(t, err, sse.ErrMissing)
			}
			require.Len(t, infos, written)
		}
	}

	// A writer of heads does not stop while the server is killed under it again and again.
	stop := make(chan struct{})
	done := make(chan uint64)
	go func() {
		v := uint64(0)
		for {
			select {
			case <-stop:
				done <- v
				return
			default:
			}
			err := s.SwapHead(t.Context(), part, v+1, fmt.Appendf(nil, "head %d", v+1))
			if err == nil {
				v++
				continue
			}
			// The outcome is unknown: look.
			_, latest, e := s.Head(t.Context(), part, 0)
			if e != nil {
				continue
			}
			if !assert.Contains(t, []uint64{v, v + 1}, latest, "%v", err) {
				done <- v
				return
			}
			assert.False(t, errors.Is(err, sse.ErrConflict) && latest == v, "nobody else is there to lose to")
			v = latest
		}
	}()
	for range 8 {
		time.Sleep(50 * time.Millisecond)
		restart()
	}
	close(stop)
	v := <-done
	blob, latest, err := s.Head(t.Context(), part, 0)
	require.NoError(t, err)
	require.Equal(t, v, latest)
	require.Equal(t, fmt.Sprintf("head %d", v), string(blob))
	require.Positive(t, v)
}
