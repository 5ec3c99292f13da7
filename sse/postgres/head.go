package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/veilchart/veilchart/sse"
)

// headPrune is how often old heads are removed: at every such version. So between sse.HeadsKept and headPrune-1 more are there.
const headPrune = 16

// Head implements sse.Store. If a swap of this Store ended without an answer it first makes sure that the swap cannot take effect any more, so that what it
// returns is final.
func (s *Store) Head(ctx context.Context, partition sse.ID, version uint64) ([]byte, uint64, error) {
	doing := "reading the head of partition " + partition.String()
	if err := s.settle(ctx, partition); err != nil {
		return nil, 0, s.explain(ctx, doing, err)
	}
	h, err := retry(ctx, always, func() (head, error) { return s.readHead(ctx, partition, version) })
	if err != nil {
		return nil, 0, s.explain(ctx, doing, err)
	}
	if h.latest == 0 && version == 0 {
		return nil, 0, nil
	}
	if !h.found {
		if version == 0 {
			return nil, h.latest, fmt.Errorf("sse/postgres: schema %q: %s: %w: version %d is the latest and is not there: restore the tables from a backup, all of one moment",
				s.schema, doing, sse.ErrDamaged, h.latest)
		}
		return nil, h.latest, fmt.Errorf("sse/postgres: schema %q: head %d of partition %v: %w", s.schema, version, partition, sse.ErrMissing)
	}
	return h.blob, h.latest, nil
}

type head struct {
	latest uint64
	fence  int64
	found  bool
	blob   []byte
}

func (s *Store) readHead(ctx context.Context, partition sse.ID, version uint64) (h head, err error) {
	version = min(version, math.MaxInt64) // no head has that number
	rows, err := s.pool.Query(ctx, s.sql.head, s.mode, partition[:], int64(version))
	if err != nil {
		return h, err
	}
	defer rows.Close()
	filled := 0
	var seen []bool // chunks
	for rows.Next() {
		v := rows.RawValues()
		if len(v) != 6 {
			return h, fmt.Errorf("%w: a head comes in %d columns", sse.ErrDamaged, len(v))
		}
		latest, ok1 := integer(v[0], math.MaxInt64)
		fence, ok2 := integer(v[1], math.MaxInt64)
		if !ok1 || !ok2 {
			return h, fmt.Errorf("%w: a row of partitions", sse.ErrDamaged)
		}
		h.latest, h.fence = uint64(latest), fence
		if v[2] == nil {
			continue
		}
		length, ok := integer(v[3], sse.MaxHead)
		if !ok || h.found && length != int64(len(h.blob)) {
			return h, fmt.Errorf("%w: a row of heads with an impossible length, or two for one version", sse.ErrDamaged)
		}
		if !h.found {
			h.found, h.blob, seen = true, make([]byte, length), make([]bool, (length+chunkBytes-1)/chunkBytes)
		}
		if v[4] == nil {
			continue // a head of no bytes, or its chunks are not there: see below
		}
		number, ok := integer(v[4], int64(len(seen))-1)
		if !ok || seen[number] || len(v[5]) != min(chunkBytes, int(length-number*chunkBytes)) {
			return h, fmt.Errorf("%w: chunk %d of a head has %d bytes, or comes twice", sse.ErrDamaged, number, len(v[5]))
		}
		seen[number] = true
		filled += copy(h.blob[number*chunkBytes:], v[5])
	}
	if err := rows.Err(); err != nil {
		return h, err
	}
	if filled != len(h.blob) {
		return h, fmt.Errorf("%w: a head has %d bytes, and chunks for %d: restore the tables from a backup, all of one moment", sse.ErrDamaged, len(h.blob), filled)
	}
	s.mu.Lock()
	s.fences[partition] = h.fence
	s.mu.Unlock()
	return h, nil
}

