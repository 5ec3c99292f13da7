package abe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree is the shape of a policy, for tests that go through all of them. It knows nothing of the package's own trees.
type tree struct {
	k    int     // of len(kids): 1 is or, len(kids) is and; 0 for a leaf
	kids []*tree // nil for a leaf
}

// allTrees returns all trees of and, or and "k of n" gates with n leaves, up to isomorphism (the order of kids) and up to
// associativity (no or directly in an or, no and directly in an and).
func allTrees(n int) []*tree {
	bySize := [][]*tree{nil, {{}}}
	for size := 2; size <= n; size++ {
		var trees []*tree
		// forests appends every multiset of at least two smaller trees with left leaves in all. To get each once, trees
		// are taken by falling size, and by rising index within a size.
		var forests func(kids []*tree, left, size, index int)
		forests = func(kids []*tree, left, size, index int) {
			if left == 0 {
				for k := 1; k <= len(kids); k++ {
					same := func(kid *tree) bool {
						return kid.k == 1 && k == 1 || kid.k > 1 && kid.k == len(kid.kids) && k == len(kids)
					}
					if !slices.ContainsFunc(kids, same) {
						trees = append(trees, &tree{k, slices.Clone(kids)})
					}
				}
				return
			}
			for ; size >= 1; size, index = size-1, 0 {
				if size > left {
					continue
				}
				for i := index; i < len(bySize[size]); i++ {
					forests(append(slices.Clone(kids), bySize[size][i]), left-size, size, i)
				}
			}
		}
		forests(nil, size, size-1, 0)
		bySize = append(bySize, trees)
	}
	return bySize[n]
}

// allReusePatterns returns all ways to name n leaves up to renaming, as restricted growth strings: leaf i carries
// attribute pattern[i]. There are as many as partitions of a set (Bell numbers).
func allReusePatterns(n int) [][]int {
	patterns := [][]int{{}}
	for range n {
		var longer [][]int
		for _, p := range patterns {
			next := 0
			if len(p) > 0 {
				next = slices.Max(p) + 1
			}
			for a := 0; a <= next; a++ {
				longer = append(longer, append(slices.Clone(p), a))
			}
		}
		patterns = longer
	}
	return patterns
}

// distinct is the pattern without reuse.
func distinct(n int) []int {
	pattern := make([]int, n)
	for i := range pattern {
		pattern[i] = i
	}
	return pattern
}

// leaves counts the leaves of t.
func (t *tree) leaves() int {
	if t.k == 0 {
		return 1
	}
	n := 0
	for _, kid := range t.kids {
		n += kid.leaves()
	}
	return n
}

// patternAttribute is attribute number i of the patterns; all three forms occur.
func patternAttribute(i int) Attribute {
	switch i % 3 {
	case 0:
		return Attribute{Name: fmt.Sprintf("flag-%d", i)}
	case 1:
		return Attribute{Name: "role", Value: fmt.Sprintf("r%d", i)}
	}
	return Attribute{Name: "dept", Value: fmt.Sprintf("%d beds", i)}
}

// text writes t as a policy in which leaf i, from the left, carries patternAttribute(pattern[i]).
func (t *tree) text(pattern []int) string {
	if t.k == 0 {
		return patternAttribute(pattern[0]).String()
	}
	var parts []string
	for _, kid := range t.kids {
		n := kid.leaves()
		parts = append(parts, kid.text(pattern[:n]))
		pattern = pattern[n:]
	}
	if t.k > 1 && t.k < len(parts) {
		return fmt.Sprintf("%d of (%s)", t.k, strings.Join(parts, ", "))
	}
	operator := " and "
	if t.k == 1 {
		operator = " or "
	}
	for i, kid := range t.kids {
		if kid.k == 1 || kid.k == len(kid.kids) && kid.k > 0 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, operator)
}

// policy parses the text of t.
func (t *tree) policy(tb testing.TB, pattern []int) *Policy {
	tb.Helper()
	p, err := ParsePolicy(t.text(pattern))
	require.NoError(tb, err)
	return p
}

// holds is plain Boolean evaluation: bit a of set says whether attribute a is held.
func (t *tree) holds(pattern []int, set uint) bool {
	if t.k == 0 {
		return set>>pattern[0]&1 == 1
	}
	n := 0
	for _, kid := range t.kids {
		leaves := kid.leaves()
		if kid.holds(pattern[:leaves], set) {
			n++
		}
		pattern = pattern[leaves:]
	}
	return n >= t.k
}

