package he

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var bmi = ColumnSchema{Name: "bmi", Min: 10, Max: 60, Scale: 10, Edges: []float64{10, 20, 25, 30, 35, 40, 60}}

func newTestKey(t testing.TB) *Key {
	t.Helper()
	k, err := GenerateKey(ProfileSum)
	require.NoError(t, err)
	return k
}

// reference is a column in the clear.
type reference struct {
	schema schema
	rows   map[uint32]uint64 // x' of rows that have a value
}

func newReference(t testing.TB, cs ColumnSchema, values []Value) *reference {
	t.Helper()
	s, err := newSchema(cs)
	require.NoError(t, err)
	r := &reference{schema: s, rows: map[uint32]uint64{}}
	for _, v := range values {
		x, ok, err := s.step(v)
		require.NoError(t, err)
		if ok {
			r.rows[v.Row] = x
		}
	}
	return r
}

func (r *reference) answer(set *RowSet) (count, sum int64, buckets []int64) {
	buckets = make([]int64, r.schema.buckets())
	for row, x := range r.rows {
		if set == nil || set.Contains(row) {
			count++
			sum += int64(x)
			if len(buckets) > 0 {
				buckets[r.schema.bucket(x)]++
			}
		}
	}
	return count, sum, buckets
}

// ask runs a query end to end, with every object through its encoding.
func ask(t testing.TB, k *Key, c *Column, kind QueryKind, set *RowSet) *UnreleasedResult {
	t.Helper()
	plan, err := NewPlan(Query{Kind: kind, Column: c.schema.name, Rows: set}, c)
	require.NoError(t, err)
	a, err := Evaluate(t.Context(), plan, c)
	require.NoError(t, err)
	a, err = NewAnswer(a.Bytes())
	require.NoError(t, err)
	r, err := k.Decrypt(plan, a)
	require.NoError(t, err)
	return r
}

// requireAnswers compares every kind of query with the reference.
func requireAnswers(t testing.TB, k *Key, c *Column, ref *reference, set *RowSet) {
	t.Helper()
	count, sum, buckets := ref.answer(set)
	require.Equal(t, count, ask(t, k, c, Count, set).ExposeCount())
	mean := ask(t, k, c, Mean, set)
	require.Equal(t, count, mean.ExposeCount())
	require.Equal(t, sum, mean.ExposeSum())
	total := ask(t, k, c, Sum, set)
	require.Equal(t, count, total.ExposeCount())
	require.Equal(t, sum, total.ExposeSum())
	if len(buckets) > 0 {
		h := ask(t, k, c, Histogram, set)
		require.Equal(t, count, h.ExposeCount())
		require.Equal(t, buckets, h.ExposeBuckets())
	}
}

// randomValues gives about 9 in 10 of n rows a value, some outside of the range.
func randomValues(rng *rand.Rand, s ColumnSchema, n int) []Value {
	var v []Value
	for i := range n {
		if rng.IntN(10) > 0 {
			v = append(v, Value{Row: uint32(i), X: s.Min - 1 + rng.Float64()*(s.Max-s.Min+2)})
		}
	}
	rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	return v
}

func randomSet(rng *rand.Rand, n int, of int) *RowSet {
	rows := make([]uint32, 0, n)
	for range n {
		rows = append(rows, rng.Uint32N(uint32(of)))
	}
	return NewRowSet(rows...)
}
