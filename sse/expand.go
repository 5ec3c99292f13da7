package sse

import (
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// part is the work of a search in one segment.
type part struct {
	*content
	asked
	leaves []partLeaf // of each leaf of the plan
	alive  *roaring.Bitmap
}

// partLeaf is a leaf in one segment.
type partLeaf struct {
	lookups []int
	words   []string        // of leafWords: those that match; their lookups come first, in their order
	rows    *roaring.Bitmap // what was computed: exact, but for a substring that was not checked, where it is what may match
	checked bool
}

// part finds out what to look up in the segment.
func (ix *Index) part(c *content, p *plan, maxTerms int) (*part, error) {
	pt := &part{content: c, leaves: make([]partLeaf, len(p.leaves))}
	pt.lookups = slices.Clip(p.lookups)
	var index map[lookup]int // of those that are only looked up here
	number := func(l lookup) int {
		if n, ok := p.index[l]; ok {
			return n
		}
		n, ok := index[l]
		if !ok {
			if index == nil {
				index = make(map[lookup]int)
			}
			n = len(pt.lookups)
			index[l] = n
			pt.lookups = append(pt.lookups, l)
		}
		return n
	}
	union := func(pl *partLeaf, terms []term, size int, seed string) {
		for _, t := range terms {
			pl.lookups = append(pl.lookups, number(termLookup(t)))
		}
		for n := range size - len(terms) {
			pl.lookups = append(pl.lookups, number(dummyLookup(n, seed)))
		}
	}
	for i := range p.leaves {
		l, pl := &p.leaves[i], &pt.leaves[i]
		switch {
		case l.kind == leafWords:
			var err error
			if pl.words, err = ix.expand(c, l, maxTerms); err != nil {
				return nil, err
			}
			union(pl, p.wordTerms(l.field, pl.words), p.profile.cover(len(pl.words)), l.seed)
		case l.kind == leafExists && c.format() == 1 && c.tail == nil:
			terms, err := p.exists1(l.field)
			if err != nil {
				return nil, err
			}
			union(pl, terms, p.profile.cover(len(terms)), "exists\x00"+l.field)
		default:
			pl.lookups = l.lookups
		}
	}
	return pt, nil
}

// expand finds the words of a leaf in the vocabulary of a segment.
func (ix *Index) expand(c *content, l *leaf, limit int) ([]string, error) {
	v := c.vocab[l.field]
	if v == nil {
		return nil, nil // the segment has no term in this field
	}
	words, err := v.match(l.automaton, l.prefix, limit)
	switch {
	case errors.Is(err, errManyWords):
		return nil, fmt.Errorf("sse: field %q: %w: more than %d words match: write more of the word, or raise SearchOptions.MaxTerms", l.field, ErrTooBroad, limit)
	case errors.Is(err, errVocab):
		return nil, ix.damaged(c.id, c.vocabRegion(0).first, err)
	case err != nil:
		return nil, fmt.Errorf("sse: field %q: %w", l.field, err)
	}
	return words, nil
}

// exists1 are terms of which every document of a full segment of format 1 with a value in the field has one. Fields that format 1 did not have
// have no value in it.
func (p *plan) exists1(name string) ([]term, error) {
	f, err := p.schema.field(name)
	switch {
	case err != nil:
		return nil, err
	case f.Type > Date || f.switches()>>2 != 0 || f.Language != "":
		return nil, nil
	case f.Type.ranged():
		return p.schema.rangeTerms(name, Value{}, Value{})
	}
	return nil, fmt.Errorf("sse: field %q: %w: a segment of format 1 does not say which documents have a value in it: Compact with Full", name, ErrTooBroad)
}

// live is the documents that are not deleted. It is not to be changed.
func (pt *part) live() *roaring.Bitmap {
	if pt.alive == nil {
		pt.alive = pt.content.live()
	}
	return pt.alive
}

// eval combines the lists. A substring that was not checked stands for what may match if upper, else for nothing, and under Not the other way
// round: so the two answers are bounds of the true one. owned says that the caller may change the rows.
func (pt *part) eval(p *plan, c clause, upper bool) (rows *roaring.Bitmap, owned bool) {
	switch c.op {
	case opAll:
		return pt.live(), false
	case opNot:
		not, _ := pt.eval(p, c.sub[0], !upper)
		return roaring.AndNot(pt.live(), not), true
	case opOr:
		list := make([]*roaring.Bitmap, len(c.sub))
		for i, s := range c.sub {
			list[i], _ = pt.eval(p, s, upper)
		}
		return roaring.FastOr(list...), true
	case opAnd:
		return pt.and(p, c, upper)
	}
	l := &pt.leaves[c.leaf]
	switch {
	case p.leaves[c.leaf].kind == leafSubstring && !l.checked && !upper:
		return roaring.New(), true
	case l.rows == nil:
		l.rows = pt.union(l.lookups)
	}
	return l.rows, false
}

// and takes what stands under Not away at the end.
func (pt *part) and(p *plan, c clause, upper bool) (rows *roaring.Bitmap, owned bool) {
	for _, s := range c.sub {
		if s.op == opNot {
			continue
		}
		if rows != nil && rows.IsEmpty() {
			return rows, owned
		}
		next, free := pt.eval(p, s, upper)
		switch {
		case rows == nil:
			rows, owned = next, free
		case owned:
			rows.And(next)
		default:
			rows, owned = roaring.And(rows, next), true
		}
	}
	if rows == nil {
		rows = pt.live()
	}
	for _, s := range c.sub {
		if s.op != opNot {
			continue
		}
		if !owned {
			rows, owned = rows.Clone(), true
		}
		not, _ := pt.eval(p, s.sub[0], !upper)
		rows.AndNot(not)
	}
	return rows, owned
}

// union is the rows of all of those lookups. It is not to be changed.
func (pt *part) union(lookups []int) *roaring.Bitmap {
	list := make([]*roaring.Bitmap, 0, len(lookups))
	for _, n := range lookups {
		if pt.lists[n] != nil {
			list = append(list, pt.lists[n])
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return roaring.FastOr(list...)
}

// intersection is the rows of each of those lookups. It is not to be changed.
func (pt *part) intersection(lookups []int) *roaring.Bitmap {
	list := make([]*roaring.Bitmap, len(lookups))
	for i, n := range lookups {
		if list[i] = pt.lists[n]; list[i] == nil {
			return roaring.New()
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	slices.SortFunc(list, func(a, b *roaring.Bitmap) int { return int(a.GetCardinality()) - int(b.GetCardinality()) })
	return roaring.FastAnd(list...)
}

// matches evaluates the whole query: the live documents. It is not to be changed.
func (pt *part) matches(p *plan, upper bool) *roaring.Bitmap {
	rows, owned := pt.eval(p, p.root, upper)
	switch {
	case pt.dead == nil:
	case owned:
		rows.AndNot(pt.dead)
	default:
		rows = roaring.AndNot(rows, pt.dead)
	}
	return rows
}
