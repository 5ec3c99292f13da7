package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/veilchart/veilchart/sse"
	"golang.org/x/sync/errgroup"
)

const (
	// parallel is how many requests of one Read are under way at once: as many connections as minio-go keeps open by default.
	parallel = 16
	// gapPages is how many pages between two runs are read along, because that is cheaper than a request of its own: 128 KiB take
	// a few milliseconds, the first byte of an answer 10 to 30.
	gapPages = 32
	// fetchTries is how often an answer that broke off is taken up again.
	fetchTries = 5
)

// errCut says that an answer broke off or stood still.
var errCut = errors.New("the answer broke off")

// get is one request of a Read: pages first to end of a segment, and the runs that it serves. If first is end, only the length of
// the segment is asked for.
type get struct {
	segment    sse.ID
	first, end uint64
	runs       []int
}

// plan makes the fewest requests for the runs: what overlaps or nearly touches is read at once. It depends on the runs alone, so the
// service learns nothing more than it would from them.
func plan(runs []sse.Run) []get {
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := runs[i], runs[j]
		if c := bytes.Compare(a.Segment[:], b.Segment[:]); c != 0 {
			return c
		}
		if (a.Count == 0) != (b.Count == 0) { // empty runs come last: any request for the segment tells its length
			return cmp.Compare(b.Count, a.Count)
		}
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(i, j))
	})
	var gets []get
	for _, i := range order {
		r := runs[i]
		first, end := uint64(r.First), uint64(r.First)+uint64(r.Count)
		if n := len(gets); n > 0 && gets[n-1].segment == r.Segment {
			switch g := &gets[n-1]; {
			case r.Count == 0:
				g.runs = append(g.runs, i)
				continue
			case first <= g.end+gapPages:
				g.end = max(g.end, end)
				g.runs = append(g.runs, i)
				continue
			}
		}
		if r.Count == 0 {
			end, first = 0, 0
		}
		gets = append(gets, get{r.Segment, first, end, []int{i}})
	}
	return gets
}

