package ssetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
	"pgregory.net/rapid"
)

func testHeads(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	const last = sse.HeadsKept + 8
	content := func(v uint64) []byte { return bytes.Repeat([]byte(fmt.Sprint("head ", v, ";")), int(v*v)) }
	for v := uint64(1); v <= last; v++ {
		blob := content(v)
		require.NoError(t, s.SwapHead(ctx, p, v, blob))
		clear(blob)
		got, latest, err := s.Head(ctx, p, 0)
		require.NoError(t, err)
		require.Equal(t, v, latest)
		require.True(t, bytes.Equal(content(v), got))
		clear(got) // ours to spoil
	}
	for v := uint64(1); v <= last; v++ {
		got, latest, err := s.Head(ctx, p, v)
		assert.EqualValues(t, last, latest)
		if v <= last-sse.HeadsKept && errors.Is(err, sse.ErrMissing) {
			continue // old enough
		}
		require.NoError(t, err, "head %d is kept", v)
		assert.True(t, bytes.Equal(content(v), got))
	}
	for _, v := range []uint64{last + 1, math.MaxUint64} {
		_, latest, err := s.Head(ctx, p, v)
		assert.ErrorIs(t, err, sse.ErrMissing)
		assert.EqualValues(t, last, latest)
	}
}

func testHeadRefused(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	for _, v := range []uint64{0, 2, math.MaxUint64} {
		assert.Error(t, s.SwapHead(ctx, p, v, []byte("x")), "version %d first", v)
	}
	require.NoError(t, s.SwapHead(ctx, p, 1, nil))
	blob, latest, err := s.Head(ctx, p, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, latest)
	assert.Empty(t, blob)
	require.NoError(t, s.SwapHead(ctx, p, 2, []byte("two")))
	for _, v := range []uint64{1, 2, 4, math.MaxUint64} {
		assert.ErrorIs(t, s.SwapHead(ctx, p, v, []byte("x")), sse.ErrConflict, "version %d", v)
	}
	err = s.SwapHead(ctx, p, 0, []byte("x"))
	assert.Error(t, err)
	err = s.SwapHead(ctx, p, 3, make([]byte, sse.MaxHead+1))
	assert.Error(t, err, "too long")
	assert.NotErrorIs(t, err, sse.ErrConflict)
	blob, latest, err = s.Head(ctx, p, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 2, latest)
	assert.Equal(t, "two", string(blob))
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	require.NoError(t, s.SwapHead(ctx, p, 3, big))
	blob, _, err = s.Head(ctx, p, 0)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(big, blob))
}

// addLine appends a line to the head until it is the one that wins, and returns the version.
func addLine(ctx context.Context, s sse.Store, p sse.ID, line string) (uint64, error) {
	for {
		blob, latest, err := s.Head(ctx, p, 0)
		if err != nil {
			return 0, err
		}
		err = s.SwapHead(ctx, p, latest+1, append(blob, line+"\n"...))
		if !errors.Is(err, sse.ErrConflict) {
			return latest + 1, err
		}
	}
}

// requireLines checks that the head holds each line exactly once, and that as many versions were made.
func requireLines(t *testing.T, s sse.Store, p sse.ID, want map[string]bool) {
	t.Helper()
	blob, latest, err := s.Head(t.Context(), p, 0)
	require.NoError(t, err)
	require.EqualValues(t, len(want), latest)
	lines := strings.Split(strings.TrimSuffix(string(blob), "\n"), "\n")
	require.Len(t, lines, len(want))
	for _, line := range lines {
		require.True(t, want[line], "line %q is there twice or was never written", line)
		delete(want, line)
	}
}

