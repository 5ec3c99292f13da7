package sse

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/veilchart/veilchart/internal/wire"
)

// The forms of a segment.
const (
	formFull = 1 // tables, lists, vocabularies, rows
	formTail = 2 // one stream of documents, read whole
)

// Limits of a segment. A full segment of the most rows has some tens of millions of postings.
const (
	maxRows     = 1 << 20   // rows of a segment
	maxPages    = 1 << 30   // pages of a segment
	tailBytes   = 1 << 20   // of a tail, and of all tails of a partition before they are folded into a full segment
	maxVocab    = 256 << 20 // bytes of a vocabulary
	maxTerms    = 1 << 30   // bytes of the list of terms
	maxSegments = 1 << 12
	maxRetired  = 1 << 14
)

// segment describes one segment in a manifest: where its pages are, what hash they have together, and which rows are gone.
// All of it is immutable but deleted.
type segment struct {
	id      ID
	form    uint8
	created int64  // Unix seconds, by the writer's clock
	docs    uint32 // rows 0 to docs-1 are documents
	rows    uint32 // rows docs to rows-1 are tombstones of deleted documents

	// A full segment has its regions in this order, without gaps.
	table     uint32      // pages
	shared    uint32      // pages
	own       uint32      // pages
	vocabs    []vocabMeta // in the order of fields
	terms     uint32      // bytes
	rowPages  uint32      // pages
	directory uint32      // pages

	tail uint32 // bytes of a tail segment

	root    [32]byte // Merkle root of the sealed pages
	deleted deletions
}

// vocabMeta is the vocabulary of one field: its position among the schema's fields sorted by name, and its length in bytes.
type vocabMeta struct {
	field uint8
	bytes uint32
}

// deletions says which rows of a segment are gone: in the manifest, or in an object of its own when large.
type deletions struct {
	count  uint32
	inline *roaring.Bitmap // nil if there are none, or if they are in an object
	object ID
	bytes  uint32 // length of the object
	root   [32]byte
}

// inlineDeleted is the most bytes of a bitmap that stand in the manifest.
const inlineDeleted = 8 << 10

// region is a sequence of pages of one kind.
type region struct {
	first, count uint32
}

func (s *segment) tableRegion() region  { return region{0, s.table} }
func (s *segment) sharedRegion() region { return region{s.table, s.shared} }
func (s *segment) ownRegion() region    { return region{s.table + s.shared, s.own} }

// vocabRegion is the region of the i-th vocabulary.
func (s *segment) vocabRegion(i int) region {
	first := s.table + s.shared + s.own
	for _, v := range s.vocabs[:i] {
		first += pagesFor(int(v.bytes))
	}
	if i == len(s.vocabs) {
		return region{first, 0}
	}
	return region{first, pagesFor(int(s.vocabs[i].bytes))}
}

func (s *segment) termsRegion() region {
	return region{s.vocabRegion(len(s.vocabs)).first, pagesFor(int(s.terms))}
}

func (s *segment) rowRegion() region {
	t := s.termsRegion()
	return region{t.first + t.count, s.rowPages}
}

func (s *segment) directoryRegion() region {
	return region{s.rowRegion().first + s.rowPages, s.directory}
}

// pages is the number of pages of the segment.
func (s *segment) pages() uint32 {
	if s.form == formTail {
		return pagesFor(padme(int(s.tail)))
	}
	d := s.directoryRegion()
	return d.first + d.count
}

// append encodes the segment for the manifest. docs/spec/sse.md, section Manifest.
func (s *segment) append(b []byte) []byte {
	b = append(b, s.id[:]...)
	b = append(b, s.form)
	b = binary.BigEndian.AppendUint64(b, uint64(s.created))
	b = binary.BigEndian.AppendUint32(b, s.docs)
	b = binary.BigEndian.AppendUint32(b, s.rows)
	if s.form == formTail {
		b = binary.BigEndian.AppendUint32(b, s.tail)
	} else {
		for _, n := range []uint32{s.table, s.shared, s.own} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.vocabs)))
		for _, v := range s.vocabs {
			b = binary.BigEndian.AppendUint32(append(b, v.field), v.bytes)
		}
		for _, n := range []uint32{s.terms, s.rowPages, s.directory} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
	}
	b = append(b, s.root[:]...)
	return s.deleted.append(b)
}

// The places of deletions.
const (
	deletedNone   = 0
	deletedInline = 1
	deletedObject = 2
)

