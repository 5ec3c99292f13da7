package dp

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two-world audits. World B is world A without one patient, who adds as much as the declared bounds allow. Each mechanism is run
// many times in both worlds, on the path that releases use, and asked for an event that tells the worlds apart: "the log of the
// likelihood ratio is at least c". If the mechanism is what it says, P_A <= e^epsilon P_B + delta for every event. Clopper-Pearson
// bounds turn the two counts into a lower bound of epsilon, which must not be above the claim.
//
// Each bound is wrong with probability at most 1e-12; 12 audits with 2 bounds for each of 4 events are 96 bounds, so a correct
// package fails a run with probability below 1e-10.
const (
	auditRuns  = 60_000
	auditAlpha = 1e-12
)

type audit struct {
	name string
	q    Query
	a, b Exact
}

func audits() []audit {
	var out []audit
	for _, accuracy := range []struct {
		name         string
		rho, epsilon float64
	}{{"Gaussian", 0.5, 0}, {"Laplace", 0, 1}} {
		q := Query{Dataset: "d", Rho: accuracy.rho, Epsilon: accuracy.epsilon}
		add := func(name string, q Query, a, b Exact) {
			out = append(out, audit{name + " " + accuracy.name, q, a, b})
		}
		count := q
		count.Kind, count.Unit.Rows = Count, 1
		add("count", count, Exact{Count: 41}, Exact{Count: 40})
		count.Unit.Rows = 3
		add("count of up to 3 rows", count, Exact{Count: 43}, Exact{Count: 40})
		sum := q
		sum.Kind, sum.Column, sum.Unit.Rows, sum.Bounds = Sum, "c", 2, Bounds{-30, 70, 10}
		add("sum", sum, Exact{Count: 12, Sum: 700}, Exact{Count: 10, Sum: 500})
		mean := sum
		mean.Kind = Mean
		add("mean", mean, Exact{Count: 12, Sum: 700}, Exact{Count: 10, Sum: 500})
		hist := q
		hist.Kind, hist.Column, hist.Edges, hist.Unit.Rows = Histogram, "c", []int64{0, 1, 2, 3}, 2
		add("histogram, rows in one bucket", hist, Exact{Buckets: []int64{5, 9, 7}}, Exact{Buckets: []int64{5, 7, 7}})
		hist.Unit.Groups = 3
		add("histogram, rows in three buckets", hist, Exact{Buckets: []int64{7, 9, 9}}, Exact{Buckets: []int64{5, 7, 7}})
	}
	return out
}

// logRatio is the log-likelihood ratio of world A over world B; the distributions' normalisers cancel. scales are the claimed ones.
func logRatio(m Mechanism, scales []float64, y, a, b []int64) float64 {
	l := 0.0
	for i := range y {
		s := scales[min(i, len(scales)-1)]
		da, db := float64(y[i]-a[i]), float64(y[i]-b[i])
		if m == Laplace {
			l += (math.Abs(db) - math.Abs(da)) / s
		} else {
			l += (db*db - da*da) / (2 * s)
		}
	}
	return l
}

// lowerBound is the largest epsilon that the runs prove to be exceeded, less what is claimed for the same event: above zero
// means that the claim is refuted.
func lowerBound(t *testing.T, p Plan, drawn Plan, a, b Exact) float64 {
	t.Helper()
	va, err := p.vector(a)
	require.NoError(t, err)
	vb, err := p.vector(b)
	require.NoError(t, err)
	from := newPool(newSource())
	thresholds := auditThresholds(p)
	var scales []float64
	for _, n := range p.Noise {
		s, _ := n.Scale.Float64()
		scales = append(scales, s)
	}
	var hits [2][4]int
	for range auditRuns {
		for w, v := range [][]int64{va, vb} {
			noise, err := drawn.draw(from)
			require.NoError(t, err)
			y := noisy(append([]int64(nil), v...), noise)
			l := logRatio(p.Noise[0].Mechanism, scales, y, va, vb)
			for i, c := range thresholds {
				if l >= c {
					hits[w][i]++
				}
			}
		}
	}
	worst := math.Inf(-1)
	for i := range thresholds {
		pa := clopperLow(hits[0][i], auditRuns, auditAlpha)
		pb := clopperHigh(hits[1][i], auditRuns, auditAlpha)
		epsilon, delta := auditClaim(p, i)
		if pa > delta {
			worst = max(worst, math.Log((pa-delta)/pb)-epsilon)
		}
	}
	return worst
}

