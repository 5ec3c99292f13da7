package sse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// written is a segment in the store that no manifest names yet: a batch and the tails folded into it, or a merge.
type written struct {
	*segment                        // nil if no row is left
	from     map[ID][]uint32        // of each segment it replaces: the new places of its rows, gone for those left out
	dead     map[ID]*roaring.Bitmap // of each segment it replaces: what was deleted when it was read
	begun    time.Time              // when its writing began

	items []item            // of a batch, as written
	rows  map[string]uint32 // row of each item
}

// gone is the place of a row that was left out.
const gone = ^uint32(0)

func newWritten() *written {
	return &written{from: make(map[ID][]uint32), dead: make(map[ID]*roaring.Bitmap), rows: make(map[string]uint32)}
}

// replaces notes a segment whose rows move, but for those deleted.
func (w *written) replaces(c *content, dead *roaring.Bitmap) {
	w.from[c.id] = slices.Repeat([]uint32{gone}, int(c.reader.rows))
	w.dead[c.id] = dead
}

// valid says whether everything that is replaced is still there, and nobody gave the segment up.
func (w *written) valid(m *manifest) bool {
	if w.segment != nil && m.givenUp(w.segment.id) {
		return false
	}
	for id := range w.from {
		if m.find(id) == nil {
			return false
		}
	}
	return true
}

// change is what a commit does to a manifest.
type change struct {
	contents []*content             // of the manifest that it follows
	add      []*segment             // written already
	remove   map[ID]bool            // replaced by those in add
	kill     map[ID]*roaring.Bitmap // rows that go, of segments that stay or are added
	key      *key                   // the new partition key, or nil
	inPlace  bool                   // what is added takes the place of what is removed, in the order of rows
	schema   *Schema                // the new schema, or nil
	giveUp   []ID                   // segments that no manifest names and none may from now on

	begun    time.Time // when the first segment of add was begun; zero if there is none
	at       time.Time // now
	manifest *manifest // the one being made
	objects  []ID      // written for this attempt
}

func newChange(contents []*content) *change {
	return &change{contents: contents, remove: make(map[ID]bool), kill: make(map[ID]*roaring.Bitmap)}
}

// replace puts w in the place of what it was made from. What others deleted there since it was read is deleted in w too.
func (c *change) replace(w *written) {
	if w.segment != nil {
		c.add = append(c.add, w.segment)
		if c.begun.IsZero() || w.begun.Before(c.begun) {
			c.begun = w.begun
		}
	}
	for id := range w.from {
		c.remove[id] = true
	}
	for _, s := range c.contents {
		if w.from[s.id] != nil && s.dead != nil {
			c.carry(w, s.id, s.dead)
		}
	}
}

// carry deletes rows of a replaced segment where they are now.
func (c *change) carry(w *written, id ID, rows *roaring.Bitmap) {
	moved := roaring.New()
	for r := range roaring.Values(roaring.AndNot(rows, w.dead[id])) {
		if to := w.from[id][r]; to != gone {
			moved.Add(to)
		}
	}
	if !moved.IsEmpty() {
		c.bury(w.segment.id, moved)
	}
}

// bury deletes rows of a segment.
func (c *change) bury(id ID, rows *roaring.Bitmap) {
	if c.kill[id] == nil {
		c.kill[id] = roaring.New()
	}
	c.kill[id].Or(rows)
}

// commit makes the manifest that follows st and swaps it in. ErrConflict if another writer was first: then the caller resolves
// again. errStale if the segments may have been swept meanwhile. The caller holds ix.writing.
func (ix *Index) commit(ctx context.Context, st *state, c *change) error {
	c.at = wallClock()
	if ix.stale(c) {
		return errStale // the sweep takes the segments, if it has not yet
	}
	k := st.key
	if c.key != nil {
		k = *c.key
	}
	c.manifest = st.manifest.next(st.anchor.Hash, c.at)
	if c.schema != nil {
		c.manifest.schema = *c.schema
	}
	ix.forget(c.manifest)
	err := ix.revise(ctx, k, c)
	for _, id := range c.giveUp {
		c.manifest.retired = append(c.manifest.retired, retired{id, c.at.Unix()})
	}
	if over := len(c.manifest.retired) - maxRetired; over > 0 {
		c.manifest.retired = c.manifest.retired[over:] // a sweep finds them: no manifest names them
	}
	if err == nil && len(c.manifest.segments) > maxSegments {
		err = fmt.Errorf("sse: partition %v has %d segments, %d are the limit: compact it, or open another partition", ix.partition, len(c.manifest.segments), maxSegments)
	}
	if err == nil {
		blob := sealManifest(k, ix.partition, c.manifest)
		if _, bad := decodeManifest(c.manifest.encode(), manifestVersion); bad != nil { // a head that nobody can read would end the partition
			err = fmt.Errorf("sse: partition %v: the next manifest would not be readable, so nothing was changed: report it: %w", ix.partition, bad)
		} else if ix.stale(c) { // reading deletions for the manifest may have taken long
			err = errStale
		} else if len(blob) > MaxHead {
			err = fmt.Errorf("sse: the manifest of partition %v would have %d bytes, %d are the limit: compact it", ix.partition, len(blob), MaxHead)
		} else if err = ix.swap(ctx, c.manifest.counter, blob); err == nil {
			ix.install(ix.adopt(k, c.manifest, anchorOf(c.manifest, blob)))
			return nil
		}
	}
	if !errors.Is(err, errUnknown) {
		for _, id := range c.objects {
			_ = ix.discard(context.WithoutCancel(ctx), id) // what stays is swept
		}
	}
	return err
}

