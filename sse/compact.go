package sse

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"
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

const (
	mergeRows = 1 << 17 // a merge stops growing here, so that it fits in memory
	tierFan   = 8       // Apply merges a tier that has so many segments
)

// Compact merges segments under fresh keys and drops what was deleted, while others read and write. If it ends early the partition
// is as it was, or partly compacted, which is as good. It takes memory for some 100,000 rows with their terms. It also removes what
// crashed writers left behind, once that is older than the grace period.
func (ix *Index) Compact(ctx context.Context, o CompactOptions) error {
	ix.writing.Lock()
	defer ix.writing.Unlock()
	var newKey *key
	if o.NewKey != nil {
		k, err := checkKey(o.NewKey)
		if err != nil {
			return err
		}
		newKey = &k
	}
	var err error
	switch {
	case newKey != nil:
		err = ix.rotate(ctx, newKey, o)
	case o.Full:
		err = ix.rewrite(ctx, o)
	default:
		err = ix.tiers(ctx, 2, o)
	}
	if err != nil {
		return err
	}
	return ix.sweep(ctx, o.DeleteNow)
}

// bound keeps the number of segments small after a batch. The batch is written; so what goes wrong here is left to Compact,
// which reports it.
func (ix *Index) bound(ctx context.Context) {
	_ = ix.tiers(ctx, tierFan, CompactOptions{})
}

// tier is the size class of a segment: four times the rows, one class up.
func tier(s *segment) int { return (bits.Len32(s.rows/tailRows) + 1) / 2 }

// tiers merges segments of one size class until no class has fan of them.
func (ix *Index) tiers(ctx context.Context, fan int, o CompactOptions) error {
	for range maxTries {
		st, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		group := ripe(st.manifest, fan)
		if group == nil {
			return nil
		}
		err = ix.merge(ctx, group, false, newProgress(o, st.manifest, group))
		if err != nil && !errors.Is(err, errReplaced) && !errors.Is(err, ErrMissing) {
			return err
		}
	}
	return nil
}

// ripe chooses full segments to merge: those of the smallest class that has fan of them, or one of which most is deleted.
func ripe(m *manifest, fan int) []ID {
	classes := make(map[int][]ID)
	rows := make(map[int]uint32)
	for _, s := range m.segments {
		if s.deleted.count > s.rows/2 {
			return []ID{s.id}
		}
		t := tier(s)
		if s.isTail() || rows[t]+s.rows > mergeRows {
			continue
		}
		classes[t], rows[t] = append(classes[t], s.id), rows[t]+s.rows
	}
	for t := range 33 {
		if len(classes[t]) >= fan {
			return classes[t]
		}
	}
	return nil
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
		err := ix.merge(ctx, group, true, p)
		if err == nil {
			continue
		}
		if !errors.Is(err, errReplaced) && !errors.Is(err, ErrMissing) {
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
	started := wallClock()
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	w, err := ix.mergeInto(ctx, st, st.key, group, full, p)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		all, err := ix.contents(ctx, &meter{}, st, wanted{})
		if err != nil {
			return err
		}
		c := newChange(all)
		c.inPlace = true
		c.replace(w)
		if err = ix.commit(ctx, st, c, started); !errors.Is(err, ErrConflict) {
			ix.drop(ctx, err, w)
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
		if st, err = ix.refresh(ctx); err != nil {
			return err
		}
		if !w.valid(st.manifest) {
			ix.drop(ctx, errReplaced, w)
			return errReplaced
		}
	}
}

// drop deletes segments that no manifest names and none will, because of err. If err is nil or leaves that open it does nothing.
func (ix *Index) drop(ctx context.Context, err error, ws ...*written) {
	if err == nil || errors.Is(err, errUnknown) {
		return
	}
	for _, w := range ws {
		if w.segment != nil {
			ix.discard(ctx, w.segment.id)
		}
	}
}

// rotate writes everything anew under another partition key and swaps it in at once. What others write meanwhile is added to it
// before the swap is tried again.
func (ix *Index) rotate(ctx context.Context, newKey *key, o CompactOptions) error {
	started := wallClock()
	var ws []*written
	for try := range maxTries {
		st, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		moved := make(map[ID]bool)
		valid := ws[:0:0]
		for _, w := range ws {
			if w.valid(st.manifest) {
				valid = append(valid, w)
				for id := range w.from {
					moved[id] = true
				}
			} else {
				ix.drop(ctx, errReplaced, w)
			}
		}
		ws = valid
		p := newProgress(o, st.manifest, nil)
		p.done = p.total
		for _, s := range st.manifest.segments {
			if !moved[s.id] {
				p.done -= int(s.rows)
			}
		}
		for {
			group := groupOf(st.manifest, func(s *segment) bool { return !moved[s.id] })
			if group == nil {
				break
			}
			w, err := ix.mergeInto(ctx, st, *newKey, group, true, p)
			if err != nil {
				return err
			}
			ws = append(ws, w)
			for _, id := range group {
				moved[id] = true
			}
		}
		all, err := ix.contents(ctx, &meter{}, st, wanted{})
		if err != nil {
			return err
		}
		c := newChange(all)
		c.inPlace, c.key = true, newKey
		for _, w := range ws {
			c.replace(w)
		}
		if err = ix.commit(ctx, st, c, started); !errors.Is(err, ErrConflict) {
			ix.drop(ctx, err, ws...)
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	ix.drop(ctx, ErrConflict, ws...)
	return fmt.Errorf("sse: partition %v: %w: others write too often for a rotation: try again later", ix.partition, ErrConflict)
}

// sweep deletes what was retired, at once or when it is old enough, and what no manifest names and no writer can still commit.
func (ix *Index) sweep(ctx context.Context, now bool) error {
	infos, err := ix.store.Segments(ctx, ix.partition)
	if err != nil {
		return fmt.Errorf("sse: listing the segments of partition %v: %w", ix.partition, err)
	}
	// The manifest is read after the list, so that what was committed before it counts as named.
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	before := time.Now().Add(-ix.grace)
	named := make(map[ID]bool)
	for _, s := range st.manifest.segments {
		named[s.id], named[s.deleted.object] = true, true
	}
	for _, r := range st.manifest.retired {
		named[r.id] = !now && r.at >= before.Unix()
	}
	retiredNow := make(map[ID]bool)
	for _, r := range st.manifest.retired {
		retiredNow[r.id] = true
	}
	for _, info := range infos {
		if named[info.ID] || !retiredNow[info.ID] && !info.Created.Before(before) {
			continue
		}
		if err := ix.store.DeleteSegment(ctx, ix.partition, info.ID); err != nil && !errors.Is(err, ErrMissing) {
			return fmt.Errorf("sse: deleting the replaced segment %v: compact again: %w", info.ID, err)
		}
	}
	return nil
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
