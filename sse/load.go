package sse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
)

// LoadOptions say how Load works. The zero value is good.
type LoadOptions struct {
	// New asserts that the partition has no row with an ID of the sequence, as Batch.New does, and that the sequence has no ID twice.
	New bool
	// Memory is how many bytes of documents and lists are collected for one segment, and with it how large segments become; 0 is 256 MiB, 16 MiB
	// is the least. While a segment is written, and until Go's garbage collector has run, the program takes about four times as much.
	Memory int
	// Progress is called every few thousand documents, and when a segment was committed, with how many documents were read and how many of them
	// have taken effect.
	Progress func(read, done int)
}

const (
	defaultMemory = 256 << 20
	leastMemory   = 16 << 20
	loadChunk     = 64 // documents that one goroutine derives the terms of at a time
)

// Load puts a long sequence of documents, in segments as large as the memory allows, which take effect one after the other: each of them whole,
// durable and visible at once. Terms are derived on all cores. Others can write meanwhile. A document may not be changed after it was yielded.
//
// It returns how many documents, from the front of the sequence, have taken effect. If it ends early, with the error of the sequence, of ctx or of the store, or because a
// document is refused (ErrBatch, ErrSchema), nothing of the others has, unless the error says that the outcome is not known. To go on, leave out so many
// documents; or give the whole sequence again, without New: what is there already with its revision is left out of the new segments.
func (ix *Index) Load(ctx context.Context, docs iter.Seq2[Document, error], o LoadOptions) (done int, err error) {
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	o.Memory = max(o.Memory, leastMemory)
	return ix.loadWithin(ctx, docs, o)
}

// loadWithin is Load with whatever memory the options say.
func (ix *Index) loadWithin(ctx context.Context, docs iter.Seq2[Document, error], o LoadOptions) (int, error) {
	st, err := ix.refresh(ctx)
	if err != nil {
		return 0, err
	}
	l := &loader{ix: ix, options: o, schema: st.manifest.schema}
	l.begin()
	work := make(chan *loadWork)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for w := range work {
				w.derive(l.schema)
			}
		})
	}
	defer workers.Wait()
	defer close(work)
	// Documents that were read and are not in the builder yet, in their order.
	var waiting []*loadWork
	next := &loadWork{}
	send := func() error {
		next.ready = make(chan struct{})
		select {
		case work <- next:
		case <-ctx.Done():
			return ctx.Err()
		}
		waiting = append(waiting, next)
		next = &loadWork{}
		if len(waiting) < 4*runtime.GOMAXPROCS(0) {
			return nil
		}
		first := waiting[0]
		waiting = waiting[1:]
		return l.add(ctx, first)
	}
	for d, err := range docs {
		if err != nil {
			return l.done, fmt.Errorf("sse: loading: after %d documents: %w", l.done, err)
		}
		if next.docs = append(next.docs, d); len(next.docs) < loadChunk {
			continue
		}
		if err := send(); err != nil {
			return l.done, err
		}
	}
	if len(next.docs) > 0 {
		if err := send(); err != nil {
			return l.done, err
		}
	}
	for _, w := range waiting {
		if err := l.add(ctx, w); err != nil {
			return l.done, err
		}
	}
	err = l.flush(ctx)
	return l.done, err
}

// loadWork is a few documents, and what was derived of them.
type loadWork struct {
	docs  []Document
	out   []document
	err   error
	ready chan struct{}
}

func (w *loadWork) derive(schema Schema) {
	defer close(w.ready)
	w.out = make([]document, len(w.docs))
	for i := range w.docs {
		if w.out[i], w.err = schema.prepare(&w.docs[i]); w.err != nil {
			return
		}
	}
	w.docs = nil
}

// loader fills one segment after the other.
type loader struct {
	ix      *Index
	options LoadOptions
	schema  Schema

	b     *builder
	rows  map[string]uint32 // of the segment in the making, by ID
	bytes int               // that it takes
	terms int               // that were counted in bytes

	read, done int // documents
	reported   int
}

func (l *loader) begin() {
	l.b, l.rows, l.bytes, l.terms = newBuilder(l.schema), make(map[string]uint32), 0, 0
	l.b.hidden = make(map[uint32]bool)
}

// What things take while a segment is made, in bytes, about: a posting in the stream, in the sorted list and in the encoded one; a row, its place in the table
// and in the map of rows; a term in maps, counts and the table.
const (
	loadPosting = 11
	loadRow     = 280
	loadTerm    = 320
)

// add puts what was derived into the segment.
func (l *loader) add(ctx context.Context, w *loadWork) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.err != nil {
		return fmt.Errorf("sse: loading: after %d documents: %w", l.done, w.err)
	}
	for i := range w.out {
		d := &w.out[i]
		l.read++
		if old, ok := l.rows[d.id]; ok {
			if d.revision <= l.b.docs[old].revision {
				continue
			}
			l.b.hidden[old] = true
		}
		l.rows[d.id] = uint32(len(l.b.docs))
		l.b.add(*d)
		l.bytes += loadRow + len(d.id) + len(d.stored) + len(d.values) + loadPosting*len(d.postings)
		for j := range d.postings {
			l.bytes += 4 * len(d.postings[j].positions)
		}
		for ; l.terms < len(l.b.terms); l.terms++ {
			l.bytes += loadTerm + 2*len(l.b.terms[l.terms].term)
		}
		if l.bytes >= l.options.Memory || len(l.b.docs) == maxRows {
			if err := l.flush(ctx); err != nil {
				return err
			}
		}
	}
	if l.read-l.reported >= 1<<13 {
		l.report()
	}
	return nil
}

