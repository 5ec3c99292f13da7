//go:build cgo && !purego

package pairing

import (
	"slices"

	blst "github.com/supranational/blst/bindings/go"
)

// fewPoints is how many points the binding needs to use buckets; below it makes a full multiplication for each point, which is
// slower. Infinities with the weight zero fill up.
const fewPoints = 32

const single = 4 // points up to which multiplications one by one are faster than buckets

func linComb(points []G1, weights []Weight) pointG1 {
	if len(points) <= single {
		sum := identityG1()
		for i, w := range weights {
			slices.Reverse(w[:])
			product := points[i].p
			product.MultAssign(w[:])
			sum.AddAssign(&product)
		}
		return sum
	}
	affine := affineG1s(points)
	littleEndian := make([]byte, 0, max(len(points), fewPoints)*len(Weight{}))
	for _, w := range weights {
		for i := len(w) - 1; i >= 0; i-- {
			littleEndian = append(littleEndian, w[i])
		}
	}
	for len(affine) < fewPoints {
		affine = append(affine, blst.P1Affine{})
	}
	littleEndian = littleEndian[:cap(littleEndian)]
	return *affine.Mult(littleEndian, 8*len(Weight{}))
}
