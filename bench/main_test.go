package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/bench/measure"
)

// Some is measured in a process of its own, which is this program again.
func TestMain(m *testing.M) {
	if status, ok := otherProgram(os.Args); ok {
		os.Exit(status)
	}
	if len(os.Args) == 3 && os.Args[1] == syncsCommand {
		os.Exit(syncsMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestOptions(t *testing.T) {
	o, err := parseOptions(nil, suites(), io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"abe", "sse"}, o.suites)
	assert.Equal(t, []int{10_000, 100_000}, o.docs)
	assert.Empty(t, o.data)
	assert.Equal(t, []int{1, 5, 10, 50, 100}, o.leaves)
	assert.Equal(t, 10, o.count)
	assert.Equal(t, 100*time.Millisecond, o.target)
	assert.Empty(t, o.dir)
	assert.True(t, o.names.MatchString("anything"))

	o, err = parseOptions([]string{"-suites", "abe", "-o", "out", "-leaves", "100, 2,7", "-count", "3", "-time", "5ms", "-run", "^seal/"}, suites(), io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []int{2, 7, 100}, o.leaves)
	assert.Equal(t, 3, o.count)
	assert.Equal(t, 5*time.Millisecond, o.target)
	assert.Equal(t, "out", o.dir)
	assert.True(t, o.names.MatchString("seal/leaves=2"))
	assert.False(t, o.names.MatchString("kem-seal/leaves=2"))
}

func TestWrongOptionsSayWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-nonsense"}, "-help lists the flags"},
		{[]string{"abe"}, `"abe" is no flag; -help lists the flags`},
		{[]string{"-suites", "he,abe"}, `-suites: there is no suite "he"; there is abe, sse`},
		{[]string{"-suites", "abe,abe"}, "named twice"},
		{[]string{"-suites", ""}, "-suites is empty"},
		{[]string{"-leaves", "0"}, "no number from 1 to 256"},
		{[]string{"-leaves", "257"}, "no number from 1 to 256"},
		{[]string{"-leaves", "ten"}, "no number from 1 to 256"},
		{[]string{"-leaves", ","}, "-leaves is empty"},
		{[]string{"-leaves", "5,5"}, "given twice"},
		{[]string{"-docs", "99"}, "no number from 100 to 10000000"},
		{[]string{"-docs", "1000,1000"}, "given twice"},
		{[]string{"-docs", ","}, "-docs is empty"},
		{[]string{"-adds", "0"}, "give 1 to 1000000"},
		{[]string{"-data", file}, "give a directory that exists"},
		{[]string{"-count", "0"}, "give 1 to 1000 samples"},
		{[]string{"-count", "x"}, "-help lists the flags"},
		{[]string{"-time", "0s"}, "from 1ms to 1m"},
		{[]string{"-time", "2m"}, "from 1ms to 1m"},
		{[]string{"-run", "("}, "regular expression such as"},
		{[]string{"-o", file}, "that is a file; give a directory"},
	} {
		_, err := parseOptions(c.args, suites(), io.Discard)
		assert.ErrorContains(t, err, c.want, "%q", c.args)
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 2, run(t.Context(), c.args, suites(), &stdout, &stderr), "%q", c.args)
		assert.Contains(t, stderr.String(), c.want)
		assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line says it: %q", stderr.String())
		assert.Empty(t, stdout.String())
	}
}

func TestHelpNamesEveryFlagAndFile(t *testing.T) {
	var stderr bytes.Buffer
	_, err := parseOptions([]string{"-help"}, suites(), &stderr)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, want := range []string{"-suites", "-o", "-leaves", "-count", "-time", "-run", "summary.tsv", "raw-TIME.txt", "table.txt", "Suites: abe"} {
		assert.Contains(t, stderr.String(), want)
	}
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, suites(), io.Discard, io.Discard))
}

// fake is a suite of its own making: what is tested is what becomes of samples.
type fake struct {
	contenders []measure.Contender
	done       *int
}

func (fake) name() string    { return "fake" }
func (fake) notes() []string { return []string{"a note: with a colon"} }
func (f fake) cases(options) ([]measure.Case, func(), error) {
	return []measure.Case{{Name: "first/leaves=1", Contenders: f.contenders}, {Name: "second", Contenders: f.contenders}}, func() { *f.done++ }, nil
}

func fixed(impl string, x float64, then func() error) measure.Contender {
	return measure.Contender{Impl: impl, Sample: func(context.Context, time.Duration) (measure.Sample, error) {
		return measure.Sample{N: 1, Values: []measure.Value{{Unit: measure.Nanoseconds, X: x}}}, then()
	}}
}

func fine() error { return nil }

func rawFile(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "raw-*.txt"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	return names[0]
}

