package pairing

import (
	"errors"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// GTSize is the length in bytes of an encoded GT: twelve coordinates of 48 bytes, big-endian, in circl's order, which is the
// canonical one for every back end.
const GTSize = bls12381.GtSize

// ErrTarget is returned for bytes that are no canonical encoding of an element of GT other than 1.
var ErrTarget = errors.New("pairing: not a canonical element of the target group, or 1")

// GT is an element of the target group. The zero value is not an element: start from a function of this package.
type GT struct{ e bls12381.Gt }

// GTIdentity returns 1, the start of a product.
func GTIdentity() (x GT) { x.e.SetIdentity(); return x }

// NewGT decodes 576 bytes. It checks that the element has order r, and refuses 1. Cost: one exponentiation.
func NewGT(b []byte) (GT, error) {
	var x GT
	if len(b) != GTSize || x.e.UnmarshalBinary(b) != nil || x.IsIdentity() {
		return GTIdentity(), ErrTarget
	}
	// The multiplicative group of the field is cyclic, so x^r = 1 says that x is in its only subgroup of order r. The
	// exponent is a Scalar and cannot be r itself: x^(r-1) * x.
	if !x.Exp(ScalarFromInt64(-1)).Mul(x).IsIdentity() {
		return GTIdentity(), ErrTarget
	}
	return x, nil
}

// Bytes returns the canonical encoding.
func (x GT) Bytes() (out [GTSize]byte) {
	b, err := x.e.MarshalBinary()
	if err != nil || len(b) != GTSize {
		panic("pairing: an element of GT did not encode") // circl returns no error here; an assertion, not data
	}
	copy(out[:], b)
	return out
}

// Mul returns x y.
func (x GT) Mul(y GT) (z GT) { z.e.Mul(&x.e, &y.e); return z }

// Inv returns 1/x.
func (x GT) Inv() (z GT) { z.e.Inv(&x.e); return z }

// Exp returns x^k. Constant-time in k.
func (x GT) Exp(k Scalar) (z GT) { z.e.Exp(&x.e, &k.s); return z }

// Equal says whether x and y are the same element.
func (x GT) Equal(y GT) bool { return x.e.IsEqual(&y.e) }

// IsIdentity says whether x is 1.
func (x GT) IsIdentity() bool { return x.e.IsIdentity() }

// Pair is one factor of a product of pairings.
type Pair struct {
	P       G1
	Q       G2
	Inverse bool // the factor is e(P, Q)^-1
}

// PairProduct returns the product of its factors: one Miller loop each and one final exponentiation in all. Without factors
// it is 1; a factor with an identity counts as 1.
func PairProduct(factors ...Pair) GT {
	ps := make([]*bls12381.G1, len(factors))
	qs := make([]*bls12381.G2, len(factors))
	signs := make([]int, len(factors))
	for i := range factors {
		ps[i], qs[i], signs[i] = &factors[i].P.p, &factors[i].Q.p, 1
		if factors[i].Inverse {
			signs[i] = -1
		}
	}
	return GT{*bls12381.ProdPairFrac(ps, qs, signs)}
}
