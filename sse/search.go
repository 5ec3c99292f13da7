package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// SearchOptions say what a search brings back, and bound it. The zero value brings back all hits in the order of rows.
type SearchOptions struct {
	// Limit is the most hits that are brought back; 0 is no limit. If there are more, Result.Next leads on.
	Limit int
	// After goes on behind a page of hits of the same query and options, of which Limit, Facets and the bounds may be others: it is its
	// Result.Next. The search works on the state of the partition that the first page was found in, whatever was written since.
	After Cursor
	// CountOnly leaves the hits out: their rows are not read, and the server does not see where they are.
	CountOnly bool
	// Rank orders hits by Hit.Score, the best first, and hits of equal score by row.
	Rank bool
	// Sort is the name of a field with Field.Sort, whose values order the hits: the smallest first, or the greatest if Descending. Documents
	// without a value come last, those with equal values in the order of rows. Keywords are ordered by their bytes.
	Sort       string
	Descending bool
	// Facets are names of fields with Field.Facet. The documents that match are counted by their values.
	Facets []string
	// MaxPages is the most pages that the search may read; 0 is 16,384, which are 64 MiB. More is ErrTooBroad.
	MaxPages int
	// MaxTerms is the most words of a vocabulary that a prefix, wildcard, regular expression or fuzzy query may match in a segment, and
	// the most values that a field of Facets may have there; 0 is 1,024. More is ErrTooBroad.
	MaxTerms int
}

// Hit is a document that was found.
type Hit struct {
	ID       string
	Revision uint64
	Stored   []byte  // nil if nothing was stored; the caller owns it
	Values   Fields  // of the fields with Stored; nil if there are none. Keywords are in their Unicode normal form, times in UTC and whole seconds
	Score    float64 // with Rank; otherwise 0
}

// Count is how many documents have a value.
type Count struct {
	Value string
	Count int
}

// Result is what a search found.
type Result struct {
	Total  int                // live documents that match, exactly
	Hits   []Hit              // in the order that was asked for; by default that of rows, which is the order of writing until a compaction
	Next   Cursor             // leads to the hits behind these; nil if there are none
	Facets map[string][]Count // by field: the values that occur, the most frequent first, exactly
	Cost   Cost               // what the store was asked for, without the head
	Anchor Anchor             // the state of the partition that was searched
}

// check refuses what contradicts itself, and fills in the defaults.
func (o *SearchOptions) check() error {
	switch {
	case o.Limit < 0 || o.MaxPages < 0 || o.MaxTerms < 0:
		return fmt.Errorf("sse: a negative number in SearchOptions %w", ErrSchema)
	case o.Rank && o.Sort != "":
		return fmt.Errorf("sse: SearchOptions with Rank and Sort: the order %w: choose one", ErrSchema)
	case o.Descending && o.Sort == "":
		return fmt.Errorf("sse: SearchOptions with Descending and without Sort: the order %w: name a field", ErrSchema)
	case o.CountOnly && o.After != nil:
		return fmt.Errorf("sse: SearchOptions with CountOnly and After: a count %w: it has no pages", ErrSchema)
	}
	if o.CountOnly {
		o.Rank, o.Sort, o.Descending = false, "", false
	}
	if o.MaxPages == 0 {
		o.MaxPages = defaultMaxPages
	}
	if o.MaxTerms == 0 {
		o.MaxTerms = defaultMaxTerms
	}
	return nil
}