func (l *loader) report() {
	l.reported = l.read
	if l.options.Progress != nil {
		l.options.Progress(l.read, l.done)
	}
}

// flush writes the segment and commits it. In this program no rotation of the key comes between.
func (l *loader) flush(ctx context.Context) error {
	if len(l.b.docs) > 0 {
		if err := l.ix.makeRoom(ctx); err != nil {
			return err
		}
		if err := l.ix.merging.take(ctx); err != nil {
			return err
		}
		err := l.commit(ctx)
		l.ix.merging.give()
		if err != nil {
			return fmt.Errorf("sse: loading: after %d documents: %w", l.done, err)
		}
		l.ix.tend(ctx)
	}
	l.done = l.read
	l.report()
	l.begin()
	return nil
}

func (l *loader) commit(ctx context.Context) error {
	ix := l.ix
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	m := &meeting{rows: l.b.docs, kill: make(map[ID]*roaring.Bitmap), lost: roaring.New(), met: make(map[ID]bool)}
	for n := range l.b.hidden {
		m.lost.Add(n)
	}
	l.rows = nil
	w := newWritten()
	w.begun = wallClock()
	if w.segment, err = ix.writeFull(ctx, st.key, l.b); err != nil {
		return err
	}
	if !l.options.New {
		// The bulk of it, while others write; what they write meanwhile is met below.
		if all, err := ix.contents(ctx, &meter{}, st, wanted{}); err == nil {
			_ = m.meet(ctx, ix, all)
		}
	}
	if err := ix.writing.take(ctx); err != nil {
		ix.drop(ctx, err, w)
		return err
	}
	defer ix.writing.give()
	for try := 0; ; try++ {
		err := l.swap(ctx, w, m)
		if err = ix.missing(ctx, err); err == nil {
			return nil
		}
		if try == maxTries || !errors.Is(err, ErrConflict) && !errors.Is(err, errReplaced) {
			ix.drop(ctx, err, w)
			return err
		}
		if err := pause(ctx, try); err != nil {
			ix.drop(ctx, err, w)
			return err
		}
	}
}

// swap tries to commit the segment once.
func (l *loader) swap(ctx context.Context, w *written, m *meeting) error {
	st, err := l.ix.refresh(ctx)
	if err != nil {
		return err
	}
	if !w.valid(st.manifest) {
		return errStale
	}
	all, err := l.ix.contents(ctx, &meter{}, st, wanted{})
	if err != nil {
		return err
	}
	if !l.options.New {
		if err := m.meet(ctx, l.ix, all); err != nil {
			return err
		}
	}
	c := newChange(all)
	c.replace(w)
	c.bury(w.segment.id, m.lost)
	for _, s := range all {
		if rows := m.kill[s.id]; rows != nil {
			c.bury(s.id, rows)
		}
	}
	return l.ix.commit(ctx, st, c)
}

// meeting is what becomes of the rows of a new segment, and of those that other segments have of their IDs. Segments do not change but for what
// is deleted of them, so each is met once.
type meeting struct {
	rows []row
	kill map[ID]*roaring.Bitmap // rows of other segments that lose
	lost *roaring.Bitmap        // rows of the new segment that lose, or that a later one of the same ID follows
	met  map[ID]bool
}

// meetIDs is how many IDs are looked up at once.
const meetIDs = 1 << 13

// meet looks the IDs up in the segments that were not met yet.
func (m *meeting) meet(ctx context.Context, ix *Index, all []*content) error {
	var unknown []*content
	for _, c := range all {
		if !m.met[c.id] {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	ids, at := make([]string, 0, meetIDs), make([]uint32, 0, meetIDs)
	ask := func() error {
		there, err := ix.locate(ctx, unknown, ids)
		if err != nil {
			return err
		}
		for i, list := range there {
			for _, s := range list {
				if !beats(m.rows[at[i]].revision, false, s.row, s.tomb) {
					m.lost.Add(at[i])
					continue
				}
				if m.kill[s.c.id] == nil {
					m.kill[s.c.id] = roaring.New()
				}
				m.kill[s.c.id].Add(s.n)
			}
		}
		ids, at = ids[:0], at[:0]
		return nil
	}
	for i := range m.rows {
		if m.lost.Contains(uint32(i)) {
			continue
		}
		if ids, at = append(ids, m.rows[i].id), append(at, uint32(i)); len(ids) == meetIDs {
			if err := ask(); err != nil {
				return err
			}
		}
	}
	if len(ids) > 0 {
		if err := ask(); err != nil {
			return err
		}
	}
	for _, c := range unknown {
		m.met[c.id] = true
	}
	return nil
}
