package sse

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// phrases finds the documents of every phrase of the plan in the segment, from the positions of their words.
func (ix *Index) phrases(pt *part, p *plan) error {
	for i := range p.leaves {
		l := &p.leaves[i]
		if l.kind != leafPhrase {
			continue
		}
		both := pt.intersection(l.lookups)
		if both.IsEmpty() || pt.format() == 1 { // format 1 has no fields with phrases
			pt.leaves[i].rows = roaring.New()
			continue
		}
		words := make([]phraseList, len(l.lookups))
		for j := range words {
			list, err := pt.termList(l.lookups[j], -1, l.positions[j])
			if err != nil {
				return ix.damaged(pt.id, pt.sharedFirst(), err)
			}
			words[j] = phraseList{list.positions, list.rows.Iterator(), -1, l.places[j], nil}
		}
		// The word that stands in the fewest places begins.
		slices.SortStableFunc(words, func(a, b phraseList) int { return len(a.positions.bytes) - len(b.positions.bytes) })
		found := roaring.New()
		for row := range roaring.Values(both) {
			for j := range words {
				words[j].seek(row)
			}
			if inRow(words) {
				found.Add(row)
			}
		}
		pt.leaves[i].rows = found
	}
	return nil
}

// sharedFirst is the page that is named when an auxiliary list does not decode: that of a tail is its first.
func (s *segment) sharedFirst() uint32 {
	if s.isTail() {
		return 0
	}
	return s.sharedRegion().first
}

// phraseList is one word of a phrase, and where it stands in the document that is looked at.
type phraseList struct {
	positions *positionList
	rows      roaring.IntPeekable
	i         int    // the number of the row that was read last, in the order of rows
	at        uint32 // place in the phrase
	here      []uint32
}

// seek reads the positions in a row, which is one of its rows, and after that of the call before.
func (l *phraseList) seek(row uint32) {
	for l.rows.HasNext() && l.rows.PeekNext() <= row {
		l.rows.Next()
		l.i++
	}
	l.here = l.positions.at(l.i)
}

// inRow says whether there is a place p such that every word stands at p plus its place in the phrase.
func inRow(words []phraseList) bool {
	for _, first := range words[0].here {
		if first < words[0].at {
			continue
		}
		p := first - words[0].at
		if !slices.ContainsFunc(words[1:], func(w phraseList) bool {
			_, ok := slices.BinarySearch(w.here, p+w.at)
			return !ok
		}) {
			return true
		}
	}
	return false
}
