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

// coordinatesG1 are the fields of bls12381.G1, which that package does not export: an inversion shared by several points needs them.
type coordinatesG1 struct{ x, y, z ff.Fp }

func fieldsG1(p *pointG1) *coordinatesG1 { return (*coordinatesG1)(unsafe.Pointer(p)) }

// entriesG1 returns points with z = 1. One inversion serves all, by Montgomery's trick: with the products P_i = z_0 ... z_i, 1/z_i is
// P_(i-1) times the inverse of P_i, and the inverse of P_(i-1) is z_i times that of P_i. An identity has z = 0 and is left as it is.
func entriesG1(points []pointG1) []entryG1 {
	out := slices.Clone(points)
	products := make([]ff.Fp, len(out)+1)
	products[0].SetOne()
	for i := range out {
		products[i+1] = products[i]
		if z := &fieldsG1(&out[i]).z; z.IsZero() == 0 {
			products[i+1].Mul(&products[i], z)
		}
	}
	var inverse, zInverse ff.Fp
	inverse.Inv(&products[len(out)])
	for i := len(out) - 1; i >= 0; i-- {
		c := fieldsG1(&out[i])
		if c.z.IsZero() == 1 {
			continue
		}
		zInverse.Mul(&inverse, &products[i])
		inverse.Mul(&inverse, &c.z)
		c.x.Mul(&c.x, &zInverse)
		c.y.Mul(&c.y, &zInverse)
		c.z.SetOne()
	}
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
func appendAffineG1(b []byte, c *coordinatesG1) []byte {
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
