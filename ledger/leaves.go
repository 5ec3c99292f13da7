package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Leaf returns the leaf of that index, from 0, verified against the signed root. It reads O(log n) tiles.
func (l *Log) Leaf(ctx context.Context, index int64) ([]byte, error) {
	t := l.tree.Load()
	if err := checkIndex(index, t.head); err != nil {
		return nil, err
	}
	leaves, err := newReader(ctx, l.dir, t).bundle(index >> tileHeight)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(leaves[index%tileWidth]), nil
}

func checkIndex(index int64, head *Checkpoint) error {
	if index < 0 || index >= head.Size {
		return fmt.Errorf("there is no leaf %d; the log has leaves 0 to %d", index, head.Size-1)
	}
	return nil
}

// Leaves yields the leaves with from <= index < to, in order, verified against the signed root. It ends after the first
// error. Memory does not grow with the range.
func (l *Log) Leaves(ctx context.Context, from, to int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		t := l.tree.Load()
		if from < 0 || from > to || to > t.head.Size {
			yield(nil, fmt.Errorf("there are no leaves from %d to before %d; the log has %d", from, to, t.head.Size))
			return
		}
		r := newReader(ctx, l.dir, t)
		for i := from; i < to; {
			leaves, err := r.bundle(i >> tileHeight)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, leaf := range leaves[i%tileWidth:] {
				if i == to {
					return
				}
				if !yield(bytes.Clone(leaf), nil) {
					return
				}
				i++
			}
		}
	}
}

// ProveInclusion makes the proof that VerifyInclusion checks: the leaf of that index, from 0, is in the tree of head,
// which is the present checkpoint of this log or an earlier one. It reads O(log n) tiles.
func (l *Log) ProveInclusion(ctx context.Context, index int64, head *Checkpoint) ([]byte, error) {
	t, err := l.covering(head)
	if err != nil {
		return nil, err
	}
	if err := checkIndex(index, head); err != nil {
		return nil, err
	}
	r := newReader(ctx, l.dir, t)
	path, err := tlog.ProveRecord(head.Size, index, r)
	if err != nil {
		return nil, err
	}
	hashes, err := r.tile(0, index>>tileHeight)
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(path, head.Size, head.Root, index, hashes[index%tileWidth]); err != nil {
		return nil, &ConflictError{File: l.path(checkpointFile), Here: t.head, Remembered: head}
	}
	return proof{typeInclusion, index, head.Size, path}.bytes(), nil
}

// ProveConsistency makes the proof that VerifyConsistency checks: the tree of newer begins with all leaves of older. Both
// are checkpoints of this log. If older was signed by the log's key but is not part of it, the log has been rewritten:
// *ConflictError. It reads O(log n) tiles.
func (l *Log) ProveConsistency(ctx context.Context, older, newer *Checkpoint) ([]byte, error) {
	t, err := l.covering(newer)
	if err != nil {
		return nil, err
	}
	if older == nil || older.Size > newer.Size {
		return nil, fmt.Errorf("the older checkpoint, %v, has more leaves than the newer one, %v; exchange them", older, newer)
	}
	var path []tlog.Hash
	if older.Size > 0 {
		if path, err = tlog.ProveTree(newer.Size, older.Size, newReader(ctx, l.dir, t)); err != nil {
			return nil, err
		}
	}
	if err := checkConsistency(path, older, newer); err != nil {
		if err := l.mustContain(ctx, t, newer); err != nil {
			return nil, err
		}
		return nil, &ConflictError{File: l.path(checkpointFile), Here: newer, Remembered: older}
	}
	return proof{typeConsistency, older.Size, newer.Size, path}.bytes(), nil
}

// covering is the present tree, if it is as large as head.
func (l *Log) covering(head *Checkpoint) (*tree, error) {
	if head == nil {
		return nil, errors.New("no checkpoint given; pass l.Checkpoint() or an earlier one")
	}
	t := l.tree.Load()
	if head.Origin != l.pub.Name() {
		return nil, fmt.Errorf("the checkpoint is of %q, this log is %q", head.Origin, l.pub.Name())
	}
	if head.Size > t.head.Size {
		if l.signer == nil {
			return nil, fmt.Errorf("the checkpoint is %v, the log was read as of %v; call Refresh", head, t.head)
		}
		return nil, &ConflictError{File: l.path(checkpointFile), Here: t.head, Remembered: head}
	}
	return t, nil
}

// Verify reads every file of the log and compares it with the signed root: all leaves, all tiles, the checkpoint. It
// reports every damaged file, up to 64, as a *DamageError; errors.As finds the first. progress, if not nil, is called
// now and then with the leaves checked so far and their number. Appends may go on meanwhile; leaves added after the
// start are not looked at.
func (l *Log) Verify(ctx context.Context, progress func(done, total int64)) error {
	if err := l.checkFormat(); err != nil {
		return err
	}
	seen := l.Checkpoint() // before the file is read, which can then only be newer
	t, err := l.readTree(ctx)
	if err != nil {
		return err
	}
	if err := l.mustContain(ctx, t, seen); err != nil {
		return err
	}
	var found findings
	r := newReader(ctx, l.dir, t)
	for done := int64(0); done < t.head.Size; {
		if _, err := r.bundle(done >> tileHeight); err != nil {
			if !found.add(err) {
				return found.join()
			}
		}
		done = min((done>>tileHeight+1)<<tileHeight, t.head.Size)
		if progress != nil {
			progress(done, t.head.Size)
		}
	}
	return found.join()
}

// findings collects damaged files, a bounded number of them.
type findings struct {
	errs []error
	seen map[string]bool
	more int
}

const maxFindings = 64

// add says whether to go on: after damage yes, after anything else no.
func (f *findings) add(err error) bool {
	var damage *DamageError
	if !errors.As(err, &damage) {
		f.errs = append(f.errs, err)
		return false
	}
	if f.seen[damage.File] {
		return true // one damaged tile hides many bundles
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[damage.File] = true
	if len(f.errs) < maxFindings {
		f.errs = append(f.errs, err)
	} else {
		f.more++
	}
	return true
}

func (f *findings) join() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("and %d more damaged files", f.more))...)
	}
	return errors.Join(f.errs...)
}
