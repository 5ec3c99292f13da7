//go:build !cgo || purego

package pairing

import (
	"slices"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
)

type (
	pointG2 = bls12381.G2
	entryG2 = bls12381.G2
)

func generatorG2() pointG2                    { return *bls12381.G2Generator() }
func identityG2() (p pointG2)                 { p.SetIdentity(); return p }
func decodeG2(b []byte) (p pointG2, ok bool)  { return p, p.SetBytes(b) == nil && !p.IsIdentity() }
func encodeG2(p pointG2) (out [G2Size]byte)   { return [G2Size]byte(p.BytesCompressed()) }
func addToG2(sum, q *pointG2)                 { sum.Add(sum, q) }
func addG2(p, q pointG2) (sum pointG2)        { sum.Add(&p, &q); return sum }
func mulG2(p pointG2, k Scalar) (out pointG2) { out.ScalarMult(&k.s, &p); return out }
func equalG2(p, q pointG2) bool               { return p.IsEqual(&q) }
func accumulateG2(acc *pointG2, e *entryG2)   { acc.Add(acc, e) }

// entriesG2 returns points with z = 1.
func entriesG2(points []pointG2) []entryG2 {
	out := slices.Clone(points)
	normalize[ff.Fp2](casts[projective[ff.Fp2]](out))
	return out
}

// fromAffineG2 takes what has the z of an entry.
func fromAffineG2(e *entryG2) pointG2 { return *e }
