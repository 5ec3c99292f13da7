package sse

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// Document is what is indexed. The terms of its fields are what it is found by; ID, Revision and Stored come back with a hit.
type Document struct {
	ID       string // 1 to MaxID bytes
	Revision uint64 // from 1; of two documents with one ID the higher revision wins, whichever is written last; of equal ones the first stays
	Fields   Fields
	// Stored comes back with hits, at most MaxStored bytes. Where the data of one person must be destroyable at once, let it,
	// and the ID, be sealed under that person's key: then no compaction has to wait for it.
	Stored []byte
}

// Deletion removes the document with the ID if its revision is at most Revision, and keeps such revisions out should they arrive
// later, until the next full compaction. Revision 0 stands for the revision that is there.
type Deletion struct {
	ID       string
	Revision uint64
}

// Batch is a set of changes that take effect together.
type Batch struct {
	Put    []Document
	Delete []Deletion
	// New asserts that the partition has no row with an ID of Put, so that none has to be looked up. If it has, both are
	// found until the next change of that ID, or a compaction, drops the older one.
	New bool
}

// MaxBatch is the most documents and deletions in a batch.
const MaxBatch = 1 << 17

// item is one change, after its terms were derived.
type item struct {
	document
	whatever bool // a deletion of the revision that is there
	fresh    bool // the caller says that its ID is not there
}

// beats says whether the change wins against a row: the higher revision does, and of equal ones a deletion.
func beats(revision uint64, tomb bool, than row, thanTomb bool) bool {
	if revision != than.revision {
		return revision > than.revision
	}
	return tomb && !thanTomb
}

// Apply writes a batch: all of it, durably, or nothing. Repeating a batch does no harm, and batches may arrive in any order. If
// another writer is faster it resolves the batch again and retries; it never loses rows of either. It looks up every ID in
// every segment unless b.New is set. Batches of several goroutines that wait for each other are written together, in the order in which they came; each has an
// outcome of its own. A merge of segments may begin in the background, see Close and Stats.
//
// Errors: ErrBatch and ErrSchema if the batch cannot be indexed, ErrRollback, ErrDamaged, and those of the store. Unless the error
// says that the outcome is not known, nothing was changed. It can be unknown if ctx ends while the batch is being written together with others.
func (ix *Index) Apply(ctx context.Context, b Batch) error {
	st := ix.current()
	items, err := prepare(st.manifest.schema, b)
	if errors.Is(err, ErrSchema) {
		// Another program may have added a field.
		now, rerr := ix.refresh(ctx)
		if rerr != nil {
			return rerr
		}
		if now != st {
			items, err = prepare(now.manifest.schema, b)
		}
	}
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return nil
	}
	return ix.submit(ctx, items)
}

