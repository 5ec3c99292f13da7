package dp

import "math/big"

// A Release is an answer that may leave the house.
type Release struct {
	Kind   Kind
	Values []Estimate // one; for a histogram one for each bucket
	// Noisy are the noisy integers from which Values were finished, and nothing else was used: the count; or count n and sum s of a
	// sum, whose value is (s + Lo n)/Scale; or count n and centred sum d of a mean, whose value is (Lo + (Hi-Lo)/2 + d/(2n))/Scale; or
	// the buckets. 0 where an estimate is suppressed.
	Noisy      []int64
	Noise      []Noise // exact scale of the noise, as in Plan
	Cost       Cost    // of the question
	Charged    Cost    // of this call to this querier: nothing for a repeated question
	Confidence float64 // of each interval alone
	Cached     bool    // read from the ledger: no new noise was drawn
	Seq        uint64  // the ledger record that holds the answer
}

// An Estimate is a number with an interval, in the column's unit. In at least Confidence of all releases the interval holds the exact answer
// over the rows that were kept: it covers the noise, not the sampling error, not the clamping to the bounds, and not the
// rows dropped by contribution bounding. Counts may be negative. A mean and its interval lie within the bounds; they mean nothing
// if no row is in the set. Numbers are rounded to the nearest float64.
type Estimate struct {
	Value, Low, High float64
	// Suppressed says that the noisy count is below the ledger's small-cell limit and the numbers were withheld; they are 0 here and
	// mean nothing.
	Suppressed bool
}

// finish turns noisy integers into an answer. Exact values do not reach it.
func (p Plan) finish(noisy []int64, confidence float64, suppressBelow int64) Release {
	r := Release{
		Kind: p.query.Kind, Noise: append([]Noise(nil), p.Noise...), Cost: p.Cost, Confidence: confidence,
		Noisy: append([]int64(nil), noisy...),
	}
	hide := func(count int64) bool { return suppressBelow > 0 && count < suppressBelow }
	switch p.query.Kind {
	case Count, Histogram:
		k := big.NewInt(p.Noise[0].Quantile(confidence))
		for i, n := range noisy {
			if hide(n) {
				r.Noisy[i] = 0
				r.Values = append(r.Values, Estimate{Suppressed: true})
				continue
			}
			r.Values = append(r.Values, around(big.NewInt(n), k, one))
		}
	case Sum, Mean:
		switch {
		case hide(noisy[0]):
			clear(r.Noisy)
			r.Values = []Estimate{{Suppressed: true}}
		case p.query.Kind == Sum:
			r.Values = []Estimate{p.sum(noisy[0], noisy[1], confidence)}
		default:
			r.Values = []Estimate{p.mean(noisy[0], noisy[1], confidence)}
		}
	}
	return r
}

// around is (v-k)/scale, v/scale, (v+k)/scale.
func around(v, k, scale *big.Int) Estimate {
	return Estimate{
		Value: ratio(v, scale),
		Low:   ratio(new(big.Int).Sub(v, k), scale),
		High:  ratio(new(big.Int).Add(v, k), scale),
	}
}

// sum finishes s + Lo*n.
func (p Plan) sum(n, s int64, confidence float64) Estimate {
	b := p.query.Bounds
	kc, ks := p.halves(confidence)
	v := new(big.Int).Mul(big.NewInt(b.Lo), big.NewInt(n))
	v.Add(v, big.NewInt(s))
	return around(v, sumMargin(b.Lo, kc, ks), big.NewInt(b.Scale))
}

// mean finishes Lo + R/2 + d/(2n), where d is the noisy sum of 2x'-R. With probability of at least the confidence both the true
// count is within kc of n and the true sum within ks of d; the interval is the smallest that holds every mean these allow,
// cut to the range.
func (p Plan) mean(n, d int64, confidence float64) Estimate {
	kc, ks := p.halves(confidence)
	nl, nh := countRange(n, kc)
	dl := new(big.Int).Sub(big.NewInt(d), big.NewInt(ks))
	dh := new(big.Int).Add(big.NewInt(d), big.NewInt(ks))
	denLow, denHigh := nl, nl
	if dl.Sign() >= 0 {
		denLow = nh
	}
	if dh.Sign() < 0 {
		denHigh = nh
	}
	low, high := p.meanAt(dl, denLow), p.meanAt(dh, denHigh)
	value := p.meanAt(big.NewInt(d), big.NewInt(max(1, n)))
	if value.Cmp(low) < 0 {
		value = low
	} else if value.Cmp(high) > 0 {
		value = high
	}
	var e Estimate
	e.Value, _ = value.Float64()
	e.Low, _ = low.Float64()
	e.High, _ = high.Float64()
	return e
}

// meanAt is (Lo + R/2 + d/(2n))/Scale for n >= 1, cut to the range.
func (p Plan) meanAt(d, n *big.Int) *big.Rat {
	b := p.query.Bounds
	r := new(big.Int).Mul(big.NewInt(b.Hi-b.Lo), n)
	if d.CmpAbs(r) > 0 {
		if d.Sign() > 0 {
			d = r
		} else {
			d = r.Neg(r)
		}
	}
	num := new(big.Int).Mul(big.NewInt(b.Lo+b.Hi), n)
	num.Add(num, d)
	den := new(big.Int).Mul(n, big.NewInt(2*b.Scale))
	return new(big.Rat).SetFrac(num, den)
}
