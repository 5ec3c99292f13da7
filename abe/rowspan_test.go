package abe

import (
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381/ff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vectorSpace is the span of some vectors over Z_r, exact, in echelon form: no two basis vectors have the same last
// entry that is not zero. So the span holds a multiple of e_0 if and only if a basis vector is one: the last entry of a
// combination is the last entry of one of its vectors.
type vectorSpace struct {
	dim   int
	basis [][]ff.Scalar
	last  []int // of each basis vector: index of its last entry that is not zero
}

// with returns the span of v and s; s stays as it is.
func (s vectorSpace) with(v []ff.Scalar) vectorSpace {
	v = slices.Clone(v)
	var t, u ff.Scalar
	for c := s.dim - 1; c >= 0; c-- {
		if v[c].IsZero() == 1 {
			continue
		}
		b := slices.Index(s.last, c)
		if b < 0 {
			return vectorSpace{s.dim, append(slices.Clip(s.basis), v), append(slices.Clip(s.last), c)}
		}
		// v becomes pivot * v - v_c * basis, without a division.
		pivot, factor := s.basis[b][c], v[c]
		for j := 0; j <= c; j++ {
			t.Mul(&pivot, &v[j])
			u.Mul(&factor, &s.basis[b][j])
			v[j].Sub(&t, &u)
		}
	}
	return s
}

// hasSecret reports whether the span holds e_0 = (1, 0, ..., 0).
func (s vectorSpace) hasSecret() bool { return slices.Contains(s.last, 0) }

// denseRows are the rows of the share matrix of p, of width cols plus extra zeros.
func denseRows(p *Policy, extra int) [][]ff.Scalar { return denseFormula(p.formula(), extra) }

func denseFormula(f *formula, extra int) [][]ff.Scalar {
	var dense [][]ff.Scalar
	for _, r := range f.rows() {
		v := make([]ff.Scalar, f.cols()+extra)
		for _, t := range r.m {
			v[t.col].SetBytes(t.coeff.be[:])
		}
		dense = append(dense, v)
	}
	return dense
}

// reconstructs reports whether the weighted rows add up to e_0.
func reconstructs(dense [][]ff.Scalar, sel []selected) bool {
	sum := make([]ff.Scalar, len(dense[0]))
	var c, t ff.Scalar
	for _, s := range sel {
		c.SetBytes(s.coeff.be[:])
		for j := range sum {
			t.Mul(&c, &dense[s.row][j])
			sum[j].Add(&sum[j], &t)
		}
	}
	var one ff.Scalar
	one.SetOne()
	sum[0].Sub(&sum[0], &one)
	return !slices.ContainsFunc(sum, func(v ff.Scalar) bool { return v.IsZero() != 1 })
}

// Every tree of and, or and k-of gates with up to 8 distinct leaves, every subset of the leaves: plain evaluation, the
// row span of what is held, and satisfy agree, and what satisfy chooses is held, reconstructs exactly, and is a smallest
// satisfying set. Children of a gate are taken in one order only; that the others are as good follows for and and or from the
// sum, for k of n from the Vandermonde argument at formula.share, and is sampled in TestRandomTrees.
func TestAllTreesAllSubsets(t *testing.T) {
	largest, wantTrees, wantStates := 8, 3925, 854_994
	if testing.Short() {
		largest, wantTrees, wantStates = 6, 273, 14_546
	}
	trees, states := 0, 0
	var all []*tree
	for n := 1; n <= largest; n++ {
		all = append(all, allTrees(n)...)
		trees += len(allTrees(n))
		states += len(allTrees(n)) << n
	}
	eachOnAllCores(t, len(all), func(t *testing.T, _ *rand.Rand, i int) { checkDistinctTree(t, all[i], all[i].leaves()) })
	assert.Equal(t, wantTrees, trees)
	assert.Equal(t, wantStates, states)
	t.Logf("%d trees up to %d leaves, %d subsets", trees, largest, states)
}

// Every tree with up to 10 distinct leaves, every subset: plain evaluation against the row span, exact in Z_r. satisfy is asked on both sides
// of the border, for each smallest set that is granted and each largest one that is denied. docs/spec/abe-soundness.md states
// the numbers.
func TestAllTreesToTenLeaves(t *testing.T) {
	largest, wantTrees, wantStates, wantBorder := 10, 64_207, 56_566_738, 2_160_046
	if testing.Short() {
		largest, wantTrees, wantStates, wantBorder = 8, 3925, 854_994, 77_208
	}
	var all []*tree
	for n := 1; n <= largest; n++ {
		all = append(all, allTrees(n)...)
	}
	var states, border atomic.Int64
	eachOnAllCores(t, len(all), func(t *testing.T, _ *rand.Rand, i int) {
		n := all[i].leaves()
		f := all[i].policy(t, distinct(n)).formula()
		truth := all[i].truthTable(n, 0)
		dense := denseFormula(f, 0)
		span, decided := spanTable(dense)
		if !slices.Equal(truth, span) || decided != 1<<n { // said in text only when it fails: there are many trees
			t.Fatalf("%v: evaluation %x, row span %x of %d sets", all[i].text(distinct(n)), truth, span, decided)
		}
		states.Add(int64(decided))
		border.Add(int64(checkBorder(t, f, dense, truth)))
	})
	assert.Equal(t, wantTrees, len(all))
	assert.EqualValues(t, wantStates, states.Load())
	assert.EqualValues(t, wantBorder, border.Load())
	if !testing.Short() {
		specSays(t, "10 leaves (64,207 trees, 56,566,738 sets)")
	}
	t.Logf("%d trees up to %d leaves, %d subsets, %d of them on the border", len(all), largest, states.Load(), border.Load())
}

// checkBorder asks satisfy for the smallest sets that are granted, of which it has to use every row, and the largest that are denied.
func checkBorder(t *testing.T, f *formula, dense [][]ff.Scalar, truth []uint64) (sets int) {
	n := f.leaves()
	granted := func(set uint) bool { return truth[set>>6]>>(set&63)&1 == 1 }
	index := make(map[atom]int, n)
	for i, a := range f.atoms {
		index[a] = i
	}
	for set := range uint(1) << n {
		yes, border := granted(set), true
		for i := 0; i < n && border; i++ {
			border = set>>i&1 == 1 != yes || granted(set^1<<i) != yes
		}
		if !border {
			continue
		}
		sets++
		sel, ok := f.satisfy(func(a atom) bool { return set>>index[a]&1 == 1 })
		if ok != yes || ok && (len(sel) != bits.OnesCount(set) || !reconstructs(dense, sel)) {
			t.Fatalf("%v with %b: granted %v, selected %v", f.atoms, set, yes, sel)
		}
		for _, s := range sel {
			if set>>s.row&1 == 0 {
				t.Fatalf("%v with %b: row %d is not held", f.atoms, set, s.row)
			}
		}
	}
	return sets
}

// spanner goes through all subsets of some vectors over Z_r and finds those with e_0 in their span. It decides about the last vector first, so that
// what is decided so far is the range of sets from base. basis is in the echelon form of vectorSpace: basis[c] is the vector whose last
// entry is c.
type spanner struct {
	rows    [][]ff.Scalar
	basis   [][]ff.Scalar
	work    [][]ff.Scalar // for the vector that is decided about at this depth
	holds   []uint64      // one bit for each subset
	decided int
}

// spanTable returns one bit for each subset of rows, and how many subsets it has decided about.
func spanTable(rows [][]ff.Scalar) ([]uint64, int) {
	n, dim := len(rows), len(rows[0])
	s := &spanner{rows: rows, basis: make([][]ff.Scalar, dim), work: make([][]ff.Scalar, n), holds: make([]uint64, max(1, 1<<n>>6))}
	for i := range s.work {
		s.work[i] = make([]ff.Scalar, dim)
	}
	s.decide(n, 0)
	return s.holds, s.decided
}

// decide goes through the sets base to base + 2^left - 1: those with the first left vectors in all ways.
func (s *spanner) decide(left int, base uint) {
	if s.basis[0] != nil { // a span only grows: it holds e_0 whatever else is added
		for set := base; set < base+1<<left; set++ {
			s.holds[set>>6] |= 1 << (set & 63)
		}
		s.decided += 1 << left
		return
	}
	if left == 0 {
		s.decided++
		return
	}
	left--
	s.decide(left, base)
	v := s.work[left]
	copy(v, s.rows[left])
	c := s.reduce(v)
	if c >= 0 {
		s.basis[c] = v
	}
	s.decide(left, base|1<<left)
	if c >= 0 {
		s.basis[c] = nil
	}
}

// reduce subtracts from a multiple of v what lies in the span, and returns the last entry of what is left that is not zero, or -1.
func (s *spanner) reduce(v []ff.Scalar) int {
	var u ff.Scalar
	for c := len(v) - 1; c >= 0; c-- {
		if v[c].IsZero() == 1 {
			continue
		}
		b := s.basis[c]
		if b == nil {
			return c
		}
		// v becomes pivot * v - v_c * b, without a division.
		factor := v[c]
		for j := range c + 1 {
			v[j].Mul(&v[j], &b[c])
			if b[j].IsZero() != 1 {
				u.Mul(&factor, &b[j])
				v[j].Sub(&v[j], &u)
			}
		}
	}
	return -1
}

func checkDistinctTree(t *testing.T, tree *tree, n int) {
	pattern := distinct(n)
	p := tree.policy(t, pattern)
	truth := tree.truthTable(n, 0)
	dense := denseRows(p, 0)
	index := map[atom]int{}
	for i, r := range p.formula().rows() {
		index[r.atom] = i
	}
	fewest := make([]int, 1<<n) // of each subset: leaves of its smallest satisfying subset, or a large number
	spans := make([]vectorSpace, 1<<n)
	spans[0].dim = p.formula().cols()
	for set := range uint(1) << n {
		fewest[set] = 1000
		holds := tree.holds(pattern, set)
		require.Equal(t, holds, truth[set>>6]>>(set&63)&1 == 1)
		if holds {
			fewest[set] = bits.OnesCount(set)
		}
		for i := range n {
			if set>>i&1 == 1 {
				fewest[set] = min(fewest[set], fewest[set&^(1<<i)])
			}
		}
		if set != 0 {
			low := bits.TrailingZeros(set)
			spans[set] = spans[set&(set-1)].with(dense[low])
		}
		sel, ok := p.formula().satisfy(func(a atom) bool { return set>>index[a]&1 == 1 })
		if span := spans[set].hasSecret(); holds != span || holds != ok {
			t.Fatalf("%v with %b: evaluation %v, row span %v, satisfy %v", p, set, holds, span, ok)
		}
		if !ok {
			continue
		}
		for _, s := range sel {
			require.Equal(t, uint(1), set>>s.row&1, "%v with %b uses row %d", p, set, s.row)
		}
		if len(sel) != fewest[set] || !reconstructs(dense, sel) {
			t.Fatalf("%v with %b: selected %v, fewest %d", p, set, sel, fewest[set])
		}
	}
}

// checkReuse compares, for one tree and one pattern and every set of attributes, evaluation, row span, satisfy and what
// an attacker can do by linear algebra; it returns the number of sets. rho gives the uses: the policy's own, or a wrong one.
//
// The attacker's system: in FABEO row i of a ciphertext carries M_i . (s, v) and, bound to it, the hash of its attribute
// to the power s'_rho(i). Who holds an attribute can take the latter away. Who does not can still combine rows so that it
// cancels, but only rows of the same attribute and the same rho. So weights c with sum c_i M_i = e_0 and, for every
// attribute u that is not held and every j, sum of c_i over rows with pi(i) = u and rho(i) = j equal to zero, are an attack.
func checkReuse(t *testing.T, tree *tree, pattern []int, rho func(row int) int) (states, attacks int) {
	p := tree.policy(t, pattern)
	rows, names := p.formula().rows(), slices.Max(pattern)+1
	plain := denseRows(p, 0)
	for set := range uint(1) << names {
		states++
		owned := vectorSpace{dim: p.formula().cols()}
		for i := range rows {
			if set>>pattern[i]&1 == 1 {
				owned = owned.with(plain[i])
			}
		}
		full := attackerSpan(p, pattern, set, rho)
		holds := tree.holds(pattern, set)
		sel, ok := p.formula().satisfy(haveSet(set))
		require.Equal(t, holds, owned.hasSecret(), "%v with %b: row span", p, set)
		require.Equal(t, holds, ok, "%v with %b: satisfy", p, set)
		if ok {
			require.True(t, reconstructs(plain, sel), "%v with %b: %v", p, set, sel)
			checkBound(t, tree, p, pattern, set, sel)
		}
		if full.hasSecret() != holds {
			require.False(t, holds, "%v with %b: more constraints cannot help", p, set)
			attacks++
		}
	}
	return states, attacks
}

// attackerSpan is the span of all rows, each with an entry more for what its attribute leaves behind unless that is held.
func attackerSpan(p *Policy, pattern []int, set uint, rho func(row int) int) vectorSpace {
	rows := denseRows(p, len(pattern))
	uses := map[[2]int]int{} // column of (attribute, rho) for attributes that are not held
	span := vectorSpace{dim: p.formula().cols() + len(pattern)}
	for i, v := range rows {
		if set>>pattern[i]&1 == 0 {
			use := [2]int{pattern[i], rho(i)}
			if _, ok := uses[use]; !ok {
				uses[use] = p.formula().cols() + len(uses)
			}
			v[uses[use]].SetOne()
		}
		span = span.with(v)
	}
	return span
}

// checkBound requires that the selection is owned and that no smaller bound on rho would have done, by evaluating the
// tree with each leaf an attribute of its own.
func checkBound(t *testing.T, tree *tree, p *Policy, pattern []int, set uint, sel []selected) {
	largest := 0
	for _, s := range sel {
		require.Equal(t, uint(1), set>>pattern[s.row]&1)
		largest = max(largest, p.formula().rows()[s.row].rho)
	}
	var usable uint
	for i, r := range p.formula().rows() {
		if set>>pattern[i]&1 == 1 && r.rho < largest {
			usable |= 1 << i
		}
	}
	require.False(t, tree.holds(distinct(len(pattern)), usable), "%v with %b: rho < %d would do", p, set, largest)
}

// Every tree with up to 5 leaves, every way to use attributes more than once, every set of attributes.
func TestAllTreesAllReusePatterns(t *testing.T) {
	largest, wantPolicies, wantStates := 5, 3026, 25_690
	if testing.Short() {
		largest, wantPolicies, wantStates = 4, 270, 1_628
	}
	policies, states := 0, 0
	for n := 1; n <= largest; n++ {
		for _, tree := range allTrees(n) {
			for _, pattern := range allReusePatterns(n) {
				p := tree.policy(t, pattern)
				uses := map[int]int{}
				for i, r := range p.formula().rows() {
					uses[pattern[i]]++
					require.Equal(t, uses[pattern[i]], r.rho, "rows of one attribute have rho 1, 2, ...: %v", p)
					require.Equal(t, patternAttribute(pattern[i]).atom(), r.atom)
				}
				most := 0
				for _, n := range uses {
					most = max(most, n)
				}
				require.Equal(t, most, p.formula().tau())
				n, attacks := checkReuse(t, tree, pattern, func(i int) int { return p.formula().rows()[i].rho })
				require.Zero(t, attacks, "%v", p)
				policies, states = policies+1, states+n
			}
		}
	}
	assert.Equal(t, wantPolicies, policies)
	assert.Equal(t, wantStates, states)
	t.Logf("%d policies up to %d leaves, %d sets of attributes", policies, largest, states)
}

// The test above finds what it is there for: without rho a key for b opens (a or b) and (a or c), as in the reference
// code of the paper's authors.
func TestForgottenRhoIsFound(t *testing.T) {
	leaf := &tree{}
	either := &tree{k: 1, kids: []*tree{leaf, leaf}}
	both := &tree{k: 2, kids: []*tree{either, either}}
	pattern := []int{0, 1, 0, 2}
	_, attacks := checkReuse(t, both, pattern, func(int) int { return 1 })
	assert.Positive(t, attacks)
	p := both.policy(t, pattern)
	_, attacks = checkReuse(t, both, pattern, func(i int) int { return p.formula().rows()[i].rho })
	assert.Zero(t, attacks)
}

// The row span test finds an and gate that gives its whole secret to one child, and a threshold that repeats a point.
func TestBrokenGatesAreFound(t *testing.T) {
	vector := func(entries ...uint64) []ff.Scalar {
		v := make([]ff.Scalar, len(entries))
		for i, e := range entries {
			v[i].SetUint64(e)
		}
		return v
	}
	assert.True(t, vectorSpace{dim: 1}.with(vector(1)).hasSecret(), "whole secret to one child of an and")
	assert.False(t, vectorSpace{dim: 2}.with(vector(1, 1)).hasSecret())
	assert.False(t, vectorSpace{dim: 2}.with(vector(1, 1)).with(vector(1, 1)).hasSecret(), "two of three at the same point")
	assert.True(t, vectorSpace{dim: 2}.with(vector(1, 1)).with(vector(1, 2)).hasSecret())
	assert.False(t, vectorSpace{dim: 3}.with(vector(1, 1, 1)).with(vector(1, 2, 4)).hasSecret())
	assert.True(t, vectorSpace{dim: 3}.with(vector(1, 1, 1)).with(vector(1, 2, 4)).with(vector(1, 3, 9)).hasSecret())

	table := func(rows ...[]ff.Scalar) uint64 { span, _ := spanTable(rows); return span[0] }
	assert.EqualValues(t, 0b1000, table(vector(1, 1), vector(0, 1)), "a and b")
	assert.EqualValues(t, 0b1010, table(vector(1, 0), vector(0, 1)), "whole secret to a")
	assert.EqualValues(t, 0b11101000, table(vector(1, 1), vector(1, 2), vector(1, 3)), "2 of 3")
	assert.EqualValues(t, 0b11100000, table(vector(1, 1), vector(1, 1), vector(1, 3)), "2 of 3 with a point twice")
	assert.EqualValues(t, 0b11111110, table(vector(1), vector(1), vector(1)), "or")
}

// groupOrder is written down once more by circl.
func TestGroupOrder(t *testing.T) {
	assert.Equal(t, 0, groupOrder.Cmp(new(big.Int).SetBytes(ff.ScalarOrder())))
	assert.True(t, groupOrder.ProbablyPrime(20))
	assert.Equal(t, "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001", fmt.Sprintf("%x", groupOrder))
}
