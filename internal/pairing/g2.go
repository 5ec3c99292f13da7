package pairing

// G2Size is the length in bytes of an encoded G2.
const G2Size = 96

// G2 is a point of the second group. The zero value is not a point: start from a function of this package.
type G2 struct{ p pointG2 }

// G2Generator returns g2.
func G2Generator() G2 { return G2{generatorG2()} }

// G2Identity returns the neutral element, the start of a sum.
func G2Identity() G2 { return G2{identityG2()} }

// NewG2 decodes the 96 bytes of the compressed form. The identity is refused.
func NewG2(b []byte) (G2, error) {
	if len(b) != G2Size || b[0]&(compressedBit|identityBit) != compressedBit {
		return G2Identity(), ErrPoint
	}
	p, ok := decodeG2(b)
	if !ok {
		return G2Identity(), ErrPoint
	}
	return G2{p}, nil
}

// Bytes returns the compressed form.
func (p G2) Bytes() [G2Size]byte { return encodeG2(p.p) }

// Add returns p + q.
func (p G2) Add(q G2) G2 { return G2{addG2(p.p, q.p)} }

// Neg returns -p.
func (p G2) Neg() G2 { negate(words(&p.p)[yOfG2:][:yWordsOfG2], ^uint64(0)); return p }

// Mul returns k p. Constant-time in k.
func (p G2) Mul(k Scalar) G2 { return G2{mulG2(p.p, k)} }

// Equal says whether p and q are the same point.
func (p G2) Equal(q G2) bool { return equalG2(p.p, q.p) }

// IsIdentity says whether p is the neutral element.
func (p G2) IsIdentity() bool { return equalG2(p.p, identityG2()) }
