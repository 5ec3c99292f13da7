package dp

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func countQuery(predicate string) Query {
	return Query{Dataset: "ward", Predicate: predicate, Kind: Count, Unit: Contribution{Rows: 1}, Epsilon: 0.25}
}

func sumQuery(predicate string) Query {
	return Query{Dataset: "ward", Predicate: predicate, Kind: Sum, Column: "bmi", Bounds: Bounds{100, 600, 10}, Unit: Contribution{Rows: 1}, Rho: 0.1}
}

func meanQuery(predicate string) Query {
	q := sumQuery(predicate)
	q.Kind = Mean
	return q
}

func histogramQuery(predicate string) Query {
	return Query{Dataset: "ward", Predicate: predicate, Kind: Histogram, Column: "bmi", Edges: []int64{0, 185, 250, 300, 600}, Bounds: Bounds{Scale: 10},
		Unit: Contribution{Rows: 1}, Rho: 0.05}
}

// The sensitivities of docs/spec/dp.md, seen through the noise they lead to.
func TestSensitivities(t *testing.T) {
	variance := func(l2sq, units int64) *big.Rat { return gaussianVariance(big.NewInt(l2sq), uint64(units)) }
	const half = 1 << (rhoBits - 1)
	require.Equal(t, "1", variance(1, half).RatString(), "rho 1/2, sensitivity 1: sigma^2 = 1")

	q := countQuery("")
	q.Unit.Rows, q.Epsilon, q.Rho = 3, 0, 0.5
	p, err := q.Plan()
	require.NoError(t, err)
	require.Equal(t, "9", p.Noise[0].Scale.RatString(), "L2 = m")
	q.Epsilon, q.Rho = 0.5, 0
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "6", p.Noise[0].Scale.RatString(), "L1 = m")

	q = histogramQuery("")
	q.Unit, q.Rho = Contribution{Rows: 3}, 0.5
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "9", p.Noise[0].Scale.RatString(), "m rows in all: L2 = m")
	q.Unit.Groups = 2
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "18", p.Noise[0].Scale.RatString(), "m rows in each of g groups: L2^2 = g m^2")
	q.Rho, q.Epsilon = 0, 1
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "6", p.Noise[0].Scale.RatString(), "L1 = m g")
	q.Unit.Groups = 4096
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "12", p.Noise[0].Scale.RatString(), "a patient is in no more buckets than there are")

	q = sumQuery("")
	q.Unit.Rows, q.Bounds = 2, Bounds{Lo: 0, Hi: 50}
	q.Rho = 0.5 * 16 / 15
	p, err = q.Plan()
	require.NoError(t, err)
	s, _ := p.Noise[1].Scale.Float64()
	require.InEpsilon(t, 100*100, s, 1e-6, "L2 = m R, with 15/16 of rho")
	q.Bounds = Bounds{Lo: 50, Hi: 100}
	q.Rho = 1
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "4", p.Noise[0].Scale.RatString(), "|Lo| = R: half each; L2 = m")
	require.Equal(t, "10000", p.Noise[1].Scale.RatString())
	q.Bounds = Bounds{Lo: -1_000_000, Hi: -999_999}
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "32", p.Noise[1].Scale.RatString(), "the sum gets at least a sixteenth: 4 / (2/16)")

	q = meanQuery("")
	q.Rho = 0.75
	p, err = q.Plan()
	require.NoError(t, err)
	require.Equal(t, "2", p.Noise[0].Scale.RatString(), "a third for the count")
	require.Equal(t, "250000", p.Noise[1].Scale.RatString(), "two thirds for the centred sum, L2 = m R")
}

