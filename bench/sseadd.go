package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/sse"
)

// addCommand makes this program another one: it opens an index and adds records, one by one. Another process counts what it asks the system for.
const addCommand = "sse-add"

// adder adds one record at a time, each durable when add returns.
type adder interface {
	add(ctx context.Context, r entry) error
}

func (s veilchartSearcher) add(ctx context.Context, r entry) error {
	return s.ix.Apply(ctx, sse.Batch{Put: []sse.Document{r.document()}})
}

func (s bleveSearcher) add(_ context.Context, r entry) error { return s.ix.Index(r.id, r.fields()) }

func (s *postgresSearcher) add(ctx context.Context, r entry) error {
	_, err := s.conn.Exec(ctx, "INSERT INTO "+s.table+" (id, code, body, name, number, day) VALUES ($1, $2, $3, $4, $5, $6)", r.columns()...)
	return err
}

var (
	_ adder = veilchartSearcher{}
	_ adder = bleveSearcher{}
	_ adder = &postgresSearcher{}
)

// newRecords are records of a corpus under IDs that are new each time.
type newRecords struct {
	all   []entry
	taken atomic.Int64
}

func (n *newRecords) next() entry {
	i := int(n.taken.Add(1) - 1)
	r := n.all[i%len(n.all)]
	r.id = fmt.Sprintf("added-%08d", i)
	return r
}

func takeRecords(c corpus) (*newRecords, error) {
	n := &newRecords{}
	for r, err := range c.records {
		if err != nil {
			return nil, err
		}
		if n.all = append(n.all, r); len(n.all) == 1000 {
			break
		}
	}
	return n, nil
}

// addCase adds one entry, which has to be durable. The limit is what any program does that makes a small file durable: write it, sync it, rename it
// and sync the folder.
func (s sseSuite) addCase(n int, l *lab) measure.Case {
	c := zipfCorpus(n)
	c.label = fmt.Sprintf("added-%d", n) // an index of its own, as it is changed
	fresh, err := takeRecords(c)
	out := measure.Case{Name: fmt.Sprintf("add/docs=%d", n)}
	for _, e := range []engine{veilchartSearch(), bleveEngine(), postgresEngine()} {
		var to adder
		contender := measure.InSeconds(measure.Timed(e.impl, func() error { return to.add(context.Background(), fresh.next()) }))
		contender.Prepare = func(ctx context.Context) error {
			if err != nil {
				return err
			}
			found, err := l.bed(e, c).open(ctx)
			if err == nil {
				to = found.(adder)
			}
			return err
		}
		out.Contenders = append(out.Contenders, contender)
	}
	i := 0
	out.Contenders = append(out.Contenders, measure.InSeconds(measure.Timed(limit, func() error {
		i++
		return durableFile(filepath.Join(l.dir, "limit"), fmt.Sprint(i))
	})))
	return out
}

// durableFile makes a file of a page durable.
func durableFile(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, sse.PageSize))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncsCase counts how often a record makes the program wait for the disk.
func (s sseSuite) syncsCase(n int, l *lab) measure.Case {
	c := zipfCorpus(n)
	c.label = fmt.Sprintf("synced-%d", n)
	out := measure.Case{Name: fmt.Sprintf("add-syncs/docs=%d", n)}
	for _, e := range []engine{veilchartSearch(), bleveEngine()} {
		b := l.bed(e, c)
		out.Contenders = append(out.Contenders, measure.Contender{Impl: e.impl, Once: true,
			Prepare: func(ctx context.Context) error {
				_, err := b.open(ctx)
				return errors.Join(err, b.shut())
			},
			Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
				program, err := os.Executable()
				if err != nil {
					return measure.Sample{}, err
				}
				// What opening and closing the index costs is not that of a record.
				none, err := countSyncs(program, addCommand, e.impl, b.dir, "0")
				if err != nil {
					return measure.Sample{}, err
				}
				some, err := countSyncs(program, addCommand, e.impl, b.dir, strconv.Itoa(s.synced))
				return measure.Sample{N: s.synced, Values: []measure.Value{{Unit: "fsyncs", X: float64(some-none) / float64(s.synced)}}}, err
			}})
	}
	return out
}

