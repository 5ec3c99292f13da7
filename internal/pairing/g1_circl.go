//go:build !cgo || purego

package pairing

import (
	"slices"
	"unsafe"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

// Backend names the library that does the arithmetic of the groups: circl without cgo or with the build tag purego, otherwise blst.
const Backend = "circl"

// circl keeps points in homogeneous coordinates x/z, y/z, and its addition formulas are complete: one form for points and table
// entries.
type (
	pointG1 = bls12381.G1
	entryG1 = bls12381.G1
)

func generatorG1() pointG1                        { return *bls12381.G1Generator() }
func identityG1() (p pointG1)                     { p.SetIdentity(); return p }
func hashToG1(msg []byte, dst string) (p pointG1) { p.Hash(msg, []byte(dst)); return p }
func decodeG1(b []byte) (p pointG1, ok bool)      { return p, p.SetBytes(b) == nil && !p.IsIdentity() }
func encodeG1(p pointG1) (out [G1Size]byte)       { return [G1Size]byte(p.BytesCompressed()) }
func addToG1(sum, q *pointG1)                     { sum.Add(sum, q) }
func addG1(p, q pointG1) (sum pointG1)            { sum.Add(&p, &q); return sum }
func mulG1(p pointG1, k Scalar) (out pointG1)     { out.ScalarMult(&k.s, &p); return out }
func equalG1(p, q pointG1) bool                   { return p.IsEqual(&q) }
func accumulateG1(acc *pointG1, e *entryG1)       { acc.Add(acc, e) }

func sumG1(points []G1) pointG1 {
	sum := identityG1()
	for i := range points {
		sum.Add(&sum, &points[i].p)
	}
	return sum
}

// fieldsG1 returns the coordinates of p itself, not a copy: an inversion shared by several points needs them.
func fieldsG1(p *pointG1) *projective[ff.Fp] { return (*projective[ff.Fp])(unsafe.Pointer(p)) }

// entriesG1 returns points with z = 1.
func entriesG1(points []pointG1) []entryG1 {
	out := slices.Clone(points)
	normalize[ff.Fp](casts[projective[ff.Fp]](out))
	return out
}

// fromAffineG1 takes what has the z of an entry.
func fromAffineG1(e *entryG1) pointG1 { return *e }

func appendG1s(b []byte, points []G1) []byte {
	ps := make([]pointG1, len(points))
	for i := range points {
		ps[i] = points[i].p
	}
	for _, p := range entriesG1(ps) {
		b = appendAffineG1(b, fieldsG1(&p))
	}
	return b
}

// appendAffineG1 spares the inversion that BytesCompressed makes even for z = 1.
func appendAffineG1(b []byte, c *projective[ff.Fp]) []byte {
	if c.z.IsZero() == 1 {
		return append(b, append([]byte{compressedBit | identityBit}, make([]byte, G1Size-1)...)...)
	}
	x, err := c.x.MarshalBinary()
	if err != nil || len(x) != G1Size {
		panic("pairing: a coordinate did not encode") // circl returns no error here; an assertion, not data
	}
	x[0] |= compressedBit | byte(c.y.IsNegative())*signBit
	return append(b, x...)
}

const signBit = 0x20
