package pairing

import (
	"errors"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// G1Size is the length in bytes of an encoded G1.
const G1Size = bls12381.G1SizeCompressed

// ErrPoint is returned for bytes that are no canonical encoding of a point of the subgroup other than the identity.
var ErrPoint = errors.New("pairing: not a canonical point of the subgroup, or the identity")

const compressedBit = 0x80

// G1 is a point of the first group. The zero value is not a point: start from a function of this package.
type G1 struct{ p bls12381.G1 }

// G1Generator returns g1.
func G1Generator() G1 { return G1{*bls12381.G1Generator()} }

// G1Identity returns the neutral element, the start of a sum.
func G1Identity() (p G1) { p.p.SetIdentity(); return p }

// HashToG1 is the suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380 with the domain separation tag dst. For public
// messages: it is not constant-time.
func HashToG1(msg []byte, dst string) (p G1) { p.p.Hash(msg, []byte(dst)); return p }

// NewG1 decodes the 48 bytes of the compressed form. The identity is refused.
func NewG1(b []byte) (G1, error) {
	var p G1
	if len(b) != G1Size || b[0]&compressedBit == 0 || p.p.SetBytes(b) != nil || p.p.IsIdentity() {
		return G1Identity(), ErrPoint
	}
	return p, nil
}

// Bytes returns the compressed form.
func (p G1) Bytes() (out [G1Size]byte) { copy(out[:], p.p.BytesCompressed()); return out }

// Add returns p + q.
func (p G1) Add(q G1) (sum G1) { sum.p.Add(&p.p, &q.p); return sum }

// Neg returns -p.
func (p G1) Neg() G1 { p.p.Neg(); return p }

// Mul returns k p. Constant-time in k.
func (p G1) Mul(k Scalar) (out G1) { out.p.ScalarMult(&k.s, &p.p); return out }

// Equal says whether p and q are the same point.
func (p G1) Equal(q G1) bool { return p.p.IsEqual(&q.p) }

// IsIdentity says whether p is the neutral element.
func (p G1) IsIdentity() bool { return p.p.IsIdentity() }
