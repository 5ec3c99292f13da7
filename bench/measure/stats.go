package measure

import (
	"math"
	"slices"
)

// Confidence is what intervals aim at.
const Confidence = 0.95

// Interval is a median and an interval for the median of the distribution that the sample came from.
type Interval struct {
	Median, Low, High float64
	Confidence        float64 // at least 0.95 if there are six values or more, otherwise 1 - 2^(1-n)
}

// Summary returns the median and the interval between two order statistics, as many values from below as from above. It assumes nothing
// about the distribution but that the values are independent: the number of them below the true median is binomial with p = 1/2. This is
// the method of golang.org/x/perf/benchmath for unknown distributions. Of less than six values it returns the whole range, and the
// confidence that it has. values must not be empty.
func Summary(values []float64) Interval {
	x := slices.Sorted(slices.Values(values))
	n := len(x)
	median := x[n/2]
	if n%2 == 0 {
		median = (x[n/2-1] + x[n/2]) / 2
	}
	best := Interval{Median: median, Low: x[0], High: x[n-1], Confidence: coverage(n, 1)}
	for k := 2; 2*k <= n && coverage(n, k) >= Confidence; k++ {
		best = Interval{Median: median, Low: x[k-1], High: x[n-k], Confidence: coverage(n, k)}
	}
	return best
}

// coverage is the probability that the true median lies between the k-th smallest and the k-th largest of n values:
// 1 - 2 P(Bin(n, 1/2) < k).
func coverage(n, k int) float64 {
	term, below := math.Pow(0.5, float64(n)), 0.0 // term is C(n,i) / 2^n
	for i := range k {
		below += term
		term *= float64(n-i) / float64(i+1)
	}
	return 1 - 2*below
}

// Ratios returns how many times more others[i] costs than ours[i], for as many as there are of both: the samples of one round were taken
// next to each other, so that a slow minute of the machine slows both. For rates it is the other way round: bigger is always better for
// us. A round without a ratio (a zero) is left out.
func Ratios(ours, others []float64, unit string) []float64 {
	var out []float64
	for i := range min(len(ours), len(others)) {
		ratio := others[i] / ours[i]
		if MoreIsBetter(unit) {
			ratio = ours[i] / others[i]
		}
		if !math.IsNaN(ratio) && !math.IsInf(ratio, 0) {
			out = append(out, ratio)
		}
	}
	return out
}

// Exponent fits y = c x^e by least squares of the logarithms and returns e. It needs two different x at least, and positive numbers.
func Exponent(x, y []float64) (e float64, ok bool) {
	var n, sx, sy, sxx, sxy float64
	for i := range min(len(x), len(y)) {
		if x[i] <= 0 || y[i] <= 0 {
			return 0, false
		}
		lx, ly := math.Log(x[i]), math.Log(y[i])
		n, sx, sy, sxx, sxy = n+1, sx+lx, sy+ly, sxx+lx*lx, sxy+lx*ly
	}
	spread := n*sxx - sx*sx
	if n < 2 || spread < 1e-12 {
		return 0, false
	}
	return (n*sxy - sx*sy) / spread, true
}
