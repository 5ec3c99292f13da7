package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What Explain announces holds, for every kind of query, every profile and the options that change what is read, with a cold and a warm cache; and what
// Result.Cost says is what the store saw.
func TestExplainAnnouncesTheCost(t *testing.T) {
	ctx := context.Background()
	docs := searchDocs(rand.New(rand.NewPCG(11, 11)), 700)
	options := []SearchOptions{{}, {CountOnly: true}, {Limit: 3}, {Limit: 3, Rank: true}, {Sort: "ward"}, {CountOnly: true, Facets: []string{"flag"}}}
	if testing.Short() {
		options = options[2:]
	}
	for _, p := range []Profile{Fast, Balanced, Strict} {
		_, warm, store := segmented(t, p, docs)
		for name, q := range searchQueries {
			for _, o := range options {
				for _, ix := range []*Index{mustOpen(t, store, Options{}), warm} {
					checkCost(t, ix, store, q, o, fmt.Sprintf("%s, profile %d, %+v", name, p, o))
				}
			}
		}
		// Pages, too.
		o := SearchOptions{Limit: 5, Rank: true}
		res := checkCost(t, warm, store, searchQueries["nested"], o, "first")
		o.After = res.Next
		require.NoError(t, warm.Apply(ctx, Batch{Put: []Document{{ID: "one more", Revision: 1}}}))
		checkCost(t, warm, store, searchQueries["nested"], o, "second")
		require.NoError(t, warm.Compact(ctx, CompactOptions{Full: true}))
		checkCost(t, mustOpen(t, store, Options{}), store, searchQueries["nested"], o, "of an old state")
	}
}

func checkCost(t *testing.T, ix *Index, store *memStore, q Query, o SearchOptions, what string) *Result {
	ctx := context.Background()
	plan, err := ix.Explain(ctx, q, o)
	require.NoError(t, err, what)
	store.reads = nil
	res, err := ix.Search(ctx, q, o)
	require.NoError(t, err, what)
	pages := 0
	for _, r := range store.reads {
		for _, x := range r {
			pages += int(x.Count)
		}
	}
	require.Equal(t, pages, res.Cost.Pages)
	require.Equal(t, len(store.reads), res.Cost.Rounds)
	require.EqualValues(t, pages*PageSize, res.Cost.Bytes)
	for _, n := range [][3]int{
		{plan.Least.Pages, res.Cost.Pages, plan.Most.Pages}, {plan.Least.Rounds, res.Cost.Rounds, plan.Most.Rounds}, {plan.Least.Terms, res.Cost.Terms, plan.Most.Terms},
		{plan.Least.Segments, res.Cost.Segments, plan.Most.Segments}, {int(plan.Least.Bytes), int(res.Cost.Bytes), int(plan.Most.Bytes)},
	} {
		require.True(t, n[0] <= n[1] && n[1] <= n[2], "%s: %d is not from %d to %d\n%+v\n%+v", what, n[1], n[0], n[2], plan, res.Cost)
	}
	require.NotEmpty(t, plan.View)
	return res
}

// rowPagesRead counts the row pages of the last search by segment.
func rowPagesRead(ix *Index, reads [][]Run) map[ID]int {
	n := make(map[ID]int)
	for _, round := range reads {
		for _, run := range round {
			s := ix.current().manifest.find(run.Segment)
			if s == nil || s.isTail() {
				continue
			}
			for i := range run.Count {
				if kind, _ := s.kindOf(run.First + i); kind == kindRows {
					n[s.id]++
				}
			}
		}
	}
	return n
}

// With profile Strict the row pages that are read are a number for each segment that follows from the limit, whatever is found; the same search reads the
// same pages; and the pages that are read besides the needed ones are not always the same.
func TestStrictRowPages(t *testing.T) {
	ctx := context.Background()
	store := newMemStore()
	ix, err := Create(ctx, store, testKey, ID{1}, searchSchema, Options{Profile: Strict})
	require.NoError(t, err)
	docs := searchDocs(rand.New(rand.NewPCG(12, 12)), 3000)
	require.NoError(t, ix.Apply(ctx, Batch{Put: docs[:2000], New: true}))
	require.NoError(t, ix.Apply(ctx, Batch{Put: docs[2000:], New: true}))
	full := make(map[ID]int)
	for _, s := range ix.current().manifest.segments {
		full[s.id] = int(s.rowPages)
		require.Greater(t, int(s.rowPages), 10)
	}
	require.Len(t, full, 2)
	drawnPages := make(map[string]bool)
	for _, limit := range []int{1, 4, 8, 100_000, 0} {
		want := make(map[ID]int)
		for id, n := range full {
			if want[id] = n; limit > 0 {
				want[id] = min(n, limit)
			}
		}
		for name, q := range searchQueries {
			if strings.Contains(name, "substring") || name == "nested" {
				continue
			}
			var last []Run
			for range 2 {
				store.reads = nil
				mustSearch(t, ix, q, SearchOptions{Limit: limit})
				require.Equal(t, want, rowPagesRead(ix, store.reads), "%s, limit %d", name, limit)
				rows := store.reads[len(store.reads)-1]
				require.True(t, last == nil || slices.Equal(last, rows), "%s reads other pages the second time", name)
				last = rows
			}
			if limit == 1 && mustSearch(t, ix, q, SearchOptions{CountOnly: true}).Total == 0 {
				drawnPages[fmt.Sprint(last)] = true
			}
			store.reads = nil
			mustSearch(t, ix, q, SearchOptions{CountOnly: true, Limit: limit})
			require.Empty(t, rowPagesRead(ix, store.reads), name)
		}
	}
	// Four queries that find nothing draw two pages each, one of more than ten in each segment: by chance they are all the same in one of 10^6 keys. The test
	// has one key, and the draw depends on nothing else.
	require.Greater(t, len(drawnPages), 1)
	// What is compared does not show either.
	for _, name := range []string{"substring", "substring none", "nested"} {
		for _, o := range []SearchOptions{{Limit: 2}, {CountOnly: true}, {}} {
			store.reads = nil
			mustSearch(t, ix, searchQueries[name], o)
			require.Equal(t, full, rowPagesRead(ix, store.reads), name)
		}
	}
	_, err = ix.Search(ctx, All(), SearchOptions{MaxPages: 12})
	require.ErrorIs(t, err, ErrTooBroad)
}