// SwapHead implements sse.Store. After an error that leaves the outcome open, Head of the same Store tells it for good.
func (s *Store) SwapHead(ctx context.Context, partition sse.ID, version uint64, blob []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	doing := fmt.Sprintf("writing head %d of partition %v", version, partition)
	if version == 0 {
		return fmt.Errorf("sse/postgres: %s: the first version is 1", doing)
	}
	if len(blob) > sse.MaxHead {
		return fmt.Errorf("sse/postgres: %s: it has %d bytes, %d are the limit", doing, len(blob), sse.MaxHead)
	}
	if version > math.MaxInt64 {
		return s.conflict(partition, version)
	}
	u := &upload{store: s, blob: sse.GenerateID()}
	err := func() error {
		for at := 0; at < len(blob); at += chunkBytes {
			if err := u.add(ctx, blob[at:min(at+chunkBytes, len(blob))]); err != nil {
				return err
			}
		}
		return s.swap(ctx, u, partition, version, len(blob))
	}()
	if err == nil {
		if version%headPrune == 0 && version > sse.HeadsKept {
			_, _ = s.exec(ctx, s.sql.prune, partition[:], int64(version-sse.HeadsKept)) // what fails is tried again later
		}
		return nil
	}
	u.discard(ctx) // does nothing if the head was stored
	if errors.Is(err, sse.ErrConflict) {
		return err
	}
	if code(err) == codeNotNull {
		err = errSwept
	}
	return s.explain(ctx, doing, err)
}

func (s *Store) conflict(partition sse.ID, version uint64) error {
	return fmt.Errorf("sse/postgres: schema %q: head %d of partition %v: %w", s.schema, version, partition, sse.ErrConflict)
}

// swap refers to the blob as the head of the version, if the latest is the one before.
func (s *Store) swap(ctx context.Context, u *upload, partition sse.ID, version uint64, length int) error {
	sql := [2][2]string{{s.sql.swapSmall, s.sql.swapLast}, {s.sql.firstSmall, s.sql.firstLast}}
	batch := u.batch
	if batch == nil {
		batch = [][]byte{} // null is no array
	}
	for range attempts {
		s.mu.Lock()
		fence := s.fences[partition]
		s.mu.Unlock()
		n, err := s.exec(ctx, sql[index(version == 1)][index(u.registered)], u.blob[:], u.before, batch, partition[:], int64(version), fence, int64(length))
		if err != nil {
			if !settled(err) {
				s.mu.Lock()
				s.doubtful[partition]++
				s.mu.Unlock()
			}
			return err
		}
		if n == 1 {
			return nil
		}
		latest, now, err := s.partition(ctx, partition)
		if err != nil {
			return err
		}
		if latest != version-1 {
			return s.conflict(partition, version)
		}
		s.mu.Lock()
		s.fences[partition] = now
		s.mu.Unlock()
	}
	return fmt.Errorf("others settle swaps of partition %v again and again, nothing was changed: try again later", partition)
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// partition returns the latest version and the fence of a partition, 0 and 0 if nobody wrote to it.
func (s *Store) partition(ctx context.Context, partition sse.ID) (latest uint64, fence int64, err error) {
	type row struct{ latest, fence int64 }
	r, err := retry(ctx, always, func() (r row, err error) {
		err = s.pool.QueryRow(ctx, s.sql.fenced, s.mode, partition[:]).Scan(&r.latest, &r.fence)
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return r, err
	})
	return uint64(r.latest), r.fence, err
}

// settle makes an end to swaps of this Store whose answers did not come: a server may still be executing them, or have them on the way. A swap takes
// effect only under the fence that it was sent with; who raises the fence waits for those that are being executed, and stops the others.
func (s *Store) settle(ctx context.Context, partition sse.ID) error {
	s.mu.Lock()
	n := s.doubtful[partition]
	s.mu.Unlock()
	if n == 0 {
		return ctx.Err()
	}
	if _, err := retry(ctx, always, func() (struct{}, error) {
		_, err := s.pool.Exec(ctx, s.sql.fence, s.mode, partition[:])
		return struct{}{}, err
	}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubtful[partition] == n { // no other since
		delete(s.doubtful, partition)
	}
	return nil
}
