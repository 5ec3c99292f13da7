package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/veilchart/veilchart/dp"
	"github.com/veilchart/veilchart/he"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/sse"
)

// dataVersion counts the loads of data that answers were computed from. An erasure is not a load: answers given before it stay as they are.
const dataVersion = 1

// The budget of the ward. zCDP adds up: a question costs its rho, and the sum must stay under the limit.
const (
	researcherRho = 0.5
	wardRho       = 1.0
	reportDelta   = 1e-6 // the delta at which a rho is also told as an epsilon
	smallest      = 10   // answers about fewer patients are withheld
)

func budgetLimits() dp.Limits {
	querier, _ := dp.ZCDP(researcherRho) // constants in range
	global, _ := dp.ZCDP(wardRho)
	return dp.Limits{Dataset: "ward", Querier: querier, Global: global, SuppressBelow: smallest}
}

// group is a set of patients, chosen by a predicate on each patient's own records.
type group struct {
	name      string
	predicate string // canonical: it is part of the question that the budget remembers
	partition string
	query     sse.Query
	inPlain   func(*record) bool // the same for the plaintext, to check answers with: true for a record that puts its patient into the group
}

var (
	everybody = group{name: "all patients"}
	obese     = group{"patients with obesity", "condition snomed 162864005", classClinical.name, sse.And(sse.Term("type", sse.String("Condition")), sse.Term("code", sse.String("162864005"))), hasCondition("162864005")}
	hypertens = group{"patients with hypertension", "condition snomed 38341003", classClinical.name, sse.And(sse.Term("type", sse.String("Condition")), sse.Term("code", sse.String("38341003"))), hasCondition("38341003")}
	older     = group{"patients born before 1971", "born before 1971-01-01", classPatient.name, sse.Range("born", sse.Value{}, sse.Day(day(1970, 12, 31))),
		func(r *record) bool { return r.kind == "Patient" && !r.date.IsZero() && r.date.Before(day(1971, 1, 1)) }}
)

func hasCondition(code string) func(*record) bool {
	return func(r *record) bool { return r.kind == "Condition" && slices.Contains(r.codes, code) }
}

// question is what the researcher asks.
type question struct {
	group group
	kind  dp.Kind
	code  string // of the measure
	rho   float64
}

// The questions, in the order in which they are asked. The last does not fit into the budget any more.
var questions = []question{
	{obese, dp.Count, age, 0.02},
	{everybody, dp.Mean, bmi, 0.08},
	{older, dp.Mean, systolic, 0.2},
	{everybody, dp.Histogram, bmi, 0.15},
	{hypertens, dp.Mean, systolic, 0.2},
}

func (q question) dp() dp.Query {
	m, _ := measureOf(q.code)
	out := dp.Query{
		Dataset: "ward", DataVersion: dataVersion, Predicate: q.group.predicate, Kind: q.kind,
		Unit: dp.Contribution{Rows: 1}, Rho: q.rho, // one row for each patient: the columns were rolled up when they were written
	}
	switch q.kind {
	case dp.Histogram:
		out.Column = q.code
		for _, e := range m.edges {
			out.Edges = append(out.Edges, scaled(e, m.scale))
		}
	case dp.Sum, dp.Mean:
		out.Column = q.code
		out.Bounds = dp.Bounds{Lo: scaled(m.lo, m.scale), Hi: scaled(m.hi, m.scale), Scale: int64(m.scale)}
	}
	return out
}

func scaled(x float64, scale uint32) int64 { return int64(x*float64(scale) + 0.5) }

// answer is a release and what it took.
type answer struct {
	dp.Release
	compute time.Duration // masks, sums over ciphertexts, decryption; zero from the cache
	server  time.Duration // of that, the part of the computing server
	left    dp.Budget
}

