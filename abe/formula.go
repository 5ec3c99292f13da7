package abe

import "sync"

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
