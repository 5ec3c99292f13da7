package dp

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// phi is the standard normal distribution function.
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// gaussianDelta is the exact delta of the continuous Gaussian mechanism with Delta/sigma = sqrt(2 rho) (Balle and Wang 2018,
// theorem 8). That mechanism is rho-zCDP, so no valid conversion can give less.
func gaussianDelta(rho, epsilon float64) float64 {
	r := math.Sqrt(2 * rho)
	return phi(r/2-epsilon/r) - math.Exp(epsilon)*phi(-r/2-epsilon/r)
}

func TestConversionIsBracketed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rho := math.Exp(rapid.Float64Range(math.Log(1e-6), math.Log(50)).Draw(t, "log rho"))
		delta := math.Exp(rapid.Float64Range(math.Log(1e-14), math.Log(0.1)).Draw(t, "log delta"))
		eps := epsilonOf(rho, delta)
		// From above by Bun and Steinke 2016, proposition 1.3.
		if simple := rho + 2*math.Sqrt(rho*math.Log(1/delta)); eps > simple*(1+1e-6)+1e-9 {
			t.Fatalf("epsilon %v, the simple formula gives %v", eps, simple)
		}
		if got := deltaOf(rho, eps); got > delta {
			t.Fatalf("delta %v for epsilon %v, wanted at most %v", got, eps, delta)
		}
		if lower := gaussianDelta(rho, eps); lower > delta*(1+1e-6)+1e-15 {
			t.Fatalf("the Gaussian mechanism has delta %v at epsilon %v, above %v", lower, eps, delta)
		}
	})
}

// The search for a need not be perfect, but a grid of its own must not find anything clearly better.
func TestConversionIsTight(t *testing.T) {
	for _, rho := range []float64{1e-6, 0.01, 0.3, 4, 40} {
		for _, eps := range []float64{0, 0.01, 0.5, 3, 30, 200} {
			best := 1.0
			for u := -20.0; u < 20; u += 1.0 / 256 {
				a1 := math.Exp(u) // a - 1
				a := a1 + 1
				best = min(best, math.Exp(a1*(a*rho-eps)-u+a*(u-math.Log(a))))
			}
			got := deltaOf(rho, eps)
			require.GreaterOrEqual(t, got, best*(1-1e-3))
			require.LessOrEqual(t, got, best*(1+1e-4)+1e-300)
		}
	}
}

func TestCostArithmetic(t *testing.T) {
	c, err := ZCDP(0.5)
	require.NoError(t, err)
	require.Equal(t, Cost{rho: 1 << 39}, c)
	require.Equal(t, 0.5, c.Rho())
	require.Equal(t, "rho 0.5", c.String())
	j, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `{"rho":0.5,"delta":0}`, string(j))
	// A limit takes exactly as many equal questions as it should, in spite of 0.1 not being a binary number.
	limit, _ := ZCDP(1)
	q := countQuery("x")
	q.Epsilon, q.Rho = 0, 0.1
	p, err := q.Plan()
	require.NoError(t, err)
	sum := Cost{}
	for range 10 {
		sum, _ = sum.plus(p.Cost)
	}
	require.True(t, sum.within(limit))
	sum, _ = sum.plus(p.Cost)
	require.False(t, sum.within(limit))

	// epsilon^2/2, rounded up.
	require.Equal(t, Cost{rho: 5}, laplaceCost(3))
	require.Equal(t, Cost{rho: 1 << 39}, laplaceCost(1<<20))

	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-13, 2e6, math.Copysign(0, -1)} {
		_, err := ZCDP(bad)
		require.ErrorIs(t, err, ErrInvalid)
		_, err = EpsilonDelta(bad, 1e-6)
		if bad != 1e-13 {
			require.ErrorIs(t, err, ErrInvalid)
		}
		_, err = EpsilonDelta(1, bad)
		if bad != 1e-13 {
			require.ErrorIs(t, err, ErrInvalid, "%v", bad)
			_, err = c.Epsilon(bad)
			require.ErrorIs(t, err, ErrInvalid)
		}
	}
	_, over := Cost{rho: math.MaxUint64}.plus(Cost{rho: 1})
	require.True(t, over)
	_, over = Cost{delta: u128{math.MaxUint64, math.MaxUint64}}.plus(Cost{delta: u128{0, 1}})
	require.True(t, over)
	require.Equal(t, Cost{}, Cost{rho: 3}.left(Cost{rho: 4}))
	require.InDelta(t, 0.25, Cost{delta: u128{1 << 34, 0}}.Delta(), 1e-12)
}

// A limit made from (epsilon, delta) gives no more than that epsilon back, and one unit more would.
func TestEpsilonDeltaIsLargest(t *testing.T) {
	for _, eps := range []float64{0.01, 0.1, 1, 3, 10, 100} {
		for _, delta := range []float64{1e-12, 1e-6, 1e-3} {
			c, err := EpsilonDelta(eps, delta)
			require.NoError(t, err)
			back, err := c.Epsilon(delta)
			require.NoError(t, err)
			require.LessOrEqual(t, back, eps*(1+1e-12))
			require.InEpsilon(t, eps, back, 1e-6)
			require.Greater(t, deltaOf(math.Ldexp(float64(c.rho+2), -rhoBits), eps), delta)
		}
	}
}
