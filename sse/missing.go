package sse

import (
	"context"
	"errors"
	"fmt"
)

// missing says what it means that a segment was not there. If the latest manifest names one that the store does not have, it is lost, and the
// error says which. Otherwise somebody replaced it: errReplaced, and the caller begins again with the latest manifest.
func (ix *Index) missing(ctx context.Context, cause error) error {
	if !errors.Is(cause, ErrMissing) || errors.Is(cause, ErrDamaged) {
		return cause
	}
	st, err := ix.refresh(ctx)
	if err != nil {
		return err
	}
	for range maxTries {
		id, lost, err := ix.firstLost(ctx, st)
		if err != nil {
			return err
		}
		if !lost {
			break
		}
		// It may have been replaced, and deleted at once, since the manifest was read.
		now, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		if now == st {
			return fmt.Errorf("sse: partition %v: the manifest names %s, and the store has lost it, which is %w: restore it from a backup: %w", ix.partition, ix.where(id), ErrDamaged, cause)
		}
		st = now
	}
	return fmt.Errorf("%w: %v", errReplaced, cause)
}

// firstLost asks the store for every segment that a manifest names, without reading a page.
func (ix *Index) firstLost(ctx context.Context, st *state) (id ID, lost bool, err error) {
	for _, s := range st.manifest.segments {
		for _, id := range []ID{s.id, s.deleted.object} {
			if id == (ID{}) {
				continue
			}
			if _, err := ix.store.Read(ctx, ix.partition, []Run{{Segment: id}}); errors.Is(err, ErrMissing) {
				return id, true, nil
			} else if err != nil {
				return ID{}, false, fmt.Errorf("sse: looking for segment %v: %w", id, err)
			}
		}
	}
	return ID{}, false, nil
}

// where names the file of a segment, if the store has files.
func (ix *Index) where(segment ID) string {
	if p, ok := ix.store.(pather); ok {
		return p.SegmentPath(ix.partition, segment)
	}
	return "segment " + segment.String()
}
