package he

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAggregates measures a filtered mean by its steps: go test -run - -bench Aggregates ./he
func BenchmarkAggregates(b *testing.B) {
	for _, n := range []int{150, 10_000, 100_000, 1_000_000} {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		s := bmi
		s.Edges = nil
		k := newTestKey(b)
		values := randomValues(rng, s, n)
		c, err := k.EncryptColumn(s, values)
		require.NoError(b, err)
		encoding := c.Bytes()
		rows := make([]uint32, 0, n)
		for i := range n {
			if rng.IntN(3) == 0 {
				rows = append(rows, uint32(i))
			}
		}
		name := func(step string) string { return fmt.Sprintf("%s/rows=%d", step, n) }
		b.Run(name("encrypt"), func(b *testing.B) {
			for b.Loop() {
				_, _ = k.EncryptColumn(s, values)
			}
		})
		b.Run(name("load"), func(b *testing.B) {
			for b.Loop() {
				_, _ = NewColumn(encoding)
			}
		})
		b.Run(name("mean-first"), func(b *testing.B) { // new masks, seeds not expanded yet
			for b.Loop() {
				b.StopTimer()
				fresh, _ := NewColumn(encoding)
				b.StartTimer()
				ask(b, k, fresh, Mean, NewRowSet(rows...))
			}
		})
		set := NewRowSet(rows...)
		b.Run(name("mean-cached"), func(b *testing.B) {
			for b.Loop() {
				ask(b, k, c, Mean, set)
			}
		})
		b.Run(name("mean-everyone"), func(b *testing.B) {
			for b.Loop() {
				ask(b, k, c, Mean, nil)
			}
		})
	}
}
