package pairing

import (
	"crypto/subtle"
	"math/bits"
	"unsafe"
)

// Both back ends keep a coordinate as six 64-bit words, least significant first, below p, in the Montgomery domain, and export
// neither a constant-time selection nor, for all their types, a negation. This file has both, on the words themselves. The
// tests check by reflection that the types are plain words, and their layout by comparison with the back end's own results.

// Where in the words of a point or element those lie that change sign: y of a point (the second coordinate in every
// representation), and the odd half of GT, whose negation is the conjugate.
const (
	coordinateWords = 6

	yOfG1, yWordsOfG1     = coordinateWords, coordinateWords
	yOfG2, yWordsOfG2     = 2 * coordinateWords, 2 * coordinateWords
	oddOfGT, oddWordsOfGT = 6 * coordinateWords, 6 * coordinateWords
)

// modulus is p.
var modulus = [coordinateWords]uint64{
	0xb9feffffffffaaab, 0x1eabfffeb153ffff, 0x6730d2a0f6b0f624,
	0x64774b84f38512bf, 0x4b1ba7b6434bacd7, 0x1a0111ea397fe69a,
}

// words returns the words of e itself, not a copy. E is one of the back end's types for points, table entries and elements.
func words[E any](e *E) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(e)), unsafe.Sizeof(*e)/8)
}

// negate replaces each coordinate x in w by p - x, and 0 by 0, where mask is all ones, and leaves w where mask is 0. Constant-time
// in both.
func negate(w []uint64, mask uint64) {
	for ; len(w) > 0; w = w[coordinateWords:] {
		x := (*[coordinateWords]uint64)(w)
		nonzero := x[0] | x[1] | x[2] | x[3] | x[4] | x[5]
		m := mask & -((nonzero | -nonzero) >> 63)
		var borrow, d uint64
		for i := range x {
			d, borrow = bits.Sub64(modulus[i], x[i], borrow)
			x[i] ^= (x[i] ^ d) & m
		}
	}
}

// pick copies entry index of row to out in a time that does not depend on index: all entries are read, and all but one masked away.
func pick[E any](out *E, row *[oddMultiples]E, index byte) {
	var masks [oddMultiples]uint64
	for j := range masks {
		masks[j] = -uint64(subtle.ConstantTimeByteEq(index, byte(j)))
	}
	dst := coordinates(unsafe.Pointer(out), unsafe.Sizeof(*out))
	src := coordinates(unsafe.Pointer(row), unsafe.Sizeof(*row))
	for i := range dst {
		var c [coordinateWords]uint64 // in registers: a coordinate at a time
		for j, mask := range masks {
			x := &src[j*len(dst)+i]
			c[0] |= x[0] & mask
			c[1] |= x[1] & mask
			c[2] |= x[2] & mask
			c[3] |= x[3] & mask
			c[4] |= x[4] & mask
			c[5] |= x[5] & mask
		}
		dst[i] = c
	}
}

func coordinates(p unsafe.Pointer, size uintptr) [][coordinateWords]uint64 {
	return unsafe.Slice((*[coordinateWords]uint64)(p), size/(8*coordinateWords))
}
