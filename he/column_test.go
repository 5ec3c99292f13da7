package he

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBadValuesAreRefused(t *testing.T) {
	k := newTestKey(t)
	for name, v := range map[string][]Value{
		"NaN":       {{0, math.NaN()}},
		"infinite":  {{0, 20}, {1, math.Inf(-1)}},
		"duplicate": {{5, 20}, {6, 20}, {5, 20}},
	} {
		_, err := k.EncryptColumn(bmi, v)
		require.ErrorContains(t, err, `column "bmi": row`, name)
	}
	scattered := make([]Value, maxBlocks+1)
	for i := range scattered {
		scattered[i] = Value{Row: uint32(i) * blockRows, X: 20}
	}
	_, err := k.EncryptColumn(bmi, scattered)
	require.ErrorContains(t, err, "number the rows densely")
}

func TestTheLastPositionOfAll(t *testing.T) {
	k := newTestKey(t)
	s := bmi
	s.Edges = nil
	c, err := k.EncryptColumn(s, []Value{{1<<32 - 1, 20}, {0, 30}})
	require.NoError(t, err)
	c, err = NewColumn(c.Bytes())
	require.NoError(t, err)
	require.Equal(t, uint64(1)<<32, c.Next())
	require.Equal(t, int64(100), ask(t, k, c, Sum, NewRowSet(1<<32-1)).ExposeSum())
	require.Equal(t, int64(300), ask(t, k, c, Sum, nil).ExposeSum())
}

// No seed may ever come twice: not for equal content, not for a block that is sealed again, not between parts.
func TestSeedsAreFresh(t *testing.T) {
	k := newTestKey(t)
	values := []Value{{0, 20}, {1, 30}, {5000, 40}}
	seen := map[[seedSize]byte]bool{}
	body := map[[32]byte]bool{}
	check := func(c *Column, blocks int) {
		for _, b := range c.blocks[len(c.blocks)-blocks:] {
			for _, p := range b.parts {
				require.False(t, seen[p.seed])
				require.False(t, body[p.digest])
				seen[p.seed], body[p.digest] = true, true
			}
		}
	}
	for range 3 {
		c, err := k.EncryptColumn(bmi, values)
		require.NoError(t, err)
		check(c, 2)
		// The same appended rows twice from the same column: a retry.
		for range 2 {
			more, err := k.Append(c, []Value{{6000, 20}})
			require.NoError(t, err)
			check(more, 1)
		}
		out, err := k.Reencrypt(c, newTestKey(t), nil)
		require.NoError(t, err)
		check(out, 2)
	}
}

func TestAppendSealsTheTailAgain(t *testing.T) {
	k := newTestKey(t)
	s := bmi
	s.Edges = nil
	first, err := k.EncryptColumn(s, []Value{{0, 20}, {4096, 21}, {4100, 22}})
	require.NoError(t, err)
	second, err := k.Append(first, []Value{{4101, 30}, {9000, 40}})
	require.NoError(t, err)
	second, err = NewColumn(second.Bytes())
	require.NoError(t, err)

	require.Equal(t, uint64(4101), first.Next())
	require.Equal(t, uint64(9001), second.Next())
	require.Equal(t, []uint32{1, 2, 1}, []uint32{second.blocks[0].version, second.blocks[1].version, second.blocks[2].version})
	require.Equal(t, first.blocks[0].parts[0].seed, second.blocks[0].parts[0].seed, "full blocks stay")
	require.NotEqual(t, first.Digest(), second.Digest())
	require.Equal(t, int64(100+110+120), ask(t, k, first, Sum, nil).ExposeSum())
	require.Equal(t, int64(100+110+120+200+300), ask(t, k, second, Sum, nil).ExposeSum())
	require.Equal(t, int64(2), ask(t, k, second, Count, NewRowSet(4100, 4101, 4102)).ExposeCount())

	third, err := k.Append(second, []Value{{12288, 60}}) // a new block only
	require.NoError(t, err)
	require.Equal(t, second.blocks[2], third.blocks[2])
	same, err := k.Append(second, nil)
	require.NoError(t, err)
	require.Equal(t, second.Digest(), same.Digest())

	for _, row := range []uint32{0, 1, 4100, 8000, 9000} {
		_, err = k.Append(second, []Value{{row, 20}})
		require.ErrorContains(t, err, "was used before")
	}
	_, err = newTestKey(t).Append(second, []Value{{9001, 20}})
	require.ErrorIs(t, err, ErrDecrypt)

	second.blocks[2].version = math.MaxUint32
	second.digest = second.digestOf()
	second.tag = k.tag(second.digest)
	_, err = k.Append(second, []Value{{9001, 20}})
	require.Error(t, err)
}

