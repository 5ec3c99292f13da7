package abe

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// randomTree draws a tree with so many leaves.
func randomTree(rng *rand.Rand, leaves int) *tree {
	if leaves == 1 {
		return &tree{}
	}
	n := 2 + rng.IntN(min(leaves, 7)-1)
	sizes := make([]int, n)
	for i := range leaves {
		if i < n {
			sizes[i]++
		} else {
			sizes[rng.IntN(n)]++
		}
	}
	t := &tree{k: 1 + rng.IntN(n)}
	for _, size := range sizes {
		t.kids = append(t.kids, randomTree(rng, size))
	}
	return t
}

// randomPattern names n leaves with so many attributes, one of them as often as it may be.
func randomPattern(rng *rand.Rand, n, names int) []int {
	pattern, uses := make([]int, n), make([]int, names)
	for i := range pattern {
		a := 0 // half of the leaves
		if rng.IntN(2) == 0 {
			a = rng.IntN(names)
		}
		for uses[a] == maxUses {
			a = (a + 1) % names
		}
		uses[a]++
		pattern[i] = a
	}
	return pattern
}

// largeSamples are policies of a fixed seed with 10 to 40 leaves: 20 of 40 without reuse, every third with reuse at the limit of 16, and
// others between.
func largeSamples(count int) (samples []sample) {
	rng := rand.New(rand.NewPCG(4, 1))
	flat := &tree{k: 20}
	for range 40 {
		flat.kids = append(flat.kids, &tree{})
	}
	samples = append(samples, sample{flat, distinct(40)})
	for i := 1; i < count; i++ {
		n := 10 + rng.IntN(24)
		names := 2 + rng.IntN(n-2)
		if i%3 == 1 {
			n = 33 + rng.IntN(8)
			names = 3 + rng.IntN(6)
		} else if i == 2 {
			n, names = 10, 4
		}
		samples = append(samples, sample{randomTree(rng, n), randomPattern(rng, n, names)})
	}
	return samples
}

// borders returns sets of attributes on both sides of the border of what the policy grants: attributes are taken in random order
// until the policy holds, and without the last of them it does not.
func (s sample) borders(rng *rand.Rand, orders int) (sets []uint) {
	names := slices.Max(s.pattern) + 1
	for range orders {
		var set uint
		for _, a := range rng.Perm(names) {
			before := set
			set |= 1 << a
			if s.tree.holds(s.pattern, set) {
				sets = append(sets, before, set)
				break
			}
		}
	}
	return sets
}

// Above 9 leaves: a fixed sample of large policies, and sets on the border of what they grant, with pairings, against everything that
// the attacker can cancel.
func TestSoundnessLarge(t *testing.T) {
	count := 40
	if testing.Short() || pairing.Backend != "blst" {
		count = 6
	}
	const orders = 3
	samples := largeSamples(count)
	l := newBare()
	var smallest, largest, most, atLimit = 1000, 0, 0, 0
	for _, s := range samples {
		f := s.formula(t)
		smallest, largest, most = min(smallest, f.leaves()), max(largest, f.leaves()), max(most, f.tau())
		if f.tau() == maxUses {
			atLimit++
		}
	}
	var yes, no atomic.Int64
	eachOnAllCores(t, len(samples), func(t *testing.T, rng *rand.Rand, i int) {
		s := samples[i]
		ch := l.challenge(t, s.formula(t))
		for _, set := range s.borders(rng, orders) {
			holds := s.tree.holds(s.pattern, set)
			ch.check(t, rng, l.keyFor(set), holds)
			if holds {
				yes.Add(1)
			} else {
				no.Add(1)
			}
		}
		require.Equal(t, orders, ch.finish(t))
	})
	granted, denied := int(yes.Load()), int(no.Load())
	require.Equal(t, orders*count, granted)
	require.Equal(t, orders*count, denied)
	assert.Equal(t, []int{40, maxUses}, []int{largest, most})
	if count == 40 {
		assert.Equal(t, []int{10, 16}, []int{smallest, atLimit})
	}
	specSays(t, "40 policies of 10 to 40 leaves (240 sets, half of them granted), one of them \"20 of 40\" and 16 with tau at its limit of 16")
	t.Logf("%d policies with %d to %d leaves, %d of them with tau = %d; %d sets of attributes with pairings, %d of them granted",
		len(samples), smallest, largest, atLimit, maxUses, granted+denied, granted)
}