func addMain(args []string, stderr io.Writer) int {
	n, err := 0, error(nil)
	if len(args) == 3 {
		n, err = strconv.Atoi(args[2])
	}
	if len(args) != 3 || err != nil || n < 0 {
		fmt.Fprintf(stderr, "usage: bench %s ENGINE FOLDER RECORDS\n", addCommand)
		return 2
	}
	if err := addRecords(context.Background(), args[0], args[1], n); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", addCommand, err)
		return 1
	}
	return 0
}

func addRecords(ctx context.Context, impl, dir string, n int) (err error) {
	e, err := engineOf(impl)
	if err != nil {
		return err
	}
	c := zipfCorpus(max(1, n))
	fresh, err := takeRecords(c)
	if err != nil {
		return err
	}
	opened, err := e.open(ctx, dir, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	for range n {
		if err := opened.(adder).add(ctx, fresh.next()); err != nil {
			return err
		}
	}
	return nil
}

// grown is an index to which documents were added one by one, by several goroutines as in a ward, and in which the merges in the background have done what
// they do.
const grown = measure.Reference + "-grown"

const writers = 8

// afterAddsCases search what was added one by one, and the same documents loaded at once.
func (s sseSuite) afterAddsCases(n, adds int, l *lab) (list []measure.Case) {
	all := zipfCorpus(n + adds)
	all.label = fmt.Sprintf("grown-%d", n+adds)
	bulk := veilchartSearch()
	slow := bulk
	slow.impl = grown
	slow.fill = func(ctx context.Context, dir string, c corpus) error { return growIndex(ctx, dir, c, n) }
	for _, kind := range kinds {
		list = append(list, l.searchCase(fmt.Sprintf("search-after-adds/kind=%s/adds=%d", kind, adds), kind, "", all, bulk, slow))
	}
	segments := measure.Case{Name: fmt.Sprintf("segments-after-adds/adds=%d", adds)}
	for _, e := range []engine{bulk, slow} {
		b := l.bed(e, all)
		segments.Contenders = append(segments.Contenders, measure.Contender{Impl: e.impl, Once: true,
			Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
				opened, err := b.open(ctx)
				if err != nil {
					return measure.Sample{}, err
				}
				stats, err := opened.(veilchartSearcher).ix.Stats(ctx)
				return measure.Sample{N: 1, Values: []measure.Value{{Unit: "segments", X: float64(stats.Segments)}}}, err
			}})
	}
	return append(list, segments)
}

// growIndex loads the first documents of a corpus and adds the others one by one.
func growIndex(ctx context.Context, dir string, c corpus, loaded int) error {
	store, err := sse.OpenDir(dir)
	if err != nil {
		return err
	}
	first := c
	first.records = func(yield func(entry, error) bool) {
		n := 0
		for r, err := range c.records {
			if n++; n > loaded || !yield(r, err) {
				return
			}
		}
	}
	if err := veilchartFill(ctx, store, first); err != nil {
		return err
	}
	s, err := openVeilchart(ctx, store)
	if err != nil {
		return err
	}
	more := make(chan entry)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for r := range more {
				if err := s.add(ctx, r); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	n := 0
	for r, err := range c.records {
		if err != nil {
			cancel(err)
		}
		if n++; n <= loaded {
			continue
		}
		select {
		case more <- r:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(more)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

// settle waits until the merges in the background have nothing to do any more.
func (s veilchartSearcher) settle(ctx context.Context) error {
	segments := -1
	for same := 0; same < 10; same++ {
		stats, err := s.ix.Stats(ctx)
		if err != nil {
			return err
		}
		if stats.Segments != segments {
			segments, same = stats.Segments, 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return s.close()
}
