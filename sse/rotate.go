package sse

import (
	"context"
	"errors"
	"fmt"
)

// maxUnderLock is how many rows a rotation writes while the writers of this program wait.
const maxUnderLock = 1 << 12

// rotate writes everything anew under another partition key and swaps it in at once. What others write meanwhile is added to it
// before the swap is tried again. The last little, and the swap, keep the writers of this program waiting.
func (ix *Index) rotate(ctx context.Context, newKey *key, o CompactOptions) error {
	var ws []*written
	locked := false
	defer func() {
		if locked {
			ix.writing.give()
		}
	}()
	for try := range maxTries {
		st, err := ix.refresh(ctx)
		if err != nil {
			ix.drop(ctx, err, ws...)
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
		left := func(s *segment) bool { return !moved[s.id] }
		rows := 0
		for _, s := range st.manifest.segments {
			if left(s) {
				rows += int(s.rows)
			}
		}
		if !locked && try > 0 && (rows <= maxUnderLock || try > 8) {
			if err := ix.writing.take(ctx); err != nil {
				ix.drop(ctx, err, ws...)
				return err
			}
			locked = true
			continue // what was written before the lock was there is in the next manifest
		}
		p := newProgress(o, st.manifest, nil)
		p.done = p.total - rows
		err = nil
		for err == nil {
			group := groupOf(st.manifest, left)
			if group == nil {
				break
			}
			var w *written
			if w, err = ix.mergeInto(ctx, st, *newKey, group, true, p); err == nil {
				ws = append(ws, w)
				for _, id := range group {
					moved[id] = true
				}
			}
		}
		if err == nil && !locked {
			continue
		}
		if err == nil {
			err = ix.commitRotation(ctx, st, newKey, ws)
		}
		if err == nil {
			return nil
		}
		if err = ix.missing(ctx, err); !errors.Is(err, ErrConflict) && !errors.Is(err, errReplaced) {
			ix.drop(ctx, err, ws...)
			return err
		}
		if err := pause(ctx, try); err != nil {
			ix.drop(ctx, err, ws...)
			return err
		}
	}
	ix.drop(ctx, ErrConflict, ws...)
	return fmt.Errorf("sse: partition %v: %w: others write too often for a rotation: try again later", ix.partition, ErrConflict)
}

func (ix *Index) commitRotation(ctx context.Context, st *state, newKey *key, ws []*written) error {
	all, err := ix.contents(ctx, &meter{}, st, wanted{})
	if err != nil {
		return err
	}
	c := newChange(all)
	c.inPlace, c.key = true, newKey
	for _, w := range ws {
		c.replace(w)
	}
	ix.setComing(newKey)
	defer ix.setComing(nil)
	return ix.commit(ctx, st, c)
}

func (ix *Index) setComing(k *key) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.coming = k
}
