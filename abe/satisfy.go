package abe

import (
	"cmp"
	"math/big"
	"slices"
)

// selected is a row of the share matrix and its weight.
type selected struct {
	row   int
	coeff coefficient
}

// satisfy chooses rows whose atoms are held and weights with sum coeff_i M_i = (1, 0, ..., 0), by ascending row. It
// says false if there are none. It allows rows with rho <= 1 only, then rho <= 2 and so on, and takes the first bound
// that will do, since each value of rho costs a pairing; under that bound the choice has the fewest leaves. Without "k of" all
// weights are 1. have is asked once for each atom. Cost: leaves times tau, and multiplications modulo r for "k of".
func (f *formula) satisfy(have func(atom) bool) ([]selected, bool) {
	held := f.held(have)
	for bound := 1; bound <= f.most; bound++ {
		if best, ok := f.root.choose(func(leaf int) bool { return held[leaf] && f.uses[leaf] <= bound }); ok {
			chosen := best.weigh(nil, nil)
			slices.SortFunc(chosen, func(a, b selected) int { return cmp.Compare(a.row, b.row) })
			return chosen, true
		}
	}
	return nil, false
}

// held says for each leaf whether its atom is held.
func (f *formula) held(have func(atom) bool) []bool {
	answer, asked := make([]bool, f.names), make([]bool, f.names)
	leaves := make([]bool, len(f.atoms))
	for i, id := range f.ids {
		if !asked[id] {
			answer[id], asked[id] = have(f.atoms[i]), true
		}
		leaves[i] = answer[id]
	}
	return leaves
}

// choice is a way to satisfy a node.
type choice struct {
	node   *node
	leaves int
	kids   []choice // for a gate: k of them
	at     []int    // for a gate: which kids those are, from 1, ascending
}

// choose finds a way with the fewest leaves, the first of equals. A gate takes its k cheapest kids: they share no leaf,
// so that is the best, and it is no search.
func (n *node) choose(usable func(leaf int) bool) (choice, bool) {
	if n.isLeaf() {
		return choice{node: n, leaves: 1}, usable(n.leaf)
	}
	type candidate struct {
		choice
		at int
	}
	candidates := make([]candidate, 0, len(n.kids))
	for i, kid := range n.kids {
		if c, ok := kid.choose(usable); ok {
			candidates = append(candidates, candidate{c, i + 1})
		} else if len(n.kids)-i-1+len(candidates) < n.k {
			return choice{}, false
		}
	}
	if len(candidates) > n.k {
		slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.leaves, b.leaves) })
		candidates = candidates[:n.k]
		slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.at, b.at) })
	}
	best := choice{node: n, kids: make([]choice, 0, n.k), at: make([]int, 0, n.k)}
	for _, c := range candidates {
		best.leaves += c.leaves
		best.kids = append(best.kids, c.choice)
		best.at = append(best.at, c.at)
	}
	return best, true
}

// holds says whether choose finds a way, without making it.
func (n *node) holds(usable func(leaf int) bool) bool {
	if n.isLeaf() {
		return usable(n.leaf)
	}
	found := 0
	for i, kid := range n.kids {
		if kid.holds(usable) {
			if found++; found == n.k {
				return true
			}
		} else if len(n.kids)-i-1+found < n.k {
			return false
		}
	}
	return false
}

// weigh appends the leaves of c with their weights. scale is the weight of c itself, nil for 1.
func (c choice) weigh(to []selected, scale *big.Int) []selected {
	if c.node.isLeaf() {
		if scale == nil {
			return append(to, selected{c.node.leaf, coefficientOne()})
		}
		return append(to, selected{c.node.leaf, newCoefficient(scale)})
	}
	for i, kid := range c.kids {
		weight := scale
		if !c.node.isOr() && !c.node.isAnd() {
			weight = lagrange(c.at[i], c.at)
			if scale != nil {
				weight.Mod(weight.Mul(weight, scale), groupOrder)
			}
		}
		to = kid.weigh(to, weight)
	}
	return to
}
