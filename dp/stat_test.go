package dp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// The statistics that the other tests rest on.

// chiSquareTail is P(X >= x) for chi-square with df degrees of freedom: the regularized upper incomplete gamma function
// Q(df/2, x/2), by its series or its continued fraction.
func chiSquareTail(x float64, df int) float64 {
	a, z := float64(df)/2, x/2
	if z <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(z) - z - lg)
	if z < a+1 {
		sum, term := 1/a, 1/a
		for n := a + 1; term > sum*1e-17; n++ {
			term *= z / n
			sum += term
		}
		return 1 - front*sum
	}
	b := z + 1 - a
	c, d := 1e300, 1/b
	h := d
	for i := 1; i < 10000; i++ {
		an := -float64(i) * (float64(i) - a)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return front * h
}

// binomialTail is P(X >= k) for X ~ Bin(n, p), summed term by term from k; for k above the mean.
func binomialTail(n, k int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	if p <= 0 {
		return 0
	}
	lf := func(v int) float64 { r, _ := math.Lgamma(float64(v) + 1); return r }
	term := math.Exp(lf(n) - lf(k) - lf(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := 0.0
	for j := k; j <= n && term > sum*1e-17; j++ {
		sum += term
		term *= float64(n-j) / float64(j+1) * p / (1 - p)
	}
	return sum
}

// clopperLow and clopperHigh are the one-sided Clopper-Pearson bounds: each is wrong with probability at most alpha.
func clopperLow(k, n int, alpha float64) float64 {
	if k == 0 {
		return 0
	}
	lo, hi := 0.0, float64(k)/float64(n)
	for range 100 {
		mid := (lo + hi) / 2
		if binomialTail(n, k, mid) > alpha {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

func clopperHigh(k, n int, alpha float64) float64 { return 1 - clopperLow(n-k, n, alpha) }

func TestStatistics(t *testing.T) {
	// Upper 5% and 0.1% points of chi-square, from any table.
	require.InDelta(t, 0.05, chiSquareTail(18.307038, 10), 1e-8)
	require.InDelta(t, 0.001, chiSquareTail(59.702997, 30), 2e-5)
	require.InDelta(t, 0.95, chiSquareTail(3.940299, 10), 1e-7)
	// Of 10 trials, 10 successes: the lower bound is alpha^(1/10).
	require.InDelta(t, math.Pow(0.025, 0.1), clopperLow(10, 10, 0.025), 1e-9)
	require.InDelta(t, 1-math.Pow(0.025, 0.1), clopperHigh(0, 10, 0.025), 1e-9)
	// 7 of 20, 95% two-sided: 0.1539 to 0.5922.
	require.InDelta(t, 0.15391, clopperLow(7, 20, 0.025), 1e-4)
	require.InDelta(t, 0.59219, clopperHigh(7, 20, 0.025), 1e-4)
}

// pmf is the probability of each integer in -reach..reach, index 0 for -reach, normalised over so wide a range that what is
// left out is below 1e-15.
func pmf(n Noise, reach int) []float64 {
	s, _ := n.Scale.Float64()
	w := func(k int) float64 {
		if n.Mechanism == Laplace {
			return math.Exp(-math.Abs(float64(k)) / s)
		}
		return math.Exp(-float64(k) * float64(k) / (2 * s))
	}
	wide := int(40*s) + 40
	if n.Mechanism == Gaussian {
		wide = int(12*math.Sqrt(s)) + 12
	}
	total := 0.0
	for k := wide; k > 0; k-- {
		total += 2 * w(k)
	}
	total++
	p := make([]float64, 2*reach+1)
	for i := range p {
		p[i] = w(i-reach) / total
	}
	return p
}

func parseQuery(b []byte) (Query, error) {
	d := wire.NewDecoder(b)
	q := readQuery(d)
	return q, d.Finish()
}
