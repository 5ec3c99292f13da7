package he

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func requirePlanError(t *testing.T, err error, kind PlanErrorKind) *PlanError {
	t.Helper()
	var e *PlanError
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, "%v", err)
	return e
}

// The largest range that n rows may have is accepted and exact with every row at its maximum; one more is refused.
func TestOverflowIsRefusedAtTheBoundary(t *testing.T) {
	k := newTestKey(t)
	half := int64(k.k.lat.t / 2)
	for _, n := range []int{1, 2, 4096, 5000} {
		width := (half - 1) / int64(n)
		values := make([]Value, n)
		for i := range values {
			values[i] = Value{uint32(i), 1e15}
		}
		s := ColumnSchema{Name: "x", Min: -7, Max: float64(width - 7), Scale: 1}
		c, err := k.EncryptColumn(s, values)
		require.NoError(t, err)
		r := ask(t, k, c, Sum, nil)
		require.Equal(t, width*int64(n), r.ExposeSum())
		require.Equal(t, int64(n), r.ExposeCount())

		s.Max++
		c, err = k.EncryptColumn(s, values)
		require.NoError(t, err)
		for _, kind := range []QueryKind{Sum, Mean} {
			// Also for a set of one row: the refusal must not depend on the rows.
			for _, set := range []*RowSet{nil, NewRowSet(0), NewRowSet()} {
				_, err = NewPlan(Query{kind, "x", set}, c)
				e := requirePlanError(t, err, Overflow)
				require.Contains(t, e.Inequality, "rows * range < T/2")
				require.ErrorContains(t, err, "smaller range")
			}
		}
		require.Equal(t, int64(n), ask(t, k, c, Count, nil).ExposeCount(), "counts stay possible")
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	k := newTestKey(t)
	s := bmi
	s.Edges = nil
	c, err := k.EncryptColumn(s, []Value{{0, 20}})
	require.NoError(t, err)
	other, err := k.EncryptColumn(s, []Value{{0, 20}})
	require.NoError(t, err)
	for _, columns := range [][]*Column{{}, {c, other}} {
		_, err = NewPlan(Query{Count, "bmi", nil}, columns...)
		requirePlanError(t, err, UnknownColumn)
	}
	_, err = NewPlan(Query{Count, "sbp", nil}, c)
	requirePlanError(t, err, UnknownColumn)
	_, err = NewPlan(Query{Histogram, "bmi", nil}, c)
	requirePlanError(t, err, NoHistogram)
	for _, kind := range []QueryKind{0, 5, 255} {
		_, err = NewPlan(Query{kind, "bmi", nil}, c)
		requirePlanError(t, err, BadQuery)
	}
	plan, err := NewPlan(Query{Count, "bmi", nil}, c)
	require.NoError(t, err)
	_, err = Evaluate(t.Context(), plan)
	requirePlanError(t, err, UnknownColumn)
	_, err = Evaluate(t.Context(), plan, other)
	require.ErrorContains(t, err, "plan the query again")
}

// primeBelow is the largest prime below a bound that is 1 mod m.
func primeBelow(bound, m uint64) uint64 {
	p := bound - (bound-1)%m
	for p -= m; !new(big.Int).SetUint64(p).ProbablyPrime(20); p -= m {
	}
	return p
}

// A message modulus of 52 bits leaves no room for the rounding noise: the planner must see it.
func TestNoiseIsRefused(t *testing.T) {
	k := newTestKey(t)
	c, err := k.EncryptColumn(bmi, []Value{{0, 20}})
	require.NoError(t, err)
	plan, err := NewPlan(Query{Mean, "bmi", nil}, c)
	require.NoError(t, err)
	p := sumParams()
	for width, refused := range map[int]bool{40: false, 42: true, 52: true} {
		p.t = primeBelow(1<<width, 1<<13)
		tight := *plan
		tight.lat, err = newLattice(p)
		require.NoError(t, err)
		err = tight.prove()
		if !refused {
			require.NoError(t, err)
			continue
		}
		e := requirePlanError(t, err, Noise)
		require.Contains(t, e.Inequality, "q0/2 after lowering")
	}
	// With more errors than any column has, the first inequality fails.
	require.Contains(t, sumParams().fits(big.NewInt(1), 1<<61), "< Q/2")
}

func TestInsecureParametersAreRefused(t *testing.T) {
	for name, change := range map[string]func(*params){
		"degree 2^11":      func(p *params) { p.logN = 11 },
		"degree 2^15":      func(p *params) { p.logN = 15 },
		"107 bits":         func(p *params) { p.q[0] = primeBelow(1<<54, 1<<13) },
		"one more prime":   func(p *params) { p.q = append(p.q, 12289) },
		"two small primes": func(p *params) { p.logN, p.q = 10, []uint64{12289, 40961} },
	} {
		p := sumParams()
		change(&p)
		_, err := newLattice(p)
		e := requirePlanError(t, err, Insecure)
		require.Contains(t, e.Inequality, "log2 Q", name)
	}
	for name, change := range map[string]func(*params){
		"one prime":       func(p *params) { p.q = p.q[:1] },
		"equal primes":    func(p *params) { p.q[1] = p.q[0] },
		"composite":       func(p *params) { p.q[0] = 1<<52 + 1 },
		"not 1 mod 2N":    func(p *params) { p.q[0] = 4503599627370449 },
		"T above q0":      func(p *params) { p.q[0], p.q[1] = 40961, 65537 },
		"T composite":     func(p *params) { p.t-- },
		"T odd composite": func(p *params) { p.t = 1<<39 + 1 },
	} {
		p := sumParams()
		change(&p)
		_, err := newLattice(p)
		require.ErrorContains(t, err, "parameters refused", name)
	}
	// A plan checks again.
	p := Plan{lat: &lattice{params: sumParams()}}
	p.lat.logN = 11
	requirePlanError(t, p.prove(), Insecure)
}

// The numbers of the specification.
func TestProfileSumIsTheSpecified(t *testing.T) {
	p := sumParams()
	require.NoError(t, p.check())
	require.Equal(t, 106, p.modulus().BitLen())
	require.Equal(t, primeBelow(1<<40, 1<<13), p.t)
	require.Equal(t, uint64(54975), p.t/2/10_000_000)
	require.Equal(t, blockRows, p.n())
	require.Equal(t, uint64(maxWidth), p.t/2)
	require.Empty(t, p.fits(new(big.Int).SetUint64(p.t/2), maxBlocks*blockRows), "noise never refuses a column that can exist")
}

func TestSensitivity(t *testing.T) {
	k := newTestKey(t)
	c, err := k.EncryptColumn(bmi, []Value{{0, 20}, {5000, 30}})
	require.NoError(t, err)
	plan, err := NewPlan(Query{Histogram, "bmi", NewRowSet(1)}, c)
	require.NoError(t, err)
	require.Equal(t, Sensitivity{MaxRows: 4096 + 905, Lo: 100, Hi: 600, Range: 500, Scale: 10, Buckets: 6}, plan.Sensitivity())
	plan, err = NewPlan(Query{Mean, "bmi", nil}, c)
	require.NoError(t, err)
	require.Equal(t, Sensitivity{MaxRows: 4096 + 905, Lo: 100, Hi: 600, Range: 500, Scale: 10}, plan.Sensitivity())
	require.Equal(t, Mean, plan.Query().Kind)
}
