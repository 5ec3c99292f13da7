package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/RoaringBitmap/roaring/v2"
)

// SearchOptions bound a search. The zero value brings back all hits.
type SearchOptions struct {
	// Offset hits are left out, and at most Limit brought back; Limit 0 is no limit.
	Offset, Limit int
	// CountOnly leaves the hits out: their rows are not read, and the server does not see where they are.
	CountOnly bool
	// MaxPages is the most pages that the search may read; 0 is 16,384, which are 64 MiB. More is ErrTooBroad.
	MaxPages int
	// MaxTerms is the most words that a prefix or fuzzy query may match in a segment; 0 is 1,024. More is ErrTooBroad.
	MaxTerms int
}

// Hit is a document that was found.
type Hit struct {
	ID       string
	Revision uint64
	Stored   []byte // nil if nothing was stored; the caller owns it
}

// Result is what a search found.
type Result struct {
	Total  int    // live documents that match, exactly
	Hits   []Hit  // in row order, which is the order of writing until a compaction; cut to Offset and Limit
	Cost   Cost   // what the store was asked for, without the head
	Anchor Anchor // the state of the partition that was searched
}

// Search finds documents. It asks for the head, so that it sees what others wrote, and works on that state to its end. Errors:
// ErrSchema for a query that does not fit the schema, ErrTooBroad, ErrDamaged, ErrRollback, and those of the store.
func (ix *Index) Search(ctx context.Context, q Query, o SearchOptions) (*Result, error) {
	if o.Offset < 0 || o.Limit < 0 || o.MaxPages < 0 || o.MaxTerms < 0 {
		return nil, fmt.Errorf("sse: a negative number in SearchOptions %w", ErrSchema)
	}
	if o.MaxPages == 0 {
		o.MaxPages = defaultMaxPages
	}
	if o.MaxTerms == 0 {
		o.MaxTerms = defaultMaxTerms
	}
	p, err := compile(ix.current().manifest.schema, q)
	if err != nil {
		return nil, err
	}
	var res *Result
	err = ix.consistently(ctx, func(st *state) error {
		res, err = ix.search(ctx, st, p, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

func (ix *Index) search(ctx context.Context, st *state, p *plan, o SearchOptions) (*Result, error) {
	m := &meter{limit: o.MaxPages}
	m.Segments = len(st.readers)
	all, err := ix.contents(ctx, m, st, p.fields)
	if err != nil {
		return nil, err
	}
	parts := make([]*part, len(all))
	for i, c := range all {
		if parts[i], err = ix.part(c, p, o.MaxTerms); err != nil {
			return nil, err
		}
	}
	if err := ix.lists(ctx, m, parts); err != nil {
		return nil, err
	}
	res := &Result{Anchor: st.anchor}
	var picks []pick
	skip := o.Offset
	for _, pt := range parts {
		live := pt.live()
		rows := pt.eval(p, p.root, live)
		rows.And(live)
		res.Total += int(rows.GetCardinality())
		if o.CountOnly {
			continue
		}
		for r := range roaring.Values(rows) {
			if skip > 0 {
				skip--
				continue
			}
			if o.Limit > 0 && len(picks) == o.Limit {
				break
			}
			picks = append(picks, pick{pt.content, r})
		}
	}
	rows, err := ix.rows(ctx, m, picks)
	if err != nil {
		return nil, err
	}
	res.Hits = make([]Hit, len(rows))
	for i, r := range rows {
		res.Hits[i] = r.hit()
	}
	res.Cost = m.Cost
	return res, nil
}

func (r row) hit() Hit { return Hit{r.id, r.revision, slices.Clone(r.stored)} }

// part is the work of a search in one segment.
type part struct {
	*content
	asked
	leaves [][]int // for each leaf of the plan its lookups
}

// part finds out what to look up in the segment.
func (ix *Index) part(c *content, p *plan, maxTerms int) (*part, error) {
	pt := &part{content: c, leaves: make([][]int, len(p.leaves))}
	index := make(map[lookup]int)
	for i, l := range p.leaves {
		lookups := l.lookups
		if l.field != "" {
			words, err := ix.expand(l, c.vocab[l.field], maxTerms)
			if errors.Is(err, errManyWords) {
				return nil, fmt.Errorf("sse: field %q: %w: more than %d words match: write more of the word, or raise SearchOptions.MaxTerms", l.field, ErrTooBroad, maxTerms)
			} else if errors.Is(err, errVocab) {
				return nil, ix.damaged(c.id, c.vocabRegion(0).first, err)
			} else if err != nil {
				return nil, err
			}
			lookups = nil
			for _, t := range p.wordTerms(l.field, words) {
				lookups = append(lookups, termLookup(t))
			}
			lookups = fillCover(lookups, l.field+"\x00"+l.prefix+"\x00"+l.word+"\x00"+strconv.Itoa(l.distance))
		}
		for _, lk := range lookups {
			n, ok := index[lk]
			if !ok {
				n = len(pt.lookups)
				index[lk] = n
				pt.lookups = append(pt.lookups, lk)
			}
			pt.leaves[i] = append(pt.leaves[i], n)
		}
	}
	return pt, nil
}

// eval combines the lists. It never changes one of them, and what it returns belongs to the caller.
func (pt *part) eval(p *plan, c clause, live *roaring.Bitmap) *roaring.Bitmap {
	switch c.op {
	case opNot:
		return roaring.AndNot(live, pt.eval(p, c.sub[0], live))
	case opOr:
		out := roaring.New()
		for _, s := range c.sub {
			out.Or(pt.eval(p, s, live))
		}
		return out
	case opAnd:
		var out *roaring.Bitmap
		for _, s := range c.sub {
			switch {
			case out != nil && s.op == opNot:
				out.AndNot(pt.eval(p, s.sub[0], live))
			case out != nil:
				out.And(pt.eval(p, s, live))
			default:
				out = pt.eval(p, s, live)
			}
		}
		return out
	}
	lists := make([]*roaring.Bitmap, 0, len(pt.leaves[c.leaf]))
	for _, n := range pt.leaves[c.leaf] {
		if pt.lists[n] != nil {
			lists = append(lists, pt.lists[n])
		}
	}
	if len(lists) == 1 {
		return lists[0].Clone()
	}
	return roaring.FastOr(lists...)
}

// pick is a row to read.
type pick struct {
	c   *content
	row uint32
}

// rows reads rows: one round for row directories that are not cached, one for row pages that are not.
func (ix *Index) rows(ctx context.Context, m *meter, picks []pick) ([]row, error) {
	if len(picks) == 0 {
		return nil, nil
	}
	dirs := make(map[*content][]uint32)
	var list []whole
	var of []*content
	for _, p := range picks {
		if _, ok := dirs[p.c]; !ok && p.c.tail == nil {
			dirs[p.c] = nil
			list, of = append(list, p.c.wholeDirectory()), append(of, p.c)
		}
	}
	values, err := ix.wholes(ctx, m, list)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		dirs[of[i]] = v.([]uint32)
	}
	type rowPage struct {
		first uint32
		rows  []row
	}
	pages := make(map[pageKey]*rowPage)
	var wants []pageWant
	at := func(p pick) pageKey { return pageKey{p.c.reader, p.c.rowRegion().first + rowPageOf(dirs[p.c], p.row)} }
	for _, p := range picks {
		if p.c.tail != nil {
			continue
		}
		k := at(p)
		if _, ok := pages[k]; ok {
			continue
		}
		w := pageWant{r: p.c.reader, kind: kindRows, page: k.page}
		pages[k], _ = ix.cache.get(w.cacheKey()).(*rowPage)
		if pages[k] == nil {
			wants = append(wants, w)
		}
	}
	err = ix.fetch(ctx, m, wants, func(w pageWant, plain []byte) error {
		first, rows, err := readRowPage(plain, w.r.format())
		if err != nil {
			return err
		}
		rp := &rowPage{first, rows}
		pages[pageKey{w.r, w.page}] = rp
		ix.cache.put(w.cacheKey(), rp, 2*PageSize)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]row, len(picks))
	for i, p := range picks {
		if p.c.tail != nil {
			out[i] = p.c.tail.docs[p.row].row
			continue
		}
		k := at(p)
		rp := pages[k]
		if p.row < rp.first || p.row-rp.first >= uint32(len(rp.rows)) {
			return nil, ix.damaged(p.c.id, k.page, errRows)
		}
		out[i] = rp.rows[p.row-rp.first]
	}
	return out, nil
}
