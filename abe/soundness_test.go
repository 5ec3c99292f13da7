package abe

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// The tests in this file open real ciphertexts with pairings, past the friendly check. They are about the lock: for a
// policy and a set of attributes, plain evaluation, the chosen rows, the attacker's linear algebra and the pairings must
// say the same. rowspan_test.go does the linear algebra alone, over many more policies.

// combination is what a key is used with: a weight for each row of ct3, and for each owned attribute u and each j the
// weight of e(sk1[u], ct2[j]). Decryption by decapsulate is the case in which the weights agree; here they are free.
type combination struct {
	rows  []pairing.Scalar          // b_i
	pairs map[use][]weightedElement // a_(u,j), by j of ct2
}

type use struct{ j int }

type weightedElement struct {
	sk1    pairing.G1
	weight pairing.Scalar
}

// evaluate computes e(sk2,ct1) * prod_(u,j) e(sk1[u]^a_(u,j), ct2[j]) / e(prod_i ct3[i]^b_i, sk3).
func (c combination) evaluate(t testing.TB, f *formula, enc []byte, sk2 pairing.G1, sk3 pairing.G2) pairing.GT {
	ct1, err := pairing.NewG2(enc[:pairing.G2Size])
	require.NoError(t, err)
	ct2, ct3 := enc[pairing.G2Size:], enc[pairing.G2Size*(1+f.tau()):]
	sum := pairing.G1Identity()
	for i, b := range c.rows {
		if b.IsZero() {
			continue
		}
		point, err := pairing.NewG1(ct3[pairing.G1Size*i:][:pairing.G1Size])
		require.NoError(t, err)
		sum = sum.Add(point.Mul(b))
	}
	factors := []pairing.Pair{{P: sk2, Q: ct1}, {P: sum, Q: sk3, Inverse: true}}
	for u, elements := range c.pairs {
		left := pairing.G1Identity()
		for _, e := range elements {
			left = left.Add(e.sk1.Mul(e.weight))
		}
		point, err := pairing.NewG2(ct2[pairing.G2Size*(u.j-1):][:pairing.G2Size])
		require.NoError(t, err)
		factors = append(factors, pairing.Pair{P: left, Q: point})
	}
	return pairing.PairProduct(factors...)
}

// attack solves the system of everything that a key for the owned attributes can cancel: weights b with sum b_i M_i = e_0
// and, for each attribute that is not owned and each j, sum of b_i over the rows with that attribute and rho(i) = j equal
// to zero. Free unknowns are drawn. ok is false if there is no solution.
func attack(rng *rand.Rand, f *formula, owned func(atom) bool) (b []*big.Int, ok bool) {
	rows := f.rows()
	type cancelled struct {
		u atom
		j int
	}
	index := map[cancelled]int{}
	for _, r := range rows {
		if c := (cancelled{r.atom, r.rho}); !owned(r.atom) {
			if _, known := index[c]; !known {
				index[c] = f.cols() + len(index)
			}
		}
	}
	equations := make([][]*big.Int, f.cols()+len(index))
	for e := range equations {
		equations[e] = make([]*big.Int, len(rows)+1)
		for i := range equations[e] {
			equations[e][i] = new(big.Int)
		}
	}
	equations[0][len(rows)].SetInt64(1)
	for i, r := range rows {
		for _, term := range r.m {
			equations[term.col][i].SetBytes(term.coeff.be[:])
		}
		if e, hidden := index[cancelled{r.atom, r.rho}]; hidden {
			equations[e][i].SetInt64(1)
		}
	}
	return solve(rng, equations, len(rows))
}

