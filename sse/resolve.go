package sse

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// resolution says which changes of a batch win against what a manifest holds, and which rows they replace.
type resolution struct {
	keep    []item
	kill    map[ID]*roaring.Bitmap // rows, by segment
	changed bool                   // a deletion of "whatever is there" means another revision than it did when it was written
}

// resolve looks every ID up in every segment. first is nil the first time; afterwards it is the batch as it was given, and
// items what was written of it.
func (ix *Index) resolve(ctx context.Context, all []*content, items, first []item) (*resolution, error) {
	asked := items
	if first != nil {
		asked = first
	}
	res := &resolution{kill: make(map[ID]*roaring.Bitmap)}
	if slices.ContainsFunc(asked, func(it item) bool { return it.fresh }) {
		var known []item
		for _, it := range asked {
			if it.fresh {
				res.keep = append(res.keep, it)
			} else {
				known = append(known, it)
			}
		}
		if asked = known; len(asked) == 0 {
			return res, nil
		}
	}
	ids := make([]string, len(asked))
	for i, it := range asked {
		ids[i] = it.id
	}
	there, err := ix.locate(ctx, all, ids)
	if err != nil {
		return nil, err
	}
	written := make(map[string]item, len(items))
	for _, it := range items {
		written[it.id] = it
	}
	for i, it := range asked {
		w, was := written[it.id]
		if first != nil && !it.whatever && !was {
			continue // it lost already, and revisions only grow
		}
		it, ok := it.against(there[i])
		if first != nil && it.whatever && (ok != was || ok && it.revision != w.revision) {
			return &resolution{changed: true}, nil
		}
		if !ok {
			continue
		}
		res.keep = append(res.keep, it)
		for _, s := range there[i] {
			b := res.kill[s.c.id]
			if b == nil {
				b = roaring.New()
				res.kill[s.c.id] = b
			}
			b.Add(s.n)
		}
	}
	return res, nil
}

// against says whether the change wins against all rows of its ID, and fills in the revision of a deletion without one.
func (it item) against(there []sighting) (item, bool) {
	if it.whatever {
		found := false
		for _, s := range there {
			if !s.tomb {
				it.revision, found = max(it.revision, s.revision), true
			}
		}
		if !found {
			return it, false
		}
	}
	for _, s := range there {
		if !beats(it.revision, it.tomb, s.row, s.tomb) {
			return it, false
		}
	}
	return it, true
}

// sighting is a row of an ID that is not deleted; it may be a tombstone.
type sighting struct {
	row
	c    *content
	n    uint32 // its number in the segment
	tomb bool
}

// locate finds the rows of each ID: one round of table pages, and those of row pages for IDs that are there. An ID's list always
// stands in its entry, so there is no round of list pages.
func (ix *Index) locate(ctx context.Context, all []*content, ids []string) ([][]sighting, error) {
	out := make([][]sighting, len(ids))
	var parts []*part
	lookups := make([]lookup, len(ids))
	for i, id := range ids {
		lookups[i] = idLookup(id)
	}
	var picks []pick
	var of []int
	for _, c := range all {
		if c.tail == nil {
			parts = append(parts, &part{content: c, asked: asked{lookups: lookups}})
			continue
		}
		for i, id := range ids {
			if n, ok := c.tail.ids[id]; ok && !c.gone(n) {
				picks, of = append(picks, pick{c, n}), append(of, i)
			}
		}
	}
	m := &meter{}
	found, err := ix.find(ctx, m, parts)
	if err != nil {
		return nil, err
	}
	for j, pt := range parts {
		for i, e := range found[j].entries {
			for _, n := range e.rows {
				if !pt.gone(n) {
					picks, of = append(picks, pick{pt.content, n}), append(of, i)
				}
			}
		}
	}
	rows, err := ix.rows(ctx, m, picks)
	if err != nil {
		return nil, err
	}
	for k, r := range rows {
		// A fingerprint may meet another ID once in 2^64.
		if p := picks[k]; r.id == ids[of[k]] {
			out[of[k]] = append(out[of[k]], sighting{r, p.c, p.row, p.row >= p.c.docs})
		}
	}
	return out, nil
}

// Get returns the live document with the ID, or ErrNotFound. It reads a table page of every segment that is not cached, and a
// row page.
func (ix *Index) Get(ctx context.Context, id string) (Hit, error) {
	if err := checkID(id); err != nil {
		return Hit{}, err
	}
	var best *sighting
	err := ix.consistently(ctx, func(st *state) error {
		best = nil
		all, err := ix.contents(ctx, &meter{}, st, wanted{})
		if err != nil {
			return err
		}
		there, err := ix.locate(ctx, all, []string{id})
		if err != nil {
			return err
		}
		for i, s := range there[0] {
			if best == nil || beats(s.revision, s.tomb, best.row, best.tomb) {
				best = &there[0][i]
			}
		}
		return nil
	})
	if err != nil {
		return Hit{}, err
	}
	if best == nil || best.tomb {
		return Hit{}, ErrNotFound
	}
	return best.hit(ix.current().manifest.schema)
}
