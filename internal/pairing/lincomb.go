package pairing

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// Weight is a number of 128 bits, big-endian, that is not secret. A sum with random weights checks many equations at once: what is wrong in
// one of them vanishes in the sum with probability 2^-128 at most, if all points have order r and the weights were drawn after
// the points were fixed, and are used once (M. Bellare, J. Garay and T. Rabin, "Fast batch verification for modular
// exponentiation and digital signatures", Eurocrypt 1998).
type Weight [16]byte

// RandomWeights draws n weights from crypto/rand.
func RandomWeights(n int) []Weight {
	w := make([]Weight, n)
	for i := range w {
		rand.Read(w[i][:])
	}
	return w
}

// Scalar returns w modulo r, which is w.
func (w Weight) Scalar() Scalar { return reduce(w[:]) }

// G1LinComb returns the sum of weights[i] * points[i], and the identity for none. The two slices have one length. Variable time in the weights, which must
// not be secret. Points may be, such as those of a key: what is done depends on them only where one is the identity or two are equal or opposite.
func G1LinComb(points []G1, weights []Weight) G1 {
	if len(points) != len(weights) {
		panic("pairing: as many weights as points")
	}
	if len(points) == 0 {
		return G1Identity()
	}
	return G1{linComb(points, weights)}
}

// The method of Straus with digits in the non-adjacent form of width 4: one chain of doublings serves all points, and each point adds one of
// four odd multiples about every fifth bit.
const (
	nafWidth     = 4
	nafMultiples = 1 << (nafWidth - 2)
	nafDigits    = 129 // a weight has 128 bits, its form one more
)

func straus(points []G1, weights []Weight) pointG1 {
	multiples := make([]pointG1, 0, nafMultiples*len(points)+1) // p, 3p, 5p, 7p of each, and room for 2p
	twice := &multiples[:cap(multiples)][nafMultiples*len(points)]
	forms := make([][nafDigits]int8, len(points))
	for i := range points {
		*twice = points[i].p
		addToG1(twice, &points[i].p)
		multiples = append(multiples, points[i].p)
		for range nafMultiples - 1 {
			multiples = append(multiples, multiples[len(multiples)-1])
			addToG1(&multiples[len(multiples)-1], twice)
		}
		forms[i] = weights[i].naf()
	}
	odd := entriesG1(multiples)
	sum, e := identityG1(), new(entryG1)
	for at := nafDigits - 1; at >= 0; at-- {
		addToG1(&sum, &sum)
		for i := range forms {
			switch d := forms[i][at]; {
			case d > 0:
				accumulateG1(&sum, &odd[i*nafMultiples+int(d/2)])
			case d < 0:
				*e = odd[i*nafMultiples+int(-d/2)]
				negate(words(e)[yOfG1:][:yWordsOfG1], ^uint64(0))
				accumulateG1(&sum, e)
			}
		}
	}
	return sum
}

// naf returns digits d_i that are zero or odd and below 8 in size, the least significant first, with w = sum d_i 2^i. Among four
// neighbours one at most is not zero.
func (w Weight) naf() (out [nafDigits]int8) {
	high, low := binary.BigEndian.Uint64(w[:8]), binary.BigEndian.Uint64(w[8:])
	var top uint64 // the bit 2^128
	for i := range out {
		if low&1 == 1 {
			d := int8(low & (1<<nafWidth - 1))
			if d >= 1<<(nafWidth-1) {
				d -= 1 << nafWidth
			}
			out[i] = d
			var carry uint64
			if d > 0 {
				low -= uint64(d)
			} else {
				low, carry = bits.Add64(low, uint64(-int64(d)), 0)
				high, top = bits.Add64(high, 0, carry)
			}
		}
		low, high, top = low>>1|high<<63, high>>1|top<<63, 0
	}
	return out
}
