package s3_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

// The server is on this machine, so these say what the store costs, not what a network does.

func benchStore(b *testing.B) (*s3.Store, sse.ID) {
	server := servers.S3(b)
	s, err := s3.Open(b.Context(), server.Client(b), s3.Place{Bucket: server.Bucket(b)})
	require.NoError(b, err)
	return s, sse.GenerateID()
}

func BenchmarkWrite(b *testing.B) {
	for _, count := range []uint32{16, 2048, 32768} {
		b.Run(fmt.Sprintf("pages=%d", count), func(b *testing.B) {
			s, p := benchStore(b)
			one := page(0)
			b.SetBytes(int64(count) * sse.PageSize)
			for b.Loop() {
				id := sse.GenerateID()
				require.NoError(b, s.WriteSegment(b.Context(), p, id, func(yield func([]byte, error) bool) {
					for range count {
						if !yield(one, nil) {
							return
						}
					}
				}))
				b.StopTimer()
				require.NoError(b, s.DeleteSegment(b.Context(), p, id))
				b.StartTimer()
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s, p := benchStore(b)
	const length = 8192
	id := sse.GenerateID()
	require.NoError(b, s.WriteSegment(b.Context(), p, id, pages(length)))
	for _, c := range []struct {
		runs  int
		count uint32
	}{{1, 1}, {16, 1}, {64, 1}, {1, length}} {
		b.Run(fmt.Sprintf("runs=%d/pages=%d", c.runs, c.count), func(b *testing.B) {
			var runs []sse.Run
			for i := range c.runs {
				runs = append(runs, sse.Run{Segment: id, First: uint32(i) * 100, Count: c.count})
			}
			b.SetBytes(int64(c.runs) * int64(c.count) * sse.PageSize)
			for b.Loop() {
				_, err := s.Read(b.Context(), p, runs)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkHead(b *testing.B) {
	s, p := benchStore(b)
	v := uint64(0)
	blob := make([]byte, 16<<10)
	b.Run("swap", func(b *testing.B) {
		for b.Loop() {
			v++
			require.NoError(b, s.SwapHead(b.Context(), p, v, blob))
		}
	})
	b.Run("latest", func(b *testing.B) {
		for b.Loop() {
			_, _, err := s.Head(b.Context(), p, 0)
			require.NoError(b, err)
		}
	})
}
