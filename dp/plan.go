package dp

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
)

// A Plan says what a question costs and how exact its answer will be. It depends on the question alone, so it may be shown
// before any budget is spent.
type Plan struct {
	Cost Cost
	// Noise has one entry for a count; two for a sum or mean (that of the count, that of the sum); one for a histogram, drawn anew
	// for each bucket.
	Noise []Noise

	query Query // normalized
}

// Plan checks the question and computes sensitivity, noise and cost. Errors wrap ErrInvalid.
//
// The sensitivities follow from the declared bounds, with m = Unit.Rows, g = Unit.Groups and R = Bounds.Hi - Bounds.Lo:
//
//	count                L1 = L2 = m
//	sum                  L1 = L2 = m R
//	histogram, g >= 1    L1 = m g, L2^2 = g m^2
//	histogram, g = 0     L1 = L2 = m
//
// A sum or mean splits what it may spend between its count and its sum; both parts are charged.
func (q Query) Plan() (Plan, error) {
	q, err := q.normalize()
	if err != nil {
		return Plan{}, err
	}
	m, total := q.accuracy()
	rows := int64(q.Unit.Rows)
	p := Plan{query: q}
	switch q.Kind {
	case Count:
		p.spend(m, total, rows, square(rows))
	case Histogram:
		g := int64(max(1, q.Unit.Groups))
		l2 := square(rows)
		p.spend(m, total, rows*g, l2.Mul(l2, big.NewInt(g)))
	case Sum:
		r := q.Bounds.Hi - q.Bounds.Lo
		c := countShare(total, q.Bounds.Lo, r)
		p.spend(m, c, rows, square(rows))
		p.spend(m, total-c, rows*r, square(rows*r))
	case Mean:
		// The sum is 2 x' - R for each row, which is within R of zero: the mean is finished around the middle of the range.
		r := q.Bounds.Hi - q.Bounds.Lo
		c := total / 3
		p.spend(m, c, rows, square(rows))
		p.spend(m, total-c, rows*r, square(rows*r))
	}
	return p, nil
}

// countShare is the part of a sum's spending that goes to its count. The answer is s + Lo*n, so the count's error weighs |Lo| and
// the sum's R; at least a sixteenth goes to each, for the count also decides about suppression.
func countShare(total uint64, lo, r int64) uint64 {
	hi, low := bits.Mul64(total, abs(lo))
	c, _ := bits.Div64(hi, low, abs(lo)+uint64(r))
	return min(max(c, total/16), total-total/16)
}

// spend adds one noise and its charge.
func (p *Plan) spend(m Mechanism, v uint64, l1 int64, l2 *big.Int) {
	var c Cost
	if m == Gaussian {
		c = gaussianCost(v)
		p.Noise = append(p.Noise, Noise{Gaussian, gaussianVariance(l2, v)})
	} else {
		c = laplaceCost(v)
		p.Noise = append(p.Noise, Noise{Laplace, laplaceScale(l1, v)})
	}
	p.Cost, _ = p.Cost.plus(c) // at most two charges of 2^49 each
}

func square(v int64) *big.Int {
	b := big.NewInt(v)
	return b.Mul(b, b)
}

// gaussianVariance is sigma^2 = L2^2 / (2 rho) (Canonne, Kamath, Steinke 2020, theorem 4) with rho = units/2^40, rounded up to a
// multiple of 2^-16: then the samplers stay on 128 bits for all usual ranges.
func gaussianVariance(l2 *big.Int, units uint64) *big.Rat {
	const fraction = 16
	num := new(big.Int).Lsh(l2, rhoBits+fraction-1)
	den := new(big.Int).SetUint64(units)
	num.Add(num, den).Sub(num, one).Quo(num, den)
	return new(big.Rat).SetFrac(num, new(big.Int).Lsh(one, fraction))
}

// laplaceScale is t = L1 / epsilon with epsilon = e/2^20.
func laplaceScale(l1 int64, e uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).Lsh(big.NewInt(l1), epsilonBits), new(big.Int).SetUint64(e))
}

// numbers is how many noisy integers the answer has, and of which noise each is.
func (p Plan) numbers() int {
	if p.query.Kind == Histogram {
		return len(p.query.Edges) - 1
	}
	return len(p.Noise)
}

