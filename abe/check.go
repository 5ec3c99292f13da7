package abe

import "github.com/veilchart/veilchart/internal/pairing"

// rowCheck checks all of ct3 in one equation instead of making every row anew. With weights delta_i of 128 bits that were drawn after the header was
// fixed, and that serve once,
//
//	sum_i delta_i ct3[i] = H_b^(sum_i delta_i (M_i (s1,v))) * prod_j ( prod_{rho(i)=j} H(pi(i))^delta_i )^s'[j]
//
// holds for what the sealer makes, and for anything else with probability 2^-128 at most, because every ct3[i] is a point of the group
// of prime order r: all rows were decoded with a check of their own. That check cannot be left to the sum: the cofactor is divisible by 3, and of a
// point of order three a weighted sum keeps nothing one time in three. The argument is in docs/spec/abe.md, "The check of the rows".
//
// The weights are random and not secret, so that the sums may take a time that depends on them. The secrets of sigma's coins meet fixed-base tables and
// constant-time multiplications only.
type rowCheck struct {
	weights []pairing.Weight
	sum     pairing.G1   // sum_i delta_i ct3[i]
	hashes  []pairing.G1 // by j, from 1: prod_{rho(i)=j} H(pi(i))^delta_i
}

// checkRows draws the weights and makes the sums that do not need sigma.
func (p *fabeoPublic) checkRows(f *formula, ct3 []pairing.G1) *rowCheck {
	rows := f.rows()
	c := &rowCheck{weights: pairing.RandomWeights(len(rows)), hashes: make([]pairing.G1, f.tau()+1)}
	points, weights := make([][]pairing.G1, len(c.hashes)), make([][]pairing.Weight, len(c.hashes))
	for i, h := range p.hashes.all(f.atoms) {
		j := rows[i].rho
		points[j], weights[j] = append(points[j], h), append(weights[j], c.weights[i])
	}
	inParallel(allCores(), len(c.hashes), func(j int) {
		if j == 0 {
			c.sum = pairing.G1LinComb(ct3, c.weights)
		} else {
			c.hashes[j] = pairing.G1LinComb(points[j], weights[j])
		}
	})
	return c
}

// holds says whether the equation holds for the coins of sigma.
func (c *rowCheck) holds(p *fabeoPublic, f *formula, s fabeoSecrets) bool {
	var exponent pairing.Scalar // sum_i delta_i (M_i (s1,v))
	for i, row := range f.rows() {
		exponent = exponent.Add(c.weights[i].Scalar().Mul(row.share(s.shared)))
	}
	right := p.hbTable().Mul(exponent)
	for j := 1; j < len(c.hashes); j++ {
		right = right.Add(c.hashes[j].Mul(s.uses[j]))
	}
	return c.sum.Equal(right)
}
