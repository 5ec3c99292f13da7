//go:build cgo && !purego

package pairing

import (
	"bytes"
	"unsafe"

	blst "github.com/supranational/blst/bindings/go"
)

type elementGT = blst.Fp12

func identityGT() elementGT                     { return blst.Fp12One() }
func mulGT(x, y elementGT) elementGT            { x.MulAssign(&y); return x }
func equalGT(x, y elementGT) bool               { return x.Equals(&y) }
func accumulateGT(acc *elementGT, e *elementGT) { acc.MulAssign(e) }

// expGT is not in blst's binding: fixed windows with the odd digits of the tables, 5 squarings and a multiplication for each.
func expGT(x elementGT, k Scalar) elementGT {
	row := new([oddMultiples]elementGT)
	row[0] = x
	square := mulGT(x, x)
	for i := 1; i < len(row); i++ {
		row[i] = row[i-1]
		row[i].MulAssign(&square)
	}
	acc, e := identityGT(), new(elementGT)
	flip := words(e)[oddOfGT:][:oddWordsOfGT]
	d := recode(k)
	for i := digits - 1; i >= 0; i-- {
		for range digitBits {
			acc.MulAssign(&acc)
		}
		pick(e, row, d[i].index)
		negate(flip, d[i].mask())
		acc.MulAssign(e)
	}
	return acc
}

// The twelve coordinates of an Fp12 lie in memory from the lowest power of the generators of the tower to the highest: x[j][i][k] is
// the coefficient of w^j v^i u^k, at 6j + 2i + k. The canonical encoding has the highest first, ToBendian has i, j, k from
// the lowest.
const coordinatesOfGT = 12

// decodeGT checks the order by Frobenius: in the cyclotomic subgroup, x^p = x^z for the curve parameter z says that x^r = 1, because
// gcd(p - z, p^4 - p^2 + 1) = r.
func decodeGT(b []byte) (x elementGT, ok bool) {
	limit := modulusBytes()
	fields := (*[coordinatesOfGT]blst.Fp)(unsafe.Pointer(&x))
	for i := range fields {
		coordinate := b[(coordinatesOfGT-1-i)*coordinateSize:][:coordinateSize]
		if bytes.Compare(coordinate, limit[:]) >= 0 || fields[i].FromBEndian(coordinate) == nil {
			return x, false
		}
	}
	return x, x.InGroup()
}

func encodeGT(x elementGT) (out [GTSize]byte) {
	theirs := x.ToBendian()
	for j := range 2 {
		for i := range 3 {
			for k := range 2 {
				at := coordinatesOfGT - 1 - (6*j + 2*i + k)
				copy(out[at*coordinateSize:], theirs[(4*i+2*j+k)*coordinateSize:][:coordinateSize])
			}
		}
	}
	return out
}

// pairProduct leaves out factors with an identity, for which blst's Miller loop is not made.
func pairProduct(factors []Pair) elementGT {
	ps := make([]blst.P1Affine, 0, len(factors))
	qs := make([]blst.P2Affine, 0, len(factors))
	for _, f := range factors {
		if f.P.IsIdentity() || f.Q.IsIdentity() {
			continue
		}
		if f.Inverse {
			f.P = f.P.Neg()
		}
		ps, qs = append(ps, *f.P.p.ToAffine()), append(qs, *f.Q.p.ToAffine())
	}
	if len(ps) == 0 {
		return identityGT()
	}
	e := blst.Fp12MillerLoopN(qs, ps)
	e.FinalExp()
	return *e
}

func modulusBytes() (out [coordinateSize]byte) {
	for i, w := range modulus {
		for j := range 8 {
			out[coordinateSize-1-8*i-j] = byte(w >> (8 * j))
		}
	}
	return out
}
