package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/veilchart/veilchart/sse"
)

// MaxRead is the greatest number of pages that one Read returns: 4 GiB.
const MaxRead = 1 << 20

// Read implements sse.Store: one statement, whatever the number of runs and segments, of at most MaxRead pages. The first Read over a connection costs one round trip
// more, in which the statement is prepared.
func (s *Store) Read(ctx context.Context, partition sse.ID, runs []sse.Run) ([][]byte, error) {
	if len(runs) == 0 {
		return [][]byte{}, ctx.Err()
	}
	q, err := newRequest(partition, runs)
	if err != nil {
		return nil, s.explain(ctx, "reading pages", err)
	}
	out, err := retry(ctx, always, func() ([][]byte, error) {
		rows, err := s.pool.Query(ctx, s.sql.read, s.mode, partition[:], q.index, q.segment, q.chunk, q.from, q.length)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		return q.collect(rows)
	})
	if err != nil {
		return nil, s.explain(ctx, "reading pages", err)
	}
	return out, nil
}

// request holds the pieces of chunks that runs need, in columns, as the statement wants them. To name every chunk and not ranges of them lets the database
// find each by its key, whatever it believes about the table. A run without pages has one piece, of a chunk that is not there.
type request struct {
	partition                  sse.ID
	runs                       []sse.Run
	index, chunk, from, length []int64
	segment                    [][]byte
	place                      []place
}

// place says where the bytes of a piece go: to which run, and from where on.
type place struct{ run, at int }

func newRequest(partition sse.ID, runs []sse.Run) (*request, error) {
	q := &request{partition: partition, runs: runs}
	pages, pieces := int64(0), 0
	for _, r := range runs {
		pages += int64(r.Count)
		if pages > MaxRead {
			return nil, fmt.Errorf("%d pages of segment %v and others are too much at once: %d is the limit", r.Count, r.Segment, MaxRead)
		}
		pieces += int(r.Count)/chunkPages + 2
	}
	columns := make([]int64, 4*pieces)
	column := func(n int) []int64 { return columns[n*pieces : n*pieces : (n+1)*pieces] }
	q.index, q.chunk, q.from, q.length = column(0), column(1), column(2), column(3)
	q.segment, q.place = make([][]byte, 0, pieces), make([]place, 0, pieces)
	for i, r := range runs {
		first, end := int64(r.First), int64(r.First)+int64(r.Count)
		if first == end {
			q.add(i, -1, 0, 0, 0)
		}
		for page := first; page < end; {
			chunk := page / chunkPages
			next := min((chunk+1)*chunkPages, end)
			q.add(i, chunk, (page-chunk*chunkPages)*sse.PageSize, (next-page)*sse.PageSize, int(page-first)*sse.PageSize)
			page = next
		}
	}
	return q, nil
}

func (q *request) add(run int, chunk, from, length int64, at int) {
	q.index = append(q.index, int64(len(q.index)))
	q.segment = append(q.segment, q.runs[run].Segment[:])
	q.chunk = append(q.chunk, chunk)
	q.from = append(q.from, from+1) // SQL counts from 1
	q.length = append(q.length, length)
	q.place = append(q.place, place{run, at})
}

// collect puts what the statement returns where it belongs. The database gives it in any order.
func (q *request) collect(rows pgx.Rows) ([][]byte, error) {
	out := make([][]byte, len(q.runs))
	seen, missing := make([]bool, len(q.index)), len(q.index)
	for rows.Next() {
		v := rows.RawValues()
		if len(v) != 3 {
			return nil, fmt.Errorf("%w: pages come in %d columns", sse.ErrDamaged, len(v))
		}
		i, ok := integer(v[0], int64(len(q.index)-1))
		if !ok || seen[i] {
			return nil, fmt.Errorf("%w: a row that was not asked for, or came twice: two rows have one key, or a pooler mixes answers", sse.ErrDamaged)
		}
		seen[i] = true
		p := q.place[i]
		r := q.runs[p.run]
		if v[1] == nil {
			return nil, fmt.Errorf("segment %v of partition %v: %w", r.Segment, q.partition, sse.ErrMissing)
		}
		pages, ok := integer(v[1], 1<<32-1)
		if !ok {
			return nil, fmt.Errorf("segment %v: %w: impossible number of pages", r.Segment, sse.ErrDamaged)
		}
		if int64(r.First)+int64(r.Count) > pages {
			return nil, fmt.Errorf("segment %v: pages %d to %d were asked for, but it has %d: the manifest and the store do not belong together",
				r.Segment, r.First, int64(r.First)+int64(r.Count), pages)
		}
		if int64(len(v[2])) != q.length[i] {
			return nil, fmt.Errorf("segment %v: %w: chunk %d is missing or too short: restore the tables from a backup, all of one moment",
				r.Segment, sse.ErrDamaged, q.chunk[i])
		}
		if out[p.run] == nil {
			out[p.run] = make([]byte, int(r.Count)*sse.PageSize) // bounded by MaxRead and by the segment
		}
		copy(out[p.run][p.at:], v[2])
		missing--
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if missing != 0 {
		return nil, fmt.Errorf("%w: the database returned %d rows too few", sse.ErrDamaged, missing)
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
