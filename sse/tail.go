package sse

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A tail segment is a stream of documents with their terms, read whole: a full segment of few rows would be mostly empty pages.
// docs/spec/sse.md, section Tail segments.

// tailRows is the number of rows from which a batch becomes a full segment of its own.
const tailRows = 256

var errTail = errors.New("its documents do not decode")

// encodeTail writes documents, which come before tombstones.
func encodeTail(docs []document, schema Schema) []byte {
	var b, terms []byte
	for i := range docs {
		d := &docs[i]
		b = d.row.append(b)
		if d.tomb {
			continue
		}
		terms = appendTerms(terms[:0], d.terms())
		b = binary.AppendUvarint(b, uint64(len(terms)))
		b = append(b, terms...)
		for _, p := range d.postings {
			impacts, positions := schema.aux(p.term)
			if impacts {
				b = append(b, p.impact)
			}
			if positions {
				b = appendPositions(b, p.positions)
			}
		}
	}
	return b
}

// decodeTail reads a tail of that version of the format. Documents of format 1 get the postings by which Exists finds them.
func decodeTail(b []byte, docs, rows uint32, schema Schema, format int) ([]document, error) {
	if int(rows) > len(b)/rowHead {
		return nil, errTail
	}
	out := make([]document, rows)
	for i := range out {
		d := &out[i]
		var err error
		if d.row, b, err = readRow(b, format); err != nil {
			return nil, errTail
		}
		if d.tomb = uint32(i) >= docs; d.tomb {
			continue
		}
		if b, err = d.readPostings(b, schema, format); err != nil {
			return nil, errTail
		}
	}
	if len(b) != 0 {
		return nil, errTail
	}
	return out, nil
}

func (d *document) readPostings(b []byte, schema Schema, format int) (rest []byte, err error) {
	n, m := shortUvarint(b)
	if m == 0 || n > uint64(len(b)-m) {
		return nil, errTail
	}
	terms, err := readTerms(b[m : m+int(n)])
	if err != nil {
		return nil, err
	}
	b = b[m+int(n):]
	d.postings = make([]posting, len(terms))
	for i, t := range terms {
		p := &d.postings[i]
		p.term = t
		if format == 1 {
			continue
		}
		impacts, positions := schema.aux(t)
		if impacts {
			if len(b) == 0 || b[0] == 0 {
				return nil, errAux
			}
			p.impact, b = b[0], b[1:]
		}
		if positions {
			var n int
			if p.positions, n, err = readPositions(b); err != nil {
				return nil, err
			}
			b = b[n:]
		}
	}
	if format == 1 {
		d.postings = withExists(d.postings)
	}
	return b, nil
}

// sealStream yields bytes as that many sealed pages of one kind, and then keeps their root.
func sealStream(keys *segmentKeys, b []byte, pages uint32, kind pageKind, root *[32]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := newSealer(keys)
		var tree merkle
		var n uint32
		sealed := make([]byte, 0, PageSize)
		done := putStream(b, pages, make([]byte, pageRoom), func(plain []byte) bool {
			sealed = s.seal(sealed[:0], plain, n, kind, nil)
			n++
			tree.add(sealed)
			return yield(sealed, nil)
		})
		if done {
			*root = tree.root()
		}
	}
}

// termList is what a segment says of a term.
type termList struct {
	rows      *roaring.Bitmap
	impacts   []byte        // in the order of rows; nil if the term has none, or they were not asked for
	positions *positionList // likewise
}

// tail is a tail segment in memory.
type tail struct {
	docs  []document
	lists map[term]*termList
	ids   map[string]uint32
	words map[uint16][]string // sorted, by number of the field
	bytes int
}

func newTail(docs []document, schema Schema, bytes int) *tail {
	t := &tail{
		docs: docs, bytes: bytes, lists: make(map[term]*termList), ids: make(map[string]uint32, len(docs)), words: make(map[uint16][]string),
	}
	for i, d := range docs {
		t.ids[d.id] = uint32(i)
		for _, p := range d.postings {
			l := t.lists[p.term]
			if l == nil {
				l = &termList{rows: roaring.New()}
				t.lists[p.term] = l
				if f, word, ok := schema.vocabularyWord(p.term); ok {
					t.words[f] = append(t.words[f], word)
				}
			}
			l.rows.Add(uint32(i))
			if p.impact > 0 {
				l.impacts = append(l.impacts, p.impact)
			}
			if p.positions != nil {
				if l.positions == nil {
					l.positions = &positionList{starts: []uint32{0}}
				}
				l.positions.add(p.positions)
			}
		}
	}
	for _, w := range t.words {
		slices.Sort(w)
	}
	return t
}
