package dp

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tape is an endless fixed tape: SHA-256(label, counter), block after block.
func tape(label string) *source {
	counter := uint64(0)
	return newTape(func(b []byte) {
		for len(b) > 0 {
			block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(label), counter))
			counter++
			b = b[copy(b, block[:]):]
		}
	})
}

// slow is the same sampler on math/big.
func slow(n Noise) *sampler {
	d := newSampler(n)
	d.fast = false
	return d
}

func noiseOf(m Mechanism, num, den int64) Noise { return Noise{m, big.NewRat(num, den)} }

// chiSquare compares samples with exact probabilities. Outcomes are joined, from left to right, until at least 500 are expected, so
// that the chi-square approximation holds far into its tail. A correct sampler fails with probability about 1e-12; with fewer than
// fifty calls in this package that is below 1e-10 per run, with a factor of ten to spare for the approximation.
func chiSquare(t *testing.T, n int, p []float64, draw func() int) {
	t.Helper()
	observed := make([]int, len(p)+1)
	for range n {
		if i := draw(); i >= 0 && i < len(p) {
			observed[i]++
		} else {
			observed[len(p)]++
		}
	}
	rest := 1.0
	x, bins, e, o := 0.0, 0, 0.0, 0
	for i, q := range p {
		rest -= q
		e += q * float64(n)
		o += observed[i]
		if e >= 500 {
			x += (float64(o) - e) * (float64(o) - e) / e
			bins, e, o = bins+1, 0, 0
		}
	}
	e, o = e+math.Max(rest, 0)*float64(n), o+observed[len(p)]
	if e >= 100 {
		x += (float64(o) - e) * (float64(o) - e) / e
		bins++
	} else if o > 1000 { // far above 100 expected: probability below 1e-100
		t.Fatalf("%d outcomes where %.1f are expected", o, e)
	}
	require.Greater(t, bins, 1)
	tail := chiSquareTail(x, bins-1)
	require.Greaterf(t, tail, 1e-12, "chi-square %.1f in %d bins", x, bins)
}

var chiSquareNoises = []Noise{
	noiseOf(Laplace, 1, 3), noiseOf(Laplace, 1, 1), noiseOf(Laplace, 7, 2), noiseOf(Laplace, 1<<20, 104857), noiseOf(Laplace, 300, 1),
	noiseOf(Gaussian, 1, 5), noiseOf(Gaussian, 1, 1), noiseOf(Gaussian, 10, 3), noiseOf(Gaussian, 655361, 65536), noiseOf(Gaussian, 40000, 1),
}

func TestSamplersChiSquare(t *testing.T) {
	for _, n := range chiSquareNoises {
		for _, path := range []struct {
			name string
			d    *sampler
			n    int
		}{{"fast", newSampler(n), 200_000}, {"big", slow(n), 30_000}} {
			t.Run(fmt.Sprint(n, " ", path.name), func(t *testing.T) {
				require.Equal(t, path.name == "fast", path.d.fast)
				src := newSource()
				reach := int(12*n.StdDev()) + 3
				chiSquare(t, path.n, pmf(n, reach), func() int {
					v, ok := path.d.draw(src)
					require.True(t, ok)
					return int(v) + reach
				})
			})
		}
	}
}

// The test above would be worth nothing if it could not tell a wrong sampler: a variance that is 5% off must fail. The tape is fixed: on a fresh one
// the statistic, of mean 199 and standard deviation 28, would stay below the limit of about 95 once in some 100,000 runs.
func TestChiSquareHasPower(t *testing.T) {
	drawn, claimed := newSampler(noiseOf(Gaussian, 105, 10)), noiseOf(Gaussian, 10, 1)
	src := tape("power")
	p := pmf(claimed, 40)
	observed := make([]float64, len(p))
	const n = 200_000
	for range n {
		v, _ := drawn.draw(src)
		observed[int(v)+40]++
	}
	x, bins := 0.0, 0
	for i := range p {
		if e := p[i] * n; e >= 500 {
			x += (observed[i] - e) * (observed[i] - e) / e
			bins++
		}
	}
	require.Less(t, chiSquareTail(x, bins-1), 1e-12)
}

func TestBernoulliExpChiSquare(t *testing.T) {
	for _, g := range []struct{ x, y uint64 }{{0, 1}, {1, 1}, {1, 2}, {3, 2}, {7, 2}, {999_999, 1_000_000}, {1, 1000}} {
		t.Run(fmt.Sprintf("%d/%d", g.x, g.y), func(t *testing.T) {
			src := newSource()
			yes := math.Exp(-float64(g.x) / float64(g.y))
			const n = 200_000
			hits := 0
			for range n {
				if src.bernoulliExp(u128{0, g.x}, u128{0, g.y}) {
					hits++
				}
			}
			if g.x == 0 {
				require.Equal(t, n, hits)
				return
			}
			// Exact tails: each side is wrong with probability at most 1e-12.
			require.Less(t, clopperLow(hits, n, 1e-12), yes)
			require.Greater(t, clopperHigh(hits, n, 1e-12), yes)
		})
	}
}

