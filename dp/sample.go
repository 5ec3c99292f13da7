package dp

import (
	"math/big"
	"math/bits"
)

// The samplers are those of Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), section 5:
// algorithms 1 to 3, in the paper's letters. Only integers are used, so the distributions are exact. This file holds the fast
// path on 64 and 128 bits; sample_big.go is the same on math/big, for parameters that do not fit.

// bernoulliExp1 draws Bernoulli(exp(-gamma)) for gamma = x/y in [0, 1] (algorithm 1, first half).
func (s *source) bernoulliExp1(x, y u128) bool {
	for k := uint64(1); ; k++ {
		// A ~ Bernoulli(gamma/k): two independent draws, so that y*k need not fit.
		if !s.uniform128(y).less(x) || s.uniform(k) != 0 {
			return k&1 == 1
		}
	}
}

// bernoulliExp draws Bernoulli(exp(-x/y)) for any x >= 0, y >= 1 (algorithm 1): one Bernoulli(exp(-1)) for each unit of
// gamma, then one for the rest. Expected work is constant, for it stops at the first failure.
func (s *source) bernoulliExp(x, y u128) bool {
	for !x.less(y) {
		if !s.bernoulliExp1(u128{0, 1}, u128{0, 1}) {
			return false
		}
		x = x.sub(y)
	}
	return s.bernoulliExp1(x, y)
}

// laplace draws from the discrete Laplace distribution of scale t/q: P(x) proportional to exp(-|x| q/t) (algorithm 2, where
// q is the paper's s). It returns false if the number does not fit 62 bits, which no plan lets happen with a probability
// above 2^-180.
func (s *source) laplace(t, q uint64) (int64, bool) {
	for {
		u := s.uniform(t)
		if !s.bernoulliExp1(u128{0, u}, u128{0, t}) { // D
			continue
		}
		v := uint64(0)
		for s.bernoulliExp1(u128{0, 1}, u128{0, 1}) { // A
			v++
		}
		// Y = floor((U + t V) / q)
		hi, lo := bits.Mul64(t, v)
		x, _ := u128{hi, lo}.add(u128{0, u})
		if x.hi >= q {
			return 0, false
		}
		y, _ := bits.Div64(x.hi, x.lo, q)
		negative := s.byte()&1 == 1
		if negative && y == 0 {
			continue
		}
		if y >= 1<<62 {
			return 0, false
		}
		if negative {
			return -int64(y), true
		}
		return int64(y), true
	}
}

// gaussian draws from the discrete Gaussian N_Z(0, p/q) with t = floor(sqrt(p/q)) + 1 (algorithm 3).
func (s *source) gaussian(p, q, t uint64, denominator u128) (int64, bool) {
	for {
		y, ok := s.laplace(t, 1)
		if !ok {
			return 0, false
		}
		// C ~ Bernoulli(exp(-(|Y| - sigma^2/t)^2 / (2 sigma^2))), and with sigma^2 = p/q the exponent is
		// (|Y| q t - p)^2 / (2 p q t^2).
		hi, lo := bits.Mul64(abs(y), q*t)
		var accept bool
		if hi != 0 {
			accept = s.acceptBig(y, new(big.Int).SetUint64(p), new(big.Int).SetUint64(q), new(big.Int).SetUint64(t))
		} else {
			a := lo - p
			if lo < p {
				a = p - lo
			}
			hi, lo = bits.Mul64(a, a)
			accept = s.bernoulliExp(u128{hi, lo}, denominator)
		}
		if accept {
			return y, true
		}
	}
}

func abs(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// sampler draws from one distribution. It is chosen once for a noise and has no secret in it.
type sampler struct {
	mechanism   Mechanism
	p, q, t     *big.Int // Laplace: scale p/q; Gaussian: variance p/q and t = floor(sqrt(p/q)) + 1
	fast        bool
	p64, q64    uint64
	t64         uint64
	denominator u128 // 2 p q t^2
}

func newSampler(n Noise) *sampler {
	d := &sampler{mechanism: n.Mechanism, p: n.Scale.Num(), q: n.Scale.Denom()}
	switch n.Mechanism {
	case Laplace:
		if d.fast = d.p.BitLen() <= 63 && d.q.BitLen() <= 63; d.fast {
			d.p64, d.q64 = d.p.Uint64(), d.q.Uint64()
		}
	case Gaussian:
		// floor(sqrt(p/q)) = floor(sqrt(floor(p/q)))
		d.t = new(big.Int).Sqrt(new(big.Int).Quo(d.p, d.q))
		d.t.Add(d.t, one)
		den := gaussianDenominator(d.p, d.q, d.t)
		if d.fast = d.p.BitLen() <= 63 && new(big.Int).Mul(d.q, d.t).BitLen() <= 63 && den.BitLen() <= 127; d.fast {
			d.p64, d.q64, d.t64 = d.p.Uint64(), d.q.Uint64(), d.t.Uint64()
			d.denominator = u128{new(big.Int).Rsh(den, 64).Uint64(), new(big.Int).And(den, maxUint64).Uint64()}
		}
	}
	return d
}

// draw returns one sample, or false if it does not fit 62 bits.
func (d *sampler) draw(s *source) (int64, bool) {
	switch {
	case d.mechanism == Laplace && d.fast:
		return s.laplace(d.p64, d.q64)
	case d.mechanism == Laplace:
		return fit(s.laplaceBig(d.p, d.q))
	case d.fast:
		return s.gaussian(d.p64, d.q64, d.t64, d.denominator)
	default:
		return fit(s.gaussianBig(d.p, d.q, d.t))
	}
}