// ask answers a question. The gateway of the hospital finds the rows of the group and sends a mask to the computing server, which adds up
// ciphertexts; the gateway decrypts and dp adds the noise. The exact numbers exist in this function's callback and nowhere else.
func (h *hospital) ask(ctx context.Context, querier string, q question) (a answer, err error) {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "gateway", Reason: "answer a question of the " + querier})
	a.Release, err = h.budget.Release(ctx, querier, q.dp(), func(ctx context.Context) (dp.Exact, error) {
		start := time.Now()
		defer func() { a.compute = time.Since(start) }()
		key, err := h.columnsKey(ctx)
		if err != nil {
			return dp.Exact{}, err
		}
		column, err := h.column(key, q.code)
		if err != nil {
			return dp.Exact{}, err
		}
		rows, err := h.rows(ctx, q.group)
		if err != nil {
			return dp.Exact{}, err
		}
		plan, err := he.NewPlan(he.Query{Kind: heKind[q.kind], Column: q.code, Rows: rows}, column)
		if err != nil {
			return dp.Exact{}, err
		}
		server := time.Now()
		sums, err := he.Evaluate(ctx, plan, column)
		if err != nil {
			return dp.Exact{}, err
		}
		a.server = time.Since(server)
		exact, err := key.Decrypt(plan, sums)
		if err != nil {
			return dp.Exact{}, err
		}
		return dp.Exact{Count: exact.ExposeCount(), Sum: exact.ExposeSum(), Buckets: exact.ExposeBuckets()}, nil
	})
	if err != nil {
		return a, err
	}
	if !a.Cached { // a ledger that is put back behind this answer must be noticed
		if err := h.remember(ctx); err != nil {
			return a, err
		}
	}
	a.left, err = h.budget.Remaining(ctx, querier)
	return a, err
}

var heKind = map[dp.Kind]he.QueryKind{dp.Count: he.Count, dp.Sum: he.Sum, dp.Mean: he.Mean, dp.Histogram: he.Histogram}

// rows finds the patients of a group and gives their positions in the columns; nil means all. An erased patient is never among them.
func (h *hospital) rows(ctx context.Context, g group) (*he.RowSet, error) {
	if g.partition == "" {
		return nil, nil
	}
	r, err := h.index[g.partition].Search(ctx, g.query, sse.SearchOptions{})
	if err != nil {
		return nil, err
	}
	var positions []uint32
	for _, x := range r.Hits {
		row, err := readRow(x.Stored)
		if err != nil {
			return nil, err
		}
		positions = append(positions, row.position)
	}
	return he.NewRowSet(positions...), nil
}

// String is the question in words.
func (q question) String() string {
	m, _ := measureOf(q.code)
	switch q.kind {
	case dp.Count:
		return fmt.Sprintf("how many %s are there?", q.group.name)
	case dp.Histogram:
		return fmt.Sprintf("how is the %s of %s spread?", m.name, q.group.name)
	}
	return fmt.Sprintf("what is the mean %s of %s?", m.name, q.group.name)
}

func (y *story) research(ctx context.Context) error {
	const me = "researcher"
	y.s.aside("The hospital's gateway finds the group, a server adds up ciphertexts that it cannot read, and the gateway adds noise before anybody " +
		"sees a number. The interval in brackets holds the exact number of these patients with 95 % certainty; it says nothing about other patients. " +
		"Every question costs a part of a budget, called rho: the more exact the answer, the higher the cost. What is spent bounds what all answers together " +
		"can tell about any one patient.")
	refused := false
	for i, q := range questions {
		last := i == len(questions)-1
		a, err := y.h.ask(ctx, me, q)
		if over := (*dp.BudgetError)(nil); errors.As(err, &over) {
			y.check(over.Need.Rho() > over.Left.Rho(), "%s  Refused: this costs rho %.3g, %.3g is left. The budget does not refill", q, over.Need.Rho(), over.Left.Rho())
			refused = true
			if !last {
				y.s.say("    %s", y.s.paint(dim, "an earlier run was cut short while it answered; what it had reserved stays spent"))
			}
			continue
		}
		if err != nil {
			return err
		}
		y.check(y.near(q, a), "%s  %s", q, a.text(q))
		cost := fmt.Sprintf("cost rho %.3g, left %.3g", a.Charged.Rho(), a.left.Querier.Rho())
		if a.Cached {
			cost = fmt.Sprintf("answered before: no new noise, no cost, left %.3g", a.left.Querier.Rho())
		} else if a.compute > 0 {
			cost += "; computed in " + ms(a.compute)
		}
		y.s.say("    %s", y.s.paint(dim, cost))
		if !a.Cached && q.kind == dp.Mean && q.group.partition != "" {
			y.r.time("a filtered mean, from question to noisy answer", a.compute, "under 100")
		}
	}
	if !refused {
		y.check(false, "the budget should have ended")
	}
	left, err := y.h.budget.Remaining(ctx, me)
	if err != nil {
		return err
	}
	spent := researcherRho - left.Querier.Rho()
	epsilon, err := dp.ZCDP(spent)
	if err != nil {
		return err
	}
	e, err := epsilon.Epsilon(reportDelta)
	if err != nil {
		return err
	}
	y.s.say("The researcher has spent rho %.3g of %.3g; in the usual terms of differential privacy, epsilon %.2f at delta %g.", spent, researcherRho, e, reportDelta)
	return nil
}