// solve is Gaussian elimination modulo the group order; the last entry of an equation is its right side.
func solve(rng *rand.Rand, equations [][]*big.Int, unknowns int) ([]*big.Int, bool) {
	pivotOf := make([]int, unknowns)
	done := 0
	for i := range unknowns {
		pivotOf[i] = -1
		at := slices.IndexFunc(equations[done:], func(e []*big.Int) bool { return e[i].Sign() != 0 })
		if at < 0 {
			continue
		}
		equations[done], equations[done+at] = equations[done+at], equations[done]
		pivot := equations[done]
		inverse := new(big.Int).ModInverse(pivot[i], groupOrder)
		for k := range pivot {
			pivot[k].Mod(pivot[k].Mul(pivot[k], inverse), groupOrder)
		}
		for n, e := range equations {
			if n == done || e[i].Sign() == 0 {
				continue
			}
			factor := new(big.Int).Set(e[i])
			for k := range e {
				e[k].Mod(e[k].Sub(e[k], new(big.Int).Mul(factor, pivot[k])), groupOrder)
			}
		}
		pivotOf[i] = done
		if done++; done == len(equations) {
			for i++; i < unknowns; i++ {
				pivotOf[i] = -1
			}
			break
		}
	}
	for _, e := range equations[done:] {
		if e[unknowns].Sign() != 0 {
			return nil, false
		}
	}
	x := make([]*big.Int, unknowns)
	for i := range x {
		if pivotOf[i] < 0 {
			x[i] = new(big.Int).SetUint64(rng.Uint64())
		}
	}
	for i := range x {
		if pivotOf[i] < 0 {
			continue
		}
		x[i] = new(big.Int).Set(equations[pivotOf[i]][unknowns])
		for k := range x {
			if pivotOf[k] < 0 {
				x[i].Sub(x[i], new(big.Int).Mul(equations[pivotOf[i]][k], x[k]))
			}
		}
		x[i].Mod(x[i], groupOrder)
	}
	return x, true
}

func publicScalar(x *big.Int) pairing.Scalar { return newCoefficient(x).scalar() }

// withRows is the combination for row weights b: what belongs to owned attributes is cancelled; substitute says what stands for a
// component that the key does not have.
func withRows(f *formula, b []pairing.Scalar, k *Key, substitute func(atom) (pairing.G1, bool)) combination {
	c := combination{rows: b, pairs: map[use][]weightedElement{}}
	for i, r := range f.rows() {
		if b[i].IsZero() {
			continue
		}
		sk1, ok := fabeoOf(k).sk1[r.atom]
		if !ok {
			sk1, ok = substitute(r.atom)
		}
		if ok {
			c.pairs[use{r.rho}] = append(c.pairs[use{r.rho}], weightedElement{sk1, b[i]})
		}
	}
	return c
}

func nothing(atom) (pairing.G1, bool) { return pairing.G1{}, false }

// sampler caches what the tests open with.
type sampler struct {
	authority *Authority
	keys      []*Key // by set of pattern attributes
}

func newSampler(t testing.TB, names int) *sampler {
	a := generate(t)
	s := &sampler{authority: a}
	for set := range uint(1) << names {
		var attributes []Attribute
		for i := range names {
			if set>>i&1 == 1 {
				attributes = append(attributes, patternAttribute(i))
			}
		}
		s.keys = append(s.keys, keyFor(a, attributes...)) // also the empty key, which IssueKey refuses
	}
	return s
}

// challenge is one encapsulation under a policy, on a day that every key reads, with what the sealer knows.
type challenge struct {
	policy *Policy
	f      *formula // with the day
	h      *header
	sigma  [keySize]byte
	K      [keySize]byte
	d      pairing.GT
}

func (s *sampler) challenge(t testing.TB, policy *Policy) *challenge {
	return s.challengeWith(t, policy, policy.onDay(testDay))
}

