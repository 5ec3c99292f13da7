package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var searchSchema = Schema{Fields: []Field{
	{Name: "note", Type: Text, Language: "en", Prefix: true, Fuzzy: true, Phrase: true, Rank: true, Substring: true, Stored: true, Words: 8},
	{Name: "name", Type: Name, Prefix: true, Fuzzy: true, Substring: true, Stored: true},
	{Name: "ward", Type: Keyword, Prefix: true, Facet: true, Sort: true, Stored: true},
	{Name: "flag", Type: Keyword, Facet: true},
	{Name: "age", Type: Integer, Max: 120, Sort: true, Stored: true},
	{Name: "dose", Type: Decimal, Max: 100_000, Scale: 2, Sort: true, Stored: true},
	{Name: "born", Type: Date, Sort: true, Stored: true},
	{Name: "seen", Type: Time},
	{Name: "uid", Type: Bytes},
}}

var searchNotes = strings.Fields("asthma attack fever chest pain panic rash cough cold angina coughing fevers painful attacks 慢性咳嗽 高血压 头痛头痛")

// searchDocs are documents of which about every fifth has no value in a field, and some have several.
func searchDocs(r *rand.Rand, n int) []Document {
	docs := make([]Document, n)
	some := func() bool { return r.IntN(5) > 0 }
	for i := range docs {
		f := Fields{"uid": {Raw([]byte{byte(i), byte(i >> 8)})}}
		for range r.IntN(3) {
			var words []string
			for range 1 + r.IntN(8) {
				words = append(words, searchNotes[r.IntN(len(searchNotes))])
			}
			f["note"] = append(f["note"], String(strings.Join(words, " ")))
		}
		if some() {
			f["name"] = []Value{String([]string{"Zoë Müller", "Jon Smith", "John Smyth", "李小龙", "Maria Schmidt"}[r.IntN(5)])}
		}
		if some() {
			f["ward"] = []Value{String([]string{"north", "northwest", "south", "cardiology"}[r.IntN(4)])}
		}
		for _, w := range []string{"smoker", "diabetic", "allergic"} {
			if r.IntN(3) == 0 {
				f["flag"] = append(f["flag"], String(w))
			}
		}
		if some() {
			f["age"] = []Value{Int(r.Int64N(121))}
		}
		if some() {
			f["dose"] = []Value{Dec(r.Int64N(100_001), 2)}
		}
		if some() {
			f["born"] = []Value{Day(time.Date(1930+r.IntN(90), 1, 1+r.IntN(360), 0, 0, 0, 0, time.UTC))}
		}
		if some() {
			f["seen"] = []Value{Instant(time.Unix(r.Int64N(2_000_000_000), 0))}
		}
		docs[i] = Document{ID: fmt.Sprintf("id-%04d", i), Revision: uint64(1 + i%3), Fields: f}
		if i%2 == 0 {
			docs[i].Stored = []byte(docs[i].ID)
		}
	}
	return docs
}

