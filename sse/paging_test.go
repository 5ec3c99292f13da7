package sse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pages reads a search to its end, so many hits at a time, and calls between after every page.
func pages(t require.TestingT, ix *Index, q Query, o SearchOptions, between func()) (hits []Hit) {
	first := -1
	for {
		res, err := ix.Search(context.Background(), q, o)
		require.NoError(t, err)
		require.LessOrEqual(t, len(res.Hits), o.Limit)
		if first < 0 {
			first = res.Total
		}
		require.Equal(t, first, res.Total, "another state of the partition")
		hits = append(hits, res.Hits...)
		if res.Next == nil {
			require.Len(t, hits, first)
			return hits
		}
		require.Len(t, res.Hits, o.Limit)
		o.After = res.Next
		between()
	}
}

var orders = []SearchOptions{{}, {Rank: true}, {Sort: "age"}, {Sort: "age", Descending: true}, {Sort: "ward"}, {Sort: "ward", Descending: true}, {Sort: "dose"}, {Sort: "born", Descending: true}}

// Pages of any size are the hits of one search, cut up: in every order and profile.
func TestPages(t *testing.T) {
	docs := searchDocs(rand.New(rand.NewPCG(4, 4)), 600)
	for _, p := range []Profile{Fast, Balanced, Strict} {
		_, ix, _ := segmented(t, p, docs)
		for _, q := range []Query{searchQueries["nested"], searchQueries["term absent"], Or(searchQueries["term"], searchQueries["phrase"])} {
			for _, o := range orders {
				all := mustSearch(t, ix, q, o)
				require.Nil(t, all.Next)
				for _, limit := range []int{9, 150, len(all.Hits), 10_000} {
					if limit == 0 || limit == 9 && (p == Strict || testing.Short()) {
						continue
					}
					o.Limit = limit
					require.Equal(t, append([]Hit{}, all.Hits...), append([]Hit{}, pages(t, ix, q, o, func() {})...), "%+v", o)
				}
			}
		}
	}
}

// The order of a sort is that of the values, absent ones last, and equal ones in the order of rows.
func TestSort(t *testing.T) {
	docs := searchDocs(rand.New(rand.NewPCG(5, 5)), 700)
	_, ix, _ := segmented(t, Balanced, docs)
	rowsOf := make(map[string]int)
	for i, h := range mustSearch(t, ix, All(), SearchOptions{}).Hits {
		rowsOf[h.ID] = i
	}
	for _, o := range orders {
		if o.Sort == "" {
			continue
		}
		got := mustSearch(t, ix, Not(Term("ward", String("south"))), o).Hits
		want := slices.Clone(got)
		slices.SortFunc(want, func(a, b Hit) int {
			x, y := a.Values[o.Sort], b.Values[o.Sort]
			byValue := 0
			switch {
			case len(x) != len(y):
				return len(y) - len(x)
			case len(x) == 0:
			case o.Sort == "dose":
				m, _ := x[0].rescaled(2)
				n, _ := y[0].rescaled(2)
				byValue = cmp.Compare(m, n)
			default:
				byValue = cmp.Or(cmp.Compare(x[0].n, y[0].n), strings.Compare(x[0].text, y[0].text))
			}
			if o.Descending {
				byValue = -byValue
			}
			return cmp.Or(byValue, rowsOf[a.ID]-rowsOf[b.ID])
		})
		require.Equal(t, ids(want), ids(got), "%+v", o)
		require.Less(t, len(got[len(got)-1].Values[o.Sort]), 1, "none is without a value: the test shows nothing")
	}
}

