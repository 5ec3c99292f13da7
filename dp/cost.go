package dp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
)

// A Cost is a privacy charge or a limit: a pair (rho, delta), held as the integers rho * 2^40 and delta * 2^100. Costs add up
// exactly. The zero Cost is nothing. Costs compare with ==.
//
// It means: everything a patient's record can change about the answers is bounded by rho-zCDP (Bun and Steinke 2016) with failure
// probability delta beside it. All mechanisms of now have delta 0.
type Cost struct {
	rho   uint64
	delta u128
}

const (
	rhoBits  = 40
	rhoOne   = 1 << rhoBits
	maxRho   = 1 << 20 // of a limit
	deltaLog = 100
)

// ZCDP is the limit rho, rounded down to a multiple of 2^-40; 2^-40 <= rho <= 2^20.
func ZCDP(rho float64) (Cost, error) {
	// The comparison is false for NaN.
	if !(rho >= 1.0/rhoOne && rho <= maxRho) {
		return Cost{}, fmt.Errorf("%w: rho is %v; give a number between 2^-40 and 2^20", ErrInvalid, rho)
	}
	return Cost{rho: uint64(math.Ldexp(rho, rhoBits))}, nil
}

// EpsilonDelta is the largest limit rho, in steps of 2^-40, that implies (epsilon, delta)-differential privacy by the formula of
// Epsilon; 0 < epsilon <= 1000, 1e-30 <= delta < 1. All of it is rho: nothing is set aside for mechanisms that have a delta of
// their own.
func EpsilonDelta(epsilon, delta float64) (Cost, error) {
	if !(epsilon > 0 && epsilon <= 1000) {
		return Cost{}, fmt.Errorf("%w: epsilon is %v; give a number above 0 and at most 1000", ErrInvalid, epsilon)
	}
	if err := checkDelta(delta); err != nil {
		return Cost{}, err
	}
	// deltaOf grows with rho, and rho <= epsilon always holds for the result since delta < 1.
	lo, hi := uint64(0), uint64(math.Ldexp(epsilon, rhoBits))+1
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		if deltaOf(math.Ldexp(float64(mid), -rhoBits), epsilon) <= delta {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return Cost{}, fmt.Errorf("%w: no rho of at least 2^-40 gives (%v, %v); raise epsilon or delta", ErrInvalid, epsilon, delta)
	}
	return Cost{rho: lo}, nil
}

func checkDelta(delta float64) error {
	if !(delta >= 1e-30 && delta < 1) {
		return fmt.Errorf("%w: delta is %v; give a number between 1e-30 and 1, well below one over the number of patients", ErrInvalid, delta)
	}
	return nil
}

// gaussianCost is the charge for rho, which must be a whole number of units: queries round rho down before they choose the noise,
// so the charge is exact.
func gaussianCost(units uint64) Cost { return Cost{rho: units} }

// laplaceCost is the charge of a pure epsilon of e/2^20: rho = epsilon^2/2 (Bun and Steinke 2016, proposition 1.4), rounded up. In
// units of 2^-40 that is e^2/2.
func laplaceCost(e uint64) Cost { return Cost{rho: (e*e + 1) / 2} }

// Rho is rho as a number, rounded up if it does not fit.
func (c Cost) Rho() float64 {
	f := float64(c.rho)
	if f < 1<<63 && uint64(f) < c.rho {
		f = math.Nextafter(f, math.Inf(1))
	}
	return math.Ldexp(f, -rhoBits)
}

// Delta is the failure probability beside rho.
func (c Cost) Delta() float64 {
	f, _ := new(big.Float).SetInt(c.delta.big()).Float64()
	return math.Ldexp(f, -deltaLog)
}

// Epsilon reports an epsilon such that this cost implies (epsilon, delta)-differential privacy; 1e-30 <= delta < 1. It uses floating
// point with a margin; no budget decision depends on it.
func (c Cost) Epsilon(delta float64) (float64, error) {
	if err := checkDelta(delta); err != nil {
		return 0, err
	}
	left := delta - c.Delta()*(1+1e-9)
	if c.delta == (u128{}) {
		left = delta
	}
	if err := checkDelta(left); err != nil {
		return 0, errors.Join(fmt.Errorf("%w: the cost has a delta of its own of %v", ErrInvalid, c.Delta()), err)
	}
	return epsilonOf(c.Rho(), left), nil
}

// String is for people: "rho 0.05".
func (c Cost) String() string {
	s := fmt.Sprintf("rho %.6g", c.Rho())
	if c.delta != (u128{}) {
		s += fmt.Sprintf(", delta %.3g", c.Delta())
	}
	return s
}

// MarshalJSON writes rho and delta as numbers, for reports.
func (c Cost) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Rho   float64 `json:"rho"`
		Delta float64 `json:"delta"`
	}{c.Rho(), c.Delta()})
}

// plus adds, and reports whether the sum overflowed.
func (c Cost) plus(d Cost) (Cost, bool) {
	rho := c.rho + d.rho
	delta, over := c.delta.add(d.delta)
	return Cost{rho, delta}, over || rho < c.rho
}

// within reports whether both parts of c are at most those of limit.
func (c Cost) within(limit Cost) bool { return c.rho <= limit.rho && !limit.delta.less(c.delta) }

// left is what remains of c after spent; nothing is less than zero.
func (c Cost) left(spent Cost) Cost {
	var r Cost
	if c.rho > spent.rho {
		r.rho = c.rho - spent.rho
	}
	if spent.delta.less(c.delta) {
		r.delta = c.delta.sub(spent.delta)
	}
	return r
}

// minus takes a charge back that was added before.
func (c Cost) minus(d Cost) Cost { return Cost{c.rho - d.rho, c.delta.sub(d.delta)} }
