package measure

import (
	"context"
	"runtime"
	"time"
)

// Case is one thing that several implementations do, such as sealing under a policy of ten leaves. They are measured in turn.
type Case struct {
	Name       string // stable: scripts read it. Parts are separated by '/', parameters are key=value
	Contenders []Contender
	Patience   time.Duration // instead of the runner's, if it is longer
	Count      int           // the most samples of a contender, if there are to be fewer than the runner's
}

// Contender is one implementation of a case.
type Contender struct {
	Impl string
	// Prepare, if not nil, makes what the samples need. It runs once and is not measured. After an error of Skip the contender is left out, and
	// the run does not fail.
	Prepare func(ctx context.Context) error
	// Sample measures once, for about the target time if it can choose, and for one operation if that takes longer.
	Sample func(ctx context.Context, target time.Duration) (Sample, error)
	// Once says that the value is the same each time, such as a length: one sample is enough.
	Once bool
	// Procs is GOMAXPROCS while Sample runs, 0 for what it is anyway.
	Procs int
	// Op is the operation that Sample repeats, or nil where Sample does something else than to time a function.
	Op func() error
}

// skipped is why a contender is left out.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

// Skip is the error of a contender that cannot be measured here, such as a server that is not installed.
func Skip(reason string) error { return skipped{reason} }

// Sample is what one measurement found.
type Sample struct {
	N      int // how many operations it covers
	Values []Value
}

// Value is a number with its unit, such as 1200 ns/op.
type Value struct {
	Unit string
	X    float64
}

// Units. Of a rate more is better, of everything else less.
const (
	Nanoseconds = "ns/op"
	Seconds     = "sec/op"
	Allocated   = "B/op"
	Allocations = "allocs/op"
	Bytes       = "bytes"
	Rate        = "B/s"
	Mebibytes   = "MiB"
	Documents   = "docs/s"
	Postings    = "postings/core-s" // for each second of a core that was busy
)

// MoreIsBetter says whether of this unit more is better.
func MoreIsBetter(unit string) bool { return unit == Rate || unit == Documents || unit == Postings }

// Timed measures the time and the allocations of op.
func Timed(impl string, op func() error) Contender { return timed(impl, 1, op) }

// TimedEach is Timed for an op that does the same thing items times: the values are those of one.
func TimedEach(impl string, items int, op func() error) Contender { return timed(impl, items, op) }

// InSeconds gives the times of c in seconds.
func InSeconds(c Contender) Contender {
	inner := c.Sample
	c.Sample = func(ctx context.Context, target time.Duration) (Sample, error) {
		s, err := inner(ctx, target)
		for i, v := range s.Values {
			if v.Unit == Nanoseconds {
				s.Values[i] = Value{Seconds, v.X / 1e9}
			}
		}
		return s, err
	}
	return c
}

// Throughput measures how many bytes op, which handles the given number, handles in a second, and the allocations of op.
func Throughput(impl string, bytes int64, op func() error) Contender {
	c := timed(impl, 1, op)
	inner := c.Sample
	c.Sample = func(ctx context.Context, target time.Duration) (Sample, error) {
		s, err := inner(ctx, target)
		if err == nil {
			s.Values[0] = Value{Rate, float64(bytes) / s.Values[0].X * 1e9}
		}
		return s, err
	}
	return c
}

// Length is a contender whose value is a length in bytes, which is the same each time.
func Length(impl string, length func() (int, error)) Contender {
	return Contender{Impl: impl, Once: true, Sample: func(context.Context, time.Duration) (Sample, error) {
		n, err := length()
		return Sample{N: 1, Values: []Value{{Bytes, float64(n)}}}, err
	}}
}

const (
	// warm is the time from which on an operation needs no run before the one that counts.
	warm = time.Second
	most = 1 << 24 // operations in a sample
)

// timed finds out in its first sample how many operations fill the target time.
func timed(impl string, items int, op func() error) Contender {
	n := 0
	sample := func(ctx context.Context, target time.Duration) (Sample, error) {
		for try := 1; n == 0; {
			elapsed, s, err := repeat(ctx, try, items, op)
			if err != nil || try == 1 && elapsed >= warm {
				return s, err
			}
			if enough := target / 4; elapsed >= enough || try == most {
				n = min(most, max(1, int(float64(try)*float64(target)/float64(elapsed))))
			} else {
				try = min(most, 4*try)
			}
		}
		_, s, err := repeat(ctx, n, items, op)
		return s, err
	}
	return Contender{Impl: impl, Sample: sample, Op: op}
}

// repeat runs op n times. The garbage of others is collected before.
func repeat(ctx context.Context, n, items int, op func() error) (time.Duration, Sample, error) {
	if err := ctx.Err(); err != nil {
		return 0, Sample{}, err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range n {
		if err := op(); err != nil {
			return 0, Sample{}, err
		}
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	per := float64(n) * float64(items)
	return elapsed, Sample{N: n * items, Values: []Value{
		{Nanoseconds, float64(elapsed.Nanoseconds()) / per},
		{Allocated, float64(after.TotalAlloc-before.TotalAlloc) / per},
		{Allocations, float64(after.Mallocs-before.Mallocs) / per},
	}}, nil
}
