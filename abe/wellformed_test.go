package abe

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// wellFormedPolicies have every gate, nested, with attributes used up to three times.
var wellFormedPolicies = []string{
	"a", "a and b", "a or b", "a and b and c", "a or b or c", "2 of (a, b, c)", "3 of (a, b, c, d)", "2 of (a, b, c, d)", "2 of (a, b, c, d, e)", "4 of (a, b, c, d, e)",
	"(a or b) and (a or c)", "(a and b) or (a and c) or (a and d)", "2 of (a, b and c, d or e)", "a and 2 of (a, b, 2 of (a, c, d))",
	"(a or b) and (c or d) and (e or a)", "2 of (2 of (a, b, c), 2 of (a, b, d), 3 of (b, c, d, a))", "a and (b or (c and (d or (e and a))))",
}

func randomPolicy(rng *rand.Rand, depth int) string {
	if depth == 0 || rng.IntN(4) == 0 {
		return string(rune('a' + rng.IntN(6)))
	}
	kids := make([]string, 2+rng.IntN(3))
	for i := range kids {
		kids[i] = randomPolicy(rng, depth-1)
	}
	return fmt.Sprintf("%d of (%s)", 1+rng.IntN(len(kids)), strings.Join(kids, ", "))
}

func manyFormulas(t *testing.T) map[string]*formula {
	texts := append([]string{}, wellFormedPolicies...)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 20 {
		texts = append(texts, randomPolicy(rng, 2+i/18)) // two of depth 3
	}
	formulas := map[string]*formula{}
	for _, text := range texts {
		f, err := fabeoPolicy(t, text).expand(nil)
		require.NoError(t, err)
		formulas[text] = f
	}
	return formulas
}

func bigOf(s pairing.Scalar) *big.Int { b := s.Bytes(); return new(big.Int).SetBytes(b[:]) }

// dense is the share matrix of f.
func dense(f *formula) [][]*big.Int {
	rows := make([][]*big.Int, f.leaves())
	for i, r := range f.rows() {
		rows[i] = make([]*big.Int, f.cols())
		for c := range rows[i] {
			rows[i][c] = new(big.Int)
		}
		for _, term := range r.m {
			rows[i][term.col].SetBytes(term.coeff.be[:])
		}
	}
	return rows
}

// rank is by elimination modulo the group order; it changes m.
func rank(m [][]*big.Int) (done int) {
	for c := 0; done < len(m) && c < len(m[0]); c++ {
		at := done
		for at < len(m) && m[at][c].Sign() == 0 {
			at++
		}
		if at == len(m) {
			continue
		}
		m[done], m[at] = m[at], m[done]
		inverse := new(big.Int).ModInverse(m[done][c], groupOrder)
		for n := done + 1; n < len(m); n++ {
			factor := new(big.Int).Mul(m[n][c], inverse)
			for k := range m[n] {
				m[n][k].Mod(m[n][k].Sub(m[n][k], new(big.Int).Mul(factor, m[done][k])), groupOrder)
			}
		}
		done++
	}
	return done
}

// The weights are what they should be, w M = (1, 0, ..., 0), and reach all of that space: the differences of many draws have its dimension, which is leaves minus
// columns. A draw that misses a direction lets rows pass that are wrong in it.
func TestCheckWeightsReachAll(t *testing.T) {
	for text, f := range manyFormulas(t) {
		m := dense(f)
		require.Equal(t, f.cols(), rank(dense(f)), text)
		free := f.leaves() - f.cols()
		var first []pairing.Scalar
		var spread [][]*big.Int
		for range free + 3 {
			w := f.checkWeights()
			for c := range f.cols() {
				sum := new(big.Int)
				for i := range w {
					sum.Add(sum, new(big.Int).Mul(bigOf(w[i]), m[i][c]))
				}
				want := int64(0)
				if c == 0 {
					want = 1
				}
				require.Equal(t, big.NewInt(want).String(), sum.Mod(sum, groupOrder).String(), "%s, column %d", text, c)
			}
			if first == nil {
				first = w
				continue
			}
			difference := make([]*big.Int, len(w))
			for i := range w {
				difference[i] = bigOf(w[i].Sub(first[i]))
			}
			spread = append(spread, difference)
		}
		require.Equal(t, free, rank(spread), text)
	}
}

