package abe

import (
	"slices"
	"sync"
)

// formula is what the scheme sees of a policy: a monotone tree of gates over atoms, and its share matrix. It is immutable.
type formula struct {
	root   *node
	atoms  []atom // of leaf i, in order
	ids    []int  // of leaf i: number of its atom, the same for equal atoms, from 0
	names  int    // number of distinct atoms
	uses   []int  // rho of leaf i: which use of its atom it is, from 1
	most   int    // tau, the largest of uses
	matrix func() ([]row, int)
}

// node is a leaf, or a gate that k of its kids must satisfy. Gates have two kids or more. No kid of an or gate is an or
// gate, no kid of an and gate an and gate: gate sees to it.
type node struct {
	k    int     // 0 for a leaf
	kids []*node // nil for a leaf
	leaf int     // number of the leaf in the order of the text, for a leaf
}

func (n *node) isLeaf() bool { return n.k == 0 }
func (n *node) isOr() bool   { return n.k == 1 }
func (n *node) isAnd() bool  { return n.k > 1 && n.k == len(n.kids) }

// gate makes the node that asks for k of kids, in its one normal form: 1 of n is or, n of n is and, a gate with one kid
// is that kid, and a kid of the same operator gives its own kids. The order stays.
func gate(k int, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	if k > 1 && k < len(kids) {
		return &node{k: k, kids: kids}
	}
	flat := make([]*node, 0, len(kids))
	for _, kid := range kids {
		if k == 1 && kid.isOr() || k > 1 && kid.isAnd() {
			flat = append(flat, kid.kids...)
		} else {
			flat = append(flat, kid)
		}
	}
	if k > 1 {
		k = len(flat)
	}
	return &node{k: k, kids: flat}
}

// newFormula numbers the uses of each atom. atoms are those of the leaves of root.
func newFormula(root *node, atoms []atom) *formula {
	f := &formula{root: root, atoms: atoms, ids: make([]int, len(atoms)), uses: make([]int, len(atoms))}
	known := make(map[atom]int, len(atoms))
	var count []int
	for i, a := range atoms {
		id, ok := known[a]
		if !ok {
			id = len(count)
			known[a] = id
			count = append(count, 0)
		}
		count[id]++
		f.ids[i], f.uses[i] = id, count[id]
		f.most = max(f.most, count[id])
	}
	f.names = len(count)
	f.matrix = sync.OnceValues(f.share)
	return f
}

// leaves is the number of leaves, which is the number of rows of the share matrix.
func (f *formula) leaves() int { return len(f.atoms) }

// withAnyOf returns the formula that asks for f and one of the atoms, whose leaves follow those of f.
func (f *formula) withAnyOf(atoms []atom) *formula {
	any := make([]*node, len(atoms))
	for i := range any {
		any[i] = &node{leaf: len(f.atoms) + i}
	}
	return newFormula(gate(2, []*node{f.root, gate(1, any)}), slices.Concat(f.atoms, atoms))
}
