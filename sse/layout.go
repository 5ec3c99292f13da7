package sse

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/veilchart/veilchart/internal/wire"
)

// The forms of a segment. Those of format 1 are read, and never written again.
const (
	formFull1 = 1 // tables, lists, vocabularies, rows
	formTail1 = 2 // one stream of documents, read whole
	formFull  = 3 // as form 1, with values in rows, lists of impacts and positions, and columns
	formTail  = 4 // as form 2, with values in rows, impacts and positions
)

// Limits of a segment. A full segment of the most rows has some tens of millions of postings.
const (
	maxRows     = 1 << 20   // rows of a segment
	maxPages    = 1 << 30   // pages of a segment
	tailBytes   = 1 << 20   // of a tail, and of all tails of a partition before they are folded into a full segment
	maxVocab    = 256 << 20 // bytes of a vocabulary
	maxColumn   = 256 << 20 // bytes of a column
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
	table     uint32        // pages
	shared    uint32        // pages
	own       uint32        // pages
	vocabs    []fieldStream // in the order of field numbers
	terms     uint32        // bytes
	rowPages  uint32        // pages
	directory uint32        // pages
	columns   []fieldStream // in the order of field numbers; none in format 1

	tail uint32 // bytes of a tail segment

	root    [32]byte // Merkle root of the sealed pages
	deleted deletions
}

// fieldStream is the vocabulary or the column of one field: the number of the field, and its length in bytes.
type fieldStream struct {
	field uint16
	bytes uint32
}

// isTail says whether the segment is a stream of documents.
func (s *segment) isTail() bool { return s.form == formTail || s.form == formTail1 }

// format is the version of the format that the segment was written in.
func (s *segment) format() int {
	if s.form == formFull1 || s.form == formTail1 {
		return 1
	}
	return 2
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

// columnRegion is the region of the i-th column; that of the number of columns is empty, and behind all.
func (s *segment) columnRegion(i int) region {
	d := s.directoryRegion()
	first := d.first + d.count
	for _, c := range s.columns[:i] {
		first += pagesFor(int(c.bytes))
	}
	if i == len(s.columns) {
		return region{first, 0}
	}
	return region{first, pagesFor(int(s.columns[i].bytes))}
}

// pages is the number of pages of the segment.
func (s *segment) pages() uint32 {
	if s.isTail() {
		return pagesFor(padme(int(s.tail)))
	}
	return s.columnRegion(len(s.columns)).first
}

// append encodes the segment for the manifest. docs/spec/sse.md, section Manifest.
func (s *segment) append(b []byte) []byte {
	b = append(b, s.id[:]...)
	b = append(b, s.form)
	b = binary.BigEndian.AppendUint64(b, uint64(s.created))
	b = binary.BigEndian.AppendUint32(b, s.docs)
	b = binary.BigEndian.AppendUint32(b, s.rows)
	if s.isTail() {
		b = binary.BigEndian.AppendUint32(b, s.tail)
	} else {
		for _, n := range []uint32{s.table, s.shared, s.own} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		b = s.appendStreams(b, s.vocabs)
		for _, n := range []uint32{s.terms, s.rowPages, s.directory} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		if s.format() > 1 {
			b = s.appendStreams(b, s.columns)
		}
	}
	b = append(b, s.root[:]...)
	return s.deleted.append(b)
}

// appendStreams encodes vocabularies or columns. In format 1 the number of a field has one byte.
func (s *segment) appendStreams(b []byte, list []fieldStream) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, v := range list {
		if s.format() == 1 {
			b = append(b, uint8(v.field))
		} else {
			b = binary.BigEndian.AppendUint16(b, v.field)
		}
		b = binary.BigEndian.AppendUint32(b, v.bytes)
	}
	return b
}

func (s *segment) readStreams(d *wire.Decoder, schema Schema, most uint32) []fieldStream {
	width := 2
	if s.format() == 1 {
		width = 1
	}
	n := d.Len(len(schema.Fields), width+4)
	if n == 0 {
		return nil
	}
	list := make([]fieldStream, n)
	for i := range list {
		v := &list[i]
		if s.format() == 1 {
			v.field = uint16(d.Uint8())
		} else {
			v.field = d.Uint16()
		}
		v.bytes = d.Uint32()
		if d.Err() == nil && (schema.fieldName(v.field) == "" || i > 0 && v.field <= list[i-1].field || v.bytes == 0 || v.bytes > most) {
			d.Failf("a vocabulary or column of field %d with %d bytes", v.field, v.bytes)
		}
	}
	return list
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

// readSegment reads a segment from a manifest of that version.
func readSegment(d *wire.Decoder, schema Schema, version int) *segment {
	s := &segment{}
	copy(s.id[:], d.Raw(len(s.id)))
	s.form = d.Uint8()
	s.created = int64(d.Uint64())
	s.docs, s.rows = d.Uint32(), d.Uint32()
	if d.Err() == nil && (s.rows == 0 || s.rows > maxRows || s.docs > s.rows) {
		d.Failf("a segment with %d documents and %d rows", s.docs, s.rows)
	}
	if s.form == 0 || s.form > formTail || version == 1 && s.format() > 1 {
		d.Failf("a segment of form %d in a manifest of version %d: this program reads forms 1 to 4, of them 1 and 2 in version 1", s.form, version)
		return s
	}
	if s.isTail() {
		if s.tail = d.Uint32(); d.Err() == nil && (s.tail == 0 || s.tail > tailBytes) {
			d.Failf("a tail of %d bytes", s.tail)
		}
	} else {
		s.table, s.shared, s.own = d.Uint32(), d.Uint32(), d.Uint32()
		s.vocabs = s.readStreams(d, schema, maxVocab)
		s.terms, s.rowPages, s.directory = d.Uint32(), d.Uint32(), d.Uint32()
		if s.format() > 1 {
			s.columns = s.readStreams(d, schema, maxColumn)
		}
		s.checkLayout(d)
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
	for _, v := range append(s.vocabs[:len(s.vocabs):len(s.vocabs)], s.columns...) {
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
