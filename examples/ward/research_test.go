package main

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/dp"
	"github.com/veilchart/veilchart/he"
)

// What he computes over encrypted columns is what a plain loop over the records computes, for every measure and for a group.
func TestEncryptedSumsAreExact(t *testing.T) {
	ctx := context.Background()
	h, w, _ := opened(t, filepath.Join(t.TempDir(), "ward"), 12)
	defer func() { require.NoError(t, h.close()) }()
	key, err := h.columnsKey(ctx)
	require.NoError(t, err)
	rows, err := h.rows(ctx, older)
	require.NoError(t, err)
	old := map[uint32]bool{}
	for _, r := range w.records {
		if r.kind == "Patient" && r.date.Year() < 1971 {
			old[w.position[r.patient]] = true
		}
	}
	require.NotEmpty(t, old)
	require.Less(t, len(old), len(w.patients))
	assert.Equal(t, len(old), rows.Len())

	values := w.latest()
	for _, m := range measures {
		c, err := h.column(key, m.code)
		require.NoError(t, err)
		for _, g := range []*he.RowSet{nil, rows} {
			plan, err := he.NewPlan(he.Query{Kind: he.Mean, Column: m.code, Rows: g}, c)
			require.NoError(t, err)
			a, err := he.Evaluate(ctx, plan, c)
			require.NoError(t, err)
			got, err := key.Decrypt(plan, a)
			require.NoError(t, err)
			var count, sum int64
			for _, v := range values[m.code] {
				if g == nil || old[v.Row] {
					x := int64(math.Round(min(max(v.X, m.lo), m.hi) * float64(m.scale)))
					count, sum = count+1, sum+x-int64(math.Round(m.lo*float64(m.scale)))
				}
			}
			assert.Equal(t, count, got.ExposeCount(), m.name)
			assert.Equal(t, sum, got.ExposeSum(), m.name)
		}
	}
}

// Answers lie where they should, cost what they say, come from the cache the second time, and end with the budget.
func TestAnswersAndBudget(t *testing.T) {
	ctx := context.Background()
	h, _, _ := opened(t, filepath.Join(t.TempDir(), "ward"), 12)
	defer func() { require.NoError(t, h.close()) }()
	spent := 0.0
	for _, q := range questions {
		a, err := h.ask(ctx, "r", q)
		if spent+q.rho > researcherRho {
			var over *dp.BudgetError
			require.ErrorAs(t, err, &over)
			assert.False(t, over.Global)
			continue
		}
		require.NoError(t, err)
		spent += a.Charged.Rho()
		assert.InDelta(t, q.rho, a.Charged.Rho(), 1e-6)
		again, err := h.ask(ctx, "r", q)
		require.NoError(t, err)
		assert.True(t, again.Cached)
		assert.Zero(t, again.Charged.Rho())
		assert.Equal(t, a.Values, again.Values)
		assert.Zero(t, again.compute, "nothing is computed for a cached answer")
	}
	left, err := h.budget.Remaining(ctx, "r")
	require.NoError(t, err)
	assert.InDelta(t, researcherRho-spent, left.Querier.Rho(), 1e-6)
}

// A filter on the positions of nobody gives an exact zero, which the noise then hides.
func TestEmptyGroup(t *testing.T) {
	ctx := context.Background()
	h, _, _ := opened(t, filepath.Join(t.TempDir(), "ward"), 1)
	defer func() { require.NoError(t, h.close()) }()
	a, err := h.ask(ctx, "r", question{hypertens, dp.Count, age, 0.05})
	require.NoError(t, err)
	assert.True(t, a.Values[0].Suppressed, "a small count is withheld: %+v", a.Values)
}
