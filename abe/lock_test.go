package abe

import (
	"crypto/rand"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381/ff"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// bare is FABEO with nothing in front of it: formulas, atoms, keys and bodies, without headers and friendly checks.
type bare struct{ master *fabeoMaster }

func newBare() bare { return bare{newFABEOMaster(pairing.RandomScalar())} }

func (l bare) pub() *fabeoPublic { return l.master.pub }

// key makes a key for any atoms, none included, which IssueKey refuses.
func (l bare) key(atoms ...atom) *fabeoKey { return l.master.keyGen(atoms) }

// keyFor makes a key for a set of patternAttributes and for other atoms.
func (l bare) keyFor(set uint, others ...atom) *fabeoKey {
	var atoms []atom
	for i := range 64 {
		if set>>i&1 == 1 {
			atoms = append(atoms, patternAttribute(i).atom())
		}
	}
	return l.key(append(atoms, others...)...)
}

// challenge is one encapsulation under a formula with what the sealer knows, and an attacker with every component that the formula asks for, of
// which he may use some: a key for fewer atoms is a part of his, whatever its exponent.
type challenge struct {
	f         *formula
	pre, body []byte
	sigma     [keySize]byte
	master    pairing.G1 // g1^alpha
	d         pairing.GT // as the sealer has it
	e         *fabeoElements
	all       *fabeoKey
	first     pairing.GT // e(sk2, ct1) of all

	rest  int             // check runs the rest of decapsulation for one set in so many
	known map[string]bool // attempts of which the pairings were computed, and need not be again; nil to compute them each time

	solutions int
	random    pairing.Scalar   // sum of the random weights of the solutions
	rows      []pairing.Scalar // of each row: sum of its randomly weighted weights in the solutions
	owned     []pairing.Scalar // the same for solutions in which its atom was owned
}

func (l bare) challenge(t testing.TB, f *formula) *challenge {
	atoms := slices.Clone(f.atoms)
	slices.Sort(atoms)
	return l.challengeTo(t, f, l.key(slices.Compact(atoms)...))
}

// challengeTo is challenge with the attacker's components given: all has every atom of the formula.
func (l bare) challengeTo(t testing.TB, f *formula, all *fabeoKey) *challenge {
	ch := &challenge{f: f, pre: []byte("what stands before the body"), all: all, rest: 8, master: pairing.G1Generator().Mul(l.master.alpha),
		rows: make([]pairing.Scalar, f.leaves()), owned: make([]pairing.Scalar, f.leaves())}
	rand.Read(ch.sigma[:])
	enc, d := l.pub().encryptSecrets(f, coins{xof(labelCoins, ch.sigma[:], ch.pre)}.draw(f))
	ch.d, ch.body = d, mask(ch.pre, enc, d, ch.sigma)
	ch.e = decodeAll(t, f, enc)
	ch.first = pairing.PairProduct(pairing.Pair{P: all.sk2, Q: ch.e.ct1})
	return ch
}

// before says whether the pairings of an attempt, rows with their weights and which of them are owned, were computed before.
func (ch *challenge) before(sel []selected, owned func(atom) bool) bool {
	if ch.known == nil {
		return false
	}
	var attempt []byte
	for _, c := range sel {
		attempt = append(append(attempt, byte(c.row), 0), c.coeff.be[:]...)
		if owned(ch.f.atoms[c.row]) {
			attempt[len(attempt)-len(c.coeff.be)-1] = 1
		}
	}
	was := ch.known[string(attempt)]
	ch.known[string(attempt)] = true
	return was
}

// decodeAll decodes every element of enc.
func decodeAll(t testing.TB, f *formula, enc []byte) *fabeoElements {
	require.Equal(t, fabeoBodySize(f.leaves(), f.tau())-keySize, len(enc))
	var every []selected
	for i := range f.leaves() {
		every = append(every, selected{i, coefficientOne()})
	}
	e := new(fabeoElements)
	require.NoError(t, e.decode(f, enc, every, true))
	return e
}

// combineWeighted is what an attacker takes for d with free weights b of the rows. What belongs to atoms that are owned is cancelled, for other
// atoms nothing is put in:
//
//	e(sk2,ct1) * prod_j e(prod_{rho(i)=j, pi(i) owned} sk1[pi(i)]^b_i, ct2[j]) / e(prod_i ct3[i]^b_i, sk3)
func combineWeighted(f *formula, e *fabeoElements, b []pairing.Scalar, k *fabeoKey) pairing.GT {
	first := pairing.PairProduct(pairing.Pair{P: k.sk2, Q: e.ct1})
	return first.Mul(combineRest(f, e, func(i int, p pairing.G1) pairing.G1 { return p.Mul(b[i]) }, k.has, k))
}

// combineRest is combineWeighted without its first factor. weigh returns the point to the power of the weight of row i.
func combineRest(f *formula, e *fabeoElements, weigh func(i int, p pairing.G1) pairing.G1, owned func(atom) bool, k *fabeoKey) pairing.GT {
	left, right := make([]pairing.G1, len(e.ct2)), pairing.G1Identity()
	for j := range left {
		left[j] = pairing.G1Identity()
	}
	for i, r := range f.rows() {
		right = right.Add(weigh(i, e.ct3[i]))
		if owned(r.atom) {
			left[r.rho] = left[r.rho].Add(weigh(i, k.sk1[r.atom]))
		}
	}
	factors := []pairing.Pair{{P: right, Q: k.sk3, Inverse: true}}
	for j := 1; j < len(left); j++ {
		if !left[j].IsIdentity() {
			factors = append(factors, pairing.Pair{P: left[j], Q: e.ct2[j]})
		}
	}
	return pairing.PairProduct(factors...)
}

// opens says whether weights b give d for a key.
func (ch *challenge) opens(b []pairing.Scalar, k *fabeoKey) bool {
	return combineWeighted(ch.f, ch.e, b, k).Equal(ch.d)
}

// selectionOpens says whether a selection gives d for the attacker with the atoms that are owned.
func (ch *challenge) selectionOpens(sel []selected, owned func(atom) bool) bool {
	weigh := func(i int, p pairing.G1) pairing.G1 {
		if at := slices.IndexFunc(sel, func(c selected) bool { return c.row == i }); at >= 0 {
			return sel[at].coeff.mul(p)
		}
		return pairing.G1Identity()
	}
	return ch.first.Mul(combineRest(ch.f, ch.e, weigh, owned, ch.all)).Equal(ch.d)
}

// mustOpen takes note that weights b must give d for the attacker with the atoms that are owned. finish computes the pairings of all
// such solutions at once: the product of all combinations, each to the power of a fresh random 128-bit weight, is d to the power of the sum of
// those weights, where d is e(g1^alpha, ct1), as the authority has it. If one of them is wrong, it holds with probability 2^-128.
func (ch *challenge) mustOpen(b []pairing.Scalar, owned func(atom) bool) {
	delta := pairing.RandomWeights(1)[0].Scalar()
	ch.solutions++
	ch.random = ch.random.Add(delta)
	for i, u := range ch.f.atoms {
		w := delta.Mul(b[i])
		ch.rows[i] = ch.rows[i].Add(w)
		if owned(u) {
			ch.owned[i] = ch.owned[i].Add(w)
		}
	}
}

// finish checks the notes of mustOpen, and returns how many there were.
func (ch *challenge) finish(t testing.TB) int {
	left, right := make([]pairing.G1, len(ch.e.ct2)), pairing.G1Identity()
	for j := range left {
		left[j] = pairing.G1Identity()
	}
	for i, r := range ch.f.rows() {
		right = right.Add(ch.e.ct3[i].Mul(ch.rows[i]))
		left[r.rho] = left[r.rho].Add(ch.all.sk1[r.atom].Mul(ch.owned[i]))
	}
	factors := []pairing.Pair{{P: ch.all.sk2.Add(ch.master.Neg()).Mul(ch.random), Q: ch.e.ct1}, {P: right, Q: ch.all.sk3, Inverse: true}}
	for j := 1; j < len(left); j++ {
		factors = append(factors, pairing.Pair{P: left[j], Q: ch.e.ct2[j]})
	}
	require.True(t, pairing.PairProduct(factors...).IsIdentity(), "%q: any solution of the system opens", ch.f.atoms)
	return ch.solutions
}

// check compares everything for one key: plain evaluation, given as holds, the span of the rows that the key owns, satisfy, the linear
// system of everything that can be cancelled, and the pairings, for what is granted together with finish.
func (ch *challenge) check(t testing.TB, rng *mathrand.Rand, k *fabeoKey, holds bool) {
	f := ch.f
	owned := vectorSpace{dim: f.cols()}
	for i, row := range denseFormula(f, 0) {
		if k.has(f.atoms[i]) {
			owned = owned.with(row)
		}
	}
	require.Equal(t, holds, owned.hasSecret(), "%q with %q: evaluation against row span", f.atoms, k.atoms)
	sel, ok := f.satisfy(k.has)
	require.Equal(t, holds, ok, "%q with %q: evaluation against satisfy", f.atoms, k.atoms)
	b, solvable := attack(rng, f, k.has)
	require.Equal(t, holds, solvable, "%q with %q: evaluation against the attacker's linear system", f.atoms, k.atoms)
	// Every set has its pairings, and one in so many the rest of decapsulation.
	whole := rng.IntN(ch.rest) == 0
	refused := func(k *fabeoKey, sel []selected, why string) {
		_, err := k.decapsulate(ch.pre, ch.body, f, sel)
		require.ErrorIs(t, err, ErrDecrypt, "%q with %q opened: %s", f.atoms, k.atoms, why)
	}
	if holds {
		if !ch.before(sel, k.has) {
			require.True(t, k.combine(f, ch.e, sel).Equal(ch.d), "%q with %q did not open", f.atoms, k.atoms)
		}
		ch.mustOpen(b, k.has)
		if !whole {
			return
		}
		sigma, err := k.decapsulate(ch.pre, ch.body, f, sel)
		require.NoError(t, err, "%q with %q", f.atoms, k.atoms)
		require.Equal(t, ch.sigma, sigma)
		wrong := slices.Clone(sel)
		wrong[rng.IntN(len(wrong))].coeff = newCoefficient(new(big.Int).SetUint64(rng.Uint64() | 2))
		refused(k, wrong, "one coefficient off")
		return
	}
	// The best that is left: rows as if one more atom were owned, or all, with the missing components left out, or
	// other components of the key in their place.
	best, _ := f.satisfy(func(atom) bool { return true })
	for _, u := range f.atoms {
		if one, ok := f.satisfy(func(v atom) bool { return k.has(v) || u == v }); ok {
			best = one
			break
		}
	}
	if !ch.before(best, k.has) {
		require.False(t, ch.selectionOpens(best, k.has), "%q with %q opened", f.atoms, k.atoms)
	}
	if !whole {
		return
	}
	other := k.sk2
	if n := len(k.atoms); n > 0 {
		other = k.sk1[k.atoms[rng.IntN(n)]]
	}
	refused(relabelled(k, f, other), best, "with another component in the place of a missing one")
}

// relabelled is k with other for every atom of the formula that it lacks.
func relabelled(k *fabeoKey, f *formula, other pairing.G1) *fabeoKey {
	forged := *k
	forged.sk1 = map[atom]pairing.G1{}
	for _, u := range f.atoms {
		forged.sk1[u] = other
	}
	for u, sk1 := range k.sk1 {
		forged.sk1[u] = sk1
	}
	return &forged
}

// attack solves the system of everything that a key for the owned atoms can cancel: weights b with sum b_i M_i = e_0
// and, for each atom that is not owned and each j, sum of b_i over the rows with that atom and rho(i) = j equal
// to zero. Free unknowns are drawn. ok is false if there is no solution.
func attack(rng *mathrand.Rand, f *formula, owned func(atom) bool) (b []pairing.Scalar, ok bool) {
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
	equations := make([][]ff.Scalar, f.cols()+len(index))
	for e := range equations {
		equations[e] = make([]ff.Scalar, len(rows)+1)
	}
	equations[0][len(rows)].SetOne()
	for i, r := range rows {
		for _, term := range r.m {
			equations[term.col][i].SetBytes(term.coeff.be[:])
		}
		if e, hidden := index[cancelled{r.atom, r.rho}]; hidden {
			equations[e][i].SetOne()
		}
	}
	x, ok := solve(rng, equations, len(rows))
	for i := range x {
		be, err := x[i].MarshalBinary()
		if err != nil {
			panic(err)
		}
		b = append(b, newCoefficient(new(big.Int).SetBytes(be)).scalar())
	}
	return b, ok
}

// solve is Gaussian elimination modulo the group order; the last entry of an equation is its right side.
func solve(rng *mathrand.Rand, equations [][]ff.Scalar, unknowns int) ([]ff.Scalar, bool) {
	pivotOf := make([]int, unknowns) // of an unknown: its equation, or -1 for a free one
	done := 0
	var t, one ff.Scalar
	one.SetOne()
	for i := range unknowns {
		pivotOf[i] = -1
		at := slices.IndexFunc(equations[done:], func(e []ff.Scalar) bool { return e[i].IsZero() != 1 })
		if at < 0 {
			continue
		}
		equations[done], equations[done+at] = equations[done+at], equations[done]
		pivot := equations[done]
		inverse := pivot[i] // 1 and -1 are their own, and most are one of them
		if t.Sqr(&inverse); t.IsEqual(&one) != 1 {
			inverse.Inv(&pivot[i])
		}
		for k := range pivot {
			pivot[k].Mul(&pivot[k], &inverse)
		}
		for n, e := range equations {
			if factor := e[i]; n != done && factor.IsZero() != 1 {
				for k := range e {
					t.Mul(&factor, &pivot[k])
					e[k].Sub(&e[k], &t)
				}
			}
		}
		pivotOf[i] = done
		done++
	}
	for _, e := range equations[done:] {
		if e[unknowns].IsZero() != 1 {
			return nil, false
		}
	}
	x := make([]ff.Scalar, unknowns)
	for i := range x {
		if pivotOf[i] < 0 {
			x[i].SetUint64(rng.Uint64())
		}
	}
	for i := range x {
		if pivotOf[i] < 0 {
			continue
		}
		e := equations[pivotOf[i]]
		x[i] = e[unknowns]
		for k := range x {
			if pivotOf[k] < 0 {
				t.Mul(&e[k], &x[k])
				x[i].Sub(&x[i], &t)
			}
		}
	}
	return x, true
}

// eachOnAllCores runs f for 0 to n-1, in as many parallel subtests as there are cores.
func eachOnAllCores(t *testing.T, n int, f func(t *testing.T, rng *mathrand.Rand, i int)) {
	t.Run("all", func(t *testing.T) {
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for i := w; i < n; i += workers {
					f(t, mathrand.New(mathrand.NewPCG(2, uint64(i))), i) // a seed of its own, so that a failure repeats
				}
			})
		}
	})
}
