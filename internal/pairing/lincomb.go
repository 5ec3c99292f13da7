package pairing

import "crypto/rand"

// Weight is a number of 128 bits, big-endian, that is not secret. A sum with random weights checks many equations at once: what is wrong in
// one of them vanishes in the sum with probability 2^-128 at most, if all points have order r and the weights were drawn after
// the points were fixed, and are used once (M. Bellare, J. Garay and T. Rabin, "Fast batch verification for modular
// exponentiation and digital signatures", Eurocrypt 1998).
type Weight [16]byte

// RandomWeights draws n weights from crypto/rand.
func RandomWeights(n int) []Weight {
	w := make([]Weight, n)
	for i := range w {
		rand.Read(w[i][:])
	}
	return w
}

// Scalar returns w modulo r, which is w.
func (w Weight) Scalar() Scalar { return reduce(w[:]) }

// G1LinComb returns the sum of weights[i] * points[i], and the identity for none. Variable time in both: never for secrets. The
// two slices have one length.
func G1LinComb(points []G1, weights []Weight) G1 {
	if len(points) != len(weights) {
		panic("pairing: as many weights as points")
	}
	if len(points) == 0 {
		return G1Identity()
	}
	return G1{linComb(points, weights)}
}
