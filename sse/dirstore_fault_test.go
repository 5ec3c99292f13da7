package sse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// filled yields count pages full of one byte.
func filled(with byte, count int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for range count {
			if !yield(bytes.Repeat([]byte{with}, PageSize), nil) {
				return
			}
		}
	}
}

func openDir(t testing.TB, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	require.NoError(t, err)
	return d
}

var (
	faultPartition = ID{1}
	oldSegment     = ID{2}
	newSegment     = ID{3}
)

// dirBefore is a store with a segment and more heads than it keeps, so that the next swap also removes one.
func dirBefore(t testing.TB, path string) *Dir {
	t.Helper()
	d := openDir(t, path)
	require.NoError(t, d.WriteSegment(context.Background(), faultPartition, oldSegment, filled(1, 2)))
	for v := uint64(1); v <= HeadsKept; v++ {
		require.NoError(t, d.SwapHead(context.Background(), faultPartition, v, fmt.Append(nil, "head ", v)))
	}
	return d
}

// changes are the calls that write, each with a check of the state after it: done, or as it was before.
var changes = map[string]struct {
	do    func(d *Dir) error
	state func(t testing.TB, d *Dir) (done bool)
}{
	"write": {
		func(d *Dir) error {
			return d.WriteSegment(context.Background(), faultPartition, newSegment, filled(2, 150))
		},
		func(t testing.TB, d *Dir) bool {
			got, err := d.Read(context.Background(), faultPartition, []Run{{newSegment, 0, 150}})
			if errors.Is(err, ErrMissing) {
				return false
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(bytes.Repeat([]byte{2}, 150*PageSize), got[0]), "a segment is there whole or not at all")
			return true
		},
	},
	"swap": {
		func(d *Dir) error {
			return d.SwapHead(context.Background(), faultPartition, HeadsKept+1, bytes.Repeat([]byte("new"), 10_000))
		},
		func(t testing.TB, d *Dir) bool {
			blob, latest, err := d.Head(context.Background(), faultPartition, 0)
			require.NoError(t, err)
			if latest == HeadsKept {
				require.Equal(t, fmt.Sprint("head ", HeadsKept), string(blob))
				return false
			}
			require.EqualValues(t, HeadsKept+1, latest)
			require.True(t, bytes.Equal(bytes.Repeat([]byte("new"), 10_000), blob))
			return true
		},
	},
	"delete": {
		func(d *Dir) error { return d.DeleteSegment(context.Background(), faultPartition, oldSegment) },
		func(t testing.TB, d *Dir) bool {
			_, err := d.Read(context.Background(), faultPartition, []Run{{oldSegment, 0, 2}})
			return errors.Is(err, ErrMissing)
		},
	},
}

// requireUntouched checks what no change was about.
func requireUntouched(t testing.TB, d *Dir, name string) {
	t.Helper()
	if name != "delete" {
		got, err := d.Read(context.Background(), faultPartition, []Run{{oldSegment, 0, 2}})
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat([]byte{1}, 2*PageSize), got[0])
	}
	for v := uint64(2); v <= HeadsKept; v++ {
		blob, _, err := d.Head(context.Background(), faultPartition, v)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("head ", v), string(blob))
	}
}

// TestDirFullDisk lets each operation on the disk fail in turn, half of its bytes written, as on a full disk: first that one alone, then all
// from there on.
func TestDirFullDisk(t *testing.T) {
	template := t.TempDir()
	dirBefore(t, template)
	for name, c := range changes {
		for _, from := range []bool{false, true} {
			steps := 0
			for n := 0; ; n++ {
				path := filepath.Join(t.TempDir(), "store")
				require.NoError(t, os.CopyFS(path, os.DirFS(template)))
				d := openDir(t, path)
				count, failed := 0, ""
				d.disk.fault = func(op, path string) error {
					count++
					if count-1 == n || from && count-1 > n {
						if failed == "" {
							failed = op
						}
						return syscall.ENOSPC
					}
					return nil
				}
				err := c.do(d)
				d.disk.fault = nil
				if failed == "" {
					require.NoError(t, err)
					break
				}
				steps++
				what := fmt.Sprintf("%s, step %d (%s) fails, and all later ones: %v", name, n, failed, from)
				done := c.state(t, d)
				requireUntouched(t, d, name)
				if err == nil {
					require.True(t, done, what)
					require.Equal(t, "remove", failed, "%s: only cleaning up may fail unnoticed", what)
				} else {
					require.ErrorIs(t, err, syscall.ENOSPC, what)
					require.Contains(t, err.Error(), path, "%s: the error names the file", what)
				}
				// A segment whose name may not be durable is taken back, if that works. A head is not: others may have seen it.
				if done && err != nil {
					require.Equal(t, "syncdir", failed, what)
					require.True(t, name != "write" || from, what)
				}
				if !done {
					require.NoError(t, c.do(d), "%s: there is room again", what)
				}
				if !from || err == nil {
					require.NoError(t, d.Check(t.Context()), "%s: nothing is left lying", what)
				}
				require.True(t, c.state(t, openDir(t, path)))
				require.NoError(t, d.Check(t.Context()), "%s: what could not be removed is swept", what)
			}
			require.Greater(t, steps, 1, "the faults hit")
		}
	}
}

const killEnv = "VEILCHART_SSE_KILL"

