package he

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAnswersOver65536RowsAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 65536
	k := newTestKey(t)
	values := randomValues(rng, bmi, n)
	c, err := k.EncryptColumn(bmi, values)
	require.NoError(t, err)
	c, err = NewColumn(c.Bytes())
	require.NoError(t, err)
	require.NoError(t, k.Verify(c))
	ref := newReference(t, bmi, values)

	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	even := slices.DeleteFunc(slices.Clone(all), func(r uint32) bool { return r%2 == 1 })
	sets := map[string]*RowSet{
		"every row":              nil,
		"every row by name":      NewRowSet(all...),
		"no row":                 NewRowSet(),
		"rows beyond the column": NewRowSet(n, n+5000, 1<<32-1),
		"even rows":              NewRowSet(even...),
		"a tenth":                randomSet(rng, n/10, n),
		"two whole blocks":       NewRowSet(all[4096 : 3*4096]...),
		"whole blocks and some":  NewRowSet(all[100 : 5*4096+7]...),
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) { requireAnswers(t, k, c, ref, set) })
	}
}

// The constant coefficient of X^i * X^-j is 1 for i = j and 0 otherwise; X^-j = -X^(N-j) wraps with a sign, so the first and
// the last coefficient are where a wrong mask would show.
func TestFilterAtTheEdgesOfABlock(t *testing.T) {
	k := newTestKey(t)
	rows := []uint32{0, 1, 2, 63, 64, 2047, 2048, 4094, 4095, 4096, 4097, 8191, 8192}
	s := ColumnSchema{Name: "x", Min: 0, Max: 1 << 20, Scale: 1}
	var values []Value
	for i, r := range rows {
		values = append(values, Value{Row: r, X: float64(int(1) << i)})
	}
	c, err := k.EncryptColumn(s, values)
	require.NoError(t, err)
	for i, r := range rows {
		one := ask(t, k, c, Mean, NewRowSet(r))
		require.Equal(t, int64(1)<<i, one.ExposeSum(), "row %d alone", r)
		require.Equal(t, int64(1), one.ExposeCount(), "row %d alone", r)
	}
	for i, r := range rows {
		rest := slices.Delete(slices.Clone(rows), i, i+1)
		got := ask(t, k, c, Sum, NewRowSet(rest...))
		require.Equal(t, int64(1)<<len(rows)-1-int64(1)<<i, got.ExposeSum(), "all but row %d", r)
	}
	require.Zero(t, ask(t, k, c, Sum, NewRowSet(3, 4093, 4098)).ExposeSum())
}

// The transform-based mask must be the polynomial of the specification: compared with a schoolbook product modulo X^N + 1.
func TestMaskIsTheSumOfInversePowers(t *testing.T) {
	l, err := sumLattice()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(3, 4))
	m := l.newPoly()
	for i := range m[0] {
		v := rng.Uint64N(l.t)
		m[0][i], m[1][i] = v, v
	}
	var set bitmap
	var want uint64
	for i := range blockRows {
		if i == 0 || i == blockRows-1 || rng.IntN(3) == 0 {
			set[i/64] |= 1 << (i % 64)
			want += m[0][i]
		}
	}
	l.ntt(m)
	l.mul(m, m, l.mask(&set))
	l.intt(m)
	for j, q := range l.q {
		require.Equal(t, want%q, m[j][0])
	}
}

func TestAnswersMatchTheReference(t *testing.T) {
	k := newTestKey(t)
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Int64Range(-1000, 1000).Draw(t, "lo")
		width := rapid.Int64Range(1, 5000).Draw(t, "width")
		scale := rapid.SampledFrom([]uint32{1, 3, 10, 1000}).Draw(t, "scale")
		unit := func(v int64) float64 { return float64(v) / float64(scale) }
		cs := ColumnSchema{Name: "p", Min: unit(lo), Max: unit(lo + width), Scale: scale,
			OutOfRange: rapid.SampledFrom([]OutOfRange{Clamp, DropOutOfRange}).Draw(t, "policy")}
		if width > 2 && rapid.Bool().Draw(t, "edges") {
			cs.Edges = []float64{unit(lo), unit(lo + width/2), unit(lo + width)}
		}
		last := rapid.SampledFrom([]uint32{1, 4095, 4096, 4097, 9000}).Draw(t, "rows")
		rows := rapid.SliceOfNDistinct(rapid.Uint32Range(0, last), 0, 40, rapid.ID[uint32]).Draw(t, "row")
		var values []Value
		for _, r := range rows {
			values = append(values, Value{r, unit(lo) + rapid.Float64Range(-10, unit(width)+10).Draw(t, "x")})
		}
		set := NewRowSet(rapid.SliceOfN(rapid.Uint32Range(0, last+10), 0, 60).Draw(t, "set")...)
		s, err := newSchema(cs)
		if err != nil {
			t.Fatal(err)
		}
		c, err := k.EncryptColumn(cs, values)
		if err != nil {
			t.Fatal(err)
		}
		var count, sum int64
		buckets := make([]int64, s.buckets())
		for _, v := range values {
			x, ok, _ := s.step(v)
			if ok && set.Contains(v.Row) {
				count++
				sum += int64(x)
				if len(buckets) > 0 {
					buckets[s.bucket(x)]++
				}
			}
		}
		for kind := Count; kind <= Histogram; kind++ {
			if kind == Histogram && len(buckets) == 0 {
				continue
			}
			plan, err := NewPlan(Query{kind, "p", set}, c)
			if err != nil {
				t.Fatal(err)
			}
			a, err := Evaluate(t.Context(), plan, c)
			if err != nil {
				t.Fatal(err)
			}
			r, err := k.Decrypt(plan, a)
			if err != nil {
				t.Fatal(err)
			}
			if r.ExposeCount() != count {
				t.Fatalf("%v: count %d, want %d", kind, r.ExposeCount(), count)
			}
			if (kind == Sum || kind == Mean) && r.ExposeSum() != sum {
				t.Fatalf("%v: sum %d, want %d", kind, r.ExposeSum(), sum)
			}
			if kind == Histogram && fmt.Sprint(r.ExposeBuckets()) != fmt.Sprint(buckets) {
				t.Fatalf("buckets %v, want %v", r.ExposeBuckets(), buckets)
			}
		}
	})
}

func TestAColumnWithoutValues(t *testing.T) {
	k := newTestKey(t)
	c, err := k.EncryptColumn(bmi, nil)
	require.NoError(t, err)
	require.Zero(t, c.Next())
	c, err = NewColumn(c.Bytes())
	require.NoError(t, err)
	requireAnswers(t, k, c, newReference(t, bmi, nil), nil)
	more, err := k.Append(c, []Value{{Row: 7, X: 22}})
	require.NoError(t, err)
	require.Equal(t, int64(120), ask(t, k, more, Mean, nil).ExposeSum())
}
