package abe

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInParallelDoesEverythingOnce(t *testing.T) {
	for _, cores := range []int{0, 1, 2, 7} {
		for _, n := range []int{0, 1, 2, 3, 100} {
			done := make([]atomic.Int32, n)
			inParallel(cores, n, func(i int) { done[i].Add(1) })
			for i := range done {
				require.EqualValues(t, 1, done[i].Load())
			}
		}
	}
}

// A panic of a worker must not end the program: the caller may have a recover.
func TestInParallelPanicsInTheCaller(t *testing.T) {
	for _, cores := range []int{1, 2, 7} {
		for _, at := range []int{0, 3, 9} {
			var after atomic.Int32
			require.PanicsWithValue(t, "here", func() {
				inParallel(cores, 10, func(i int) {
					if i == at {
						panic("here")
					}
					after.Add(1)
				})
			})
			require.Less(t, after.Load(), int32(10))
		}
	}
}
