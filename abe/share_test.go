package abe

import (
	"bytes"
	"flag"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawTree draws a tree with up to about size leaves, deeper and wider than the exhaustive tests go.
func drawTree(t *rapid.T, size, depth int) *tree {
	if size <= 1 || depth == 0 {
		return &tree{}
	}
	n := rapid.IntRange(2, min(size, 9)).Draw(t, "kids")
	k := rapid.IntRange(1, n).Draw(t, "k")
	out := &tree{k: k}
	for range n {
		out.kids = append(out.kids, drawTree(t, rapid.IntRange(1, size/n+2).Draw(t, "size"), depth-1))
	}
	return out
}

// drawPattern names n leaves, some of them alike, none more than 16 times.
func drawPattern(t *rapid.T, n int) []int {
	names := rapid.IntRange(max(1, (n+15)/16), max(1, n)).Draw(t, "names")
	pattern, uses := make([]int, n), map[int]int{}
	for i := range pattern {
		a := rapid.IntRange(0, names-1).Draw(t, "attribute")
		for uses[a] == maxUses {
			a = (a + 1) % names
		}
		uses[a]++
		pattern[i] = a
	}
	return pattern
}

// Trees of any order of kids, up to 60 leaves, gates inside gates, attributes used again: evaluation, row span, what an attacker
// can cancel and satisfy agree, and the selection reconstructs.
func TestRandomTrees(t *testing.T) {
	policies, states := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		tree := drawTree(rt, 40, 5)
		n := tree.leaves()
		if n > 60 {
			rt.Skip("too large for a bit set")
		}
		pattern := drawPattern(rt, n)
		p, err := ParsePolicy(tree.text(pattern))
		require.NoError(rt, err)
		dense := denseRows(p, 0)
		for range 4 {
			set := uint(rapid.Uint64().Draw(rt, "set"))
			if rapid.Bool().Draw(rt, "many") {
				set |= uint(rapid.Uint64().Draw(rt, "more"))
			}
			owned := vectorSpace{dim: p.formula().cols()}
			for i, v := range dense {
				if set>>pattern[i]&1 == 1 {
					owned = owned.with(v)
				}
			}
			holds := tree.holds(pattern, set)
			require.Equal(rt, holds, owned.hasSecret(), "%v", p)
			full := attackerSpan(p, pattern, set, func(i int) int { return p.formula().rows()[i].rho })
			require.Equal(rt, holds, full.hasSecret(), "%v with %b: the attacker's system", p, set)
			states++
			sel, ok := p.formula().satisfy(haveSet(set))
			require.Equal(rt, holds, ok, "%v", p)
			if ok {
				require.True(rt, reconstructs(dense, sel), "%v: %v", p, sel)
				require.True(rt, slices.IsSortedFunc(sel, func(a, b selected) int { return a.row - b.row }))
			}
		}
		policies++
	})
	if flag.Lookup("rapid.checks").Value.String() == flag.Lookup("rapid.checks").DefValue && !testing.Short() {
		assert.Equal(t, []int{100, 400}, []int{policies, states}, "docs/spec/abe-soundness.md")
	}
	t.Logf("%d policies, %d sets of attributes", policies, states)
}

// Policies with and and or only need no exponentiation: entries and weights are 1 and -1.
func TestUnitsWithoutThresholds(t *testing.T) {
	p, err := ParsePolicy(`(a or (b and c and k)) and (d or (e and f and (g or h)))`)
	require.NoError(t, err)
	for _, r := range p.formula().rows() {
		for _, m := range r.m {
			assert.NotZero(t, m.coeff.unit)
		}
	}
	sel, ok := p.formula().satisfy(func(a atom) bool { return a.name() != "a" && a.name() != "d" })
	require.True(t, ok)
	for _, s := range sel {
		assert.Equal(t, int8(1), s.coeff.unit)
	}
	assert.Len(t, sel, 6)
}

// The matrix of a policy is part of the format: what was sealed with it has to be read with it.
func TestMatrixLayout(t *testing.T) {
	p, err := ParsePolicy(`x and 2 of (a, b, c) and (y or z)`)
	require.NoError(t, err)
	assert.Equal(t, 4, p.formula().cols())
	var got []string
	for _, r := range p.formula().rows() {
		s := r.atom.name()
		for _, m := range r.m {
			v := new(big.Int).SetBytes(m.coeff.be[:])
			if m.coeff.unit == -1 {
				v.Sub(v, groupOrder)
			}
			s += fmt.Sprintf(" %d:%v", m.col, v)
		}
		got = append(got, s)
	}
	assert.Equal(t, []string{
		"x 0:1 1:1",
		"a 1:-1 2:1 3:1",
		"b 1:-1 2:1 3:2",
		"c 1:-1 2:1 3:3",
		"y 2:-1",
		"z 2:-1",
	}, got)
}

