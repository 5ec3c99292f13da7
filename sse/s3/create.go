package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
)

// writeTag is the user metadata (x-amz-meta-veilchart-write) that names the attempt that created an object. An answer that got lost
// is made up for by reading it: a retry of one's own is told "it exists" too.
const writeTag = "Veilchart-Write"

const conflictTries = 8

func ifAbsent() minio.PutObjectOptions {
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	return o
}

// put is the request for an object in one piece. The hash lets the service find what was damaged on the way, over plain HTTP and
// behind proxies too, and spares it an encoding in chunks that not all know.
func (s *Store) put(ctx context.Context, key string, b []byte, tag string) error {
	o := tagged(ifAbsent(), tag)
	o.DisableContentSha256 = true // in chunks
	_, err := s.core.PutObject(ctx, s.place.Bucket, key, bytes.NewReader(b), int64(len(b)), "", hash(b), o)
	return err
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func tagged(o minio.PutObjectOptions, tag string) minio.PutObjectOptions {
	o.UserMetadata = map[string]string{writeTag: tag}
	return o
}

// create stores b under the key if nothing is there; errTaken if something is. An error of the connection is returned only if the
// object was not there afterwards or could not be looked up, so that the outcome is unknown.
func (s *Store) create(ctx context.Context, key string, b []byte) error {
	tag := sse.GenerateID().String()
	return s.conditionally(ctx, key, tag, func(ctx context.Context) error { return s.put(ctx, key, b, tag) })
}

// conditionally does a conditional write until the service has decided, and finds out how it decided. A request that is on its way when
// ctx ends is not broken off at once: it may be carried out all the same, and then nobody would know.
func (s *Store) conditionally(ctx context.Context, key, tag string, write func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	long, cancel := s.linger(ctx)
	defer cancel()
	var err error
	for try := range conflictTries {
		err = write(long)
		// 409 says that it met another request for the same name, and was neither done nor refused.
		if c := code(err); c != "ConditionalRequestConflict" && c != minio.Conflict && c != "OperationAborted" {
			break
		}
		if e := wait(ctx, try); e != nil {
			return e
		}
	}
	if err == nil {
		return nil
	}
	refused := code(err) == minio.PreconditionFailed
	if e := ctx.Err(); e != nil && !refused {
		return e
	}
	if code(err) == "NotImplemented" {
		return fmt.Errorf("sse/s3: create %s: %w (%w)", s.path(key), ErrUnconditional, err)
	}
	if !refused && definite(err) {
		return s.explain(ctx, "create", key, err)
	}
	there, mine, _, e := s.look(long, key, tag)
	switch {
	case e != nil && ctx.Err() != nil:
		return ctx.Err()
	case e != nil:
		return fmt.Errorf("%w; before that: %w", e, err)
	case mine:
		return nil
	case there:
		return fmt.Errorf("sse/s3: create %s: %w", s.path(key), errTaken)
	case refused: // by an object that has been removed since, and may have been this attempt's
		return fmt.Errorf("sse/s3: create %s: it was there and is gone since; it is not known whose it was: look, then try again", s.path(key))
	}
	return s.explain(ctx, "create", key, err)
}

// look says whether an object is there, whether the attempt with this tag made it, and its version in a bucket with versions.
func (s *Store) look(ctx context.Context, key, tag string) (there, mine bool, version string, err error) {
	info, err := s.core.StatObject(ctx, s.place.Bucket, key, minio.StatObjectOptions{})
	if err == nil {
		return true, info.UserMetadata[writeTag] == tag, info.VersionID, nil
	}
	if code(err) == minio.NoSuchKey {
		return false, false, "", nil
	}
	return false, false, "", s.explain(ctx, "look up", key, err)
}

// undo removes what an attempt that was given up may have stored all the same. It is an effort, not a promise: a request may still
// be on its way. What comes later is an abandoned segment, which the sweep of the index removes.
func (s *Store) undo(ctx context.Context, key, tag string) {
	ctx, cancel := s.undoing(ctx)
	defer cancel()
	if _, mine, version, err := s.look(ctx, key, tag); err == nil && mine {
		_ = s.core.RemoveObject(ctx, s.place.Bucket, key, minio.RemoveObjectOptions{VersionID: version})
	}
}

// wait pauses before another try: 50 ms, 100 ms, 200 ms and so on, at most 1.6 s.
func wait(ctx context.Context, try int) error {
	t := time.NewTimer(50 * time.Millisecond << min(try, 5))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
