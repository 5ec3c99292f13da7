package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// CompactOptions say what a compaction does.
type CompactOptions struct {
	// Full rewrites every segment under fresh keys, also those that nothing was deleted from, and forgets which documents were
	// deleted: only then is a deleted row gone from every segment, and an old revision of it that arrives later is taken.
	// Otherwise segments are merged by size tiers.
	Full bool
	// NewKey replaces the partition key; it implies Full. Store it before the call: from some moment of the call on, the old key
	// opens the partition no more. After a crash one of the two opens it.
	NewKey []byte
	// DeleteNow deletes replaced segments at once, those of earlier compactions included, not after the grace period. Other
	// readers notice and begin their query again. Use it to erase. What a crashed writer left behind, and never took effect,
	// goes with the first compaction after the grace period.
	DeleteNow bool
	// Progress is called now and then with the rows that were rewritten, and those that there are to rewrite.
	Progress func(done, total int)
}

// mergeRows is where a merge of several segments stops growing, so that it fits in memory.
const mergeRows = 1 << 17

// A segment is merged with all smaller ones when those have so many of its own rows together: all of them in the background, so that a row is
// rewritten as often as the rows double; a quarter for Compact.
const (
	background = 1.0
	thorough   = 0.25
)

// Compact merges segments under fresh keys and drops what was deleted, while others read and write. If it ends early the partition
// is as it was, or partly compacted, which is as good. It takes memory for some 100,000 rows with their terms, or for the largest segment if that is more.
// It also removes what crashed writers left behind, once that is older than the grace period.
func (ix *Index) Compact(ctx context.Context, o CompactOptions) error {
	var newKey *key
	if o.NewKey != nil {
		k, err := checkKey(o.NewKey)
		if err != nil {
			return err
		}
		newKey = &k
	}
	if err := ix.merging.take(ctx); err != nil {
		return err
	}
	defer ix.merging.give()
	var err error
	switch {
	case newKey != nil:
		err = ix.rotate(ctx, newKey, o)
	case o.Full:
		err = ix.rewrite(ctx, o)
	default:
		err = ix.tiers(ctx, thorough, o)
	}
	if err != nil {
		return err
	}
	return ix.sweep(ctx, o.DeleteNow)
}

