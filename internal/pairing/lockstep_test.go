package pairing

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMulG1TablesAgreesWithMul(t *testing.T) {
	var tables []*G1Table
	for _, name := range []string{"a", "b", "c"} {
		tables = append(tables, NewG1Table(HashToG1([]byte(name), "test")))
	}
	require.Empty(t, MulG1Tables(nil))
	rapid.Check(t, func(t *rapid.T) {
		products := make([]G1Product, rapid.IntRange(1, 20).Draw(t, "n"))
		for i := range products {
			products[i] = G1Product{rapid.SampledFrom(tables).Draw(t, "table"), drawScalar(t, "k")}
		}
		sums, ok := lockstep(products)
		for i, got := range MulG1Tables(products) {
			want := products[i].Table.Mul(products[i].K)
			require.Equal(t, want.Bytes(), got.Bytes())
			if ok {
				got = G1{fromAffineG1(&sums[i])}
				require.True(t, want.Equal(got))
				require.Equal(t, want.Bytes(), got.Bytes())
			}
		}
	})
	many := make([]G1Product, lockstepFrom)
	for i := range many {
		many[i] = G1Product{tables[i%len(tables)], RandomScalar()}
	}
	for _, zero := range []bool{false, true} {
		if zero {
			many[5].K = ScalarFromInt64(0)
		}
		_, ok := lockstep(many)
		require.Equal(t, !zero, ok)
		for i, got := range MulG1Tables(many) {
			require.True(t, many[i].Table.Mul(many[i].K).Equal(got))
		}
	}
}

// Only in the last of the additions can equal or opposite points meet. All scalars for which they do, computed from the digits: with S the
// sum of the digits but the last, S + d 32^50 = k and S = +-d 32^50 mod r.
func TestLockstepGivesUpOnlyWherePointsMeet(t *testing.T) {
	table := NewG1Table(G1Generator())
	one := func(k Scalar) bool { _, ok := lockstep([]G1Product{{table, k}}); return ok }
	require.False(t, one(ScalarFromInt64(0)))
	top := ScalarFromInt64(1)
	for range digits - 1 {
		top = top.Mul(ScalarFromInt64(1 << digitBits))
	}
	met := 0
	for d := int64(-31); d <= 31; d += 2 {
		k := top.Mul(ScalarFromInt64(2 * d)) // S = d 32^50: a doubling, if the digits of k end in d
		if !one(k) {
			met++
		}
		if sums, ok := lockstep([]G1Product{{table, k}, {table, ScalarFromInt64(5)}}); ok {
			require.True(t, G1{fromAffineG1(&sums[0])}.Equal(G1Generator().Mul(k)))
			require.True(t, G1{fromAffineG1(&sums[1])}.Equal(G1Generator().Mul(ScalarFromInt64(5))))
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
