// Package ssetest is the conformance suite of page stores. Every implementation of sse.Store runs it in its own tests:
//
//	func TestStore(t *testing.T) {
//		ssetest.Run(t, func(t *testing.T) sse.Store { ... an empty store ... })
//	}
//
//	func TestStoreProcesses(t *testing.T) {
//		ssetest.RunProcesses(t, func(t *testing.T) string { ... its address ... }, open)
//	}
//
// Run checks what one process sees: atomicity, compare-and-swap, ends of contexts at any moment, sizes, missing things, and random
// sequences against a model. RunProcesses starts several processes on one store, kills some of them, and looks at what is left.
package ssetest

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/veilchart/veilchart/sse"
)

// page is page n of a segment whose content is told apart by seed: every 16 bytes say where they are.
func page(seed uint64, n uint32) []byte {
	b := make([]byte, 0, sse.PageSize)
	for len(b) < sse.PageSize {
		b = binary.BigEndian.AppendUint64(b, seed)
		b = binary.BigEndian.AppendUint32(b, n)
		b = binary.BigEndian.AppendUint32(b, uint32(len(b)))
	}
	return b
}

// run is what a run of pages must hold.
func run(seed uint64, first, count uint32) []byte {
	out := []byte{}
	for n := range count {
		out = append(out, page(seed, first+n)...)
	}
	return out
}

// pages yields count pages, all in the same buffer, which it spoils when the next is asked for.
func pages(seed uint64, count uint32) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		buf := make([]byte, sse.PageSize)
		for n := range count {
			copy(buf, page(seed, n))
			if !yield(buf, nil) {
				return
			}
			for i := range buf {
				buf[i] = 0xee
			}
		}
	}
}

// whole says whether b is all of a segment of count pages of one seed, and of which.
func whole(b []byte, count uint32) (seed uint64, ok bool) {
	if len(b) != int(count)*sse.PageSize || count == 0 {
		return 0, false
	}
	seed = binary.BigEndian.Uint64(b)
	return seed, bytes.Equal(b, run(seed, 0, count))
}

func ids(infos []sse.SegmentInfo) []sse.ID {
	out := make([]sse.ID, len(infos))
	for i, info := range infos {
		out[i] = info.ID
	}
	slices.SortFunc(out, func(a, b sse.ID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
