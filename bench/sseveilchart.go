package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/sse"
)

// sseSchema is the schema of all corpora.
var sseSchema = sse.Schema{Fields: []sse.Field{
	{Name: fieldCode, Type: sse.Keyword},
	{Name: fieldText, Type: sse.Text, Rank: true},
	{Name: fieldName, Type: sse.Keyword, Prefix: true, Fuzzy: true},
	{Name: fieldNumber, Type: sse.Integer, Max: maxNumber},
	{Name: fieldDay, Type: sse.Date, Min: firstDay, Max: lastDay},
}}

// The key is no secret here, and there is one partition in a store.
var (
	ssePartition = sse.ID{1}
	sseKey       = make([]byte, sse.KeySize)
)

func veilchartSearch() engine {
	return engine{impl: measure.Reference, fits: anything,
		fill: func(ctx context.Context, dir string, c corpus) error {
			store, err := sse.OpenDir(dir)
			if err != nil {
				return err
			}
			return veilchartFill(ctx, store, c)
		},
		open: func(ctx context.Context, dir string, _ corpus) (searcher, error) {
			store, err := sse.OpenDir(dir)
			if err != nil {
				return nil, err
			}
			return openVeilchart(ctx, store)
		}}
}

// veilchartFill loads the corpus into a new partition of profile Balanced.
func veilchartFill(ctx context.Context, store sse.Store, c corpus) error {
	ix, err := sse.Create(ctx, store, sseKey, ssePartition, sseSchema, sse.Options{})
	if err != nil {
		return err
	}
	defer ix.Close()
	_, err = ix.Load(ctx, func(yield func(sse.Document, error) bool) {
		for r, err := range c.records {
			if !yield(r.document(), err) {
				return
			}
		}
	}, sse.LoadOptions{New: true})
	return err
}

func (r entry) document() sse.Document {
	f := sse.Fields{}
	for _, code := range r.codes {
		f[fieldCode] = append(f[fieldCode], sse.String(code))
	}
	if r.text != "" {
		f[fieldText] = []sse.Value{sse.String(r.text)}
	}
	if r.name != "" {
		f[fieldName] = []sse.Value{sse.String(r.name)}
	}
	if r.number >= 0 {
		f[fieldNumber] = []sse.Value{sse.Int(r.number)}
	}
	if r.day != noDay {
		f[fieldDay] = []sse.Value{dayValue(r.day)}
	}
	return sse.Document{ID: r.id, Revision: 1, Fields: f}
}

func dayValue(day int64) sse.Value { return sse.Day(time.Unix(day*24*60*60, 0).UTC()) }

type veilchartSearcher struct{ ix *sse.Index }

func openVeilchart(ctx context.Context, store sse.Store) (veilchartSearcher, error) {
	ix, err := sse.Open(ctx, store, sseKey, ssePartition, sse.Options{})
	return veilchartSearcher{ix}, err
}

func (s veilchartSearcher) close() error {
	s.ix.Close()
	return nil
}

// sseQuery is the question as veilchart is asked it.
func (q question) sseQuery() (sse.Query, error) {
	var terms []sse.Query
	for _, w := range q.words {
		terms = append(terms, sse.Term(fieldText, sse.String(w)))
	}
	switch q.kind {
	case kindTerm:
		return terms[0], nil
	case kindBool:
		return sse.And(terms[0], sse.Or(terms[1], terms[2]), sse.Not(terms[3])), nil
	case kindRanked:
		return sse.Or(terms...), nil
	case kindRange:
		if q.field == fieldDay {
			return sse.Range(fieldDay, dayValue(q.low), dayValue(q.high)), nil
		}
		return sse.Range(fieldNumber, sse.Int(q.low), sse.Int(q.high)), nil
	case kindPrefix:
		return sse.Prefix(fieldName, q.text), nil
	case kindFuzzy:
		return sse.Fuzzy(fieldName, q.text, q.edits), nil
	}
	return sse.Query{}, fmt.Errorf("there is no kind %q", q.kind)
}

// sseOptions let a query match as many words as peers let it.
func (q question) sseOptions(limit int) sse.SearchOptions {
	return sse.SearchOptions{Limit: limit, Rank: q.kind == kindRanked, MaxTerms: 1 << 16, MaxPages: 1 << 20}
}

func (s veilchartSearcher) result(ctx context.Context, q question, o sse.SearchOptions) (*sse.Result, error) {
	query, err := q.sseQuery()
	if err != nil {
		return nil, err
	}
	return s.ix.Search(ctx, query, o)
}

func (s veilchartSearcher) search(ctx context.Context, q question) (found, error) {
	res, err := s.result(ctx, q, q.sseOptions(firstPage))
	if err != nil {
		return found{}, err
	}
	f := found{total: res.Total, ids: make([]string, len(res.Hits))}
	for i, h := range res.Hits {
		f.ids[i] = h.ID
	}
	return f, nil
}

func (s veilchartSearcher) all(ctx context.Context, q question, _ int) ([]string, error) {
	res, err := s.result(ctx, q, q.sseOptions(0))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(res.Hits))
	for i, h := range res.Hits {
		ids[i] = h.ID
		// What is not the best first is not the work that peers do.
		if i > 0 && h.Score > res.Hits[i-1].Score {
			return nil, fmt.Errorf("%v: hit %d has a higher score than the one before", q, i)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
