package sse

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/big"
	"slices"

	"github.com/stretchr/testify/require"
)

// What a search should bring back, and in which order.

// matches are the IDs of the documents that the query finds, sorted.
func (w *oracleRun) matches(q oracleQuery) (ids []string) {
	for id, d := range w.truth {
		if !d.tomb && q.match(d) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// idsOf are the IDs of hits, sorted.
func idsOf(hits []Hit) (ids []string) {
	for _, h := range hits {
		ids = append(ids, h.ID)
	}
	slices.Sort(ids)
	return ids
}

// tooBroad says whether a search ended because it asks for what segments of format 1 do not have.
func (w *oracleRun) tooBroad(ctx context.Context, q oracleQuery, err error) bool {
	return errors.Is(err, ErrTooBroad) && q.exists && w.hasForm(ctx, formFull1)
}

// hasForm says whether the partition has a segment of the form.
func (w *oracleRun) hasForm(ctx context.Context, form uint8) bool {
	_, err := w.writers[0].Stats(ctx) // reads the head
	require.NoError(w.t, err)
	return forms(w.writers[0])[form] > 0
}

// search compares searches with the oracle: all hits, the count alone, and hits in a drawn order and in pages. The query goes through its
// text, as people write it. It returns the number of hits.
func (w *oracleRun) search(ctx context.Context, q oracleQuery) int {
	parsed, err := ParseQuery(w.schema, q.query.String())
	require.NoError(w.t, err)
	require.Equal(w.t, q.query, parsed)
	q.query = parsed
	res, err := w.writer().Search(ctx, q.query, SearchOptions{})
	if w.tooBroad(ctx, q, err) {
		return 0
	}
	require.NoError(w.t, err, "%v", q.query)
	want := w.matches(q)
	require.Equal(w.t, want, idsOf(res.Hits), "%v", q.query)
	require.Equal(w.t, len(want), res.Total)
	require.Nil(w.t, res.Next)
	for _, h := range res.Hits {
		require.Equal(w.t, w.truth[h.ID].hit(w.schema, h.ID), h)
		if w.r.IntN(50) == 0 {
			got, err := w.writer().Get(ctx, h.ID)
			require.NoError(w.t, err)
			require.Equal(w.t, h, got)
		}
	}

	var o SearchOptions
	for _, f := range w.schema.Fields {
		if f.Facet && w.r.IntN(2) == 0 {
			o.Facets = append(o.Facets, f.Name)
		}
	}
	counted, err := w.writer().Search(ctx, q.query, SearchOptions{CountOnly: true, Facets: o.Facets})
	require.NoError(w.t, err)
	require.Equal(w.t, []any{len(want), 0}, []any{counted.Total, len(counted.Hits)})
	require.Equal(w.t, w.facets(want, o.Facets), counted.Facets, "%v", q.query)
	w.pages(ctx, q, o, res)
	return len(want)
}

// facets counts documents by value, each once.
func (w *oracleRun) facets(ids []string, fields []string) map[string][]Count {
	if len(fields) == 0 {
		return nil
	}
	facets := make(map[string][]Count)
	for _, name := range fields {
		counts := make(map[string]int)
		for _, id := range ids {
			of := make(map[string]bool)
			for _, v := range w.truth[id].values[name] {
				of[v.tokens[0].word] = true
			}
			for word := range of {
				counts[word]++
			}
		}
		list := []Count{}
		for word, n := range counts {
			list = append(list, Count{word, n})
		}
		slices.SortFunc(list, func(a, b Count) int {
			if a.Count != b.Count {
				return b.Count - a.Count
			}
			return cmp.Compare(a.Value, b.Value)
		})
		facets[name] = list
		if len(list) > 1 {
			w.found["facets"]++
		}
	}
	return facets
}

// pages reads the hits page by page in a drawn order, while others write. all are the hits in the order of rows, in which hits stand that
// are otherwise equal.
func (w *oracleRun) pages(ctx context.Context, q oracleQuery, o SearchOptions, all *Result) {
	want := slices.Clone(all.Hits)
	o.Limit = 1 + w.r.IntN(max(20, len(want)/3))
	name := "rows"
	switch w.r.IntN(3) {
	case 0:
		o.Rank, name = true, "rank"
		w.rank(q, want)
	case 1:
		if name = w.sort(&o, want); name == "" {
			return
		}
	}
	facets := w.facets(idsOf(want), o.Facets)
	w.store.reads = nil
	gone := false // segments that this state needs may be
	for page := 0; ; page++ {
		res, err := w.writer().Search(ctx, q.query, o)
		if gone && errors.Is(err, ErrCursor) {
			return
		}
		require.NoError(w.t, err, "%v", q.query)
		if page == 0 && w.merging && res.Anchor != all.Anchor {
			return // rows have another order now
		}
		require.Equal(w.t, all.Anchor, res.Anchor)
		require.Equal(w.t, all.Total, res.Total)
		n := min(o.Limit, len(want))
		require.Len(w.t, res.Hits, n)
		for i, h := range res.Hits {
			require.InEpsilon(w.t, 1+want[i].Score, 1+h.Score, 1e-12)
			h.Score = want[i].Score
			require.Equal(w.t, want[i], h, "%v, page %d", q.query, page)
		}
		if want = want[n:]; page == 0 || w.r.IntN(4) == 0 {
			require.Equal(w.t, facets, res.Facets)
		}
		require.Equal(w.t, len(want) == 0, res.Next == nil)
		if res.Next == nil {
			if page > 0 {
				w.found[name+" in pages"]++
			}
			return
		}
		o.After = res.Next
		if o.Limit = 1 + w.r.IntN(max(20, len(want)/2)); page > 3 {
			o.Limit = len(want)/2 + 1 // not too many pages
		}
		if w.r.IntN(20) == 0 {
			gone = w.meanwhile(ctx, q, o) || gone
		}
	}
}

// meanwhile is what others do between two pages. It says whether what the pages are read from may be gone.
func (w *oracleRun) meanwhile(ctx context.Context, q oracleQuery, o SearchOptions) (gone bool) {
	switch w.r.IntN(6) {
	case 0:
		w.apply(ctx, 1+w.r.IntN(20))
	case 1:
		w.fresh(ctx, 1+w.r.IntN(3))
	case 2:
		w.compact(ctx, CompactOptions{Full: w.r.IntN(2) == 0})
	case 3:
		c := w.compactOptions()
		w.compact(ctx, c)
		return c.DeleteNow || c.NewKey != nil
	case 4:
		_, err := w.writer().Search(ctx, Not(q.query), o)
		require.ErrorIs(w.t, err, ErrCursor)
		w.reopen()
	case 5:
		w.addField(ctx)
	}
	return false
}

// sort orders hits by a drawn field, if there is one.
func (w *oracleRun) sort(o *SearchOptions, hits []Hit) (name string) {
	var fields []Field
	for _, f := range w.schema.Fields {
		if f.Sort {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return ""
	}
	f := fields[w.r.IntN(len(fields))]
	o.Sort, o.Descending = f.Name, w.r.IntN(2) == 0
	slices.SortStableFunc(hits, func(a, b Hit) int {
		x, y := w.truth[a.ID].values[f.Name], w.truth[b.ID].values[f.Name]
		if len(x) == 0 || len(y) == 0 {
			return len(y) - len(x) // one that has no value is last, also descending
		}
		order := cmp.Compare(x[0].n, y[0].n)
		if f.Type == Keyword {
			order = cmp.Compare(x[0].tokens[0].word, y[0].tokens[0].word)
		}
		if o.Descending {
			return -order
		}
		return order
	})
	return "sort by " + f.Type.String()
}

// rank orders hits by their scores and sets these.
func (w *oracleRun) rank(q oracleQuery, hits []Hit) {
	sums := make(map[string]uint64)
	done := make(map[oracleScore]bool)
	for _, s := range q.scored {
		if done[s] {
			continue
		}
		done[s] = true
		f, err := w.schema.field(s.field)
		require.NoError(w.t, err)
		live, having := uint64(0), uint64(0)
		impacts := make(map[string]uint64)
		for id, d := range w.truth {
			if d.tomb {
				continue
			}
			live++
			if n := d.impact(f, s.key); n > 0 {
				having++
				impacts[id] = n
			}
		}
		idf := oracleFrequency(live, having)
		for id, n := range impacts {
			sums[id] += n * idf
		}
	}
	for i := range hits {
		// The sum of ln((n+1)/(df+1/2)) (k1+1) impact/255, as logarithms to base two were counted in parts of 2^16.
		hits[i].Score = float64(sums[hits[i].ID]) / 65536 / math.Log2E * 2.2 / 255
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(sums[b.ID], sums[a.ID]) })
	if len(hits) > 1 && hits[0].Score > hits[len(hits)-1].Score {
		w.found["rank"]++
	}
}

// impact is BM25's factor of the document, 255 tf / (tf + 1.2 (0.25 + 0.75 dl / W)), rounded; 0 if the document does not have the word or stem.
func (d oracleDoc) impact(f Field, key string) uint64 {
	tf, dl, typical := 0, 0, cmp.Or(f.Words, 64)
	for _, v := range d.values[f.Name] {
		dl += v.places
		for _, t := range v.tokens {
			if stemOf(f, t.word) == key {
				tf++
			}
		}
	}
	if tf == 0 {
		return 0
	}
	length := new(big.Rat).Add(big.NewRat(3, 10), big.NewRat(int64(9*dl), int64(10*typical)))
	factor := new(big.Rat).Quo(big.NewRat(int64(255*tf), 1), length.Add(length, big.NewRat(int64(tf), 1)))
	factor.Add(factor, big.NewRat(1, 2))
	return max(1, new(big.Int).Quo(factor.Num(), factor.Denom()).Uint64())
}

// oracleFrequency is log2((n+1) / (df+1/2)) in parts of 2^16, rounded down, from squares that are cut after 30 binary digits.
func oracleFrequency(n, df uint64) uint64 {
	one := big.NewInt(1 << 30)
	x := new(big.Int).Mul(big.NewInt(int64(2*n+2)), one)
	x.Quo(x, big.NewInt(int64(2*df+1)))
	log := uint64(0)
	for x.Cmp(new(big.Int).Lsh(one, 1)) >= 0 {
		// The digits before the point: halve.
		x.Rsh(x, 1)
		log++
	}
	for range 16 {
		x.Mul(x, x).Rsh(x, 30)
		log *= 2
		if x.Cmp(new(big.Int).Lsh(one, 1)) >= 0 {
			x.Rsh(x, 1)
			log++
		}
	}
	return log
}
