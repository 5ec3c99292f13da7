package sse

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Cost is what a query asks the store for.
type Cost struct {
	Terms    int // terms looked up, dummies included, summed over segments
	Segments int // segments asked
	Rounds   int // reads of the store that depend on the one before; the head is not counted
	Pages    int // pages read
	Bytes    int64
}

// meter counts the cost of one query and ends it at its limit.
type meter struct {
	Cost
	limit int // pages; 0 is no limit
}

// read is the one place where pages are read: one round.
func (ix *Index) read(ctx context.Context, m *meter, runs []Run) ([][]byte, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	pages := 0
	for _, r := range runs {
		pages += int(r.Count)
	}
	if m.limit > 0 && m.Pages+pages > m.limit {
		return nil, fmt.Errorf("sse: %w: it would read %d pages, its limit is %d: narrow it, or raise SearchOptions.MaxPages", ErrTooBroad, m.Pages+pages, m.limit)
	}
	got, err := ix.store.Read(ctx, ix.partition, runs)
	if err != nil {
		return nil, fmt.Errorf("sse: reading %d pages: %w", pages, err)
	}
	if len(got) != len(runs) {
		return nil, fmt.Errorf("sse: the store gave %d runs for %d: %w", len(got), len(runs), ErrDamaged)
	}
	for i, r := range runs {
		if len(got[i]) != int(r.Count)*PageSize {
			return nil, ix.damaged(r.Segment, r.First, fmt.Errorf("the store gave %d bytes for %d pages", len(got[i]), r.Count))
		}
	}
	m.Rounds++
	m.Pages += pages
	m.Bytes += int64(pages) * PageSize
	return got, nil
}

// pageWant is a page that somebody needs. list is the key of a page of kindList. A page of kind 0 is read and not opened.
type pageWant struct {
	r    *reader
	kind pageKind
	page uint32
	list *key
}

func (w pageWant) cacheKey() cacheKey { return cacheKey{segment: w.r.id, kind: w.kind, page: w.page} }

// fetch reads and opens pages in one round and calls use for each, once, in the order of segments and pages, so that the store does
// not learn the order in which they are needed.
func (ix *Index) fetch(ctx context.Context, m *meter, wants []pageWant, use func(w pageWant, plain []byte) error) error {
	order := make(map[*reader]int)
	for _, w := range wants {
		if _, ok := order[w.r]; !ok {
			order[w.r] = len(order)
		}
	}
	slices.SortFunc(wants, func(a, b pageWant) int {
		if a.r != b.r {
			return order[a.r] - order[b.r]
		}
		// What is opened comes before what is only read, and stays.
		return cmp.Or(cmp.Compare(a.page, b.page), int(b.kind)-int(a.kind))
	})
	wants = slices.CompactFunc(wants, func(a, b pageWant) bool { return a.r == b.r && a.page == b.page })
	var runs []Run
	for i, w := range wants {
		if i > 0 && wants[i-1].r == w.r && wants[i-1].page+1 == w.page {
			runs[len(runs)-1].Count++
		} else {
			runs = append(runs, Run{w.r.id, w.page, 1})
		}
	}
	got, err := ix.read(ctx, m, runs)
	if err != nil {
		return err
	}
	var s *sealer
	for _, b := range got {
		for ; len(b) > 0; b = b[PageSize:] {
			w := wants[0]
			wants = wants[1:]
			if s == nil || s.keys != w.r.keys {
				s = newSealer(w.r.keys)
			}
			if w.kind == 0 {
				continue // it is read for the sake of reading it
			}
			plain, err := s.open(b[:PageSize:PageSize], w.page, w.kind, w.list)
			if err == nil {
				err = use(w, plain)
			}
			if err != nil {
				return ix.damaged(w.r.id, w.page, err)
			}
		}
	}
	return nil
}

// whole is something that is read as one stream of pages, decoded, and cached.
type whole struct {
	id     ID
	keys   *segmentKeys
	kind   pageKind
	at     region
	bytes  int // of the stream; the rest of the last pages is zero
	root   *[32]byte
	decode func(plain []byte) (value any, size int, err error)
}

func (w whole) cacheKey() cacheKey { return cacheKey{segment: w.id, kind: w.kind, page: w.at.first} }

// wholes reads what is not cached in one round and returns the values in the order of list. They are returned even where the
// cache has no room for them.
func (ix *Index) wholes(ctx context.Context, m *meter, list []whole) ([]any, error) {
	values := make([]any, len(list))
	var runs []Run
	var at []int
	for i, w := range list {
		if values[i] = ix.cache.get(w.cacheKey()); values[i] == nil {
			runs = append(runs, Run{w.id, w.at.first, w.at.count})
			at = append(at, i)
		}
	}
	got, err := ix.read(ctx, m, runs)
	if err != nil {
		return nil, err
	}
	for j, i := range at {
		w := list[i]
		plain, err := ix.openStream(w, got[j])
		if err != nil {
			return nil, err
		}
		v, size, err := w.decode(plain)
		if err != nil {
			return nil, ix.damaged(w.id, w.at.first, err)
		}
		ix.cache.put(w.cacheKey(), v, size)
		values[i] = v
	}
	return values, nil
}

