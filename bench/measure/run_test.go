package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scripted is a contender that notes when it is called.
func scripted(impl string, log *[]string, fail func(call int) error) Contender {
	calls := 0
	return Contender{Impl: impl, Sample: func(context.Context, time.Duration) (Sample, error) {
		calls++
		*log = append(*log, fmt.Sprint(impl, calls))
		return Sample{N: 1, Values: []Value{{Nanoseconds, float64(calls)}}}, fail(calls)
	}}
}

func never(int) error { return nil }

func runner(raw, progress io.Writer, count int) *Runner {
	return &Runner{Count: count, Target: time.Millisecond, Patience: time.Hour, Raw: raw, Progress: progress}
}

func TestContendersTakeTurns(t *testing.T) {
	var log []string
	var raw, progress bytes.Buffer
	lines, err := runner(&raw, &progress, 3).Run(t.Context(), "abe", []Case{{Name: "seal", Contenders: []Contender{
		scripted("a", &log, never), scripted("b", &log, never), scripted("c", &log, never)}}})
	require.NoError(t, err)
	assert.Equal(t, []string{"a1", "b1", "c1", "b2", "c2", "a2", "c3", "a3", "b3"}, log)
	assert.Len(t, lines, 9)
	_, fromFile, err := ReadRaw(&raw)
	require.NoError(t, err)
	assert.Equal(t, lines, fromFile)
	assert.Equal(t, "[1/1] abe seal:  a 2.00 ns  b 2.00 ns  c 2.00 ns\n", progress.String())
}

func TestOneFailureStopsOneContender(t *testing.T) {
	var log []string
	broken := errors.New("broken")
	lines, err := runner(io.Discard, io.Discard, 3).Run(t.Context(), "abe", []Case{
		{Name: "seal", Contenders: []Contender{scripted("a", &log, never), scripted("b", &log, func(call int) error {
			if call == 2 {
				return broken
			}
			return nil
		})}},
		{Name: "open", Contenders: []Contender{scripted("c", &log, never)}}})
	require.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "abe seal, b: broken")
	assert.Equal(t, []string{"a1", "b1", "b2", "a2", "a3", "c1", "c2", "c3"}, log)
	assert.Len(t, lines, 7, "what was measured before is kept")
}

func TestFailedPreparationIsNoSample(t *testing.T) {
	var log []string
	bad, good := scripted("bad", &log, never), scripted("good", &log, never)
	bad.Prepare = func(context.Context) error { return errors.New("no key") }
	prepared := 0
	good.Prepare = func(context.Context) error { prepared++; return nil }
	lines, err := runner(io.Discard, io.Discard, 2).Run(t.Context(), "abe", []Case{{Name: "open", Contenders: []Contender{bad, good}}})
	assert.ErrorContains(t, err, "abe open, bad: no key")
	assert.Equal(t, []string{"good1", "good2"}, log)
	assert.Len(t, lines, 2)
	assert.Equal(t, 1, prepared)
}

func TestInterruptKeepsWhatIsThere(t *testing.T) {
	var log []string
	ctx, cancel := context.WithCancel(t.Context())
	lines, err := runner(io.Discard, io.Discard, 5).Run(ctx, "abe", []Case{
		{Name: "seal", Contenders: []Contender{scripted("a", &log, func(call int) error {
			if call == 2 {
				cancel()
			}
			return nil
		})}},
		{Name: "open", Contenders: []Contender{scripted("b", &log, never)}}})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, []string{"a1", "a2"}, log)
	assert.Len(t, lines, 2, "the sample that was running is kept")
}

func TestLengthsAreTakenOnce(t *testing.T) {
	calls := 0
	c := Length("a", func() (int, error) { calls++; return 77, nil })
	lines, err := runner(io.Discard, io.Discard, 5).Run(t.Context(), "abe", []Case{{Name: "header", Contenders: []Contender{c}}})
	require.NoError(t, err)
	assert.Equal(t, 1, calls)
	require.Len(t, lines, 1)
	assert.Equal(t, []Value{{Bytes, 77}}, lines[0].Values)
}

