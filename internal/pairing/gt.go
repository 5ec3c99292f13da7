package pairing

import "errors"

// GTSize is the length in bytes of an encoded GT: twelve coordinates of 48 bytes, big-endian, in circl's order, which is the
// canonical one for every back end.
const GTSize = 12 * coordinateSize

// coordinateSize is the length in bytes of a number below p.
const coordinateSize = 48

// ErrTarget is returned for bytes that are no canonical encoding of an element of GT other than 1.
var ErrTarget = errors.New("pairing: not a canonical element of the target group, or 1")

// GT is an element of the target group. The zero value is not an element: start from a function of this package.
type GT struct{ e elementGT }

// GTIdentity returns 1, the start of a product.
func GTIdentity() GT { return GT{identityGT()} }

// NewGT decodes 576 bytes. It checks that the element has order r, and refuses 1. Cost: at most one exponentiation.
func NewGT(b []byte) (GT, error) {
	if len(b) != GTSize {
		return GTIdentity(), ErrTarget
	}
	e, ok := decodeGT(b)
	if x := (GT{e}); ok && !x.IsIdentity() {
		return x, nil
	}
	return GTIdentity(), ErrTarget
}

// Bytes returns the canonical encoding.
func (x GT) Bytes() [GTSize]byte { return encodeGT(x.e) }

// Mul returns x y.
func (x GT) Mul(y GT) GT { return GT{mulGT(x.e, y.e)} }

// Inv returns 1/x: the conjugate, for the norm of an element of GT is 1.
func (x GT) Inv() GT { negate(words(&x.e)[oddOfGT:][:oddWordsOfGT], ^uint64(0)); return x }

// Exp returns x^k. Constant-time in k.
func (x GT) Exp(k Scalar) GT { return GT{expGT(x.e, k)} }

// Equal says whether x and y are the same element.
func (x GT) Equal(y GT) bool { return equalGT(x.e, y.e) }

// IsIdentity says whether x is 1.
func (x GT) IsIdentity() bool { return equalGT(x.e, identityGT()) }

// Pair is one factor of a product of pairings.
type Pair struct {
	P       G1
	Q       G2
	Inverse bool // the factor is e(P, Q)^-1
}

// PairProduct returns the product of its factors: one Miller loop each and one final exponentiation in all. Without factors
// it is 1; a factor with an identity counts as 1.
func PairProduct(factors ...Pair) GT { return GT{pairProduct(factors)} }