// Search finds documents. It asks for the head, so that it sees what others wrote, and works on that state to its end. Errors:
// ErrSchema for a query that does not fit the schema, ErrTooBroad, ErrCursor, ErrDamaged, ErrRollback, and those of the store.
func (ix *Index) Search(ctx context.Context, q Query, o SearchOptions) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var res *Result
	err := ix.during(ctx, q, o, func(st *state, after *rowPlace) error {
		var err error
		res, err = ix.search(ctx, st, q, o, after)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// during runs f on the latest manifest, or on that of the cursor.
func (ix *Index) during(ctx context.Context, q Query, o SearchOptions, f func(st *state, after *rowPlace) error) error {
	if o.After == nil {
		return ix.consistently(ctx, func(st *state) error { return f(st, nil) })
	}
	st, after, err := ix.resume(ctx, q, o)
	if err != nil {
		return err
	}
	if err = f(st, &after); errors.Is(err, ErrMissing) {
		return fmt.Errorf("sse: %w (%w)", ErrCursor, err)
	}
	return err
}

// searching is a search on its way.
type searching struct {
	ix    *Index
	state *state
	plan  *plan
	query Query
	o     SearchOptions
	after *rowPlace // nil for the first page
	meter meter
	parts []*part
	rows  rowReader
}

// search finds documents in one state of the partition. The options were checked.
func (ix *Index) search(ctx context.Context, st *state, q Query, o SearchOptions, after *rowPlace) (*Result, error) {
	p, err := compile(st.manifest.schema, st.manifest.profile, &ix.automata, q, o)
	if err != nil {
		return nil, err
	}
	s := &searching{ix: ix, state: st, plan: p, query: q, o: o, after: after, meter: meter{limit: o.MaxPages}}
	return s.run(ctx)
}

func (s *searching) run(ctx context.Context) (*Result, error) {
	if err := s.find(ctx); err != nil {
		return nil, err
	}
	res := &Result{Anchor: s.state.anchor}
	matches := make([]matched, len(s.parts))
	for i, pt := range s.parts {
		matches[i] = matched{part: pt, rows: pt.matches(s.plan, true)}
		res.Total += int(matches[i].rows.GetCardinality())
	}
	res.Facets = s.countFacets(matches)
	if !s.o.CountOnly {
		if err := s.fill(ctx, res, matches); err != nil {
			return nil, err
		}
	}
	res.Cost = s.meter.Cost
	return res, nil
}

// find evaluates everything that the query says of a document: after it the matches of every part are exact.
func (s *searching) find(ctx context.Context) error {
	s.meter.Segments = len(s.state.readers)
	s.rows = rowReader{ix: s.ix, meter: &s.meter}
	all, err := s.ix.contents(ctx, &s.meter, s.state, wanted{vocabularies: s.plan.fields, columns: s.o.Sort != "", column: s.plan.sorted})
	if err != nil {
		return err
	}
	s.parts = make([]*part, len(all))
	for i, c := range all {
		if s.parts[i], err = s.ix.part(c, s.plan, s.o.MaxTerms); err != nil {
			return err
		}
	}
	if err := s.ix.lists(ctx, &s.meter, s.parts); err != nil {
		return err
	}
	for _, pt := range s.parts {
		if err := s.ix.phrases(pt, s.plan); err != nil {
			return err
		}
	}
	return s.substrings(ctx)
}

// fill reads the rows of the hits.
func (s *searching) fill(ctx context.Context, res *Result, matches []matched) error {
	page, more, err := s.page(matches)
	if err != nil {
		return err
	}
	picks := make([]pick, len(page))
	for i, c := range page {
		picks[i] = pick{s.parts[c.part].content, c.row}
	}
	if profiles[s.plan.profile].fixedRows {
		if err := s.rows.fixed(ctx, s.parts, picks, s.o.Limit, s.query.String()+"\x00"+string(s.o.After)); err != nil {
			return err
		}
	}
	rows, err := s.rows.read(ctx, picks)
	if err != nil {
		return err
	}
	res.Hits = make([]Hit, len(rows))
	for i, r := range rows {
		if res.Hits[i], err = r.hit(s.plan.schema); err != nil {
			return s.ix.damaged(picks[i].c.id, 0, err)
		}
		res.Hits[i].Score = scoreOf(page[i].score)
	}
	if more {
		last := page[len(page)-1]
		res.Next = s.ix.cursor(s.state, s.query, s.o, rowPlace{last.part, last.row})
	}
	return nil
}

// hit is what a caller gets of a row.
func (r row) hit(schema Schema) (Hit, error) {
	h := Hit{ID: r.id, Revision: r.revision, Stored: slices.Clone(r.stored)}
	if len(r.values) > 0 {
		var err error
		if h.Values, err = decodeValues(schema, r.values); err != nil {
			return Hit{}, err
		}
	}
	return h, nil
}
