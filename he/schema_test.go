package he

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSchemasThatAreRefused(t *testing.T) {
	k := newTestKey(t)
	with := func(f func(*ColumnSchema)) ColumnSchema {
		s := bmi
		f(&s)
		return s
	}
	for name, s := range map[string]ColumnSchema{
		"no name":             with(func(s *ColumnSchema) { s.Name = "" }),
		"long name":           with(func(s *ColumnSchema) { s.Name = strings.Repeat("x", 65) }),
		"control character":   with(func(s *ColumnSchema) { s.Name = "a\n" }),
		"not ASCII":           with(func(s *ColumnSchema) { s.Name = "größe" }),
		"scale 0":             with(func(s *ColumnSchema) { s.Scale = 0 }),
		"huge scale":          with(func(s *ColumnSchema) { s.Scale = 1_000_000_001 }),
		"Min = Max":           with(func(s *ColumnSchema) { s.Max = 10; s.Edges = nil }),
		"Min > Max":           with(func(s *ColumnSchema) { s.Max = 9; s.Edges = nil }),
		"NaN":                 with(func(s *ColumnSchema) { s.Min = math.NaN() }),
		"infinite":            with(func(s *ColumnSchema) { s.Max = math.Inf(1) }),
		"too far":             with(func(s *ColumnSchema) { s.Max = 1e12; s.Edges = nil }),
		"too wide":            {Name: "x", Min: 0, Max: maxWidth + 1, Scale: 1},
		"between steps":       with(func(s *ColumnSchema) { s.Min = 10.05; s.Edges = nil }),
		"unknown policy":      with(func(s *ColumnSchema) { s.OutOfRange = 3 }),
		"one edge":            with(func(s *ColumnSchema) { s.Edges = []float64{10} }),
		"edges start late":    with(func(s *ColumnSchema) { s.Edges = []float64{11, 60} }),
		"edges end early":     with(func(s *ColumnSchema) { s.Edges = []float64{10, 59} }),
		"edges fall":          with(func(s *ColumnSchema) { s.Edges = []float64{10, 30, 20, 60} }),
		"edges repeat":        with(func(s *ColumnSchema) { s.Edges = []float64{10, 20, 20, 60} }),
		"edges between steps": with(func(s *ColumnSchema) { s.Edges = []float64{10, 20.04, 60} }),
		"edge is NaN":         with(func(s *ColumnSchema) { s.Edges = []float64{10, math.NaN(), 60} }),
		"too many edges":      with(func(s *ColumnSchema) { s.Edges = make([]float64, 66) }),
	} {
		_, err := k.EncryptColumn(s, nil)
		require.ErrorContains(t, err, "he: schema of column", name)
	}
}

func TestValuesOutOfRangeFollowThePolicy(t *testing.T) {
	k := newTestKey(t)
	values := []Value{{0, -1e300}, {1, 9.94}, {2, 9.96}, {3, 60.04}, {4, 60.06}, {5, 1e300}, {6, 20}}
	s := bmi
	c, err := k.EncryptColumn(s, values)
	require.NoError(t, err)
	r := ask(t, k, c, Mean, nil)
	require.Equal(t, int64(7), r.ExposeCount())
	require.Equal(t, int64(500*3+100), r.ExposeSum())
	require.Equal(t, []int64{3, 1, 0, 0, 0, 3}, ask(t, k, c, Histogram, nil).ExposeBuckets())

	s.OutOfRange = DropOutOfRange // 9.96 and 60.04 round into the range
	c, err = k.EncryptColumn(s, values)
	require.NoError(t, err)
	r = ask(t, k, c, Mean, nil)
	require.Equal(t, int64(3), r.ExposeCount())
	require.Equal(t, int64(500+100), r.ExposeSum())
	require.Equal(t, uint64(7), c.Next(), "a dropped value has used its position")

	s.OutOfRange = RefuseOutOfRange
	_, err = k.EncryptColumn(s, values)
	require.ErrorContains(t, err, "row 0 is outside [10, 60]")
	_, err = k.EncryptColumn(s, []Value{{2, 9.96}, {3, 60.04}})
	require.NoError(t, err)
}

func TestBucketsAreHalfOpenButTheLast(t *testing.T) {
	k := newTestKey(t)
	var values []Value
	for i, x := range []float64{10, 19.9, 20, 24.9, 25, 29.9, 30, 34.9, 35, 39.9, 40, 60} {
		values = append(values, Value{uint32(i), x})
	}
	c, err := k.EncryptColumn(bmi, values)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 2, 2, 2, 2, 2}, ask(t, k, c, Histogram, nil).ExposeBuckets())
}

func TestSchemaSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.Uint32Range(1, maxScale).Draw(t, "scale")
		lo := rapid.Int64Range(-maxSteps, maxSteps-1).Draw(t, "lo")
		hi := rapid.Int64Range(lo+1, min(maxSteps, lo+maxWidth)).Draw(t, "hi")
		s := schema{name: "x", lo: lo, hi: hi, scale: scale}
		again, err := newSchema(s.public())
		if err != nil || again.lo != lo || again.hi != hi || again.scale != scale {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}
