package sse

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A column holds the value of one field for every document of a segment, so that hits can be put in its order without reading their rows.
// docs/spec/sse.md, section Columns.

// The kinds of columns.
const (
	columnNumbers = 1
	columnWords   = 2
)

var errColumn = errors.New("its column does not decode")

// encodeNumbers encodes a column of numbers; at least one document has one.
func encodeNumbers(keys []sortKey, has []bool) []byte {
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	absent := roaring.New()
	for i, k := range keys {
		if has[i] {
			lo, hi = min(lo, k.number), max(hi, k.number)
		} else {
			absent.Add(uint32(i))
		}
	}
	width := bits.Len64(uint64(hi) - uint64(lo)) // right modulo 2^64
	b := binary.BigEndian.AppendUint64([]byte{columnNumbers}, uint64(lo))
	b = append(b, uint8(width))
	var set []byte
	if !absent.IsEmpty() {
		absent.RunOptimize()
		set = bitmapBytes(absent)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
	b = append(b, set...)
	return packBits(b, len(keys), width, func(i int) uint64 {
		if !has[i] {
			return 0
		}
		return uint64(keys[i].number) - uint64(lo)
	})
}

// encodeWords encodes a column of words; at least one document has one.
func encodeWords(keys []sortKey, has []bool) []byte {
	var words []string
	for i, k := range keys {
		if has[i] {
			words = append(words, k.word)
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	b := binary.BigEndian.AppendUint32([]byte{columnWords}, uint32(len(words)))
	last := ""
	for _, w := range words {
		b = appendTerm(b, term(last), term(w))
		last = w
	}
	width := bits.Len(uint(len(words)))
	b = append(b, uint8(width))
	return packBits(b, len(keys), width, func(i int) uint64 {
		if !has[i] {
			return 0
		}
		n, _ := slices.BinarySearch(words, keys[i].word)
		return uint64(n + 1)
	})
}

// packBits appends n numbers of width bits, the lowest bit of each first, from the lowest bit of each byte.
func packBits(b []byte, n, width int, value func(i int) uint64) []byte {
	from := len(b)
	b = append(b, make([]byte, (n*width+7)/8)...)
	packed := b[from:]
	for i := range n {
		v, at := value(i), i*width
		for left := width; left > 0; {
			take := min(8-at%8, left)
			packed[at/8] |= byte(v&(1<<take-1)) << (at % 8)
			v >>= take
			at, left = at+take, left-take
		}
	}
	return b
}

// unpackBits is the i-th of those numbers.
func unpackBits(packed []byte, i, width int) (v uint64) {
	at := i * width
	for got := 0; got < width; {
		take := min(8-at%8, width-got)
		v |= uint64(packed[at/8]>>(at%8)) & (1<<take - 1) << got
		at, got = at+take, got+take
	}
	return v
}

// column is the column of one field of one segment.
type column struct {
	docs   uint32
	width  int
	packed []byte

	base   int64           // of numbers
	absent *roaring.Bitmap // of numbers: documents without a value

	words []string // of words: in their order, none for numbers
}

// decodeColumn reads a column of that many documents. It refuses every encoding but that of encodeNumbers and encodeWords.
func decodeColumn(b []byte, docs uint32) (*column, error) {
	if len(b) < 5 {
		return nil, errColumn
	}
	c := &column{docs: docs}
	var err error
	switch b[0] {
	case columnNumbers:
		err = c.readNumbers(b[1:])
	case columnWords:
		err = c.readWords(b[1:])
	default:
		err = errColumn
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readPacked takes the rest of the bytes, whose number follows from docs and width. The bits behind the last number are zero.
func (c *column) readPacked(b []byte) error {
	n := int(c.docs) * c.width
	if len(b) != (n+7)/8 || n%8 > 0 && b[len(b)-1]>>(n%8) != 0 {
		return errColumn
	}
	c.packed = b
	return nil
}

func (c *column) readNumbers(b []byte) error {
	if len(b) < 8+1+4 {
		return errColumn
	}
	c.base, c.width = int64(binary.BigEndian.Uint64(b)), int(b[8])
	n := binary.BigEndian.Uint32(b[9:])
	b = b[13:]
	if c.width > 64 || uint64(n) > uint64(len(b)) {
		return errColumn
	}
	c.absent = roaring.New()
	if n > 0 {
		var err error
		if c.absent, err = decodeDeleted(b[:n], c.docs); err != nil {
			return errColumn
		}
	}
	if err := c.readPacked(b[n:]); err != nil {
		return err
	}
	// The base is the least value, and the width what the greatest takes.
	least, most := uint64(math.MaxUint64), uint64(0)
	for i := range c.docs {
		v := unpackBits(c.packed, int(i), c.width)
		if c.absent.Contains(i) {
			if v != 0 {
				return errColumn
			}
			continue
		}
		least, most = min(least, v), max(most, v)
	}
	if least != 0 || bits.Len64(most) != c.width || most > uint64(math.MaxInt64)-uint64(c.base) {
		return errColumn
	}
	return nil
}

func (c *column) readWords(b []byte) error {
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if n == 0 || n > c.docs || uint64(n) > uint64(len(b)/3) {
		return errColumn
	}
	c.words = make([]string, n)
	last := term("")
	for i := range c.words {
		t, k := readTerm(b, last, MaxKeyword)
		if k == 0 {
			return errColumn
		}
		b = b[k:]
		c.words[i], last = string(t), t
	}
	if len(b) == 0 {
		return errColumn
	}
	c.width = int(b[0])
	if c.width != bits.Len32(n) {
		return errColumn
	}
	if err := c.readPacked(b[1:]); err != nil {
		return err
	}
	used := make([]bool, n+1)
	for i := range c.docs {
		v := unpackBits(c.packed, int(i), c.width)
		if v > uint64(n) {
			return errColumn
		}
		used[v] = true
	}
	if slices.Contains(used[1:], false) {
		return errColumn
	}
	return nil
}

// key is the value of a document; ok is false if it has none.
func (c *column) key(row uint32) (k sortKey, ok bool) {
	v := unpackBits(c.packed, int(row), c.width)
	if c.words != nil {
		if v == 0 {
			return sortKey{}, false
		}
		return sortKey{word: c.words[v-1]}, true
	}
	if c.absent.Contains(row) {
		return sortKey{}, false
	}
	return sortKey{number: int64(uint64(c.base) + v)}, true
}

// size is about the memory that the column takes.
func (c *column) size() int {
	n := len(c.packed)
	for _, w := range c.words {
		n += 16 + len(w)
	}
	if c.absent != nil {
		n += int(c.absent.GetSizeInBytes())
	}
	return n
}
