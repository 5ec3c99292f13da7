package sse

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"
)

// PageSize is the length in bytes of every sealed page, and the unit in which a store reads and writes.
const PageSize = 4096

// HeadsKept is the number of heads of a partition that a store keeps at least: the latest and the HeadsKept-1 before it. A
// writer that does not know how its swap ended looks for its segment in them.
const HeadsKept = 64

// MaxHead is the greatest length in bytes of a head.
const MaxHead = 64 << 20

var (
	// ErrConflict is returned by Store.SwapHead when another writer was first. The loser reads the head again, applies
	// its change to that, and retries.
	ErrConflict = errors.New("another writer changed the partition first")
	// ErrMissing is returned when a store does not hold the segment or the version of a head that was asked for. A reader
	// reloads the manifest: a compaction may have replaced the segment.
	ErrMissing = errors.New("not in the store")
	// ErrExists is returned by Store.WriteSegment for an ID that is taken. Segments are never overwritten: take a new ID.
	ErrExists = errors.New("already in the store")
	// ErrDamaged is returned when what the store holds is truncated, changed or not the store's own. The message names the
	// file or object. Restore it from a backup; nothing was changed.
	ErrDamaged = errors.New("damaged")
)

// ID names a partition or a segment. Segment IDs are drawn at random, so they say nothing about what is inside.
type ID [16]byte

// GenerateID draws a random ID.
func GenerateID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return id
}

// ParseID reads the 32 lower-case hexadecimal digits that String writes.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != 2*len(id) {
		return ID{}, fmt.Errorf("sse: an ID has %d hexadecimal digits, not %d bytes of text", 2*len(id), len(text))
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil || id.String() != text {
		return ID{}, fmt.Errorf("sse: %q is no ID: write %d digits 0 to 9 and a to f, lower case", text, 2*len(id))
	}
	return id, nil
}

// String is the ID in 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Run is a sequence of pages of one segment: Count pages from page First, counted from 0.
type Run struct {
	Segment      ID
	First, Count uint32
}

// SegmentInfo describes a segment that a store holds.
type SegmentInfo struct {
	ID      ID
	Pages   uint32    // number of pages
	Created time.Time // when it was written, by the clock of the writer or of the store; for the sweep of abandoned segments
}

// Store keeps sealed pages and sealed heads. It holds no key and learns what docs/spec/sse.md calls the server's view: the
// number of segments, their pages, and which pages are read when.
//
// A Store is safe for concurrent use by goroutines and, where it is a place that several processes can open, by processes.
// Every implementation passes the suite in package ssetest. Methods return ctx.Err() when ctx ends before the work is done;
// then nothing was changed, except that the outcome of SwapHead is unknown, and that over a network a segment may still appear, whole, or go a
// moment later.
type Store interface {
	// Read returns the pages of each run, Count*PageSize bytes, in the order of runs. It is one round trip however many
	// segments the runs name. The caller owns the result. A run with Count 0 gives an empty element. ErrMissing if a
	// segment is not there; an error too if a run ends after the last page.
	Read(ctx context.Context, partition ID, runs []Run) ([][]byte, error)

	// WriteSegment stores the pages under the ID. It is atomic and durable: when it returns nil the segment is there and
	// survives a crash; otherwise, and while it runs, Read and Segments do not see it. It pulls pages once, does not
	// keep a page after asking for the next, and stops at the first error that pages yields, which it returns wrapped. A
	// page that is not PageSize bytes long, and a segment without pages, are refused. ErrExists if the ID is taken.
	WriteSegment(ctx context.Context, partition, segment ID, pages iter.Seq2[[]byte, error]) error

	// Segments lists the segments of the partition, in no particular order. Half-written ones are not in it. A partition
	// that nobody wrote to has none.
	Segments(ctx context.Context, partition ID) ([]SegmentInfo, error)

	// DeleteSegment removes a segment for good. ErrMissing if it is not there, so that of two sweepers one knows that
	// it was second.
	DeleteSegment(ctx context.Context, partition, segment ID) error

	// Head returns the head of the given version, or the latest one for version 0, and the number of the latest version. A
	// partition without a head gives nil, 0, nil for version 0. ErrMissing, together with the number of the latest, if the
	// version is not there or not kept any more; a store keeps at least the HeadsKept newest.
	Head(ctx context.Context, partition ID, version uint64) (blob []byte, latest uint64, err error)

	// SwapHead stores blob as the head of the given version, atomically and durably, if the latest version is version-1;
	// otherwise it changes nothing and returns ErrConflict. The first version is 1. An error other than ErrConflict leaves the
	// outcome unknown: the head may or may not be there, so read it before trying again. Over a network even one that Head does not
	// find may still arrive, and takes effect if nobody has stored that version by then: keep the segments that it names.
	SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error
}
