package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// memoryCommand makes this program another one: it sends a stream through a pipe and prints how much memory it had at most.
const memoryCommand = "stream-rss"

// memoryCase measures the peak of the resident memory of a process of its own, which seals a stream into a pipe and opens it at the other end.
func (s abeSuite) memoryCase() measure.Case {
	return measure.Case{Name: "stream-rss", Contenders: []measure.Contender{{Impl: measure.Reference,
		Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
			program, err := os.Executable()
			if err != nil {
				return measure.Sample{}, err
			}
			out, err := exec.CommandContext(ctx, program, memoryCommand, strconv.FormatInt(s.memoryBytes, 10)).Output()
			if err != nil {
				return measure.Sample{}, childError(err)
			}
			kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
			return measure.Sample{N: 1, Values: []measure.Value{{Unit: measure.Mebibytes, X: float64(kib) / 1024}}}, err
		}}}}
}

// childError adds what a program said before it failed.
func childError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

func memoryMain(args []string, stdout, stderr io.Writer) int {
	var size int64
	var err error
	if len(args) == 1 {
		size, err = strconv.ParseInt(args[0], 10, 64)
	}
	if len(args) != 1 || err != nil || size < 1 {
		fmt.Fprintf(stderr, "usage: bench %s BYTES\n", memoryCommand)
		return 2
	}
	if err := throughPipe(size); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", memoryCommand, err)
		return 1
	}
	peak, err := peakMemory()
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", memoryCommand, err)
		return 1
	}
	fmt.Fprintln(stdout, peak)
	return 0
}

// throughPipe seals size bytes into a pipe, opens them at its other end, and checks that as many come out.
func throughPipe(size int64) error {
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	b, err := newVeilchartBed(authority, 1)
	if err != nil {
		return err
	}
	if err := b.issue(); err != nil {
		return err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()
	sealed := make(chan error, 1)
	go func() {
		err := authority.Params().EncryptFrom(to, io.LimitReader(zeros{}, size), b.policy, nil)
		sealed <- errors.Join(err, to.Close())
	}()
	r, err := b.key.Decrypt(from, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, r)
	return errors.Join(err, <-sealed, whole(n, size))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// peakMemory is the largest resident set of this process in KiB. The figure of getrusage would not do: it includes the parent's.
func peakMemory() (int64, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("the peak of the memory is known on Linux only, not on %s: %w", runtime.GOOS, err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if fields := strings.Fields(scanner.Text()); len(fields) == 3 && fields[0] == "VmHWM:" && fields[2] == "kB" {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, errors.Join(errors.New("/proc/self/status has no VmHWM"), scanner.Err())
}
