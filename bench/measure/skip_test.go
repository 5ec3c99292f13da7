package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What cannot be measured here is left out with its reason, in Prepare and in Sample, and the run does not fail; a failure beside it does.
func TestSkippedContenders(t *testing.T) {
	var log []string
	reason := fmt.Errorf("wrapped: %w", Skip("no server"))
	before := scripted("b", &log, never)
	before.Prepare = func(context.Context) error { return reason }
	c := Case{Name: "seal", Contenders: []Contender{scripted("a", &log, never), before, scripted("c", &log, func(int) error { return reason })}}
	var raw, progress bytes.Buffer
	lines, err := runner(&raw, &progress, 2).Run(t.Context(), "abe", []Case{c})
	require.NoError(t, err)
	assert.Len(t, lines, 2)
	assert.Equal(t, []string{"a1", "c1", "a2"}, log)
	assert.Equal(t, "[1/1] abe seal:  b skipped (no server)  c skipped (no server)  a 1.50 ns\n", progress.String())

	broken := errors.New("broken")
	c.Contenders[1].Prepare = func(context.Context) error { return broken }
	_, err = runner(&raw, &progress, 2).Run(t.Context(), "abe", []Case{c})
	assert.ErrorIs(t, err, broken)
}

func TestCasesMayAskForFewerSamples(t *testing.T) {
	for count, want := range map[int]int{0: 4, 2: 2, 9: 4} {
		var log []string
		var raw, progress bytes.Buffer
		_, err := runner(&raw, &progress, 4).Run(t.Context(), "sse", []Case{{Name: "build", Count: count, Contenders: []Contender{scripted("a", &log, never)}}})
		require.NoError(t, err)
		assert.Len(t, log, want)
	}
}

func TestTimesInSeconds(t *testing.T) {
	c := InSeconds(Contender{Impl: "a", Sample: func(context.Context, time.Duration) (Sample, error) {
		return Sample{N: 1, Values: []Value{{Nanoseconds, 1500}, {Allocated, 7}}}, nil
	}})
	s, err := c.Sample(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, []Value{{Seconds, 1.5e-6}, {Allocated, 7}}, s.Values)
	line := newLine("sse", "search/kind=term", "a", 2, s)
	got, err := ParseLine(line.String())
	require.NoError(t, err)
	assert.Equal(t, line, got)
	assert.Equal(t, "1.50 µs", Human(1.5e-6, Seconds))
	assert.Equal(t, "2.50 s", Human(2.5, Seconds))
	assert.Equal(t, []float64{2}, Ratios([]float64{1e-6}, []float64{2e-6}, Seconds))
	assert.Equal(t, []float64{2}, Ratios([]float64{200}, []float64{100}, Documents))
	assert.Equal(t, []float64{2}, Ratios([]float64{200}, []float64{100}, Postings))
}

// A growth needs as many sizes as are asked for.
func TestGrowthOfFewSizes(t *testing.T) {
	var rows []Row
	for docs, seconds := range map[int]float64{100: 1, 10_000: 10} {
		rows = append(rows, Row{Suite: "sse", Name: fmt.Sprintf("search/docs=%d", docs), Impl: "a", Unit: Seconds, Interval: Interval{Median: seconds}})
	}
	assert.Empty(t, Growths(rows, "docs", 3))
	got := Growths(rows, "docs", 2)
	require.Len(t, got, 1)
	assert.InDelta(t, 0.5, got[0].Exponent, 1e-12)
}
