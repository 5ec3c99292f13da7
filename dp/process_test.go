//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dp

import (
	"bytes"
	"context"
	"errors"
	"flag"
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

// child runs this test program again, as a process of its own that can be killed.
func child(args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(os.Args[0], append([]string{"-test.run=^TestChild$", "--", "child"}, args...)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	return c, &out
}

func eventLines(out *bytes.Buffer) []string {
	var lines []string
	for l := range strings.Lines(out.String()) {
		if strings.HasSuffix(l, "\n") {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}

// TestChild is the other process. Without the arguments it does nothing.
func TestChild(t *testing.T) {
	args := flag.Args()
	if len(args) == 0 || args[0] != "child" {
		t.Skip("for child processes only")
	}
	say := func(s string) { fmt.Fprintln(os.Stdout, s) } // one unbuffered write for each line
	fatal := func(err error) {
		if err != nil {
			say("error " + err.Error())
			os.Exit(1)
		}
	}
	path := args[2]
	switch args[1] {
	case "story":
		n, err := strconv.Atoi(args[3])
		fatal(err)
		die := func() {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		l, err := openWith(bg, path, testKey, Head{}, openFaulty(path, step{n, args[4]}, die), newSource())
		fatal(err)
		fatal(story(l, say))
	case "race":
		l, err := Open(bg, path, testKey, Head{})
		fatal(err)
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 8 {
					predicate := fmt.Sprintf("%s-%d-%d", args[3], g, i)
					if i%4 == 3 {
						predicate = fmt.Sprintf("shared-%d-%d", g, i)
					}
					r, err := l.Release(bg, "q"+args[3], countQuery(predicate), func(context.Context) (Exact, error) {
						say("computed " + predicate)
						return Exact{Count: 1 << 35}, nil
					})
					var short *BudgetError
					switch {
					case errors.As(err, &short):
						say("refused " + predicate)
					case err != nil:
						say("error " + err.Error())
					default:
						say(fmt.Sprintf("answer %s %d", predicate, r.Noisy[0]))
					}
				}
			})
		}
		wg.Wait()
	}
	os.Exit(0)
}

// A real process is killed by SIGKILL at every write, sync and cut: before, halfway through and after.
func TestKilledAtEveryStep(t *testing.T) {
	steps := countSteps(t)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, mode := range []string{"before", "half", "after"} {
		for n := 1; n <= steps; n++ {
			l, path := create(t, limitsOf(t, crashLimits[0], crashLimits[1]))
			require.NoError(t, l.Close())
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				c, out := child("story", path, strconv.Itoa(n), mode)
				var exit *exec.ExitError
				if err := c.Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Errorf("step %d %s: %v, not killed: %s", n, mode, err, out)
					return
				}
				verify(t, path, eventLines(out), false)
			})
		}
	}
	wg.Wait()
}

