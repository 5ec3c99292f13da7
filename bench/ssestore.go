package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/sse"
	ssepostgres "github.com/veilchart/veilchart/sse/postgres"
)

// roundTrips counts how often a program waits for PostgreSQL: a query, a batch, a copy or the preparation of a statement is one.
type roundTrips struct{ n atomic.Int64 }

var (
	_ pgx.QueryTracer    = &roundTrips{}
	_ pgx.BatchTracer    = &roundTrips{}
	_ pgx.CopyFromTracer = &roundTrips{}
	_ pgx.PrepareTracer  = &roundTrips{}
)

// TraceQueryStart implements pgx.QueryTracer.
func (t *roundTrips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	t.n.Add(1)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*roundTrips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (t *roundTrips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	t.n.Add(1)
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*roundTrips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (*roundTrips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (t *roundTrips) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	t.n.Add(1)
	return ctx
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (*roundTrips) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// TracePrepareStart implements pgx.PrepareTracer.
func (t *roundTrips) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	t.n.Add(1)
	return ctx
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (*roundTrips) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

// countingStore tells the round trips for heads, which a program that remembers the manifest still makes to see whether it is the newest, from those for pages.
type countingStore struct {
	sse.Store
	trips *roundTrips
	heads atomic.Int64
}

func (s *countingStore) Head(ctx context.Context, partition sse.ID, version uint64) ([]byte, uint64, error) {
	before := s.trips.n.Load()
	defer func() { s.heads.Add(s.trips.n.Load() - before) }()
	return s.Store.Head(ctx, partition, version)
}

// pagesIn begins the names of schemas that hold pages.
const pagesIn = measure.Reference + "-in-postgres"

// storeEngine is veilchart with its pages in a schema of PostgreSQL, which has the name of the folder.
func storeEngine() engine {
	return engine{impl: measure.Reference, fits: anything,
		fill: func(ctx context.Context, dir string, c corpus) error {
			store, pool, err := openStore(ctx, dir)
			if err != nil {
				return err
			}
			defer pool.Close()
			return veilchartFill(ctx, store, c)
		},
		open: func(ctx context.Context, dir string, _ corpus) (searcher, error) {
			store, pool, err := openStore(ctx, dir)
			if err != nil {
				return nil, err
			}
			s, err := openVeilchart(ctx, store)
			if err != nil {
				pool.Close()
				return nil, err
			}
			return storeSearcher{s, store, pool}, nil
		}}
}

func openStore(ctx context.Context, dir string) (*countingStore, *pgxpool.Pool, error) {
	config, err := databaseConfig()
	if err != nil {
		return nil, nil, err
	}
	trips := &roundTrips{}
	config.ConnConfig.Tracer = trips
	config.MaxConns = 1 // so that no statement is prepared again while trips are counted
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	schema := filepath.Base(dir)
	if err := ssepostgres.Create(ctx, pool, schema); err != nil {
		pool.Close()
		return nil, nil, err
	}
	inner, err := ssepostgres.Open(ctx, pool, schema)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return &countingStore{Store: inner, trips: trips}, pool, nil
}

type storeSearcher struct {
	veilchartSearcher
	store *countingStore
	pool  *pgxpool.Pool
}

func (s storeSearcher) close() error {
	err := s.veilchartSearcher.close()
	s.pool.Close()
	return err
}

// storeCases measure veilchart with its pages in PostgreSQL, against PostgreSQL in the clear, and count round trips.
func (s sseSuite) storeCases(c corpus, l *lab) (list []measure.Case) {
	b := &searchBed{engine: storeEngine(), corpus: c, dir: filepath.Join(l.dir, pagesIn+"-"+c.label), checked: map[string]bool{}}
	l.beds[pagesIn+"-"+c.label] = b
	for _, kind := range kinds {
		p := postgresEngine()
		out := measure.Case{Name: fmt.Sprintf("search-in-postgres/kind=%s/%s", kind, c.label)}
		out.Contenders = append(out.Contenders, l.contender(b, measure.Reference, kind, ""))
		if p.fits(kind, c) {
			out.Contenders = append(out.Contenders, l.contender(l.bed(p, c), p.impl, kind, ""))
		}
		list = append(list, out)
	}
	for _, kind := range kinds {
		for _, class := range classes {
			list = append(list, l.tripsCase(fmt.Sprintf("round-trips/kind=%s/class=%s/%s", kind, class, c.label), kind, class, b))
		}
	}
	return list
}

// tripsCase counts round trips of a search that knows the manifest, and has no page in memory: the most of the questions. The row set takes those without
// the IDs.
func (l *lab) tripsCase(name, kind, class string, b *searchBed) measure.Case {
	return measure.Case{Name: name, Contenders: []measure.Contender{{Impl: measure.Reference, Once: true,
		Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
			warm, list, err := l.ready(ctx, b, kind)
			if err != nil {
				return measure.Sample{}, err
			}
			store := warm.(storeSearcher).store
			var heads, rows, all, hits float64
			for _, q := range of(list, kind, class) {
				// Once before, so that statements are prepared.
				if _, err := warm.search(ctx, q); err != nil {
					return measure.Sample{}, err
				}
				hits = max(hits, float64(len(q.want)))
				for _, countOnly := range []bool{true, false} {
					total, head, err := trips(ctx, store, q, countOnly)
					if err != nil {
						return measure.Sample{}, err
					}
					heads = max(heads, head)
					if countOnly {
						rows = max(rows, total-head)
					} else {
						all = max(all, total-head)
					}
				}
			}
			return measure.Sample{N: 1, Values: []measure.Value{{Unit: "trips-row-set", X: rows}, {Unit: "trips-with-ids", X: all},
				{Unit: "trips-for-head", X: heads}, {Unit: "hits", X: hits}}}, nil
		}}}}
}

// trips asks one question of an index that was just opened.
func trips(ctx context.Context, store *countingStore, q question, countOnly bool) (total, heads float64, err error) {
	s, err := openVeilchart(ctx, store) // nothing in memory but the manifest
	if err != nil {
		return 0, 0, err
	}
	defer s.ix.Close()
	before, headsBefore := store.trips.n.Load(), store.heads.Load()
	o := q.sseOptions(firstPage)
	o.CountOnly = countOnly
	res, err := s.result(ctx, q, o)
	if err == nil && res.Total != len(q.want) {
		err = fmt.Errorf("%v: a total of %d, not %d", q, res.Total, len(q.want))
	}
	return float64(store.trips.n.Load() - before), float64(store.heads.Load() - headsBefore), err
}