// A column that grows in steps is, to every query, the column that was sealed at once.
func TestGrowingIsSealingAtOnce(t *testing.T) {
	k := newTestKey(t)
	s := bmi
	rapid.Check(t, func(rt *rapid.T) {
		c, err := k.EncryptColumn(s, nil)
		require.NoError(t, err)
		var all []Value
		for range rapid.IntRange(1, 3).Draw(rt, "steps") {
			var values []Value
			next := c.Next()
			for range rapid.IntRange(0, 3).Draw(rt, "values") {
				next += rapid.Uint64Range(0, 3000).Draw(rt, "gap")
				values = append(values, Value{uint32(next), rapid.Float64Range(5, 65).Draw(rt, "x")})
				next++
			}
			all = append(all, values...)
			c, err = k.Append(c, values)
			require.NoError(t, err)
		}
		ref := newReference(t, s, all)
		count, sum, buckets := ref.answer(nil)
		require.Equal(t, sum, ask(t, k, c, Mean, nil).ExposeSum())
		require.Equal(t, count, ask(t, k, c, Count, nil).ExposeCount())
		require.Equal(t, buckets, ask(t, k, c, Histogram, nil).ExposeBuckets())
	})
}

func TestReencryptDropsRowsForGood(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	old, fresh := newTestKey(t), newTestKey(t)
	values := randomValues(rng, bmi, 9000)
	c, err := old.EncryptColumn(bmi, values)
	require.NoError(t, err)
	drop := []uint32{0, 1, 4095, 4096, 8191, 8999, 8999, 20000, 1<<32 - 1}
	out, err := old.Reencrypt(c, fresh, drop)
	require.NoError(t, err)
	out, err = NewColumn(out.Bytes())
	require.NoError(t, err)
	require.NoError(t, fresh.Verify(out))
	require.Equal(t, c.Next(), out.Next())
	require.Equal(t, c.Schema(), out.Schema())

	ref := newReference(t, bmi, values)
	for _, row := range drop {
		delete(ref.rows, row)
	}
	requireAnswers(t, fresh, out, ref, nil)
	requireAnswers(t, fresh, out, ref, randomSet(rng, 3000, 9000))
	require.Zero(t, ask(t, fresh, out, Count, NewRowSet(drop...)).ExposeCount())

	_, err = old.Reencrypt(c, old, drop)
	require.ErrorContains(t, err, "generate a new key")
	_, err = fresh.Reencrypt(c, newTestKey(t), drop)
	require.ErrorIs(t, err, ErrDecrypt)
	require.ErrorIs(t, old.Verify(out), ErrDecrypt)
	require.ErrorIs(t, fresh.Verify(c), ErrDecrypt)
}

func TestRowSets(t *testing.T) {
	rows := []uint32{7, 4096, 7, 0, 1<<32 - 1, 63, 64}
	a, b := NewRowSet(rows...), NewRowSet(rows...)
	require.Equal(t, 6, a.Len())
	for _, r := range rows {
		require.True(t, a.Contains(r))
	}
	for _, r := range []uint32{1, 6, 8, 65, 4095, 4097, 1<<32 - 2} {
		require.False(t, a.Contains(r))
	}
	require.Equal(t, a.Commitment(), a.Commitment())
	require.NotEqual(t, a.Commitment(), b.Commitment(), "equal sets must not show by their hashes")
	b.salt = a.Salt()
	require.Equal(t, a.Commitment(), b.Commitment(), "an auditor with the rows and the salt can check")
	more := NewRowSet(append(rows, 8)...)
	more.salt = a.salt
	require.NotEqual(t, a.Commitment(), more.Commitment())
	moved := NewRowSet(7+4096, 4096, 0, 1<<32-1, 63, 64)
	moved.salt = a.salt
	require.NotEqual(t, a.Commitment(), moved.Commitment())
	require.Zero(t, NewRowSet().Len())

	var m bitmap
	for _, i := range []int{0, 63, 64, 100, 4095} {
		m[i/64] |= 1 << (i % 64)
	}
	for limit, want := range map[int]int{0: 0, 1: 1, 63: 1, 64: 2, 65: 3, 100: 3, 101: 4, 4095: 4, 4096: 5} {
		require.Equal(t, want, m.count(limit), "below %d", limit)
	}
}