// claimedEpsilon is the pure epsilon of a Laplace plan.
func claimedEpsilon(p Plan) float64 {
	_, e := p.query.accuracy()
	return math.Ldexp(float64(e), -epsilonBits)
}

func auditThresholds(p Plan) [4]float64 {
	if p.Noise[0].Mechanism == Laplace {
		e := claimedEpsilon(p)
		return [4]float64{e - 1e-6, 0.9 * e, e / 2, 0}
	}
	var c [4]float64
	for i := range c {
		c[i], _ = auditClaim(p, i)
	}
	return c
}

func auditClaim(p Plan, i int) (epsilon, delta float64) {
	if p.Noise[0].Mechanism == Laplace {
		return claimedEpsilon(p), 0
	}
	epsilon = []float64{0.25, 1, 2, 3}[i]
	return epsilon, deltaOf(p.Cost.Rho(), epsilon)
}

func TestAudit(t *testing.T) {
	require.Len(t, audits(), 12)
	for _, a := range audits() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p, err := a.q.Plan()
			require.NoError(t, err)
			require.LessOrEqual(t, lowerBound(t, p, p, a.a, a.b), 0.0)
		})
	}
}

// The audit refutes mechanisms that are wrong by a factor of two: with half the noise, or a patient with twice the rows.
func TestAuditHasPower(t *testing.T) {
	for _, a := range audits() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p, err := a.q.Plan()
			require.NoError(t, err)
			weak := p
			weak.Noise = nil
			for _, n := range p.Noise {
				by := big.NewRat(1, 3)
				if n.Mechanism == Gaussian {
					by = big.NewRat(1, 9)
				}
				weak.Noise = append(weak.Noise, Noise{n.Mechanism, new(big.Rat).Mul(n.Scale, by)})
			}
			require.Greater(t, lowerBound(t, p, weak, a.a, a.b), 0.0, "a third of the noise goes unnoticed")
		})
	}
}

// Intervals cover the exact answer as often as they say: the Clopper-Pearson bounds, 24 of them, are each wrong with probability at
// most 1e-11.
func TestIntervalsCover(t *testing.T) {
	const runs, c = 5_000, 0.9
	for _, a := range audits() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.q.Confidence = c
			p, err := a.q.Plan()
			require.NoError(t, err)
			v, err := p.vector(a.a)
			require.NoError(t, err)
			truth := float64(a.a.Count)
			switch a.q.Kind {
			case Sum:
				truth = float64(a.a.Sum+a.a.Count*a.q.Bounds.Lo) / float64(a.q.Bounds.Scale)
			case Mean:
				truth = (float64(a.a.Sum)/float64(a.a.Count) + float64(a.q.Bounds.Lo)) / float64(a.q.Bounds.Scale)
			case Histogram:
				truth = float64(a.a.Buckets[1])
			}
			from := newPool(newSource())
			covered, narrow := 0, 0
			for range runs {
				noise, err := p.draw(from)
				require.NoError(t, err)
				r := p.finish(noisy(append([]int64(nil), v...), noise), c, 0)
				e := r.Values[len(r.Values)/2]
				require.LessOrEqual(t, e.Low, e.Value)
				require.LessOrEqual(t, e.Value, e.High)
				if e.Low <= truth && truth <= e.High {
					covered++
				}
				// Half the interval must not be enough, or it would be needlessly wide. Means of few rows are cut to their range.
				if math.Abs(truth-e.Value) <= (e.High-e.Low)/4 {
					narrow++
				}
			}
			require.GreaterOrEqual(t, clopperHigh(covered, runs, 1e-11), c)
			if a.q.Kind != Mean && a.q.Kind != Sum {
				require.Less(t, clopperLow(narrow, runs, 1e-11), c, fmt.Sprint(narrow))
			}
		})
	}
}
