package keymgmt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// oldRing is a ring after a destruction, and its root file from before.
func oldRing(t *testing.T) (*Keyring, Wrapper, []byte) {
	ctx := context.Background()
	r, w := newRing(t)
	require.NoError(t, r.GenerateMany(ctx, []string{"a/1", "a/2"}))
	before := readFile(t, r.files.Root)
	_, err := r.Destroy(ctx, "a/1", Destruction{})
	require.NoError(t, err)
	return r, w, before
}

func gone(t *testing.T, path string) {
	t.Helper()
	missing, err := isMissing(path)
	require.NoError(t, err)
	require.True(t, missing, "%s is still there", path)
}

// TestOldRootFileFound: whatever an interrupted change can have left under <root>.old is erased by opening and by every
// change of a handle that was open, and what cannot be from there is refused and kept.
func TestOldRootFileFound(t *testing.T) {
	ctx := context.Background()
	r, w, before := oldRing(t)
	root, old := readFile(t, r.files.Root), aside(r.files.Root)
	link := filepath.Join(t.TempDir(), "link")
	half := bytes.Clone(before)
	clear(half[:len(half)/2])
	ours := map[string][]byte{
		"whole": before, "truncated": before[:len(before)/2], "cut in the header": before[:3], "empty": {}, "half erased": half,
		"erased": make([]byte, len(before)), "damaged": append(bytes.Clone(before), 1), "a copy of the present one": root,
	}
	for what, b := range ours {
		for how, use := range map[string]func() error{
			"open":     func() error { _, err := OpenKeyring(ctx, r.files, w, Options{}); return err },
			"generate": func() error { _, err := r.Rotate(ctx, "a/2", nil); return err },
			"destroy again": func() error {
				_, err := r.Destroy(ctx, "a/1", Destruction{})
				if errors.Is(err, ErrDestroyed) {
					return nil
				}
				return err
			},
		} {
			require.NoError(t, os.WriteFile(old, b, 0o600))
			_ = os.Remove(link)
			require.NoError(t, linkFile(old, link))
			require.NoError(t, use(), "%s, %s", what, how)
			gone(t, old)
			require.Equal(t, make([]byte, len(b)), append([]byte{}, readFile(t, link)...), "%s, %s: overwritten", what, how)
			require.Equal(t, root, readFile(t, r.files.Root))
		}
	}

	foreign := map[string][]byte{
		"a key file": encodeKeyFile(GenerateSecret(keySize).ExposeSecret()), "a text": []byte("my notes"), "large": append(bytes.Clone(before), make([]byte, maxRootFile)...),
	}
	for what, b := range foreign {
		require.NoError(t, os.WriteFile(old, b, 0o600))
		_, err := OpenKeyring(ctx, r.files, w, Options{})
		require.ErrorContains(t, err, old, what)
		require.ErrorContains(t, err, "move it elsewhere", what)
		_, err = r.Generate(ctx, "a/3")
		require.ErrorContains(t, err, old, what)
		require.Equal(t, b, readFile(t, old), "%s is not touched", what)
	}
	require.NoError(t, os.Remove(old))
	require.NoError(t, os.Mkdir(old, 0o700))
	_, err := OpenKeyring(ctx, r.files, w, Options{})
	require.ErrorContains(t, err, "move it elsewhere")
	require.NoError(t, os.Remove(old))
	if os.Symlink(r.files.Root, old) == nil {
		_, err = OpenKeyring(ctx, r.files, w, Options{})
		require.ErrorContains(t, err, "move it elsewhere")
		require.Equal(t, root, readFile(t, r.files.Root), "what it points to is not touched")
		require.NoError(t, os.Remove(old))
	}
	_, err = r.Generate(ctx, "a/3")
	require.NoError(t, err)
}

// TestTwoNamesOfThePresentRootFile: killed between the link and the rename, both names are the file that counts.
func TestTwoNamesOfThePresentRootFile(t *testing.T) {
	r, w, _ := oldRing(t)
	root := readFile(t, r.files.Root)
	require.NoError(t, linkFile(r.files.Root, aside(r.files.Root)))
	reopen(t, r.files, w)
	gone(t, aside(r.files.Root))
	require.Equal(t, root, readFile(t, r.files.Root))

	// On a file system that does not tell that they are one file, overwriting the one would overwrite the other.
	require.NoError(t, linkFile(r.files.Root, aside(r.files.Root)))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, linkFile(r.files.Root, link))
	h := newKeyring(r.files, w, Options{})
	h.disk.noInodes = true
	_, err := h.open(context.Background())
	require.NoError(t, err)
	gone(t, aside(r.files.Root))
	require.Equal(t, root, readFile(t, r.files.Root))
	require.Equal(t, make([]byte, len(root)), readFile(t, link))
}

