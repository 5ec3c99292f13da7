//go:build cgo && !purego

package pairing

import blst "github.com/supranational/blst/bindings/go"

// Backend names the library that does the arithmetic of the groups: circl without cgo or with the build tag purego, otherwise blst.
const Backend = "blst"

// blst keeps points in Jacobian coordinates x/z^2, y/z^3, the identity with z = 0, so that it is the zero value. The entries of a table
// are affine: additions are a third faster and entries a third smaller. In Go's binding a point that is passed by its address
// escapes to the heap; what runs in loops works on slices or in place therefore.
type (
	pointG1 = blst.P1
	entryG1 = blst.P1Affine
)

func generatorG1() pointG1                    { return *blst.P1Generator() }
func identityG1() (p pointG1)                 { return p }
func hashToG1(msg []byte, dst string) pointG1 { return *blst.HashToG1(msg, []byte(dst)) }
func encodeG1(p pointG1) [G1Size]byte         { return [G1Size]byte(p.Compress()) }
func addToG1(sum, q *pointG1)                 { sum.AddAssign(q) }
func addG1(p, q pointG1) pointG1              { p.AddAssign(&q); return p }
func equalG1(p, q pointG1) bool               { return p.Equals(&q) }
func entriesG1(points []pointG1) []entryG1    { return blst.P1s(points).ToAffine() }
func fromAffineG1(e *entryG1) (p pointG1)     { p.FromAffine(e); return p }
func accumulateG1(acc *pointG1, e *entryG1)   { acc.AddAssign(e) }

// decodeG1 needs no check for the identity: its encodings have a bit that the caller refuses.
func decodeG1(b []byte) (p pointG1, ok bool) {
	var affine blst.P1Affine
	if affine.Uncompress(b) == nil || !affine.InG1() {
		return p, false
	}
	p.FromAffine(&affine)
	return p, true
}

func mulG1(p pointG1, k Scalar) pointG1 {
	b := k.littleEndian()
	p.MultAssign(b[:])
	return p
}

func sumG1(points []G1) pointG1 {
	sum := identityG1()
	for i := range points {
		sum.AddAssign(&points[i].p)
	}
	return sum
}

func appendG1s(b []byte, points []G1) []byte {
	if len(points) == 0 {
		return b
	}
	ps := make(blst.P1s, len(points))
	for i := range points {
		ps[i] = points[i].p
	}
	for _, p := range ps.ToAffine() {
		b = append(b, p.Compress()...)
	}
	return b
}
