package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// lab keeps the indexes that searches are measured on: each is made when it is needed first and stays until the end.
type lab struct {
	dir       string
	beds      map[string]*searchBed
	questions map[string][]question
}

func newLab() (*lab, error) {
	dir, err := os.MkdirTemp("", "bench-sse-")
	return &lab{dir: dir, beds: map[string]*searchBed{}, questions: map[string][]question{}}, err
}

func (l *lab) close() error {
	var err error
	for _, b := range l.beds {
		err = errors.Join(err, b.shut())
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// searchBed is the index of a corpus in an engine.
type searchBed struct {
	engine   engine
	corpus   corpus
	dir      string
	err      error // of filling it
	filled   bool
	merged   bool
	searcher searcher        // nil while it is closed
	checked  map[string]bool // kinds
}

func (l *lab) bed(e engine, c corpus) *searchBed {
	name := e.impl + "-" + c.label
	if l.beds[name] == nil {
		l.beds[name] = &searchBed{engine: e, corpus: c, dir: filepath.Join(l.dir, name), checked: map[string]bool{}}
	}
	return l.beds[name]
}

// merger is a searcher that has to be told to put its segments together.
type merger interface {
	merge(ctx context.Context) error
}

// open makes the index if it is not there yet.
func (b *searchBed) open(ctx context.Context) (searcher, error) {
	if b.searcher != nil || b.err != nil {
		return b.searcher, b.err
	}
	if !b.filled {
		b.filled = true
		if b.err = os.Mkdir(b.dir, 0o700); b.err == nil {
			b.err = b.engine.fill(ctx, b.dir, b.corpus)
		}
		if b.err != nil {
			return nil, b.err
		}
	}
	s, err := b.engine.open(ctx, b.dir, b.corpus)
	if err == nil && !b.merged {
		b.merged = true
		if m, ok := s.(merger); ok {
			err = m.merge(ctx)
		}
	}
	if err != nil {
		b.err = err
		return nil, err
	}
	b.searcher = s
	return s, nil
}

// adopt takes a folder that another process has filled, unless there is one already.
func (b *searchBed) adopt(dir string) error {
	if b.filled {
		return nil
	}
	err := os.Rename(dir, b.dir)
	b.filled = err == nil
	return err
}

func (b *searchBed) shut() error {
	if b.searcher == nil {
		return nil
	}
	s := b.searcher
	b.searcher = nil
	return s.close()
}

// list are the questions of a corpus. Where the records do not tell what they should find, the answers of veilchart are what others are compared with.
func (l *lab) list(ctx context.Context, c corpus) ([]question, error) {
	if l.questions[c.label] != nil {
		return l.questions[c.label], nil
	}
	list, err := questions(c)
	if err != nil {
		return nil, err
	}
	if !c.truth {
		s, err := l.bed(veilchartSearch(), c).open(ctx)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if list[i].want, err = s.all(ctx, list[i], 0); err != nil {
				return nil, fmt.Errorf("%v: %w", list[i], err)
			}
		}
	}
	l.questions[c.label] = list
	return list, nil
}

// ready opens an index and compares, once for each kind, all its answers with those that are right: no time is taken of an engine that finds something else.
func (l *lab) ready(ctx context.Context, b *searchBed, kind string) (searcher, []question, error) {
	list, err := l.list(ctx, b.corpus)
	if err != nil {
		return nil, nil, err
	}
	list = of(list, kind, "")
	if len(list) == 0 {
		return nil, nil, measure.Skip("the corpus has no values for it")
	}
	s, err := b.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if b.checked[kind] {
		return s, list, nil
	}
	for _, q := range list {
		got, err := s.all(ctx, q, len(q.want)+firstPage)
		if err != nil {
			return nil, nil, fmt.Errorf("%v: %w", q, err)
		}
		if err := q.same(got, q.want); err != nil {
			return nil, nil, err
		}
		f, err := s.search(ctx, q)
		if err != nil {
			return nil, nil, fmt.Errorf("%v: %w", q, err)
		}
		if err := q.check(f, q.want); err != nil {
			return nil, nil, err
		}
	}
	b.checked[kind] = true
	return s, list, nil
}

// searchCase asks the questions of a kind, and of a class unless it is empty, one after the other; the time is that of one.
func (l *lab) searchCase(name, kind, class string, c corpus, all ...engine) measure.Case {
	out := measure.Case{Name: name}
	if class != "" {
		out.Count = 6 // the least that has an interval of 95 %
	}
	for _, e := range all {
		if !e.fits(kind, c) {
			continue
		}
		b := l.bed(e, c)
		out.Contenders = append(out.Contenders, l.contender(b, e.impl, kind, class))
	}
	return out
}

func (l *lab) contender(b *searchBed, impl, kind, class string) measure.Contender {
	ctx := context.Background()
	var s searcher
	var list []question
	c := measure.TimedEach(impl, each, func() error {
		for _, q := range list {
			f, err := s.search(ctx, q)
			if err == nil && f.total != len(q.want) {
				err = fmt.Errorf("%v: a total of %d, and before it was %d", q, f.total, len(q.want))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	inner := c
	c.Prepare = func(ctx context.Context) error {
		found, all, err := l.ready(ctx, b, kind)
		if err != nil {
			return err
		}
		if s, list = found, all; class != "" {
			list = of(all, kind, class)
		}
		inner = measure.TimedEach(impl, max(1, len(list)), c.Op)
		return nil
	}
	c.Sample = func(ctx context.Context, target time.Duration) (measure.Sample, error) {
		return inner.Sample(ctx, target)
	}
	return measure.InSeconds(c)
}

// costCase says what veilchart asked its store for, and how much was found: means over the questions of a kind.
func (l *lab) costCase(name, kind string, c corpus) measure.Case {
	b := l.bed(veilchartSearch(), c)
	return measure.Case{Name: name, Contenders: []measure.Contender{{Impl: measure.Reference, Once: true,
		Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
			s, list, err := l.ready(ctx, b, kind)
			if err != nil {
				return measure.Sample{}, err
			}
			var hits, terms, rounds, pages, bytes float64
			for _, q := range list {
				res, err := s.(veilchartSearcher).result(ctx, q, q.sseOptions(firstPage))
				if err != nil {
					return measure.Sample{}, err
				}
				hits, terms, rounds = hits+float64(res.Total), terms+float64(res.Cost.Terms), rounds+float64(res.Cost.Rounds)
				pages, bytes = pages+float64(res.Cost.Pages), bytes+float64(res.Cost.Bytes)
			}
			n := float64(len(list))
			return measure.Sample{N: 1, Values: []measure.Value{{Unit: "hits", X: hits / n}, {Unit: "terms", X: terms / n}, {Unit: "rounds", X: rounds / n},
				{Unit: "pages", X: pages / n}, {Unit: measure.Bytes, X: bytes / n}}}, nil
		}}}}
}

// coldCase opens the index and asks one question, with nothing of it in the memory of the process nor, as far as the system does what it is asked, in its page cache.
func (l *lab) coldCase(name, kind string, c corpus, all ...engine) measure.Case {
	out := measure.Case{Name: name, Count: 3}
	for _, e := range all {
		if !e.fits(kind, c) {
			continue
		}
		b := l.bed(e, c)
		out.Contenders = append(out.Contenders, measure.Contender{Impl: e.impl,
			Prepare: func(ctx context.Context) error {
				_, _, err := l.ready(ctx, b, kind)
				return errors.Join(err, b.shut())
			},
			Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
				list := of(l.questions[c.label], kind, "")
				var spent time.Duration
				for _, q := range list {
					if err := dropPages(b.dir); err != nil {
						return measure.Sample{}, err
					}
					start := time.Now()
					s, err := b.open(ctx)
					if err != nil {
						return measure.Sample{}, err
					}
					f, err := s.search(ctx, q)
					spent += time.Since(start)
					if err == nil {
						err = q.check(f, q.want)
					}
					if err = errors.Join(err, b.shut()); err != nil {
						return measure.Sample{}, err
					}
				}
				return measure.Sample{N: len(list), Values: []measure.Value{{Unit: measure.Seconds, X: spent.Seconds() / float64(len(list))}}}, nil
			}})
	}
	return out
}
