package sse

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The sweep and writers meet in the head. A segment that no manifest names may be what a writer left that died, or one whose swap is still on its
// way. Before such a segment is deleted it is given up in a head of its own, the fence: the swap that was on its way loses to the fence, and its
// writer, who has to read the head again, finds its segment among those that are given up and writes another. What a head gives up no later
// head names, so what the fence names can be deleted whenever that happens. docs/decisions/0011-sse-fence.md.

// earlyRetired is how many retired segments are kept for readers at most; the oldest of more go before the grace period is over.
const earlyRetired = 2048

// sweep deletes what was retired, at once or when it is old enough, and what no manifest names, when it is older than the grace period.
func (ix *Index) sweep(ctx context.Context, now bool) error {
	infos, err := ix.store.Segments(ctx, ix.partition)
	if err != nil {
		return fmt.Errorf("sse: listing the segments of partition %v: %w", ix.partition, err)
	}
	before := wallClock().Add(-ix.grace)
	orphans, err := ix.fence(ctx, infos, before)
	if err != nil {
		return err
	}
	there := make(map[ID]bool, len(infos))
	for _, info := range infos {
		there[info.ID] = true
	}
	given := make(map[ID]bool, len(orphans))
	for _, id := range orphans {
		given[id] = true
	}
	for i, retired := 0, ix.current().manifest.retired; i < len(retired); i++ {
		r := retired[i]
		switch old := r.at < before.Unix(); {
		case !there[r.id] && old:
			ix.noteSwept(r.id)
		case !there[r.id]:
		case given[r.id] && !old:
			// Its name stays in the manifest, for a writer that has it in hand, until the fence is as old as the grace period.
			err = ix.discard(ctx, r.id)
		case now || old:
			err = ix.take(ctx, r.id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fence gives up, in a head, the segments that no manifest names and that were written before a time.
func (ix *Index) fence(ctx context.Context, infos []SegmentInfo, before time.Time) (orphans []ID, err error) {
	if err := ix.writing.take(ctx); err != nil {
		return nil, err
	}
	defer ix.writing.give()
	for try := 0; ; try++ {
		// The manifest is read after the list, so that what was committed before it counts as named.
		st, err := ix.refresh(ctx)
		if err != nil {
			return nil, err
		}
		named := make(map[ID]bool)
		for _, s := range st.manifest.segments {
			named[s.id], named[s.deleted.object] = true, true
		}
		for _, r := range st.manifest.retired {
			named[r.id] = true
		}
		orphans = nil
		for _, info := range infos {
			if !named[info.ID] && info.Created.Before(before) && len(orphans) < maxRetired/4 {
				orphans = append(orphans, info.ID)
				named[info.ID] = true // a store that lists it twice must not get it into the head twice
			}
		}
		if len(orphans) == 0 {
			return nil, nil
		}
		c := newChange(nil)
		c.giveUp = orphans
		if err := ix.commit(ctx, st, c); err == nil {
			return orphans, nil
		} else if !errors.Is(err, ErrConflict) || try == maxTries {
			return nil, err
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// take deletes a retired segment, and lets the next manifest forget it.
func (ix *Index) take(ctx context.Context, id ID) error {
	if err := ix.discard(ctx, id); err != nil {
		return err
	}
	ix.noteSwept(id)
	return nil
}

// discard deletes a segment that nobody needs, if it is there.
func (ix *Index) discard(ctx context.Context, id ID) error {
	if err := ix.store.DeleteSegment(ctx, ix.partition, id); err != nil && !errors.Is(err, ErrMissing) {
		return fmt.Errorf("sse: deleting %s, which nothing needs: compact again: %w", ix.where(id), err)
	}
	return nil
}

func (ix *Index) noteSwept(id ID) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.swept[id] = true
}

// expired are the retired segments that no reader should want any more: those that are old enough, and the oldest of very many.
func (ix *Index) expired(m *manifest) (ids []ID) {
	before := wallClock().Add(-ix.grace).Unix()
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for i, r := range m.retired {
		if (r.at < before || len(m.retired)-i > earlyRetired) && !ix.swept[r.id] {
			ids = append(ids, r.id)
		}
	}
	return ids
}
