package pairing

import "errors"

// G1Size is the length in bytes of an encoded G1.
const G1Size = 48

// ErrPoint is returned for bytes that are no canonical encoding of a point of the subgroup other than the identity.
var ErrPoint = errors.New("pairing: not a canonical point of the subgroup, or the identity")

// The two highest bits of an encoding, in the form that both back ends share.
const (
	compressedBit = 0x80
	identityBit   = 0x40
)

// G1 is a point of the first group. The zero value is not a point: start from a function of this package.
type G1 struct{ p pointG1 }

// G1Generator returns g1.
func G1Generator() G1 { return G1{generatorG1()} }

// G1Identity returns the neutral element, the start of a sum.
func G1Identity() G1 { return G1{identityG1()} }

// HashToG1 is the suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380 with the domain separation tag dst. For public
// messages: it is not constant-time.
func HashToG1(msg []byte, dst string) G1 { return G1{hashToG1(msg, dst)} }

// NewG1 decodes the 48 bytes of the compressed form. The identity is refused.
func NewG1(b []byte) (G1, error) {
	if len(b) != G1Size || b[0]&(compressedBit|identityBit) != compressedBit {
		return G1Identity(), ErrPoint
	}
	p, ok := decodeG1(b)
	if !ok {
		return G1Identity(), ErrPoint
	}
	return G1{p}, nil
}

// NewG1s decodes len(b)/48 points, each as NewG1 does, with the subgroup check of each. It runs on the calling goroutine:
// a caller with several cores gives a part of b to each.
func NewG1s(b []byte) ([]G1, error) {
	if len(b)%G1Size != 0 {
		return nil, ErrPoint
	}
	points := make([]G1, len(b)/G1Size)
	for i := range points {
		p, err := NewG1(b[i*G1Size:][:G1Size])
		if err != nil {
			return nil, err
		}
		points[i] = p
	}
	return points, nil
}

// Bytes returns the compressed form.
func (p G1) Bytes() [G1Size]byte { return encodeG1(p.p) }

// AppendG1s appends the compressed forms of points to b. One inversion in the field serves all points, which is what makes it
// faster than Bytes for each.
func AppendG1s(b []byte, points []G1) []byte { return appendG1s(b, points) }

// Add returns p + q.
func (p G1) Add(q G1) G1 { return G1{addG1(p.p, q.p)} }

// SumG1 returns the sum of points, and the identity if there are none. Constant-time in the points; it spares the copies that a
// chain of Add makes.
func SumG1(points []G1) G1 { return G1{sumG1(points)} }

// Neg returns -p.
func (p G1) Neg() G1 { negate(words(&p.p)[yOfG1:][:yWordsOfG1], ^uint64(0)); return p }

// Mul returns k p. Constant-time in k.
func (p G1) Mul(k Scalar) G1 { return G1{mulG1(p.p, k)} }

// Equal says whether p and q are the same point.
func (p G1) Equal(q G1) bool { return equalG1(p.p, q.p) }

// IsIdentity says whether p is the neutral element.
func (p G1) IsIdentity() bool { return equalG1(p.p, identityG1()) }
