// Command bench measures veilchart against other implementations and against limits, in one run and in turn.
//
//	go run ./bench -suites abe -o results
//
// README.md says what is measured, how, and what is not comparable.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

func main() {
	if status, ok := otherProgram(os.Args); ok {
		os.Exit(status)
	}
	if len(os.Args) == 2 && os.Args[1] == docsCommand {
		os.Exit(docsMain(os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	go func() {
		<-ctx.Done()
		stop() // a second interrupt ends the program at once
	}()
	os.Exit(run(ctx, os.Args[1:], suites(), os.Stdout, os.Stderr))
}

// otherProgram runs what this program starts itself for, to measure it in a process of its own.
func otherProgram(args []string) (status int, ok bool) {
	if len(args) < 2 {
		return 0, false
	}
	switch args[1] {
	case memoryCommand:
		return memoryMain(args[2:], os.Stdout, os.Stderr), true
	case buildCommand:
		return buildMain(args[2:], os.Stdout, os.Stderr), true
	case addCommand:
		return addMain(args[2:], os.Stderr), true
	}
	return 0, false
}

// suites are all there are. A new one is a file with a suite in it, and a word here.
func suites() []suite { return []suite{newABE(), newSSE()} }

// suite is a set of cases about one package of veilchart.
type suite interface {
	name() string
	// notes say what a reader has to know to read the numbers: versions, and what is not comparable.
	notes() []string
	// cases are in the order in which they run. done removes what they left behind.
	cases(o options) (cases []measure.Case, done func(), err error)
}

// run returns the exit status: 0, 1 if something could not be measured or written, 2 for wrong flags, 130 after an interrupt.
func run(ctx context.Context, args []string, all []suite, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, all, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	lines, err := measureAll(ctx, o, all, stdout, stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "bench: interrupted; %d samples were kept\n", len(lines))
		return 130
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

func measureAll(ctx context.Context, o options, all []suite, stdout, stderr io.Writer) (lines []measure.Line, err error) {
	settings := machine(ctx)
	for _, s := range all {
		if slices.Contains(o.suites, s.name()) {
			for _, note := range s.notes() {
				settings = append(settings, measure.Setting{Key: noteKey, Value: note})
			}
		}
	}
	files, err := openResults(o.dir, settings)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, files.finish(settings, lines, stdout))
	}()
	var failed error
	for _, s := range all {
		if !slices.Contains(o.suites, s.name()) {
			continue
		}
		cases, done, err := s.cases(o)
		if err != nil {
			return lines, fmt.Errorf("suite %s: %w", s.name(), err)
		}
		cases = slices.DeleteFunc(cases, func(c measure.Case) bool { return !o.names.MatchString(c.Name) })
		runner := measure.Runner{Count: o.count, Target: o.target, Patience: o.patience, Raw: files.raw, Progress: stderr}
		got, err := runner.Run(ctx, s.name(), cases)
		done()
		lines = append(lines, got...)
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(lines) == 0 && failed == nil {
		return nil, fmt.Errorf("no case has a name that matches -run %s; run without it to see the names", o.names)
	}
	return lines, failed
}

// options are the flags, checked.
type options struct {
	suites   []string
	dir      string
	leaves   []int
	docs     []int
	data     string
	adds     int
	count    int
	target   time.Duration
	patience time.Duration
	names    matcher
}

func names(all []suite) string {
	var list []string
	for _, s := range all {
		list = append(list, s.name())
	}
	return strings.Join(list, ", ")
}
