package sse

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/veilchart/veilchart/internal/wire"
)

// builder collects the rows and lists of one full segment in memory.
type builder struct {
	docs  []row
	tombs []row
	lists map[term]int
	rows  [][]uint32 // rows of each list, ascending

	// The first row of a list of one needs no allocation of its own: it is cut from here.
	spare []uint32
}

func newBuilder() *builder { return &builder{lists: make(map[term]int)} }

// addDoc adds a document and returns its row. Tombstones are numbered after all documents; see addTomb.
func (b *builder) addDoc(r row) uint32 {
	b.docs = append(b.docs, r)
	return uint32(len(b.docs) - 1)
}

// addTomb adds a tombstone and returns its number among the tombstones.
func (b *builder) addTomb(r row) uint32 {
	b.tombs = append(b.tombs, r)
	return uint32(len(b.tombs) - 1)
}

// addRows adds ascending rows, behind those that the term has already.
func (b *builder) addRows(t term, rows ...uint32) {
	i, ok := b.lists[t]
	if !ok {
		i = len(b.rows)
		b.lists[t] = i
		if len(b.spare) < len(rows) {
			b.spare = make([]uint32, max(4096, len(rows)))
		}
		list := append(b.spare[:0:len(rows)], rows...)
		b.spare = b.spare[len(rows):]
		b.rows = append(b.rows, list)
		return
	}
	b.rows[i] = append(b.rows[i], rows...)
}

func (b *builder) add(d document) {
	if d.tomb {
		b.addTomb(d.row)
		return
	}
	r := b.addDoc(d.row)
	for _, p := range d.postings {
		b.addRows(p.term, r)
	}
}

// all returns the rows in the order of the segment.
func (b *builder) all() []row { return append(b.docs[:len(b.docs):len(b.docs)], b.tombs...) }

