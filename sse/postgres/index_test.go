package postgres_test

import (
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/postgres"
)

// TestIndex is an index with several writers, each with a pool of its own, and readers, a compaction and a change of the key among them.
func TestIndex(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	pool, dsn := created(t, server)
	key, newKey := make([]byte, sse.KeySize), make([]byte, sse.KeySize)
	_, _ = rand.Read(key)
	_, _ = rand.Read(newKey)
	p := sse.GenerateID()
	ix, err := sse.Create(t.Context(), open(t, pool), key, p, sse.Schema{Fields: []sse.Field{
		{Name: "ward", Type: sse.Keyword}, {Name: "name", Type: sse.Text, Fuzzy: true},
	}}, sse.Options{})
	require.NoError(t, err)
	doc := func(w, n int) sse.Document {
		return sse.Document{
			ID: fmt.Sprint("record ", w, " ", n), Revision: 1, Stored: fmt.Append(nil, "bed ", n),
			Fields: sse.Fields{"ward": {sse.String(fmt.Sprint("ward ", w))}, "name": {sse.String([]string{"Müller", "Meier", "Schmidt"}[n%3])}},
		}
	}
	const writers, batches, size = 4, 5, 30
	var wg sync.WaitGroup
	for w := range writers {
		mine, err := sse.Open(t.Context(), open(t, newPool(t, dsn)), key, p, sse.Options{})
		require.NoError(t, err)
		wg.Go(func() {
			for b := range batches {
				var batch sse.Batch
				for n := range size {
					batch.Put = append(batch.Put, doc(w, b*size+n))
				}
				if !assert.NoError(t, mine.Apply(t.Context(), batch)) {
					return
				}
				res, err := mine.Search(t.Context(), sse.Term("ward", sse.String(fmt.Sprint("ward ", w))), sse.SearchOptions{CountOnly: true})
				assert.NoError(t, err)
				assert.Equal(t, (b+1)*size, res.Total, "a writer finds what it wrote")
			}
		})
	}
	wg.Wait()
	require.NoError(t, ix.Compact(t.Context(), sse.CompactOptions{Full: true, NewKey: newKey, DeleteNow: true}))
	after, err := sse.Open(t.Context(), open(t, newPool(t, dsn)), newKey, p, sse.Options{})
	require.NoError(t, err)
	res, err := after.Search(t.Context(), sse.And(sse.Term("ward", sse.String("ward 2")), sse.Fuzzy("name", "muler", 1)), sse.SearchOptions{Limit: 1000})
	require.NoError(t, err)
	require.Equal(t, batches*size/3, res.Total)
	require.Len(t, res.Hits, res.Total)
	for _, h := range res.Hits {
		require.Contains(t, h.ID, "record 2 ")
		require.Contains(t, string(h.Stored), "bed ")
	}
	_, err = sse.Open(t.Context(), open(t, pool), key, p, sse.Options{})
	require.ErrorIs(t, err, sse.ErrDecrypt, "the old key")

	stats, err := after.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, writers*batches*size, stats.Rows)
	_, err = open(t, pool).Sweep(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Zero(t, count(t, pool, "uploads"), "nothing is left half written")

	// A restored backup is an older state, which who has seen the newer one refuses.
	anchor := stats.Anchor
	sql(t, pool, "CREATE TABLE @.backup AS SELECT * FROM @.partitions")
	require.NoError(t, after.Apply(t.Context(), sse.Batch{Put: []sse.Document{doc(9, 9)}}))
	newer, err := after.Stats(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, anchor, newer.Anchor)
	sql(t, pool, "UPDATE @.partitions SET latest = (SELECT latest FROM @.backup)")
	restored, err := postgres.Open(t.Context(), pool, schema)
	require.NoError(t, err)
	_, err = sse.Open(t.Context(), restored, newKey, p, sse.Options{Anchor: newer.Anchor})
	require.ErrorIs(t, err, sse.ErrRollback)
}