// TestDirKilled kills a process before each of its operations on the disk in turn, with the signal that cannot be caught.
func TestDirKilled(t *testing.T) {
	if job := os.Getenv(killEnv); job != "" {
		args := strings.Split(job, "\x1f")
		at, err := strconv.Atoi(args[2])
		require.NoError(t, err)
		d, err := OpenDir(args[1])
		require.NoError(t, err)
		count := 0
		d.disk.fault = func(op, path string) error {
			if count++; count > at {
				self, err := os.FindProcess(os.Getpid())
				if err == nil {
					err = self.Kill()
				}
				if err == nil {
					select {} // until the signal comes
				}
				return err
			}
			return nil
		}
		require.NoError(t, changes[args[0]].do(d))
		return
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	template := t.TempDir()
	dirBefore(t, template)
	for name, c := range changes {
		before, after := 0, 0
		for n := 0; ; n++ {
			path := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.CopyFS(path, os.DirFS(template)))
			cmd := exec.Command(exe, "-test.run=^TestDirKilled$", "-test.count=1")
			cmd.Env = append(os.Environ(), killEnv+"="+strings.Join([]string{name, path, strconv.Itoa(n)}, "\x1f"))
			out, err := cmd.CombinedOutput()
			if err == nil {
				require.True(t, c.state(t, openDir(t, path)))
				break
			}
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, -1, exit.ExitCode(), "it was killed and did not fail: %s", out)

			d := openDir(t, path) // sweeps
			done := c.state(t, d)
			requireUntouched(t, d, name)
			require.NoError(t, d.Check(t.Context()), "nothing is left lying")
			if done {
				after++
			} else {
				before++
				require.NoError(t, c.do(d), "no lock is left, and the ID is free")
			}
			require.True(t, c.state(t, openDir(t, path)))
		}
		require.Positive(t, before, name)
		require.Positive(t, after, name)
	}
}

// TestDirSweepLeavesTheLiving opens the store while another process, played by another Dir, writes to it.
func TestDirSweepLeavesTheLiving(t *testing.T) {
	path := t.TempDir()
	d := dirBefore(t, path)
	require.NoError(t, os.WriteFile(d.partition(faultPartition, tmpDir, newSegment.String()+tmpExt), []byte("left by the dead"), 0o600))
	err := d.Check(t.Context())
	require.ErrorContains(t, err, newSegment.String()+tmpExt)
	require.ErrorContains(t, err, "half written")
	require.NoError(t, d.WriteSegment(t.Context(), faultPartition, newSegment, func(yield func([]byte, error) bool) {
		for n := range 200 {
			if !yield(bytes.Repeat([]byte{2}, PageSize), nil) {
				return
			}
			if n == 100 {
				other := openDir(t, path)
				assert.NoError(t, other.Check(t.Context()), "the file of the living is no fault")
				entries, err := readDir(d.partition(faultPartition, tmpDir))
				assert.NoError(t, err)
				assert.Len(t, entries, 1, "the file of the dead is gone")
			}
		}
	}))
	got, err := d.Read(t.Context(), faultPartition, []Run{{newSegment, 0, 200}})
	require.NoError(t, err)
	require.True(t, bytes.Equal(bytes.Repeat([]byte{2}, 200*PageSize), got[0]))
}

// TestDirLockWaits: a caller whose context ends while another process has the lock returns, and the lock works afterwards.
func TestDirLockWaits(t *testing.T) {
	d := dirBefore(t, t.TempDir())
	release, err := lockPath(d.partition(faultPartition, lockName))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 { // one waits for the file, one for the other
		go func() { ended <- d.SwapHead(ctx, faultPartition, HeadsKept+1, []byte("late")) }()
	}
	select {
	case err := <-ended:
		require.Fail(t, "nobody waits for the lock", "%v", err)
	default:
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.ErrorIs(t, <-ended, context.Canceled)
	release()
	require.False(t, changes["swap"].state(t, d))
	require.NoError(t, changes["swap"].do(d))
}

// TestDirLockReplaced removes the lock file while others wait for it. Whoever then believes that he has the lock must have that of the
// file that is there now.
func TestDirLockReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockName)
	for range 30 {
		first, err := lockPath(path)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				release, err := lockPath(path)
				if !assert.NoError(t, err) {
					return
				}
				defer release()
				present, err := os.OpenFile(path, os.O_RDWR, 0)
				if !assert.NoError(t, err) {
					return
				}
				defer present.Close()
				free, err := tryLockFile(present)
				assert.NoError(t, err)
				assert.False(t, free)
			})
		}
		runtime.Gosched()
		assert.NoError(t, os.Remove(path))
		first()
		wg.Wait()
	}
}

// TestDirOrder: contents are durable before they get their name, and the name before the call returns. No kill of a process can show
// that, only a failing machine.
func TestDirOrder(t *testing.T) {
	for name, want := range map[string]string{
		"write":  "create write write write write sync rename syncdir",
		"swap":   "create write sync rename syncdir remove",
		"delete": "remove syncdir",
	} {
		d := dirBefore(t, t.TempDir())
		var ops []string
		d.disk.fault = func(op, path string) error {
			ops = append(ops, op)
			return nil
		}
		require.NoError(t, changes[name].do(d))
		assert.Equal(t, want, strings.Join(ops, " "), name)
	}
	d := openDir(t, t.TempDir())
	var ops []string
	d.disk.fault = func(op, path string) error {
		ops = append(ops, op)
		return nil
	}
	require.NoError(t, changes["write"].do(d))
	assert.True(t, strings.HasPrefix(strings.Join(ops, " "), "mkdir syncdir mkdir syncdir mkdir syncdir create"), "new folders are durable: %v", ops)
}