// A contender has the cores that it asks for and its lines say so; the others have all.
func TestContendersOnOneCore(t *testing.T) {
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	var seen []int
	look := func(impl string, procs int, err error) Contender {
		return Contender{Impl: impl, Procs: procs, Sample: func(context.Context, time.Duration) (Sample, error) {
			seen = append(seen, runtime.GOMAXPROCS(0))
			return Sample{N: 1, Values: []Value{{Nanoseconds, 1}}}, err
		}}
	}
	var raw bytes.Buffer
	lines, err := runner(&raw, io.Discard, 1).Run(t.Context(), "abe", []Case{{Name: "seal", Contenders: []Contender{
		look("a", 0, nil), look("a-1core", 1, nil), look("b", 0, nil), look("broken", 1, errors.New("broken")), look("c", 0, nil)}}})
	require.ErrorContains(t, err, "broken")
	assert.Equal(t, []int{3, 1, 3, 1, 3}, seen)
	assert.Contains(t, raw.String(), "/impl=a-1core-1\t")
	_, fromFile, err := ReadRaw(&raw)
	require.NoError(t, err)
	require.Equal(t, lines, fromFile)
	assert.Equal(t, "a-1core", lines[1].Impl)
	assert.Equal(t, []int{3, 1, 3, 3}, []int{lines[0].Procs, lines[1].Procs, lines[2].Procs, lines[3].Procs})
}

func TestPatienceEnds(t *testing.T) {
	for _, c := range []struct {
		patience, ofCase time.Duration
		want             []string
	}{
		{0, 0, []string{"a1"}},                           // the first took twice as long
		{15 * time.Millisecond, 0, []string{"a1", "a2"}}, // two took longer
		{time.Hour, 0, []string{"a1", "a2", "a3", "a4"}},
		{time.Hour, time.Millisecond, []string{"a1", "a2", "a3", "a4"}}, // a case may ask for more, not for less
		{0, time.Hour, []string{"a1", "a2", "a3", "a4"}},
	} {
		var log []string
		r := runner(io.Discard, io.Discard, 4)
		r.Patience = c.patience
		slow := scripted("a", &log, func(int) error { time.Sleep(20 * time.Millisecond); return nil })
		lines, err := r.Run(t.Context(), "abe", []Case{{Name: "seal", Contenders: []Contender{slow}, Patience: c.ofCase}})
		require.NoError(t, err)
		if c.patience == 15*time.Millisecond && len(log) == 1 {
			continue // the machine slept longer than asked for
		}
		assert.Equal(t, c.want, log, "%v", c.patience)
		assert.Len(t, lines, len(c.want))
	}
}

// full is a disk that takes one write.
type full struct{ writes int }

func (f *full) Write(b []byte) (int, error) {
	if f.writes++; f.writes > 1 {
		return 0, errors.New("no space")
	}
	return len(b), nil
}

func TestRawResultsThatCannotBeWrittenAreAnError(t *testing.T) {
	var log []string
	_, err := runner(&full{}, io.Discard, 3).Run(t.Context(), "abe", []Case{{Name: "seal", Contenders: []Contender{scripted("a", &log, never)}}})
	assert.ErrorContains(t, err, "no space")
}

var sink []byte

func TestTimedCountsWhatTheOperationDoes(t *testing.T) {
	calls := 0
	c := TimedEach("a", 10, func() error { calls++; sink = make([]byte, 10_000); return nil })
	s, err := c.Sample(t.Context(), time.Millisecond)
	require.NoError(t, err)
	units := map[string]float64{}
	for _, v := range s.Values {
		units[v.Unit] = v.X
	}
	assert.Positive(t, units[Nanoseconds])
	// An op allocates a little more than 10,000 bytes once, for ten items. Other goroutines of the test may add to it.
	assert.GreaterOrEqual(t, units[Allocated], 1000.0)
	assert.Less(t, units[Allocated], 3000.0)
	assert.GreaterOrEqual(t, units[Allocations], 0.1)
	before := calls
	s, err = c.Sample(t.Context(), time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, s.N, 10*(calls-before), "N counts items, and the second sample does not look for its size again")
}

func TestTimedPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	_, err := Timed("a", func() error { return broken }).Sample(t.Context(), time.Millisecond)
	assert.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Timed("a", func() error { t.Error("ran after the end"); return nil }).Sample(ctx, time.Millisecond)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestThroughputIsBytesInASecond(t *testing.T) {
	c := Throughput("a", 1<<20, func() error { time.Sleep(2 * time.Millisecond); return nil })
	s, err := c.Sample(t.Context(), 4*time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, Rate, s.Values[0].Unit)
	assert.Positive(t, s.Values[0].X)
	assert.LessOrEqual(t, s.Values[0].X, float64(1<<20)/0.002, "a sleep is never shorter than asked for")
}