// While others write and compact, the pages of a search bring every hit of its first state exactly once.
func TestPagesWhileOthersWrite(t *testing.T) {
	ctx := context.Background()
	docs := searchDocs(rand.New(rand.NewPCG(6, 6)), 600)
	_, ix, store := segmented(t, Balanced, docs)
	done := make(chan struct{})
	var wait sync.WaitGroup
	errs := make(chan error, 10)
	wait.Go(func() {
		other := mustOpen(t, store, Options{})
		r := rand.New(rand.NewPCG(7, 7))
		// The store keeps HeadsKept heads: no more are written than the slowest page lets live.
		for i := 0; i < HeadsKept/3; i++ {
			select {
			case <-done:
				return
			default:
			}
			d := docs[r.IntN(len(docs))]
			d.Revision = uint64(100 + i)
			d.Fields = docs[r.IntN(len(docs))].Fields
			if err := other.Apply(ctx, Batch{Put: []Document{d}, Delete: []Deletion{{ID: docs[i].ID, Revision: 1000}}}); err != nil {
				errs <- err
			}
			if i%7 == 3 {
				if err := other.Compact(ctx, CompactOptions{Full: i%2 == 1}); err != nil {
					errs <- err
				}
			}
		}
	})
	for _, o := range orders[:4] {
		o.Limit = 13
		q := Or(searchQueries["not substring"], searchQueries["term"])
		seen := make(map[string]bool)
		for _, h := range pages(t, ix, q, o, func() { time.Sleep(time.Millisecond) }) {
			require.False(t, seen[h.ID], "%s twice", h.ID)
			seen[h.ID] = true
		}
		require.NotEmpty(t, seen)
	}
	close(done)
	wait.Wait()
	select {
	case err := <-errs:
		require.NoError(t, err)
	default:
	}
}

// A cursor leads on in its state, in another program too, and is refused where it cannot.
func TestCursor(t *testing.T) {
	ctx := context.Background()
	docs := searchDocs(rand.New(rand.NewPCG(8, 8)), 600)
	_, ix, store := segmented(t, Balanced, docs)
	q, o := searchQueries["not substring"], SearchOptions{Limit: 40, Sort: "age"}
	whole := mustSearch(t, ix, q, SearchOptions{Sort: "age"})
	first := mustSearch(t, ix, q, o)
	require.Equal(t, whole.Hits[:40], first.Hits)
	o.After = first.Next

	refused := func(ix *Index, q Query, o SearchOptions) {
		t.Helper()
		_, err := ix.Search(ctx, q, o)
		require.ErrorIs(t, err, ErrCursor)
		_, err = ix.Explain(ctx, q, o)
		require.ErrorIs(t, err, ErrCursor)
	}
	refused(ix, All(), o)
	for _, x := range []SearchOptions{{Sort: "dose"}, {Sort: "age", Descending: true}, {Rank: true}, {}} {
		x.Limit, x.After = 40, first.Next
		refused(ix, q, x)
	}
	for i := range first.Next {
		for _, bit := range []byte{1, 0x80} {
			x := o
			x.After = bytes.Clone(first.Next)
			x.After[i] ^= bit
			refused(ix, q, x)
		}
	}
	for _, c := range []Cursor{{}, first.Next[:len(first.Next)-1], append(bytes.Clone(first.Next), 0), nil} {
		x := o
		if x.After = c; c != nil {
			refused(ix, q, x)
		}
	}

	// The same rows, of the same revisions, after updates, deletions and a compaction, and with another limit.
	var b Batch
	for i := range docs {
		switch i % 3 {
		case 0:
			b.Delete = append(b.Delete, Deletion{ID: docs[i].ID, Revision: 50})
		case 1:
			b.Put = append(b.Put, Document{ID: docs[i].ID, Revision: 50})
		}
	}
	require.NoError(t, ix.Apply(ctx, b))
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	for _, other := range []*Index{ix, mustOpen(t, store, Options{})} {
		x := o
		x.Limit = 1 << 20
		rest := mustSearch(t, other, q, x)
		require.Equal(t, whole.Hits[40:], rest.Hits)
		require.Equal(t, whole.Total, rest.Total)
		require.Equal(t, whole.Anchor, rest.Anchor)
		require.Nil(t, rest.Next)
	}

	// The state is gone when its segments are.
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	refused2 := func(ix *Index) {
		t.Helper()
		_, err := ix.Search(ctx, q, o)
		require.ErrorIs(t, err, ErrCursor)
	}
	refused2(mustOpen(t, store, Options{}))
	// And when its head is.
	o.After = mustSearch(t, ix, All(), SearchOptions{Limit: 40, Sort: "age"}).Next
	heads := store.heads[ID{1}]
	require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{{ID: "last", Revision: 1}}}))
	kept := heads[len(heads)-1]
	store.heads[ID{1}][len(heads)-1] = nil
	_, err := ix.Search(ctx, All(), o)
	require.ErrorIs(t, err, ErrCursor)
	// A store that shows another head of that number lies.
	store.heads[ID{1}][len(heads)-1] = heads[len(heads)-2]
	_, err = ix.Search(ctx, All(), o)
	require.ErrorIs(t, err, ErrRollback)
	store.heads[ID{1}][len(heads)-1] = kept
	mustSearch(t, ix, All(), o)
	// Another key has nothing to do with it, and after a rotation the old states are gone.
	require.NoError(t, ix.Compact(ctx, CompactOptions{NewKey: bytes.Repeat([]byte{9}, KeySize)}))
	_, err = ix.Search(ctx, All(), o)
	require.ErrorIs(t, err, ErrCursor)
}

