package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/veilchart/veilchart/sse"
)

// patience is how long a call goes on after its context has ended, to find out how its last statement ended, or to remove what it left.
const patience = 5 * time.Second

// upload writes the bytes of a segment or of a head as a blob: rows of chunks that nothing refers to yet. While a blob is written its name is in the
// table uploads, from before its first row to the statement that refers to it. A blob of one batch is written by that statement itself.
type upload struct {
	store      *Store
	blob       sse.ID
	registered bool
	batch      [][]byte // chunks that wait
	before     int64    // number of chunks that were written
}

// add takes bytes that have a whole number of parts in a chunk.
func (u *upload) add(ctx context.Context, part []byte) error {
	n := len(u.batch)
	if n == 0 || len(u.batch[n-1]) == chunkBytes {
		if n == batchChunks {
			if err := u.flush(ctx); err != nil {
				return err
			}
		}
		if n = len(u.batch); n < cap(u.batch) {
			u.batch = u.batch[:n+1]
			u.batch[n] = u.batch[n][:0] // memory of the batch before
		} else {
			u.batch = append(u.batch, nil)
		}
	}
	last := &u.batch[len(u.batch)-1]
	*last = append(*last, part...)
	return nil
}

// flush writes a full batch.
func (u *upload) flush(ctx context.Context) error {
	s := u.store
	if !u.registered {
		_, _ = s.sweep(ctx, abandoned) // who leaves things lying is a large writer; what goes wrong here Sweep will tell
		u.registered = true            // from here on there may be something to remove
		if _, err := s.exec(ctx, s.sql.register, u.blob[:]); err != nil {
			return err
		}
	}
	n, err := s.exec(ctx, s.sql.more, u.blob[:], u.before, u.batch)
	if err != nil {
		return err
	}
	if n != int64(len(u.batch)) {
		return errSwept
	}
	u.before += n
	u.batch = u.batch[:0]
	return nil
}

// discard removes what was written, also when ctx has ended. What it cannot remove is swept later.
func (u *upload) discard(ctx context.Context) {
	if !u.registered {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, _ = u.store.exec(ctx, u.store.sql.discard, u.blob[:])
	u.registered = false
}

// exec executes a statement and returns how many rows it wrote.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return retry(ctx, onlyIfRefused, func() (int64, error) {
		tag, err := s.pool.Exec(ctx, sql, append([]any{s.mode}, args...)...)
		return tag.RowsAffected(), err
	})
}

// WriteSegment implements sse.Store. It holds at most 2 MiB of pages. A segment of that size or less is one statement; of a larger one, rows that nobody sees are
// written first. After an error that says that the connection broke, the segment may still appear a moment later, whole.
func (s *Store) WriteSegment(ctx context.Context, partition, segment sse.ID, pages iter.Seq2[[]byte, error]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	doing := "writing segment " + segment.String()
	u := &upload{store: s, blob: sse.GenerateID()}
	kept := false
	defer func() { // also when pages panics
		if !kept {
			u.discard(ctx)
		}
	}()
	count := int64(0)
	for page, err := range pages {
		if err != nil {
			return fmt.Errorf("sse/postgres: segment %v is not written: %w", segment, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(page) != sse.PageSize {
			return fmt.Errorf("sse/postgres: segment %v is not written: page %d has %d bytes, not %d", segment, count, len(page), sse.PageSize)
		}
		if count == 1<<32-1 {
			return fmt.Errorf("sse/postgres: segment %v is not written: it has more than %d pages", segment, count)
		}
		count++
		if err := u.add(ctx, page); err != nil {
			return s.explain(ctx, doing, err)
		}
	}
	if count == 0 {
		return fmt.Errorf("sse/postgres: segment %v is not written: it has no pages", segment)
	}
	sql := s.sql.small
	if u.registered {
		sql = s.sql.last
	}
	_, err := s.exec(ctx, sql, u.blob[:], u.before, u.batch, partition[:], segment[:], count)
	switch {
	case err == nil:
	case code(err) == codeUnique:
		return fmt.Errorf("sse/postgres: schema %q: segment %v of partition %v: %w: take a new ID", s.schema, segment, partition, sse.ErrExists)
	case code(err) == codeNotNull:
		return s.explain(ctx, doing, errSwept)
	case settled(err):
		return s.explain(ctx, doing, err)
	case !s.took(ctx, u, partition, segment):
		return s.explain(ctx, doing, err)
	}
	kept = true
	return nil
}

// took finds out whether a segment was stored by a statement whose answer did not come.
func (s *Store) took(ctx context.Context, u *upload, partition, segment sse.ID) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if u.registered {
		u.discard(ctx) // does nothing if the segment was stored, and keeps it from being stored from here on
	} else {
		s.await(ctx, partition, segment)
	}
	owner, err := retry(ctx, always, func() (blob []byte, err error) {
		err = s.pool.QueryRow(ctx, s.sql.owner, s.mode, partition[:], segment[:]).Scan(&blob)
		return blob, err
	})
	return err == nil && bytes.Equal(owner, u.blob[:])
}

// await waits for the end of a statement that is just storing the segment: it tries to take the same key, in a transaction that it rolls back.
func (s *Store) await(ctx context.Context, partition, segment sse.ID) {
	blob := sse.GenerateID()
	_ = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, _ = tx.Exec(ctx, s.sql.probe, s.mode, partition[:], segment[:], blob[:])
		return errRolledBack
	})
}
