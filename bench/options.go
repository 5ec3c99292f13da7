package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// matcher selects cases by name.
type matcher = *regexp.Regexp

const help = `Usage: go run ./bench [flags]

Measures veilchart against other implementations, in turn in one run, and prints a table. With -o DIR it also writes

  DIR/raw-TIME.txt   every sample, in Go's benchmark format (benchstat reads it), as soon as it is there
  DIR/summary.tsv    suite, name, impl, unit, median, low, high, ratio, n; the ratio is impl / veilchart, or veilchart / impl for
                     rates, so that bigger is better for veilchart. It replaces that of an earlier run.
  DIR/table.txt      the table, with the machine and what is not comparable

go run ./bench docs makes docs/bench from the raw files in bench/results, without measuring.

Ctrl-C stops after the operation that is running and keeps what was measured.

Flags:
`

const (
	maxLeaves = 256 // the limit of a policy of veilchart
	minDocs   = 100
	maxDocs   = 10_000_000
	maxAdds   = 1_000_000
	patience  = 15 * time.Second
)

func parseOptions(args []string, all []suite, stderr io.Writer) (options, error) {
	o := options{patience: patience}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are returned, and printed once
	suiteList := flags.String("suites", names(all), "comma-separated `list` of suites")
	leafList := flags.String("leaves", "1,5,10,50,100", "comma-separated `list` of policy sizes, each from 1 to "+strconv.Itoa(maxLeaves))
	docList := flags.String("docs", "10000,100000", "suite sse: comma-separated `list` of numbers of documents, such as 10000,100000,1000000")
	flags.StringVar(&o.data, "data", "", "suite sse: `directory` with public corpora; README.md names the files. Those that are not there are left out")
	flags.IntVar(&o.adds, "adds", 10_000, "suite sse: `records` that are added one by one before searches are compared with those after a bulk load")
	pattern := flags.String("run", "", "measure only cases whose name matches the regular `expression`")
	flags.StringVar(&o.dir, "o", "", "write results into `directory`, which is made if it is not there; without it nothing is written")
	flags.IntVar(&o.count, "count", 10, "`samples` of each implementation in each case; six give an interval of 95 % confidence")
	flags.DurationVar(&o.target, "time", 100*time.Millisecond, "`duration` of a sample; a slower operation runs once")
	flags.Usage = func() {
		fmt.Fprint(stderr, help)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		flags.SetOutput(io.Discard)
		fmt.Fprintf(stderr, "\nSuites: %s\n", names(all))
	}
	usage := flags.Usage
	flags.Usage = func() {}
	if err := flags.Parse(args); err == flag.ErrHelp {
		usage()
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w; -help lists the flags", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag; -help lists the flags", flags.Arg(0))
	}
	for _, name := range split(*suiteList) {
		if !slices.ContainsFunc(all, func(s suite) bool { return s.name() == name }) {
			return o, fmt.Errorf("-suites: there is no suite %q; there is %s", name, names(all))
		}
		if slices.Contains(o.suites, name) {
			return o, fmt.Errorf("-suites: %s is named twice; name it once", name)
		}
		o.suites = append(o.suites, name)
	}
	if len(o.suites) == 0 {
		return o, fmt.Errorf("-suites is empty; there is %s", names(all))
	}
	var err error
	if o.leaves, err = numbers("-leaves", *leafList, 1, maxLeaves, "1,10,100"); err != nil {
		return o, err
	}
	if o.docs, err = numbers("-docs", *docList, minDocs, maxDocs, "10000,100000"); err != nil {
		return o, err
	}
	if o.adds < 1 || o.adds > maxAdds {
		return o, fmt.Errorf("-adds %d: give 1 to %d", o.adds, maxAdds)
	}
	if info, err := os.Stat(o.data); o.data != "" && (err != nil || !info.IsDir()) {
		return o, fmt.Errorf("-data %s: give a directory that exists", o.data)
	}
	if o.count < 1 || o.count > 1000 {
		return o, fmt.Errorf("-count %d: give 1 to 1000 samples", o.count)
	}
	if o.target < time.Millisecond || o.target > time.Minute {
		return o, fmt.Errorf("-time %v: give a duration from 1ms to 1m", o.target)
	}
	if o.names, err = regexp.Compile(*pattern); err != nil {
		return o, fmt.Errorf("-run: %w; give a regular expression such as seal/leaves=10$", err)
	}
	if info, err := os.Stat(o.dir); o.dir != "" && err == nil && !info.IsDir() {
		return o, fmt.Errorf("-o %s: that is a file; give a directory", o.dir)
	}
	return o, nil
}

// numbers are those of a list, in order, each once and between least and most.
func numbers(name, list string, least, most int, example string) (out []int, err error) {
	for _, text := range split(list) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%s: %q is no number from %d to %d; give a list such as %s", name, text, least, most, example)
		}
		if slices.Contains(out, n) {
			return nil, fmt.Errorf("%s: %d is given twice; give it once", name, n)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is empty; give a list such as %s", name, example)
	}
	slices.Sort(out)
	return out, nil
}

func split(list string) (out []string) {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