// The variance is never below L2^2/(2 rho), and the charge is that of the noise.
func TestNoiseIsAtLeastWhatTheChargeNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l2 := rapid.Int64Range(1, maxL1).Draw(t, "L2")
		units := rapid.Uint64Range(minRhoUnits, maxQueryRho<<rhoBits).Draw(t, "units")
		v := gaussianVariance(square(l2), units)
		need := new(big.Rat).SetFrac(new(big.Int).Lsh(square(l2), rhoBits-1), new(big.Int).SetUint64(units))
		if v.Cmp(need) < 0 {
			t.Fatal("too little noise")
		}
		if excess := new(big.Rat).Sub(v, need); excess.Cmp(big.NewRat(1, 1<<16)) >= 0 {
			t.Fatal("more noise than the rounding explains")
		}
		e := rapid.Uint64Range(1<<10, maxEpsilon<<epsilonBits).Draw(t, "e")
		// t * epsilon = L1, exactly.
		s := laplaceScale(l2, e)
		s.Mul(s, new(big.Rat).SetFrac(new(big.Int).SetUint64(e), big.NewInt(1<<epsilonBits)))
		if s.Cmp(new(big.Rat).SetInt64(l2)) != 0 {
			t.Fatal("the Laplace scale is not L1/epsilon")
		}
		twice := new(big.Int).SetUint64(laplaceCost(e).rho)
		if twice.Lsh(twice, 1).Cmp(square(int64(e))) < 0 {
			t.Fatal("the charge is below epsilon^2/2")
		}
	})
}

func TestInvalidQueries(t *testing.T) {
	bad := map[string]func(q *Query){
		"no data set":          func(q *Query) { q.Dataset = "" },
		"data set too long":    func(q *Query) { q.Dataset = string(make([]byte, 201)) },
		"not UTF-8":            func(q *Query) { q.Predicate = "\xff" },
		"control character":    func(q *Query) { q.Predicate = "a\x00b" },
		"invisible character":  func(q *Query) { q.Predicate = "a\u200bb" },
		"space at the end":     func(q *Query) { q.Predicate = "a " },
		"predicate too long":   func(q *Query) { q.Predicate = string(bytesOf('a', 4097)) },
		"unknown kind":         func(q *Query) { q.Kind = 9 },
		"no kind":              func(q *Query) { q.Kind = 0 },
		"no column":            func(q *Query) { q.Column = "" },
		"no rows":              func(q *Query) { q.Unit.Rows = 0 },
		"negative rows":        func(q *Query) { q.Unit.Rows = -1 },
		"too many rows":        func(q *Query) { q.Unit.Rows = maxRows + 1 },
		"negative groups":      func(q *Query) { q.Unit.Groups = -1 },
		"groups without":       func(q *Query) { q.Unit.Groups = 1 },
		"bounds swapped":       func(q *Query) { q.Bounds.Lo, q.Bounds.Hi = 600, 100 },
		"empty range":          func(q *Query) { q.Bounds.Hi = q.Bounds.Lo },
		"range overflows":      func(q *Query) { q.Bounds.Lo, q.Bounds.Hi = math.MinInt64, math.MaxInt64 },
		"range too wide":       func(q *Query) { q.Bounds.Hi = 1 << 41 },
		"scale negative":       func(q *Query) { q.Bounds.Scale = -1 },
		"scale too large":      func(q *Query) { q.Bounds.Scale = 1<<40 + 1 },
		"sensitivity too high": func(q *Query) { q.Bounds.Hi, q.Unit.Rows = 1<<40, 1<<10 },
		"edges on a sum":       func(q *Query) { q.Edges = []int64{1, 2} },
		"no accuracy":          func(q *Query) { q.Rho = 0 },
		"two accuracies":       func(q *Query) { q.Epsilon = 1 },
		"rho NaN":              func(q *Query) { q.Rho = math.NaN() },
		"rho infinite":         func(q *Query) { q.Rho = math.Inf(1) },
		"rho negative":         func(q *Query) { q.Rho = -0.1 },
		"rho tiny":             func(q *Query) { q.Rho = 1e-9 },
		"rho absurd":           func(q *Query) { q.Rho = 513 },
		"epsilon NaN":          func(q *Query) { q.Rho, q.Epsilon = 0, math.NaN() },
		"epsilon infinite":     func(q *Query) { q.Rho, q.Epsilon = 0, math.Inf(1) },
		"epsilon negative":     func(q *Query) { q.Rho, q.Epsilon = 0, -1 },
		"epsilon tiny":         func(q *Query) { q.Rho, q.Epsilon = 0, 1e-4 },
		"epsilon absurd":       func(q *Query) { q.Rho, q.Epsilon = 0, 33 },
		"confidence one":       func(q *Query) { q.Confidence = 1 },
		"confidence low":       func(q *Query) { q.Confidence = 0.4 },
		"confidence NaN":       func(q *Query) { q.Confidence = math.NaN() },
		"histogram bounds":     func(q *Query) { q.Kind, q.Edges = Histogram, []int64{1, 2} },
		"histogram edges":      func(q *Query) { *q = histogramQuery(""); q.Edges = []int64{1} },
		"histogram unsorted":   func(q *Query) { *q = histogramQuery(""); q.Edges = []int64{1, 3, 2} },
		"histogram repeated":   func(q *Query) { *q = histogramQuery(""); q.Edges = []int64{1, 1} },
		"histogram far":        func(q *Query) { *q = histogramQuery(""); q.Edges = []int64{math.MinInt64, 1} },
		"histogram too many":   func(q *Query) { *q = histogramQuery(""); q.Edges = make([]int64, maxBuckets+2) },
		"count with column":    func(q *Query) { *q = countQuery(""); q.Column = "x" },
		"count with bounds":    func(q *Query) { *q = countQuery(""); q.Bounds.Hi = 1 },
		"count with scale":     func(q *Query) { *q = countQuery(""); q.Bounds.Scale = 2 },
	}
	for name, spoil := range bad {
		q := sumQuery("a = b")
		spoil(&q)
		_, err := q.Plan()
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	for _, q := range []Query{countQuery(""), sumQuery("ü = 日本"), meanQuery("x"), histogramQuery("y")} {
		_, err := q.Plan()
		require.NoError(t, err)
	}
}

func bytesOf(c byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = c
	}
	return b
}