// TestRootFileMovedAside: killed between the two renames, where there are no hard links.
func TestRootFileMovedAside(t *testing.T) {
	ctx := context.Background()
	r, w, before := oldRing(t)
	root := readFile(t, r.files.Root)
	require.NoError(t, os.Rename(r.files.Root, aside(r.files.Root)))
	require.NoError(t, os.WriteFile(temporary(r.files.Root), before, 0o600))
	reopen(t, r.files, w)
	gone(t, aside(r.files.Root))
	gone(t, temporary(r.files.Root))
	require.Equal(t, root, readFile(t, r.files.Root))

	require.NoError(t, os.Rename(r.files.Root, aside(r.files.Root)))
	_, err := r.Generate(ctx, "a/3")
	require.NoError(t, err)
	require.Equal(t, root, readFile(t, r.files.Root))

	// Its ring was lost as well: the last copy of the root key is not overwritten by a new ring.
	require.NoError(t, os.Rename(r.files.Root, aside(r.files.Root)))
	require.NoError(t, os.Remove(r.files.Ring))
	_, err = CreateKeyring(ctx, r.files, w, Options{})
	require.ErrorIs(t, err, ErrExists)
	require.Equal(t, root, readFile(t, r.files.Root))
}

// TestRefusedRingErasesNothing: the old root file goes only when the present one has opened the ring.
func TestRefusedRingErasesNothing(t *testing.T) {
	ctx := context.Background()
	r, w, before := oldRing(t)
	root := readFile(t, r.files.Root)
	require.NoError(t, os.WriteFile(aside(r.files.Root), before, 0o600))
	refused := func(w Wrapper, want error) {
		t.Helper()
		_, err := OpenKeyring(ctx, r.files, w, Options{})
		require.ErrorIs(t, err, want)
		require.Equal(t, before, readFile(t, aside(r.files.Root)))
	}
	refused(testWrapper(), ErrWrongKey)
	require.NoError(t, os.WriteFile(r.files.Root, root[:40], 0o600))
	refused(w, ErrDamaged)
	require.NoError(t, os.WriteFile(r.files.Root, root, 0o644))
	require.NoError(t, os.Chmod(r.files.Root, 0o644))
	if hasModes {
		refused(w, ErrPermissions)
	}
	require.NoError(t, os.Chmod(r.files.Root, 0o600))
	reopen(t, r.files, w)
	gone(t, aside(r.files.Root))
}

// TestTemporaryRootFileIsErased: it holds wrapped root keys. A handle that was open all the time must not truncate it,
// which would free the blocks as they are.
func TestTemporaryRootFileIsErased(t *testing.T) {
	ctx := context.Background()
	r, w, before := oldRing(t)
	for i, use := range []func() error{
		func() error {
			b := []byte("new")
			if err := (&disk{}).writeTemporary(r.files.Root, b); err != nil {
				return err
			}
			require.Equal(t, b, readFile(t, temporary(r.files.Root)))
			return os.Remove(temporary(r.files.Root))
		},
		func() error { _, err := OpenKeyring(ctx, r.files, w, Options{}); return err },
		func() error { _, err := r.Generate(ctx, "a/3"); return err },
		func() error { _, err := r.Destroy(ctx, "a/2", Destruction{}); return err },
		func() error { return r.Rewrap(ctx, w) },
	} {
		link := filepath.Join(t.TempDir(), fmt.Sprint(i))
		require.NoError(t, os.WriteFile(temporary(r.files.Root), before, 0o600))
		require.NoError(t, linkFile(temporary(r.files.Root), link))
		require.NoError(t, use())
		gone(t, temporary(r.files.Root))
		require.Equal(t, make([]byte, len(before)), readFile(t, link))
	}
}

// TestRewrapFailsAtEveryStep: the same handle goes on with the wrapper that counts, and only that one opens the ring.
func TestRewrapFailsAtEveryStep(t *testing.T) {
	ctx := context.Background()
	full := errors.New("disk is full")
	undone, done := 0, 0
	for n := 0; ; n++ {
		require.Less(t, n, 100)
		r, first := newRing(t)
		second := testWrapper()
		_, err := r.Generate(ctx, "a/1")
		require.NoError(t, err)
		key := exposed(t, r, "a/1")
		left := n
		r.disk.fault = func(string, string) error {
			if left--; left == -1 {
				return full
			}
			return nil
		}
		err = r.Rewrap(ctx, second)
		r.disk.fault = nil
		finished := err == nil
		if !finished {
			require.ErrorIs(t, err, full)
		}
		require.Equal(t, key, exposed(t, r, "a/1"), "step %d", n)
		_, err = r.Generate(ctx, "a/2")
		require.NoError(t, err, "step %d", n)
		_, errFirst := OpenKeyring(ctx, r.files, first, Options{})
		_, errSecond := OpenKeyring(ctx, r.files, second, Options{})
		if errFirst == nil {
			require.ErrorIs(t, errSecond, ErrWrongKey)
			undone++
		} else {
			require.ErrorIs(t, errFirst, ErrWrongKey)
			require.NoError(t, errSecond)
			done++
		}
		require.NoError(t, r.Rewrap(ctx, second), "and the call can be made again")
		reopen(t, r.files, second)
		if finished {
			break
		}
	}
	require.Greater(t, undone, 10)
	require.Greater(t, done, 10)
}