func TestDifferences(t *testing.T) {
	for n := 1; n <= 9; n++ {
		for degree := range n {
			var g []pairing.Scalar
			for range degree + 1 {
				g = append(g, pairing.RandomScalar())
			}
			weights := differences(n, g)
			sum := pairing.Scalar{}
			p := []pairing.Scalar{}
			for range n - degree { // degree of p is n-degree-1
				p = append(p, pairing.RandomScalar())
			}
			for x, w := range weights {
				sum = sum.Add(w.Mul(evaluate(p, x)))
			}
			require.True(t, sum.IsZero(), "n %d, degree %d", n, degree)
			p = append(p, pairing.RandomScalar()) // one degree more: it is not
			sum = pairing.Scalar{}
			for x, w := range weights {
				sum = sum.Add(w.Mul(evaluate(p, x)))
			}
			require.False(t, sum.IsZero())
		}
	}
}

// sealedWith is a ciphertext whose row i hides shares[i], whatever the matrix says.
func sealedWith(p *fabeoPublic, f *formula, s1 pairing.Scalar, shares []pairing.Scalar) *fabeoElements {
	e := &fabeoElements{ct1: pairing.G2Generator().Mul(s1), ct2: make([]pairing.G2, 1)}
	s := make([]pairing.Scalar, 1)
	for range f.tau() {
		s = append(s, pairing.RandomScalar())
		e.ct2 = append(e.ct2, pairing.G2Generator().Mul(s[len(s)-1]))
	}
	for i, u := range f.atoms {
		e.ct3 = append(e.ct3, p.hb().Mul(shares[i]).Add(p.hashes.point(u).Mul(s[f.uses[i]])))
	}
	return e
}

func elements(t testing.TB, f *formula, enc []byte) *fabeoElements {
	e := new(fabeoElements)
	require.NoError(t, e.decodeAll(f, enc))
	return e
}

// What is accepted is what the matrix makes of some v, and nothing else: with shares in the span and outside, next to it and at random, linear algebra and the
// pairings say the same.
func TestWellFormedIsTheSpan(t *testing.T) {
	p := publicPart(fabeoAuthority(t, "").Params())
	rng := rand.New(rand.NewPCG(7, 7))
	formulas := manyFormulas(t)
	accepted, refused := 0, 0
	for text, f := range formulas {
		s1 := pairing.RandomScalar()
		secrets := []pairing.Scalar{s1}
		for len(secrets) < f.cols() {
			secrets = append(secrets, pairing.RandomScalar())
		}
		honest := make([]pairing.Scalar, f.leaves())
		for i, r := range f.rows() {
			honest[i] = r.share(secrets)
		}
		candidates := [][]pairing.Scalar{honest}
		for range 3 { // one share wrong
			shares := append([]pairing.Scalar{}, honest...)
			i := rng.IntN(len(shares))
			shares[i] = shares[i].Add(pairing.RandomScalar())
			candidates = append(candidates, shares)
		}
		two := append([]pairing.Scalar{}, honest...) // two shares wrong, with the same sum: right under an and
		delta := pairing.RandomScalar()
		two[0], two[len(two)-1] = two[0].Add(delta), two[len(two)-1].Sub(delta)
		all := make([]pairing.Scalar, len(honest)) // s1 to every row
		for i := range all {
			all[i] = s1
		}
		for _, shares := range append(candidates, two, all) {
			// shares - s1 M_0 is in the span of the other columns if and only if it adds nothing to their rank.
			m := dense(f)
			columns := make([][]*big.Int, f.cols())
			for c := 1; c < f.cols(); c++ {
				columns[c] = make([]*big.Int, len(m))
				for i := range m {
					columns[c][i] = new(big.Int).Set(m[i][c])
				}
			}
			columns[0] = make([]*big.Int, len(m))
			for i := range m {
				columns[0][i] = new(big.Int).Sub(bigOf(shares[i]), new(big.Int).Mul(bigOf(s1), m[i][0]))
				columns[0][i].Mod(columns[0][i], groupOrder)
			}
			want := rank(columns) == f.cols()-1
			require.Equal(t, want, p.wellFormed(f, sealedWith(p, f, s1, shares)), text)
			if want {
				accepted++
			} else {
				refused++
			}
		}
	}
	require.Greater(t, accepted, len(formulas), "all honest ones, and some others")
	require.Greater(t, refused, 2*len(formulas))
}

