package sse

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The kill harness: real processes that write, load, compact and rotate in a loop are killed at random moments, 200 in all. Each says on its standard
// output what was acknowledged. Afterwards all of that is there, and of what was not acknowledged all or nothing.

// killedEnv makes the test binary such a process: kind, round, number of the key and folder.
const killedEnv = "SSE_TEST_KILLED"

// killKey is the partition key after n rotations.
func killKey(n int) []byte {
	k := sha256.Sum256(fmt.Appendf(nil, "key %d of the kill harness", n))
	return k[:]
}

// killOpen opens the partition under the first key, from number n on, that opens it.
func killOpen(ctx context.Context, s Store, n int) (*Index, int, error) {
	for last := n + 100; ; n++ {
		ix, err := Open(ctx, s, killKey(n), ID{1}, Options{})
		if !errors.Is(err, ErrDecrypt) || n == last {
			return ix, n, err
		}
	}
}

var killSizes = []int{1, 20, 300, 3}

// killBatch is batch i of a writer: rows that one tag finds, and the deletion of the first row of the batch before.
func killBatch(name string, i int) (b Batch) {
	tag := fmt.Sprintf("%s-%d", name, i)
	for j := range killSizes[i%len(killSizes)] {
		b.Put = append(b.Put, Document{ID: fmt.Sprintf("%s-%d", tag, j), Revision: 1, Stored: []byte(tag), Fields: Fields{"tag": {String(tag)}, "n": {Int(int64(j))}}})
	}
	if i > 0 {
		b.Delete = []Deletion{{ID: fmt.Sprintf("%s-%d-0", name, i-1)}}
	}
	return b
}

func killedWriter(spec string) {
	args := strings.SplitN(spec, ":", 4)
	kind, name := args[0], args[1]
	n, err := strconv.Atoi(args[2])
	ctx := context.Background()
	fatal := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	fatal(err)
	d, err := OpenDir(args[3])
	fatal(err)
	ix, n, err := killOpen(ctx, d, n)
	fatal(err)
	apply := func(name string, i int) {
		fatal(ix.Apply(ctx, killBatch(name, i)))
		fmt.Println("batch", name, i)
	}
	switch kind {
	case "apply": // in groups, with merges in the background
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := 0; ; i++ {
					apply(fmt.Sprintf("%s/%d", name, w), i)
				}
			})
		}
		wg.Wait()
	case "load":
		tag := "load-" + name
		_, err := ix.loadWithin(ctx, sequence(1<<40, func(i int) (Document, error) {
			return Document{ID: fmt.Sprintf("%s-%d", tag, i), Revision: 1, Fields: Fields{"tag": {String(tag)}}}, nil
		}), LoadOptions{Memory: 100_000, Progress: func(_, done int) { fmt.Println("loaded", tag, done) }})
		fatal(err)
	case "compact":
		for i := 0; ; i++ {
			apply(name, i)
			fatal(ix.Compact(ctx, CompactOptions{Full: i%3 > 0, DeleteNow: i%2 == 0}))
		}
	case "rotate":
		for i := 0; ; i++ {
			apply(name, i)
			n++
			fatal(ix.Compact(ctx, CompactOptions{NewKey: killKey(n), DeleteNow: i%2 == 0}))
			fmt.Println("key", "-", n)
		}
	}
}

// killFolder is a partition and what is known of it.
type killFolder struct {
	path    string
	key     int            // that was acknowledged
	batches map[string]int // by writer: how many were acknowledged
	loads   map[string]int // by tag: how many documents
}

// note takes in a line of a process.
func (f *killFolder) note(t *testing.T, line string) {
	var what, name string
	var n int
	_, err := fmt.Sscan(line, &what, &name, &n)
	require.NoError(t, err, line)
	switch what {
	case "batch":
		f.batches[name] = max(f.batches[name], n+1)
	case "loaded":
		f.loads[name] = max(f.loads[name], n)
	case "key":
		f.key = max(f.key, n)
	default:
		t.Fatalf("a writer failed: %s", line)
	}
}

