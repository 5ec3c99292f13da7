package pairing

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// lockstepG1 and lockstepG2 go together whatever the number of products.
func lockstepG1(groups ...G1Products) ([]G1, bool) {
	sums, ok := lockstep(stepsInG1, groupsInG1(groups), 1)
	out := make([]G1, len(sums))
	for i := range sums {
		out[i].p = fromAffineG1(&sums[i])
	}
	return out, ok
}

func lockstepG2(table *G2Table, ks ...Scalar) ([]G2, bool) {
	sums, ok := lockstep(stepsInG2, []group[entryG2]{{table.t, ks}}, 1)
	out := make([]G2, len(sums))
	for i := range sums {
		out[i].p = fromAffineG2(&sums[i])
	}
	return out, ok
}

func TestMulG1TablesAgreesWithMul(t *testing.T) {
	points, tables := map[*G1Table]G1{}, []*G1Table{}
	for _, name := range []string{"a", "b", "c"} {
		p := HashToG1([]byte(name), "test")
		tables = append(tables, NewG1Table(p))
		points[tables[len(tables)-1]] = p
	}
	require.Empty(t, MulG1Tables(nil))
	require.Empty(t, MulG1Tables([]G1Products{{tables[0], nil}}))
	agree := func(t require.TestingT, groups []G1Products, got []G1) {
		for _, g := range groups {
			for _, k := range g.Ks {
				want := points[g.Table].Mul(k)
				require.True(t, want.Equal(got[0]))
				require.Equal(t, want.Bytes(), got[0].Bytes())
				got = got[1:]
			}
		}
		require.Empty(t, got)
	}
	rapid.Check(t, func(t *rapid.T) {
		groups := make([]G1Products, rapid.IntRange(1, 4).Draw(t, "groups"))
		for i := range groups {
			groups[i] = G1Products{rapid.SampledFrom(tables).Draw(t, "table"), drawScalars(t, 0, 8)}
		}
		agree(t, groups, MulG1Tables(groups))
		if together, ok := lockstepG1(groups...); ok {
			agree(t, groups, together)
		}
	})
	many := make([]G1Products, lockstepFrom/2)
	for i := range many {
		many[i] = G1Products{tables[i%len(tables)], []Scalar{RandomScalar(), RandomScalar()}}
	}
	for _, zero := range []bool{false, true} {
		if zero {
			many[5].Ks[1] = ScalarFromInt64(0)
		}
		_, ok := lockstepG1(many...)
		require.Equal(t, !zero, ok)
		agree(t, many, MulG1Tables(many))
	}
}

func drawScalars(t *rapid.T, min, max int) []Scalar {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Scalar { return drawScalar(t, "k") }), min, max).Draw(t, "ks")
}

func TestMulEachAgreesWithMul(t *testing.T) {
	point := G2Generator().Mul(ScalarFromInt64(7))
	table := NewG2Table(point)
	require.Empty(t, table.MulEach(nil))
	rapid.Check(t, func(t *rapid.T) {
		ks := drawScalars(t, 1, 20)
		together, _ := lockstepG2(table, ks...)
		for i, got := range table.MulEach(ks) {
			require.Equal(t, point.Mul(ks[i]).Bytes(), got.Bytes())
		}
		for i, got := range together {
			require.True(t, point.Mul(ks[i]).Equal(got))
			require.Equal(t, point.Mul(ks[i]).Bytes(), got.Bytes())
		}
	})
	many := make([]Scalar, lockstepFrom)
	for i := range many {
		many[i] = RandomScalar()
	}
	for _, zero := range []bool{false, true} {
		if zero {
			many[5] = ScalarFromInt64(0)
		}
		_, ok := lockstepG2(table, many...)
		require.Equal(t, !zero, ok)
		for i, got := range table.MulEach(many) {
			require.True(t, point.Mul(many[i]).Equal(got))
		}
	}
}

// Only in the last of the additions can equal or opposite points meet. All scalars for which they do, computed from the digits: with S the
// sum of the digits but the last, S + d 32^50 = k and S = +-d 32^50 mod r.
func TestLockstepGivesUpOnlyWherePointsMeet(t *testing.T) {
	table, table2 := NewG1Table(G1Generator()), NewG2Table(G2Generator())
	one := func(k Scalar) bool {
		_, ok := lockstepG1(G1Products{table, []Scalar{k}})
		_, ok2 := lockstepG2(table2, k)
		require.Equal(t, ok, ok2)
		return ok
	}
	require.False(t, one(ScalarFromInt64(0)))
	top := ScalarFromInt64(1)
	for range digits - 1 {
		top = top.Mul(ScalarFromInt64(1 << digitBits))
	}
	met, five := 0, ScalarFromInt64(5)
	for d := int64(-31); d <= 31; d += 2 {
		k := top.Mul(ScalarFromInt64(2 * d)) // S = d 32^50: a doubling, if the digits of k end in d
		if !one(k) {
			met++
		}
		if sums, ok := lockstepG1(G1Products{table, []Scalar{k, five}}); ok {
			require.True(t, sums[0].Equal(G1Generator().Mul(k)))
			require.True(t, sums[1].Equal(G1Generator().Mul(five)))
		}
		if sums, ok := lockstepG2(table2, k, five); ok {
			require.True(t, sums[0].Equal(G2Generator().Mul(k)))
			require.True(t, sums[1].Equal(G2Generator().Mul(five)))
		}
	}
	require.LessOrEqual(t, met, 32)
	for _, n := range []int64{1, -1, 2, 31, 32, 1 << 62} {
		require.True(t, one(ScalarFromInt64(n)))
	}
	for range 100 {
		require.True(t, one(RandomScalar())) // false alarm: 2^-240
	}
}

// An addition of equal or of opposite points is noticed at any place, whatever the others are, and leaves the sums alone.
func TestAddEachNoticesPointsThatMeet(t *testing.T) {
	t.Run("G1", func(t *testing.T) { addEachNotices(t, NewG1Table(G1Generator()).t, yOfG1, stepsInG1.add) })
	t.Run("G2", func(t *testing.T) { addEachNotices(t, NewG2Table(G2Generator()).t, yOfG2, stepsInG2.add) })
}

func addEachNotices[E comparable](t *testing.T, table rows[E], yWords int, add func(sums, entries, scratch []E) bool) {
	for n := 1; n <= 4; n++ {
		for at := range n {
			for _, mask := range []uint64{0, ^uint64(0)} {
				sums, entries := append([]E(nil), table[:n]...), append([]E(nil), table[n:2*n]...)
				entries[at] = sums[at]
				negate(words(&entries[at])[yWords:][:yWords], mask)
				require.False(t, add(sums, entries, make([]E, n)))
				require.Equal(t, []E(table[:n]), sums)
			}
		}
		sums := append([]E(nil), table[:n]...)
		require.True(t, add(sums, table[n:2*n], make([]E, n)))
	}
}