// Margin is half the width of the interval at the question's confidence, in the column's unit (rows for Count and Histogram). For a
// mean it holds for a noisy count of rows, wherever in the range the mean lies; for the others rows is not looked at.
func (p Plan) Margin(rows int64) float64 {
	q := p.query
	switch {
	case len(p.Noise) == 0: // the zero Plan
		return math.NaN()
	case q.Kind == Count || q.Kind == Histogram:
		return float64(p.Noise[0].Quantile(q.Confidence))
	}
	kc, ks := p.halves(q.Confidence)
	if q.Kind == Sum {
		return ratio(sumMargin(q.Bounds.Lo, kc, ks), big.NewInt(q.Bounds.Scale))
	}
	// The interval is widest where its upper end just reaches the range.
	r := big.NewInt(q.Bounds.Hi - q.Bounds.Lo)
	nl, nh := countRange(rows, kc)
	d := new(big.Int).Mul(r, nl)
	d.Sub(d, big.NewInt(ks))
	if d.Sign() < 0 {
		d.SetInt64(0)
	}
	low := d.Sub(d, big.NewInt(ks))
	den := nh
	if low.Sign() < 0 {
		den = nl
	}
	// (R - low/den) / 2 is the whole width, of which the margin is a half.
	width := new(big.Int).Mul(r, den)
	width.Sub(width, low)
	half := ratio(width, new(big.Int).Mul(den, big.NewInt(4*q.Bounds.Scale)))
	return math.Min(half, ratio(r, big.NewInt(2*q.Bounds.Scale)))
}

// halves gives the quantiles of count and sum that hold together by the union bound. A sum that starts at zero does not use its
// count.
func (p Plan) halves(confidence float64) (count, sum int64) {
	if p.query.Kind == Sum && p.query.Bounds.Lo == 0 {
		return 0, p.Noise[1].Quantile(confidence)
	}
	// 1-(1-c)/2, rounded towards a wider interval.
	each := math.Nextafter(1-(1-confidence)/2, 1)
	return p.Noise[0].Quantile(each), p.Noise[1].Quantile(each)
}

func sumMargin(lo, kc, ks int64) *big.Int {
	v := new(big.Int).Mul(new(big.Int).Abs(big.NewInt(lo)), big.NewInt(kc))
	return v.Add(v, big.NewInt(ks))
}

// countRange is where the true count lies if the noisy one is n and at least one row is in the set.
func countRange(n, k int64) (lo, hi *big.Int) {
	lo = new(big.Int).Sub(big.NewInt(n), big.NewInt(k))
	if lo.Sign() <= 0 {
		lo.SetInt64(1)
	}
	hi = new(big.Int).Add(big.NewInt(n), big.NewInt(k))
	if hi.Cmp(lo) < 0 {
		hi.Set(lo)
	}
	return lo, hi
}

func ratio(num, den *big.Int) float64 {
	f, _ := new(big.Rat).SetFrac(num, den).Float64()
	return f
}

// Exact is what the caller computed, before noise. It must come from rows within the declared bounds. Fields that the kind of
// question does not use are not looked at.
type Exact struct {
	Count   int64   // Count, Sum, Mean: rows in the set that have a value, at most 2^40
	Sum     int64   // Sum, Mean: sum of x' = scaled value - Lo, each in 0..Hi-Lo
	Buckets []int64 // Histogram: rows in each bucket, at most 2^40 each
}

// errExact carries no numbers: they are not noisy.
var errExact = errors.New("dp: the exact values are outside the declared bounds, so the computation is wrong (count 0..2^40, sum 0..count*(Hi-Lo) and below 2^60, one number for each bucket); " +
	"the reservation stays spent")

// vector is the integer vector that gets the noise.
func (p Plan) vector(e Exact) ([]int64, error) {
	const maxCount = 1 << 40
	if e.Count < 0 || e.Count > maxCount {
		return nil, errExact
	}
	switch p.query.Kind {
	case Count:
		return []int64{e.Count}, nil
	case Histogram:
		if len(e.Buckets) != p.numbers() {
			return nil, errExact
		}
		for _, b := range e.Buckets {
			if b < 0 || b > maxCount {
				return nil, errExact
			}
		}
		return append([]int64(nil), e.Buckets...), nil
	case Sum, Mean:
		hi, lo := bits.Mul64(uint64(e.Count), uint64(p.query.Bounds.Hi-p.query.Bounds.Lo))
		if hi != 0 || lo > 1<<60 || e.Sum < 0 || uint64(e.Sum) > lo {
			return nil, errExact
		}
		if p.query.Kind == Mean {
			return []int64{e.Count, 2*e.Sum - int64(lo)}, nil
		}
		return []int64{e.Count, e.Sum}, nil
	}
	return nil, errExact
}

// draw takes one noise sample for each number of the answer.
func (p Plan) draw(from *pool) ([]int64, error) {
	if p.query.Kind == Histogram {
		return from.take(p.Noise[0], p.numbers())
	}
	var out []int64
	for _, n := range p.Noise {
		one, err := from.take(n, 1)
		if err != nil {
			return nil, err
		}
		out = append(out, one...)
	}
	return out, nil
}

// noisy adds the noise to the exact vector, in place, and wipes the noise.
func noisy(v, noise []int64) []int64 {
	for i := range v {
		v[i] += noise[i] // |v| <= 2^61 and |noise| < 2^62
	}
	clear(noise)
	return v
}
