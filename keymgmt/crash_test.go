//go:build unix

package keymgmt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The crash tests run this test binary again as a child that changes a ring and is killed with SIGKILL.
const childEnv = "KEYMGMT_TEST_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := runChild(job, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild is what a child does. Every line on stdout is one change that has returned.
func runChild(job string, args []string) error {
	ctx := context.Background()
	dir := args[0]
	w, err := OpenKeyFile(filepath.Join(dir, "kek"))
	if err != nil {
		return err
	}
	// dieAt kills this process at its n-th step of a change.
	dieAt := func(r *Keyring, n int) {
		r.disk.fault = func(string, string) error {
			if len(args) > 3 {
				r.disk.noLinks = args[3] == "no links"
				if err := (witness{args[2], r.files.Root}).look(); err != nil {
					return err
				}
			}
			if n--; n < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}
	}
	var at int
	if len(args) > 1 {
		if _, err := fmt.Sscan(args[1], &at); err != nil {
			return err
		}
	}
	if job == "create" {
		r := newKeyring(FilesIn(dir), w, Options{})
		dieAt(r, at)
		_, err := r.create(ctx)
		return err
	}
	r, err := OpenKeyring(ctx, FilesIn(dir), w, Options{})
	if err != nil {
		return err
	}
	switch job {
	case "destroy":
		dieAt(r, at)
		_, err = r.Destroy(ctx, "a/doomed", Destruction{})
	case "generate":
		dieAt(r, at)
		_, err = r.Generate(ctx, "a/new")
	case "loop": // until killed: make, rotate, destroy
		for i := 0; ; i++ {
			name := fmt.Sprintf("loop/%s/%d", args[1], i)
			if _, err := r.Generate(ctx, name); err != nil {
				return err
			}
			fmt.Println("made", name)
			if i%3 == 1 {
				if _, err := r.Destroy(ctx, name, Destruction{}); err != nil {
					return err
				}
				fmt.Println("gone", name)
			}
		}
	case "many": // a number of keys, beside another process that does the same
		for i := range 25 {
			if _, err := r.Generate(ctx, fmt.Sprintf("many/%s/%d", args[1], i)); err != nil {
				return err
			}
			if i%5 == 4 {
				if _, err := r.Destroy(ctx, fmt.Sprintf("many/%s/%d", args[1], i-2), Destruction{}); err != nil {
					return err
				}
			}
		}
	}
	return err
}

func childCommand(t *testing.T, job string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+job)
	cmd.Stderr = os.Stderr
	return cmd
}

// crashRing is a ring for children: keys a/doomed and a/other.
func crashRing(t *testing.T) (dir string, w Wrapper, doomed, other []byte) {
	ctx := context.Background()
	dir = t.TempDir()
	w, err := CreateKeyFile(filepath.Join(dir, "kek"))
	require.NoError(t, err)
	r, err := CreateKeyring(ctx, FilesIn(dir), w, Options{})
	require.NoError(t, err)
	require.NoError(t, r.GenerateMany(ctx, []string{"a/doomed", "a/other"}))
	return dir, w, exposed(t, r, "a/doomed"), exposed(t, r, "a/other")
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func copyDir(t *testing.T, from string) string {
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	require.NoError(t, filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			return os.Chmod(path, 0o600)
		}
		return err
	}))
	return to
}

// TestKilledAtEveryStepOfDestroy kills a real process before each step that a destruction takes on the disk.
func TestKilledAtEveryStepOfDestroy(t *testing.T) {
	ctx := context.Background()
	origin, w, doomed, other := crashRing(t)
	rolledBack, completed, finished := 0, 0, false
	for n := 0; !finished; n++ {
		require.Less(t, n, 100)
		dir := copyDir(t, origin)
		err := childCommand(t, "destroy", dir, fmt.Sprint(n)).Run()
		finished = err == nil
		require.True(t, finished || killed(err), "step %d: %v", n, err)
		crashedRing, crashedRoot := readFile(t, FilesIn(dir).Ring), readFile(t, FilesIn(dir).Root)

		r := reopen(t, FilesIn(dir), w)
		require.Equal(t, other, exposed(t, r, "a/other"))
		root, err := decodeRoot(readFile(t, r.files.Root))
		require.NoError(t, err)
		require.Equal(t, rootSettled, root.state, "after opening, one root key is left")
		everyFile(t, r.files, func(path string, _ []byte) { require.NotContains(t, path, ".tmp") })
		if k, err := r.Get(ctx, "a/doomed"); err == nil {
			require.False(t, finished)
			require.Equal(t, doomed, k.Secret.ExposeSecret())
			require.Equal(t, uint64(1), root.slots[0].epoch)
			rolledBack++
			_, err = r.Destroy(ctx, "a/doomed", Destruction{})
			require.NoError(t, err, "it can be done again")
		} else {
			require.ErrorIs(t, err, ErrDestroyed)
			require.Equal(t, uint64(2), root.slots[0].epoch)
			completed++
		}
		receipt, err := r.Destroy(ctx, "a/doomed", Destruction{})
		require.ErrorIs(t, err, ErrDestroyed)
		require.Equal(t, "a/doomed", receipt.Name, "the receipt is not lost with the process")
		require.Equal(t, other, exposed(t, r, "a/other"))

		a := newAttacker(t, readFile(t, FilesIn(origin).Ring), crashedRing, readFile(t, r.files.Ring))
		a.learn(rootKeyOf(t, r.files, w))
		require.NotContains(t, a.found, "a/doomed#1")
		require.NotEmpty(t, crashedRoot)
	}
	require.GreaterOrEqual(t, rolledBack, 7)
	require.GreaterOrEqual(t, completed, 7)
}