func TestExactOutsideBoundsIsRefused(t *testing.T) {
	plan := func(q Query) Plan {
		p, err := q.Plan()
		require.NoError(t, err)
		return p
	}
	for _, c := range []struct {
		p Plan
		e Exact
	}{
		{plan(countQuery("")), Exact{Count: -1}},
		{plan(countQuery("")), Exact{Count: 1<<40 + 1}},
		{plan(sumQuery("")), Exact{Count: 2, Sum: 1001}},
		{plan(sumQuery("")), Exact{Count: 2, Sum: -1}},
		{plan(meanQuery("")), Exact{Count: 0, Sum: 1}},
		{plan(meanQuery("")), Exact{Count: -2, Sum: -1000}},
		{plan(histogramQuery("")), Exact{Buckets: []int64{1, 2, 3}}},
		{plan(histogramQuery("")), Exact{Buckets: []int64{1, 2, 3, 4, 5}}},
		{plan(histogramQuery("")), Exact{Buckets: []int64{1, 2, 3, -4}}},
		{plan(histogramQuery("")), Exact{Count: 4}},
	} {
		_, err := c.p.vector(c.e)
		require.ErrorIs(t, err, errExact, "%+v", c.e)
	}
	wide := sumQuery("")
	wide.Bounds = Bounds{Lo: 0, Hi: 1 << 40}
	_, err := plan(wide).vector(Exact{Count: 1 << 40, Sum: 5})
	require.ErrorIs(t, err, errExact, "count times range overflows")
}

// The interval of a mean is never wider than the margin that was announced for that noisy count, and is always within the bounds.
func TestMeanStaysWithinItsMargin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := meanQuery("")
		q.Bounds.Lo = rapid.Int64Range(-1000, 1000).Draw(t, "lo")
		q.Bounds.Hi = q.Bounds.Lo + rapid.Int64Range(1, 2000).Draw(t, "range")
		q.Rho = rapid.Float64Range(0.001, 2).Draw(t, "rho")
		p, err := q.Plan()
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.Int64Range(-50, 5000).Draw(t, "n")
		r := q.Bounds.Hi - q.Bounds.Lo
		d := rapid.Int64Range(-r*6000, r*6000).Draw(t, "d")
		e := p.finish([]int64{n, d}, 0.95, 0).Values[0]
		lo, hi := float64(q.Bounds.Lo)/10, float64(q.Bounds.Hi)/10
		if !(lo <= e.Low && e.Low <= e.Value && e.Value <= e.High && e.High <= hi) {
			t.Fatalf("%+v outside [%v, %v] or out of order", e, lo, hi)
		}
		if half := (e.High - e.Low) / 2; half > p.Margin(n)*(1+1e-12) {
			t.Fatalf("half width %v, announced %v", half, p.Margin(n))
		}
	})
}

