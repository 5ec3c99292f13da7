package postgres_test

import (
	"crypto/rand"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
)

// random yields count pages that no database can compress, as sealed ones are.
func random(count int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		page := make([]byte, sse.PageSize)
		for range count {
			_, _ = rand.Read(page)
			if !yield(page, nil) {
				return
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	s, p := newStore(b), sse.GenerateID()
	var segments []sse.ID
	const size = 1024
	for range 8 {
		segments = append(segments, sse.GenerateID())
		require.NoError(b, s.WriteSegment(b.Context(), p, segments[len(segments)-1], random(size)))
	}
	for _, c := range []struct {
		runs  int
		count uint32
	}{{1, 1}, {8, 1}, {64, 1}, {512, 1}, {1, 16}, {1, 64}, {1, 512}, {8, 64}} {
		b.Run(fmt.Sprintf("runs=%d/pages=%d", c.runs, c.count), func(b *testing.B) {
			b.SetBytes(int64(c.runs) * int64(c.count) * sse.PageSize)
			next := uint32(7)
			for b.Loop() {
				runs := make([]sse.Run, c.runs)
				for i := range runs {
					next = next*1664525 + 1013904223 // spreads over the pages
					runs[i] = sse.Run{Segment: segments[i%len(segments)], First: (next >> 8) % (size - c.count), Count: c.count}
				}
				_, err := s.Read(b.Context(), p, runs)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N)*float64(c.runs)*float64(c.count)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

func BenchmarkWriteSegment(b *testing.B) {
	for _, pages := range []int{1, 16, 512, 16384} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			s, p := newStore(b), sse.GenerateID()
			b.SetBytes(int64(pages) * sse.PageSize)
			for b.Loop() {
				require.NoError(b, s.WriteSegment(b.Context(), p, sse.GenerateID(), random(pages)))
			}
			b.ReportMetric(float64(b.N)*float64(pages)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

func BenchmarkSwapHead(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			s, p := newStore(b), sse.GenerateID()
			blob := make([]byte, size)
			_, _ = rand.Read(blob)
			version := uint64(0)
			for b.Loop() {
				version++
				require.NoError(b, s.SwapHead(b.Context(), p, version, blob))
			}
		})
	}
}

func BenchmarkHead(b *testing.B) {
	s, p := newStore(b), sse.GenerateID()
	blob := make([]byte, 16<<10)
	_, _ = rand.Read(blob)
	require.NoError(b, s.SwapHead(b.Context(), p, 1, blob))
	for b.Loop() {
		_, _, err := s.Head(b.Context(), p, 0)
		require.NoError(b, err)
	}
}
