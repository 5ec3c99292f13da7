package he

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/veilchart/veilchart/internal/wire"
)

const answerVersion = 1

// Answer is the encrypted answer to one plan: for each number the constant coefficient of c0 and all of c1, modulo the first
// prime. It can be read with the key only. It is immutable.
type Answer struct {
	lat     *lattice
	key     KeyID
	plan    [32]byte
	numbers []number
}

// number is a ciphertext of which the constant coefficient is the message.
type number struct {
	c0 uint64
	c1 []uint64 // coefficient form
}

// packedSize is the length in bytes of one number: 1 + N coefficients of 53 bits.
func (l *lattice) packedSize() int { return ((1+l.n())*bits.Len64(l.q[0]) + 7) / 8 }

// Bytes is the canonical encoding (docs/spec/he.md, section 8), about 27 KB a number. It is a copy.
func (a *Answer) Bytes() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindHEAnswer, Version: answerVersion, Suite: uint8(a.lat.profile)})
	b = append(b, a.key[:]...)
	b = append(b, a.plan[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.numbers)))
	for _, n := range a.numbers {
		b = a.lat.appendPacked(b, n)
	}
	return append(b, answerChecksum(b)...)
}

func answerChecksum(b []byte) []byte {
	h := sha256.New()
	h.Write(wire.AppendString(nil, labelAnswer))
	h.Write(b)
	return h.Sum(nil)
}

// NewAnswer reads an answer. The checksum finds damage on the way; it does not authenticate the server. Errors wrap
// ErrFormat.
func NewAnswer(encoding []byte) (*Answer, error) {
	a, err := decodeAnswer(encoding)
	if err != nil {
		return nil, fmt.Errorf("he: answer: %w; ask for it again", err)
	}
	return a, nil
}

func decodeAnswer(encoding []byte) (*Answer, error) {
	d := wire.NewDecoder(encoding)
	h := d.Header(wire.KindHEAnswer)
	checkSuite(d, h, answerVersion)
	if d.Err() != nil {
		return nil, d.Err()
	}
	lat, err := latticeOf(Profile(h.Suite))
	if err != nil {
		return nil, err
	}
	a := &Answer{lat: lat}
	copy(a.key[:], d.Raw(len(a.key)))
	copy(a.plan[:], d.Raw(len(a.plan)))
	count := d.Len(maxBuckets, lat.packedSize())
	if count == 0 {
		d.Failf("an answer has 1 to %d numbers", maxBuckets)
	}
	for range count {
		n := number{c1: make([]uint64, lat.n())}
		lat.decodePacked(d, &n)
		a.numbers = append(a.numbers, n)
	}
	body := encoding[:d.Offset()]
	sum := d.Raw(sha256.Size)
	if d.Err() == nil && !bytes.Equal(sum, answerChecksum(body)) {
		d.Failf("the contents do not match their checksum")
	}
	return a, d.Finish()
}

// appendPacked writes the coefficients as a stream of 53-bit numbers, most significant bit first, padded with zeros.
func (l *lattice) appendPacked(b []byte, n number) []byte {
	width := bits.Len64(l.q[0])
	var acc uint64
	var held int // bits in acc, below 8 between coefficients
	put := func(v uint64) {
		acc, held = acc<<width|v, held+width // at most 7 + 53 bits
		for ; held >= 8; held -= 8 {
			b = append(b, byte(acc>>(held-8)))
		}
		acc &= 1<<held - 1
	}
	put(n.c0)
	for _, v := range n.c1 {
		put(v)
	}
	if held > 0 {
		b = append(b, byte(acc<<(8-held)))
	}
	return b
}

func (l *lattice) decodePacked(d *wire.Decoder, n *number) {
	raw := d.Raw(l.packedSize())
	if raw == nil {
		return
	}
	width := bits.Len64(l.q[0])
	var acc uint64
	var held int
	get := func() uint64 {
		for ; held < width; held += 8 {
			acc, raw = acc<<8|uint64(raw[0]), raw[1:]
		}
		held -= width
		v := acc >> held
		acc &= 1<<held - 1
		if v >= l.q[0] {
			d.Failf("a coefficient is not below the modulus")
		}
		return v
	}
	n.c0 = get()
	for i := range n.c1 {
		n.c1[i] = get()
	}
	if acc != 0 {
		d.Failf("padding bits are not zero")
	}
}