// Everything that sealing makes is accepted, and with any one element replaced by another of its group, or any two of one group exchanged, it is not.
func TestWellFormedRefusesEachWrongElement(t *testing.T) {
	a := fabeoAuthority(t, "")
	p := publicPart(a.Params())
	for text, f := range manyFormulas(t) {
		if f.leaves() > 8 || f.leaves() > 5 && testing.Short() {
			continue
		}
		l := lockFor(a.Params(), f)
		honest := elements(t, f, l.enc)
		require.True(t, p.wellFormed(f, honest), text)
		clone := func() *fabeoElements {
			return &fabeoElements{honest.ct1, slices.Clone(honest.ct2), slices.Clone(honest.ct3)}
		}
		c := clone()
		c.ct1 = c.ct1.Add(pairing.G2Generator())
		require.False(t, p.wellFormed(f, c), "%s: ct1", text)
		for j := 1; j < len(honest.ct2); j++ {
			c := clone()
			c.ct2[j] = c.ct2[j].Add(pairing.G2Generator())
			require.False(t, p.wellFormed(f, c), "%s: ct2 %d", text, j)
		}
		for i := range honest.ct3 {
			c := clone()
			c.ct3[i] = c.ct3[i].Add(p.hb())
			require.False(t, p.wellFormed(f, c), "%s: row %d", text, i)
			if i == 0 {
				c.ct3[i] = honest.ct3[i].Neg()
				require.False(t, p.wellFormed(f, c), "%s: row %d negated", text, i)
			}
		}
		if f.tau() > 1 {
			c := clone()
			c.ct2[1], c.ct2[2] = c.ct2[2], c.ct2[1]
			require.False(t, p.wellFormed(f, c), "%s: the uses exchanged", text)
		}
		other := lockFor(a.Params(), f)
		mixed := elements(t, f, slices.Concat(l.enc[:pairing.G2Size], other.enc[pairing.G2Size:]))
		require.False(t, p.wellFormed(f, mixed), "%s: ct1 of another", text)
	}
}

// A large "k of" has large weights, and all of them matter.
func TestWellFormedLargeThreshold(t *testing.T) {
	size := 200
	if testing.Short() {
		size = 40
	}
	names := make([]string, size)
	for i := range names {
		names[i] = fmt.Sprint("x", i)
	}
	a := fabeoAuthority(t, "")
	l := newLock(t, a.Params(), fmt.Sprintf("%d of (%s)", size/2, strings.Join(names, ", ")))
	c := elements(t, l.f, l.enc)
	p := publicPart(a.Params())
	require.True(t, p.wellFormed(l.f, c))
	c.ct3[size-1] = c.ct3[size-1].Add(pairing.G1Generator())
	require.False(t, p.wellFormed(l.f, c))
}

// Rows outside the subgroup never come to the equation: an order of three would pass one time in three.
func TestDecodeAllRefuses(t *testing.T) {
	a := fabeoAuthority(t, "")
	l := newLock(t, a.Params(), "(a or b) and (a or c)")
	elements(t, l.f, l.enc)
	ct3 := 3 * pairing.G2Size
	for name, at := range map[string]struct{ at, size int }{
		"ct1": {0, pairing.G2Size}, "ct2": {2 * pairing.G2Size, pairing.G2Size}, "first row": {ct3, pairing.G1Size}, "last row": {ct3 + 3*pairing.G1Size, pairing.G1Size},
	} {
		for kind, first := range map[string]byte{"identity": 0xc0, "order three or off the curve": 0x80} {
			point := make([]byte, at.size)
			point[0] = first
			require.Error(t, new(fabeoElements).decodeAll(l.f, changedAt(l.enc, at.at, point...)), "%s: %s", name, kind)
		}
	}
}
