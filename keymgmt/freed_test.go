//go:build unix

package keymgmt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// witness keeps a hard link to every file that ever had a name of the root file. The links stand in for the blocks of
// files that were unlinked: what they hold when all is over is what a look at the raw disk finds.
type witness struct {
	dir  string
	root string
}

// look is called at every step on the disk, and before and after a process works.
func (w witness) look() error {
	paths, err := filepath.Glob(w.root + "*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		inode := info.Sys().(*syscall.Stat_t).Ino
		if err := os.Link(path, filepath.Join(w.dir, fmt.Sprint(inode))); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// rootKeys is what the blocks give to who has the wrapper: every part of them that can be unwrapped, wherever it begins.
func (w witness) rootKeys(t *testing.T, wrapper Wrapper, ring ringID) [][]byte {
	paths, err := filepath.Glob(filepath.Join(w.dir, "*"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 4, "creating, settled, both keys, settled again")
	var keys [][]byte
	for _, path := range paths {
		b := readFile(t, path)
		for i := range max(0, len(b)-4) {
			n := int64(binary.BigEndian.Uint32(b[i:]))
			if n == 0 || n > int64(len(b)-i-4) {
				continue
			}
			for epoch := range uint64(8) {
				if key, err := wrapper.Unwrap(context.Background(), b[i+4:][:n], rootName(ring, epoch)); err == nil {
					keys = append(keys, key.ExposeSecret())
				}
			}
		}
	}
	return keys
}

// attackFreedBlocks tries what the present root file and all blocks of earlier ones give on copies of the ring. The
// key a/doomed must not come back; the ring's living keys must, which shows that the attack works.
func attackFreedBlocks(t *testing.T, seen witness, f Files, w Wrapper, other []byte, rings ...[]byte) {
	t.Helper()
	a := newAttacker(t, append(rings, readFile(t, f.Ring))...)
	keys := seen.rootKeys(t, w, a.ring)
	require.NotEmpty(t, keys, "the present root file is among them")
	a.learn(rootKeyOf(t, f, w))
	a.learn(keys...)
	require.Equal(t, other, a.found["a/other#1"])
	require.NotContains(t, a.found, "a/doomed#1", "the destroyed key came back from freed blocks")
}

// watchedRing is a ring with the keys a/doomed and a/other; every step since before it was made is seen.
func watchedRing(t *testing.T) (r *Keyring, w Wrapper, seen witness, other []byte) {
	dir := t.TempDir()
	w, err := CreateKeyFile(filepath.Join(dir, "kek"))
	require.NoError(t, err)
	f := FilesIn(dir)
	seen = witness{t.TempDir(), f.Root}
	r = newKeyring(f, w, Options{})
	r.disk.fault = func(string, string) error { return seen.look() }
	r, err = r.create(context.Background())
	require.NoError(t, err)
	require.NoError(t, seen.look())
	require.NoError(t, r.GenerateMany(context.Background(), []string{"a/doomed", "a/other"}))
	return r, w, seen, exposed(t, r, "a/other")
}

// TestFreedBlocksAfterKill kills a real process before each step of a destruction. A handle that was open all the time,
// or a new one, then has the receipt: from that moment no block of any earlier root file may give the key back.
func TestFreedBlocksAfterKill(t *testing.T) {
	ctx := context.Background()
	for i, links := range []string{"links", "links", "no links", "no links"} {
		finished := false
		for n := 0; !finished; n++ {
			require.Less(t, n, 100)
			r, w, seen, other := watchedRing(t)
			old := readFile(t, r.files.Ring)
			err := childCommand(t, "destroy", filepath.Dir(r.files.Ring), fmt.Sprint(n), seen.dir, links).Run()
			finished = err == nil
			require.True(t, finished || killed(err), "step %d: %v", n, err)
			require.NoError(t, seen.look())
			crashed := readFile(t, r.files.Ring)
			if i%2 == 0 {
				watch := r.disk.fault
				r = newKeyring(r.files, w, Options{})
				r.disk.fault = watch
				_, err := r.open(ctx)
				require.NoError(t, err)
			}
			r.disk.noLinks = links == "no links"
			if _, err := r.Destroy(ctx, "a/doomed", Destruction{}); err != nil {
				require.ErrorIs(t, err, ErrDestroyed)
			}
			require.NoError(t, seen.look())
			attackFreedBlocks(t, seen, r.files, w, other, old, crashed)
			tidy(t, r.files)
		}
	}
}

// tidy: nothing is left beside the files that belong there.
func tidy(t *testing.T, f Files) {
	t.Helper()
	everyFile(t, f, func(path string, _ []byte) {
		require.Contains(t, []string{"ring", "ring.lock", "root", ".nobackup", "kek"}, filepath.Base(path))
	})
}

type death struct{}

// live runs work on a new handle of the ring until its n-th step on the disk, where it ends as a killed process does: no
// code of the package that could clean up runs. It reports whether it got to the end.
func live(t *testing.T, f Files, w Wrapper, noLinks bool, seen witness, n int, work func(r *Keyring)) (finished bool) {
	t.Helper()
	r := newKeyring(f, w, Options{})
	r.disk.noLinks = noLinks
	durable := false // the names in the root file's folder, as far as this process knows
	r.disk.fault = func(step, path string) error {
		require.NoError(t, seen.look())
		if n--; n < 0 {
			panic(death{})
		}
		if filepath.Dir(path) == filepath.Dir(f.Root) {
			if step == "overwrite" && path == aside(f.Root) || step == "rename" {
				missing, err := isMissing(aside(f.Root))
				require.NoError(t, err)
				require.True(t, durable || missing, "%s before the names of old and new are durable: a power failure would lose both", step)
			}
			durable = step == "syncdir" || durable && (step == "create" || step == "write" || step == "sync" || step == "overwrite")
		}
		return nil
	}
	defer func() {
		require.NoError(t, seen.look())
		if p := recover(); p != nil {
			require.Equal(t, death{}, p)
		}
	}()
	_, err := r.open(context.Background())
	require.NoError(t, err)
	work(r)
	return true
}

// TestFreedBlocksAfterTwoCrashes: killed in a destruction or rewrapping, then in what recovers from it, then no more.
func TestFreedBlocksAfterTwoCrashes(t *testing.T) {
	ctx := context.Background()
	works := map[string]func(r *Keyring){
		"destroy": func(r *Keyring) {
			if _, err := r.Destroy(ctx, "a/doomed", Destruction{}); err != nil {
				require.ErrorIs(t, err, ErrDestroyed)
			}
		},
		"rewrap": func(r *Keyring) { require.NoError(t, r.Rewrap(ctx, r.wrapper)) },
	}
	stride := 9
	if testing.Short() {
		stride = 25
	}
	runs := 0
	for what, work := range works {
		for _, noLinks := range []bool{false, true} {
			finished := false
			for n := 0; !finished; n++ {
				again := false
				for m := n % stride; !again; m += stride {
					require.Less(t, n+m, 200)
					r, w, seen, other := watchedRing(t)
					old := readFile(t, r.files.Ring)
					require.NoError(t, r.Close())
					finished = live(t, r.files, w, noLinks, seen, n, work)
					crashed := readFile(t, r.files.Ring)
					again = live(t, r.files, w, noLinks, seen, m, work)
					twice := readFile(t, r.files.Ring)
					require.True(t, live(t, r.files, w, noLinks, seen, 1000, works["destroy"]))
					attackFreedBlocks(t, seen, r.files, w, other, old, crashed, twice)
					tidy(t, r.files)
					runs++
				}
			}
		}
		t.Log(what, runs)
	}
	require.Greater(t, runs, 80)
}

// TestEraseThatFails: as long as the old root key cannot be overwritten there is no receipt, neither from the handle nor
// from a new one, and the old root file keeps its name.
func TestEraseThatFails(t *testing.T) {
	ctx := context.Background()
	for _, noLinks := range []bool{false, true} {
		r, w, seen, other := watchedRing(t)
		r.disk.noLinks = noLinks
		old := readFile(t, r.files.Ring)
		watch, bad := r.disk.fault, 0
		r.disk.fault = func(step, path string) error {
			if step == "overwrite" && path == aside(r.files.Root) {
				if bad++; bad > 1 { // the root file with both keys is the second one that goes
					return syscall.EIO
				}
			}
			return watch(step, path)
		}
		receipt, err := r.Destroy(ctx, "a/doomed", Destruction{})
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, "not erased yet")
		require.NotContains(t, err.Error(), "nothing is lost")
		require.Nil(t, receipt)
		receipt, err = r.Destroy(ctx, "a/doomed", Destruction{})
		require.ErrorIs(t, err, syscall.EIO)
		require.ErrorContains(t, err, "erasing the old root file")
		require.Nil(t, receipt)
		h := newKeyring(r.files, w, Options{})
		h.disk.fault = r.disk.fault
		_, err = h.open(ctx)
		require.ErrorIs(t, err, syscall.EIO)
		_, err = decodeRoot(readFile(t, aside(r.files.Root)))
		require.NoError(t, err, "it is still there, and has a name")

		r.disk.fault = watch // repaired
		receipt, err = r.Destroy(ctx, "a/doomed", Destruction{})
		require.ErrorIs(t, err, ErrDestroyed)
		require.Equal(t, "a/doomed", receipt.Name)
		attackFreedBlocks(t, seen, r.files, w, other, old)
		tidy(t, r.files)
	}
}
