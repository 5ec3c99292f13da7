package he

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"math/bits"

	"github.com/veilchart/veilchart/internal/wire"
)

const (
	seedSize = 32

	// errorBound is eta: an error is the difference of the weights of eta and eta uniform bits, hence |e| <= eta always and
	// its variance is eta/2 = 10.5, a standard deviation of 3.24. docs/decisions/0001 says why not lattigo's Gaussian.
	errorBound = 21
)

// sampleError draws n errors from the centred binomial distribution. The bits come from the operating system, never from
// the public seed of a ciphertext. Time does not depend on the values.
func sampleError(n int) []int64 {
	buf := make([]byte, 8*n)
	defer clear(buf)
	rand.Read(buf) // never fails: crypto/rand ends the program instead
	const mask = 1<<errorBound - 1
	e := make([]int64, n)
	for i := range e {
		w := binary.LittleEndian.Uint64(buf[8*i:])
		e[i] = int64(bits.OnesCount64(w&mask)) - int64(bits.OnesCount64(w>>errorBound&mask))
	}
	return e
}

// expandSecret derives the ternary secret s from the key's own secret seed: bytes below 243 give one coefficient
// (byte mod 3) - 1, others are skipped (spec, section 3).
func expandSecret(p Profile, seed []byte, n int) []int64 {
	x := sha3.NewSHAKE256()
	x.Write(wire.AppendBytes(append(wire.AppendString(nil, labelSecret), byte(p)), seed))
	s := make([]int64, 0, n)
	var buf [136]byte
	defer clear(buf[:])
	for {
		x.Read(buf[:])
		for _, b := range buf {
			if b >= 243 {
				continue
			}
			if s = append(s, int64(b%3)-1); len(s) == n {
				return s
			}
		}
	}
}

// place names one polynomial among all that are ever encrypted under one key.
type place struct {
	profile Profile
	key     KeyID
	column  string
	part    uint16
	block   uint32
	version uint32
}

// append is the common part of the derivations that bind a ciphertext to its place.
func (p place) append(b []byte) []byte {
	b = append(b, byte(p.profile))
	b = append(b, p.key[:]...)
	b = wire.AppendString(b, p.column)
	b = binary.BigEndian.AppendUint16(b, p.part)
	b = binary.BigEndian.AppendUint32(b, p.block)
	return binary.BigEndian.AppendUint32(b, p.version)
}

// expandUniform is c1 in coefficient form: for each prime the SHAKE128 stream of seed and place, 7 bytes big-endian for a
// candidate of 53 bits, candidates of q or more rejected (spec, section 4).
func (l *lattice) expandUniform(seed *[seedSize]byte, at place) poly {
	p := l.newPoly()
	var buf [7 * 24 * 16]byte // whole rates of SHAKE128
	for j, q := range l.q {
		x := sha3.NewSHAKE128()
		x.Write(append(append(at.append(wire.AppendString(nil, labelUniform)), byte(j)), seed[:]...))
		width := bits.Len64(q)
		for i, at := 0, len(buf); i < l.n(); at += 7 {
			if at == len(buf) {
				x.Read(buf[:])
				at = 0
			}
			b := buf[at : at+7]
			v := uint64(b[0])<<48 | uint64(b[1])<<40 | uint64(b[2])<<32 | uint64(b[3])<<24 | uint64(b[4])<<16 | uint64(b[5])<<8 | uint64(b[6])
			if v &= 1<<width - 1; v < q {
				p[j][i] = v
				i++
			}
		}
	}
	return p
}