// challengeWith seals with f in the place of what policy stands for.
func (s *sampler) challengeWith(t testing.TB, policy *Policy, f *formula) *challenge {
	sealer, err := s.authority.Params().sealer(policy, &Options{Day: testDay})
	require.NoError(t, err)
	sealer.formula = f
	sealer.bodySize = fabeoBodySize(f.leaves(), f.tau())
	var sigma [keySize]byte
	x := pairing.RandomScalar().Bytes()
	copy(sigma[:], x[:])
	core, K := sealer.encapsulateSigma(sigma)
	sealed, err := sealRecord(core, K, "", nil, nil)
	require.NoError(t, err)
	tail := sealed[len(core)+4:]
	h := &header{pre: core[:len(core)-sealer.bodySize], body: core[len(core)-sealer.bodySize:], core: core, wrapped: tail[:wrappedSize], commit: tail[wrappedSize:][:keySize]}
	pub := fabeoPublicOf(s.authority.Params())
	_, s1 := pub.encrypt(f, coins{xof(labelCoins, sigma[:], h.pre)})
	return &challenge{policy, f, h, sigma, K, pub.y.Exp(s1)}
}

// decapsulate does the mathematics alone.
func (ch *challenge) decapsulate(k *Key, sel []selected) ([keySize]byte, error) {
	return k.in().secret.decapsulate(ch.h.pre, ch.h.body, ch.f, sel)
}

// opens says whether a combination of what k has gives d.
func (ch *challenge) opens(t testing.TB, c combination, k *Key) bool {
	return c.evaluate(t, ch.f, ch.h.enc(), fabeoOf(k).sk2, fabeoOf(k).sk3).Equal(ch.d)
}

// check compares everything for one set. It returns whether the attributes were enough by the attacker's linear algebra.
func (s *sampler) check(t testing.TB, rng *rand.Rand, ch *challenge, k *Key, holds bool) {
	p, f, attributes := ch.policy, ch.f, k.Attributes()
	sel, ok := f.satisfy(k.has)
	require.Equal(t, holds, ok, "%v with %v: evaluator against satisfy", p, attributes)

	b, solvable := attack(rng, f, k.has)
	require.Equal(t, holds, solvable, "%v with %v: evaluator against the attacker's linear system", p, attributes)
	if holds {
		sigma, err := ch.decapsulate(k, sel)
		require.NoError(t, err, "%v with %v", p, attributes)
		require.Equal(t, ch.sigma, sigma)
		weights := make([]pairing.Scalar, len(b))
		for i := range b {
			weights[i] = publicScalar(b[i])
		}
		require.True(t, ch.opens(t, withRows(f, weights, k, nothing), k), "%v with %v: any solution of the system opens", p, attributes)
		// One coefficient off: nothing opens.
		wrong := slices.Clone(sel)
		wrong[rng.IntN(len(wrong))].coeff = newCoefficient(new(big.Int).SetUint64(rng.Uint64() | 2))
		_, err = ch.decapsulate(k, wrong)
		require.ErrorIs(t, err, ErrDecrypt)
		return
	}
	// The best that is left: rows as if one more attribute were owned, or all, with the missing components left out, or
	// other components of the key in their place.
	best, _ := f.satisfy(func(atom) bool { return true })
	for _, r := range f.rows() {
		if one, ok := f.satisfy(func(u atom) bool { return k.has(u) || u == r.atom }); ok {
			best = one
			break
		}
	}
	weights := make([]pairing.Scalar, len(f.rows()))
	for _, c := range best {
		weights[c.row] = c.coeff.scalar()
	}
	require.False(t, ch.opens(t, withRows(f, weights, k, nothing), k), "%v with %v opened", p, attributes)
	other := fabeoOf(k).sk2
	if atoms := fabeoOf(k).atoms; len(atoms) > 0 {
		other = fabeoOf(k).sk1[atoms[rng.IntN(len(atoms))]]
	}
	forged := relabelled(k, f, other)
	_, err := ch.decapsulate(forged, best)
	require.ErrorIs(t, err, ErrDecrypt, "%v with %v opened", p, attributes)
}