// A cursor that was made with the key and names what is no hit is an error, or another page of the same partition.
func TestForgedCursor(t *testing.T) {
	ctx := context.Background()
	_, ix, _ := segmented(t, Balanced, searchDocs(rand.New(rand.NewPCG(9, 9)), 600))
	st := ix.current()
	for _, at := range []rowPlace{{0, 0}, {0, maxRows - 1}, {maxSegments - 1, 0}, {1, 5}, {len(st.readers) - 1, 3}} {
		for _, o := range orders {
			o.Limit = 5
			o.After = ix.cursor(st, searchQueries["not substring"], o, at)
			res, err := ix.Search(ctx, searchQueries["not substring"], o)
			if err != nil {
				require.ErrorIs(t, err, ErrCursor)
				continue
			}
			require.LessOrEqual(t, len(res.Hits), 5)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(cursorContent{anchor: Anchor{Counter: 1}}.encode()))
	f.Add([]byte(cursorContent{anchor: Anchor{9, [32]byte{4}}, last: rowPlace{maxSegments - 1, maxRows - 1}, tag: [32]byte{1}}.encode()))
	f.Add([]byte(cursorContent{anchor: Anchor{Counter: 1}, last: rowPlace{maxSegments, 0}}.encode()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCursor(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCursor)
			return
		}
		require.Equal(t, b, []byte(c.encode()))
	})
}

func TestCursorsKept(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("testdata", "fuzz", "FuzzCursor"))
	require.NoError(t, err)
	require.Len(t, files, 4)
}

// idfs compares the whole-numbered logarithm with the formula.
func TestInverseFrequency(t *testing.T) {
	check := func(n, df uint64) {
		want := math.Log2(1+(float64(n)-float64(df)+0.5)/(float64(df)+0.5)) * idfUnit
		got := float64(inverseFrequency(n, df))
		require.LessOrEqual(t, got, want+0.01, "%d of %d", df, n)
		require.GreaterOrEqual(t, got, want-2.5, "%d of %d", df, n)
	}
	for n := uint64(0); n < 200; n++ {
		for df := range n + 1 {
			check(n, df)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 1<<32-1).Draw(t, "n")
		check(n, rapid.Uint64Range(0, n).Draw(t, "df"))
	})
	require.Zero(t, inverseFrequency(0, 1)-inverseFrequency(0, 0), "more documents than there are")
}