// The number of lookups follows from the kind of query and, in steps, from the number of terms: with profile Strict for a range from the field alone.
func TestCovers(t *testing.T) {
	ctx := context.Background()
	docs := searchDocs(rand.New(rand.NewPCG(13, 13)), 400)
	terms := func(p Profile, q Query) int {
		ix, err := Create(ctx, newMemStore(), testKey, ID{1}, searchSchema, Options{Profile: p})
		require.NoError(t, err)
		require.NoError(t, ix.Apply(ctx, Batch{Put: docs, New: true}))
		return mustSearch(t, ix, q, SearchOptions{CountOnly: true}).Cost.Terms
	}
	for _, c := range []struct {
		q                      Query
		fast, balanced, strict int
	}{
		{Range("age", Int(3), Int(3)), 1, 16, 36},
		{Range("age", Int(1), Int(118)), 28, 32, 36},
		{Range("age", Int(200), Int(300)), 0, 16, 36},
		{Prefix("ward", "nor"), 2, 16, 64},
		{Prefix("ward", "zz"), 0, 16, 64},
		{Term("ward", String("north")), 1, 1, 1},
		{Phrase("note", "chest pain"), 4, 4, 4},
	} {
		require.Equal(t, []int{c.fast, c.balanced, c.strict}, []int{terms(Fast, c.q), terms(Balanced, c.q), terms(Strict, c.q)}, "%v", c.q)
	}
	n, err := searchSchema.coverMax("age")
	require.NoError(t, err)
	require.Equal(t, 36, n)
	require.Equal(t, []int{64, 64, 256, 256, 1024}, []int{Strict.cover(0), Strict.cover(64), Strict.cover(65), Strict.cover(256), Strict.cover(257)})
}

// Long lists have the lengths that the profile gives them, and short ones do not show but with profile Fast.
func TestProfilesOfLists(t *testing.T) {
	ctx := context.Background()
	const docs = 40_000
	var b Batch
	r := rand.New(rand.NewPCG(14, 14))
	for i := range docs {
		d := Document{ID: fmt.Sprint(i), Revision: 1, Fields: Fields{"tag": {String("all")}}}
		if r.IntN(3) > 0 {
			d.Fields["tag"] = append(d.Fields["tag"], String("most"))
		}
		if i < 3 {
			d.Fields["tag"] = append(d.Fields["tag"], String("few"))
		}
		if i%200 == 0 {
			d.Fields["tag"] = append(d.Fields["tag"], String("some"))
		}
		b.Put = append(b.Put, d)
	}
	for p, want := range map[Profile]map[string][2]int{ // pages of the second read, the first time and again
		// The bitmap of "most" has 8 KiB of bits and some: 8,204 bytes or so, in 3 pages.
		Fast:     {"all": {1, 0}, "most": {3, 0}, "few": {0, 0}, "some": {1, 0}, "absent": {0, 0}},
		Balanced: {"all": {1, 1}, "most": {3, 3}, "few": {1, 1}, "some": {1, 1}, "absent": {1, 1}},
		Strict:   {"all": {1, 1}, "most": {4, 4}, "few": {1, 1}, "some": {1, 1}, "absent": {1, 1}},
	} {
		store := newMemStore()
		ix, err := Create(ctx, store, testKey, ID{1}, smallSchema, Options{Profile: p})
		require.NoError(t, err)
		require.NoError(t, ix.Apply(ctx, Batch{Put: b.Put, New: true}))
		for tag, n := range want {
			if tag == "all" && p == Fast {
				continue // whether it shares its page with another list depends on the keys
			}
			q := Term("tag", String(tag))
			other := mustOpen(t, store, Options{})
			res := mustSearch(t, other, q, SearchOptions{CountOnly: true})
			require.Equal(t, 1+n[0], res.Cost.Pages, "%s, profile %d", tag, p)
			res = mustSearch(t, other, q, SearchOptions{CountOnly: true})
			require.Equal(t, n[1], res.Cost.Pages, "%s, profile %d, again", tag, p)
		}
		require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}), "lists are read with the lengths of the profile")
		require.NoError(t, ix.Verify(ctx))
		require.Equal(t, docs, count(t, ix, Term("tag", String("all"))))
	}
}

func TestListPages(t *testing.T) {
	for pages := range 70 {
		n := pages*pageRoom + 1
		require.EqualValues(t, pages+1, Fast.listPages(n))
		require.GreaterOrEqual(t, Balanced.listPages(n), Fast.listPages(n))
		s := Strict.listPages(n)
		require.GreaterOrEqual(t, s, Fast.listPages(n))
		require.Less(t, s, 2*Fast.listPages(n))
		require.Zero(t, s&(s-1), "%d is no power of two", s)
	}
}
