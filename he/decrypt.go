package he

import "math/big"

// UnreleasedResult is an exact answer. It is for the gateway, which adds the noise of differential privacy to it; nobody
// else may see it, nor be told how long it took. It prints as "redacted"; the numbers come out through the Expose methods.
type UnreleasedResult struct{ r *exact }

type exact struct {
	count, sum int64
	buckets    []int64
}

// ExposeCount is the exact number of rows of the set that have a value.
func (r *UnreleasedResult) ExposeCount() int64 { return r.r.count }

// ExposeSum is, for Sum and Mean, the exact sum of x' = round(x*Scale) - Lo over the rows of the set that have a value, in
// steps of 1/Scale and between 0 and ExposeCount * Range. The sum in natural units is (ExposeSum + Lo*ExposeCount)/Scale.
func (r *UnreleasedResult) ExposeSum() int64 { return r.r.sum }

// ExposeBuckets is, for Histogram, the exact count of each bucket. The slice is a copy.
func (r *UnreleasedResult) ExposeBuckets() []int64 { return append([]int64(nil), r.r.buckets...) }

// Decrypt reads the answer to a plan. The numbers are centred modulo T and must be possible for that plan. The error is
// ErrDecrypt for a wrong key, a plan over a column that this key did not make, an answer to another plan or one that was
// altered so that it shows; see "Not protected" for alterations that do not show. About 0.1 ms a number.
func (k *Key) Decrypt(p *Plan, a *Answer) (*UnreleasedResult, error) {
	parts := p.parts()
	if a.key != k.k.id || a.plan != p.digest || len(a.numbers) != len(parts) || !k.made(p.key, p.column, p.tag) {
		return nil, ErrDecrypt
	}
	r := &exact{}
	for i, part := range parts {
		m, _, ok := k.decryptNumber(a.numbers[i], p.slots)
		if !ok || m < 0 {
			return nil, ErrDecrypt
		}
		switch part {
		case partValue:
			r.sum = m
		case partPresence:
			r.count = m
		default:
			r.count += m
			r.buckets = append(r.buckets, m)
		}
		if r.count > p.chosen {
			return nil, ErrDecrypt
		}
	}
	// No overflow where there is a sum: rows * range < T/2 was proved.
	if r.sum > 0 && r.sum > r.count*p.schema.width() {
		return nil, ErrDecrypt
	}
	return &UnreleasedResult{r}, nil
}

// decryptNumber recovers the message, centred modulo T, and w = m' + T*e' of a number whose modulus was lowered. ok is false
// if |w| is above what fresh ciphertexts over so many coefficients can reach.
func (k *Key) decryptNumber(n number, slots int) (m, w int64, ok bool) {
	l := k.k.lat
	w = l.timesT((n.c0 + l.innerConst(n.c1, k.k.sRev)) % l.q[0])
	bound := new(big.Int).Mul(new(big.Int).SetUint64(l.t), noiseBound(slots))
	bound = l.loweredBound(bound.Add(bound, new(big.Int).SetUint64(l.t/2)))
	ok = big.NewInt(w).CmpAbs(bound) <= 0
	// Lowering divided the message by q1 too: m = w * q1 mod T.
	t := l.t
	r := w % int64(t)
	r += int64(t) & (r >> 63)
	return centre(mulMod(uint64(r), l.q[1]%t, t), t), w, ok
}
