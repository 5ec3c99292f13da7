//go:build !cgo || purego

package pairing

import (
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
func entriesG1(points []pointG1) []entryG1        { return points }
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

// appendG1s shares one inversion by Montgomery's trick: with the products P_i = z_0 ... z_i, 1/z_i is P_(i-1) times the inverse of P_i,
// and the inverse of P_(i-1) is z_i times that of P_i. An identity has z = 0 and is left out.
func appendG1s(b []byte, points []G1) []byte {
	fields := make([]*coordinatesG1, len(points))
	products := make([]ff.Fp, len(points)+1)
	products[0].SetOne()
	for i := range points {
		fields[i] = (*coordinatesG1)(unsafe.Pointer(&points[i].p))
		products[i+1] = products[i]
		if fields[i].z.IsZero() == 0 {
			products[i+1].Mul(&products[i], &fields[i].z)
		}
	}
	var inverse ff.Fp
	inverse.Inv(&products[len(points)])
	at := len(b)
	b = append(b, make([]byte, len(points)*G1Size)...)
	for i := len(points) - 1; i >= 0; i-- {
		c, out := fields[i], b[at+i*G1Size:][:G1Size]
		if c.z.IsZero() == 1 {
			out[0] = compressedBit | identityBit
			continue
		}
		var x, y, zInverse ff.Fp
		zInverse.Mul(&inverse, &products[i])
		inverse.Mul(&inverse, &c.z)
		x.Mul(&c.x, &zInverse)
		y.Mul(&c.y, &zInverse)
		encoded, err := x.MarshalBinary()
		if err != nil || len(encoded) != G1Size {
			panic("pairing: a coordinate did not encode") // circl returns no error here; an assertion, not data
		}
		copy(out, encoded)
		out[0] |= compressedBit | byte(y.IsNegative())*signBit
	}
	return b
}

const signBit = 0x20
