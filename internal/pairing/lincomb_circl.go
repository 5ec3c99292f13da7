//go:build !cgo || purego

package pairing

import (
	"encoding/binary"
	"math/bits"
)

// The method of Straus with digits of width 5 in the non-adjacent form: one chain of doublings serves all points, and each point adds one of
// eight odd multiples about every sixth bit.
const (
	nafWidth     = 5
	nafMultiples = 1 << (nafWidth - 2)
	nafDigits    = 129 // a weight has 128 bits, its form one more
	nafPoints    = 256 // in one chain: bounds the multiples in memory to 288 KiB
)

func linComb(points []G1, weights []Weight) pointG1 {
	sum := identityG1()
	for len(points) > 0 {
		n := min(len(points), nafPoints)
		part := straus(points[:n], weights[:n])
		sum.Add(&sum, &part)
		points, weights = points[n:], weights[n:]
	}
	return sum
}

func straus(points []G1, weights []Weight) pointG1 {
	odd := make([][nafMultiples]pointG1, len(points)) // p, 3p, ..., 15p
	forms := make([][nafDigits]int8, len(points))
	for i := range points {
		odd[i][0] = points[i].p
		twice := addG1(points[i].p, points[i].p)
		for j := 1; j < nafMultiples; j++ {
			odd[i][j].Add(&odd[i][j-1], &twice)
		}
		forms[i] = weights[i].naf()
	}
	sum := identityG1()
	for at := nafDigits - 1; at >= 0; at-- {
		sum.Double()
		for i := range forms {
			switch d := forms[i][at]; {
			case d > 0:
				sum.Add(&sum, &odd[i][d/2])
			case d < 0:
				minus := odd[i][-d/2]
				minus.Neg()
				sum.Add(&sum, &minus)
			}
		}
	}
	return sum
}

// naf returns digits d_i that are zero or odd and below 16 in size, the least significant first, with w = sum d_i 2^i.
func (w Weight) naf() (out [nafDigits]int8) {
	high, low := binary.BigEndian.Uint64(w[:8]), binary.BigEndian.Uint64(w[8:])
	var carry uint64 // the bit 2^128
	for i := range out {
		if low&1 == 1 {
			d := int8(low & (1<<nafWidth - 1))
			if d >= 1<<(nafWidth-1) {
				d -= 1 << nafWidth
			}
			out[i] = d
			var borrow uint64
			if d > 0 {
				low -= uint64(d)
			} else {
				low, borrow = bits.Add64(low, uint64(-int64(d)), 0)
				high, borrow = bits.Add64(high, 0, borrow)
				carry += borrow
			}
		}
		low, high, carry = low>>1|high<<63, high>>1|carry<<63, 0
	}
	return out
}