// stale says whether a segment of the change is so old that a sweep may take it before the swap. The fence of the sweep is what makes that safe; this
// spares a swap that would be lost.
func (ix *Index) stale(c *change) bool {
	return !c.begun.IsZero() && wallClock().Sub(c.begun) > ix.grace/2
}

// forget leaves out of a new manifest the retired segments that were deleted.
func (ix *Index) forget(m *manifest) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	m.retired = slices.DeleteFunc(m.retired, func(r retired) bool { return ix.swept[r.id] })
}

// revise fills in the segments of the new manifest.
func (ix *Index) revise(ctx context.Context, k key, c *change) error {
	m := c.manifest
	dead := make(map[ID]*roaring.Bitmap)
	for _, s := range c.contents {
		dead[s.id] = s.dead
	}
	retire := func(id ID) { m.retired = append(m.retired, retired{id, c.at.Unix()}) }
	var added []*segment
	for _, s := range c.add {
		n, err := ix.revised(ctx, k, s, nil, c)
		if err != nil {
			return err
		}
		if n == nil {
			retire(s.id)
			continue
		}
		added = append(added, n)
	}
	old := m.segments
	m.segments = nil
	placed := !c.inPlace
	for _, s := range old {
		n := s
		var err error
		if c.remove[s.id] {
			n = nil
		} else if n, err = ix.revised(ctx, k, s, dead[s.id], c); err != nil {
			return err
		}
		if had := s.deleted; had.count > 0 && had.inline == nil && (n == nil || n.deleted.object != had.object) {
			retire(had.object)
		}
		if n != nil {
			m.segments = append(m.segments, n)
			continue
		}
		retire(s.id)
		if !placed {
			m.segments, placed = append(m.segments, added...), true
		}
	}
	if !placed || !c.inPlace {
		m.segments = append(m.segments, added...)
	}
	return nil
}

// revised returns the segment with the rows of c.kill deleted besides those that were dead before: the segment itself if there are
// none, nil if no row is left.
func (ix *Index) revised(ctx context.Context, k key, s *segment, dead *roaring.Bitmap, c *change) (*segment, error) {
	kill := c.kill[s.id]
	if kill == nil || kill.IsEmpty() {
		return s, nil
	}
	if dead == nil {
		dead = roaring.New()
	}
	all := canonical(roaring.Or(dead, kill))
	n := *s
	n.deleted = deletions{count: uint32(all.GetCardinality())}
	if n.deleted.count == s.rows {
		return nil, nil
	}
	b := bitmapBytes(all)
	if len(b) <= inlineDeleted {
		n.deleted.inline = all
		return &n, nil
	}
	id, root, err := ix.writeStream(ctx, k, b, pagesFor(len(b)), kindDeleted)
	if err != nil {
		return nil, err
	}
	c.objects = append(c.objects, id)
	n.deleted.object, n.deleted.bytes, n.deleted.root = id, uint32(len(b)), root
	return &n, nil
}

// writeFull writes a full segment under fresh keys. The builder is empty afterwards.
func (ix *Index) writeFull(ctx context.Context, k key, b *builder) (*segment, error) {
	a, err := b.arrange()
	if err != nil {
		return nil, err
	}
	for {
		keys := newSegmentKeys(k, ix.partition, GenerateID())
		d, err := a.layout(keys, ix.current().manifest.profile)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue // two terms share a fingerprint under these keys
		}
		d.created = time.Now().Unix()
		if err := ix.put(ctx, keys.segment, d.seal()); err != nil {
			return nil, err
		}
		return &d.segment, nil
	}
}

// writeTail writes a tail segment under fresh keys: documents, tombstones last, and their encoding.
func (ix *Index) writeTail(ctx context.Context, k key, docs []document, b []byte) (*segment, error) {
	n := slices.IndexFunc(docs, func(d document) bool { return d.tomb })
	if n < 0 {
		n = len(docs)
	}
	s := &segment{form: formTail, created: time.Now().Unix(), docs: uint32(n), rows: uint32(len(docs)), tail: uint32(len(b))}
	var err error
	s.id, s.root, err = ix.writeStream(ctx, k, b, s.pages(), kindTail)
	return s, err
}

// writeStream writes a segment of one stream under fresh keys.
func (ix *Index) writeStream(ctx context.Context, k key, b []byte, pages uint32, kind pageKind) (ID, [32]byte, error) {
	keys := newSegmentKeys(k, ix.partition, GenerateID())
	var root [32]byte
	err := ix.put(ctx, keys.segment, sealStream(keys, b, pages, kind, &root))
	return keys.segment, root, err
}

// put stores pages. A segment that failed is never written again under the same ID, as its nonces may be used up.
func (ix *Index) put(ctx context.Context, id ID, pages iter.Seq2[[]byte, error]) error {
	if err := ix.store.WriteSegment(ctx, ix.partition, id, pages); err != nil {
		return fmt.Errorf("sse: writing segment %v: nothing was changed: %w", id, err)
	}
	return nil
}

// wallClock is the time without Go's monotonic reading, which stops while a computer sleeps: the age of a segment goes on meanwhile, for
// the sweep of another computer.
func wallClock() time.Time { return time.Now().Round(0) }
