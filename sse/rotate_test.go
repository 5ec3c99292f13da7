package sse

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rotation goes on while this program and another write all the time, and searches find every row at every moment.
func TestRotationUnderWriters(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("a", 600)))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var written atomic.Int64
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprintf("w%d-%d", w, i), 1+i%7)))
					written.Add(int64(1 + i%7))
				}
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				least := 600 + int(written.Load())
				require.GreaterOrEqual(t, count(t, ix, Term("tag", String("all"))), least)
			}
		}
	})
	key := testKey
	for i := range 4 {
		key = slices.Repeat([]byte{byte(i)}, KeySize)
		require.NoError(t, ix.Compact(ctx, CompactOptions{NewKey: key, DeleteNow: i%2 == 0}))
	}
	close(stop)
	wg.Wait()
	re, err := Open(ctx, s, key, ID{1}, Options{})
	require.NoError(t, err)
	require.Equal(t, 600+int(written.Load()), count(t, re, Term("tag", String("all"))))
	require.NoError(t, re.Verify(ctx))
}
