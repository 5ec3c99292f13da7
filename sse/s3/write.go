package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
	"golang.org/x/sync/errgroup"
)

const (
	// partBytes is the length of the parts of a long segment. A segment that fits into one part is one request.
	partBytes = 8 << 20
	// partsAtOnce is how many parts are on their way while the next is filled. A write holds at most partsAtOnce+1 parts in memory.
	partsAtOnce = 3
	// maxParts is S3's limit. It makes 80 GB; a segment of an index stays far below.
	maxParts = 10_000
)

// WriteSegment implements sse.Store. A segment of up to 8 MiB is one PUT; a longer one a multipart upload with parts of 8 MiB, of which
// at most four are in memory. In both cases the object appears as a whole or not at all. A process that dies in a
// multipart upload leaves invisible parts behind, which cost money until a lifecycle rule removes them; see the package documentation.
func (s *Store) WriteSegment(ctx context.Context, partition, segment sse.ID, pages iter.Seq2[[]byte, error]) error {
	if err := errors.Join(ctx.Err(), s.writable()); err != nil {
		return err
	}
	w := &writer{s: s, key: s.segmentKey(partition, segment), tag: sse.GenerateID().String(), ctx: ctx, free: make(chan []byte, partsAtOnce)}
	for range partsAtOnce {
		w.free <- nil
	}
	w.group, w.gctx = errgroup.WithContext(ctx)
	defer w.close()
	var n uint64
	for page, err := range pages {
		if err != nil {
			return fmt.Errorf("sse/s3: segment %s: page %d: %w", w.key, n, err)
		}
		if len(page) != sse.PageSize {
			return fmt.Errorf("sse/s3: segment %s: page %d has %d bytes: pages have %d", w.key, n, len(page), sse.PageSize)
		}
		if n++; n > math.MaxUint32 {
			return fmt.Errorf("sse/s3: segment %s: more than %d pages: write several segments", w.key, uint32(math.MaxUint32))
		}
		if err := w.add(page); err != nil {
			return w.failed(err)
		}
	}
	if n == 0 {
		return fmt.Errorf("sse/s3: segment %s: no pages: a segment has one at least", w.key)
	}
	if err := w.finish(); err != nil {
		return w.failed(err)
	}
	return nil
}

// writer is one segment on its way.
type writer struct {
	s        *Store
	key, tag string
	ctx      context.Context
	group    *errgroup.Group // uploads parts
	gctx     context.Context // ends with the first part that fails
	buf      []byte          // the part that is being filled
	free     chan []byte     // room for further ones

	upload string    // ID of the multipart upload, once there is one
	etags  []*string // of the parts, each written by the goroutine that sends it
	sent   bool      // the request that makes the object visible may have been sent
	done   bool
}

func (w *writer) failed(err error) error {
	if e := w.ctx.Err(); e != nil {
		if w.sent {
			w.s.undo(w.ctx, w.key, w.tag)
		}
		return e
	}
	if errors.Is(err, errTaken) {
		return fmt.Errorf("%w: %w: take a new ID", sse.ErrExists, err)
	}
	return err
}

// close waits for what is under way and gives the parts of an unfinished upload back. It also runs when pages panics.
func (w *writer) close() {
	_ = w.group.Wait()
	if w.upload == "" || w.done {
		return
	}
	ctx, cancel := w.s.undoing(w.ctx)
	defer cancel()
	_ = w.s.core.AbortMultipartUpload(ctx, w.s.place.Bucket, w.key, w.upload)
}

func (w *writer) add(page []byte) error {
	if err := w.gctx.Err(); err != nil {
		return errors.Join(w.group.Wait(), w.ctx.Err())
	}
	if len(w.buf) == partBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, page...)
	return nil
}

// flush sends the part that is filled, and takes room for the next.
func (w *writer) flush() error {
	s := w.s
	if w.upload == "" {
		// What creates the object comes last, so look first: it saves the way of many bytes.
		if there, _, _, err := s.look(w.ctx, w.key, w.tag); err != nil {
			return err
		} else if there {
			return fmt.Errorf("sse/s3: create %s: %w", s.path(w.key), errTaken)
		}
		id, err := s.core.NewMultipartUpload(w.ctx, s.place.Bucket, w.key, tagged(minio.PutObjectOptions{}, w.tag))
		if err != nil {
			return s.explain(w.ctx, "begin", w.key, err)
		}
		w.upload = id
	}
	if len(w.etags) == maxParts {
		return fmt.Errorf("sse/s3: segment %s is longer than %d bytes: write several segments", w.key, int64(maxParts)*partBytes)
	}
	etag, part := new(string), w.buf
	w.etags = append(w.etags, etag)
	n := len(w.etags)
	select {
	case w.buf = <-w.free:
	case <-w.gctx.Done():
		return errors.Join(w.group.Wait(), w.ctx.Err())
	}
	if w.buf == nil {
		w.buf = make([]byte, 0, partBytes)
	}
	w.buf = w.buf[:0]
	w.group.Go(func() error {
		p, err := s.core.PutObjectPart(w.gctx, s.place.Bucket, w.key, w.upload, n, bytes.NewReader(part), int64(len(part)),
			minio.PutObjectPartOptions{Sha256Hex: hash(part), DisableContentSha256: true})
		if err != nil {
			return s.explain(w.gctx, "write", w.key, err)
		}
		*etag = p.ETag
		w.free <- part
		return nil
	})
	return nil
}

// finish makes the segment visible.
func (w *writer) finish() error {
	s := w.s
	if w.upload == "" {
		w.sent = true
		return s.conditionally(w.ctx, w.key, w.tag, func(ctx context.Context) error { return s.put(ctx, w.key, w.buf, w.tag) })
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.group.Wait(); err != nil {
		return err
	}
	parts := make([]minio.CompletePart, len(w.etags))
	for i, etag := range w.etags {
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: *etag}
	}
	w.sent = true
	err := s.conditionally(w.ctx, w.key, w.tag, func(ctx context.Context) error {
		_, err := s.core.CompleteMultipartUpload(ctx, s.place.Bucket, w.key, w.upload, parts, ifAbsent())
		return err
	})
	w.done = err == nil
	return err
}
