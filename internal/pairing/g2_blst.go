//go:build cgo && !purego

package pairing

import blst "github.com/supranational/blst/bindings/go"

type (
	pointG2 = blst.P2
	entryG2 = blst.P2Affine
)

func generatorG2() pointG2                  { return *blst.P2Generator() }
func identityG2() (p pointG2)               { return p }
func encodeG2(p pointG2) [G2Size]byte       { return [G2Size]byte(p.Compress()) }
func addToG2(sum, q *pointG2)               { sum.AddAssign(q) }
func addG2(p, q pointG2) pointG2            { p.AddAssign(&q); return p }
func equalG2(p, q pointG2) bool             { return p.Equals(&q) }
func entriesG2(points []pointG2) []entryG2  { return blst.P2s(points).ToAffine() }
func fromAffineG2(e *entryG2) (p pointG2)   { p.FromAffine(e); return p }
func accumulateG2(acc *pointG2, e *entryG2) { acc.AddAssign(e) }

// decodeG2 needs no check for the identity: its encodings have a bit that the caller refuses.
func decodeG2(b []byte) (p pointG2, ok bool) {
	var affine blst.P2Affine
	if affine.Uncompress(b) == nil || !affine.InG2() {
		return p, false
	}
	p.FromAffine(&affine)
	return p, true
}

func mulG2(p pointG2, k Scalar) pointG2 {
	b := k.littleEndian()
	p.MultAssign(b[:])
	return p
}
