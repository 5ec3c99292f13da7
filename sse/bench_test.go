package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
)

// The load of examples/ward: 30,000 records with some fifteen terms, in batches of 2,000 over three partitions.
const (
	benchDocs       = 30_000
	benchBatch      = 2_000
	benchPartitions = 3
)

var benchSchema = Schema{Fields: []Field{
	{Name: "type", Type: Keyword},
	{Name: "patient", Type: Keyword},
	{Name: "code", Type: Keyword},
	{Name: "name", Type: Text, Prefix: true, Fuzzy: true},
	{Name: "text", Type: Text},
	{Name: "date", Type: Date},
}}

func benchDocuments(n int) []Document {
	r := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ba ko ri ta mu ne lo si da wu ger ham ton ber lin")
	word := func(n int) string {
		s := ""
		for range 2 + r.IntN(3) {
			s += syllables[r.IntN(len(syllables))]
		}
		return s + fmt.Sprint(r.IntN(n))
	}
	words := make([]string, 500)
	for i := range words {
		words[i] = word(5)
	}
	docs := make([]Document, n)
	for i := range docs {
		p := r.IntN(150)
		text := make([]string, 4)
		for j := range text {
			text[j] = words[int(float64(len(words))*r.Float64()*r.Float64())]
		}
		docs[i] = Document{
			ID: fmt.Sprintf("%08x-%04x-%04x-%08x", r.Uint32(), i&0xffff, r.Uint32()&0xffff, i), Revision: 1, Stored: make([]byte, 200),
			Fields: Fields{
				"type":    {String([]string{"Observation", "Condition", "Encounter", "Procedure", "Claim"}[r.IntN(5)])},
				"patient": {String(fmt.Sprintf("patient-%d", p))},
				"code":    {String(fmt.Sprintf("code-%d", int(300*r.Float64()*r.Float64())))},
				"name":    {String(words[p] + " " + words[p*3])},
				"text":    {String(strings.Join(text, " "))},
				"date":    {Day(time.Date(2000+r.IntN(20), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC))},
			},
		}
	}
	return docs
}

// benchFill writes the documents and returns the partitions.
func benchFill(b testing.TB, store Store, docs []Document) []*Index {
	ctx := context.Background()
	ixs := make([]*Index, benchPartitions)
	for i := range ixs {
		var err error
		ixs[i], err = Create(ctx, store, make([]byte, KeySize), GenerateID(), benchSchema, Options{})
		require.NoError(b, err)
	}
	for i := 0; i*benchBatch < len(docs); i++ {
		require.NoError(b, ixs[i%len(ixs)].Apply(ctx, Batch{Put: docs[i*benchBatch : min((i+1)*benchBatch, len(docs))]}))
	}
	return ixs
}

func BenchmarkApply(b *testing.B) {
	docs := benchDocuments(benchDocs)
	for b.Loop() {
		d, err := OpenDir(b.TempDir())
		require.NoError(b, err)
		benchFill(b, d, docs)
	}
	b.ReportMetric(float64(len(docs))*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

func BenchmarkSearch(b *testing.B) {
	d, err := OpenDir(b.TempDir())
	require.NoError(b, err)
	ixs := benchFill(b, d, benchDocuments(benchDocs))
	ctx := context.Background()
	word := strings.Fields(benchDocuments(1)[0].Fields["name"][0].String())[0]
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"term", Term("type", String("Condition"))},
		{"and", And(Term("type", String("Condition")), Term("patient", String("patient-7")))},
		{"range", Range("date", Day(time.Date(2003, 2, 11, 0, 0, 0, 0, time.UTC)), Day(time.Date(2009, 7, 3, 0, 0, 0, 0, time.UTC)))},
		{"fuzzy", Fuzzy("name", word, 1)},
		{"prefix", And(Prefix("name", word[:3]), Not(Term("type", String("Claim"))))},
	} {
		b.Run(c.name, func(b *testing.B) {
			hits, pages := 0, 0
			for b.Loop() {
				hits, pages = 0, 0
				for _, ix := range ixs {
					res, err := ix.Search(ctx, c.q, SearchOptions{Limit: 34})
					require.NoError(b, err)
					hits += res.Total
					pages += res.Cost.Pages
				}
			}
			b.ReportMetric(float64(hits), "hits")
			b.ReportMetric(float64(pages), "pages")
		})
	}
}

