package abe

import (
	"errors"
	"fmt"
	"slices"
)

// tknTree is a formula as TKN20 takes it: and and or gates of two kids. docs/spec/abe.md section 10 fixes the form, for sealers and readers
// make it each for themselves and it has to be the same one.
type tknTree struct {
	and         bool
	left, right *tknTree // nil for a leaf
	atom        atom     // for a leaf
	leaves      int
	height      int
}

func (t *tknTree) isLeaf() bool { return t.left == nil }

func newGate(and bool, left, right *tknTree) *tknTree {
	return &tknTree{and: and, left: left, right: right, leaves: left.leaves + right.leaves, height: 1 + max(left.height, right.height)}
}

// newTKNTree is f with gates of two kids: the kids of an and or an or are halved, the first half being the larger one, until there are two; "k of"
// becomes an or, over the possible j in ascending order, of j of the first half and k-j of the second. "k of" repeats leaves: more than 1,024 in all are refused
// before they are made, and so is what is nested deeper than circl reads.
func newTKNTree(f *formula) (*tknTree, error) {
	e := &expander{f: f}
	t := e.node(f.root)
	if e.made > maxTKN20Leaves {
		return nil, fmt.Errorf("abe: the policy has more than %d leaves when k of is written with and and or, as TKN20 needs it: ask for fewer, or use FABEO", maxTKN20Leaves)
	}
	if t.height > maxTKN20Nested {
		return nil, errors.New("abe: the policy is nested too deeply for TKN20: take parentheses apart, or use FABEO")
	}
	return t, nil
}

type expander struct {
	f    *formula
	made int
}

// node makes the tree of n. After the limit it makes leaves only, which nobody sees.
func (e *expander) node(n *node) *tknTree {
	if n.isLeaf() || e.made > maxTKN20Leaves {
		e.made++
		return &tknTree{atom: e.f.atoms[n.leaf], leaves: 1}
	}
	return e.threshold(n.k, n.kids)
}

func (e *expander) threshold(k int, kids []*node) *tknTree {
	switch {
	case e.made > maxTKN20Leaves:
		return e.node(kids[0])
	case len(kids) == 1:
		return e.node(kids[0])
	}
	half := (len(kids) + 1) / 2
	left, right := kids[:half], kids[half:]
	switch k {
	case 1:
		return newGate(false, e.threshold(1, left), e.threshold(1, right))
	case len(kids):
		return newGate(true, e.threshold(len(left), left), e.threshold(len(right), right))
	}
	var ways []*tknTree
	for j := max(0, k-len(right)); j <= min(k, len(left)) && e.made <= maxTKN20Leaves; j++ {
		switch j {
		case 0:
			ways = append(ways, e.threshold(k, right))
		case k:
			ways = append(ways, e.threshold(k, left))
		default:
			ways = append(ways, newGate(true, e.threshold(j, left), e.threshold(k-j, right)))
		}
	}
	return anyOf(ways)
}

// anyOf is an or of ways, halved.
func anyOf(ways []*tknTree) *tknTree {
	if len(ways) == 1 {
		return ways[0]
	}
	half := (len(ways) + 1) / 2
	return newGate(false, anyOf(ways[:half]), anyOf(ways[half:]))
}

// tau is how often the atom that is there most often is there.
func (t *tknTree) tau() int {
	count := map[atom]int{}
	t.walk(func(u atom) { count[u]++ }, func(*tknTree) {})
	most := 0
	for _, n := range count {
		most = max(most, n)
	}
	return most
}

// walk visits the leaves from left to right, and each gate after its kids.
func (t *tknTree) walk(leaf func(atom), gate func(*tknTree)) {
	if t.isLeaf() {
		leaf(t.atom)
		return
	}
	t.left.walk(leaf, gate)
	t.right.walk(leaf, gate)
	gate(t)
}

// circlPolicy is the text that circl reads.
func (t *tknTree) circlPolicy() string { return string(t.appendCircl(nil)) }

func (t *tknTree) appendCircl(b []byte) []byte {
	if t.isLeaf() {
		return append(append(append(b, tknLabel(t.atom)...), ':'), tknValue...)
	}
	operator := " or "
	if t.and {
		operator = " and "
	}
	b = append(t.left.appendCircl(append(b, '(')), operator...)
	return append(t.right.appendCircl(b), ')')
}

// sortedLabels are the labels of a key, as circl sorts them.
func sortedLabels(atoms []atom) []string {
	labels := make([]string, len(atoms))
	for i, u := range atoms {
		labels[i] = tknLabel(u)
	}
	slices.Sort(labels)
	return labels
}
