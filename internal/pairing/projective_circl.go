//go:build !cgo || purego

package pairing

import "unsafe"

// projective are the fields of bls12381.G1 and G2, which that package does not export.
type projective[F any] struct{ x, y, z F }

// casts returns s as a slice of points of another type with the same layout.
func casts[T, E any](s []E) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// fieldElement is *ff.Fp or *ff.Fp2.
type fieldElement[F any] interface {
	*F
	Sub(x, y *F)
	Mul(x, y *F)
	Sqr(x *F)
	Inv(x *F)
	SetOne()
	IsZero() int
}

// normalize divides points by their z. One inversion serves all, by Montgomery's trick: with the products P_i = z_0 ... z_i, 1/z_i is
// P_(i-1) times the inverse of P_i, and the inverse of P_(i-1) is z_i times that of P_i. An identity has z = 0 and is left as it is.
func normalize[F any, P fieldElement[F]](points []projective[F]) {
	products := make([]F, len(points)+1)
	P(&products[0]).SetOne()
	var t struct{ inverse, zInverse F }
	for i := range points {
		products[i+1] = products[i]
		if z := &points[i].z; P(z).IsZero() == 0 {
			P(&products[i+1]).Mul(&products[i], z)
		}
	}
	P(&t.inverse).Inv(&products[len(points)])
	for i := len(points) - 1; i >= 0; i-- {
		c := &points[i]
		if P(&c.z).IsZero() == 1 {
			continue
		}
		P(&t.zInverse).Mul(&t.inverse, &products[i])
		P(&t.inverse).Mul(&t.inverse, &c.z)
		P(&c.x).Mul(&c.x, &t.zInverse)
		P(&c.y).Mul(&c.y, &t.zInverse)
		P(&c.z).SetOne()
	}
}
