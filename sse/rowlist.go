package sse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/RoaringBitmap/roaring/v2"
)

// A list of rows is encoded in one of two ways, whichever is shorter; docs/spec/sse.md, section Row lists.
const (
	listDelta   = 0 // differences of neighbours less one, as varints
	listRoaring = 1 // the portable Roaring format
)

var errList = errors.New("its list of rows does not decode")

// appendDeltas appends ascending rows as differences: the first row, then each row less its predecessor less one.
func appendDeltas(b []byte, rows []uint32) []byte {
	next := uint32(0)
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(r-next))
		next = r + 1
	}
	return b
}

// readDeltas reads count rows below limit from b, which may be longer, and says how many bytes they took. It refuses varints
// that could be shorter.
func readDeltas(b []byte, count, limit uint32) (rows []uint32, n int, err error) {
	if int(count) > len(b) {
		return nil, 0, errList
	}
	rows = make([]uint32, count)
	next := uint64(0)
	for i := range rows {
		v, m := binary.Uvarint(b[n:])
		if m <= 0 || m > 1 && b[n+m-1] == 0 || v >= uint64(limit) || next+v >= uint64(limit) {
			return nil, 0, errList
		}
		n += m
		rows[i] = uint32(next + v)
		next += v + 1
	}
	return rows, n, nil
}

// encodeList is the shorter of both encodings, with its form in front.
func encodeList(rows []uint32) []byte {
	b := appendDeltas([]byte{listDelta}, rows)
	// Roaring needs at least 2 bits a row when dense, and a header: short lists never win.
	if len(rows) < 64 {
		return b
	}
	m := roaring.BitmapOf(rows...)
	m.RunOptimize()
	if m.GetSerializedSizeInBytes() >= uint64(len(b)-1) {
		return b
	}
	return append([]byte{listRoaring}, bitmapBytes(m)...)
}

// bitmapBytes is the portable serialisation. It goes to memory, so it does not fail.
func bitmapBytes(m *roaring.Bitmap) []byte {
	b, err := m.ToBytes()
	if err != nil {
		panic("sse: roaring could not write to memory: " + err.Error())
	}
	return b
}

// decodeList reads count rows below limit.
func decodeList(b []byte, count, limit uint32) (*roaring.Bitmap, error) {
	if len(b) == 0 {
		return nil, errList
	}
	if b[0] == listRoaring {
		m, err := decodeBitmap(b[1:], limit)
		if err != nil || m.GetCardinality() != uint64(count) {
			return nil, errList
		}
		return m, nil
	}
	rows, n, err := readDeltas(b[1:], count, limit)
	if err != nil || b[0] != listDelta || n != len(b)-1 {
		return nil, errList
	}
	return roaring.BitmapOf(rows...), nil
}

// decodeBitmap reads a Roaring bitmap of rows below limit, and nothing else. Roaring reads from bytes that the key holder wrote, so
// the guard against a panic inside it is for damage by a faulty writer only.
func decodeBitmap(b []byte, limit uint32) (m *roaring.Bitmap, err error) {
	defer func() {
		if recover() != nil {
			m, err = nil, errList
		}
	}()
	m = roaring.New()
	// The copy: a bitmap made by FromBuffer would share memory with a page that is cached.
	n, err := m.FromBuffer(append([]byte(nil), b...))
	if err != nil || n != int64(len(b)) || m.Validate() != nil || !m.IsEmpty() && m.Maximum() >= limit {
		return nil, errList
	}
	return m, nil
}

// canonical is the bitmap in the one form that is written for a set of deleted rows, however it came about.
func canonical(m *roaring.Bitmap) *roaring.Bitmap {
	c := roaring.BitmapOf(m.ToArray()...)
	c.RunOptimize()
	return c
}

// decodeDeleted reads a set of deleted rows, and refuses every form but the canonical.
func decodeDeleted(b []byte, limit uint32) (*roaring.Bitmap, error) {
	m, err := decodeBitmap(b, limit)
	if err != nil || m.IsEmpty() || !bytes.Equal(bitmapBytes(canonical(m)), b) {
		return nil, errList
	}
	return m, nil
}

// padme rounds a length up so that only its leading bits are told: at most 12 % more, and log log many different ones below it.
// Nikitin et al., "Reducing metadata leakage from encrypted files and communication with PURBs", PoPETs 2019, section 4.
func padme(n int) int {
	if n < 2 {
		return n
	}
	e := bits.Len(uint(n)) - 1 // floor(log2 n)
	s := bits.Len(uint(e))     // floor(log2 e) + 1
	mask := 1<<(e-s) - 1
	return (n + mask) &^ mask
}
