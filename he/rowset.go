package he

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	"github.com/veilchart/veilchart/internal/wire"
)

// blockRows is N of the profile in use; row sets are kept by block.
const blockRows = 1 << 12

// maxMasks bounds the transformed masks that a row set keeps: 256 masks of 64 KiB cover a million rows.
const maxMasks = 256

// bitmap marks rows of one block.
type bitmap [blockRows / 64]uint64

func (b *bitmap) each(f func(i int)) {
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			f(64*w + bits.TrailingZeros64(word))
		}
	}
}

// count is the number of marked rows below limit.
func (b *bitmap) count(limit int) int {
	n := 0
	for w, word := range b {
		switch {
		case 64*w >= limit:
			return n
		case 64*(w+1) > limit:
			word &= 1<<(limit-64*w) - 1
		}
		n += bits.OnesCount64(word)
	}
	return n
}

// RowSet is a set of positions, the filter of a query. The computing server sees it. For differential privacy to hold it
// must be a predicate of each patient's own rows: no ranking, limit or sample. It is immutable and safe for concurrent use.
// It keeps the transformed masks of up to 256 blocks (16 MiB), so ask several queries with one set rather than with equal
// sets.
type RowSet struct {
	blocks map[uint32]*bitmap
	len    int
	salt   [32]byte

	mu    sync.Mutex
	masks map[uint32]poly
}

// NewRowSet makes a set; duplicates count once, no rows make the empty set.
func NewRowSet(rows ...uint32) *RowSet {
	r := &RowSet{blocks: map[uint32]*bitmap{}, masks: map[uint32]poly{}}
	for _, row := range rows {
		b := r.blocks[row/blockRows]
		if b == nil {
			b = new(bitmap)
			r.blocks[row/blockRows] = b
		}
		word, bit := row%blockRows/64, uint64(1)<<(row%64)
		if b[word]&bit == 0 {
			b[word] |= bit
			r.len++
		}
	}
	rand.Read(r.salt[:])
	return r
}

// Len is the number of rows.
func (r *RowSet) Len() int { return r.len }

// Contains reports whether the set has the row.
func (r *RowSet) Contains(row uint32) bool {
	b := r.blocks[row/blockRows]
	return b != nil && b[row%blockRows/64]>>(row%64)&1 == 1
}

// Commitment is a hash of the set under its own random salt: it can be logged without telling the rows. Two equal sets have
// different commitments.
func (r *RowSet) Commitment() [32]byte {
	b := append(wire.AppendString(nil, labelRows), r.salt[:]...)
	indices := make([]uint32, 0, len(r.blocks))
	for i := range r.blocks {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	h := sha256.New()
	h.Write(b)
	for _, i := range indices {
		h.Write(binary.BigEndian.AppendUint32(nil, i))
		for _, w := range r.blocks[i] {
			h.Write(binary.BigEndian.AppendUint64(nil, w))
		}
	}
	return [32]byte(h.Sum(nil))
}

// Salt opens the commitment to an auditor who is given the rows.
func (r *RowSet) Salt() [32]byte { return r.salt }

// mask is the transformed mask of one block, which the set has rows in. Two callers may both compute it; they get the same.
func (r *RowSet) mask(l *lattice, index uint32) poly {
	r.mu.Lock()
	m := r.masks[index]
	r.mu.Unlock()
	if m != nil {
		return m
	}
	m = l.mask(r.blocks[index])
	r.mu.Lock()
	if len(r.masks) < maxMasks {
		r.masks[index] = m
	}
	r.mu.Unlock()
	return m
}
