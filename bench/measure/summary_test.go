package measure

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// synthetic is a run with numbers made up: ratios, a rate, a length, a contender that stopped early, and a case without us.
func synthetic() []Line {
	var lines []Line
	add := func(name, impl string, n int, values ...Value) {
		lines = append(lines, newLine("abe", name, impl, 2, Sample{N: n, Values: values}))
	}
	for round := range 6 {
		r := float64(round)
		for i, leaves := range []string{"1", "10", "100"} {
			scale := []float64{1, 10, 100}[i]
			add("seal/leaves="+leaves, "veilchart", 50, Value{Nanoseconds, 1e6*scale + r*1e4}, Value{Allocated, 4096}, Value{Allocations, 12})
			if round < 3 {
				add("seal/leaves="+leaves, "tkn20", 1, Value{Nanoseconds, 2e7 * scale * scale}, Value{Allocated, 8192}, Value{Allocations, 1200})
			}
		}
		add("stream-seal", "veilchart", 3, Value{Rate, 1.5e9 + r})
		add("stream-seal", "limit", 3, Value{Rate, 2e9})
		add("peer-only", "fame", 1, Value{Nanoseconds, 123456789.123})
	}
	add("header/leaves=1", "veilchart", 1, Value{Bytes, 1234567})
	add("header/leaves=1", "tkn20", 1, Value{Bytes, 2469134})
	add("zero", "veilchart", 1, Value{Allocations, 0})
	add("zero", "fame", 1, Value{Allocations, 7})
	return lines
}

// golden compares with a file that was looked at by a person. Scripts read these formats.
func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestSummaryFormat(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteSummary(&b, Summarize(synthetic())))
	golden(t, "summary.tsv", b.String())
}

func TestTableFormat(t *testing.T) {
	var b bytes.Buffer
	rows := Summarize(synthetic())
	require.NoError(t, WriteTable(&b, rows, Growths(rows, "leaves", 3)))
	golden(t, "table.txt", b.String())
}

func TestRawFormat(t *testing.T) {
	var b bytes.Buffer
	settings := []Setting{{"commit", "abc"}, {"cpu", "a: b"}, {"note", "first"}, {"note", "second: third"}}
	require.NoError(t, WriteSettings(&b, settings))
	lines := synthetic()
	for i := range lines {
		lines[i].Procs = 2
		b.WriteString(lines[i].String() + "\n")
	}
	golden(t, "raw.txt", b.String())
	gotSettings, got, err := ReadRaw(&b)
	require.NoError(t, err)
	assert.Equal(t, settings, gotSettings)
	assert.Equal(t, lines, got, "the raw file holds all that summaries are made from")
}

// What go test -bench writes is padded by blanks.
func TestParseLineReadsWhatTestingWrites(t *testing.T) {
	l, err := ParseLine("BenchmarkKEM/kem-seal/leaves=10/impl=veilchart-2         \t     100\t   1234567 ns/op\t     512 B/op\t       3 allocs/op")
	require.NoError(t, err)
	assert.Equal(t, Line{"kem", "kem-seal/leaves=10", "veilchart", 2,
		Sample{100, []Value{{Nanoseconds, 1234567}, {Allocated, 512}, {Allocations, 3}}}}, l)
}

func TestDamagedRawFilesAreRefused(t *testing.T) {
	good := "BenchmarkAbe/seal/impl=fame-2\t3\t5 ns/op"
	_, _, err := ReadRaw(strings.NewReader(good))
	require.NoError(t, err)
	for _, bad := range []string{
		"Benchmark", "BenchmarkAbe/seal/impl=fame-2", "BenchmarkAbe/seal/impl=fame-2\t3", "BenchmarkAbe/seal/impl=fame\t3\t5 ns/op",
		"BenchmarkAbe/seal-2\t3\t5 ns/op", "BenchmarkAbe/impl=fame-2\t3\t5 ns/op", "BenchmarkAbe/seal/impl=-2\t3\t5 ns/op",
		"BenchmarkAbe/seal/impl=fame-x\t3\t5 ns/op", "BenchmarkAbe/seal/impl=fame-2\tx\t5 ns/op", "BenchmarkAbe/seal/impl=fame-2\t3\tx ns/op",
		"BenchmarkAbe/seal/impl=fame-2\t3\t5", "nonsense", "PASS",
	} {
		_, _, err := ReadRaw(strings.NewReader(good + "\n" + bad + "\n"))
		assert.ErrorContains(t, err, "line 2 ", "%s", bad)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add("BenchmarkAbe/seal/leaves=1/impl=fame-2\t3\t5 ns/op\t7 B/op")
	f.Add("BenchmarkAbe/seal/impl=a-b-16\t1\t0.5 MiB")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLine(text)
		if err != nil {
			return
		}
		again, err := ParseLine(l.String())
		require.NoError(t, err)
		assert.Equal(t, l.String(), again.String())
	})
}

func TestHuman(t *testing.T) {
	for _, c := range []struct {
		x    float64
		unit string
		want string
	}{
		{999, Nanoseconds, "999 ns"}, {999_600, Nanoseconds, "1.00 ms"}, {1200, Allocations, "1200"}, {1234567, Nanoseconds, "1.23 ms"}, {6.1e10, Nanoseconds, "61.0 s"}, {45678, Nanoseconds, "45.7 µs"},
		{2048, Allocated, "2.00 KiB"}, {100, Allocated, "100 B"}, {36829, Bytes, "36829 B"}, {1.95e9, Rate, "1.95 GB/s"}, {12.5, Allocations, "12.5"},
		{63.25, Mebibytes, "63.2 MiB"}, {0.25, Nanoseconds, "0.25 ns"},
	} {
		assert.Equal(t, c.want, Human(c.x, c.unit))
	}
}