// truthTable is plain Boolean evaluation for every set at once, without reuse: bit set says whether set is enough. n is the number of
// all leaves, first the number of the leftmost leaf of t. A gate counts: enough[j] are the sets that satisfy at least j+1 of the kids so far.
func (t *tree) truthTable(n, first int) []uint64 {
	words := make([]uint64, max(1, 1<<n>>6))
	if t.k == 0 {
		for set := range uint(1) << n {
			words[set>>6] |= uint64(set>>first&1) << (set & 63)
		}
		return words
	}
	enough := make([][]uint64, t.k)
	for j := range enough {
		enough[j] = make([]uint64, len(words))
	}
	for _, kid := range t.kids {
		holds := kid.truthTable(n, first)
		first += kid.leaves()
		for w := range words {
			for j := t.k - 1; j > 0; j-- {
				enough[j][w] |= enough[j-1][w] & holds[w]
			}
			enough[0][w] |= holds[w]
		}
	}
	return enough[t.k-1]
}

// haveSet is the question that satisfy asks, for a set of patternAttributes.
func haveSet(set uint) func(atom) bool {
	held := map[atom]bool{}
	for i := range 64 {
		held[patternAttribute(i).atom()] = set>>i&1 == 1
	}
	return func(a atom) bool { return held[a] }
}

// treesWithoutMakingThem returns T(1) to T(n) by counting multisets: T(n) = 2 A(n) + K(n), where A(n) counts multisets of at least two
// trees with no and at their root, which is the number of trees with and at the root and, by duality, of those with or; and K(n) counts
// each multiset of m >= 3 trees m-2 times, once for each k.
func treesWithoutMakingThem(n int) []int {
	all, notAnd := []int{0, 1}, []int{0, 1} // by leaves
	for size := 2; size <= n; size++ {
		a, k := 0, 0
		for m := 2; m <= size; m++ {
			a += multisets(notAnd, m, size)
			k += (m - 2) * multisets(all, m, size)
		}
		all, notAnd = append(all, 2*a+k), append(notAnd, a+k)
	}
	return all[1:]
}

// multisets counts multisets of m things with so many leaves in all, of which there are kinds[s] with s leaves.
func multisets(kinds []int, m, leaves int) int {
	if len(kinds) == 1 || m == 0 {
		if m == 0 && leaves == 0 {
			return 1
		}
		return 0
	}
	last, sum := len(kinds)-1, 0
	choices := 1 // of j things with last leaves: kinds + j - 1 over j
	for j := 0; j <= m && j*last <= leaves; j++ {
		sum += choices * multisets(kinds[:last], m-j, leaves-j*last)
		choices = choices * (kinds[last] + j) / (j + 1)
	}
	return sum
}

// The numbers of trees with and and or only are 1, 2, 4, 10, ... (OEIS A000084, series-parallel networks). Those with all gates are
// counted a second time without trees.
func TestAllTrees(t *testing.T) {
	andOr := []int{1, 2, 4, 10, 24, 66, 180, 522, 1532, 4624}
	all := treesWithoutMakingThem(10)
	require.Equal(t, []int{1, 2, 5, 16, 53, 196, 738, 2914, 11752, 48530}, all)
	var plain func(*tree) bool
	plain = func(t *tree) bool {
		return (t.k <= 1 || t.k == len(t.kids)) && !slices.ContainsFunc(t.kids, func(kid *tree) bool { return !plain(kid) })
	}
	largest := 10
	if testing.Short() {
		largest = 8
	}
	for n := 1; n <= largest; n++ {
		trees := allTrees(n)
		seen := map[string]bool{}
		count := 0
		for _, tree := range trees {
			require.Equal(t, n, tree.leaves())
			seen[tree.text(make([]int, n))] = true
			if plain(tree) {
				count++
			}
		}
		assert.Equal(t, len(trees), len(seen), "each tree once")
		assert.Equal(t, andOr[n-1], count)
		assert.Equal(t, all[n-1], len(trees))
	}
	for n, bell := range []int{1, 1, 2, 5, 15, 52} {
		assert.Len(t, allReusePatterns(n), bell)
	}
}
