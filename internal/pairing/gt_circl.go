//go:build !cgo || purego

package pairing

import "github.com/cloudflare/circl/ecc/bls12381"

type elementGT = bls12381.Gt

func identityGT() (e elementGT)                 { e.SetIdentity(); return e }
func mulGT(x, y elementGT) (z elementGT)        { z.Mul(&x, &y); return z }
func expGT(x elementGT, k Scalar) (z elementGT) { z.Exp(&x, &k.s); return z }
func equalGT(x, y elementGT) bool               { return x.IsEqual(&y) }
func accumulateGT(acc *elementGT, e *elementGT) { acc.Mul(acc, e) }

// decodeGT checks that the element has order r. The multiplicative group of the field is cyclic, so x^r = 1 says that x is in
// its only subgroup of order r. The exponent is a Scalar and cannot be r itself: x^(r-1) * x.
func decodeGT(b []byte) (x elementGT, ok bool) {
	if x.UnmarshalBinary(b) != nil {
		return x, false
	}
	power := mulGT(expGT(x, ScalarFromInt64(-1)), x)
	return x, power.IsIdentity()
}

func encodeGT(x elementGT) [GTSize]byte {
	b, err := x.MarshalBinary()
	if err != nil {
		panic("pairing: an element of GT did not encode") // circl returns no error here; an assertion, not data
	}
	return [GTSize]byte(b)
}

func pairProduct(factors []Pair) elementGT {
	ps := make([]*bls12381.G1, len(factors))
	qs := make([]*bls12381.G2, len(factors))
	signs := make([]int, len(factors))
	for i := range factors {
		ps[i], qs[i], signs[i] = &factors[i].P.p, &factors[i].Q.p, 1
		if factors[i].Inverse {
			signs[i] = -1
		}
	}
	return *bls12381.ProdPairFrac(ps, qs, signs)
}
