package dp

import "math"

// deltaOf is a delta such that rho-zCDP implies (epsilon, delta)-differential privacy: the infimum over a > 1 of
//
//	exp((a-1)(a rho - epsilon)) / (a-1) * (1 - 1/a)^a
//
// (Canonne, Kamath, Steinke 2020, corollary 13). Every a gives a valid delta, so the search need only come close; what is left
// is the rounding of one evaluation, and the margin of 1e-9 is far above that.
func deltaOf(rho, epsilon float64) float64 {
	if rho <= 0 {
		return 0
	}
	// The logarithm of the expression is convex in a, with derivative (2a-1) rho - epsilon + log(1 - 1/a).
	lo, hi := 1.0, (epsilon+1)/(2*rho)+2
	for range 200 {
		a := lo + (hi-lo)/2
		if a <= lo || a >= hi {
			break
		}
		if (2*a-1)*rho-epsilon+math.Log1p(-1/a) < 0 {
			lo = a
		} else {
			hi = a
		}
	}
	a := hi
	exponent := (a-1)*(a*rho-epsilon) - math.Log(a-1) + a*math.Log1p(-1/a)
	return min(1, math.Exp(exponent+1e-9*(1+math.Abs(exponent))))
}

// epsilonOf is the smallest epsilon, up to rounding upwards, with deltaOf(rho, epsilon) <= delta.
func epsilonOf(rho, delta float64) float64 {
	if rho <= 0 || deltaOf(rho, 0) <= delta {
		return 0
	}
	// rho + 2 sqrt(rho log(1/delta)) is enough (Bun and Steinke 2016, proposition 1.3).
	lo, hi := 0.0, (rho+2*math.Sqrt(rho*math.Log(1/delta)))*(1+1e-6)+1e-12
	for deltaOf(rho, hi) > delta {
		hi *= 1.001
	}
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if deltaOf(rho, mid) <= delta {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