// searchQueries has every kind of query, found and not found, and nested.
var searchQueries = map[string]Query{
	"term":            Term("note", String("fever")),
	"term two":        Term("note", String("chest pains")),
	"term absent":     Term("note", String("xylophone")),
	"term decimal":    Term("dose", Dec(5, 0)),
	"term bytes":      Term("uid", Raw([]byte{7, 0})),
	"range":           Range("age", Int(30), Int(77)),
	"range decimal":   Range("dose", Dec(1, 2), Dec(33_333, 2)),
	"range date":      Range("born", Day(time.Date(1960, 5, 17, 0, 0, 0, 0, time.UTC)), Value{}),
	"range time":      Range("seen", Value{}, Instant(time.Unix(1_111_111_111, 0))),
	"range nothing":   Range("age", Int(200), Int(300)),
	"prefix":          Prefix("note", "fe"),
	"prefix absent":   Prefix("note", "zz"),
	"wildcard":        Wildcard("note", "*ou?h*"),
	"wildcard chars":  Wildcard("note", "慢?咳嗽"),
	"regexp":          Regexp("ward", "^(north|s.*h).*?$"),
	"fuzzy":           Fuzzy("note", "fevre", 1),
	"fuzzy two":       Fuzzy("name", "smht", 2),
	"substring":       Substring("note", "in att"),
	"substring wide":  Substring("note", "血压"),
	"substring none":  Substring("name", "qqqq"),
	"phrase":          Phrase("note", "chest pain"),
	"phrase one":      Phrase("note", "fever"),
	"phrase wide":     Phrase("note", "头痛头"),
	"phrase absent":   Phrase("note", "fever xylophone"),
	"sounds":          Sounds("name", "Jon Smit"),
	"exists":          Exists("seen"),
	"all":             All(),
	"not all":         Not(All()),
	"and not":         And(Not(Term("note", String("fever"))), Exists("note"), Not(Phrase("note", "chest pain"))),
	"not substring":   Not(Substring("note", "pain")),
	"nested":          Or(And(Substring("note", "ough"), Range("age", Int(10), Int(100))), Not(Or(Substring("name", "mith"), Term("ward", String("south"))))),
	"double negation": Not(Not(Or(Phrase("note", "pain panic"), Sounds("name", "Mueller")))),
	"same twice":      And(Term("flag", String("smoker")), Or(Term("flag", String("smoker")), Fuzzy("note", "fever", 1), Fuzzy("note", "fever", 1))),
}

// segmented makes one partition of the documents as they come, and one in which they lie in many segments and tails, with rows that were updated
// and deleted, and tombstones.
func segmented(t testing.TB, p Profile, docs []Document) (whole, cut *Index, store *memStore) {
	ctx := context.Background()
	one, err := Create(ctx, newMemStore(), testKey, ID{1}, searchSchema, Options{Profile: p})
	require.NoError(t, err)
	require.NoError(t, one.Apply(ctx, Batch{Put: docs, New: true}))
	store = newMemStore()
	many, err := Create(ctx, store, testKey, ID{1}, searchSchema, Options{Profile: p})
	require.NoError(t, err)
	one.Close()
	many.Close() // merges in the background would read while the reads of a search are counted, and leave other segments each time
	var gone Batch
	for i := range tailRows + 20 {
		d := docs[i]
		d.ID = fmt.Sprintf("gone-%d", i)
		gone.Put = append(gone.Put, d)
	}
	var early []Document // older revisions of some, with other values
	for i, d := range docs {
		if i%3 == 1 {
			d.Revision, d.Fields = 1, docs[len(docs)-1-i].Fields
			early = append(early, d)
		}
	}
	gone.Put = append(gone.Put, early...)
	require.NoError(t, many.Apply(ctx, gone))
	var dead Batch
	for _, d := range gone.Put[:tailRows+20] {
		dead.Delete = append(dead.Delete, Deletion{ID: d.ID})
	}
	require.NoError(t, many.Apply(ctx, dead))
	left := docs
	for _, n := range []int{tailRows, tailRows + 7, 20, 1, len(docs)} {
		n = min(n, len(left))
		var b Batch
		for _, d := range left[:n] {
			if d.Revision > 1 || !slices.ContainsFunc(early, func(e Document) bool { return e.ID == d.ID }) {
				b.Put = append(b.Put, d)
			} else {
				d.Revision = 9
				b.Put = append(b.Put, d)
			}
		}
		left = left[n:]
		if len(left) == 0 && n >= tailRows { // the last ones are a tail
			require.NoError(t, many.Apply(ctx, Batch{Put: b.Put[:n-9]}))
			b.Put = b.Put[n-9:]
		}
		require.NoError(t, many.Apply(ctx, b))
	}
	return one, many, store
}

func ids(hits []Hit) []string {
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = h.ID
	}
	return out
}

func mustSearch(t testing.TB, ix *Index, q Query, o SearchOptions) *Result {
	res, err := ix.Search(context.Background(), q, o)
	require.NoError(t, err, "%v", q)
	return res
}