func BenchmarkCompact(b *testing.B) {
	d, err := OpenDir(b.TempDir())
	require.NoError(b, err)
	docs := benchDocuments(benchDocs)
	ixs := benchFill(b, d, docs)
	for b.Loop() {
		for _, ix := range ixs {
			require.NoError(b, ix.Compact(context.Background(), CompactOptions{Full: true, DeleteNow: true}))
		}
	}
	b.ReportMetric(float64(len(docs))*float64(b.N)/b.Elapsed().Seconds(), "docs/s")
}

// zipfPostings are documents of so many terms of one Keyword field, as analysis gives them: Zipf with exponent 1.1 over 2^20 words.
func zipfPostings(docs, terms int) func() document {
	r := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(r, 1.1, 8, 1<<20-1)
	field := Field{Name: "word", Type: Keyword}
	words := make([]term, 1<<20)
	n := 0
	return func() document {
		d := document{row: row{id: fmt.Sprintf("document-%09d", n), revision: 1}}
		n++
		seen := make(map[uint64]bool, terms)
		for len(d.postings) < terms {
			w := zipf.Uint64()
			if seen[w] {
				continue
			}
			seen[w] = true
			if words[w] == "" {
				words[w] = newTerm(field, fmt.Sprintf("word-%d", w))
			}
			d.postings = append(d.postings, posting{term: words[w]})
		}
		slices.SortFunc(d.postings, func(a, b posting) int { return strings.Compare(string(a.term), string(b.term)) })
		return d
	}
}

// listSizes is the size of the lists of terms with 100 rows or more, with their share of padding and their table entry, in units of Roaring's.
func listSizes(a *arranged) float64 {
	ours, roarings := 0, 0
	for n := range a.counts {
		rows := a.lists.rows[a.lists.rowsAt[n]:a.lists.rowsAt[n+1]]
		if len(rows) < 100 {
			continue
		}
		m := roaring.BitmapOf(rows...)
		m.RunOptimize()
		roarings += int(m.GetSerializedSizeInBytes())
		size := len(encodeList(rows))
		if size >= pageRoom {
			size = PageSize * int(pagesFor(padme(size)))
		}
		ours += size + entrySize*bucketMax/bucketFill
	}
	return float64(ours) / float64(roarings)
}

// BenchmarkBuild measures the builder alone: postings in, sealed pages out, no analysis and no store. It reports the postings for each second,
// the bytes of list pages and tables for each posting, and the size of the lists of terms with 100 rows or more in units of Roaring's.
func BenchmarkBuild(b *testing.B) {
	const terms = 40
	schema := Schema{Fields: []Field{{Name: "word", Type: Keyword}}}
	for _, docs := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("docs=%d", docs), func(b *testing.B) {
			if docs > 100_000 && testing.Short() {
				b.Skip("a minute")
			}
			var busy time.Duration
			var seg *segment
			var ratio float64
			var peak uint64
			for b.Loop() {
				next := zipfPostings(docs, terms)
				bd := newBuilder(schema)
				for range docs / 1000 {
					some := make([]document, 1000)
					for i := range some {
						some[i] = next()
					}
					start := time.Now()
					for _, d := range some {
						bd.add(d)
					}
					busy += time.Since(start)
				}
				start := time.Now()
				a, err := bd.arrange()
				require.NoError(b, err)
				d, err := a.layout(newSegmentKeys(key{1}, ID{1}, ID{2}), Balanced)
				require.NoError(b, err)
				for _, err := range d.seal() {
					require.NoError(b, err)
				}
				busy += time.Since(start)
				seg = &d.segment
				ratio = listSizes(a)
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.Sys-m.HeapReleased)
			}
			n := float64(docs) * terms
			b.ReportMetric(n*float64(b.N)/busy.Seconds(), "postings/s")
			b.ReportMetric(float64(seg.pages())*PageSize/n, "bytes/posting")
			b.ReportMetric(float64(seg.shared+seg.own)*PageSize/n, "listbytes/posting")
			b.ReportMetric(float64(peak)/(1<<20), "MiB")
			b.ReportMetric(ratio, "roaring")
		})
	}
}