// tiers merges segments until none is ripe.
func (ix *Index) tiers(ctx context.Context, share float64, o CompactOptions) error {
	for try := 0; ; {
		st, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		group := ripe(st.manifest, share)
		if group == nil {
			return nil
		}
		err = ix.missing(ctx, ix.merge(ctx, group, false, newProgress(o, st.manifest, group)))
		if errors.Is(err, errReplaced) && try < maxTries {
			try++
			if err := pause(ctx, try); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
}

// ripe chooses full segments to merge: one of which most is deleted; or the largest with all that are smaller, if those have that share of its rows
// together and the merge is not too large. Afterwards each of n segments has more rows than share times all smaller ones together, so that with share 1
// there are at most log2 of the rows, and those that are half as large as a merge can be. It returns nil if there is nothing to do.
func ripe(m *manifest, share float64) []ID {
	var list []*segment
	for _, s := range m.segments {
		if s.isTail() {
			continue
		}
		if s.deleted.count > s.rows/2 {
			return []ID{s.id}
		}
		if s.rows <= mergeRows/2 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *segment) int { return cmp.Compare(a.rows, b.rows) })
	best, sum := 0, uint32(0)
	for i, s := range list {
		if sum+s.rows > mergeRows {
			break
		}
		if i > 0 && float64(sum) >= share*float64(s.rows) {
			best = i
		}
		sum += s.rows
	}
	if best == 0 {
		return nil
	}
	// In the order of the manifest, in which rows were written.
	in := make(map[ID]bool)
	for _, s := range list[:best+1] {
		in[s.id] = true
	}
	var group []ID
	for _, s := range m.segments {
		if in[s.id] {
			group = append(group, s.id)
		}
	}
	return group
}

// maxRescans bounds how often a full compaction begins again because of rows that were deleted since it began: with others that delete all the
// time it would not end.
const maxRescans = 16

// rewrite writes every segment anew, a group at a time, until nothing is left that was there at the beginning, and no deleted row is left.
func (ix *Index) rewrite(ctx context.Context, o CompactOptions) error {
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	old := make(map[ID]bool)
	for _, s := range st.manifest.segments {
		old[s.id] = true
	}
	p := newProgress(o, st.manifest, nil)
	rescans := 0
	for range maxTries + len(old) {
		if st, err = ix.refresh(ctx); err != nil {
			return err
		}
		group := groupOf(st.manifest, func(s *segment) bool { return old[s.id] })
		if group == nil {
			// Another compaction may have merged, without this one noticing, rows that were deleted while it did: they are still there, marked.
			for _, s := range st.manifest.segments {
				if s.deleted.count > 0 && rescans < maxRescans {
					old[s.id] = true
				}
			}
			if group = groupOf(st.manifest, func(s *segment) bool { return old[s.id] }); group == nil {
				return nil
			}
			rescans++
		}
		err := ix.missing(ctx, ix.merge(ctx, group, true, p))
		if err == nil {
			continue
		}
		if !errors.Is(err, errReplaced) {
			return err
		}
		// Another compaction took segments away; what it made of them may still hold rows that were deleted meanwhile.
		if st, err = ix.refresh(ctx); err != nil {
			return err
		}
		for _, s := range st.manifest.segments {
			if s.deleted.count > 0 {
				old[s.id] = true
			}
		}
	}
	return fmt.Errorf("sse: partition %v: %w: others compact it at the same time: try again later", ix.partition, errReplaced)
}

// groupOf chooses segments from the front, as many as fit into one merge, and at least one; nil if there are none.
func groupOf(m *manifest, wanted func(*segment) bool) (group []ID) {
	rows := uint32(0)
	for _, s := range m.segments {
		if !wanted(s) {
			continue
		}
		if rows += s.rows; group != nil && rows > mergeRows {
			break
		}
		group = append(group, s.id)
	}
	return group
}

// merge replaces a group of segments by one.
func (ix *Index) merge(ctx context.Context, group []ID, full bool, p *progress) error {
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	w, err := ix.mergeInto(ctx, st, st.key, group, full, p)
	if err != nil {
		return err
	}
	if err := ix.writing.take(ctx); err != nil {
		ix.drop(ctx, err, w)
		return err
	}
	defer ix.writing.give()
	for try := 0; ; try++ {
		if st, err = ix.refresh(ctx); err != nil {
			return err
		}
		if !w.valid(st.manifest) {
			ix.drop(ctx, errReplaced, w)
			return errReplaced
		}
		all, err := ix.contents(ctx, &meter{}, st, wanted{})
		if err != nil {
			return err
		}
		c := newChange(all)
		c.inPlace = true
		c.replace(w)
		if err = ix.commit(ctx, st, c); !errors.Is(err, ErrConflict) {
			ix.drop(ctx, err, w)
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// drop deletes segments that no manifest names and none will, because of err. If err is nil or leaves that open it does nothing. What cannot be
// deleted now is swept later.
func (ix *Index) drop(ctx context.Context, err error, ws ...*written) {
	if err == nil || errors.Is(err, errUnknown) {
		return
	}
	for _, w := range ws {
		if w.segment != nil {
			_ = ix.discard(context.WithoutCancel(ctx), w.segment.id)
		}
	}
}

// progress counts rows for CompactOptions.Progress.
type progress struct {
	report      func(done, total int)
	done, total int
}

// newProgress counts the rows of the group, or of all segments if it is nil.
func newProgress(o CompactOptions, m *manifest, group []ID) *progress {
	p := &progress{report: o.Progress}
	for _, s := range m.segments {
		if group == nil || slices.Contains(group, s.id) {
			p.total += int(s.rows)
		}
	}
	return p
}

func (p *progress) add(rows uint32) {
	p.done = min(p.done+int(rows), p.total)
	if p.report != nil {
		p.report(p.done, p.total)
	}
}