// draft is a full segment whose layout is final and whose pages are not sealed yet.
type draft struct {
	segment
	keys   *segmentKeys
	slots  []tableSlot
	shared [][]byte // pages, lists encrypted
	own    []ownList
	vocabs [][]byte
	terms  []byte
	rows   []row
	firsts []uint32
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

// layout decides where everything goes. It returns nil if two terms cannot be told apart under these keys: then the segment
// takes another ID, and with it other keys. That happens once in 2^64 over the square of the number of terms.
func (b *builder) layout(schema Schema, keys *segmentKeys) (*draft, error) {
	d := &draft{keys: keys, rows: b.all()}
	d.id, d.form, d.docs, d.segment.rows = keys.segment, formFull, uint32(len(b.docs)), uint32(len(d.rows))
	if len(d.rows) > maxRows {
		return nil, fmt.Errorf("sse: %w: %d rows, a segment takes %d: write smaller batches", ErrBatch, len(d.rows), maxRows)
	}
	terms := make([]term, 0, len(b.lists))
	for t := range b.lists {
		terms = append(terms, t)
	}
	slices.Sort(terms)
	if err := d.words(schema, terms); err != nil {
		return nil, err
	}
	long := d.entries(b, terms)
	d.lists(long)
	d.table = buckets(d.slots)
	if !sortSlots(d.slots, d.table) {
		return nil, nil
	}
	d.firsts = packRows(d.rows)
	d.rowPages = uint32(len(d.firsts))
	d.directory = (d.rowPages + directoryOf - 1) / directoryOf
	if n := d.segment.pages(); n > maxPages {
		return nil, fmt.Errorf("sse: %w: %d pages, a segment takes %d: write smaller batches", ErrBatch, n, maxPages)
	}
	return d, nil
}

// entries makes the table entries of all terms and IDs and returns the lists that need pages.
func (d *draft) entries(b *builder, terms []term) (long []pendingList) {
	find, pad, lists := newPRF(d.keys.find), newPRF(d.keys.entry), newPRF(d.keys.list)
	d.slots = make([]tableSlot, 0, len(terms)+len(d.rows))
	var buf []byte
	add := func(l lookup, rows []uint32) {
		s := tableSlot{place: placeOf(find.lookup(l))}
		if buf = appendDeltas(buf[:0], rows[:min(len(rows), inlineRoom+1)]); len(rows) <= inlineRoom && len(buf) <= inlineRoom {
			s.body = pad.lookup(l).xor(entry{form: entryInline, count: uint32(len(rows)), rows: rows}.encode())
		} else {
			s.body = pad.lookup(l) // lists adds the entry
			long = append(long, pendingList{len(d.slots), s.place.order, lists.lookup(l), encodeList(rows), uint32(len(rows))})
		}
		d.slots = append(d.slots, s)
	}
	for _, t := range terms {
		add(termLookup(t), b.rows[b.lists[t]])
	}
	one := make([]uint32, 1)
	for i := range d.rows {
		one[0] = uint32(i)
		// Only the newest row of an ID is found. A batch has one row per ID, and a merge has dropped the older ones.
		add(idLookup(d.rows[i].id), one)
	}
	return long
}

// lists places the lists in the pseudo-random order of their terms: long ones into pages of their own, the others into shared pages,
// of which there is at least one, so that dummy reads have a target.
func (d *draft) lists(long []pendingList) {
	slices.SortFunc(long, func(a, b pendingList) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
	page := make([]byte, 0, pageRoom)
	flush := func() {
		d.shared = append(d.shared, append(page, make([]byte, pageRoom-len(page))...))
		page = make([]byte, 0, pageRoom)
	}
	for _, l := range long {
		e := entry{count: l.count, length: uint32(len(l.bytes))}
		if len(l.bytes) >= pageRoom {
			e.form, e.page = entryOwn, d.segment.own
			d.segment.own += e.ownPages()
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

// words builds the vocabularies and the list of all terms that are in none.
func (d *draft) words(schema Schema, terms []term) error {
	var rest []term
	words := make(map[uint16][]string)
	for _, t := range terms {
		if field, word, ok := schema.vocabularyWord(t); ok {
			words[field] = append(words[field], word)
		} else {
			rest = append(rest, t)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(words)) {
		w := words[field]
		slices.Sort(w)
		b, err := encodeVocab(w)
		if err != nil {
			return err
		}
		if len(b) > maxVocab {
			return fmt.Errorf("sse: %w: the vocabulary of field %q has %d bytes, %d is the limit: write smaller batches", ErrBatch, schema.fieldName(field), len(b), maxVocab)
		}
		d.segment.vocabs = append(d.segment.vocabs, vocabMeta{uint8(field), uint32(len(b))})
		d.vocabs = append(d.vocabs, b)
	}
	d.terms = appendTerms(nil, rest)
	if len(d.terms) > maxTerms {
		return fmt.Errorf("sse: %w: the list of terms has %d bytes, %d is the limit: write smaller batches", ErrBatch, len(d.terms), maxTerms)
	}
	d.segment.terms = uint32(len(d.terms))
	return nil
}

// field is the name of the term's field.
func (t term) field() string {
	return wire.NewDecoder([]byte(t)).String(maxFieldName)
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
			d.root = tree.root()
		}
	}
}

// pages calls put for every page until it refuses.
func (d *draft) pages(put func(plain []byte, kind pageKind, list *key) bool) bool {
	plain := make([]byte, pageRoom)
	for b, slots := uint32(0), d.slots; b < d.table; b++ {
		n := 0
		for n < len(slots) && slots[n].place.hash%uint64(d.table) == uint64(b) {
			n++
		}
		fillBucket(plain, slots[:n])
		slots = slots[n:]
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
		if !putStream(l.bytes, pagesFor(padme(len(l.bytes))), plain, func(p []byte) bool { return put(p, kindList, &l.key) }) {
			return false
		}
	}
	for _, v := range d.vocabs {
		if !putStream(v, pagesFor(len(v)), plain, func(p []byte) bool { return put(p, kindVocab, nil) }) {
			return false
		}
	}
	if !putStream(d.terms, pagesFor(len(d.terms)), plain, func(p []byte) bool { return put(p, kindTerms, nil) }) {
		return false
	}
	for i, first := range d.firsts {
		end := uint32(len(d.rows))
		if i+1 < len(d.firsts) {
			end = d.firsts[i+1]
		}
		fillRowPage(plain, first, d.rows[first:end])
		if !put(plain, kindRows, nil) {
			return false
		}
	}
	for i := 0; i < len(d.firsts); i += directoryOf {
		fillDirectoryPage(plain, d.firsts[i:min(i+directoryOf, len(d.firsts))])
		if !put(plain, kindDirectory, nil) {
			return false
		}
	}
	return true
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
