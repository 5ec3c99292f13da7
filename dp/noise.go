package dp

import (
	"fmt"
	"math"
	"math/big"

	"github.com/veilchart/veilchart/internal/wire"
)

// Mechanism is a noise distribution over the integers.
type Mechanism uint8

// The mechanisms. Both are exact: no floating-point number is used in drawing them.
const (
	Laplace  Mechanism = 1 // discrete Laplace, for pure epsilon
	Gaussian Mechanism = 2 // discrete Gaussian, for zCDP
)

// String is "Laplace" or "Gaussian".
func (m Mechanism) String() string {
	switch m {
	case Laplace:
		return "Laplace"
	case Gaussian:
		return "Gaussian"
	}
	return fmt.Sprintf("Mechanism(%d)", uint8(m))
}

// Noise is an exact distribution over the integers with mean 0.
type Noise struct {
	Mechanism Mechanism
	Scale     *big.Rat // Laplace: t in P(x) ~ exp(-|x|/t). Gaussian: the variance parameter sigma^2 in P(x) ~ exp(-x^2/(2 sigma^2)).
}

// String names the distribution with its exact parameter.
func (n Noise) String() string {
	switch {
	case n.Scale == nil:
		return "no noise"
	case n.Mechanism == Gaussian:
		return "discrete Gaussian, sigma^2 = " + n.Scale.RatString()
	default:
		return "discrete Laplace, t = " + n.Scale.RatString()
	}
}

// key tells distributions apart.
func (n Noise) key() string {
	b := wire.AppendBytes([]byte{byte(n.Mechanism)}, n.Scale.Num().Bytes())
	return string(append(b, n.Scale.Denom().Bytes()...))
}

// StdDev is the standard deviation in units of the noisy integer. For the Gaussian it is sigma, of which the true value is
// never larger. Without a positive scale there is no noise, and it is 0.
func (n Noise) StdDev() float64 {
	if n.Scale == nil || n.Scale.Sign() <= 0 {
		return 0
	}
	v, _ := n.Scale.Float64()
	if n.Mechanism == Gaussian {
		return math.Sqrt(v)
	}
	// Var = 2 a / (1-a)^2 with a = exp(-1/t)
	a := math.Exp(-1 / v)
	return math.Sqrt(2*a) / -math.Expm1(-1/v)
}

// gaussianExact is the largest sigma^2 for which Quantile sums the tail term by term.
const gaussianExact = 1 << 20

// Quantile is a k such that |noise| <= k holds with at least the given probability, 0.5 <= confidence <= 1-1e-10; outside that
// range it is taken as the nearest end. k is the smallest such number for the Laplace distribution and for the Gaussian up to
// sigma = 1024, but for a rounding margin of one in 10^9 on the tail; above that it comes from a proven bound and is larger than
// need be by at most 2 + sigma/10^7.
func (n Noise) Quantile(confidence float64) int64 {
	if n.Scale == nil || n.Scale.Sign() <= 0 {
		return 0
	}
	if !(confidence >= 0.5) {
		confidence = 0.5
	}
	// 1 - confidence is exact in [1/2, 1]. The margin is far above the error of the few operations below.
	alpha := (1 - min(confidence, 1-1e-10)) * (1 - 1e-9)
	scale, _ := n.Scale.Float64()
	switch {
	case n.Mechanism == Laplace:
		return laplaceQuantile(scale, alpha)
	case scale <= gaussianExact:
		return gaussianQuantileSum(scale, alpha)
	default:
		return gaussianQuantileBound(math.Sqrt(scale), alpha)
	}
}

// laplaceQuantile: P(|X| > k) = 2 a^(k+1) / (1+a) with a = exp(-1/t).
func laplaceQuantile(t, alpha float64) int64 {
	tail := func(k float64) float64 { return 2 * math.Exp(-(k+1)/t) / (1 + math.Exp(-1/t)) }
	k := math.Max(0, math.Floor(t*math.Log(2/(alpha*(1+math.Exp(-1/t))))-1)-1)
	for tail(k) > alpha {
		// The first guess is within a few steps; where k is above 2^53, one step must still move it.
		k = math.Max(k+1, math.Nextafter(k, math.Inf(1)))
	}
	return toInt(k)
}

func toInt(k float64) int64 {
	if !(k < 1<<63) {
		return math.MaxInt64
	}
	return int64(k)
}

func gaussianQuantileSum(variance, alpha float64) int64 {
	far := int(math.Ceil(12*math.Sqrt(variance))) + 12 // beyond it lies less than 1e-30 of the mass
	w := func(k int) float64 { return math.Exp(-float64(k) * float64(k) / (2 * variance)) }
	total := 0.0
	for k := far; k > 0; k-- {
		total += 2 * w(k)
	}
	total++
	tail := 0.0 // mass of |X| > k
	for k := far; k > 0; k-- {
		if next := tail + 2*w(k); next > alpha*total {
			return int64(k)
		} else {
			tail = next
		}
	}
	return 0
}

// gaussianQuantileBound uses P(X >= m) <= P(N(0, sigma^2) >= m-1). Proof: the sum of exp(-k^2/(2 sigma^2)) over all integers is
// at least sqrt(2 pi sigma^2), for Poisson summation turns it into that times a sum of positive terms of which the first is 1; and
// the sum over k >= m is at most the integral from m-1. So P(|X| > k) <= erfc(k / (sigma sqrt(2))).
func gaussianQuantileBound(sigma, alpha float64) int64 {
	k := math.Floor(sigma * math.Sqrt2 * math.Erfinv(1-alpha) * (1 - 1e-6))
	step := math.Max(1, math.Floor(sigma*1e-7))
	for math.Erfc(k/(sigma*math.Sqrt2)) > alpha {
		k += step
	}
	return toInt(k)
}
