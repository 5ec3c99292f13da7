package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/veilchart/veilchart/sse"
)

const (
	// chunkPages is the number of pages in a row of the table chunks. A run of pages reads the rows that it touches, and of each only the part that it
	// needs; fewer and larger rows cost less to write.
	chunkPages = 16
	chunkBytes = chunkPages * sse.PageSize

	// batchChunks is the number of rows that are written at once: 2 MiB, half of the least that CockroachDB can be told to take for a statement.
	batchChunks = 32

	// abandoned is the age at which WriteSegment takes pages that others left half written for garbage. A writer that gives no page for so
	// long loses its segment.
	abandoned = 24 * time.Hour
)

// Store is a sse.Store in a schema of a database. It is safe for concurrent use, and so are many stores, in many processes, on one schema. Close the pool
// when it is not needed any more; a Store has nothing to close.
type Store struct {
	pool   *pgxpool.Pool
	schema string
	quoted string
	sql    statements
	mode   pgx.QueryExecMode

	mu       sync.Mutex
	fences   map[sse.ID]int64  // of partitions, as last seen
	doubtful map[sse.ID]uint64 // partitions with a swap whose end is not known: how many there were
}

var _ sse.Store = (*Store)(nil)

// Open returns the store in a schema that Create has made. It looks whether the tables are there, whether they have the version that this program knows,
// and whether the server is set to keep what it has acknowledged. The name of the schema has 1 to MaxSchema bytes.
func Open(ctx context.Context, pool *pgxpool.Pool, schema string) (*Store, error) {
	quoted, err := quote(schema)
	if err != nil {
		return nil, err
	}
	s := &Store{
		pool: pool, schema: schema, quoted: quoted, sql: newStatements(quoted), mode: binaryMode(pool.Config().ConnConfig),
		fences: make(map[sse.ID]int64), doubtful: make(map[sse.ID]uint64),
	}
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// binaryMode is the mode of the pool, or the next one to it that sends bytes as they are. The others send pages in hexadecimal digits, twice as long. Whoever chose one
// of those did so for a pooler between him and the database that knows no prepared statements; these modes do without too.
func binaryMode(c *pgx.ConnConfig) pgx.QueryExecMode {
	switch {
	case c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement:
		return pgx.QueryExecModeCacheStatement
	case c.DescriptionCacheCapacity > 0:
		return pgx.QueryExecModeCacheDescribe
	}
	return pgx.QueryExecModeDescribeExec
}

// errSwept is the end of a write that took so long that it was taken for abandoned.
var errSwept = errors.New("its pages were swept as those of a writer that is gone: write it again under a new ID, and let no day pass between two pages")

// maxListed bounds how many segments a partition may have, whoever says so: thirty times what a manifest can name.
const maxListed = 1 << 17

// Segments implements sse.Store. The time of a segment is that of the database's clock.
func (s *Store) Segments(ctx context.Context, partition sse.ID) ([]sse.SegmentInfo, error) {
	infos, err := retry(ctx, always, func() ([]sse.SegmentInfo, error) {
		rows, err := s.pool.Query(ctx, s.sql.list, s.mode, partition[:])
		if err != nil {
			return nil, err
		}
		n := 0
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (sse.SegmentInfo, error) {
			var id []byte
			var pages int64
			var info sse.SegmentInfo
			if n++; n > maxListed {
				return info, fmt.Errorf("more than %d segments, thirty times what an index can use: see who writes to the tables", maxListed)
			}
			if err := row.Scan(&id, &pages, &info.Created); err != nil {
				return info, err
			}
			if len(id) != len(info.ID) || pages < 1 || pages > 1<<32-1 {
				return info, fmt.Errorf("%w: a row of segments with an ID of %d bytes and %d pages", sse.ErrDamaged, len(id), pages)
			}
			copy(info.ID[:], id)
			info.Pages = uint32(pages)
			return info, nil
		})
	})
	if err != nil {
		return nil, s.explain(ctx, "listing the segments of partition "+partition.String(), err)
	}
	return infos, nil
}

// DeleteSegment implements sse.Store. After an error that says that the connection broke the segment may be there or gone, or go a moment later: delete it
// again, and take sse.ErrMissing for success.
func (s *Store) DeleteSegment(ctx context.Context, partition, segment sse.ID) error {
	n, err := retry(ctx, onlyIfRefused, func() (n int64, err error) {
		err = s.pool.QueryRow(ctx, s.sql.remove, s.mode, partition[:], segment[:]).Scan(&n)
		return n, err
	})
	if err != nil {
		return s.explain(ctx, "deleting segment "+segment.String(), err)
	}
	if n == 0 {
		return fmt.Errorf("sse/postgres: schema %q: segment %v of partition %v: %w", s.schema, segment, partition, sse.ErrMissing)
	}
	return nil
}

// Sweep removes the pages that writers left half written and that nobody has added to for the given time, an hour or more, by the database's clock. It returns
// for how many segments and heads there were some. They cannot be seen and take room only. WriteSegment of a large segment sweeps what is a day old.
func (s *Store) Sweep(ctx context.Context, age time.Duration) (int, error) {
	if age < time.Hour {
		return 0, fmt.Errorf("sse/postgres: schema %q: sweeping what is %v old may take pages from a writer that is alive: take an hour or more", s.schema, age)
	}
	n, err := s.sweep(ctx, age)
	if err != nil {
		return 0, s.explain(ctx, "sweeping half-written pages", err)
	}
	return n, nil
}

func (s *Store) sweep(ctx context.Context, age time.Duration) (int, error) {
	return retry(ctx, always, func() (n int, err error) {
		err = s.pool.QueryRow(ctx, s.sql.sweep, s.mode, age.Microseconds()).Scan(&n)
		return n, err
	})
}