// For every count and sum that the union bound allows, the mean is in the interval.
func TestMeanIntervalHoldsEveryAllowedMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := meanQuery("")
		q.Bounds = Bounds{-100, 300, 1}
		q.Rho = rapid.Float64Range(0.01, 1).Draw(t, "rho")
		p, err := q.Plan()
		if err != nil {
			t.Fatal(err)
		}
		kc, ks := p.halves(0.95)
		count := rapid.Int64Range(1, 200).Draw(t, "count")
		sum := rapid.Int64Range(0, 400*count).Draw(t, "sum")
		v, err := p.vector(Exact{Count: count, Sum: sum})
		if err != nil {
			t.Fatal(err)
		}
		v[0] += rapid.Int64Range(-kc, kc).Draw(t, "count noise")
		v[1] += rapid.Int64Range(-ks, ks).Draw(t, "sum noise")
		e := p.finish(v, 0.95, 0).Values[0]
		mean := float64(sum)/float64(count) - 100
		if mean < e.Low-1e-9 || mean > e.High+1e-9 {
			t.Fatalf("mean %v outside %+v", mean, e)
		}
	})
}

// Two numbers that must hold together each get half of what may fail; a sum from zero does not use its count.
func TestUnionBound(t *testing.T) {
	for _, q := range []Query{sumQuery(""), meanQuery("")} {
		p, err := q.Plan()
		require.NoError(t, err)
		kc, ks := p.halves(0.9)
		require.Equal(t, p.Noise[0].Quantile(0.95), kc)
		require.Equal(t, p.Noise[1].Quantile(0.95), ks)
	}
	q := sumQuery("")
	q.Bounds.Lo, q.Confidence = 0, 0.9
	p, err := q.Plan()
	require.NoError(t, err)
	kc, ks := p.halves(0.9)
	require.Zero(t, kc)
	require.Equal(t, p.Noise[1].Quantile(0.9), ks)
	require.Equal(t, float64(ks)/10, p.Margin(5))
}

func TestSuppressionLooksAtTheNoisyCount(t *testing.T) {
	h := histogramQuery("")
	p, err := h.Plan()
	require.NoError(t, err)
	r := p.finish([]int64{4, 10, 11, -3}, 0.95, 11)
	require.Equal(t, []int64{0, 0, 11, 0}, r.Noisy)
	for i, e := range r.Values {
		require.Equal(t, i != 2, e.Suppressed)
		if e.Suppressed {
			require.Equal(t, Estimate{Suppressed: true}, e)
		}
	}
	require.False(t, p.finish([]int64{4, 10, 11, -3}, 0.95, 0).Values[3].Suppressed, "no limit: negative counts come back negative")
	m := meanQuery("")
	p, err = m.Plan()
	require.NoError(t, err)
	r = p.finish([]int64{10, 5000}, 0.95, 11)
	require.Equal(t, []Estimate{{Suppressed: true}}, r.Values)
	require.Equal(t, []int64{0, 0}, r.Noisy)
}

func TestQueryEncodingIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuery(t)
		n, err := q.normalize()
		if err != nil {
			t.Skip(err)
		}
		b := n.append(nil)
		c, err := parseQuery(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(c.append(nil)) != string(b) {
			t.Fatal("decode and encode differ")
		}
	})
}

func drawQuery(t *rapid.T) Query {
	q := rapid.SampledFrom([]Query{countQuery(""), sumQuery(""), meanQuery(""), histogramQuery("")}).Draw(t, "kind")
	q.Predicate = rapid.StringMatching(`([a-zü=]{1,8})( [a-z]{1,3}){0,3}`).Draw(t, "predicate")
	q.DataVersion = rapid.Uint64().Draw(t, "version")
	q.Unit.Rows = rapid.IntRange(1, 50).Draw(t, "rows")
	if q.Kind == Histogram {
		q.Unit.Groups = rapid.IntRange(0, 9).Draw(t, "groups")
	}
	if q.Rho, q.Epsilon = rapid.Float64Range(0.0001, 10).Draw(t, "rho"), 0; rapid.Bool().Draw(t, "pure") {
		q.Rho, q.Epsilon = 0, q.Rho+0.01
	}
	return q
}
