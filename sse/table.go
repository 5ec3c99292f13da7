package sse

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"sort"
)

// The term table: one page per bucket, in it a count and then entries sorted by fingerprint, of one size. docs/spec/sse.md,
// section Term table.
const (
	entryHead  = 8  // fingerprint
	entryBody  = 32 // what the entry says, under the pad of its term
	entrySize  = entryHead + entryBody
	bucketHead = 2
	bucketMax  = (pageRoom - bucketHead) / entrySize // 101 entries

	bucketFill = 82 // entries per bucket that the first try aims at
)

// The forms of an entry.
const (
	entryInline = 1 // the rows themselves
	entryShared = 2 // a list in a shared page
	entryOwn    = 3 // a list in pages of its own
	entryAux    = 4 // an auxiliary list itself
)

const inlineRoom = entryBody - 2

// Limits of lists in bytes. A list of rows has at most 4 bytes for each row of the largest segment.
const (
	maxList = 4 * maxRows
	maxAux  = 256 << 20
)

var (
	errBucket = errors.New("its bucket does not decode")
	errEntry  = errors.New("its entry does not decode")
)

// entry says where the list of a term is.
type entry struct {
	form  uint8
	count uint32 // rows

	rows []uint32 // inline
	aux  []byte   // aux; count is not known then

	page   uint32 // shared and own: page number within the region
	offset uint16 // shared
	length uint32 // shared and own: bytes of the list
}

// encode is the body before the pad is added. The rest of it is zero.
func (e entry) encode() (b [entryBody]byte) {
	b[0] = e.form
	switch e.form {
	case entryInline:
		b[1] = uint8(e.count)
		copy(b[2:], appendDeltas(nil, e.rows))
	case entryAux:
		b[1] = uint8(len(e.aux))
		copy(b[2:], e.aux)
	case entryShared:
		binary.BigEndian.PutUint32(b[1:], e.count)
		binary.BigEndian.PutUint32(b[5:], e.page)
		binary.BigEndian.PutUint16(b[9:], e.offset)
		binary.BigEndian.PutUint16(b[11:], uint16(e.length))
	case entryOwn:
		binary.BigEndian.PutUint32(b[1:], e.count)
		binary.BigEndian.PutUint32(b[5:], e.page)
		binary.BigEndian.PutUint32(b[9:], e.length)
	}
	return b
}

// ownPages is how many pages a long list takes.
func (e entry) ownPages(p Profile) uint32 { return p.listPages(int(e.length)) }

// decodeEntry reads a body of a segment with that many rows and pages of lists. aux says that an auxiliary list was looked up.
func decodeEntry(b [entryBody]byte, aux bool, rows, shared, own uint32, p Profile) (entry, error) {
	e := entry{form: b[0]}
	most := uint32(maxList)
	if aux {
		most = maxAux
	}
	switch e.form {
	case entryAux:
		if !aux || b[1] == 0 || b[1] > inlineRoom {
			return entry{}, errEntry
		}
		e.aux = bytes.Clone(b[2 : 2+b[1]])
		if e.encode() != b {
			return entry{}, errEntry
		}
		return e, nil
	case entryInline:
		if aux {
			return entry{}, errEntry
		}
		e.count = uint32(b[1])
		var err error
		if e.rows, _, err = readDeltas(b[2:], e.count, rows); err != nil {
			return entry{}, errEntry
		}
	case entryShared:
		e.count, e.page = binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:])
		e.offset, e.length = binary.BigEndian.Uint16(b[9:]), uint32(binary.BigEndian.Uint16(b[11:]))
		if e.page >= shared || int(e.offset)+int(e.length) > pageRoom {
			return entry{}, errEntry
		}
	case entryOwn:
		e.count, e.page, e.length = binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:]), binary.BigEndian.Uint32(b[9:])
		if e.length < pageRoom || e.length > most || uint64(e.page)+uint64(e.ownPages(p)) > uint64(own) {
			return entry{}, errEntry
		}
	}
	if e.count == 0 || e.count > rows || e.encode() != b { // the last refuses unknown forms and every bit that has no meaning
		return entry{}, errEntry
	}
	return e, nil
}

// xor adds the pad of a term to a body, or takes it away.
func (k key) xor(b [entryBody]byte) (out [entryBody]byte) {
	for i := range out {
		out[i] = b[i] ^ k[i]
	}
	return out
}

// tableSlot is an entry on its way into a bucket.
type tableSlot struct {
	place place
	body  [entryBody]byte
}

// buckets finds a number of buckets for which none overflows. The number depends on the number of terms and on the keyed hash only.
func buckets(slots []tableSlot) uint32 {
	n := uint32(len(slots)/bucketFill + 1)
	var load []uint8
	for ; ; n += n/16 + 1 {
		load = append(load[:0], make([]uint8, n)...)
		full := false
		for i := range slots {
			b := slots[i].place.hash % uint64(n)
			if load[b]++; load[b] > bucketMax {
				full = true
				break
			}
		}
		if !full {
			return n
		}
	}
}

// byBucket gives the slots in the order of buckets and, within them, fingerprints, as numbers of slots: those of bucket i are order[first[i]:first[i+1]].
// It is nil if two share both; then the segment needs another ID.
func byBucket(slots []tableSlot, n uint32) (order, first []uint32) {
	first = make([]uint32, n+1)
	for i := range slots {
		first[slots[i].place.hash%uint64(n)+1]++
	}
	for i := range n {
		first[i+1] += first[i]
	}
	next := slices.Clone(first)
	order = make([]uint32, len(slots))
	for i := range slots {
		b := slots[i].place.hash % uint64(n)
		order[next[b]] = uint32(i)
		next[b]++
	}
	for i := range n {
		bucket := order[first[i]:first[i+1]]
		slices.SortFunc(bucket, func(a, b uint32) int { return cmp.Compare(slots[a].place.print, slots[b].place.print) })
		for k := 1; k < len(bucket); k++ {
			if slots[bucket[k-1]].place.print == slots[bucket[k]].place.print {
				return nil, nil
			}
		}
	}
	return order, first
}

// fillBucket writes those of the slots into a page.
func fillBucket(plain []byte, slots []tableSlot, which []uint32) {
	clear(plain)
	binary.BigEndian.PutUint16(plain, uint16(len(which)))
	for i, n := range which {
		b := plain[bucketHead+i*entrySize:]
		binary.BigEndian.PutUint64(b, slots[n].place.print)
		copy(b[entryHead:], slots[n].body[:])
	}
}

// checkBucket refuses a page that fillBucket could not have written.
func checkBucket(plain []byte) error {
	n := int(binary.BigEndian.Uint16(plain))
	if n > bucketMax || !allZero(plain[bucketHead+n*entrySize:]) {
		return errBucket
	}
	for i := 1; i < n; i++ {
		a, b := plain[bucketHead+(i-1)*entrySize:], plain[bucketHead+i*entrySize:]
		if bytes.Compare(a[:entryHead], b[:entryHead]) >= 0 {
			return errBucket
		}
	}
	return nil
}

// findInBucket returns the padded body of the entry with the fingerprint. That there is none is as authentic as the page is.
func findInBucket(plain []byte, print uint64) (body [entryBody]byte, ok bool) {
	n := int(binary.BigEndian.Uint16(plain))
	at := func(i int) []byte { return plain[bucketHead+i*entrySize:] }
	i := sort.Search(n, func(i int) bool { return binary.BigEndian.Uint64(at(i)) >= print })
	if i == n || binary.BigEndian.Uint64(at(i)) != print {
		return body, false
	}
	copy(body[:], at(i)[entryHead:])
	return body, true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
