package sse

import (
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// maxCompared is the most documents whose stored values a search compares with a part of a value.
const maxCompared = 1 << 14

// substrings decides which documents have the parts of values that the query asks for: lists of grams say which may have them, and the
// stored values say which do. It reads the rows for which the answer depends on it, and no others; with profile Strict all.
func (s *searching) substrings(ctx context.Context) error {
	if !s.plan.has(leafSubstring) {
		return nil
	}
	var picks []pick
	for _, pt := range s.parts {
		for i, l := range s.plan.leaves {
			if l.kind == leafSubstring {
				pt.leaves[i].rows = pt.intersection(l.lookups)
			}
		}
		may, must := pt.matches(s.plan, true), pt.matches(s.plan, false)
		for r := range roaring.Values(roaring.AndNot(may, must)) {
			if len(picks) == maxCompared {
				return fmt.Errorf("sse: %w: the values of more than %d documents would have to be compared: ask for a longer part, or for a word besides it", ErrTooBroad, maxCompared)
			}
			picks = append(picks, pick{pt.content, r})
		}
	}
	if profiles[s.plan.profile].fixedRows {
		if err := s.rows.fixed(ctx, s.parts, picks, 0, ""); err != nil {
			return err
		}
	}
	rows, err := s.rows.read(ctx, picks)
	if err != nil {
		return err
	}
	for _, pt := range s.parts {
		n := 0
		for n < len(picks) && picks[n].c == pt.content {
			n++
		}
		if err := s.compare(pt, picks[:n], rows[:n]); err != nil {
			return err
		}
		picks, rows = picks[n:], rows[n:]
	}
	return nil
}

// compare looks for the parts in the values of rows of a segment.
func (s *searching) compare(pt *part, picks []pick, rows []row) error {
	found := make([]*roaring.Bitmap, len(s.plan.leaves))
	for i, l := range s.plan.leaves {
		if l.kind == leafSubstring {
			found[i] = roaring.New()
		}
	}
	for k, p := range picks {
		values, err := decodeValues(s.plan.schema, rows[k].values)
		if err != nil {
			return s.ix.damaged(pt.id, 0, err)
		}
		for i, l := range s.plan.leaves {
			if l.kind == leafSubstring && pt.leaves[i].rows.Contains(p.row) && slices.ContainsFunc(values[l.field], l.found) {
				found[i].Add(p.row)
			}
		}
	}
	for i, f := range found {
		if f != nil {
			pt.leaves[i].rows, pt.leaves[i].checked = f, true
		}
	}
	return nil
}