func TestResultsAreWrittenAndCanBeMadeAgainFromTheRawFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "results")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "summary.tsv"), []byte("of an earlier run"), 0o600))
	done := 0
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"-o", dir, "-count", "3"},
		[]suite{fake{[]measure.Contender{fixed("veilchart", 100, fine), fixed("other", 250, fine)}, &done}}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	assert.Equal(t, 1, done)

	summary, err := os.ReadFile(filepath.Join(dir, "summary.tsv"))
	require.NoError(t, err)
	assert.Equal(t, measure.Columns+"\n"+
		"fake\tfirst/leaves=1\tveilchart\tns/op\t100\t100\t100\t1\t3\nfake\tfirst/leaves=1\tother\tns/op\t250\t250\t250\t2.5\t3\n"+
		"fake\tsecond\tveilchart\tns/op\t100\t100\t100\t1\t3\nfake\tsecond\tother\tns/op\t250\t250\t250\t2.5\t3\n", string(summary))
	table, err := os.ReadFile(filepath.Join(dir, "table.txt"))
	require.NoError(t, err)
	assert.Equal(t, string(table), stdout.String())
	for _, key := range []string{"date", "commit", "goos", "goarch", "cpu", "cores", "load", "go", "backend"} {
		assert.Regexp(t, `(?m)^`+key+`: \S`, string(table))
	}
	assert.Contains(t, string(table), "\na note: with a colon\n")

	raw, err := os.Open(rawFile(t, dir))
	require.NoError(t, err)
	defer raw.Close()
	settings, lines, err := measure.ReadRaw(raw)
	require.NoError(t, err)
	var again, tableAgain bytes.Buffer
	require.NoError(t, measure.WriteSummary(&again, measure.Summarize(lines)))
	require.NoError(t, writeTable(&tableAgain, settings, measure.Summarize(lines)))
	assert.Equal(t, string(summary), again.String())
	assert.Equal(t, string(table), tableAgain.String())

	left, err := filepath.Glob(filepath.Join(dir, "*.*.*"))
	require.NoError(t, err)
	assert.Empty(t, left, "no file under its first name is left")
}

func TestRawFilesAreNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	first, err := openResults(dir, nil)
	require.NoError(t, err)
	require.NoError(t, first.file.Close())
	require.NoError(t, os.WriteFile(first.file.Name(), []byte("samples"), 0o600))
	for range 3 { // the same second, unless it just ended
		if second, err := openResults(dir, nil); err == nil {
			require.NoError(t, second.file.Close())
			assert.NotEqual(t, first.file.Name(), second.file.Name())
		} else {
			assert.ErrorIs(t, err, os.ErrExist)
		}
	}
	content, err := os.ReadFile(first.file.Name())
	require.NoError(t, err)
	assert.Equal(t, "samples", string(content))
}

func TestInterruptedRunsKeepTheirSamples(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"-o", dir}, []suite{fake{[]measure.Contender{fixed("veilchart", 100, func() error { cancel(); return nil })}, &done}}, &stdout, &stderr)
	assert.Equal(t, 130, status)
	assert.Contains(t, stderr.String(), "interrupted; 1 samples were kept")
	assert.Equal(t, 1, done)
	summary, err := os.ReadFile(filepath.Join(dir, "summary.tsv"))
	require.NoError(t, err)
	assert.Equal(t, measure.Columns+"\nfake\tfirst/leaves=1\tveilchart\tns/op\t100\t100\t100\t1\t1\n", string(summary))
	raw, err := os.ReadFile(rawFile(t, dir))
	require.NoError(t, err)
	assert.Contains(t, string(raw), "BenchmarkFake/first/leaves=1/impl=veilchart-")
}

func TestFailuresAreReportedAndTheRestIsKept(t *testing.T) {
	done := 0
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"-count", "2"}, []suite{fake{[]measure.Contender{
		fixed("veilchart", 100, fine), fixed("other", 1, func() error { return errors.New("does not decrypt") })}, &done}}, &stdout, &stderr)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr.String(), "fake second, other: does not decrypt")
	assert.Contains(t, stdout.String(), "veilchart")
	assert.NotContains(t, stdout.String(), "other")
}

func TestNothingToMeasureIsAnError(t *testing.T) {
	dir := t.TempDir()
	summary := filepath.Join(dir, "summary.tsv")
	require.NoError(t, os.WriteFile(summary, []byte("of an earlier run"), 0o600))
	done := 0
	var stderr bytes.Buffer
	status := run(t.Context(), []string{"-run", "^nothing$", "-o", dir}, []suite{fake{nil, &done}}, io.Discard, &stderr)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr.String(), "no case has a name that matches")
	kept, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Equal(t, "of an earlier run", string(kept))
}

func TestDirectoriesThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	done := 0
	var stderr bytes.Buffer
	assert.Equal(t, 1, run(t.Context(), []string{"-o", filepath.Join(file, "below")}, []suite{fake{nil, &done}}, io.Discard, &stderr))
	assert.Contains(t, stderr.String(), "give a directory that can be written")
}

// Peers are here so that they weigh on nobody else: the workspace chooses no other version of anything that the library is tested with.
func TestPeersChangeNoVersion(t *testing.T) {
	require1 := func(name string) map[string]string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		list := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^\s*(\S+\.\S+/\S+|\S+\.\S+) (v\S+)`).FindAllStringSubmatch(string(text), -1) {
			list[m[1]] = m[2]
		}
		return list
	}
	library, bench := require1("../go.mod"), require1("go.mod")
	require.Greater(t, len(library), 10)
	shared := 0
	for path, version := range bench {
		if _, ok := library[path]; ok {
			shared++
			assert.Equal(t, library[path], version, "%s", path)
		}
	}
	assert.Greater(t, shared, 3)
}