// near compares an answer with the truth, which this program knows since it read the plaintext. The interval of 95 % is stretched four times,
// to 7.8 standard deviations of the noise: by chance alone an answer lies outside once in 10^14 times.
func (y *story) near(q question, a answer) bool {
	truth := y.truth(q)
	if len(truth) != len(a.Values) {
		return false
	}
	for i, v := range a.Values {
		if v.Suppressed {
			margin := 4 * float64(a.Noise[0].Quantile(0.95))
			if truth[i].count > float64(smallest)+margin {
				return false
			}
			continue
		}
		if low, high := v.Value-4*(v.Value-v.Low)-1e-9, v.Value+4*(v.High-v.Value)+1e-9; truth[i].value < low || truth[i].value > high {
			return false
		}
	}
	return true
}

type exact struct{ value, count float64 }

// truth answers a question from the plaintext, with values rounded and moved into their range as the columns have them.
func (y *story) truth(q question) (out []exact) {
	m, _ := measureOf(q.code)
	in := map[uint32]bool{}
	for _, r := range y.w.records {
		if q.group.inPlain == nil || q.group.inPlain(r) {
			in[y.w.position[r.patient]] = true
		}
	}
	buckets := make([]exact, max(len(m.edges)-1, 0))
	var sum, count float64
	for _, v := range y.w.latest()[q.code] {
		if !in[v.Row] {
			continue
		}
		x := math.Round(min(max(v.X, m.lo), m.hi)*float64(m.scale)) / float64(m.scale)
		sum, count = sum+x, count+1
		for i := range buckets {
			if x >= m.edges[i] && (x < m.edges[i+1] || i == len(buckets)-1) {
				buckets[i].value, buckets[i].count = buckets[i].value+1, buckets[i].count+1
			}
		}
	}
	switch q.kind {
	case dp.Count:
		return []exact{{count, count}}
	case dp.Histogram:
		return buckets
	}
	return []exact{{sum / max(count, 1), count}}
}

// text shows the answer with its intervals.
func (a answer) text(q question) string {
	m, _ := measureOf(q.code)
	show := func(e dp.Estimate, unit string, digits int) string {
		if e.Suppressed {
			return fmt.Sprintf("withheld (fewer than %d)", smallest)
		}
		return fmt.Sprintf("%.*f%s (%.*f to %.*f)", digits, e.Value, unit, digits, e.Low, digits, e.High)
	}
	switch q.kind {
	case dp.Count:
		return show(a.Values[0], "", 0)
	case dp.Histogram:
		var parts []string
		for i, e := range a.Values {
			parts = append(parts, fmt.Sprintf("%g-%g: %s", m.edges[i], m.edges[i+1], show(e, "", 0)))
		}
		return strings.Join(parts, "; ")
	}
	return show(a.Values[0], " "+m.unit, 1)
}