func TestKilledAtEveryStepOfGenerate(t *testing.T) {
	origin, w, doomed, other := crashRing(t)
	old, fresh, finished := 0, 0, false
	for n := 0; !finished; n++ {
		require.Less(t, n, 100)
		dir := copyDir(t, origin)
		err := childCommand(t, "generate", dir, fmt.Sprint(n)).Run()
		finished = err == nil
		require.True(t, finished || killed(err), "step %d: %v", n, err)
		r := reopen(t, FilesIn(dir), w)
		require.Equal(t, other, exposed(t, r, "a/other"))
		require.Equal(t, doomed, exposed(t, r, "a/doomed"))
		if _, err := r.Get(context.Background(), "a/new"); err == nil {
			fresh++
		} else {
			require.ErrorIs(t, err, ErrNotFound)
			require.False(t, finished)
			old++
		}
	}
	require.NotZero(t, old)
	require.GreaterOrEqual(t, fresh, 2)
}

func TestKilledAtEveryStepOfCreate(t *testing.T) {
	ctx := context.Background()
	finished := false
	for n := 0; !finished; n++ {
		require.Less(t, n, 100)
		dir := t.TempDir()
		w, err := CreateKeyFile(filepath.Join(dir, "kek"))
		require.NoError(t, err)
		err = childCommand(t, "create", dir, fmt.Sprint(n)).Run()
		finished = err == nil
		require.True(t, finished || killed(err), "step %d: %v", n, err)
		// A program that opens or creates goes on in every case.
		r, err := OpenKeyring(ctx, FilesIn(dir), w, Options{})
		if errors.Is(err, os.ErrNotExist) {
			require.False(t, finished)
			r, err = CreateKeyring(ctx, FilesIn(dir), w, Options{})
		}
		require.NoError(t, err, "step %d", n)
		_, err = r.Generate(ctx, "a/1")
		require.NoError(t, err)
		reopen(t, FilesIn(dir), w)
	}
}

// TestKilledInALoop kills a process at moments of chance: what it reported as done is done.
func TestKilledInALoop(t *testing.T) {
	ctx := context.Background()
	dir, w, _, other := crashRing(t)
	want := map[string]bool{} // name: alive
	for round := range 12 {
		cmd := childCommand(t, "loop", dir, fmt.Sprint(round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		wait := time.Duration(rand.Int64N(int64(60 * time.Millisecond)))
		var last string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			what, name, ok := strings.Cut(lines.Text(), " ")
			require.True(t, ok)
			want[name] = what == "made"
			if last == "" { // let it work before the end
				time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
			}
			last = name
		}
		require.True(t, killed(cmd.Wait()))
		require.NotEmpty(t, last)

		r := reopen(t, FilesIn(dir), w)
		require.Equal(t, other, exposed(t, r, "a/other"))
		for name, alive := range want {
			_, err := r.Get(ctx, name)
			switch {
			case alive && name == last && errors.Is(err, ErrDestroyed): // destroyed, and killed before it could say so
			case alive:
				require.NoError(t, err, name)
			default:
				require.ErrorIs(t, err, ErrDestroyed, name)
			}
			want[name] = err == nil
		}
		everyFile(t, r.files, func(path string, _ []byte) { require.NotContains(t, path, ".tmp") })
	}
	require.GreaterOrEqual(t, len(want), 12, "each round made a key before it was killed, however slow the disk is")
}

// TestTwoProcessesWriting: neither loses the other's keys or destructions.
func TestTwoProcessesWriting(t *testing.T) {
	ctx := context.Background()
	dir, w, _, _ := crashRing(t)
	var cmds []*exec.Cmd
	for p := range 3 {
		cmd := childCommand(t, "many", dir, fmt.Sprint(p))
		require.NoError(t, cmd.Start())
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		require.NoError(t, cmd.Wait())
	}
	r := reopen(t, FilesIn(dir), w)
	for p := range 3 {
		for i := range 25 {
			_, err := r.Get(ctx, fmt.Sprintf("many/%d/%d", p, i))
			if i%5 == 2 {
				require.ErrorIs(t, err, ErrDestroyed)
			} else {
				require.NoError(t, err)
			}
		}
	}
	version, err := r.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(2+3*30), version, "every change is one version")
}

