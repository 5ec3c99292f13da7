package abe

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls f(i) once for every i below n, on up to cores goroutines, of which the caller's is one, and returns when all are
// done. Items are taken one by one, so that a dear one does not hold up the others. What panics in f panics in the caller.
func inParallel(cores, n int, f func(i int)) {
	cores = min(cores, n)
	if cores <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var once sync.Once
	var failure any
	work := func() {
		defer func() {
			if r := recover(); r != nil {
				next.Store(int64(n)) // nobody starts another item
				once.Do(func() { failure = r })
			}
		}()
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
	}
	var others sync.WaitGroup
	for range cores - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	if failure != nil {
		panic(failure)
	}
}

// allCores is how many goroutines are worth it.
func allCores() int { return runtime.GOMAXPROCS(0) }
