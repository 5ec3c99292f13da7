package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// What a caller of abe cannot reach, the key encapsulation alone and decapsulation without the check that makes it CCA, is measured by
// BenchmarkKEM in the tests of abe: its test binary is built once and run for each sample.
const kemBenchmark = "BenchmarkKEM"

// kemLeaves are the sizes that BenchmarkKEM knows.
var kemLeaves = []int{1, 5, 10, 50, 100}

func kemCases(leaves []int) ([]measure.Case, func()) {
	var dir string
	build := sync.OnceValues(func() (string, error) {
		ctx := context.Background()
		module, err := moduleDir(ctx)
		if err != nil {
			return "", fmt.Errorf("looking for the sources: %w; run this inside the repository", childError(err))
		}
		if dir, err = os.MkdirTemp("", "veilchart-bench-"); err != nil {
			return "", err
		}
		program := filepath.Join(dir, "abe.test")
		// With the back end of this program.
		command := exec.CommandContext(ctx, "go", "test", "-c", "-tags", buildSetting("-tags"), "-o", program, "./abe")
		command.Dir = module
		if cgo := buildSetting("CGO_ENABLED"); cgo != "" {
			command.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		}
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building the tests of abe: %w: %s", err, bytes.TrimSpace(out))
		}
		return program, nil
	})
	contender := func(op, impl string, n int) measure.Contender {
		return measure.Contender{Impl: impl,
			Prepare: func(context.Context) error { _, err := build(); return err },
			Sample: func(ctx context.Context, target time.Duration) (measure.Sample, error) {
				program, err := build()
				if err != nil {
					return measure.Sample{}, err
				}
				return kemSample(ctx, program, fmt.Sprintf("%s/leaves=%d/impl=%s", op, n, impl), target)
			}}
	}
	var list []measure.Case
	for _, op := range []string{"kem-seal", "kem-open", "decapsulate"} {
		for _, n := range leaves {
			if !slices.Contains(kemLeaves, n) {
				continue
			}
			c := measure.Case{Name: fmt.Sprintf("%s/leaves=%d", op, n), Contenders: []measure.Contender{contender(op, measure.Reference, n)}}
			if op == "decapsulate" {
				c.Contenders = append(c.Contenders, contender(op, limit, n))
			}
			list = append(list, c)
		}
	}
	return list, func() {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// kemSample runs one benchmark of the test binary. The parts of a name are patterns, one for each level.
func kemSample(ctx context.Context, program, name string, target time.Duration) (measure.Sample, error) {
	pattern := "^" + kemBenchmark + "$"
	for part := range bytes.SplitSeq([]byte(name), []byte("/")) {
		pattern += "/^" + string(part) + "$"
	}
	out, err := exec.CommandContext(ctx, program, "-test.run", "^$", "-test.bench", pattern, "-test.benchmem",
		"-test.benchtime", target.String()).Output()
	if err != nil {
		return measure.Sample{}, childError(err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		if bytes.HasPrefix(scanner.Bytes(), []byte(kemBenchmark+"/")) {
			line, err := measure.ParseLine(scanner.Text())
			return line.Sample, err
		}
	}
	return measure.Sample{}, fmt.Errorf("the tests of abe have no %s/%s", kemBenchmark, name)
}