// Four processes with 16 goroutines each ask 512 questions, for 160 of which there is budget; some are killed at random times and
// started again. Never overspent, every answer that was seen is kept, and without kills nothing is wasted on questions of their own.
func TestSeveralProcesses(t *testing.T) {
	for _, kills := range []int{0, 6} {
		t.Run(fmt.Sprint(kills, " kills"), func(t *testing.T) {
			const cap = 160
			l, path := create(t, limitsOf(t, 3, cap/32.0)) // 96 for each querier
			require.NoError(t, l.Close())
			var mu sync.Mutex
			var lines []string
			var wg sync.WaitGroup
			left := make(chan struct{}, kills)
			for range kills {
				left <- struct{}{}
			}
			for p := range 4 {
				wg.Go(func() {
					for again := true; again; {
						again = false
						c, out := child("race", path, strconv.Itoa(p))
						if err := c.Start(); err != nil {
							t.Error(err)
							return
						}
						select {
						case <-left:
							time.Sleep(time.Duration(20+rand.IntN(150)) * time.Millisecond)
							_ = c.Process.Kill()
							again = true
						default:
						}
						_ = c.Wait()
						mu.Lock()
						lines = append(lines, eventLines(out)...)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			computed, seen := 0, map[string]string{}
			for _, line := range lines {
				var what, predicate, noisy string
				_, _ = fmt.Sscan(line, &what, &predicate, &noisy)
				switch what {
				case "computed":
					computed++
				case "answer":
					if have, ok := seen[predicate]; ok {
						require.Equal(t, have, noisy, "one question, two answers")
					}
					seen[predicate] = noisy
				case "error":
					t.Error(line)
				}
			}
			require.LessOrEqual(t, computed, cap)
			require.NotEmpty(t, seen)
			l = open(t, path)
			b, err := l.Remaining(bg, "q0")
			require.NoError(t, err)
			unit := laplaceCost(1 << 18).rho
			global := l.limits.Global.left(b.Global).rho
			require.GreaterOrEqual(t, global, uint64(computed)*unit)
			require.LessOrEqual(t, global, uint64(cap)*unit)
			if kills == 0 {
				require.Equal(t, uint64(computed)*unit, global)
				require.Equal(t, cap, computed, "the cap is used to the last question")
			}
			paid := map[string]bool{}
			for k := range l.paid {
				paid[k.querier] = true
				require.True(t, l.queriers[k.querier].within(l.limits.Querier))
			}
			require.NotEmpty(t, paid)
			// Every answer that somebody saw is stored.
			for predicate, noisy := range seen {
				p, err := countQuery(predicate).Plan()
				require.NoError(t, err)
				a, ok := l.answers[l.keys.question(p.query)]
				require.True(t, ok, predicate)
				require.Equal(t, noisy, strconv.FormatInt(a.noisy[0], 10))
			}
		})
	}
}

// endsInTheQueue is a context that ends when it is asked for the third time how to hear of its end: the turn within the process is the first to ask,
// then the wait for the lock does, each time round. A time limit could be over before that on a busy machine.
type endsInTheQueue struct {
	context.Context
	cancel context.CancelFunc
	asked  int
}

func (c *endsInTheQueue) Done() <-chan struct{} {
	if c.asked++; c.asked == 3 {
		c.cancel()
	}
	return c.Context.Done()
}

// A second process waits for the lock no longer than its context lasts, and a file that was replaced under an open ledger is noticed.
func TestLockAndReplacement(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	other, err := openDisk(path)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, other.Lock(bg))
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	_, err = l.Remaining(&endsInTheQueue{ctx, cancel, 0}, "ann")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, path)
	require.NoError(t, other.Unlock())
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = l.Release(bg, "ann", countQuery("x"), exactly(3))
	require.NoError(t, err)
	head := l.Head()

	// An old copy under the same name, as a new file.
	require.NoError(t, os.Rename(path, path+".kept"))
	require.NoError(t, os.WriteFile(path, old, 0o600))
	_, err = l.Release(bg, "ann", countQuery("y"), never(t))
	require.ErrorIs(t, err, ErrRollback)
	_, err = Open(bg, path, testKey, head)
	require.ErrorIs(t, err, ErrRollback)
	require.ErrorContains(t, err, path)

	// The same written into the open file: shorter, and then as long as it was but different.
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Rename(path+".kept", path))
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, int64(len(old))))
	_, err = l.Remaining(bg, "ann")
	require.ErrorIs(t, err, ErrRollback)
	now[len(now)-1] ^= 1
	require.NoError(t, os.WriteFile(path, now, 0o600))
	_, err = l.Remaining(bg, "ann")
	require.ErrorIs(t, err, ErrRollback)
	now[len(now)-1] ^= 1
	require.NoError(t, os.WriteFile(path, now, 0o600))
	_, err = l.Release(bg, "ann", countQuery("x"), never(t))
	require.NoError(t, err, "put right again")
}
