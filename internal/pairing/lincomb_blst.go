//go:build cgo && !purego

package pairing

import (
	"slices"

	blst "github.com/supranational/blst/bindings/go"
)

// bucketPoints is the number of points from which the binding's multi-scalar multiplication uses buckets (Pippenger), on goroutines of its own. For fewer it
// makes a full multiplication for each point, and the method of Straus is twice as fast.
const bucketPoints = 32

func linComb(points []G1, weights []Weight) pointG1 {
	if len(points) < bucketPoints {
		return straus(points, weights)
	}
	ps := make(blst.P1s, len(points))
	littleEndian := make([]byte, 0, len(points)*len(Weight{}))
	for i, w := range weights {
		ps[i] = points[i].p
		slices.Reverse(w[:])
		littleEndian = append(littleEndian, w[:]...)
	}
	return *ps.ToAffine().Mult(littleEndian, 8*len(Weight{}))
}
