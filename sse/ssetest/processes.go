package ssetest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
)

// childEnv tells a process that it is a child of RunProcesses, and what it has to do.
const childEnv = "VEILCHART_SSETEST_CHILD"

// RunProcesses checks a kind of store that several processes can open, and what is left of a process that was killed. Each call of
// place makes an empty store and returns its address; open opens the store at an address, also in another process. Call it from a
// test function of its own, outside subtests: child processes run the test binary again with that function alone.
func RunProcesses(t *testing.T, place func(t *testing.T) string, open func(address string) (sse.Store, error)) {
	if job := os.Getenv(childEnv); job != "" {
		os.Exit(child(job, open))
	}
	p := processes{place, open}
	t.Run("Swap", p.testSwap)
	t.Run("Write", p.testWrite)
	t.Run("KilledInWrite", p.testKilledInWrite)
	t.Run("KilledAnywhere", p.testKilledAnywhere)
}

type processes struct {
	place func(t *testing.T) string
	open  func(address string) (sse.Store, error)
}

// start runs a child with a job; its standard output is told, line by line.
func (p processes) start(t *testing.T, args ...string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(exe, "-test.run=^"+top+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\x1f"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, in, bufio.NewScanner(out)
}

// child is the other side: it does the job and returns the exit code.
func child(job string, open func(address string) (sse.Store, error)) int {
	args := strings.Split(job, "\x1f")
	err := func() error {
		s, err := open(args[1])
		if err != nil {
			return err
		}
		ctx := context.Background()
		partition, err := sse.ParseID(args[2])
		if err != nil {
			return err
		}
		switch args[0] {
		case "lines": // name, count
			n, err := strconv.Atoi(args[4])
			for i := 0; i < n && err == nil; i++ {
				_, err = addLine(ctx, s, partition, args[3]+" "+strconv.Itoa(i))
			}
			return err
		case "segments": // seed, count
			seed, err := strconv.ParseUint(args[3], 10, 64)
			n, err2 := strconv.ParseUint(args[4], 10, 64)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			for i := range n {
				if err := s.WriteSegment(ctx, partition, numbered(seed, i), pages(seed+i, segmentPages)); err != nil {
					return err
				}
			}
			return nil
		case "stall": // segment, pages before it stalls for ever
			segment, err := sse.ParseID(args[3])
			n, err2 := strconv.ParseUint(args[4], 10, 32)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			return s.WriteSegment(ctx, partition, segment, func(yield func([]byte, error) bool) {
				for i := range uint32(n) {
					yield(page(7, i), nil)
				}
				fmt.Println("stalled")
				_, _ = io.Copy(io.Discard, os.Stdin)
			})
		case "forever": // seed: swaps and writes, and says what is done, until it is killed
			seed, err := strconv.ParseUint(args[3], 10, 64)
			if err != nil {
				return err
			}
			for i := uint64(0); ; i++ {
				if err := s.WriteSegment(ctx, partition, numbered(seed, i), pages(seed+i, segmentPages)); err != nil {
					return err
				}
				fmt.Println("segment", i)
				v, err := addLine(ctx, s, partition, fmt.Sprint(seed, " ", i))
				if err != nil {
					return err
				}
				fmt.Println("head", v)
			}
		}
		return fmt.Errorf("unknown job %q", args[0])
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		return 1
	}
	return 0
}

// segmentPages is more than a store is likely to write in one piece.
const segmentPages = 70

// numbered is the ID of segment i of a writer.
func numbered(seed, i uint64) sse.ID {
	var id sse.ID
	binary.BigEndian.PutUint64(id[:], seed)
	binary.BigEndian.PutUint64(id[8:], i)
	return id
}

func (p processes) store(t *testing.T, address string) sse.Store {
	t.Helper()
	s, err := p.open(address)
	require.NoError(t, err)
	return s
}

// testSwap: four processes and two goroutines here append lines to one head, and none is lost.
func (p processes) testSwap(t *testing.T) {
	address, part := p.place(t), sse.GenerateID()
	const children, each = 4, 15
	want := make(map[string]bool)
	var cmds []*exec.Cmd
	for c := range children {
		name := fmt.Sprint("child", c)
		cmd, _, _ := p.start(t, "lines", address, part.String(), name, strconv.Itoa(each))
		cmds = append(cmds, cmd)
		for i := range each {
			want[fmt.Sprint(name, " ", i)] = true
		}
	}
	var wg sync.WaitGroup
	for g := range 2 {
		s := p.store(t, address) // one each: the lock must not rest on memory that both share
		name := fmt.Sprint("here", g)
		for i := range each {
			want[fmt.Sprint(name, " ", i)] = true
		}
		wg.Go(func() {
			for i := range each {
				_, err := addLine(t.Context(), s, part, fmt.Sprint(name, " ", i))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	for _, cmd := range cmds {
		require.NoError(t, cmd.Wait())
	}
	requireLines(t, p.store(t, address), part, want)
}

// testWrite: three processes write segments to one partition.
func (p processes) testWrite(t *testing.T) {
	address, part := p.place(t), sse.GenerateID()
	const children, each = 3, 5
	var cmds []*exec.Cmd
	for c := range children {
		cmd, _, _ := p.start(t, "segments", address, part.String(), strconv.Itoa(1000*(c+1)), strconv.Itoa(each))
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		require.NoError(t, cmd.Wait())
	}
	s := p.store(t, address)
	infos, err := s.Segments(t.Context(), part)
	require.NoError(t, err)
	require.Len(t, infos, children*each)
	for c := range uint64(children) {
		for i := range uint64(each) {
			requireWhole(t, s, part, 1000*(c+1), i)
		}
	}
}

func requireWhole(t *testing.T, s sse.Store, part sse.ID, seed, i uint64) {
	t.Helper()
	got, err := s.Read(t.Context(), part, []sse.Run{{Segment: numbered(seed, i), Count: segmentPages}})
	require.NoError(t, err)
	found, ok := whole(got[0], segmentPages)
	require.True(t, ok, "segment %d is whole", i)
	require.Equal(t, seed+i, found)
}

// testKilledInWrite kills a process that has handed over some pages of a segment. The segment is not there, and its ID is free.
func (p processes) testKilledInWrite(t *testing.T) {
	address, part := p.place(t), sse.GenerateID()
	s := p.store(t, address)
	require.NoError(t, s.SwapHead(t.Context(), part, 1, []byte("before")))
	for _, n := range []int{0, 1, 64, 200} {
		segment := sse.GenerateID()
		cmd, _, out := p.start(t, "stall", address, part.String(), segment.String(), strconv.Itoa(n))
		require.True(t, out.Scan())
		require.Equal(t, "stalled", out.Text())
		other := p.store(t, address) // opened while the writer lives
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		for _, s := range []sse.Store{s, other, p.store(t, address)} {
			_, err := s.Read(t.Context(), part, []sse.Run{{Segment: segment, Count: 1}})
			require.ErrorIs(t, err, sse.ErrMissing)
			infos, err := s.Segments(t.Context(), part)
			require.NoError(t, err)
			require.Empty(t, infos)
		}
		require.NoError(t, s.WriteSegment(t.Context(), part, segment, pages(1, 2)))
		require.NoError(t, s.DeleteSegment(t.Context(), part, segment))
	}
	blob, latest, err := s.Head(t.Context(), part, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, latest)
	require.Equal(t, "before", string(blob))
}

// testKilledAnywhere kills a process that swaps heads and writes segments without a pause, after a different number of
// acknowledgements each time. What it said was done is there, whole; what it did not get to say is there whole or not at all; and
// no lock outlives it.
func (p processes) testKilledAnywhere(t *testing.T) {
	address, part := p.place(t), sse.GenerateID()
	var version uint64 // latest that is known to be there
	for round := range uint64(6) {
		seed := 1_000_000 * (round + 1)
		cmd, _, out := p.start(t, "forever", address, part.String(), strconv.FormatUint(seed, 10))
		acknowledged := uint64(0) // segments
		note := func(line string) {
			what, number, _ := strings.Cut(line, " ")
			n, err := strconv.ParseUint(number, 10, 64)
			require.NoError(t, err)
			if what == "head" {
				version = n
			} else {
				acknowledged = n + 1
			}
		}
		for range 1 + 5*round {
			require.True(t, out.Scan(), "the child works until it is killed")
			note(out.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		for out.Scan() { // what it said before the signal came
			note(out.Text())
		}
		require.Error(t, cmd.Wait())

		s := p.store(t, address)
		blob, latest, err := s.Head(t.Context(), part, 0)
		require.NoError(t, err)
		require.GreaterOrEqual(t, latest, version)
		require.LessOrEqual(t, latest, version+1)
		require.EqualValues(t, latest, strings.Count(string(blob), "\n"), "a line for each version")
		for i := range acknowledged {
			requireWhole(t, s, part, seed, i)
		}
		infos, err := s.Segments(t.Context(), part)
		require.NoError(t, err)
		for _, info := range infos {
			if binary.BigEndian.Uint64(info.ID[:]) != seed {
				continue
			}
			i := binary.BigEndian.Uint64(info.ID[8:])
			require.LessOrEqual(t, i, acknowledged, "at most one that was not acknowledged")
			requireWhole(t, s, part, seed, i)
		}
		version, err = addLine(t.Context(), s, part, "after "+strconv.FormatUint(seed, 10))
		require.NoError(t, err)
		require.Equal(t, latest+1, version)
	}
}
