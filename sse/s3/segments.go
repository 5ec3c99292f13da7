package s3

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
)

// maxListed bounds how many names a listing may have, whoever says so: thirty times what a manifest can name.
const maxListed = 1 << 17

// listed is what is used of an entry of a listing.
type listed struct {
	key      string
	size     int64
	modified time.Time
}

// list lists the objects whose names begin with prefix: all of them, or what one request for at most max names gives. The client does not repeat
// a listing that breaks off in the middle, so this does.
func (s *Store) list(ctx context.Context, prefix string, max int) (objects []listed, err error) {
	noOwner := false
	for try := 0; ; try++ {
		objects, err = nil, nil
		for o := range s.core.ListObjectsIter(ctx, s.place.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: max, FetchOwner: &noOwner}) {
			if err = o.Err; err != nil || max > 0 && len(objects) == max {
				break
			}
			if len(objects) == maxListed {
				return nil, fmt.Errorf("sse/s3: list %s: more than %d objects: remove what nobody needs, such as old heads that the client had no right to remove",
					s.path(prefix), maxListed)
			}
			objects = append(objects, listed{o.Key, o.Size, o.LastModified})
		}
		switch {
		case ctx.Err() != nil: // the client ends a listing without a word then
			return nil, ctx.Err()
		case err == nil:
			return objects, nil
		case code(err) != "" || try == fetchTries-1:
			return nil, s.explain(ctx, "list", prefix, err)
		}
		if err := wait(ctx, try); err != nil {
			return nil, err
		}
	}
}

// Segments implements sse.Store: a request for every 1,000 segments. Created is the time by the clock of the service.
func (s *Store) Segments(ctx context.Context, partition sse.ID) ([]sse.SegmentInfo, error) {
	prefix := s.place.Prefix + partition.String() + segmentsPart
	objects, err := s.list(ctx, prefix, 0)
	if err != nil {
		return nil, err
	}
	var infos []sse.SegmentInfo
	for _, o := range objects {
		id, err := sse.ParseID(strings.TrimPrefix(o.key, prefix))
		if err != nil {
			continue // not the store's
		}
		if o.size <= 0 || o.size%sse.PageSize != 0 || o.size/sse.PageSize > math.MaxUint32 {
			return nil, s.damaged(o.key, fmt.Errorf("it has %d bytes, which are no whole pages", o.size))
		}
		infos = append(infos, sse.SegmentInfo{ID: id, Pages: uint32(o.size / sse.PageSize), Created: o.modified})
	}
	return infos, nil
}

// DeleteSegment implements sse.Store. S3 does not say whether what it deletes was there, so this looks first. Deleters that share a
// Store wait for each other; of two with Stores of their own that look at the same moment, both may be told that they removed it. In a bucket
// with versions it removes the version itself, not only its name.
func (s *Store) DeleteSegment(ctx context.Context, partition, segment sse.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return err
	}
	key := s.segmentKey(partition, segment)
	unlock, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	there, _, version, err := s.look(ctx, key, "")
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("sse/s3: delete %s: %w", s.path(key), sse.ErrMissing)
	}
	if err := s.core.RemoveObject(ctx, s.place.Bucket, key, minio.RemoveObjectOptions{VersionID: version}); err != nil {
		return s.explain(ctx, "delete", key, err)
	}
	return nil
}

// lock waits until no other goroutine of this Store deletes the object.
func (s *Store) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		s.mu.Lock()
		busy, ok := s.deleting[key]
		if !ok {
			done := make(chan struct{})
			s.deleting[key] = done
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.deleting, key)
				s.mu.Unlock()
				close(done)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
