package abe

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The tests in this file open real ciphertexts with pairings, past the friendly check. They are about the lock: for a
// formula and a set of atoms, plain evaluation, the row span, the chosen rows, the attacker's linear algebra and the pairings must
// say the same. rowspan_test.go does the linear algebra alone, over many more formulas.

type sample struct {
	tree    *tree
	pattern []int
}

func (s sample) formula(t testing.TB) *formula { return s.tree.policy(t, s.pattern).formula() }

// checkSamples tries every set of attributes on each sample, and the rest of decapsulation for one set in 32. Where the package chooses the same rows
// for several sets of a policy, pairings with one key speak for all: the keys are of one authority and consistent, so that what they give for these
// rows is e(g1^alpha, ct1) times x^r with an x in which nothing is the key's, and r is not zero. An attempt on what is denied is made with the
// components of one key anyway.
func checkSamples(t *testing.T, names int, samples []sample) (states, granted int) {
	l := newBare()
	keys := make([]*fabeoKey, 1<<names)
	for set := range keys {
		keys[set] = l.keyFor(uint(set))
		require.True(t, keys[set].consistent())
	}
	var all, yes atomic.Int64
	eachOnAllCores(t, len(samples), func(t *testing.T, rng *rand.Rand, i int) {
		tree, pattern := samples[i].tree, samples[i].pattern
		ch := l.challengeTo(t, samples[i].formula(t), keys[len(keys)-1])
		ch.rest, ch.known = 32, map[string]bool{}
		for set := range uint(1) << (slices.Max(pattern) + 1) {
			holds := tree.holds(pattern, set)
			ch.check(t, rng, keys[set], holds)
			all.Add(1)
			if holds {
				yes.Add(1)
			}
		}
		ch.finish(t)
	})
	return int(all.Load()), int(yes.Load())
}

// Every tree of and, or and k-of gates with up to 5 leaves, every way to use attributes more than once, every set of
// attributes, with pairings; to 4 leaves where pairings are slow. docs/spec/abe-soundness.md states the numbers.
func TestSoundnessExhaustive(t *testing.T) {
	largest, wantPolicies, wantStates := 5, 3026, 25_690
	if testing.Short() || pairing.Backend != "blst" {
		largest, wantPolicies, wantStates = 4, 270, 1628
	}
	var samples []sample
	for n := 1; n <= largest; n++ {
		for _, tree := range allTrees(n) {
			for _, pattern := range allReusePatterns(n) {
				samples = append(samples, sample{tree, pattern})
			}
		}
	}
	require.Equal(t, wantPolicies, len(samples))
	states, granted := checkSamples(t, largest, samples)
	assert.Equal(t, wantStates, states)
	assert.Equal(t, wantStates/2, granted, "by duality: a tree with and and or, and k and n-k+1, exchanged grants what the tree denies to the others")
	specSays(t, "5 leaves, with attributes used more than once in all ways (3,026 policies, 25,690 sets, half of them granted)")
	specSays(t, "4 leaves (270 policies, 1,628 sets)")
	t.Logf("%d policies, %d sets of attributes with pairings, %d of them granted", len(samples), states, granted)
}

// specSays keeps the numbers in the specification true.
func specSays(t testing.TB, text string) {
	spec, err := os.ReadFile(filepath.Join("..", "docs", "spec", "abe-soundness.md"))
	require.NoError(t, err)
	require.Contains(t, string(spec), text)
}

// Above that, a seeded sample of trees of 6 to 9 leaves over at most 4 attributes, so that most are used more than once.
func TestSoundnessSampled(t *testing.T) {
	count, wantStates := 200, 3008
	if testing.Short() || pairing.Backend != "blst" {
		count, wantStates = 30, 456
	}
	rng := rand.New(rand.NewPCG(1, 1))
	byLeaves := map[int][]*tree{}
	var samples []sample
	for range count {
		n := 6 + rng.IntN(4)
		if byLeaves[n] == nil {
			byLeaves[n] = allTrees(n)
		}
		pattern := make([]int, n)
		for i := range pattern {
			pattern[i] = rng.IntN(4)
		}
		samples = append(samples, sample{byLeaves[n][rng.IntN(len(byLeaves[n]))], pattern})
	}
	states, granted := checkSamples(t, 4, samples)
	assert.Equal(t, wantStates, states)
	specSays(t, "200 policies of 6 to 9 leaves over at most 4 attributes (3,008 sets)")
	t.Logf("%d policies, %d sets of attributes with pairings, %d of them granted", len(samples), states, granted)
}

// Formulas with a sealing day: a key opens if its attributes satisfy the policy and the day is in its window. Windows end and begin at the
// day, one day beside it, and further away.
func TestSoundnessOfDays(t *testing.T) {
	count := 60
	if testing.Short() || pairing.Backend != "blst" {
		count = 12
	}
	l := newBare()
	trees := append(append(allTrees(2), allTrees(3)...), allTrees(4)...)
	var states, granted, late atomic.Int64
	eachOnAllCores(t, count, func(t *testing.T, rng *rand.Rand, i int) {
		s := sample{tree: trees[rng.IntN(len(trees))]}
		for range s.tree.leaves() {
			s.pattern = append(s.pattern, rng.IntN(3))
		}
		day := Day(rng.IntN(int(LastDay)-200) + 100)
		if i%2 == 1 { // around borders of the prefixes
			day = day &^ (1<<(2*(1+rng.IntN(6))) - 1)
		}
		ch := l.challenge(t, s.formula(t).withAnyOf(dayAtoms(uint16(day))))
		for _, w := range []Window{{0, LastDay}, {day, day}, {day - 50, day}, {day, day + 99}, {day - 1 - Day(rng.IntN(99)), day - 1}, {day + 1, day + 1 + Day(rng.IntN(99))}, {day + 1, LastDay}, {0, day - 1}} {
			set := uint(rng.IntN(8))
			if rng.IntN(2) == 0 {
				set = 7
			}
			satisfied, inside := s.tree.holds(s.pattern, set), w.First <= day && day <= w.Last
			ch.check(t, rng, l.keyFor(set, windowAtoms(uint16(w.First), uint16(w.Last))...), satisfied && inside)
			states.Add(1)
			if satisfied && inside {
				granted.Add(1)
			} else if satisfied {
				late.Add(1)
			}
		}
		ch.finish(t)
	})
	assert.EqualValues(t, 8*count, states.Load())
	assert.Greater(t, granted.Load(), states.Load()/5)
	assert.Greater(t, late.Load(), states.Load()/5, "refused for the day alone")
	specSays(t, "60 policies with a sealing day (480 pairs of attributes and window)")
	t.Logf("%d pairs of attributes and window with pairings, %d granted, %d refused for the day alone", states.Load(), granted.Load(), late.Load())
}
