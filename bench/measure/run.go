package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Runner measures cases.
type Runner struct {
	Count    int           // samples of each contender
	Target   time.Duration // duration of a sample
	Patience time.Duration // a contender that has taken so long in a case gets two samples, and if the first took twice as long, none but that; a case may ask for more
	Raw      io.Writer     // where the lines go, each as soon as it is there
	Progress io.Writer     // where a line for each case goes
}

// Run measures the cases of a suite one after another. In each, every round takes one sample of each contender; who begins changes from
// round to round. It returns all lines, also those before an error. A contender that fails is left out from then on, and the others go on:
// the error says which. When ctx ends, Run returns after the operation that is running.
func (r *Runner) Run(ctx context.Context, suite string, cases []Case) ([]Line, error) {
	var lines []Line
	var failed error
	for i, c := range cases {
		fmt.Fprintf(r.Progress, "[%d/%d] %s %s:", i+1, len(cases), suite, c.Name)
		got, err := r.one(ctx, suite, c)
		lines = append(lines, got...)
		for _, row := range Summarize(got) {
			if row.Unit == headline(got) {
				fmt.Fprintf(r.Progress, "  %s %s", row.Impl, Human(row.Median, row.Unit))
			}
		}
		if err != nil {
			fmt.Fprintf(r.Progress, "  FAILED")
			failed = errors.Join(failed, err)
		}
		fmt.Fprintln(r.Progress)
		if ctx.Err() != nil {
			return lines, errors.Join(failed, ctx.Err())
		}
	}
	return lines, failed
}

func headline(lines []Line) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0].Values[0].Unit
}

func (r *Runner) one(ctx context.Context, suite string, c Case) (lines []Line, failed error) {
	spent := make([]time.Duration, len(c.Contenders))
	samples := make([]int, len(c.Contenders))
	out := make([]bool, len(c.Contenders))
	patience := max(r.Patience, c.Patience)
	count := r.Count
	if c.Count > 0 {
		count = min(count, c.Count)
	}
	fail := func(who int, err error) {
		out[who] = true
		if reason := (skipped{}); errors.As(err, &reason) {
			fmt.Fprintf(r.Progress, "  %s skipped (%s)", c.Contenders[who].Impl, reason)
			return
		}
		failed = errors.Join(failed, fmt.Errorf("%s %s, %s: %w", suite, c.Name, c.Contenders[who].Impl, err))
	}
	for who, contender := range c.Contenders {
		if contender.Prepare == nil {
			continue
		}
		err := contender.Prepare(ctx)
		if ctx.Err() != nil {
			return lines, failed
		}
		if err != nil {
			fail(who, err)
		}
	}
	for round := range count {
		for i := range c.Contenders {
			who := (i + round) % len(c.Contenders)
			contender := c.Contenders[who]
			slow := samples[who] > 1 && spent[who] >= patience || samples[who] == 1 && spent[who] >= 2*patience
			if out[who] || slow || contender.Once && samples[who] > 0 {
				continue
			}
			start := time.Now()
			s, procs, err := contender.sample(ctx, r.Target)
			spent[who] += time.Since(start)
			if ctx.Err() != nil && err != nil {
				return lines, failed
			}
			if err != nil {
				fail(who, err)
				continue
			}
			samples[who]++
			line := newLine(suite, c.Name, contender.Impl, procs, s)
			lines = append(lines, line)
			if _, err := fmt.Fprintln(r.Raw, line); err != nil {
				return lines, errors.Join(failed, fmt.Errorf("writing raw results: %w", err))
			}
			if ctx.Err() != nil {
				return lines, failed
			}
		}
	}
	return lines, failed
}

// sample calls Sample with as many cores as c asks for, and returns how many that were.
func (c Contender) sample(ctx context.Context, target time.Duration) (s Sample, procs int, err error) {
	if c.Procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Procs))
	}
	s, err = c.Sample(ctx, target)
	return s, runtime.GOMAXPROCS(0), err
}
