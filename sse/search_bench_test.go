package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// zipfDocuments are documents of so many words, Zipf with exponent 1.1 over 2^18 words of two to four syllables, with a number.
func zipfDocuments(docs, words int) []Document {
	r := rand.New(rand.NewPCG(5, 6))
	zipf := rand.NewZipf(r, 1.1, 8, 1<<18-1)
	out := make([]Document, docs)
	text := make([]string, words)
	for i := range out {
		for j := range text {
			text[j] = zipfWord(zipf.Uint64())
		}
		out[i] = Document{ID: fmt.Sprintf("document-%07d", i), Revision: 1, Fields: Fields{
			"text": {String(strings.Join(text, " "))}, "n": {Int(int64(r.IntN(1_000_000)))}, "ward": {String(fmt.Sprintf("ward-%d", i%20))},
		}}
	}
	return out
}

func zipfWord(n uint64) string {
	syllables := [...]string{"ba", "ko", "ri", "ta", "mu", "ne", "lo", "si", "da", "wu", "ger", "ham", "ton", "ber", "lin", "fa"}
	s := syllables[n%16] + syllables[n>>4%16]
	for n >>= 8; n > 0; n >>= 4 {
		s += syllables[n%16]
	}
	return s
}

var zipfSchema = Schema{Fields: []Field{
	{Name: "text", Type: Text, Prefix: true, Fuzzy: true, Rank: true, Words: 40},
	{Name: "n", Type: Integer, Max: 1_000_000, Stored: true, Sort: true},
	{Name: "ward", Type: Keyword, Facet: true},
}}

// BenchmarkWarmSearch asks 100,000 documents of 40 words in one segment of the directory store what bleve is asked in bench, ten hits each. Pages
// are in the cache; list pages are read again all the same.
func BenchmarkWarmSearch(b *testing.B) {
	docs := 100_000
	if testing.Short() {
		docs = 10_000
	}
	list := zipfDocuments(docs, 40)
	for name, p := range map[string]Profile{"fast": Fast, "balanced": Balanced, "strict": Strict} {
		b.Run("profile="+name, func(b *testing.B) { warmSearch(b, p, list) })
	}
}

func warmSearch(b *testing.B, p Profile, list []Document) {
	ctx := context.Background()
	d, err := OpenDir(b.TempDir())
	require.NoError(b, err)
	ix, err := Create(ctx, d, testKey, ID{1}, zipfSchema, Options{Profile: p, CacheBytes: 1 << 30})
	require.NoError(b, err)
	require.NoError(b, ix.Apply(ctx, Batch{Put: list, New: true}))
	often, some, seldom := zipfWord(3), zipfWord(40), zipfWord(3000)
	for _, c := range []struct {
		name string
		q    Query
		o    SearchOptions
	}{
		{"term-often", Term("text", String(often)), SearchOptions{Limit: 10}},
		{"term-seldom", Term("text", String(seldom)), SearchOptions{Limit: 10}},
		{"bool", And(Term("text", String(often)), Or(Term("text", String(some)), Term("text", String(seldom))), Not(Term("text", String(zipfWord(5))))), SearchOptions{Limit: 10}},
		{"range", Range("n", Int(123_456), Int(234_567)), SearchOptions{Limit: 10}},
		{"prefix", Prefix("text", seldom[:6]), SearchOptions{Limit: 10}},
		{"fuzzy", Fuzzy("text", seldom, 1), SearchOptions{Limit: 10}},
		{"wildcard", Wildcard("text", "*"+seldom[2:6]+"*"), SearchOptions{Limit: 10, MaxTerms: 1 << 16}},
		{"ranked", Term("text", String(often)), SearchOptions{Limit: 10, Rank: true}},
		{"ranked-two", Or(Term("text", String(often)), Term("text", String(some))), SearchOptions{Limit: 10, Rank: true}},
		{"sorted", Term("text", String(often)), SearchOptions{Limit: 10, Sort: "n"}},
		{"facet", Term("text", String(often)), SearchOptions{CountOnly: true, Facets: []string{"ward"}}},
		{"all-hits", Term("text", String(often)), SearchOptions{MaxPages: 1 << 20}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var res *Result
			for b.Loop() {
				res, err = ix.Search(ctx, c.q, c.o)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(res.Total), "hits")
			b.ReportMetric(float64(res.Cost.Pages), "pages")
			b.ReportMetric(float64(res.Cost.Rounds), "rounds")
		})
	}
}
