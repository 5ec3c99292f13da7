// Package wire is the one strict encoder and decoder of veilchart's formats.
//
// Every stored object starts with the same eight bytes: a magic, a kind, a format version and a suite. All numbers are
// big-endian and of fixed width; variable parts carry a 32-bit length. There is one encoding for each value, so
// decode(encode(x)) == x and encode(decode(b)) == b. A decoder is told the largest length that makes sense before it
// allocates, remembers its first error, and refuses trailing bytes in Finish.
//
// The format is docs/spec/wire.md.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Magic opens every object that veilchart writes.
const Magic = "vcht"

// HeaderSize is the length in bytes of the common prefix: magic, kind, version, suite.
const HeaderSize = 8

// ErrFormat is wrapped by every error of a Decoder: the bytes are not a canonical encoding of what was asked for.
var ErrFormat = errors.New("malformed encoding")

// Header is the common prefix of every object.
type Header struct {
	Kind    Kind  // what the object is, from the table in kinds.go
	Version uint8 // version of that kind's format, from 1
	Suite   uint8 // algorithms, numbered by the package that owns the kind; 0 where there is no choice
}

// AppendHeader appends the eight bytes of h to b.
func AppendHeader(b []byte, h Header) []byte {
	b = append(b, Magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Kind))
	return append(b, h.Version, h.Suite)
}

// AppendBytes appends a 32-bit length and then v. It is for inputs of hashes and key derivations, where parts must not run
// into each other.
func AppendBytes(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// AppendString is AppendBytes for a string.
func AppendString(b []byte, v string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// Decoder reads an encoding from front to back. After its first error it returns zero values; Finish reports that error.
// The zero Decoder is at the end of an empty input.
type Decoder struct {
	b     []byte
	off   int
	about Kind // what errors begin with, or 0
	err   error
}

// NewDecoder reads b, which must not change until Finish. What Raw and Bytes return are slices of b.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Offset is the number of bytes read so far.
func (d *Decoder) Offset() int { return d.off }

// Remaining is the number of bytes not read yet.
func (d *Decoder) Remaining() int { return len(d.b) - d.off }

// Err is the first error, or nil.
func (d *Decoder) Err() error { return d.err }

// About makes errors begin with the package and the name of a kind, for callers that add neither.
func (d *Decoder) About(kind Kind) { d.about = kind }

// Failf records an error at the present offset unless there is one already. It is for checks of the caller's own.
func (d *Decoder) Failf(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%s%w at byte %d: %s", d.about.title(), ErrFormat, d.off, fmt.Sprintf(format, args...))
	}
}

// Header reads the common prefix and requires the kind; version and suite are for the caller to judge.
func (d *Decoder) Header(want Kind) Header {
	m := d.Raw(HeaderSize)
	if m == nil {
		return Header{}
	}
	h := Header{Kind: Kind(binary.BigEndian.Uint16(m[4:])), Version: m[6], Suite: m[7]}
	switch {
	case string(m[:4]) != Magic:
		d.off = 0
		d.Failf("no veilchart object: wrong magic")
	case h.Kind != want:
		d.off = 4
		d.Failf("the kind is %v, not %v: give the object that is asked for", h.Kind, want)
	default:
		return h
	}
	return Header{}
}

// Raw reads n bytes as a slice of the input.
func (d *Decoder) Raw(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > d.Remaining() {
		d.Failf("truncated: %d more bytes needed, %d left", n, d.Remaining())
		return nil
	}
	v := d.b[d.off : d.off+n : d.off+n]
	d.off += n
	return v
}

// Uint8 reads one byte.
func (d *Decoder) Uint8() uint8 {
	v := d.Raw(1)
	if v == nil {
		return 0
	}
	return v[0]
}

// Bool reads one byte that must be 0 or 1.
func (d *Decoder) Bool() bool {
	v := d.Uint8()
	if v > 1 {
		d.Failf("a boolean is 0 or 1, not %d", v)
	}
	return v == 1
}

// Uint16 reads two bytes, big-endian.
func (d *Decoder) Uint16() uint16 {
	v := d.Raw(2)
	if v == nil {
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

// Uint32 reads four bytes, big-endian.
func (d *Decoder) Uint32() uint32 {
	v := d.Raw(4)
	if v == nil {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// Uint64 reads eight bytes, big-endian.
func (d *Decoder) Uint64() uint64 {
	v := d.Raw(8)
	if v == nil {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// Len reads a 32-bit count and refuses one above max, or one whose elements of at least size bytes each cannot be in
// what is left. Call it before allocating.
func (d *Decoder) Len(max, size int) int {
	v := d.Uint32()
	if d.err != nil {
		return 0
	}
	if uint64(v) > uint64(max) {
		d.Failf("length %d is over the limit of %d", v, max)
		return 0
	}
	if size > 0 && int(v) > d.Remaining()/size {
		d.Failf("truncated: %d elements announced, room for %d", v, d.Remaining()/size)
		return 0
	}
	return int(v)
}

// Bytes reads a 32-bit length of at most max and that many bytes, as a slice of the input.
func (d *Decoder) Bytes(max int) []byte { return d.Raw(d.Len(max, 1)) }

// String reads a 32-bit length of at most max and that many bytes.
func (d *Decoder) String(max int) string { return string(d.Bytes(max)) }

// Finish returns the first error, or an error if bytes are left.
func (d *Decoder) Finish() error {
	if d.err == nil && d.Remaining() != 0 {
		d.Failf("%d trailing bytes", d.Remaining())
	}
	return d.err
}