// Read implements sse.Store. All requests go out together, at most 16 at a time. Runs of a segment with at most 32 pages between
// them are one request.
func (s *Store) Read(ctx context.Context, partition sse.ID, runs []sse.Run) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([][]byte, len(runs))
	var mu sync.Mutex
	etags := make(map[sse.ID]string)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, g := range plan(runs) {
		group.Go(func() error {
			key := s.segmentKey(partition, g.segment)
			b, o, err := s.pages(gctx, key, g)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if etag, ok := etags[g.segment]; ok && etag != o.etag {
				return s.damaged(key, errors.New("it was replaced while it was read"))
			}
			etags[g.segment] = o.etag
			for n, i := range g.runs {
				r := runs[i]
				if end := uint64(r.First) + uint64(r.Count); end > o.pages() {
					return tooShort(s.path(key), end, o.pages())
				}
				from := (uint64(r.First) - g.first) * sse.PageSize
				switch size := uint64(r.Count) * sse.PageSize; {
				case size == 0:
					out[i] = []byte{}
				case n == 0 && size == uint64(len(b)) && len(g.runs) == 1:
					out[i] = b
				default:
					out[i] = bytes.Clone(b[from : from+size])
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		if e := ctx.Err(); e != nil {
			return nil, e
		}
		return nil, err
	}
	return out, nil
}

func tooShort(path string, end, pages uint64) error {
	return fmt.Errorf("sse/s3: %s has %d pages, and pages up to %d were asked for: the manifest belongs to another segment, or this one is truncated; "+
		"restore it from a backup", path, pages, end)
}

// pages does one request of a Read.
func (s *Store) pages(ctx context.Context, key string, g get) (b []byte, o object, err error) {
	if g.first == g.end {
		info, err := s.core.StatObject(ctx, s.place.Bucket, key, minio.StatObjectOptions{})
		if err != nil {
			return nil, object{}, s.explain(ctx, "read", key, err)
		}
		o = object{info.Size, info.ETag}
	} else if b, o, err = s.fetch(ctx, key, int64(g.first*sse.PageSize), int64((g.end-g.first)*sse.PageSize), 0); err != nil {
		return nil, object{}, err
	}
	if o.size%sse.PageSize != 0 || o.size == 0 {
		return nil, object{}, s.damaged(key, fmt.Errorf("it has %d bytes, which are no whole pages", o.size))
	}
	return b, o, nil
}

// object is what the service says about an object.
type object struct {
	size int64
	etag string
}

func (o object) pages() uint64 { return uint64(o.size) / sse.PageSize }

// fetch reads n bytes of an object from off, or all of it, at most limit, if n is negative. An answer that breaks off is taken up
// where it ended, if the object is still the same.
func (s *Store) fetch(ctx context.Context, key string, off, n, limit int64) ([]byte, object, error) {
	f := fetching{s: s, key: key, off: off, n: n, limit: limit}
	for try := 0; ; try++ {
		err := f.once(ctx)
		switch {
		case err == nil:
			return f.buf, f.object, nil
		case ctx.Err() != nil:
			return nil, object{}, ctx.Err()
		case !errors.Is(err, errCut) || try == fetchTries-1:
			return nil, object{}, err
		}
		if err := wait(ctx, try); err != nil {
			return nil, object{}, err
		}
	}
}

type fetching struct {
	s             *Store
	key           string
	off, n, limit int64
	object        object
	begun         bool // object is known and buf is made
	buf           []byte
	have          int64
}

func (f *fetching) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var o minio.GetObjectOptions
	if f.n >= 0 {
		if err := o.SetRange(f.off+f.have, f.off+f.n-1); err != nil {
			return fmt.Errorf("sse/s3: read %s: %w", f.s.path(f.key), err)
		}
	}
	if f.begun {
		if err := o.SetMatchETag(f.object.etag); err != nil {
			return fmt.Errorf("sse/s3: read %s: the service gives no ETag: %w", f.s.path(f.key), err)
		}
	}
	body, info, header, err := f.s.core.GetObject(ctx, f.s.place.Bucket, f.key, o)
	if err != nil {
		switch code(err) {
		case minio.InvalidRange:
			return fmt.Errorf("sse/s3: %s ends before byte %d: the manifest belongs to another segment, or this one is truncated; restore it from a backup",
				f.s.path(f.key), f.off+f.have)
		case minio.PreconditionFailed:
			return f.s.damaged(f.key, errors.New("it was replaced while it was read"))
		}
		return f.s.explain(ctx, "read", f.key, err)
	}
	defer body.Close()
	if err := f.begin(header, info); err != nil {
		return err
	}
	// The transport gives up on a service that does not begin to answer; this does on one that does not end.
	watch := time.AfterFunc(f.s.stall, cancel)
	defer watch.Stop()
	for f.have < int64(len(f.buf)) {
		got, err := body.Read(f.buf[f.have:])
		f.have += int64(got)
		if f.have < int64(len(f.buf)) && err != nil {
			return fmt.Errorf("sse/s3: read %s: %w after %d of %d bytes: %w", f.s.path(f.key), errCut, f.have, len(f.buf), err)
		}
		if got > 0 {
			watch.Reset(f.s.stall)
		}
	}
	return nil
}

// begin checks that the answer is what was asked for, before room is made for it.
func (f *fetching) begin(header http.Header, info minio.ObjectInfo) error {
	path := f.s.path(f.key)
	var size, from, to int64
	switch r := header.Get("Content-Range"); {
	case r != "":
		if n, err := fmt.Sscanf(r, "bytes %d-%d/%d", &from, &to, &size); n != 3 || err != nil || f.n < 0 || r != fmt.Sprintf("bytes %d-%d/%d", from, to, size) {
			return fmt.Errorf("sse/s3: read %s: the service answers with Content-Range %q, which was not asked for: use another service", path, r)
		}
	case f.n < 0, f.off+f.have == 0 && f.n == info.Size: // all of it, and some services then do not call it a part
		size, to = info.Size, info.Size-1
	default:
		return fmt.Errorf("sse/s3: read %s: the service ignored the range that was asked for: use another service", path)
	}
	if f.n < 0 {
		if size < 0 || size > f.limit {
			return f.s.damaged(f.key, fmt.Errorf("it has %d bytes, more than %d", size, f.limit))
		}
		f.n = size
	}
	if want := f.off + f.n; from == f.off+f.have && to < want-1 && size < want {
		return tooShort(path, uint64(want)/sse.PageSize, uint64(size)/sse.PageSize)
	}
	if from != f.off+f.have || to != f.off+f.n-1 || info.Size != to-from+1 || size <= to {
		return fmt.Errorf("sse/s3: read %s: the service answers with %d bytes, %d to %d of %d, where %d to %d were asked for: use another service",
			path, info.Size, from, to, size, f.off+f.have, f.off+f.n-1)
	}
	o := object{size, info.ETag}
	if f.begun {
		if o != f.object {
			return f.s.damaged(f.key, errors.New("it was replaced while it was read"))
		}
		return nil
	}
	f.object, f.begun, f.buf = o, true, make([]byte, f.n)
	return nil
}
