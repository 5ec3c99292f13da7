package s3_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

// TestIndex: several writers, each with a store and an index of its own, put and delete documents and compact in between.
func TestIndex(t *testing.T) {
	t.Parallel()
	server := servers.S3(t)
	at := s3.Place{Bucket: server.Bucket(t), Prefix: "ward/"}
	ctx, part, key := t.Context(), sse.GenerateID(), make([]byte, sse.KeySize)
	schema := sse.Schema{Fields: []sse.Field{
		{Name: "name", Type: sse.Text, Fuzzy: true}, {Name: "writer", Type: sse.Keyword}, {Name: "n", Type: sse.Integer, Min: 0, Max: 1000},
	}}
	first, err := sse.Create(ctx, mustOpen(t, server.Client(t), at), key, part, schema, sse.Options{})
	require.NoError(t, err)
	const writers, batches, size = 4, 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		ix, err := sse.Open(ctx, mustOpen(t, server.Client(t), at), key, part, sse.Options{})
		require.NoError(t, err)
		wg.Go(func() {
			for b := range batches {
				var batch sse.Batch
				for i := range size {
					n := b*size + i
					batch.Put = append(batch.Put, sse.Document{ID: fmt.Sprintf("w%d-%d", w, n), Revision: 1, Stored: fmt.Appendf(nil, "row %d", n), Fields: sse.Fields{
						"name": {sse.String("Müller")}, "writer": {sse.String(fmt.Sprint("w", w))}, "n": {sse.Int(int64(n))},
					}})
				}
				if b > 0 { // one of the batch before
					batch.Delete = []sse.Deletion{{ID: fmt.Sprintf("w%d-%d", w, (b-1)*size), Revision: 1}}
				}
				if !assert.NoError(t, ix.Apply(ctx, batch)) {
					return
				}
			}
			if w == 0 {
				assert.NoError(t, ix.Compact(ctx, sse.CompactOptions{}))
			}
		})
	}
	wg.Wait()
	check := func(ix *sse.Index) {
		t.Helper()
		require.NoError(t, ix.Verify(ctx))
		const live = batches*size - (batches - 1)
		for q, want := range map[string]struct {
			query sse.Query
			n     int
		}{
			"fuzzy": {sse.Fuzzy("name", "muler", 1), writers * live},
			"term":  {sse.Term("writer", sse.String("w2")), live},
			"and":   {sse.And(sse.Term("writer", sse.String("w1")), sse.Range("n", sse.Int(0), sse.Int(size-1))), size - 1},
		} {
			res, err := ix.Search(ctx, want.query, sse.SearchOptions{Limit: 10_000})
			require.NoError(t, err)
			require.Len(t, res.Hits, want.n, q)
		}
		_, err := ix.Get(ctx, "w3-0")
		require.ErrorIs(t, err, sse.ErrNotFound)
		h, err := ix.Get(ctx, "w3-1")
		require.NoError(t, err)
		require.Equal(t, "row 1", string(h.Stored))
	}
	check(first)
	require.NoError(t, first.Compact(ctx, sse.CompactOptions{Full: true, DeleteNow: true}))
	again, err := sse.Open(ctx, mustOpen(t, server.Client(t), at), key, part, sse.Options{Anchor: first.Anchor()})
	require.NoError(t, err)
	check(again)
}

// TestWriteMemory: a long segment is never in memory as a whole, however slow the service.
func TestWriteMemory(t *testing.T) {
	server := servers.S3(t)
	s, p, id := mustOpen(t, server.Client(t), s3.Place{Bucket: server.Bucket(t)}), sse.GenerateID(), sse.GenerateID()
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const count = 24 << 10 // 96 MiB
	before, most := live(), uint64(0)
	require.NoError(t, s.WriteSegment(t.Context(), p, id, func(yield func([]byte, error) bool) {
		b := page(0)
		for n := range uint32(count) {
			if n%2000 == 1999 {
				most = max(most, live())
			}
			if !yield(b, nil) {
				return
			}
		}
	}))
	assert.Less(t, most-min(most, before), uint64(48<<20), "four parts of 8 MiB, and what the connections need")
	got, err := s.Read(t.Context(), p, []sse.Run{{Segment: id, First: count - 1, Count: 1}, {Segment: id, Count: 1}})
	require.NoError(t, err)
	assert.Equal(t, page(0), got[0])
	assert.Equal(t, page(0), got[1])
}
