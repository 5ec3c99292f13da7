package sse

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// loaded is a segment in memory, every page authenticated and the whole compared with the root.
type loaded struct {
	*content
	rows  []row
	lists map[term]*termList
	leave *roaring.Bitmap // rows that do not move
}

// readRun is how many pages a merge and Verify read at once.
const readRun = 1024

// everyPage reads a segment from front to back and compares its root at the end. The pages are only valid during the call.
func (ix *Index) everyPage(ctx context.Context, id ID, pages uint32, root [32]byte, use func(n uint32, sealed []byte) error) error {
	var tree merkle
	for n := uint32(0); n < pages; n += readRun {
		got, err := ix.read(ctx, &meter{}, []Run{{id, n, min(readRun, pages-n)}})
		if err != nil {
			return err
		}
		for i, b := n, got[0]; len(b) > 0; i, b = i+1, b[PageSize:] {
			tree.add(b[:PageSize])
			if err := use(i, b[:PageSize:PageSize]); err != nil {
				return ix.damaged(id, i, err)
			}
		}
	}
	if tree.root() != root {
		return ix.damaged(id, 0, errRoot)
	}
	return nil
}

// Verify reads every page of every live segment and compares it with what the manifest says. ErrDamaged names the segment.
func (ix *Index) Verify(ctx context.Context) error {
	return ix.consistently(ctx, func(st *state) error {
		for _, r := range st.readers {
			if err := ix.everyPage(ctx, r.id, r.pages(), r.root, func(uint32, []byte) error { return nil }); err != nil {
				return err
			}
			if d := r.deleted; d.bytes > 0 {
				if err := ix.everyPage(ctx, d.object, pagesFor(int(d.bytes)), d.root, func(uint32, []byte) error { return nil }); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// loadAll reads a segment for a merge.
func (ix *Index) loadAll(ctx context.Context, c *content) (*loaded, error) {
	l := &loaded{content: c, lists: make(map[term]*termList), leave: roaring.New()}
	if c.dead != nil {
		l.leave.Or(c.dead)
	}
	if c.tail != nil {
		for _, d := range c.tail.docs {
			l.rows = append(l.rows, d.row)
		}
		l.lists = c.tail.lists
		return l, nil
	}
	pages := make(map[pageKey][]byte)
	vocabs := make([][]byte, len(c.vocabs))
	var terms []byte
	s := newSealer(c.keys)
	err := ix.everyPage(ctx, c.id, c.segment.pages(), c.root, func(n uint32, sealed []byte) error {
		kind, i := c.kindOf(n)
		if kind == kindList { // opened under the keys of their terms
			pages[pageKey{c.reader, n}] = sealed
			return nil
		}
		plain, err := s.open(sealed, n, kind, nil)
		if err != nil {
			return err
		}
		switch kind {
		case kindTable:
			pages[pageKey{c.reader, n}] = plain
			return checkBucket(plain)
		case kindShared:
			pages[pageKey{c.reader, n}] = plain
		case kindVocab:
			vocabs[i] = append(vocabs[i], plain...)
		case kindTerms:
			terms = append(terms, plain...)
		case kindRows:
			first, rows, err := readRowPage(plain, c.format())
			if err != nil || int(first) != len(l.rows) {
				return errRows
			}
			l.rows = append(l.rows, rows...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(l.rows) != int(c.reader.rows) {
		return nil, ix.damaged(c.id, c.rowRegion().first, errRows)
	}
	return l, ix.loadLists(l, pages, vocabs, terms)
}

// kindOf is the kind of a page, and of which vocabulary it is, counted from 0.
func (s *segment) kindOf(n uint32) (pageKind, int) {
	switch {
	case n < s.sharedRegion().first:
		return kindTable, 0
	case n < s.ownRegion().first:
		return kindShared, 0
	case n < s.vocabRegion(0).first:
		return kindList, 0
	case n < s.termsRegion().first:
		for i := range s.vocabs {
			if r := s.vocabRegion(i); n < r.first+r.count {
				return kindVocab, i
			}
		}
	case n < s.rowRegion().first:
		return kindTerms, 0
	case n < s.directoryRegion().first:
		return kindRows, 0
	case n < s.columnRegion(0).first:
		return kindDirectory, 0
	}
	return kindColumn, 0
}

// loadLists finds the rows of every term.
func (ix *Index) loadLists(l *loaded, pages map[pageKey][]byte, vocabs [][]byte, list []byte) error {
	c := l.content
	at := c.termsRegion().first
	if !allZero(list[c.terms:]) {
		return ix.damaged(c.id, at, errTerms)
	}
	terms, err := readTerms(list[:c.terms])
	if err != nil {
		return ix.damaged(c.id, at, err)
	}
	schema := ix.current().manifest.schema
	for i, b := range vocabs {
		v, err := decodeVocab(b[:c.vocabs[i].bytes])
		var words []string
		if err == nil {
			words, err = v.all()
		}
		if err != nil {
			return ix.damaged(c.id, c.vocabRegion(i).first, err)
		}
		for _, w := range words {
			terms = append(terms, schema.vocabularyTerm(c.vocabs[i].field, w))
		}
	}
	// The same steps as those of a search, on pages in memory.
	pt := &part{content: c}
	type numbers struct{ rows, impacts, positions int }
	asks := make([]numbers, len(terms))
	ask := func(l lookup) int {
		pt.lookups = append(pt.lookups, l)
		return len(pt.lookups) - 1
	}
	for j, t := range terms {
		asks[j] = numbers{ask(termLookup(t)), -1, -1}
		if c.format() == 1 {
			continue
		}
		impacts, positions := schema.aux(t)
		if impacts {
			asks[j].impacts = ask(impactsLookup(t))
		}
		if positions {
			asks[j].positions = ask(positionsLookup(t))
		}
	}
	f := finding{entries: make([]entry, len(pt.lookups)), keys: make([]key, len(pt.lookups))}
	find, pad, lists := newPRF(c.keys.find), newPRF(c.keys.entry), newPRF(c.keys.list)
	s := newSealer(c.keys)
	for j, lk := range pt.lookups {
		p := placeOf(find.lookup(lk))
		page := uint32(p.hash % uint64(c.table))
		body, ok := findInBucket(pages[pageKey{c.reader, page}], p.print)
		if !ok {
			return ix.damaged(c.id, page, fmt.Errorf("a term of the segment is not in its table"))
		}
		e, err := decodeEntry(pad.lookup(lk).xor(body), lk.isAux(), c.reader.rows, c.shared, c.own, c.profile)
		if err != nil {
			return ix.damaged(c.id, page, err)
		}
		f.entries[j], f.keys[j] = e, lists.lookup(lk)
		for n := c.ownRegion().first + e.page; e.form == entryOwn && n < c.ownRegion().first+e.page+e.ownPages(c.profile); n++ {
			k := pageKey{c.reader, n}
			if pages[k], err = s.open(pages[k], n, kindList, &f.keys[j]); err != nil {
				return ix.damaged(c.id, n, err)
			}
		}
	}
	if err := ix.decodeLists(pt, f, pages); err != nil {
		return err
	}
	for j, t := range terms {
		if l.lists[t], err = pt.termList(asks[j].rows, asks[j].impacts, asks[j].positions); err != nil {
			return ix.damaged(c.id, c.sharedRegion().first, err)
		}
		if c.format() == 1 {
			l.exists(t.field()).Or(l.lists[t].rows)
		}
	}
	return nil
}

// exists is the list of documents that have a value in the field. A segment of format 1 has none: it is the union of the lists of the
// field's terms.
func (l *loaded) exists(field string) *roaring.Bitmap {
	t := (Field{Name: field}).term(tagExists, "")
	if l.lists[t] == nil {
		l.lists[t] = &termList{rows: roaring.New()}
	}
	return l.lists[t].rows
}

// mergeInto writes the live rows of a group as one segment under k. With full it leaves tombstones out.
func (ix *Index) mergeInto(ctx context.Context, st *state, k key, group []ID, full bool, p *progress) (*written, error) {
	all, err := ix.contents(ctx, &meter{}, st, wanted{})
	if err != nil {
		return nil, err
	}
	var in []*loaded
	for _, c := range all {
		for _, id := range group {
			if c.id != id {
				continue
			}
			l, err := ix.loadAll(ctx, c)
			if err != nil {
				return nil, err
			}
			in = append(in, l)
			p.add(c.reader.rows)
		}
	}
	if len(in) != len(group) {
		return nil, errReplaced
	}
	older(in)
	w := newWritten()
	b := newBuilder(st.manifest.schema)
	tombs := make(map[ID][]uint32) // rows of tombstones, whose places follow those of all documents
	for _, l := range in {
		dead := roaring.New()
		if l.dead != nil {
			dead.Or(l.dead)
		}
		w.replaces(l.content, dead)
		for n := range uint32(len(l.rows)) {
			switch {
			case l.leave.Contains(n):
			case n < l.docs:
				w.from[l.id][n] = b.addDoc(l.rows[n])
			case !full:
				w.from[l.id][n] = b.addTomb(l.rows[n])
				tombs[l.id] = append(tombs[l.id], n)
			}
		}
		l.moveLists(b, w.from[l.id])
	}
	for id, rows := range tombs {
		for _, n := range rows {
			w.from[id][n] += uint32(len(b.docs))
		}
	}
	if len(b.docs)+len(b.tombs) == 0 {
		return w, nil
	}
	w.begun = wallClock()
	w.segment, err = ix.writeFull(ctx, k, b)
	return w, err
}

// moveLists adds the lists of a segment to those of the merge.
func (l *loaded) moveLists(b *builder, places []uint32) {
	for t, list := range l.lists {
		number, ok := uint32(0), false
		i := -1
		for n := range roaring.Values(list.rows) {
			if i++; places[n] == gone {
				continue
			}
			if !ok {
				number, ok = b.number(t), true // only of terms that have a row left
			}
			var impact uint8
			var positions []byte
			if list.impacts != nil {
				impact = list.impacts[i]
			}
			if list.positions != nil {
				positions = list.positions.raw(i)
			}
			b.post(places[n], number, impact, positions)
		}
	}
}

// older leaves out all rows of an ID but the newest. There are several only where a batch claimed to be new and was not.
func older(in []*loaded) {
	type place struct {
		l *loaded
		n uint32
	}
	newest := make(map[string]place)
	for _, l := range in {
		for i, r := range l.rows {
			n := uint32(i)
			if l.leave.Contains(n) {
				continue
			}
			if old, ok := newest[r.id]; ok {
				if !beats(r.revision, n >= l.docs, old.l.rows[old.n], old.n >= old.l.docs) {
					l.leave.Add(n)
					continue
				}
				old.l.leave.Add(old.n)
			}
			newest[r.id] = place{l, n}
		}
	}
}
