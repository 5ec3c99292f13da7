package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
	"golang.org/x/sync/errgroup"
)

const (
	// pruneAtOnce bounds how many old heads a swap removes. One is the rule; more are left if somebody before could not remove them.
	pruneAtOnce = 16
	headTries   = 20
)

// Head implements sse.Store. The latest version is found by listing: 64 names are one request, always true, and need no second
// object that could contradict the first. The head that was the latest when this Store last looked is read
// at the same time, so that a partition that nobody changed costs one round, and a changed one two.
func (s *Store) Head(ctx context.Context, partition sse.ID, version uint64) ([]byte, uint64, error) {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		guess := version
		if guess == 0 {
			guess = s.newest(partition, 0)
		}
		var blob []byte
		var missing error
		var versions []uint64
		group, gctx := errgroup.WithContext(ctx)
		group.Go(func() (err error) {
			versions, err = s.versions(gctx, partition)
			return err
		})
		if guess > 0 {
			group.Go(func() (err error) {
				if blob, err = s.readHead(gctx, partition, guess); errors.Is(err, sse.ErrMissing) {
					missing, err = err, nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, 0, errors.Join(ctx.Err(), err)
		}
		latest := latestOf(versions)
		s.newest(partition, latest)
		switch {
		case version > 0 && latest >= version && latest-version >= sse.HeadsKept:
			// Not kept any more. If it is there all the same it came too late, and never was the latest: see SwapHead.
			return nil, latest, fmt.Errorf("sse/s3: read %s: %w: only the %d newest heads are kept, and %d is the latest",
				s.path(s.headKey(partition, version)), sse.ErrMissing, sse.HeadsKept, latest)
		case version > 0:
			return blob, latest, missing
		case latest == 0:
			return nil, 0, nil
		case latest != guess:
			blob, missing = s.readHead(ctx, partition, latest)
		}
		if missing == nil {
			return blob, latest, nil
		}
		// So many swaps since the listing that it is not kept any more. That cannot go on for ever, unless the service lists
		// what it does not give.
		if !errors.Is(missing, sse.ErrMissing) || try == headTries {
			return nil, 0, missing
		}
	}
}

func (s *Store) readHead(ctx context.Context, partition sse.ID, version uint64) ([]byte, error) {
	b, _, err := s.fetch(ctx, s.headKey(partition, version), 0, -1, sse.MaxHead)
	return b, err
}

// SwapHead implements sse.Store. Heads are never overwritten: version n is an object of its own, created under the condition that it
// is not there, and n-1 must be there. What is left is a writer that slept while its version came, grew old and was removed: after
// the write a listing shows whether 64 later heads exist. Two rounds; one more if this Store has not seen version n-1.
func (s *Store) SwapHead(ctx context.Context, partition sse.ID, version uint64, blob []byte) error {
	if err := errors.Join(ctx.Err(), s.writable()); err != nil {
		return err
	}
	key := s.headKey(partition, version)
	if version == 0 || len(blob) > sse.MaxHead {
		return fmt.Errorf("sse/s3: head %d of %d bytes in %s is refused: versions begin at 1, the limit is %d bytes", version, len(blob), s.path(key), sse.MaxHead)
	}
	if version > 1 && s.newest(partition, 0) != version-1 {
		there, _, _, err := s.look(ctx, s.headKey(partition, version-1), "")
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("sse/s3: head %s: %w: version %d is not there", s.path(key), sse.ErrConflict, version-1)
		}
	}
	if err := s.create(ctx, key, blob); err != nil {
		if errors.Is(err, errTaken) {
			return fmt.Errorf("%w: %w", sse.ErrConflict, err)
		}
		return err
	}
	return s.settle(ctx, partition, version)
}

// settle looks, after version was written, whether it was written in time, and removes heads that are too old. What is removed was
// too old before the listing came, so both go out together.
func (s *Store) settle(ctx context.Context, partition sse.ID, version uint64) error {
	long, cancel := s.linger(ctx)
	defer cancel()
	var versions []uint64
	var group errgroup.Group
	group.Go(func() (err error) {
		versions, err = s.versions(long, partition)
		return err
	})
	if version > sse.HeadsKept {
		group.Go(func() error {
			s.removeHead(long, partition, version-sse.HeadsKept)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("sse/s3: head %d was written, and it is not known whether in time: read the head before trying again: %w", version, cmp.Or(ctx.Err(), err))
	}
	latest := latestOf(versions)
	if latest < version {
		return fmt.Errorf("sse/s3: head %d was written and is not listed: the service's listings are behind its objects; use one with strong consistency", version)
	}
	if latest-version >= sse.HeadsKept {
		s.removeHead(long, partition, version)
		return fmt.Errorf("sse/s3: head %d was written, but the latest is %d: it may have come too late; read the head before trying again", version, latest)
	}
	s.newest(partition, latest)
	pruned := 0
	for _, v := range versions {
		if v < version && version-v > sse.HeadsKept && pruned < pruneAtOnce { // left by somebody who could not remove it
			s.removeHead(long, partition, v)
			pruned++
		}
	}
	return nil
}

// removeHead removes a head that is too old. The swap is done; what cannot be removed now is tried again at the next.
func (s *Store) removeHead(ctx context.Context, partition sse.ID, version uint64) {
	_ = s.core.RemoveObject(ctx, s.place.Bucket, s.headKey(partition, version), minio.RemoveObjectOptions{})
}

// newest notes that version was seen, and returns the newest that was.
func (s *Store) newest(partition sse.ID, version uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version > s.seen[partition] {
		s.seen[partition] = version
	}
	return s.seen[partition]
}

// versions lists the heads of a partition.
func (s *Store) versions(ctx context.Context, partition sse.ID) ([]uint64, error) {
	prefix := s.place.Prefix + partition.String() + headsPart
	objects, err := s.list(ctx, prefix, 0)
	if err != nil {
		return nil, err
	}
	var versions []uint64
	for _, o := range objects {
		if v, ok := headVersion(strings.TrimPrefix(o.key, prefix)); ok {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// headVersion reads the name of a head. Names are canonical; an object under another name is not the store's.
func headVersion(name string) (uint64, bool) {
	v, err := strconv.ParseUint(name, 10, 64)
	return v, err == nil && v > 0 && len(name) == 20
}

func latestOf(versions []uint64) uint64 {
	var latest uint64
	for _, v := range versions {
		latest = max(latest, v)
	}
	return latest
}
