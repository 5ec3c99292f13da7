package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loadedDocs yields documents of 40 terms, of which the k-th most common stands in about one of k.
func loadedDocs(n int) func(yield func(Document, error) bool) {
	return func(yield func(Document, error) bool) {
		r := rand.New(rand.NewPCG(11, 12))
		z := rand.NewZipf(r, 1.1, 8, 1<<18)
		for i := range n {
			tags := make([]Value, 40)
			for j := range tags {
				tags[j] = String(fmt.Sprintf("t%d", z.Uint64()))
			}
			if !yield(Document{ID: fmt.Sprintf("document-%08d", i), Revision: 1, Fields: Fields{"tags": tags}}, nil) {
				return
			}
		}
	}
}

var loadedSchema = Schema{Fields: []Field{{Name: "tags", Type: Keyword}}}

// BenchmarkLoad writes documents in bulk. Its peak is that of the process, from its start.
func BenchmarkLoad(b *testing.B) {
	for _, docs := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint("docs=", docs), func(b *testing.B) {
			for b.Loop() {
				d, err := OpenDir(b.TempDir())
				require.NoError(b, err)
				ix := mustCreate(b, d, loadedSchema, Options{})
				_, err = ix.Load(context.Background(), loadedDocs(docs), LoadOptions{New: true})
				require.NoError(b, err)
				st, err := ix.Stats(context.Background())
				require.NoError(b, err)
				require.Equal(b, docs, st.Rows)
				b.ReportMetric(float64(st.Segments), "segments")
				b.ReportMetric(float64(st.Bytes)/float64(docs), "B/doc")
			}
			b.ReportMetric(float64(docs)*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
			if status, err := os.ReadFile("/proc/self/status"); err == nil {
				_, peak, _ := strings.Cut(string(status), "VmHWM:")
				var kB int
				if _, err := fmt.Sscan(peak, &kB); err == nil {
					b.ReportMetric(float64(kB)/1024, "peak-MiB")
				}
			}
		})
	}
}

// BenchmarkApplyOne makes single records durable, one after the other and with eight writers at once, and then compares a search with one in
// segments that were loaded in bulk.
func BenchmarkApplyOne(b *testing.B) {
	ctx := context.Background()
	open := func(b *testing.B) (*Dir, *Index) {
		d, err := OpenDir(b.TempDir())
		require.NoError(b, err)
		ix, err := Create(ctx, d, testKey, ID{1}, loadedSchema, Options{})
		require.NoError(b, err)
		return d, ix
	}
	put := func(b *testing.B, ix *Index, docs func(func(Document, error) bool)) {
		for d := range docs {
			require.NoError(b, ix.Apply(ctx, Batch{Put: []Document{d}}))
		}
	}
	b.Run("writers=1", func(b *testing.B) {
		d, ix := open(b)
		n := syncs(d)
		i := 0
		for b.Loop() {
			require.NoError(b, ix.Apply(ctx, Batch{Put: []Document{{ID: fmt.Sprint(i), Revision: 1, Fields: Fields{"tags": {String("t"), String(fmt.Sprint(i))}}}}}))
			i++
		}
		ix.Close()
		b.ReportMetric(float64(n.Load())/float64(i), "syncs/op")
	})
	b.Run("writers=8", func(b *testing.B) {
		d, ix := open(b)
		n := syncs(d)
		b.SetParallelism(4) // of two cores
		b.RunParallel(func(p *testing.PB) {
			r := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for p.Next() {
				require.NoError(b, ix.Apply(ctx, Batch{Put: []Document{{ID: fmt.Sprint(r.Uint64()), Revision: 1, Fields: Fields{"tags": {String("t")}}}}}))
			}
		})
		ix.Close()
		b.ReportMetric(float64(n.Load())/float64(b.N), "syncs/op")
	})
	const docs = 10_000
	for _, how := range []string{"loaded", "added"} {
		b.Run("search="+how, func(b *testing.B) {
			_, ix := open(b)
			if how == "loaded" {
				_, err := ix.Load(ctx, loadedDocs(docs), LoadOptions{New: true})
				require.NoError(b, err)
			} else {
				put(b, ix, loadedDocs(docs))
			}
			settle(b, ix)
			ix.Close()
			st, err := ix.Stats(ctx)
			require.NoError(b, err)
			for b.Loop() {
				for k := range 20 {
					_, err := ix.Search(ctx, Term("tags", String(fmt.Sprint("t", k*k))), SearchOptions{Limit: 10})
					require.NoError(b, err)
				}
			}
			b.ReportMetric(float64(st.Segments), "segments")
		})
	}
}
