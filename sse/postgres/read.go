package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/veilchart/veilchart/sse"
)

// Read implements sse.Store: one statement, whatever the number of runs and segments.
func (s *Store) Read(ctx context.Context, partition sse.ID, runs []sse.Run) ([][]byte, error) {
	if len(runs) == 0 {
		return [][]byte{}, ctx.Err()
	}
	q := newRequest(runs)
	out, err := retry(ctx, always, func() ([][]byte, error) {
		rows, err := s.pool.Query(ctx, s.sql.read, pgx.QueryResultFormats{pgx.BinaryFormatCode}, partition[:], q.index, q.segment, q.first, q.last, q.low, q.high)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		return s.collect(partition, runs, rows)
	})
	if err != nil {
		return nil, s.explain(ctx, "reading pages", err)
	}
	return out, nil
}

// request holds the runs in columns, as the statement wants them: which run it is, its first and last page, and the chunks in which those are.
type request struct {
	index, first, last, low, high []int64
	segment                       [][]byte
}

func newRequest(runs []sse.Run) request {
	n := len(runs)
	numbers := make([]int64, 5*n)
	q := request{numbers[:n], numbers[n : 2*n], numbers[2*n : 3*n], numbers[3*n : 4*n], numbers[4*n:], make([][]byte, n)}
	for i, r := range runs {
		q.index[i], q.first[i], q.last[i] = int64(i), int64(r.First), int64(r.First)+int64(r.Count)-1
		q.low[i], q.high[i] = q.first[i]/chunkPages, q.last[i]/chunkPages
		if r.Count == 0 { // no chunk
			q.low[i], q.high[i] = 1, 0
		}
		q.segment[i] = runs[i].Segment[:]
	}
	return q
}

// collect puts what the statement returns in the order of runs. The database gives it in any order.
func (s *Store) collect(partition sse.ID, runs []sse.Run, rows pgx.Rows) ([][]byte, error) {
	out := make([][]byte, len(runs))
	filled := make([]int, len(runs))
	for rows.Next() {
		v := rows.RawValues()
		i, ok := integer(v[0], int64(len(runs)-1))
		if !ok {
			return nil, fmt.Errorf("%w: a row for a run that was not asked for", sse.ErrDamaged)
		}
		r := runs[i]
		if v[1] == nil {
			return nil, fmt.Errorf("segment %v of partition %v: %w", r.Segment, partition, sse.ErrMissing)
		}
		pages, ok := integer(v[1], 1<<32-1)
		if !ok {
			return nil, fmt.Errorf("segment %v: %w: impossible number of pages", r.Segment, sse.ErrDamaged)
		}
		if int64(r.First)+int64(r.Count) > pages {
			return nil, fmt.Errorf("segment %v: pages %d to %d were asked for, but it has %d: the manifest and the store do not belong together",
				r.Segment, r.First, int64(r.First)+int64(r.Count), pages)
		}
		if out[i] == nil {
			out[i] = make([]byte, int(r.Count)*sse.PageSize) // bounded by the segment
		}
		if v[2] == nil {
			continue // a run without pages, or one whose chunks are not there: see below
		}
		number, ok := integer(v[2], pages/chunkPages)
		if !ok {
			return nil, fmt.Errorf("segment %v: %w: a chunk has an impossible number", r.Segment, sse.ErrDamaged)
		}
		at := (max(number*chunkPages, int64(r.First)) - int64(r.First)) * sse.PageSize
		end := (min((number+1)*chunkPages, int64(r.First)+int64(r.Count)) - int64(r.First)) * sse.PageSize
		if at >= end || int64(len(v[3])) != end-at {
			return nil, fmt.Errorf("segment %v: %w: chunk %d is too short", r.Segment, sse.ErrDamaged, number)
		}
		filled[i] += copy(out[i][at:end], v[3])
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, r := range runs {
		if out[i] == nil || filled[i] != len(out[i]) { // chunks have a key, so none was counted twice
			return nil, fmt.Errorf("segment %v: %w: chunks of its pages %d to %d are missing: restore the tables from a backup, all of one moment",
				r.Segment, sse.ErrDamaged, r.First, int64(r.First)+int64(r.Count))
		}
	}
	return out, nil
}

// integer decodes a number between 0 and most from PostgreSQL's binary format.
func integer(b []byte, most int64) (int64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	n := int64(binary.BigEndian.Uint64(b))
	return n, n >= 0 && n <= most
}
