package sse

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// draft is a full segment whose layout is final and whose pages are not sealed yet.
type draft struct {
	segment
	from   *arranged
	keys   *segmentKeys
	lists  Profile // decides the lengths of lists
	slots  []tableSlot
	order  []uint32 // slots in the order of buckets
	first  []uint32 // of each bucket, its place in order
	shared [][]byte // pages, lists encrypted
	own    []ownList
}

type ownList struct {
	key   key
	bytes []byte
}

// pendingList is a list that does not fit into its entry.
type pendingList struct {
	slot  int
	order uint64
	key   key
	bytes []byte
	count uint32
}

// layout decides where everything goes. It returns nil if two lookups cannot be told apart under these keys: then the segment
// takes another ID, and with it other keys. That happens once in 2^64 over the square of the number of lookups.
func (a *arranged) layout(keys *segmentKeys, p Profile) (*draft, error) {
	d := &draft{segment: a.segment, from: a, keys: keys, lists: p}
	d.segment.id = keys.segment
	d.place(d.entries())
	d.segment.table = buckets(d.slots)
	if d.order, d.first = byBucket(d.slots, d.segment.table); d.order == nil {
		return nil, nil
	}
	if n := d.segment.pages(); n > maxPages {
		return nil, fmt.Errorf("sse: %w: %d pages, a segment takes %d: write smaller batches", ErrBatch, n, maxPages)
	}
	return d, nil
}

// entries makes the table entries of all terms, their auxiliary lists and IDs, and returns the lists that need pages.
func (d *draft) entries() (long []pendingList) {
	find, pad, keys := newPRF(d.keys.find), newPRF(d.keys.entry), newPRF(d.keys.list)
	n := len(d.from.rows)
	for i := range d.from.counts {
		n++
		if d.from.counts[i].impacts {
			n++
		}
		if d.from.counts[i].positions {
			n++
		}
	}
	d.slots = make([]tableSlot, 0, n)
	wait := func(l lookup, s tableSlot, bytes []byte, count uint32) {
		s.body = pad.lookup(l) // place adds the entry
		long = append(long, pendingList{len(d.slots), s.place.order, keys.lookup(l), bytes, count})
		d.slots = append(d.slots, s)
	}
	var buf []byte
	rows := func(l lookup, list []uint32) {
		s := tableSlot{place: placeOf(find.lookup(l))}
		if buf = appendDeltas(buf[:0], list[:min(len(list), inlineRoom+1)]); len(list) <= inlineRoom && len(buf) <= inlineRoom {
			s.body[0], s.body[1] = entryInline, uint8(len(list))
			copy(s.body[2:], buf)
			s.body = pad.lookup(l).xor(s.body)
			d.slots = append(d.slots, s)
			return
		}
		wait(l, s, encodeList(list), uint32(len(list)))
	}
	aux := func(l lookup, b []byte, count int) {
		s := tableSlot{place: placeOf(find.lookup(l))}
		if len(b) > inlineRoom {
			wait(l, s, b, uint32(count))
			return
		}
		s.body = pad.lookup(l).xor(entry{form: entryAux, aux: b}.encode())
		d.slots = append(d.slots, s)
	}
	for _, n := range d.from.order {
		t, l := &d.from.counts[n], d.from.lists
		list := l.rows[l.rowsAt[n]:l.rowsAt[n+1]]
		rows(termLookup(t.term), list)
		if t.impacts {
			aux(impactsLookup(t.term), l.impacts[l.impactsAt[n]:l.impactsAt[n+1]], len(list))
		}
		if t.positions {
			aux(positionsLookup(t.term), l.positions[l.positionAt[n]:l.positionAt[n+1]], len(list))
		}
	}
	one := make([]uint32, 1)
	for i := range d.from.rows {
		if one[0] = uint32(i); d.from.hidden[one[0]] {
			continue
		}
		// Only the newest row of an ID is found. A batch has one row per ID, a merge has dropped the older ones, and Load has hidden them.
		rows(idLookup(d.from.rows[i].id), one)
	}
	return long
}

