package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/internal/wire"
	"github.com/veilchart/veilchart/sse"
)

// Place says where in a service a store is.
type Place struct {
	// Bucket must exist.
	Bucket string
	// Prefix is what the names of all objects of the store begin with: empty, or one or more names that each end with a slash, as in
	// "index/" or "ward/index/". At most 512 bytes. Nothing else may write objects under it.
	Prefix string
}

// Store is an sse.Store in a bucket. Any number of processes on any machines can use it at once. It holds no connection of its own and
// need not be closed.
type Store struct {
	core  minio.Core
	place Place
	// readOnly is the reason why nothing may be written, or nil.
	readOnly error
	// stall is stallTime, lingers and undoes are lingerTime, but for tests.
	stall, lingers, undoes time.Duration

	mu sync.Mutex
	// seen is the newest head of each partition that this Store has seen. It saves requests; nothing rests on it.
	seen map[sse.ID]uint64
	// deleting makes the deleters of one segment in this process wait for each other.
	deleting map[string]chan struct{}
}

var _ sse.Store = (*Store)(nil)

const (
	markerName    = "store.vcht"
	markerVersion = 2 // of the layout: 1 is that of a folder
	segmentsPart  = "/segments/"
	headsPart     = "/heads/"
	maxPrefix     = 512

	// stallTime is how long an answer may stand still before it is asked for again.
	stallTime = 30 * time.Second
	// lingerTime bounds the work that is done for a caller whose context has ended.
	lingerTime = 5 * time.Second
)

// Open opens the store at a place, and makes it if there is no object under the prefix. It fails with ErrUnconditional if the service
// does not refuse to create an object that is there: then it is not safe for two writers. A client that may not write
// gets a store that can only be read. Three requests for a store that is there, five for a new one.
func Open(ctx context.Context, client *minio.Client, at Place) (*Store, error) {
	if client == nil {
		return nil, errors.New("sse/s3: no client: make one with minio.New")
	}
	if err := at.check(); err != nil {
		return nil, err
	}
	s := &Store{core: minio.Core{Client: client}, place: at, stall: stallTime, lingers: lingerTime, undoes: lingerTime, seen: make(map[sse.ID]uint64), deleting: make(map[string]chan struct{})}
	want := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSEStore, Version: markerVersion})
	key := at.Prefix + markerName
	got, _, err := s.fetch(ctx, key, 0, -1, int64(len(want)))
	switch {
	case err == nil:
		if err := s.checkMarker(key, got); err != nil {
			return nil, err
		}
	case errors.Is(err, sse.ErrMissing):
		if err := s.make(ctx, key, want); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	return s, s.probe(ctx, key, want)
}

func (at Place) check() error {
	p := at.Prefix
	if at.Bucket == "" {
		return errors.New("sse/s3: Place.Bucket is empty")
	}
	if p == "" {
		return nil
	}
	if len(p) > maxPrefix || !utf8.ValidString(p) || !strings.HasSuffix(p, "/") {
		return fmt.Errorf("sse/s3: prefix %q is refused: it is UTF-8, has at most %d bytes and ends with a slash", p, maxPrefix)
	}
	for _, name := range strings.Split(strings.TrimSuffix(p, "/"), "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("sse/s3: prefix %q is refused: it has an empty name, or one of dots", p)
		}
	}
	return nil
}

// checkMarker refuses layouts that this program does not know.
func (s *Store) checkMarker(key string, b []byte) error {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindSSEStore)
	if err := d.Finish(); err != nil {
		return s.damaged(key, err)
	}
	if h.Version != markerVersion || h.Suite != 0 {
		return fmt.Errorf("sse/s3: %s: the store has layout %d.%d, this program knows %d.0: use a newer program", s.path(key), h.Version, h.Suite, markerVersion)
	}
	return nil
}

// make writes the marker of a new store. A place that has objects but no marker is no new store.
func (s *Store) make(ctx context.Context, key string, marker []byte) error {
	objects, err := s.list(ctx, s.place.Prefix, 2)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.key != key { // another process may just be making the same store
			return fmt.Errorf("sse/s3: %s: there are objects (%s) but no %s, so it is no store: take another prefix, or restore that object from a backup",
				s.path(s.place.Prefix), o.key, markerName)
		}
	}
	if err := s.create(ctx, key, marker); err != nil && !errors.Is(err, errTaken) {
		return err
	}
	return nil
}

// probe asks the service to create the marker, which is there: what is safe with two writers refuses.
func (s *Store) probe(ctx context.Context, key string, marker []byte) error {
	err := s.create(ctx, key, marker)
	switch {
	case errors.Is(err, errTaken):
		return nil
	case err == nil:
		return fmt.Errorf("sse/s3: %s: %w: it created an object that was there", s.path(key), ErrUnconditional)
	case code(err) == "AccessDenied":
		s.readOnly = err
		return nil
	}
	return err
}

func (s *Store) writable() error {
	if s.readOnly != nil {
		return fmt.Errorf("sse/s3: the store was opened by a client that may not write: open it again with other credentials (%w)", s.readOnly)
	}
	return nil
}

func (s *Store) segmentKey(partition, segment sse.ID) string {
	return s.place.Prefix + partition.String() + segmentsPart + segment.String()
}

func (s *Store) headKey(partition sse.ID, version uint64) string {
	return s.place.Prefix + partition.String() + headsPart + fmt.Sprintf("%020d", version)
}

// path names an object in messages.
func (s *Store) path(key string) string { return "s3://" + s.place.Bucket + "/" + key }

// SegmentPath is the object that holds, or would hold, the segment, as s3://bucket/key.
func (s *Store) SegmentPath(partition, segment sse.ID) string {
	return s.path(s.segmentKey(partition, segment))
}

// HeadPath is the object that holds, or would hold, the head, as s3://bucket/key.
func (s *Store) HeadPath(partition sse.ID, version uint64) string {
	return s.path(s.headKey(partition, version))
}

// undoing is a context for what is left to do after the caller's has ended.
func (s *Store) undoing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.undoes)
}

// linger is a context that ends a while after ctx, for requests whose outcome must be known.
func (s *Store) linger(ctx context.Context) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(s.lingers):
		case <-long.Done():
		}
		cancel()
	})
	return long, func() { stop(); cancel() }
}
