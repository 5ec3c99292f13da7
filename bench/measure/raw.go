package measure

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Line is one sample as the raw file has it:
//
//	BenchmarkAbe/seal/leaves=10/impl=tkn20-2	3	95123400 ns/op	1203456 B/op	8421 allocs/op
//
// That is Go's benchmark format, which benchstat reads.
type Line struct {
	Suite, Name, Impl string
	Procs             int // GOMAXPROCS
	Sample
}

// newLine rounds values to what the raw file holds.
func newLine(suite, name, impl string, procs int, s Sample) Line {
	rounded := Sample{N: s.N}
	for _, v := range s.Values {
		rounded.Values = append(rounded.Values, Value{v.Unit, round(v.X)})
	}
	return Line{suite, name, impl, procs, rounded}
}

// round keeps six significant digits, and of large integers no less than the integer: lengths are exact.
func round(x float64) float64 {
	if x == float64(int64(x)) && x < 1<<40 {
		return x
	}
	y, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64) // what FormatFloat wrote parses
	return y
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// String is the line without its end.
func (l Line) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s%s/%s/impl=%s-%d\t%d", strings.ToUpper(l.Suite[:1]), l.Suite[1:], l.Name, l.Impl, l.Procs, l.N)
	for _, v := range l.Values {
		fmt.Fprintf(&b, "\t%s %s", number(v.X), v.Unit)
	}
	return b.String()
}

// Setting is a line "key: value" in front of the samples, such as the commit.
type Setting struct{ Key, Value string }

// WriteSettings writes the head of a raw file.
func WriteSettings(w io.Writer, settings []Setting) error {
	for _, s := range settings {
		if _, err := fmt.Fprintf(w, "%s: %s\n", s.Key, s.Value); err != nil {
			return err
		}
	}
	return nil
}

// ReadRaw reads a raw file. A line that is neither empty, a setting nor a sample is an error, so that a damaged file does not become a
// table that lacks something.
func ReadRaw(r io.Reader) (settings []Setting, lines []Line, err error) {
	scanner := bufio.NewScanner(r)
	for at := 1; scanner.Scan(); at++ {
		text := scanner.Text()
		if key, value, ok := strings.Cut(text, ": "); ok && !strings.HasPrefix(text, "Benchmark") {
			settings = append(settings, Setting{key, value})
			continue
		}
		if text == "" {
			continue
		}
		line, err := ParseLine(text)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d is no sample: %w; take the file from a good copy", at, err)
		}
		lines = append(lines, line)
	}
	return settings, lines, scanner.Err()
}

var suiteName = regexp.MustCompile("^[A-Za-z]+$")

// ParseLine reads a sample as String or Go's testing package writes it. The name must have a part impl=.
func ParseLine(text string) (l Line, err error) {
	bad := func(what string) (Line, error) { return Line{}, fmt.Errorf("%s in %q", what, text) }
	fields := strings.Split(text, "\t")
	full, ok := strings.CutPrefix(fields[0], "Benchmark")
	if !ok || len(fields) < 3 {
		return bad("no benchmark")
	}
	full = strings.TrimRight(full, " ")
	dash := strings.LastIndexByte(full, '-')
	at := strings.LastIndex(full, "/impl=")
	if dash < 0 || at < 0 || dash < at {
		return bad("no impl=")
	}
	if l.Procs, err = strconv.Atoi(full[dash+1:]); err != nil || l.Procs < 1 {
		return bad("no number of processors")
	}
	l.Impl = full[at+len("/impl=") : dash]
	suite, name, ok := strings.Cut(full[:at], "/")
	if !ok || !suiteName.MatchString(suite) || name == "" || l.Impl == "" {
		return bad("no name")
	}
	l.Suite, l.Name = strings.ToLower(suite), name
	if l.N, err = strconv.Atoi(strings.TrimSpace(fields[1])); err != nil || l.N < 1 {
		return bad("no count")
	}
	for _, field := range fields[2:] {
		value, unit, ok := strings.Cut(strings.TrimSpace(field), " ")
		x, err := strconv.ParseFloat(value, 64)
		if !ok || unit == "" || err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return bad("no value with a unit")
		}
		l.Values = append(l.Values, Value{unit, x})
	}
	return l, nil
}
