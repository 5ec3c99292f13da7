package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/keyword"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/index/scorch/mergeplan"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
)

const (
	bleveModule = "github.com/blevesearch/bleve/v2"
	bleveBatch  = 1000 // documents: its documentation asks for batches, and gets slower with smaller and not faster with larger ones
	plain       = "plain"
)

// bleveEngine is bleve in the clear: its default index, scorch, on disk, with batches that are durable before the next, as by default.
func bleveEngine() engine {
	return engine{impl: "bleve", fits: anything,
		fill: func(_ context.Context, dir string, c corpus) (err error) {
			m, err := bleveMapping(c)
			if err != nil {
				return err
			}
			ix, err := bleve.New(filepath.Join(dir, "index"), m)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ix.Close()) }()
			return batches(c.records, bleveBatch, func(some []entry) error {
				b := ix.NewBatch()
				for _, r := range some {
					if err := b.Index(r.id, r.fields()); err != nil {
						return err
					}
				}
				return ix.Batch(b)
			})
		},
		open: func(ctx context.Context, dir string, _ corpus) (searcher, error) {
			ix, err := bleve.Open(filepath.Join(dir, "index"))
			if err != nil {
				return nil, err
			}
			return bleveSearcher{ix}, nil
		}}
}

// merge makes one segment of all, which bleve searches fastest. It is not measured.
func (s bleveSearcher) merge(ctx context.Context) error {
	inner, err := s.ix.Advanced()
	if err != nil {
		return err
	}
	store, ok := inner.(*scorch.Scorch)
	if !ok {
		return fmt.Errorf("bleve's default index is %T, where this program expects scorch", inner)
	}
	return store.ForceMerge(ctx, &mergeplan.SingleSegmentMergePlanOptions)
}

// bleveMapping leaves out all that no question asks for: stored values, positions, doc values, and but for the text frequencies and norms.
func bleveMapping(c corpus) (mapping.IndexMapping, error) {
	m := bleve.NewIndexMapping()
	m.ScoringModel = index.BM25Scoring
	err := m.AddCustomAnalyzer(plain, map[string]any{"type": custom.Name, "tokenizer": unicode.Name, "token_filters": []any{lowercase.Name}})
	if err != nil {
		return nil, err
	}
	words := func(analyzer string, ranked bool) *mapping.FieldMapping {
		f := mapping.NewTextFieldMapping()
		f.Analyzer, f.SkipFreqNorm = analyzer, !ranked
		f.Store, f.IncludeTermVectors, f.IncludeInAll, f.DocValues = false, false, false, false
		return f
	}
	number := func() *mapping.FieldMapping {
		f := mapping.NewNumericFieldMapping()
		f.Store, f.IncludeInAll, f.DocValues = false, false, false
		return f
	}
	d := mapping.NewDocumentStaticMapping()
	d.AddFieldMappingsAt(fieldCode, words(keyword.Name, false))
	d.AddFieldMappingsAt(fieldName, words(keyword.Name, false))
	text := plain
	if c.cjk {
		text = cjk.AnalyzerName
	}
	d.AddFieldMappingsAt(fieldText, words(text, true))
	d.AddFieldMappingsAt(fieldNumber, number())
	d.AddFieldMappingsAt(fieldDay, number())
	m.DefaultMapping = d
	return m, nil
}

func (r entry) fields() map[string]any {
	f := map[string]any{}
	if len(r.codes) > 0 {
		f[fieldCode] = r.codes
	}
	if r.text != "" {
		f[fieldText] = r.text
	}
	if r.name != "" {
		f[fieldName] = r.name
	}
	if r.number >= 0 {
		f[fieldNumber] = float64(r.number)
	}
	if r.day != noDay {
		f[fieldDay] = float64(r.day)
	}
	return f
}

type bleveSearcher struct{ ix bleve.Index }

func (s bleveSearcher) close() error { return s.ix.Close() }

func (q question) bleveQuery() (query.Query, error) {
	var terms []query.Query
	for _, w := range q.words {
		t := query.NewTermQuery(w)
		t.SetField(fieldText)
		terms = append(terms, t)
	}
	switch q.kind {
	case kindTerm:
		return terms[0], nil
	case kindBool:
		return query.NewBooleanQuery([]query.Query{terms[0], query.NewDisjunctionQuery(terms[1:3])}, nil, []query.Query{terms[3]}), nil
	case kindRanked:
		if len(terms) == 1 {
			return terms[0], nil
		}
		return query.NewDisjunctionQuery(terms), nil
	case kindRange:
		low, high, yes := float64(q.low), float64(q.high), true
		r := query.NewNumericRangeInclusiveQuery(&low, &high, &yes, &yes)
		r.SetField(q.field)
		return r, nil
	case kindPrefix:
		p := query.NewPrefixQuery(q.text)
		p.SetField(fieldName)
		return p, nil
	case kindFuzzy:
		f := query.NewFuzzyQuery(q.text)
		f.SetField(fieldName)
		f.SetFuzziness(q.edits)
		return f, nil
	}
	return nil, fmt.Errorf("there is no kind %q", q.kind)
}

// ask turns scores off for all kinds but ranked: bleve then works with bitmaps where it can.
func (s bleveSearcher) ask(ctx context.Context, q question, size int) (found, error) {
	inner, err := q.bleveQuery()
	if err != nil {
		return found{}, err
	}
	req := bleve.NewSearchRequestOptions(inner, size, 0, false)
	if q.kind != kindRanked {
		req.Score = "none"
	}
	res, err := s.ix.SearchInContext(ctx, req)
	if err != nil {
		return found{}, err
	}
	f := found{total: int(res.Total), ids: make([]string, len(res.Hits))}
	for i, h := range res.Hits {
		f.ids[i] = h.ID
	}
	return f, nil
}

func (s bleveSearcher) search(ctx context.Context, q question) (found, error) {
	return s.ask(ctx, q, firstPage)
}

func (s bleveSearcher) all(ctx context.Context, q question, most int) ([]string, error) {
	f, err := s.ask(ctx, q, most)
	slices.Sort(f.ids)
	return f.ids, err
}