// prepare checks the batch and derives the terms.
func prepare(schema Schema, b Batch) ([]item, error) {
	if n := len(b.Put) + len(b.Delete); n > MaxBatch {
		return nil, fmt.Errorf("sse: %w: %d changes, %d are the limit: split it", ErrBatch, n, MaxBatch)
	}
	items := make([]item, 0, len(b.Put)+len(b.Delete))
	at := make(map[string]int, cap(items))
	add := func(it item) error {
		i, ok := at[it.id]
		if !ok {
			at[it.id] = len(items)
			items = append(items, it)
			return nil
		}
		old := &items[i]
		if it.whatever || old.whatever || it.revision == old.revision && it.tomb == old.tomb && !it.tomb {
			return fmt.Errorf("sse: %w: ID %q stands twice in it, and it is not said which is newer: give revisions that differ", ErrBatch, it.id)
		}
		if beats(it.revision, it.tomb, old.row, old.tomb) {
			*old = it
		}
		return nil
	}
	for i := range b.Put {
		d, err := schema.prepare(&b.Put[i])
		if err != nil {
			return nil, err
		}
		if err := add(item{document: d, fresh: b.New}); err != nil {
			return nil, err
		}
	}
	for _, d := range b.Delete {
		it := item{document: document{row: row{id: d.ID, revision: d.Revision}, tomb: true}, whatever: d.Revision == 0}
		if err := checkID(it.id); err != nil {
			return nil, err
		}
		if err := add(it); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// prepare checks a document and derives its postings.
func (s Schema) prepare(d *Document) (document, error) {
	out := document{row: row{id: d.ID, revision: d.Revision, stored: d.Stored}}
	if err := checkID(d.ID); err != nil {
		return out, err
	}
	if d.Revision == 0 {
		return out, fmt.Errorf("sse: %w: document %q has no revision: count from 1", ErrBatch, d.ID)
	}
	if len(d.Stored) > MaxStored {
		return out, fmt.Errorf("sse: %w: document %q stores %d bytes, %d are the limit: store an address instead", ErrBatch, d.ID, len(d.Stored), MaxStored)
	}
	var err error
	if out.postings, out.values, err = s.index(d); err != nil {
		return out, fmt.Errorf("document %q: %w", d.ID, err)
	}
	if n := len(out.stored) + len(out.values); n > MaxStored {
		return out, fmt.Errorf("sse: %w: document %q stores %d bytes with its stored fields, %d are the limit: store an address instead", ErrBatch, d.ID, n, MaxStored)
	}
	return out, nil
}

const maxTries = 100

// pause waits a little, longer and at random after each lost race.
func pause(ctx context.Context, try int) error {
	var draw [4]byte
	rand.Read(draw[:])
	share := float64(binary.BigEndian.Uint32(draw[:])) / (1 << 32)
	t := time.NewTimer(time.Duration(share * float64(time.Millisecond<<min(try, 7))))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// attempt writes one segment and tries to commit it until that succeeds or the segment is of no use any more.
func (ix *Index) attempt(ctx context.Context, items []item) error {
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	all, err := ix.contents(ctx, &meter{}, st, wanted{})
	if err != nil {
		return err
	}
	res, err := ix.resolve(ctx, all, items, nil)
	if err != nil {
		return err
	}
	if len(res.keep) == 0 {
		return nil
	}
	fold := foldOf(all, res.keep)
	w, err := ix.writeBatch(ctx, st, fold, res)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := ix.commit(ctx, st, w.change(all, res))
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			ix.drop(ctx, err, w)
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
		// The segment is good as it is; but what it replaces has to be found again.
		if st, err = ix.refresh(ctx); err != nil {
			return err
		}
		if !w.valid(st.manifest) {
			ix.drop(ctx, errReplaced, w)
			return errReplaced
		}
		if all, err = ix.contents(ctx, &meter{}, st, wanted{}); err != nil {
			return err
		}
		if res, err = ix.resolve(ctx, all, w.items, items); err != nil {
			return err
		}
		if res.changed {
			ix.drop(ctx, errReplaced, w)
			return errReplaced
		}
	}
}

// foldOf chooses the tails that go into the new segment: all of them when they would be too large, and some of the smallest when there are too
// many. As with ripe, a tail goes when the smaller ones are as large together, so that no row is written again with every few batches.
func foldOf(all []*content, items []item) []*content {
	if len(items) >= tailRows {
		return nil
	}
	var tails []*content
	bytes := 0
	for _, c := range all {
		if c.tail != nil {
			tails = append(tails, c)
			bytes += int(c.segment.tail)
		}
	}
	if bytes >= tailBytes {
		return tails
	}
	if len(tails) < maxTails {
		return nil
	}
	sorted := slices.Clone(tails)
	slices.SortStableFunc(sorted, func(a, b *content) int { return cmp.Compare(a.segment.tail, b.segment.tail) })
	best, sum := 1, uint32(0) // two at least
	for i, c := range sorted {
		if sum >= c.segment.tail {
			best = max(best, i)
		}
		sum += c.segment.tail
	}
	// In the order in which they were written.
	return slices.DeleteFunc(tails, func(c *content) bool { return !slices.Contains(sorted[:best+1], c) })
}

// maxTails is the number of tail segments from which on a small batch takes over some of them. Writers that meet may leave a few more.
const maxTails = 8

// writeBatch writes the segment for the changes that are to be kept, and the live rows of the tails.
func (ix *Index) writeBatch(ctx context.Context, st *state, fold []*content, res *resolution) (*written, error) {
	var docs []document
	type origin struct {
		tail ID
		row  int
	}
	var origins []origin
	w := newWritten()
	w.items, w.begun = res.keep, wallClock()
	size := 0
	for _, c := range fold {
		dead := roaring.New()
		if c.dead != nil {
			dead.Or(c.dead)
		}
		if k := res.kill[c.id]; k != nil {
			dead.Or(k)
		}
		w.replaces(c, dead)
		size += int(c.segment.tail)
		for i, d := range c.tail.docs {
			if !dead.Contains(uint32(i)) {
				docs, origins = append(docs, d), append(origins, origin{c.id, i})
			}
		}
	}
	for _, it := range res.keep {
		d := it.document
		d.stored = slices.Clone(d.stored) // it is the caller's, and the cache may keep the tail
		docs = append(docs, d)
	}
	docs, order := tombsLast(docs)
	for i, n := range order {
		if n < len(origins) {
			w.from[origins[n].tail][origins[n].row] = uint32(i)
		} else {
			w.rows[docs[i].id] = uint32(i)
		}
	}
	var err error
	// Small batches stay tails until they are a megabyte together.
	if len(res.keep) < tailRows && size < tailBytes {
		if b := encodeTail(docs, st.manifest.schema); len(b) <= tailBytes {
			w.segment, err = ix.writeTail(ctx, st.key, docs, b)
			if err == nil {
				// The next batch asks for it; so this spares a read.
				r := &reader{w.segment, newSegmentKeys(st.key, ix.partition, w.segment.id), st.manifest.profile}
				ix.cache.put(r.wholeTail(st.manifest.schema).cacheKey(), newTail(docs, st.manifest.schema, len(b)), 4*len(b))
			}
			return w, err
		}
	}
	b := newBuilder(st.manifest.schema)
	for _, d := range docs {
		b.add(d)
	}
	w.segment, err = ix.writeFull(ctx, st.key, b)
	return w, err
}

// tombsLast puts tombstones behind documents and says where each came from.
func tombsLast(docs []document) (sorted []document, order []int) {
	for _, tomb := range []bool{false, true} {
		for i, d := range docs {
			if d.tomb == tomb {
				sorted, order = append(sorted, d), append(order, i)
			}
		}
	}
	return sorted, order
}

// change is what the commit of a batch does to a manifest with these contents.
func (w *written) change(all []*content, res *resolution) *change {
	c := newChange(all)
	c.replace(w)
	for id, rows := range res.kill {
		if w.from[id] != nil {
			c.carry(w, id, rows)
		} else {
			c.bury(id, rows)
		}
	}
	// Changes that lost against what others wrote since.
	won := make(map[string]bool, len(res.keep))
	for _, it := range res.keep {
		won[it.id] = true
	}
	lost := roaring.New()
	for _, it := range w.items {
		if !won[it.id] {
			lost.Add(w.rows[it.id])
		}
	}
	c.bury(w.segment.id, lost)
	return c
}