func testSwapRace(t *testing.T, s sse.Store) {
	ctx, p := t.Context(), sse.GenerateID()
	const writers, each = 8, 12
	want := make(map[string]bool)
	var wg sync.WaitGroup
	for w := range writers {
		for i := range each {
			want[fmt.Sprintf("%d %d", w, i)] = true
		}
		wg.Go(func() {
			for i := range each {
				_, err := addLine(ctx, s, p, fmt.Sprintf("%d %d", w, i))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	requireLines(t, s, p, want)
}

func testContext(t *testing.T, s sse.Store) {
	p, id, other := sse.GenerateID(), sse.GenerateID(), sse.GenerateID()
	require.NoError(t, s.WriteSegment(t.Context(), p, id, pages(1, 3)))
	require.NoError(t, s.SwapHead(t.Context(), p, 1, []byte("one")))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Read(ended, p, []sse.Run{{Segment: id, Count: 1}})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = s.Segments(ended, p)
	assert.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Head(ended, p, 0)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, s.DeleteSegment(ended, p, id), context.Canceled)
	assert.ErrorIs(t, s.SwapHead(ended, p, 2, []byte("two")), context.Canceled)
	assert.ErrorIs(t, s.WriteSegment(ended, p, other, pages(2, 3)), context.Canceled)
	for _, at := range []uint32{0, 1, 100} {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.WriteSegment(ctx, p, other, func(yield func([]byte, error) bool) {
			for n := range uint32(200) {
				if n == at {
					cancel()
				}
				if !yield(page(2, n), nil) {
					return
				}
			}
		})
		cancel()
		assert.ErrorIs(t, err, context.Canceled, "at page %d", at)
	}

	infos, err := s.Segments(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, []sse.ID{id}, ids(infos))
	blob, latest, err := s.Head(t.Context(), p, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, latest)
	assert.Equal(t, "one", string(blob))
	require.NoError(t, s.WriteSegment(t.Context(), p, other, pages(2, 3)))
}

// testModel runs random sequences against two maps. Every sequence has partitions of its own.
func testModel(t *testing.T, s sse.Store) {
	rapid.Check(t, func(r *rapid.T) {
		ctx := t.Context()
		parts := []sse.ID{sse.GenerateID(), sse.GenerateID()}
		names := []sse.ID{sse.GenerateID(), sse.GenerateID(), sse.GenerateID()}
		type key struct{ p, s sse.ID }
		type content struct {
			seed  uint64
			count uint32
		}
		segments := make(map[key]content)
		heads := make(map[sse.ID]uint64)
		drawKey := func(r *rapid.T) key {
			return key{rapid.SampledFrom(parts).Draw(r, "partition"), rapid.SampledFrom(names).Draw(r, "segment")}
		}
		r.Repeat(map[string]func(*rapid.T){
			"write": func(r *rapid.T) {
				k, c := drawKey(r), content{rapid.Uint64().Draw(r, "seed"), rapid.Uint32Range(1, 5).Draw(r, "count")}
				err := s.WriteSegment(ctx, k.p, k.s, pages(c.seed, c.count))
				if _, taken := segments[k]; taken {
					require.ErrorIs(r, err, sse.ErrExists)
					return
				}
				require.NoError(r, err)
				segments[k] = c
			},
			"delete": func(r *rapid.T) {
				k := drawKey(r)
				err := s.DeleteSegment(ctx, k.p, k.s)
				if _, there := segments[k]; !there {
					require.ErrorIs(r, err, sse.ErrMissing)
					return
				}
				require.NoError(r, err)
				delete(segments, k)
			},
			"read": func(r *rapid.T) {
				k := drawKey(r)
				q := sse.Run{Segment: k.s, First: rapid.Uint32Range(0, 6).Draw(r, "first"), Count: rapid.Uint32Range(0, 6).Draw(r, "count")}
				got, err := s.Read(ctx, k.p, []sse.Run{q})
				c, there := segments[k]
				switch {
				case !there:
					require.ErrorIs(r, err, sse.ErrMissing)
				case q.First+q.Count > c.count:
					require.Error(r, err)
				default:
					require.NoError(r, err)
					require.True(r, bytes.Equal(run(c.seed, q.First, q.Count), got[0]))
				}
			},
			"swap": func(r *rapid.T) {
				p, v := rapid.SampledFrom(parts).Draw(r, "partition"), rapid.Uint64Range(1, 5).Draw(r, "version")
				err := s.SwapHead(ctx, p, v, page(v, 0))
				if v != heads[p]+1 {
					require.ErrorIs(r, err, sse.ErrConflict)
					return
				}
				require.NoError(r, err)
				heads[p] = v
			},
			"": func(r *rapid.T) {
				for _, p := range parts {
					var want []sse.ID
					for k := range segments {
						if k.p == p {
							want = append(want, k.s)
						}
					}
					infos, err := s.Segments(ctx, p)
					require.NoError(r, err)
					require.ElementsMatch(r, want, ids(infos))
					blob, latest, err := s.Head(ctx, p, 0)
					require.NoError(r, err)
					require.Equal(r, heads[p], latest)
					if latest > 0 {
						require.Equal(r, page(latest, 0), blob)
					}
				}
			},
		})
	})
}