// truth says what some of the queries mean without terms, lists or automata.
var truth = map[string]func(f Fields) bool{
	"term":         func(f Fields) bool { return anyNote(f, func(s string) bool { return hasWord(s, "fever", "fevers") }) },
	"term decimal": func(f Fields) bool { return len(f["dose"]) > 0 && f["dose"][0] == Dec(5, 0) },
	"range":        func(f Fields) bool { return len(f["age"]) > 0 && f["age"][0].n >= 30 && f["age"][0].n <= 77 },
	"prefix":       func(f Fields) bool { return anyNote(f, func(s string) bool { return hasWord(s, "fever", "fevers") }) },
	"wildcard":     func(f Fields) bool { return anyNote(f, func(s string) bool { return hasWord(s, "cough", "coughing") }) },
	"regexp":       func(f Fields) bool { return len(f["ward"]) > 0 && f["ward"][0].text != "cardiology" },
	"fuzzy":        func(f Fields) bool { return anyNote(f, func(s string) bool { return hasWord(s, "fever") }) },
	"substring":    func(f Fields) bool { return anyNote(f, func(s string) bool { return strings.Contains(s, "in att") }) },
	"phrase": func(f Fields) bool {
		return anyNote(f, func(s string) bool { return strings.Contains(" "+s+" ", " chest pain ") })
	},
	"exists":        func(f Fields) bool { return len(f["seen"]) > 0 },
	"all":           func(f Fields) bool { return true },
	"not substring": func(f Fields) bool { return !anyNote(f, func(s string) bool { return strings.Contains(s, "pain") }) },
	"and not": func(f Fields) bool {
		return len(f["note"]) > 0 && !anyNote(f, func(s string) bool {
			return hasWord(s, "fever", "fevers") || strings.Contains(" "+s+" ", " chest pain ")
		})
	},
}

func anyNote(f Fields, is func(string) bool) bool {
	return slices.ContainsFunc(f["note"], func(v Value) bool { return is(v.text) })
}

func hasWord(s string, words ...string) bool {
	return slices.ContainsFunc(strings.Fields(s), func(w string) bool { return slices.Contains(words, w) })
}

// Every kind of query finds the same documents with every profile, however the rows are cut into segments, before and after a compaction; and where
// the meaning is plain, what it says.
func TestKindsOfQueries(t *testing.T) {
	docs := searchDocs(rand.New(rand.NewPCG(1, 1)), 900)
	docs[77].Fields["dose"] = []Value{Dec(5, 0)}
	var want map[string][]string
	for _, p := range []Profile{Balanced, Fast, Strict} {
		whole, cut, store := segmented(t, p, docs)
		require.GreaterOrEqual(t, len(cut.current().manifest.segments), 4)
		require.NotZero(t, forms(cut)[formTail])
		if want == nil {
			want = make(map[string][]string)
			for name, q := range searchQueries {
				want[name] = slices.Sorted(slices.Values(ids(mustSearch(t, whole, q, SearchOptions{}).Hits)))
				if is := truth[name]; is != nil {
					var plain []string
					for _, d := range docs {
						if is(d.Fields) {
							plain = append(plain, d.ID)
						}
					}
					require.Equal(t, plain, slices.Sorted(slices.Values(ids(mustSearch(t, whole, q, SearchOptions{}).Hits))), name)
				}
			}
		}
		check := func(ix *Index, when string) {
			for name, q := range searchQueries {
				res := mustSearch(t, ix, q, SearchOptions{})
				require.ElementsMatch(t, want[name], ids(res.Hits), "%s, profile %d, %s", name, p, when)
				require.Equal(t, len(want[name]), res.Total)
				counted := mustSearch(t, ix, q, SearchOptions{CountOnly: true})
				require.Equal(t, res.Total, counted.Total)
				require.Nil(t, counted.Hits)
				for _, h := range res.Hits {
					var n int
					_, err := fmt.Sscanf(h.ID, "id-%d", &n)
					require.NoError(t, err)
					for _, f := range searchSchema.Fields {
						if f.Stored {
							require.Equal(t, docs[n].Fields[f.Name], h.Values[f.Name], "%s of %s", f.Name, h.ID)
						} else {
							require.NotContains(t, h.Values, f.Name)
						}
					}
				}
			}
		}
		check(whole, "in one segment")
		check(cut, "in many")
		check(mustOpen(t, store, Options{CacheBytes: 50_000}), "without room in the cache")
		if p == Balanced {
			require.NoError(t, cut.Compact(context.Background(), CompactOptions{Full: true}))
			check(cut, "compacted")
		}
	}
	for name := range want {
		if strings.Contains(name, "absent") || strings.Contains(name, "none") || strings.Contains(name, "nothing") || name == "not all" {
			require.Empty(t, want[name], name)
		} else {
			require.NotEmpty(t, want[name], name)
		}
	}
}