// Entries and coefficients are canonical, columns ascend, no zero is stored.
func TestRowsAreCanonical(t *testing.T) {
	p, err := ParsePolicy("40 of (" + numbered(100) + ") and 3 of (x, y, z, 2 of (u, v, w))")
	require.NoError(t, err)
	one := append(make([]byte, 31), 1)
	minus := new(big.Int).Sub(groupOrder, big.NewInt(1)).Bytes()
	for _, r := range p.formula().rows() {
		for i, m := range r.m {
			v := new(big.Int).SetBytes(m.coeff.be[:])
			assert.Equal(t, 1, v.Sign())
			assert.Negative(t, v.Cmp(groupOrder))
			assert.Equal(t, bytes.Equal(m.coeff.be[:], one), m.coeff.unit == 1)
			assert.Equal(t, bytes.Equal(m.coeff.be[:], minus), m.coeff.unit == -1)
			assert.Less(t, m.col, p.formula().cols())
			if i > 0 {
				assert.Less(t, r.m[i-1].col, m.col)
			}
		}
	}
}

// numbered is a list of n flags.
func numbered(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("a%d", i))
	}
	return strings.Join(names, ", ")
}

// The largest threshold: entries go up to 256^127, and choosing 128 of 256 is no search.
func TestLargestThreshold(t *testing.T) {
	p, err := ParsePolicy("128 of (" + numbered(256) + ")")
	require.NoError(t, err)
	require.Equal(t, 128, p.formula().cols())
	dense := denseRows(p, 0)
	held := map[string]bool{}
	for i := range 128 {
		held[fmt.Sprintf("a%d", i*2+1)] = true
	}
	sel, ok := p.formula().satisfy(func(a atom) bool { return held[a.name()] })
	require.True(t, ok)
	assert.Len(t, sel, 128)
	assert.True(t, reconstructs(dense, sel))
	assert.False(t, reconstructs(dense, sel[:127]))
	delete(held, "a255")
	_, ok = p.formula().satisfy(func(a atom) bool { return held[a.name()] })
	assert.False(t, ok)
}

// Smaller rho goes before fewer leaves; among equal rho, fewer leaves and then the order of the text decide.
func TestSatisfyPrefersFewUses(t *testing.T) {
	for _, c := range []struct {
		policy, held string
		rows         []int
	}{
		{"a and (b or (c and d)) and (a or e)", "a b c d e", []int{0, 1, 5}},
		{"a and (b or (c and d)) and (a or e)", "a b c d", []int{0, 1, 4}},
		{"(a and x and y) or (b and a)", "a b x y", []int{0, 1, 2}}, // row 4 has rho 2
		{"(c and x and y) or (b and a)", "a b c x y", []int{3, 4}},
		{"2 of (a and b, c, d and e and f, g)", "a b c d e f g", []int{2, 6}},
		{"2 of (a and b, c, d and e and f, g)", "a b d e f g", []int{0, 1, 6}},
		{"a or b or c", "b c", []int{1}},
	} {
		p, err := ParsePolicy(c.policy)
		require.NoError(t, err)
		asked := map[string]int{}
		sel, ok := p.formula().satisfy(func(a atom) bool {
			asked[a.name()]++
			return slices.Contains(strings.Fields(c.held), a.name())
		})
		require.True(t, ok)
		var rows []int
		for _, s := range sel {
			rows = append(rows, s.row)
		}
		assert.Equal(t, c.rows, rows, c.policy)
		for name, n := range asked {
			assert.Equal(t, 1, n, "%s: %s", c.policy, name)
		}
	}
}

// The deepest and widest nesting that the parser lets through.
func TestDeepThresholds(t *testing.T) {
	text := "x0"
	for i := 1; i <= maxDepth; i++ {
		text = fmt.Sprintf("2 of (%s, y%d, z%d)", text, i, i)
	}
	p, err := ParsePolicy(text)
	require.NoError(t, err)
	dense := denseRows(p, 0)
	sel, ok := p.formula().satisfy(func(a atom) bool { return a.name()[0] != 'z' })
	require.True(t, ok)
	assert.Len(t, sel, maxDepth+1)
	assert.True(t, reconstructs(dense, sel))
	outermost := fmt.Sprintf("y%d", maxDepth)
	_, ok = p.formula().satisfy(func(a atom) bool { return a.name()[0] != 'z' && a.name() != outermost })
	assert.False(t, ok)
}

// name is the name of an atom that is a flag.
func (a atom) name() string { return string(a[6:]) }