// relabelled is k with other for every attribute of the formula that it lacks.
func relabelled(k *Key, f *formula, other pairing.G1) *Key {
	s := *fabeoOf(k)
	s.sk1 = map[atom]pairing.G1{}
	for _, r := range f.rows() {
		s.sk1[r.atom] = other
	}
	for u, sk1 := range fabeoOf(k).sk1 {
		s.sk1[u] = sk1
	}
	parts := *k.in()
	parts.secret = &s
	return keyOf(&parts)
}

// eachOnAllCores runs f for 0 to n-1, in as many parallel subtests as there are cores.
func eachOnAllCores(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand, i int)) {
	t.Run("all", func(t *testing.T) {
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for i := w; i < n; i += workers {
					f(t, rand.New(rand.NewPCG(2, uint64(i))), i) // a seed of its own, so that a failure repeats
				}
			})
		}
	})
}

type sample struct {
	tree    *tree
	pattern []int
}

func (s *sampler) run(t *testing.T, samples []sample) (states, granted int) {
	var all, yes atomic.Int64
	eachOnAllCores(t, len(samples), func(t *testing.T, rng *rand.Rand, i int) {
		tree, pattern := samples[i].tree, samples[i].pattern
		ch := s.challenge(t, tree.policy(t, pattern))
		for set := range uint(1) << (slices.Max(pattern) + 1) {
			holds := tree.holds(pattern, set)
			s.check(t, rng, ch, s.keys[set], holds)
			all.Add(1)
			if holds {
				yes.Add(1)
			}
		}
	})
	return int(all.Load()), int(yes.Load())
}

// Every tree of and, or and k-of gates with up to 4 leaves, every way to use attributes more than once, every set of
// attributes, with pairings. docs/spec/abe.md section 11 states the numbers.
func TestSoundnessExhaustive(t *testing.T) {
	largest, wantPolicies, wantStates, wantGranted := 4, 270, 1628, 814
	if testing.Short() {
		largest, wantPolicies, wantStates, wantGranted = 3, 30, 124, 62 // 2 + 2*6 + 5*22 sets
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
	states, granted := newSampler(t, largest).run(t, samples)
	assert.Equal(t, wantStates, states)
	assert.Equal(t, wantGranted, granted)
	if !testing.Short() {
		specSays(t, "(270 policies, 1,628 sets, of which 814 are\n  granted)")
	}
	t.Logf("%d policies, %d sets of attributes with pairings, %d of them granted", len(samples), states, granted)
}

// specSays keeps the numbers in the specification true.
func specSays(t *testing.T, text string) {
	spec, err := os.ReadFile(filepath.Join("..", "docs", "spec", "abe.md"))
	require.NoError(t, err)
	require.Contains(t, string(spec), text)
}

// Above that, a seeded sample of trees of 5 to 8 leaves over at most 4 attributes, so that most are used more than once.
func TestSoundnessSampled(t *testing.T) {
	count := 60
	if testing.Short() {
		count = 6
	}
	rng := rand.New(rand.NewPCG(1, 1))
	byLeaves := map[int][]*tree{}
	var samples []sample
	want := 0
	for range count {
		n := 5 + rng.IntN(4)
		if byLeaves[n] == nil {
			byLeaves[n] = allTrees(n)
		}
		pattern := make([]int, n)
		for i := range pattern {
			pattern[i] = rng.IntN(4)
		}
		samples = append(samples, sample{byLeaves[n][rng.IntN(len(byLeaves[n]))], pattern})
		want += 1 << (slices.Max(pattern) + 1)
	}
	states, granted := newSampler(t, 4).run(t, samples)
	assert.Equal(t, want, states)
	if !testing.Short() {
		assert.Equal(t, 920, states)
		specSays(t, "sample of 60 policies with 5 to 8 leaves over at most 4 attributes (920 sets)")
	}
	t.Logf("%d policies, %d sets of attributes with pairings, %d of them granted", len(samples), states, granted)
}