// openStream opens the pages of a stream in place and returns its bytes. Where the root is known, it is compared first.
func (ix *Index) openStream(w whole, sealed []byte) ([]byte, error) {
	if w.root != nil {
		var tree merkle
		for i := 0; i < len(sealed); i += PageSize {
			tree.add(sealed[i : i+PageSize])
		}
		if tree.root() != *w.root {
			return nil, ix.damaged(w.id, w.at.first, errRoot)
		}
	}
	s := newSealer(w.keys)
	out := sealed[:0]
	for i, n := 0, w.at.first; i < len(sealed); i, n = i+PageSize, n+1 {
		plain, err := s.open(sealed[i:i+PageSize:i+PageSize], n, w.kind, nil)
		if err != nil {
			return nil, ix.damaged(w.id, n, err)
		}
		out = append(out, plain...) // it moves to the front by the tags left out
	}
	if w.bytes > len(out) || !allZero(out[w.bytes:]) {
		return nil, ix.damaged(w.id, w.at.first, errPage)
	}
	return out[:w.bytes:w.bytes], nil
}

func (r *reader) wholeTail(schema Schema) whole {
	return whole{id: r.id, keys: r.keys, kind: kindTail, at: region{0, r.pages()}, bytes: int(r.tail), root: &r.root,
		decode: func(plain []byte) (any, int, error) {
			docs, err := decodeTail(plain, r.docs, r.rows, schema, r.format())
			if err != nil {
				return nil, 0, err
			}
			return newTail(docs, schema, len(plain)), 4 * len(plain), nil
		}}
}

func (r *reader) wholeVocab(i int) whole {
	return whole{id: r.id, keys: r.keys, kind: kindVocab, at: r.vocabRegion(i), bytes: int(r.vocabs[i].bytes),
		decode: func(plain []byte) (any, int, error) {
			v, err := decodeVocab(plain)
			return v, len(plain), err
		}}
}

// wholeColumn is the i-th column; the value is a *column.
func (r *reader) wholeColumn(i int) whole {
	return whole{id: r.id, keys: r.keys, kind: kindColumn, at: r.columnRegion(i), bytes: int(r.columns[i].bytes),
		decode: func(plain []byte) (any, int, error) {
			c, err := decodeColumn(plain, r.docs)
			if err != nil {
				return nil, 0, err
			}
			return c, c.size(), nil
		}}
}

func (r *reader) wholeDirectory() whole {
	at := r.directoryRegion()
	return whole{id: r.id, keys: r.keys, kind: kindDirectory, at: at, bytes: int(at.count) * pageRoom,
		decode: func(plain []byte) (any, int, error) {
			firsts, err := readDirectory(plain, r.rowPages, r.rows)
			return firsts, 4 * len(firsts), err
		}}
}

// wholeDeleted is the object with the deletions; its keys are derived from its own ID.
func (r *reader) wholeDeleted(k key) whole {
	d := r.deleted
	return whole{id: d.object, keys: newSegmentKeys(k, r.keys.partition, d.object), kind: kindDeleted, at: region{0, pagesFor(int(d.bytes))},
		bytes: int(d.bytes), root: &d.root,
		decode: func(plain []byte) (any, int, error) {
			b, err := decodeDeleted(plain, r.rows)
			if err != nil || b.GetCardinality() != uint64(d.count) {
				return nil, 0, errList
			}
			return b, len(plain), nil
		}}
}

// content is what a search has in hand of one segment.
type content struct {
	*reader
	dead  *roaring.Bitmap // nil if no row is
	tail  *tail           // of a tail segment
	vocab map[string]*vocabulary

	column *column // that was asked for; nil if the segment has none, or is a tail
}

// wanted is what is read whole besides tails and deletions: vocabularies of fields, and the column of the field with a number.
type wanted struct {
	vocabularies []string
	columns      bool
	column       uint16
}

// live is a new bitmap of the documents that are not deleted.
func (c *content) live() *roaring.Bitmap {
	b := roaring.New()
	b.AddRange(0, uint64(c.docs))
	if c.dead != nil {
		b.AndNot(c.dead)
	}
	return b
}

// gone says whether a row is deleted.
func (c *content) gone(row uint32) bool { return c.dead != nil && c.dead.Contains(row) }

// contents reads, in one round, what is read whole and is not cached: tails, large deletion bitmaps, and what is wanted.
func (ix *Index) contents(ctx context.Context, m *meter, st *state, w wanted) ([]*content, error) {
	schema := st.manifest.schema
	fields := w.vocabularies
	out := make([]*content, len(st.readers))
	var list []whole
	var take []func(any)
	for i, r := range st.readers {
		c := &content{reader: r, dead: r.deleted.inline, vocab: make(map[string]*vocabulary)}
		out[i] = c
		if r.deleted.count > 0 && r.deleted.inline == nil {
			list, take = append(list, r.wholeDeleted(st.key)), append(take, func(v any) { c.dead = v.(*roaring.Bitmap) })
		}
		if r.isTail() {
			list, take = append(list, r.wholeTail(st.manifest.schema)), append(take, func(v any) { c.tail = v.(*tail) })
			continue
		}
		for j, v := range r.vocabs {
			if name := schema.fieldName(v.field); slices.Contains(fields, name) {
				list, take = append(list, r.wholeVocab(j)), append(take, func(v any) { c.vocab[name] = v.(*vocabulary) })
			}
		}
		for j, f := range r.columns {
			if w.columns && f.field == w.column {
				list, take = append(list, r.wholeColumn(j)), append(take, func(v any) { c.column = v.(*column) })
			}
		}
	}
	values, err := ix.wholes(ctx, m, list)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		take[i](v)
	}
	for _, c := range out {
		if c.tail != nil {
			for _, f := range fields {
				n, _ := schema.number(f)
				c.vocab[f] = &vocabulary{words: c.tail.words[n]}
			}
		}
	}
	return out, nil
}