// The score is BM25 as the book has it, but for the rounding of impacts, of the terms of the query that do not stand under Not; and hits come by it.
func TestRank(t *testing.T) {
	docs := searchDocs(rand.New(rand.NewPCG(10, 10)), 900)
	whole, cut, _ := segmented(t, Balanced, docs)
	words := func(d Document) (list []string) {
		for _, v := range d.Fields["note"] {
			list = append(list, textWords(v.text, forIndex)...)
		}
		for i, w := range list {
			list[i] = stem("en", w)
		}
		return list
	}
	frequency := make(map[string]int)
	length := make(map[string]int)
	terms := make(map[string]map[string]int)
	for _, d := range docs {
		list := words(d)
		terms[d.ID] = make(map[string]int)
		for _, w := range list {
			if terms[d.ID][w]++; terms[d.ID][w] == 1 {
				frequency[w]++
			}
		}
	}
	for _, d := range docs {
		c := cutter{why: forIndex}
		for _, v := range d.Fields["note"] {
			before := c.next
			c.text(v.text)
			length[d.ID] += int(c.next - before)
		}
	}
	for text, q := range map[string]Query{
		"fever":       Term("note", String("fevers")),
		"fever cough": Or(Term("note", String("fever")), Term("note", String("cough")), Prefix("note", "an")),
		"pain chest":  And(Term("note", String("pain chest")), Not(Term("note", String("fever")))),
		"rash":        Or(Term("note", String("rash rash")), And(Term("note", String("rash")), Range("age", Int(1), Int(50))), Not(Not(Term("note", String("panic"))))),
	} {
		var scored []string
		for _, w := range strings.Fields(text) {
			scored = append(scored, stem("en", w))
		}
		res := mustSearch(t, whole, q, SearchOptions{Rank: true})
		require.NotEmpty(t, res.Hits)
		for i, h := range res.Hits {
			want := 0.0
			for _, w := range scored {
				tf := float64(terms[h.ID][w])
				df := float64(frequency[w])
				idf := math.Log(1 + (float64(len(docs))-df+0.5)/(df+0.5))
				want += idf * tf * 2.2 / (tf + 1.2*(0.25+0.75*float64(length[h.ID])/8))
			}
			require.InDelta(t, want, h.Score, 0.005*float64(len(scored)+1)*3, "%s of %v", h.ID, q)
			require.True(t, i == 0 || res.Hits[i-1].Score >= h.Score)
		}
		// The best ten are those of the whole order.
		top := mustSearch(t, whole, q, SearchOptions{Rank: true, Limit: 10})
		require.Equal(t, res.Hits[:min(10, len(res.Hits))], top.Hits)
		// Ranking does not depend on how rows are cut into segments, on what was deleted, or on compaction.
		scores := func(hits []Hit) map[string]float64 {
			m := make(map[string]float64, len(hits))
			for i, h := range hits {
				m[h.ID] = h.Score
				require.True(t, i == 0 || hits[i-1].Score >= h.Score)
			}
			return m
		}
		require.Equal(t, scores(res.Hits), scores(mustSearch(t, cut, q, SearchOptions{Rank: true}).Hits))
	}
	before := mustSearch(t, cut, searchQueries["term"], SearchOptions{Rank: true})
	require.NoError(t, cut.Compact(context.Background(), CompactOptions{Full: true}))
	after := mustSearch(t, cut, searchQueries["term"], SearchOptions{Rank: true})
	require.ElementsMatch(t, before.Hits, after.Hits)
	// What has no weights gives no score.
	for _, h := range mustSearch(t, cut, And(Exists("ward"), Not(Term("note", String("fever")))), SearchOptions{Rank: true}).Hits {
		require.Zero(t, h.Score)
	}
}

// The vectors of cursors were computed by a second implementation, in another language, from docs/spec/sse.md.
const cursorVectors = 21

func TestCursorVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v1", "cursor-*.json"))
	require.NoError(t, err)
	require.Len(t, files, cursorVectors, "vectors are only ever added, and counted here")
	classes := make(map[string]int)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var v struct {
			Class                    string
			Key, Partition, Encoding hexBytes
			Query, Sort              string
			Rank, Descending         bool
			Counter                  uint64
			Segment                  int
			Row                      uint32
		}
		require.NoError(t, json.Unmarshal(b, &v), file)
		classes[v.Class]++
		c, err := decodeCursor(v.Encoding)
		if v.Class == "malformed" {
			require.ErrorIs(t, err, ErrCursor, file)
			continue
		}
		require.NoError(t, err, file)
		require.Equal(t, []byte(v.Encoding), []byte(c.encode()), file)
		q, err := ParseQuery(searchSchema, v.Query)
		require.NoError(t, err, file)
		tag := c.sign(key(v.Key), ID(v.Partition), q, SearchOptions{Sort: v.Sort, Rank: v.Rank, Descending: v.Descending})
		require.Equal(t, v.Class == "success", tag == c.tag, file)
		if v.Class == "success" {
			require.Equal(t, []any{v.Counter, rowPlace{v.Segment, v.Row}}, []any{c.anchor.Counter, c.last}, file)
		}
	}
	require.Greater(t, classes["refused"]+classes["malformed"], classes["success"])
}
