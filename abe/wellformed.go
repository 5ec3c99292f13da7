package abe

import (
	"slices"

	"github.com/veilchart/veilchart/internal/pairing"
)

// Public well-formedness of ct1, ct2, ct3: whether there are v with ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)] for the s1 and s' that ct1
// and ct2 stand for. Nobody needs a secret to see it: docs/spec/issuing.md section 3 has the argument.
//
//	e(prod_i ct3[i]^w_i, g2) = e(H_b, ct1) * prod_j e(prod_{rho(i)=j} H(pi(i))^w_i, ct2[j])      for random w with w M = (1, 0, ..., 0)

// ciphertext is the decoded form of ct1, ct2 and ct3. Every point is on the curve, in the subgroup and not the identity.
type ciphertext struct {
	ct1 pairing.G2
	ct2 []pairing.G2 // by j from 0
	ct3 []pairing.G1
}

// decodeCiphertext reads all points of enc, used or not, which has encSize(f) bytes.
func decodeCiphertext(f *formula, enc []byte) (c ciphertext, err error) {
	if c.ct1, err = pairing.NewG2(enc[:pairing.G2Size]); err != nil {
		return c, err
	}
	enc = enc[pairing.G2Size:]
	c.ct2, c.ct3 = make([]pairing.G2, f.tau()), make([]pairing.G1, f.leaves())
	for j := range c.ct2 {
		if c.ct2[j], err = pairing.NewG2(enc[:pairing.G2Size]); err != nil {
			return c, err
		}
		enc = enc[pairing.G2Size:]
	}
	for i := range c.ct3 {
		if c.ct3[i], err = pairing.NewG1(enc[:pairing.G1Size]); err != nil {
			return c, err
		}
		enc = enc[pairing.G1Size:]
	}
	return c, nil
}

// wellFormed says whether c is an encryption under f, for a wrong one with probability 2^-128 at most. Cost: tau + 2 pairings and, for each
// leaf under an or or a "k of" gate, two multiplications in G1, most of them by 128 bits.
func (p *fabeoPublic) wellFormed(f *formula, c ciphertext) bool {
	var left weightedSum                  // prod_i ct3[i]^w_i
	right := make([]weightedSum, f.tau()) // by j: prod_{rho(i)=j} H(pi(i))^w_i
	for i, w := range f.checkWeights() {
		left.add(c.ct3[i], w)
		right[f.uses[i]-1].add(p.hashes.point(f.atoms[i]), w)
	}
	factors := []pairing.Pair{{P: left.point(), Q: pairing.G2Generator()}, {P: p.hb(), Q: c.ct1, Inverse: true}}
	for j := range right {
		factors = append(factors, pairing.Pair{P: right[j].point(), Q: c.ct2[j], Inverse: true})
	}
	return pairing.PairProduct(factors...).IsIdentity()
}

// weightedSum is a sum of points with public weights: those of up to 128 bits together, in variable time.
type weightedSum struct {
	plain   []pairing.G1
	points  []pairing.G1
	weights []pairing.Weight
}

func (s *weightedSum) add(point pairing.G1, weight pairing.Scalar) {
	encoded := weight.Bytes()
	long, short := encoded[:pairing.ScalarSize-len(pairing.Weight{})], encoded[pairing.ScalarSize-len(pairing.Weight{}):]
	switch {
	case weight.Equal(pairing.ScalarFromInt64(1)):
		s.plain = append(s.plain, point)
	case !slices.ContainsFunc(long, func(b byte) bool { return b != 0 }):
		s.points, s.weights = append(s.points, point), append(s.weights, pairing.Weight(short))
	default:
		s.plain = append(s.plain, point.Mul(weight))
	}
}

func (s *weightedSum) point() pairing.G1 {
	return pairing.SumG1(s.plain).Add(pairing.G1LinComb(s.points, s.weights))
}

// checkWeights draws w with w M = (1, 0, ..., 0): an affine function of random numbers of 128 bits that reaches every such w if the numbers are
// taken from all of Z_r. They are not secret: they are drawn when the header is fixed, and used once.
//
// It follows the tree from the root, whose weight is 1. Let c be the weight of a gate and c_x that of its kid x = 1..n. The columns that the gate
// added (formula.share) are in no other row, so that w is in their kernel if and only if
//
//   - or: nothing is asked for, the sum of c_x is c;
//   - and: each column is in two kids, once with 1 and once with -1: all c_x are the same. The sum of the rows is that of the gate, c_x = c;
//   - k of n: sum_x c_x x^j = 0 for j = 1..k-1, sum_x c_x = c. The solutions are c_x = (-1)^(n-x) C(n,x) g(x) for the polynomials g of degree up to n-k
//     with g(0) = (-1)^(n+1) c: an n-th difference of x^j g(x), whose degree is below n, is zero, and the term x = 0 of that sum is the one for c.
func (f *formula) checkWeights() []pairing.Scalar {
	w := make([]pairing.Scalar, f.leaves())
	var walk func(n *node, c pairing.Scalar)
	walk = func(n *node, c pairing.Scalar) {
		switch {
		case n.isLeaf():
			w[n.leaf] = c
		case n.isAnd():
			for _, kid := range n.kids {
				walk(kid, c)
			}
		case n.isOr():
			for i, delta := range pairing.RandomWeights(len(n.kids) - 1) {
				walk(n.kids[i+1], delta.Scalar())
				c = c.Sub(delta.Scalar())
			}
			walk(n.kids[0], c)
		default:
			size := len(n.kids)
			g := []pairing.Scalar{c} // ascending, n-k+1 coefficients
			if size%2 == 0 {
				g[0] = c.Neg()
			}
			for _, delta := range pairing.RandomWeights(size - n.k) {
				g = append(g, delta.Scalar())
			}
			for x, weight := range differences(size, g)[1:] {
				walk(n.kids[x], weight)
			}
		}
	}
	walk(f.root, pairing.ScalarFromInt64(1))
	return w
}

// differences returns (-1)^(n-x) C(n,x) g(x) for x = 0..n and the polynomial g with the given coefficients, the lowest first. The sum of
// these with the values p(x) of a polynomial p is the n-th difference of g p at 0: zero whenever the degree of g p is below n. For g of all degrees up to
// n-t they are all weights with that property for the polynomials p of degree below t.
func differences(n int, g []pairing.Scalar) []pairing.Scalar {
	weights := make([]pairing.Scalar, n+1) // C(n,x), by Pascal's triangle: C(256,128) has 252 bits
	weights[0] = pairing.ScalarFromInt64(1)
	for i := 1; i <= n; i++ {
		for x := i; x > 0; x-- {
			weights[x] = weights[x].Add(weights[x-1])
		}
	}
	for x := range weights {
		at, value := pairing.ScalarFromInt64(int64(x)), pairing.Scalar{}
		for i := len(g) - 1; i >= 0; i-- {
			value = value.Mul(at).Add(g[i])
		}
		if (n-x)%2 == 1 {
			value = value.Neg()
		}
		weights[x] = weights[x].Mul(value)
	}
	return weights
}
