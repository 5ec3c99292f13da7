package sse

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
)

// pick is a row to read.
type pick struct {
	c   *content
	row uint32
}

// rowPage is a row page after it was decoded.
type rowPage struct {
	first uint32
	rows  []row
}

// rowReader reads the rows that one search or one batch asks for, every page once.
type rowReader struct {
	ix    *Index
	meter *meter
	dirs  map[*reader][]uint32
	pages map[pageKey]*rowPage
}

// rows reads rows: one round for row directories that are not cached, one for row pages that are not.
func (ix *Index) rows(ctx context.Context, m *meter, picks []pick) ([]row, error) {
	rr := rowReader{ix: ix, meter: m}
	return rr.read(ctx, picks)
}

// directories reads the directories of those segments.
func (rr *rowReader) directories(ctx context.Context, readers []*reader) error {
	if rr.dirs == nil {
		rr.dirs, rr.pages = make(map[*reader][]uint32), make(map[pageKey]*rowPage)
	}
	var list []whole
	var of []*reader
	for _, r := range readers {
		if _, ok := rr.dirs[r]; !ok {
			rr.dirs[r] = nil
			list, of = append(list, r.wholeDirectory()), append(of, r)
		}
	}
	values, err := rr.ix.wholes(ctx, rr.meter, list)
	if err != nil {
		return err
	}
	for i, v := range values {
		rr.dirs[of[i]] = v.([]uint32)
	}
	return nil
}

func (rr *rowReader) pageOf(p pick) pageKey {
	return pageKey{p.c.reader, p.c.rowRegion().first + rowPageOf(rr.dirs[p.c.reader], p.row)}
}

// read gives the rows in the order of picks.
func (rr *rowReader) read(ctx context.Context, picks []pick) ([]row, error) {
	var readers []*reader
	for _, p := range picks {
		if p.c.tail == nil && (len(readers) == 0 || readers[len(readers)-1] != p.c.reader) {
			readers = append(readers, p.c.reader)
		}
	}
	if err := rr.directories(ctx, readers); err != nil {
		return nil, err
	}
	at := make([]pageKey, len(picks))
	var wants []pageWant
	for i, p := range picks {
		switch {
		case p.c.tail != nil:
			continue
		case i > 0 && at[i-1].r == p.c.reader && rr.pages[at[i-1]].holds(p.row):
			at[i] = at[i-1]
			continue
		}
		k := rr.pageOf(p)
		at[i] = k
		if _, ok := rr.pages[k]; ok {
			continue
		}
		w := pageWant{r: p.c.reader, kind: kindRows, page: k.page}
		rr.pages[k], _ = rr.ix.cache.get(w.cacheKey()).(*rowPage)
		if rr.pages[k] == nil {
			wants = append(wants, w)
		}
	}
	if err := rr.fetch(ctx, wants, true); err != nil {
		return nil, err
	}
	out := make([]row, len(picks))
	for i, p := range picks {
		if p.c.tail != nil {
			out[i] = p.c.tail.docs[p.row].row
			continue
		}
		rp := rr.pages[at[i]]
		if !rp.holds(p.row) {
			return nil, rr.ix.damaged(p.c.id, at[i].page, errRows)
		}
		out[i] = rp.rows[p.row-rp.first]
	}
	return out, nil
}

func (rp *rowPage) holds(row uint32) bool {
	return rp != nil && row >= rp.first && row-rp.first < uint32(len(rp.rows))
}

func (rr *rowReader) fetch(ctx context.Context, wants []pageWant, cache bool) error {
	return rr.ix.fetch(ctx, rr.meter, wants, func(w pageWant, plain []byte) error {
		first, rows, err := readRowPage(plain, w.r.format())
		if err != nil {
			return err
		}
		rp := &rowPage{first, rows}
		rr.pages[pageKey{w.r, w.page}] = rp
		if cache {
			rr.ix.cache.put(w.cacheKey(), rp, 2*PageSize)
		}
		return nil
	})
}

// fixed reads the pages of the picks in a number that says nothing of them: of every full segment as many as the limit, or all if it has
// fewer or there is no limit. Those that the picks do not need are drawn by a keyed generator from the seed, so that asking again reads the
// same. Nothing comes from the cache. It is done once in a search.
func (rr *rowReader) fixed(ctx context.Context, parts []*part, picks []pick, limit int, seed string) error {
	if rr.dirs != nil {
		return nil // all pages were read
	}
	var readers []*reader
	for _, pt := range parts {
		if pt.tail == nil {
			readers = append(readers, pt.reader)
		}
	}
	if err := rr.directories(ctx, readers); err != nil {
		return err
	}
	need := make(map[pageKey]bool)
	for _, p := range picks {
		if p.c.tail == nil {
			need[rr.pageOf(p)] = true
		}
	}
	var wants []pageWant
	for _, r := range readers {
		first, n, left := r.rowRegion().first, int(r.rowPages), fixedPages(r.segment, limit)
		for i := range n {
			if k := (pageKey{r, first + uint32(i)}); need[k] {
				left--
				wants = append(wants, pageWant{r: r, kind: kindRows, page: k.page})
			}
		}
		for _, i := range drawn(r.keys, n, seed) {
			if k := (pageKey{r, first + uint32(i)}); left > 0 && !need[k] {
				left--
				wants = append(wants, pageWant{r: r, kind: kindRows, page: k.page})
			}
		}
	}
	return rr.fetch(ctx, wants, false)
}

// fixedPages is the number of row pages of a full segment that profile Strict reads.
func fixedPages(s *segment, limit int) int {
	if limit == 0 {
		return int(s.rowPages)
	}
	return min(limit, int(s.rowPages))
}

// drawn is a permutation of n numbers that nobody can guess who does not have the keys.
func drawn(k *segmentKeys, n int, seed string) []int {
	prf := newPRF(k.find)
	// No query begins with a zero byte, so that this is no dummy of a cover.
	key := prf.lookup(lookup{domainDummy, string(binary.BigEndian.AppendUint32(nil, 0)) + "\x00rows\x00" + seed})
	order := newPRF(key)
	ranks, numbers := make([]uint64, n), make([]int, n)
	for i := range numbers {
		ranks[i], numbers[i] = placeOf(order.number(uint32(i))).hash, i
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Or(cmp.Compare(ranks[a], ranks[b]), a-b) })
	return numbers
}
