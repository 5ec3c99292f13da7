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
func encodeTail(docs []document) []byte {
	var b, terms []byte
	for i := range docs {
		b = docs[i].row.append(b)
		if !docs[i].tomb {
			terms = appendTerms(terms[:0], docs[i].terms())
			b = binary.AppendUvarint(b, uint64(len(terms)))
			b = append(b, terms...)
		}
	}
	return b
}

func decodeTail(b []byte, docs, rows uint32) ([]document, error) {
	if int(rows) > len(b)/rowHead {
		return nil, errTail
	}
	out := make([]document, rows)
	for i := range out {
		d := &out[i]
		var err error
		if d.row, b, err = readRow(b); err != nil {
			return nil, errTail
		}
		if d.tomb = uint32(i) >= docs; d.tomb {
			continue
		}
		n, m := shortUvarint(b)
		if m == 0 || n > uint64(len(b)-m) {
			return nil, errTail
		}
		terms, err := readTerms(b[m : m+int(n)])
		if err != nil {
			return nil, errTail
		}
		d.postings = make([]posting, len(terms))
		for j, t := range terms {
			d.postings[j].term = t
		}
		b = b[m+int(n):]
	}
	if len(b) != 0 {
		return nil, errTail
	}
	return out, nil
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

// tail is a tail segment in memory.
type tail struct {
	docs  []document
	lists map[term]*roaring.Bitmap
	ids   map[string]uint32
	words map[string][]string // sorted, by field with a vocabulary
	bytes int
}

func newTail(docs []document, schema Schema, bytes int) *tail {
	t := &tail{
		docs: docs, bytes: bytes, lists: make(map[term]*roaring.Bitmap), ids: make(map[string]uint32, len(docs)), words: make(map[string][]string),
	}
	for i, d := range docs {
		t.ids[d.id] = uint32(i)
		for _, p := range d.postings {
			tm := p.term
			m := t.lists[tm]
			if m == nil {
				m = roaring.New()
				t.lists[tm] = m
				if f, word, ok := schema.vocabularyWord(tm); ok {
					name := schema.fieldName(f)
					t.words[name] = append(t.words[name], word)
				}
			}
			m.Add(uint32(i))
		}
	}
	for _, w := range t.words {
		slices.Sort(w)
	}
	return t
}
