package main

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/blevesearch/vellum/levenshtein"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The number of edits that hits are told by is that of the automata which the engines use.
func TestDistanceIsThatOfTheAutomata(t *testing.T) {
	assert.Equal(t, 1, distance("martha", "marhta", 2))
	assert.Equal(t, 2, distance("abcd", "badc", 2))
	assert.Equal(t, 0, distance("", "", 1))
	assert.Greater(t, distance("abc", "abcdef", 2), 2)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching("[ab]{0,5}")
		a, b, edits := word.Draw(t, "a"), word.Draw(t, "b"), rapid.IntRange(1, 2).Draw(t, "edits")
		builder, err := levenshtein.NewLevenshteinAutomatonBuilder(uint8(edits), true)
		require.NoError(t, err)
		dfa, err := builder.BuildDfa(a, uint8(edits))
		require.NoError(t, err)
		state := dfa.Start()
		for i := range len(b) {
			state = dfa.Accept(state, b[i])
		}
		assert.Equal(t, dfa.IsMatch(state), distance(a, b, edits) <= edits, "%q %q %d", a, b, edits)
	})
}

// The blocks of a range have each of its values once and no other.
func TestCoverIsTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom([]string{fieldNumber, fieldDay}).Draw(t, "field")
		least, most := int64(0), int64(maxNumber)
		if field == fieldDay {
			least, most = firstDay, lastDay
		}
		low := rapid.Int64Range(least, most).Draw(t, "low")
		high := rapid.Int64Range(low, min(most, low+rapid.Int64Range(0, 70_000).Draw(t, "width"))).Draw(t, "high")
		keys := cover(field, low, high)
		has := func(v int64) (n int) {
			for level, block := 0, v-offset(field); level < levels; level, block = level+1, block/16 {
				if slices.Contains(keys, blockKey(field, level, block)) {
					n++
				}
			}
			return n
		}
		for _, v := range []int64{low, high, (low + high) / 2, rapid.Int64Range(low, high).Draw(t, "inside")} {
			assert.Equal(t, 1, has(v), "%d in %d..%d", v, low, high)
		}
		for _, v := range []int64{low - 1, high + 1, rapid.Int64Range(least, most).Draw(t, "any")} {
			if v >= least && (v < low || v > high) {
				assert.Zero(t, has(v), "%d in %d..%d", v, low, high)
			}
		}
	})
}

// The best hits of the clear engine are those of BM25 worked out document by document.
func TestClearRanksByBM25(t *testing.T) {
	c := zipfCorpus(400)
	dir := t.TempDir()
	require.NoError(t, clearFill(t.Context(), dir, c))
	s, err := openClear(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	list, err := questions(c)
	require.NoError(t, err)
	for _, q := range of(list, kindRanked, "") {
		rows := map[string]float64{}
		for r := range c.records {
			for _, w := range q.words {
				if slices.Contains(strings.Fields(r.text), w) {
					rows[w]++
				}
			}
		}
		type hit struct {
			id    string
			score float64
		}
		var all []hit
		for r := range c.records {
			score := 0.0
			for _, w := range q.words {
				tf := 0
				for _, x := range strings.Fields(r.text) {
					if x == w {
						tf++
					}
				}
				if tf > 0 {
					score += math.Log(1+(400-rows[w]+0.5)/(rows[w]+0.5)) * float64(clearImpact(tf, termsEach))
				}
			}
			if score > 0 {
				all = append(all, hit{r.id, score})
			}
		}
		slices.SortStableFunc(all, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
		f, err := s.search(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, len(all), f.total, "%v", q)
		for i, id := range f.ids {
			at := slices.IndexFunc(all, func(h hit) bool { return h.id == id })
			require.GreaterOrEqual(t, at, 0)
			assert.InDelta(t, all[i].score, all[at].score, 1e-9, "%v, hit %d", q, i)
		}
	}
}
