package sse

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// asked is what is looked up in one segment, and what was found.
type asked struct {
	lookups []lookup          // distinct
	lists   []*roaring.Bitmap // of each lookup the rows; nil if it is absent, or an auxiliary list
	aux     [][]byte          // of each lookup the auxiliary list; nil if it is absent, or none
	counts  []uint32          // of each auxiliary list the number of rows that its entry says; 0 if it says nothing
}

// termList puts together what was found of a term: of its rows and, where they are not -1, of its impacts and positions, by number of
// the lookup. It checks that they belong together, and is nil if the segment does not have the term.
func (a *asked) termList(rows, impacts, positions int) (*termList, error) {
	l := &termList{rows: a.lists[rows]}
	if l.rows == nil {
		if impacts >= 0 && a.aux[impacts] != nil || positions >= 0 && a.aux[positions] != nil {
			return nil, errAux
		}
		return nil, nil
	}
	count := uint32(l.rows.GetCardinality())
	for _, n := range []int{impacts, positions} {
		if n >= 0 && a.counts[n] > 0 && a.counts[n] != count {
			return nil, errAux
		}
	}
	if impacts >= 0 {
		if l.impacts = a.aux[impacts]; checkImpacts(l.impacts, count) != nil {
			return nil, errAux
		}
	}
	if positions >= 0 {
		var err error
		if l.positions, err = newPositionList(a.aux[positions], count); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// lists fills in the answer to every lookup: from memory for tails; for full segments in one round of table pages and one of list
// pages. Unless the profile is Fast the second is made for every lookup, also for one that is absent or whose rows stand in its entry, and
// also for one whose answer is in the cache; otherwise a round left out would tell how long a list is.
func (ix *Index) lists(ctx context.Context, m *meter, parts []*part) error {
	var full []*part // with the lookups that the cache does not answer
	var wants []pageWant
	for _, pt := range parts {
		pt.begin()
		if pt.tail != nil {
			pt.inTail()
			continue
		}
		m.Terms += len(pt.lookups)
		rest := &part{content: pt.content}
		for i, l := range pt.lookups {
			a, _ := ix.cache.get(answerKey(pt.id, l)).(*answer)
			if a == nil {
				rest.lookups = append(rest.lookups, l)
				continue
			}
			pt.lists[i], pt.aux[i], pt.counts[i] = a.rows, a.aux, a.count
			if profiles[pt.profile].everyList {
				for n := range a.pages.count {
					wants = append(wants, pageWant{r: pt.reader, page: a.pages.first + n})
				}
			}
		}
		full = append(full, rest)
	}
	found, err := ix.find(ctx, m, full)
	if err != nil {
		return err
	}
	for i, pt := range full {
		wants = found[i].want(wants, pt)
	}
	pages, err := ix.listPages(ctx, m, wants)
	if err != nil {
		return err
	}
	for i, pt := range full {
		if err := ix.decodeLists(pt, found[i], pages); err != nil {
			return err
		}
		for j, l := range pt.lookups {
			a := &answer{pt.lists[j], pt.aux[j], pt.counts[j], found[i].pages(pt, j)}
			ix.cache.put(answerKey(pt.id, l), a, a.size()+len(l.value))
		}
	}
	for _, pt := range parts {
		if pt.tail != nil {
			continue
		}
		j := 0
		for i, l := range pt.lookups {
			if rest := full[0]; j < len(rest.lookups) && rest.lookups[j] == l {
				pt.lists[i], pt.aux[i], pt.counts[i] = rest.lists[j], rest.aux[j], rest.counts[j]
				j++
			}
		}
		full = full[1:]
	}
	return nil
}

// inTail answers the lookups from a tail.
func (pt *part) inTail() {
	for i, l := range pt.lookups {
		t := pt.tail.lists[term(l.value)]
		switch {
		case t == nil:
		case l.domain == domainTerm:
			pt.lists[i] = t.rows
		case l.domain == domainImpacts:
			pt.aux[i] = t.impacts
		case l.domain == domainPositions && t.positions != nil:
			pt.aux[i] = t.positions.bytes
		}
	}
}

// answer is what a segment says to a lookup, as the cache keeps it.
type answer struct {
	rows  *roaring.Bitmap
	aux   []byte
	count uint32 // as in asked.counts
	pages region // of the second read
}

func answerKey(segment ID, l lookup) cacheKey { return cacheKey{segment: segment, lookup: l} }

func (a *answer) size() int {
	n := 64 + len(a.aux)
	if a.rows != nil {
		n += int(a.rows.GetSizeInBytes())
	}
	return n
}

// listPages reads list pages and opens them. With profile Fast they come from the cache where they are.
func (ix *Index) listPages(ctx context.Context, m *meter, wants []pageWant) (map[pageKey][]byte, error) {
	pages := make(map[pageKey][]byte, len(wants))
	cached := func(w pageWant) bool { return !profiles[w.r.profile].everyList }
	cold := wants[:0]
	for _, w := range wants {
		if cached(w) {
			if plain, _ := ix.cache.get(w.cacheKey()).([]byte); plain != nil {
				pages[pageKey{w.r, w.page}] = plain
				continue
			}
		}
		cold = append(cold, w)
	}
	err := ix.fetch(ctx, m, cold, func(w pageWant, plain []byte) error {
		pages[pageKey{w.r, w.page}] = plain
		if cached(w) {
			ix.cache.put(w.cacheKey(), plain, PageSize)
		}
		return nil
	})
	return pages, err
}

type pageKey struct {
	r    *reader
	page uint32
}

// finding is what the table of a segment said.
type finding struct {
	entries []entry // of each lookup; form 0 if it is absent
	places  []place
	keys    []key // of the lists that need one
}

// find looks everything up in the tables: one round for the table pages that are not cached.
func (ix *Index) find(ctx context.Context, m *meter, parts []*part) ([]finding, error) {
	found := make([]finding, len(parts))
	var wants []pageWant
	pages := make(map[pageKey][]byte)
	for i, pt := range parts {
		f := &found[i]
		f.places = make([]place, len(pt.lookups))
		find := newPRF(pt.keys.find)
		for j, l := range pt.lookups {
			f.places[j] = placeOf(find.lookup(l))
			k := pageKey{pt.reader, uint32(f.places[j].hash % uint64(pt.table))}
			if _, ok := pages[k]; ok {
				continue
			}
			w := pageWant{r: pt.reader, kind: kindTable, page: k.page}
			pages[k], _ = ix.cache.get(w.cacheKey()).([]byte)
			if pages[k] == nil {
				wants = append(wants, w)
			}
		}
	}
	err := ix.fetch(ctx, m, wants, func(w pageWant, plain []byte) error {
		if err := checkBucket(plain); err != nil {
			return err
		}
		pages[pageKey{w.r, w.page}] = plain
		ix.cache.put(w.cacheKey(), plain, PageSize)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, pt := range parts {
		f := &found[i]
		f.entries, f.keys = make([]entry, len(pt.lookups)), make([]key, len(pt.lookups))
		pad, list := newPRF(pt.keys.entry), newPRF(pt.keys.list)
		for j, l := range pt.lookups {
			page := uint32(f.places[j].hash % uint64(pt.table))
			body, ok := findInBucket(pages[pageKey{pt.reader, page}], f.places[j].print)
			if !ok {
				continue
			}
			if f.entries[j], err = decodeEntry(pad.lookup(l).xor(body), l.isAux(), pt.rows, pt.shared, pt.own, pt.profile); err != nil {
				return nil, ix.damaged(pt.id, page, err)
			}
			if form := f.entries[j].form; form == entryShared || form == entryOwn {
				f.keys[j] = list.lookup(l)
			}
		}
	}
	return found, nil
}

// pages are the pages that the second round reads for a lookup: those of its list, or, unless the profile is Fast, the shared page that its
// order points to.
func (f *finding) pages(pt *part, j int) region {
	switch e := f.entries[j]; {
	case e.form == entryOwn:
		return region{pt.ownRegion().first + e.page, e.ownPages(pt.profile)}
	case e.form == entryShared:
		return region{pt.sharedRegion().first + e.page, 1}
	case profiles[pt.profile].everyList:
		return region{pt.sharedRegion().first + uint32(f.places[j].order%uint64(pt.shared)), 1}
	}
	return region{}
}

// want adds the pages of the second round.
func (f *finding) want(wants []pageWant, pt *part) []pageWant {
	for j := range f.entries {
		w := pageWant{r: pt.reader, kind: kindShared}
		if f.entries[j].form == entryOwn {
			w.kind, w.list = kindList, &f.keys[j]
		}
		at := f.pages(pt, j)
		for n := range at.count {
			w.page = at.first + n
			wants = append(wants, w)
		}
	}
	return wants
}

// begin makes room for the answers.
func (a *asked) begin() {
	a.lists = make([]*roaring.Bitmap, len(a.lookups))
	a.aux = make([][]byte, len(a.lookups))
	a.counts = make([]uint32, len(a.lookups))
}

// decodeLists turns entries and pages into the answers.
func (ix *Index) decodeLists(pt *part, f finding, pages map[pageKey][]byte) error {
	pt.begin()
	for j, e := range f.entries {
		var list []byte
		var page uint32
		switch e.form {
		case 0:
			continue
		case entryInline:
			if e.rows[len(e.rows)-1] >= pt.docs {
				return ix.damaged(pt.id, 0, errEntry)
			}
			pt.lists[j] = roaring.BitmapOf(e.rows...)
			continue
		case entryAux:
			pt.aux[j] = e.aux
			continue
		case entryShared:
			page = pt.sharedRegion().first + e.page
			list = slices.Clone(pages[pageKey{pt.reader, page}][e.offset:][:e.length])
			maskList(f.keys[j], list)
		case entryOwn:
			page = pt.ownRegion().first + e.page
			for n := range pagesFor(int(e.length)) {
				list = append(list, pages[pageKey{pt.reader, page + n}]...)
			}
			list = list[:e.length]
		}
		if pt.lookups[j].isAux() {
			pt.aux[j], pt.counts[j] = list, e.count
			continue
		}
		b, err := decodeList(list, e.count, pt.docs)
		if err != nil {
			return ix.damaged(pt.id, page, err)
		}
		pt.lists[j] = b
	}
	return nil
}