func TestUniformChiSquare(t *testing.T) {
	for _, n := range []uint64{2, 3, 7, 100, 257} {
		src := newSource()
		p := make([]float64, n)
		for i := range p {
			p[i] = 1 / float64(n)
		}
		chiSquare(t, 300_000, p, func() int { return int(src.uniform(n)) })
		chiSquare(t, 300_000, p, func() int { return int(src.uniform128(u128{0, n}.mustShift()).hi) })
	}
}

// mustShift is n * 2^64, so that the high word of an even draw below it is even below n.
func (a u128) mustShift() u128 { return u128{a.lo, 0} }

// On one tape, all versions of a sampler read the same bytes and give the same numbers.
func TestFastEqualsBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.String().Draw(t, "tape")
		n := Noise{
			rapid.SampledFrom([]Mechanism{Laplace, Gaussian}).Draw(t, "mechanism"),
			// With both near 2^62 the variance is below 1 and |Y| q t overflows now and then, so that single decisions use math/big.
			rapid.OneOf(
				rapid.Custom(func(t *rapid.T) *big.Rat {
					return big.NewRat(rapid.Int64Range(1, 1<<50).Draw(t, "num"), rapid.Int64Range(1, 1<<30).Draw(t, "den"))
				}),
				rapid.Custom(func(t *rapid.T) *big.Rat {
					den := rapid.Int64Range(1<<61, 1<<62).Draw(t, "den")
					return big.NewRat(rapid.Int64Range(den/2, den).Draw(t, "num"), den)
				}),
			).Draw(t, "scale"),
		}
		a, b := tape(label), tape(label)
		fast, big := newSampler(n), slow(n)
		if !fast.fast {
			t.Skip("does not fit")
		}
		for range 40 {
			v, ok := fast.draw(a)
			w, ok2 := big.draw(b)
			if v != w || ok != ok2 {
				t.Fatalf("fast %d %v, big %d %v", v, ok, w, ok2)
			}
		}
		if a.byte() != b.byte() {
			t.Fatal("the tapes are at different places")
		}
	})
}

func TestUniform128EqualsBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := u128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		if n == (u128{}) {
			n.lo = 1
		}
		a, b := tape("u"), tape("u")
		for range 5 {
			if v := a.uniform128(n); v.big().Cmp(b.uniformBig(n.big())) != 0 || !v.less(n) {
				t.Fatal("uniform128 differs from uniformBig")
			}
		}
	})
}

func TestSourceWipes(t *testing.T) {
	s := tape("w")
	for range 100 {
		s.byte()
	}
	require.True(t, zero(s.buf[:100]))
	require.False(t, zero(s.buf[100:]))
	s.wipe()
	require.True(t, zero(s.buf[:]))
	b := tape("w")
	for range len(b.buf) {
		b.byte()
	}
	require.Equal(t, b.byte(), s.byte(), "after wiping, the next block is read")
}

func TestPoolGivesEachSampleOnce(t *testing.T) {
	n := noiseOf(Gaussian, 1<<40, 1) // so wide that two equal samples among few are a fault
	p := newPool(newSource())
	_, err := p.take(n, 3)
	require.NoError(t, err)
	require.Len(t, p.stock[n.key()], poolSpare)
	seen := make(map[int64]bool)
	for range 40 {
		s, err := p.take(n, 5)
		require.NoError(t, err)
		require.Len(t, s, 5)
		stock := p.stock[n.key()]
		require.Equal(t, make([]int64, 5), stock[len(stock):len(stock)+5], "what was taken is wiped from the stock")
		for _, v := range s {
			// A collision of 200 samples at sigma 2^20 has probability about 200^2/2^22, so a few are let pass; a pool that hands
			// samples out twice has a hundred.
			seen[v] = true
		}
	}
	require.Greater(t, len(seen), 180)
	old := p.stock[n.key()]
	p.wipe()
	for _, v := range old {
		require.Zero(t, v)
	}
	for i := range int64(2 * poolDistributions) {
		_, err := p.take(noiseOf(Laplace, i+1, 1), 1)
		require.NoError(t, err)
		require.LessOrEqual(t, len(p.stock), poolDistributions)
	}
}

func TestPoolRefusesWhatDoesNotFit(t *testing.T) {
	huge := Noise{Laplace, new(big.Rat).SetInt(new(big.Int).Lsh(one, 100))}
	_, err := newPool(newSource()).take(huge, 1)
	require.ErrorIs(t, err, errNoiseRange)
}