// TestFaultAtEveryStep lets each step on the disk fail once, as a full or broken disk does.
func TestFaultAtEveryStep(t *testing.T) {
	ctx := context.Background()
	changes := map[string]func(r *Keyring) error{
		"generate": func(r *Keyring) error { _, err := r.Generate(ctx, "a/new"); return err },
		"many":     func(r *Keyring) error { return r.GenerateMany(ctx, []string{"a/new", "b/new"}) },
		"rotate":   func(r *Keyring) error { _, err := r.Rotate(ctx, "a/other", nil); return err },
		"disable":  func(r *Keyring) error { return r.Disable(ctx, "a/doomed", 1) },
		"destroy":  func(r *Keyring) error { _, err := r.Destroy(ctx, "a/doomed", Destruction{}); return err },
		"rewrap":   func(r *Keyring) error { return r.Rewrap(ctx, r.wrapper) },
	}
	for what, change := range changes {
		for n := 0; ; n++ {
			require.Less(t, n, 100)
			r, w := newRing(t)
			require.NoError(t, r.GenerateMany(ctx, []string{"a/doomed", "a/other"}))
			doomed, other := exposed(t, r, "a/doomed"), exposed(t, r, "a/other")
			left, steps := n, 0
			r.disk.fault = func(string, string) error {
				steps++
				if left--; left == -1 {
					return syscall.ENOSPC
				}
				return nil
			}
			err := change(r)
			r.disk.fault = nil
			if err == nil {
				require.Equal(t, n, steps, "%s: a fault was swallowed", what)
				break
			}
			require.ErrorIs(t, err, syscall.ENOSPC, "%s, step %d", what, n)
			// The same handle goes on, and so does another one.
			for _, h := range []*Keyring{r, reopen(t, r.files, w)} {
				k, err := h.GetVersion(ctx, "a/other", 1)
				require.NoError(t, err, "%s, step %d", what, n)
				require.Equal(t, other, k.Secret.ExposeSecret())
				if k, err := h.Get(ctx, "a/doomed"); err == nil {
					require.Equal(t, doomed, k.Secret.ExposeSecret())
				} else {
					require.True(t, what == "destroy" && errors.Is(err, ErrDestroyed) || what == "disable" && errors.Is(err, ErrDisabled), "%v", err)
				}
				_, err = h.Rotate(ctx, "a/other", nil)
				require.NoError(t, err, "%s, step %d", what, n)
			}
			root, err := decodeRoot(readFile(t, r.files.Root))
			require.NoError(t, err)
			require.Equal(t, rootSettled, root.state)
		}
	}
}

// TestFullDisk fills a real, small file system.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	ctx := context.Background()
	w := testWrapper()
	r, err := CreateKeyring(ctx, FilesIn(dir), w, Options{})
	require.NoError(t, err)
	k, err := r.Generate(ctx, "a/1")
	require.NoError(t, err)
	ring, root := readFile(t, r.files.Ring), readFile(t, r.files.Root)
	_, err = r.Put(ctx, "a/large", GenerateSecret(MaxSecretSize))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, r.files.Ring)
	require.Equal(t, ring, readFile(t, r.files.Ring))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "filler"), nil, 0o600))
	filler, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_WRONLY, 0)
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.NoError(t, filler.Close())
	_, err = r.Destroy(ctx, "a/1", Destruction{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, ring, readFile(t, r.files.Ring))
	require.Equal(t, root, readFile(t, r.files.Root))
	require.Equal(t, k.Secret.ExposeSecret(), exposed(t, r, "a/1"))
	require.Equal(t, k.Secret.ExposeSecret(), exposed(t, reopen(t, r.files, w), "a/1"))
	require.NoError(t, os.Remove(filepath.Join(dir, "filler")))
	_, err = r.Destroy(ctx, "a/1", Destruction{})
	require.NoError(t, err)
}
