package abe

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

func nth(i int) atom { return Attribute{Name: "x", Value: fmt.Sprint("v", i)}.atom() }

func TestHashCacheGivesTheSameAtEveryAge(t *testing.T) {
	c := newHashCache()
	k := pairing.ScalarFromInt64(1 << 40)
	want := pairing.HashToG1([]byte(nth(1)), dstAttribute)
	require.True(t, want.Equal(c.point(nth(1))))
	for i := range 3 * tableAfter {
		require.True(t, want.Mul(k).Equal(c.mul(nth(1), k)))
		require.Equal(t, i+1 >= tableAfter, len(c.tables.entries) == 1, "a table after %d uses", i+1)
	}
	require.True(t, want.Mul(k).Equal(c.table(nth(1)).Mul(k)))
	all := c.all([]atom{nth(2), nth(1), nth(2)})
	require.True(t, all[1].Equal(want))
	require.True(t, all[0].Equal(pairing.HashToG1([]byte(nth(2)), dstAttribute)))
	require.True(t, all[2].Equal(all[0]))
	require.Len(t, c.points.entries, 2)
}

// Tables that are in use are not pushed out by others that are as busy; those that are idle are.
func TestHashCacheKeepsTablesInUse(t *testing.T) {
	c := newHashCache()
	c.tables.max = 2
	k := pairing.ScalarFromInt64(3)
	for range 3 * tableAfter {
		for i := range 4 {
			c.mul(nth(i), k)
		}
	}
	require.Len(t, c.tables.entries, 2)
	require.Contains(t, c.tables.entries, nth(0))
	require.Contains(t, c.tables.entries, nth(1))
	c.clock += tableIdle + 1
	for range tableAfter {
		c.mul(nth(3), k)
	}
	require.Len(t, c.tables.entries, 2)
	require.Contains(t, c.tables.entries, nth(3))
}
