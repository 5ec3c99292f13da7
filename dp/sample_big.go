package dp

import "math/big"

// The samplers of sample.go on numbers of any size. They read the same random bytes in the same order.

var maxUint64 = new(big.Int).SetUint64(1<<64 - 1)

func (s *source) bernoulliExp1Big(x, y *big.Int) bool {
	for k := uint64(1); ; k++ {
		if s.uniformBig(y).Cmp(x) >= 0 || s.uniform(k) != 0 {
			return k&1 == 1
		}
	}
}

func (s *source) bernoulliExpBig(x, y *big.Int) bool {
	x = new(big.Int).Set(x)
	for x.Cmp(y) >= 0 {
		if !s.bernoulliExp1Big(one, one) {
			return false
		}
		x.Sub(x, y)
	}
	return s.bernoulliExp1Big(x, y)
}

func (s *source) laplaceBig(t, q *big.Int) *big.Int {
	for {
		u := s.uniformBig(t)
		if !s.bernoulliExp1Big(u, t) {
			continue
		}
		v := int64(0)
		for s.bernoulliExp1Big(one, one) {
			v++
		}
		y := new(big.Int).Mul(t, big.NewInt(v))
		y.Add(y, u).Quo(y, q)
		negative := s.byte()&1 == 1
		if negative && y.Sign() == 0 {
			continue
		}
		if negative {
			y.Neg(y)
		}
		return y
	}
}

func (s *source) gaussianBig(p, q, t *big.Int) *big.Int {
	for {
		y := s.laplaceBig(t, one)
		if s.acceptBigInt(y, p, q, t) {
			return y
		}
	}
}

func (s *source) acceptBig(y int64, p, q, t *big.Int) bool {
	return s.acceptBigInt(big.NewInt(y), p, q, t)
}

// acceptBigInt draws C of algorithm 3.
func (s *source) acceptBigInt(y, p, q, t *big.Int) bool {
	a := new(big.Int).Abs(y)
	a.Mul(a, q).Mul(a, t).Sub(a, p)
	return s.bernoulliExpBig(a.Mul(a, a), gaussianDenominator(p, q, t))
}

// gaussianDenominator is 2 p q t^2.
func gaussianDenominator(p, q, t *big.Int) *big.Int {
	d := new(big.Int).Mul(p, q)
	return d.Mul(d, t).Mul(d, t).Lsh(d, 1)
}

func fit(v *big.Int) (int64, bool) {
	if v.BitLen() > 62 {
		return 0, false
	}
	return v.Int64(), true
}
