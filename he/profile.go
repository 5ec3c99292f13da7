package he

import (
	"fmt"
	"math/big"
)

// Profile is a named, reviewed set of parameters; its number is the suite in every encoding.
type Profile uint8

const (
	// ProfileSum is for sums, counts and histograms: N = 2^12, two primes below 2^53, T of 40 bits, 16 bytes stored a row
	// and part.
	ProfileSum Profile = 1
	// ProfileWide (N = 2^13, for squares, products and encrypted filters) is reserved: everything refuses it so far.
	ProfileWide Profile = 2
)

// String names the profile.
func (p Profile) String() string {
	switch p {
	case ProfileSum:
		return "Sum"
	case ProfileWide:
		return "Wide (reserved)"
	}
	return fmt.Sprintf("unknown profile %d", uint8(p))
}

// params are the numbers behind a profile, in the letters of docs/spec/he.md.
type params struct {
	profile Profile
	logN    int
	q       []uint64 // the primes of Q; answers keep q[0] only
	t       uint64   // the message modulus, prime
}

// sumParams are fixed by docs/spec/he.md, section 2. T is the largest prime below 2^40 that is 1 mod 2N.
func sumParams() params {
	return params{profile: ProfileSum, logN: 12, q: []uint64{0x1ffffffffb4001, 0x1ffffffffa4001}, t: 0xfffffdc001}
}

// maxLogQ is the largest log2(QP) for 128-bit classical security with a ternary secret and an error of standard deviation
// 3.19 or more, by log2(N). Source: Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption" (2024).
// A degree that is not listed is refused.
func maxLogQ(logN int) int {
	switch logN {
	case 12:
		return 106
	case 13:
		return 214
	case 14:
		return 430
	}
	return 0
}

func (p params) n() int { return 1 << p.logN }

// Q is the product of the primes.
func (p params) modulus() *big.Int {
	m := big.NewInt(1)
	for _, q := range p.q {
		m.Mul(m, new(big.Int).SetUint64(q))
	}
	return m
}

// check refuses parameters that are insecure or in which the arithmetic of this package would not be right.
func (p params) check() error {
	if logQ, limit := p.modulus().BitLen(), maxLogQ(p.logN); logQ > limit {
		return &PlanError{Kind: Insecure, Inequality: fmt.Sprintf("log2 Q <= %d for 128-bit security at N = 2^%d: log2 Q is %d", limit, p.logN, logQ)}
	}
	if len(p.q) != 2 {
		return fmt.Errorf("he: parameters refused: %d primes, need 2", len(p.q))
	}
	for _, q := range p.q {
		if q%uint64(2*p.n()) != 1 || q >= 1<<53 || !new(big.Int).SetUint64(q).ProbablyPrime(20) {
			return fmt.Errorf("he: parameters refused: %#x is no prime below 2^53 that is 1 mod 2N", q)
		}
	}
	if p.q[0] == p.q[1] || p.t > p.q[0] || p.t%2 == 0 || !new(big.Int).SetUint64(p.t).ProbablyPrime(20) {
		return fmt.Errorf("he: parameters refused: T = %#x must be an odd prime of at most Q[0], the primes of Q distinct", p.t)
	}
	return nil
}

// noiseBound is errorBound * slots: the largest |e| of a masked inner product over so many coefficients, in units of T
// (spec, section 6).
func noiseBound(slots int) *big.Int {
	return new(big.Int).Mul(big.NewInt(errorBound), big.NewInt(int64(slots)))
}

// fits proves that an answer with |m| <= m over so many coefficients decrypts: before and after the modulus is lowered
// w = m + T*e stays below half of the modulus. It returns the inequality that fails, or "".
func (p params) fits(m *big.Int, slots int) string {
	t := new(big.Int).SetUint64(p.t)
	// w = sum of (m_i + T e_i), so |w| <= m + T*B.
	w := new(big.Int).Mul(t, noiseBound(slots))
	w.Add(w, m)
	if half := new(big.Int).Rsh(p.modulus(), 1); w.Cmp(half) >= 0 {
		return fmt.Sprintf("m + T*%d*%d < Q/2: 2^%d against 2^%d", errorBound, slots, w.BitLen()-1, half.BitLen()-1)
	}
	low := p.loweredBound(w)
	if half := new(big.Int).SetUint64(p.q[0] / 2); low.Cmp(half) >= 0 {
		return fmt.Sprintf("w/q1 + T*(N+1)/2 < q0/2 after lowering the modulus: 2^%d against 2^%d", low.BitLen()-1, half.BitLen()-1)
	}
	return ""
}

// loweredBound is the bound of |w| after division by q[1]: each coefficient of (c0, c1) is rounded by at most q1/2 and
// ||s||_1 <= N, hence |w'| <= |w|/q1 + T*(1+N)/2 (spec, section 6). Worst case, not a tail.
func (p params) loweredBound(w *big.Int) *big.Int {
	low := new(big.Int).Div(w, new(big.Int).SetUint64(p.q[1]))
	low.Add(low, big.NewInt(1))
	rounding := new(big.Int).Mul(new(big.Int).SetUint64(p.t), big.NewInt(int64(p.n()+1)))
	rounding.Rsh(rounding, 1)
	return low.Add(low, rounding.Add(rounding, big.NewInt(1)))
}
