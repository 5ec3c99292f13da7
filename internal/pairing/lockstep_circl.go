//go:build !cgo || purego

package pairing

import "github.com/cloudflare/circl/ecc/bls12381/ff"

// lockstepFrom is the number of products from which going together is faster.
const lockstepFrom = 64

var (
	stepsInG1 = steps[entryG1]{pickEach[entryG1](yOfG1), addEach[entryG1, ff.Fp]}
	stepsInG2 = steps[entryG2]{pickEach[entryG2](yOfG2), addEach[entryG2, ff.Fp2]}
)

func pickEach[E any](yWords int) func(out, row []E, at int, recoded [][digits]digit) {
	return func(out, row []E, at int, recoded [][digits]digit) {
		for i := range out {
			rows[E](row).entry(&out[i], words(&out[i])[yWords:][:yWords], 0, recoded[i][at])
		}
	}
}

// addEach leaves z, which is 1. It keeps differences in the x of scratch and their products in y.
func addEach[E, F any, P fieldElement[F]](points, others, room []E) bool {
	sums, entries, scratch := casts[projective[F]](points), casts[projective[F]](others), casts[projective[F]](room)
	for i := range sums {
		s := &scratch[i]
		P(&s.x).Sub(&entries[i].x, &sums[i].x)
		if i == 0 {
			s.y = s.x
		} else {
			P(&s.y).Mul(&scratch[i-1].y, &s.x) // the product of the differences so far
		}
	}
	var t struct{ inverse, slope, x, y F } // inverse of the product
	last := &scratch[len(scratch)-1].y
	if P(last).IsZero() == 1 {
		return false
	}
	P(&t.inverse).Inv(last)
	for i := len(sums) - 1; i >= 0; i-- {
		sum, entry := &sums[i], &entries[i]
		P(&t.slope).Sub(&entry.y, &sum.y)
		P(&t.slope).Mul(&t.slope, &t.inverse)
		if i > 0 {
			P(&t.slope).Mul(&t.slope, &scratch[i-1].y) // (y2-y1)/(x2-x1)
			P(&t.inverse).Mul(&t.inverse, &scratch[i].x)
		}
		P(&t.x).Sqr(&t.slope)
		P(&t.x).Sub(&t.x, &sum.x)
		P(&t.x).Sub(&t.x, &entry.x) // x3 = slope^2 - x1 - x2
		P(&t.y).Sub(&sum.x, &t.x)
		P(&t.y).Mul(&t.y, &t.slope)
		P(&t.y).Sub(&t.y, &sum.y) // y3 = slope (x1 - x3) - y1
		sum.x, sum.y = t.x, t.y
	}
	return true
}