// check compares what is there with what was acknowledged, for the writers of some processes.
func (f *killFolder) check(t *testing.T, ix *Index, of func(process string) bool) {
	tagged := func(tag string) int { return count(t, ix, Term("tag", String(tag))) }
	process := func(name string) string {
		name, _, _ = strings.Cut(name, "/")
		return name
	}
	for name, n := range f.batches {
		if !of(process(name)) {
			continue
		}
		rows := func(i int) int { return tagged(fmt.Sprintf("%s-%d", name, i)) }
		// The one that was being written is there whole or not at all, and none after it.
		if got := rows(n); got > 0 {
			require.Equal(t, killSizes[n%len(killSizes)], got, "half of batch %d of %s, which was not acknowledged", n, name)
			n++
			require.Zero(t, rows(n))
		}
		for i := range n {
			want := killSizes[i%len(killSizes)]
			if i+1 < n {
				want-- // the next one deletes a row of it
			}
			require.Equal(t, want, rows(i), "batch %d of %s, of which %d are there", i, name, n)
		}
	}
	for tag, acknowledged := range f.loads {
		if !of(process(strings.TrimPrefix(tag, "load-"))) {
			continue
		}
		got := tagged(tag)
		require.GreaterOrEqual(t, got, acknowledged, tag)
		if got == 0 {
			continue
		}
		// From the front of the sequence, without gaps.
		_, err := ix.Get(t.Context(), fmt.Sprintf("%s-%d", tag, got-1))
		require.NoError(t, err)
		_, err = ix.Get(t.Context(), fmt.Sprintf("%s-%d", tag, got))
		require.ErrorIs(t, err, ErrNotFound)
	}
}

// sweep removes what the killed left behind, now and not after the grace period, and looks whether anything stays.
func (f *killFolder) sweep(t *testing.T) {
	ctx := t.Context()
	d := openDir(t, f.path)
	ix, _, err := killOpen(ctx, d, f.key)
	require.NoError(t, err)
	ix.Close()
	require.NoError(t, ix.Verify(ctx))
	f.check(t, ix, func(string) bool { return true })
	ix.grace = time.Nanosecond
	time.Sleep(time.Millisecond)
	require.NoError(t, ix.sweep(ctx, true))
	infos, err := d.Segments(ctx, ID{1})
	require.NoError(t, err)
	named := 0
	for _, s := range ix.current().manifest.segments {
		if named++; s.deleted.object != (ID{}) {
			named++
		}
	}
	require.Len(t, infos, named, "a segment that no manifest names is left")
	require.NoError(t, d.Check(ctx))
	ix.grace = defaultGrace
	require.NoError(t, ix.Verify(ctx))
	require.NoError(t, ix.Apply(ctx, batchOf("after", 2)))
	require.Equal(t, 2, count(t, ix, Term("tag", String("all"))))
}

func TestKilledAtRandom(t *testing.T) {
	kills, perFolder := 200, 25
	if testing.Short() {
		kills, perFolder = 12, 6
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var f *killFolder
	total := 0
	for round, killed := 0, 0; killed < kills; round++ {
		if f == nil {
			f = &killFolder{path: t.TempDir(), batches: make(map[string]int), loads: make(map[string]int)}
			_, err := Create(t.Context(), openDir(t, f.path), killKey(0), ID{1}, smallSchema, Options{})
			require.NoError(t, err)
		}
		// Two processes at once, but none beside a rotation: it would have to open the partition again.
		kinds := [][]string{{"apply"}, {"load"}, {"apply", "compact"}, {"rotate"}, {"load", "compact"}, {"compact"}}[round%6]
		var cmds []*exec.Cmd
		var outs []*bufio.Scanner
		mine := make(map[string]bool)
		for w, kind := range kinds {
			name := fmt.Sprintf("r%d.%s%d", round, kind, w)
			mine[name] = true
			switch kind {
			case "load":
				f.loads["load-"+name] = 0
			case "apply":
				for w := range 3 {
					f.batches[fmt.Sprintf("%s/%d", name, w)] = 0
				}
			default:
				f.batches[name] = 0
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%s:%d:%s", killedEnv, kind, name, f.key, f.path))
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			cmds, outs = append(cmds, cmd), append(outs, bufio.NewScanner(out))
		}
		for range r.IntN(8) {
			if !outs[0].Scan() {
				break
			}
			f.note(t, outs[0].Text())
		}
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		for i, cmd := range cmds {
			require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			for outs[i].Scan() { // what it said before the signal came
				f.note(t, outs[i].Text())
			}
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			require.Equal(t, -1, exit.ExitCode(), "it was killed and did not end by itself")
			killed++
		}
		ix, n, err := killOpen(t.Context(), openDir(t, f.path), f.key)
		require.NoError(t, err)
		ix.Close()
		require.LessOrEqual(t, n, f.key+1, "at most one rotation that was not acknowledged")
		f.key = n
		f.check(t, ix, func(process string) bool { return mine[process] })
		if (round+1)%perFolder == 0 || killed >= kills {
			for _, m := range []map[string]int{f.batches, f.loads} {
				for _, n := range m {
					total += n
				}
			}
			f.sweep(t)
			f = nil
		}
	}
	require.Positive(t, total, "nobody acknowledged anything: the test showed nothing")
}