func (d *deletions) append(b []byte) []byte {
	switch {
	case d.count == 0:
		return append(b, deletedNone)
	case d.inline != nil:
		return wire.AppendBytes(append(b, deletedInline), bitmapBytes(d.inline))
	}
	b = append(b, deletedObject)
	b = append(b, d.object[:]...)
	b = binary.BigEndian.AppendUint32(b, d.count)
	b = binary.BigEndian.AppendUint32(b, d.bytes)
	return append(b, d.root[:]...)
}

// minSegmentBytes is the shortest encoding of a segment: a tail without deletions.
const minSegmentBytes = 16 + 1 + 8 + 4 + 4 + 4 + 32 + 1

func readSegment(d *wire.Decoder, fields int) *segment {
	s := &segment{}
	copy(s.id[:], d.Raw(len(s.id)))
	s.form = d.Uint8()
	s.created = int64(d.Uint64())
	s.docs, s.rows = d.Uint32(), d.Uint32()
	if d.Err() == nil && (s.rows == 0 || s.rows > maxRows || s.docs > s.rows) {
		d.Failf("a segment with %d documents and %d rows", s.docs, s.rows)
	}
	switch s.form {
	case formTail:
		if s.tail = d.Uint32(); d.Err() == nil && (s.tail == 0 || s.tail > tailBytes) {
			d.Failf("a tail of %d bytes", s.tail)
		}
	case formFull:
		s.table, s.shared, s.own = d.Uint32(), d.Uint32(), d.Uint32()
		s.vocabs = make([]vocabMeta, d.Len(fields, 5))
		for i := range s.vocabs {
			s.vocabs[i] = vocabMeta{d.Uint8(), d.Uint32()}
			v := s.vocabs[i]
			if d.Err() == nil && (int(v.field) >= fields || i > 0 && v.field <= s.vocabs[i-1].field || v.bytes == 0 || v.bytes > maxVocab) {
				d.Failf("vocabulary of field %d with %d bytes", v.field, v.bytes)
			}
		}
		s.terms, s.rowPages, s.directory = d.Uint32(), d.Uint32(), d.Uint32()
		s.checkLayout(d)
	default:
		d.Failf("a segment of form %d: this program reads forms 1 and 2", s.form)
	}
	copy(s.root[:], d.Raw(len(s.root)))
	s.deleted = readDeletions(d, s.rows)
	return s
}

// checkLayout refuses regions that no segment has, before they are multiplied.
func (s *segment) checkLayout(d *wire.Decoder) {
	if d.Err() == nil && s.terms > maxTerms {
		d.Failf("a list of terms of %d bytes", s.terms)
	}
	if d.Err() != nil {
		return
	}
	sum := uint64(s.table) + uint64(s.shared) + uint64(s.own) + uint64(pagesFor(int(s.terms))) + uint64(s.rowPages) + uint64(s.directory)
	for _, v := range s.vocabs {
		sum += uint64(pagesFor(int(v.bytes)))
	}
	if sum > maxPages || s.table == 0 || s.shared == 0 || s.rowPages == 0 || s.rowPages > s.rows ||
		s.directory != (s.rowPages+directoryOf-1)/directoryOf {
		d.Failf("a segment of %d pages with %d buckets, %d shared pages, %d row pages, %d directory pages", sum, s.table, s.shared, s.rowPages, s.directory)
	}
}

func readDeletions(d *wire.Decoder, rows uint32) (del deletions) {
	switch place := d.Uint8(); place {
	case deletedNone:
	case deletedInline:
		b := d.Bytes(inlineDeleted)
		if d.Err() != nil {
			return
		}
		m, err := decodeDeleted(b, rows)
		if err != nil {
			d.Failf("a bitmap of deleted rows that is empty, out of range or not canonical")
			return
		}
		del.inline, del.count = m, uint32(m.GetCardinality())
	case deletedObject:
		copy(del.object[:], d.Raw(len(del.object)))
		del.count, del.bytes = d.Uint32(), d.Uint32()
		copy(del.root[:], d.Raw(len(del.root)))
		if d.Err() == nil && (del.count == 0 || del.count > rows || del.bytes <= inlineDeleted || del.bytes > 2*maxRows) {
			d.Failf("%d deleted rows in an object of %d bytes", del.count, del.bytes)
		}
	default:
		d.Failf("deleted rows in place %d: this program reads places 0 to 2", place)
	}
	return del
}