func TestEmptyPartition(t *testing.T) {
	for _, p := range []Profile{Fast, Balanced, Strict} {
		ix, err := Create(context.Background(), newMemStore(), testKey, ID{1}, searchSchema, Options{Profile: p})
		require.NoError(t, err)
		for name, q := range searchQueries {
			for _, o := range []SearchOptions{{}, {Limit: 3, Rank: true}, {Sort: "age", Descending: true, Facets: []string{"ward"}}} {
				res := mustSearch(t, ix, q, o)
				require.Zero(t, res.Total, name)
				require.Empty(t, res.Hits)
				require.Nil(t, res.Next)
			}
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	ctx := context.Background()
	ix := mustCreate(t, newMemStore(), searchSchema, Options{})
	for _, o := range []SearchOptions{
		{Limit: -1}, {MaxPages: -1}, {MaxTerms: -1}, {Rank: true, Sort: "age"}, {Descending: true}, {CountOnly: true, After: Cursor{}},
		{Sort: "note"}, {Sort: "nope"}, {Facets: []string{"note"}}, {Facets: []string{"nope"}}, {Rank: true, Descending: true},
	} {
		_, err := ix.Search(ctx, All(), o)
		require.ErrorIs(t, err, ErrSchema, "%+v", o)
		_, err = ix.Explain(ctx, All(), o)
		require.ErrorIs(t, err, ErrSchema, "%+v", o)
	}
	for _, q := range []Query{
		Substring("note", "ab"), Substring("ward", "north"), Phrase("ward", "north"), Phrase("note", "..."), Sounds("note", "x"), Wildcard("note", `a\b`), Wildcard("uid", "*"),
		Regexp("note", ""), Regexp("note", "a("), Regexp("note", `\bfever`), Regexp("flag", "a"), Regexp("note", strings.Repeat("a", MaxKeyword+1)),
		Regexp("note", "((a{100}){10}b{1000}){9}c{1000}"), Exists("nope"), Wildcard("note", ""), Fuzzy("flag", "x", 1),
	} {
		_, err := ix.Search(ctx, q, SearchOptions{})
		require.ErrorIs(t, err, ErrSchema, "%v", q)
	}
}

func TestFacets(t *testing.T) {
	ctx := context.Background()
	docs := searchDocs(rand.New(rand.NewPCG(2, 2)), 900)
	whole, cut, _ := segmented(t, Balanced, docs)
	for _, name := range []string{"term", "not substring", "phrase", "all", "term absent"} {
		res := mustSearch(t, whole, searchQueries[name], SearchOptions{})
		want := map[string]map[string]int{"ward": {}, "flag": {}}
		for _, h := range res.Hits {
			var n int
			_, err := fmt.Sscanf(h.ID, "id-%d", &n)
			require.NoError(t, err)
			for field := range want {
				for _, v := range docs[n].Fields[field] {
					want[field][v.text]++
				}
			}
		}
		for _, ix := range []*Index{whole, cut} {
			for _, o := range []SearchOptions{{CountOnly: true}, {Limit: 3}, {Sort: "age"}} {
				o.Facets = []string{"ward", "flag", "ward"}
				got := mustSearch(t, ix, searchQueries[name], o)
				require.Equal(t, res.Total, got.Total)
				require.Len(t, got.Facets, 2)
				for field, counts := range got.Facets {
					require.Len(t, counts, len(want[field]), "%s %s", name, field)
					for i, c := range counts {
						require.Equal(t, want[field][c.Value], c.Count, "%s %s", name, c.Value)
						require.True(t, i == 0 || counts[i-1].Count > c.Count || counts[i-1].Count == c.Count && counts[i-1].Value < c.Value)
					}
				}
			}
		}
	}
	require.Nil(t, mustSearch(t, whole, All(), SearchOptions{}).Facets)
	_, err := whole.Search(ctx, All(), SearchOptions{Facets: []string{"ward"}, MaxTerms: 3})
	require.ErrorIs(t, err, ErrTooBroad)
}

// A substring whose grams are common is compared with no more than a number of documents, and only with those that the rest of the query leaves
// open.
func TestSubstringLimit(t *testing.T) {
	ctx := context.Background()
	schema := Schema{Fields: []Field{{Name: "text", Type: Keyword, Substring: true, Stored: true}, {Name: "n", Type: Integer, Max: 1 << 20}}}
	ix := mustCreate(t, newMemStore(), schema, Options{})
	b := Batch{New: true}
	for i := range maxCompared + 1 {
		text := "abcd"
		if i%100 == 0 {
			text = "abcxbcd" // the grams of abcd are abc and bcd
		}
		b.Put = append(b.Put, Document{ID: fmt.Sprint(i), Revision: 1, Fields: Fields{"text": {String(text)}, "n": {Int(int64(i))}}})
	}
	require.NoError(t, ix.Apply(ctx, b))
	_, err := ix.Search(ctx, Substring("text", "abcd"), SearchOptions{CountOnly: true})
	require.ErrorIs(t, err, ErrTooBroad)
	res := mustSearch(t, ix, And(Substring("text", "ABCD"), Range("n", Int(1000), Int(1999))), SearchOptions{CountOnly: true})
	require.Equal(t, 990, res.Total)
	some := res.Cost.Pages
	res = mustSearch(t, mustOpen(t, ix.store, Options{}), And(Substring("text", "abcd"), Range("n", Int(1000), Int(1003))), SearchOptions{CountOnly: true})
	require.Equal(t, 3, res.Total)
	require.Less(t, res.Cost.Pages, some)
	// Whatever is certain without it is not compared.
	require.Equal(t, maxCompared+1, mustSearch(t, ix, Or(All(), Substring("text", "abcd")), SearchOptions{CountOnly: true}).Total)
	require.Zero(t, mustSearch(t, ix, And(Not(All()), Substring("text", "abcd")), SearchOptions{CountOnly: true}).Total)
}

func TestExistsInFormat1(t *testing.T) {
	ctx := context.Background()
	_, ix, m := openFormat1(t)
	live := 0
	for _, d := range m {
		if !d.tomb {
			live++
		}
	}
	for _, field := range []string{"age", "day"} {
		require.Equal(t, live, mustSearch(t, ix, Exists(field), SearchOptions{}).Total)
		require.Zero(t, mustSearch(t, ix, Not(Exists(field)), SearchOptions{}).Total)
	}
	for _, field := range []string{"ward", "note", "code"} {
		_, err := ix.Search(ctx, Exists(field), SearchOptions{})
		require.ErrorIs(t, err, ErrTooBroad)
		require.ErrorContains(t, err, "Compact with Full")
		_, err = ix.Explain(ctx, Exists(field), SearchOptions{})
		require.ErrorIs(t, err, ErrTooBroad)
	}
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	require.Equal(t, live, mustSearch(t, ix, Exists("ward"), SearchOptions{}).Total)
}

// Searches share what is cached, and change none of it.
func TestSearchesAtOnce(t *testing.T) {
	docs := searchDocs(rand.New(rand.NewPCG(15, 15)), 600)
	_, _, store := segmented(t, Balanced, docs)
	ix := mustOpen(t, store, Options{})
	want := make(map[string]*Result)
	for name, q := range searchQueries {
		want[name] = mustSearch(t, mustOpen(t, store, Options{}), q, SearchOptions{Rank: true, Facets: []string{"ward"}})
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 2 {
				for name, q := range searchQueries {
					res, err := ix.Search(context.Background(), q, SearchOptions{Rank: true, Facets: []string{"ward"}})
					if assert.NoError(t, err) {
						assert.Equal(t, want[name].Hits, res.Hits, name)
						assert.Equal(t, want[name].Facets, res.Facets, name)
					}
				}
			}
		})
	}
	wait.Wait()
}
