package pairing

import "github.com/cloudflare/circl/ecc/bls12381"

// G2Size is the length in bytes of an encoded G2.
const G2Size = bls12381.G2SizeCompressed

// G2 is a point of the second group. The zero value is not a point: start from a function of this package.
type G2 struct{ p bls12381.G2 }

// G2Generator returns g2.
func G2Generator() G2 { return G2{*bls12381.G2Generator()} }

// G2Identity returns the neutral element, the start of a sum.
func G2Identity() (p G2) { p.p.SetIdentity(); return p }

// NewG2 decodes the 96 bytes of the compressed form. The identity is refused.
func NewG2(b []byte) (G2, error) {
	var p G2
	if len(b) != G2Size || b[0]&compressedBit == 0 || p.p.SetBytes(b) != nil || p.p.IsIdentity() {
		return G2Identity(), ErrPoint
	}
	return p, nil
}

// Bytes returns the compressed form.
func (p G2) Bytes() (out [G2Size]byte) { copy(out[:], p.p.BytesCompressed()); return out }

// Add returns p + q.
func (p G2) Add(q G2) (sum G2) { sum.p.Add(&p.p, &q.p); return sum }

// Neg returns -p.
func (p G2) Neg() G2 { p.p.Neg(); return p }

// Mul returns k p. Constant-time in k.
func (p G2) Mul(k Scalar) (out G2) { out.p.ScalarMult(&k.s, &p.p); return out }

// Equal says whether p and q are the same point.
func (p G2) Equal(q G2) bool { return p.p.IsEqual(&q.p) }

// IsIdentity says whether p is the neutral element.
func (p G2) IsIdentity() bool { return p.p.IsIdentity() }