// place puts the lists into the pseudo-random order of their lookups: long ones into pages of their own, the others into shared pages,
// of which there is at least one, so that dummy reads have a target.
func (d *draft) place(long []pendingList) {
	slices.SortFunc(long, func(a, b pendingList) int { return cmp.Or(cmp.Compare(a.order, b.order), a.slot-b.slot) })
	page := make([]byte, 0, pageRoom)
	flush := func() {
		d.shared = append(d.shared, append(page, make([]byte, pageRoom-len(page))...))
		page = make([]byte, 0, pageRoom)
	}
	for _, l := range long {
		e := entry{count: l.count, length: uint32(len(l.bytes))}
		if len(l.bytes) >= pageRoom {
			e.form, e.page = entryOwn, d.segment.own
			d.segment.own += e.ownPages(d.lists)
			d.own = append(d.own, ownList{l.key, l.bytes})
		} else {
			if len(page)+len(l.bytes) > pageRoom {
				flush()
			}
			e.form, e.page, e.offset = entryShared, uint32(len(d.shared)), uint16(len(page))
			page = append(page, l.bytes...)
			maskList(l.key, page[e.offset:])
		}
		s := &d.slots[l.slot]
		s.body = key(s.body).xor(e.encode())
	}
	flush()
	d.segment.shared = uint32(len(d.shared))
}

// seal yields the sealed pages in their order, from the one buffer, and keeps the root.
func (d *draft) seal() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := newSealer(d.keys)
		var tree merkle
		var n uint32
		sealed := make([]byte, 0, PageSize)
		put := func(plain []byte, kind pageKind, list *key) bool {
			sealed = s.seal(sealed[:0], plain, n, kind, list)
			n++
			tree.add(sealed)
			return yield(sealed, nil)
		}
		if d.pages(put) {
			d.segment.root = tree.root()
		}
	}
}

// pages calls put for every page until it refuses.
func (d *draft) pages(put func(plain []byte, kind pageKind, list *key) bool) bool {
	plain := make([]byte, pageRoom)
	for b := range d.segment.table {
		fillBucket(plain, d.slots, d.order[d.first[b]:d.first[b+1]])
		if !put(plain, kindTable, nil) {
			return false
		}
	}
	for _, p := range d.shared {
		if !put(p, kindShared, nil) {
			return false
		}
	}
	for _, l := range d.own {
		if !putStream(l.bytes, d.lists.listPages(len(l.bytes)), plain, func(p []byte) bool { return put(p, kindList, &l.key) }) {
			return false
		}
	}
	streams := func(list [][]byte, kind pageKind) bool {
		for _, v := range list {
			if !putStream(v, pagesFor(len(v)), plain, func(p []byte) bool { return put(p, kind, nil) }) {
				return false
			}
		}
		return true
	}
	if !streams(d.from.vocabs, kindVocab) || !streams([][]byte{d.from.terms}, kindTerms) {
		return false
	}
	rows := d.from.rows
	for i, first := range d.from.firsts {
		end := uint32(len(rows))
		if i+1 < len(d.from.firsts) {
			end = d.from.firsts[i+1]
		}
		fillRowPage(plain, first, rows[first:end])
		if !put(plain, kindRows, nil) {
			return false
		}
	}
	for i := 0; i < len(d.from.firsts); i += directoryOf {
		fillDirectoryPage(plain, d.from.firsts[i:min(i+directoryOf, len(d.from.firsts))])
		if !put(plain, kindDirectory, nil) {
			return false
		}
	}
	return streams(d.from.columns, kindColumn)
}

// putStream cuts bytes into that many pages, zero at the end.
func putStream(b []byte, pages uint32, plain []byte, put func([]byte) bool) bool {
	for range pages {
		n := copy(plain, b)
		clear(plain[n:])
		b = b[n:]
		if !put(plain) {
			return false
		}
	}
	return true
}