// TestFoldersAreDurable: the name of every folder that CreateKeyring makes is synced before the ring is written, also
// when it was made by a CreateKeyring that did not get so far.
func TestFoldersAreDurable(t *testing.T) {
	ctx := context.Background()
	base := t.TempDir()
	f := FilesIn(filepath.Join(base, "ward", "data", "keys"))
	folders := []string{"ward", "ward/data", "ward/data/keys", "ward/data/keys/root.nobackup"}
	for n := range 8 {
		require.NoError(t, os.RemoveAll(filepath.Join(base, "ward")))
		lost := map[string]bool{} // what a power failure would take
		create := func(left int) error {
			r := newKeyring(f, testWrapper(), Options{})
			r.disk.fault = func(step, path string) error {
				for _, folder := range folders {
					missing, err := isMissing(filepath.Join(base, folder))
					require.NoError(t, err)
					if _, seen := lost[folder]; !missing && !seen {
						lost[folder] = true
					}
				}
				if left--; left < 0 {
					return errors.New("stopped")
				}
				if step == "create" {
					for folder, would := range lost {
						require.False(t, would, "%s is not synced", folder)
					}
					require.Len(t, lost, len(folders))
				}
				if step == "syncdir" {
					for folder := range lost {
						if filepath.Dir(filepath.Join(base, folder)) == filepath.Dir(path) {
							lost[folder] = false
						}
					}
				}
				return nil
			}
			_, err := r.create(ctx)
			return err
		}
		require.Error(t, create(n))
		require.NoError(t, create(1000), "stopped at %d before", n)
	}
	info, err := os.Stat(filepath.Dir(f.Ring))
	require.NoError(t, err)
	if hasModes {
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	}
	require.NoError(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	for _, dir := range []string{"file", "file/keys"} {
		_, err = CreateKeyring(ctx, FilesIn(filepath.Join(base, dir)), testWrapper(), Options{})
		require.Error(t, err)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	for _, f := range []Files{
		{"ring", "ring"}, {"ring", "./ring"}, {"root.old", "root"}, {"root.tmp", "root"}, {"ring", "ring.lock"}, {"ring", "ring.tmp"}, {"root.old.tmp", "root.old"}, {"root", "root.old.tmp/../root"},
	} {
		f = Files{Ring: dir + "/" + f.Ring, Root: dir + "/" + f.Root}
		_, err := CreateKeyring(ctx, f, testWrapper(), Options{})
		require.ErrorContains(t, err, "two different paths")
		_, err = OpenKeyring(ctx, f, testWrapper(), Options{})
		require.ErrorContains(t, err, "two different paths")
	}
	_, err := CreateKeyring(ctx, Files{Ring: dir + "/ring"}, testWrapper(), Options{})
	require.Error(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	r, w := newRing(t)
	real := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.Rename(r.files.Root, real))
	if err = os.Symlink(real, r.files.Root); err != nil && runtime.GOOS == "windows" {
		t.Skipf("Windows lets few accounts make symbolic links: %v", err)
	}
	require.NoError(t, err)
	_, err = OpenKeyring(ctx, r.files, w, Options{})
	require.ErrorContains(t, err, "symbolic link")
	_, err = OpenKeyring(ctx, Files{Ring: r.files.Ring, Root: real}, w, Options{})
	require.NoError(t, err)
}

// TestErrorsSayWhatToDo for two mistakes that cost keys if they are met with the wrong act.
func TestErrorsSayWhatToDo(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	_, err := OpenKeyring(ctx, r.files, testWrapper(), Options{})
	require.ErrorIs(t, err, ErrWrongKey)
	require.ErrorContains(t, err, "give the passphrase or key file")
	require.ErrorContains(t, err, "nothing was changed")
	require.NoError(t, os.Remove(r.files.Ring))
	_, err = OpenKeyring(ctx, r.files, w, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "restore it from a backup made after the last Destroy")
	require.ErrorContains(t, err, r.files.Root)
	require.ErrorContains(t, err, "only if there never was one")
}
