package sse

import (
	"slices"
	"strings"
)

// posting is what a document has of one term.
type posting struct {
	term      term
	impact    uint8    // 1 to 255 for terms that Schema.aux says have impacts, else 0
	positions []uint32 // ascending, for terms that have positions, else nil
}

// document is what goes into a segment: a row and its postings, or the tombstone of a deleted document, which has none.
type document struct {
	row
	postings []posting // sorted by term, distinct
	tomb     bool
}

// row is what a segment keeps of a document beside its postings.
type row struct {
	id       string
	revision uint64
	stored   []byte
	values   []byte // encoded values of the fields that come back with hits
}

// terms are the terms of the postings.
func (d *document) terms() []term {
	terms := make([]term, len(d.postings))
	for i := range d.postings {
		terms[i] = d.postings[i].term
	}
	return terms
}

// withExists adds to the postings of a document of format 1, which has none, those by which Exists finds it: one for each field that a
// term is in.
func withExists(postings []posting) []posting {
	last := ""
	for _, p := range postings[:len(postings):len(postings)] {
		if f := p.term.field(); f != last {
			postings, last = append(postings, posting{term: (Field{Name: f}).term(tagExists, "")}), f
		}
	}
	slices.SortFunc(postings, func(a, b posting) int { return strings.Compare(string(a.term), string(b.term)) })
	return postings
}

// field is the name of the term's field.
func (t term) field() string {
	name, _, _, _ := t.split()
	return name
}
