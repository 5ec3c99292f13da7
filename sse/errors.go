package sse

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound is returned by Get for an ID that has no live row.
	ErrNotFound = errors.New("not in the index")
	// ErrDecrypt is returned when the manifest of a partition does not open: the key is another one (perhaps the partition
	// key was rotated), or the head in the store was changed. Try the newer key; then restore the head from a backup.
	ErrDecrypt = errors.New("does not open under this key")
	// ErrRollback is returned when the store shows an older or another state of the partition than the one that is
	// remembered, by this Index or in Options.Anchor. Do not write to it: find out who put it back.
	ErrRollback = errors.New("the store went back behind a state that was already seen")
	// ErrTooBroad is returned for a query that would read more pages, or expand to more terms, than its limit. Narrow
	// the query, or raise the limit in SearchOptions. The limit of pages depends on sizes that the server sees anyway, that of
	// terms on how many words of a vocabulary match.
	ErrTooBroad = errors.New("query is too broad")
	// ErrBatch is wrapped by the errors of Apply for a batch that contradicts itself or holds a document out of bounds.
	// Nothing was written.
	ErrBatch = errors.New("batch is refused")

	// errStale ends an attempt whose segments may already have been swept; the caller of commit starts over.
	errStale = errors.New("it took longer than half of the grace period, so a sweep may have taken it: give Options a longer Grace, or try again")
	// errNotDurable marks what was written and could not be synced: it is there, and may be gone after a crash.
	errNotDurable = errors.New("written but may not survive a crash")
	// errUnknown marks a swap that may have taken effect: nothing that it names may be deleted.
	errUnknown = errors.New("it is not known whether it took effect: apply the batch again, repetition does no harm")
	// errReplaced ends an attempt whose inputs were merged away by somebody else.
	errReplaced = errors.New("others replaced its segments meanwhile: try again")
)

// pather is what a store may offer so that an error about a page or a head names a file.
type pather interface {
	SegmentPath(partition, segment ID) string
	HeadPath(partition ID, version uint64) string
}

// damaged is the error for a page that does not authenticate or does not decode.
func (ix *Index) damaged(segment ID, page uint32, cause error) error {
	return fmt.Errorf("sse: page %d of %s: %w (%v): restore it from a backup, or index its documents again", page, ix.where(segment), ErrDamaged, cause)
}
