package abe

import (
	"bytes"
	"slices"

	"github.com/veilchart/veilchart/internal/pairing"
)

// Public well-formedness of ct1, ct2, ct3: whether there are v with ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)] for the s1 and s' that ct1
// and ct2 stand for. Nobody needs a secret to see it: docs/spec/issuing.md section 3 has the argument.
//
//	e(prod_i ct3[i]^w_i, g2) = e(H_b, ct1) * prod_j e(prod_{rho(i)=j} H(pi(i))^w_i, ct2[j])      for random w with w M = (1, 0, ..., 0)

// decodeAll decodes every element of enc, used or not.
func (e *fabeoElements) decodeAll(f *formula, enc []byte) error {
	all := make([]selected, f.leaves())
	for i := range all {
		all[i].row = i
	}
	return e.decode(f, enc, all, true)
}

// wellFormed says whether e, of which everything was decoded, is an encryption under f, for a wrong one with probability 2^-128 at most. Cost: tau + 2
// pairings and, for each leaf under an or or a "k of" gate, two multiplications in G1, most of them by 128 bits.
func (p *fabeoPublic) wellFormed(f *formula, e *fabeoElements) bool {
	weights, rows, hashes := f.checkWeights(), slices.Clone(e.ct3), p.hashes.all(f.atoms)
	short := make([]pairing.Weight, len(weights)) // weights below 2^128, for which sums are fast
	inParallel(allCores(), len(weights), func(i int) {
		w := weights[i].Bytes()
		if long := len(w) - len(short[i]); bytes.Equal(w[:long], make([]byte, long)) {
			copy(short[i][:], w[long:])
			return
		}
		rows[i], hashes[i] = rows[i].Mul(weights[i]), hashes[i].Mul(weights[i])
		short[i] = pairing.Weight{15: 1}
	})
	factors := make([]pairing.Pair, 2+f.tau())
	inParallel(allCores(), 1+f.tau(), func(j int) {
		if j == 0 {
			factors[0] = pairing.Pair{P: weightedSum(rows, short, nil), Q: pairing.G2Generator()} // prod_i ct3[i]^w_i
			return
		}
		factors[j] = pairing.Pair{P: weightedSum(hashes, short, func(i int) bool { return f.uses[i] == j }), Q: e.ct2[j], Inverse: true} // prod_{rho(i)=j} H(pi(i))^w_i
	})
	factors[1+f.tau()] = pairing.Pair{P: p.hb(), Q: e.ct1, Inverse: true}
	return pairing.PairProduct(factors...).IsIdentity()
}

// weightedSum is the sum of the points that are asked for, nil for all, with public weights, of which most are 1 under an and.
func weightedSum(points []pairing.G1, weights []pairing.Weight, want func(int) bool) pairing.G1 {
	var plain, others []pairing.G1
	var w []pairing.Weight
	for i, point := range points {
		switch {
		case want != nil && !want(i):
		case weights[i] == pairing.Weight{15: 1}:
			plain = append(plain, point)
		default:
			others, w = append(others, point), append(w, weights[i])
		}
	}
	return pairing.SumG1(plain).Add(pairing.G1LinComb(others, w))
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
