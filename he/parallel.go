package he

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f(0) to f(n-1) on all cores and returns one of the errors, after which no further call starts.
func parallel(n int, f func(int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
				}
			}
		})
	}
	wg.Wait()
	return first
}
