package dp

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// Quantile is compared with a sum over the whole distribution: it must hold, and the next smaller number must not.
func TestQuantileAgainstSum(t *testing.T) {
	noises := append([]Noise{noiseOf(Gaussian, 1, 50), noiseOf(Laplace, 1, 100), noiseOf(Gaussian, 200*200, 1)}, chiSquareNoises...)
	for _, n := range noises {
		reach := int(45*n.StdDev()) + 5
		p := pmf(n, reach)
		for _, c := range []float64{0.5, 0.9, 0.95, 0.99, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-10} {
			k := n.Quantile(c)
			outside := func(k int64) float64 { // summed from the small end
				s := 0.0
				for i := reach; i > int(k); i-- {
					s += 2 * p[reach+i]
				}
				return s
			}
			require.LessOrEqual(t, outside(k), (1-c)*(1+1e-10), "%v at %v", n, c)
			if k > 0 {
				require.Greater(t, outside(k-1), (1-c)*(1-1e-8), "%v at %v: %d is too large", n, c, k)
			}
		}
	}
}

// The bound for wide Gaussians, where both ways can be computed, is never below the sum and close to it.
func TestQuantileBound(t *testing.T) {
	for _, sigma := range []float64{1, 3, 100, 1000, 3000} {
		for _, alpha := range []float64{0.5, 0.05, 1e-6, 1e-9, 1e-10} {
			exact, bound := gaussianQuantileSum(sigma*sigma, alpha), gaussianQuantileBound(sigma, alpha)
			require.GreaterOrEqual(t, bound, exact)
			require.LessOrEqual(t, bound, exact+2+int64(sigma/1e7))
		}
	}
	// The widest noise that a plan can ask for.
	k := Noise{Gaussian, new(big.Rat).SetInt(new(big.Int).Lsh(one, 110))}.Quantile(1 - 1e-9)
	require.InEpsilon(t, 6.1094*math.Pow(2, 55), float64(k), 1e-4)
	k = Noise{Laplace, new(big.Rat).SetInt(new(big.Int).Lsh(one, 56))}.Quantile(1 - 1e-9)
	require.InEpsilon(t, math.Log(1e9)*math.Pow(2, 56), float64(k), 1e-6)
	// Outside the range the nearest end is taken.
	n := noiseOf(Laplace, 10, 1)
	require.Equal(t, n.Quantile(0.5), n.Quantile(math.NaN()))
	require.Equal(t, n.Quantile(0.5), n.Quantile(-1))
	require.Equal(t, n.Quantile(1-1e-10), n.Quantile(7))
}

// Noises that no plan makes do not hang or panic.
func TestOddNoises(t *testing.T) {
	for _, n := range []Noise{{}, {Mechanism: Laplace, Scale: new(big.Rat)}, noiseOf(Gaussian, -3, 1), noiseOf(Laplace, -3, 1)} {
		require.Zero(t, n.Quantile(0.95))
		require.Zero(t, n.StdDev())
	}
	for _, m := range []Mechanism{Laplace, Gaussian} {
		for _, bits := range []uint{200, 5000} {
			require.Equal(t, int64(math.MaxInt64), Noise{m, new(big.Rat).SetInt(new(big.Int).Lsh(one, bits))}.Quantile(0.95))
		}
	}
}

func TestStdDev(t *testing.T) {
	for _, n := range chiSquareNoises {
		reach := int(45*n.StdDev()) + 5
		v := 0.0
		for i, p := range pmf(n, reach) {
			v += p * float64(i-reach) * float64(i-reach)
		}
		if n.Mechanism == Laplace {
			require.InEpsilon(t, math.Sqrt(v), n.StdDev(), 1e-6)
		} else {
			require.LessOrEqual(t, math.Sqrt(v), n.StdDev()*(1+1e-9))
		}
	}
	require.Equal(t, "discrete Laplace, t = 7/2", noiseOf(Laplace, 7, 2).String())
	require.Equal(t, "discrete Gaussian, sigma^2 = 4", noiseOf(Gaussian, 4, 1).String())
	require.Equal(t, "no noise", Noise{}.String())
	require.Equal(t, "Laplace Gaussian Mechanism(9)", fmt.Sprint(Laplace, " ", Gaussian, " ", Mechanism(9)))
	require.Equal(t, "count sum mean histogram Kind(0)", fmt.Sprint(Count, " ", Sum, " ", Mean, " ", Histogram, " ", Kind(0)))
}
