package keymgmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLifeOfAKey(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	k1, err := r.Generate(ctx, "st-anna/patient/4711")
	require.NoError(t, err)
	require.Equal(t, uint32(1), k1.Version)
	require.Equal(t, StatePrimary, k1.State)
	require.Equal(t, 32, k1.Secret.Len())

	k2, err := r.Rotate(ctx, "st-anna/patient/4711", nil)
	require.NoError(t, err)
	require.Equal(t, uint32(2), k2.Version)
	require.False(t, k1.Secret.Equal(k2.Secret))

	got, err := r.Get(ctx, "st-anna/patient/4711")
	require.NoError(t, err)
	require.True(t, got.Secret.Equal(k2.Secret))
	old, err := r.GetVersion(ctx, "st-anna/patient/4711", 1)
	require.NoError(t, err, "a rotation never makes old data unreadable")
	require.True(t, old.Secret.Equal(k1.Secret))
	require.Equal(t, StateActive, old.State)

	require.NoError(t, r.Disable(ctx, "st-anna/patient/4711", 2))
	_, err = r.Get(ctx, "st-anna/patient/4711")
	require.ErrorIs(t, err, ErrDisabled)
	_, err = r.GetVersion(ctx, "st-anna/patient/4711", 2)
	require.ErrorIs(t, err, ErrDisabled)
	require.NoError(t, r.Enable(ctx, "st-anna/patient/4711", 1), "enabling what is enabled changes nothing")
	require.NoError(t, r.Enable(ctx, "st-anna/patient/4711", 2))
	got, err = r.Get(ctx, "st-anna/patient/4711")
	require.NoError(t, err)
	require.Equal(t, uint32(2), got.Version)

	_, err = r.Destroy(ctx, "st-anna/patient/4711", Destruction{Version: 2})
	require.Error(t, err, "the primary, while another version lives")
	_, err = r.Destroy(ctx, "st-anna/patient/4711", Destruction{Version: 1})
	require.NoError(t, err)
	_, err = r.GetVersion(ctx, "st-anna/patient/4711", 1)
	require.ErrorIs(t, err, ErrDestroyed)
	require.ErrorIs(t, r.Enable(ctx, "st-anna/patient/4711", 1), ErrDestroyed)
	require.ErrorIs(t, r.Disable(ctx, "st-anna/patient/4711", 1), ErrDestroyed)
	require.Equal(t, k2.Secret.ExposeSecret(), exposed(t, r, "st-anna/patient/4711"))

	_, err = r.Destroy(ctx, "st-anna/patient/4711", Destruction{})
	require.NoError(t, err)
	_, err = r.Get(ctx, "st-anna/patient/4711")
	require.ErrorIs(t, err, ErrDestroyed)
	_, err = r.Generate(ctx, "st-anna/patient/4711")
	require.ErrorIs(t, err, ErrDestroyed)
	_, err = r.Rotate(ctx, "st-anna/patient/4711", nil)
	require.ErrorIs(t, err, ErrDestroyed)

	r2 := reopen(t, r.files, w)
	_, err = r2.Get(ctx, "st-anna/patient/4711")
	require.ErrorIs(t, err, ErrDestroyed)
	names, err := r2.Names(ctx, "")
	require.NoError(t, err)
	require.Empty(t, names)
	infos, err := r2.List(ctx, "st-anna/")
	require.NoError(t, err)
	require.Len(t, infos, 2)
	require.Equal(t, StateDestroyed, infos[0].State)
}

func TestPutKeepsLargeSecrets(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	want := map[string][]byte{}
	for i, n := range []int{1, 32, 65536, 70000, MaxSecretSize, MaxSecretSize, 200000, 5, 66000, 66000, 66000} {
		name := fmt.Sprintf("st-anna/authority/%d", i)
		s := GenerateSecret(n)
		want[name] = s.ExposeSecret()
		_, err := r.Put(ctx, name, s)
		require.NoError(t, err)
	}
	_, err := r.Put(ctx, "st-anna/too-large", NewSecret(make([]byte, MaxSecretSize+1)))
	require.Error(t, err)
	_, err = r.Put(ctx, "st-anna/empty", NewSecret(nil))
	require.Error(t, err)
	_, err = r.Put(ctx, "st-anna/authority/0", GenerateSecret(32))
	require.ErrorIs(t, err, ErrExists)
	_, err = r.Rotate(ctx, "st-anna/authority/1", GenerateSecret(MaxSecretSize))
	require.NoError(t, err)
	r = reopen(t, r.files, w)
	for name, b := range want {
		k, err := r.GetVersion(ctx, name, 1)
		require.NoError(t, err)
		require.Equal(t, b, k.Secret.ExposeSecret())
	}
}

func TestManyKeysInManyTenants(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	var names []string
	for i := range 10000 {
		names = append(names, fmt.Sprintf("tenant-%d/patient/%d", i%3, i))
	}
	names = append(names, "ring-wide", "tenant-1", "tenant-1!/x")
	require.NoError(t, r.GenerateMany(ctx, names))
	before, err := r.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(2), before, "one write")
	r2 := reopen(t, r.files, w)
	for _, name := range names[:200] {
		require.Equal(t, exposed(t, r, name), exposed(t, r2, name))
	}
	got, err := r2.Names(ctx, "tenant-1/")
	require.NoError(t, err)
	require.Len(t, got, 3333)

	err = r2.GenerateMany(ctx, []string{"new/a", names[7], "new/b"})
	require.ErrorIs(t, err, ErrExists)
	require.ErrorContains(t, err, names[7])
	_, err = r2.Get(ctx, "new/a")
	require.ErrorIs(t, err, ErrNotFound, "all or none")
	require.Error(t, r2.GenerateMany(ctx, []string{"new/a", "new/a"}))
	require.NoError(t, r2.GenerateMany(ctx, nil))

	for p := range r2.tree.pages() {
		require.False(t, p.overfull())
	}
}

func TestNames(t *testing.T) {
	ctx := context.Background()
	r, _ := newRing(t)
	for _, bad := range []string{"", "/", "a/", "/a", "a//b", "a\nb", "a\x00", "\xff", strings.Repeat("x", 256), "veilchart", "veilchart/receipt", nameReceiptSeed, "a\u202eb"} {
		_, err := r.Generate(ctx, bad)
		require.Error(t, err, "%q", bad)
		require.Error(t, r.GenerateMany(ctx, []string{"fine", bad}))
		_, err = r.Get(ctx, bad)
		require.Error(t, err, "%q: the ring's own keys are not handed out", bad)
		_, err = r.Rotate(ctx, bad, nil)
		require.Error(t, err)
		_, err = r.Destroy(ctx, bad, Destruction{})
		require.Error(t, err)
		require.Error(t, r.Disable(ctx, bad, 1))
	}
	names, err := r.Names(ctx, "")
	require.NoError(t, err)
	require.Empty(t, names)
	for _, good := range []string{"a", "a/b", "Święta Anna/Zażółć gęślą", strings.Repeat("x", 255), "veilchart2/x"} {
		_, err := r.Generate(ctx, good)
		require.NoError(t, err, "%q", good)
	}
}

func TestMissing(t *testing.T) {
	ctx := context.Background()
	r, _ := newRing(t)
	_, err := r.Get(ctx, "nobody")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Rotate(ctx, "nobody", nil)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Destroy(ctx, "nobody", Destruction{})
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, r.Disable(ctx, "nobody", 1), ErrNotFound)
	_, err = r.Generate(ctx, "somebody")
	require.NoError(t, err)
	for _, version := range []uint32{0, 2, 1 << 31} {
		_, err = r.GetVersion(ctx, "somebody", version)
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, r.Enable(ctx, "somebody", version), ErrNotFound)
	}
	_, err = r.Destroy(ctx, "somebody", Destruction{Version: 2})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Generate(ctx, "somebody")
	require.ErrorIs(t, err, ErrExists)
}

func TestFilesThatAreMissingOrThereAlready(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	_, err := CreateKeyring(ctx, r.files, w, Options{})
	require.ErrorIs(t, err, ErrExists)

	empty := FilesIn(t.TempDir())
	_, err = OpenKeyring(ctx, empty, w, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	left, err := os.ReadDir(filepath.Dir(empty.Ring))
	require.NoError(t, err)
	require.Empty(t, left, "opening nothing leaves nothing")

	ring, root := readFile(t, r.files.Ring), readFile(t, r.files.Root)
	f := put(t, ring, root)
	require.NoError(t, os.Remove(f.Root))
	_, err = OpenKeyring(ctx, f, w, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, f.Root)
	_, err = CreateKeyring(ctx, f, w, Options{})
	require.ErrorIs(t, err, ErrExists)

	f = put(t, ring, root)
	require.NoError(t, os.Remove(f.Ring))
	_, err = OpenKeyring(ctx, f, w, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = CreateKeyring(ctx, f, w, Options{})
	require.ErrorIs(t, err, ErrExists, "the root file of a lost ring is not overwritten")
	require.Equal(t, root, readFile(t, f.Root))

	_, err = CreateKeyring(ctx, Files{Ring: "x", Root: "./x"}, w, Options{})
	require.Error(t, err)
	_, err = CreateKeyring(ctx, FilesIn(t.TempDir()), nil, Options{})
	require.Error(t, err)
	_, err = OpenKeyring(ctx, r.files, nil, Options{})
	require.Error(t, err)
	require.Error(t, r.Rewrap(ctx, nil))
}

func TestRootFileOpenToOthers(t *testing.T) {
	r, w := newRing(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		require.NoError(t, os.Chmod(r.files.Root, mode))
		_, err := OpenKeyring(context.Background(), r.files, w, Options{})
		require.ErrorIs(t, err, ErrPermissions)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(r.files.Root, 0o600))
	reopen(t, r.files, w)
	for _, path := range []string{r.files.Ring, r.files.Root} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	info, err := os.Stat(filepath.Dir(r.files.Root))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestWrongKey(t *testing.T) {
	r, w := newRing(t)
	ring, root := readFile(t, r.files.Ring), readFile(t, r.files.Root)
	_, err := OpenKeyring(context.Background(), r.files, testWrapper(), Options{})
	require.ErrorIs(t, err, ErrWrongKey)
	require.NotErrorIs(t, err, ErrDamaged)
	p, err := NewPassphrase(NewSecret([]byte("horse")))
	require.NoError(t, err)
	_, err = OpenKeyring(context.Background(), r.files, p, Options{})
	require.ErrorIs(t, err, ErrWrongKey)
	require.ErrorContains(t, err, "key file")
	require.Equal(t, ring, readFile(t, r.files.Ring))
	require.Equal(t, root, readFile(t, r.files.Root))
	reopen(t, r.files, w)
}

func TestPassphraseRing(t *testing.T) {
	ctx := context.Background()
	f := FilesIn(t.TempDir())
	pass := func(s string) Wrapper {
		w, err := NewPassphrase(NewSecret([]byte(s)))
		require.NoError(t, err)
		return w
	}
	r, err := CreateKeyring(ctx, f, pass("correct horse"), Options{})
	require.NoError(t, err)
	k, err := r.Generate(ctx, "a/b")
	require.NoError(t, err)
	_, err = OpenKeyring(ctx, f, pass("correct horsf"), Options{})
	require.ErrorIs(t, err, ErrWrongKey)
	require.NotErrorIs(t, err, ErrDamaged)
	r = reopen(t, f, pass("correct horse"))

	oldRing, oldRoot := readFile(t, f.Ring), readFile(t, f.Root)
	require.NoError(t, r.Rewrap(ctx, pass("battery staple")))
	require.Equal(t, k.Secret.ExposeSecret(), exposed(t, r, "a/b"))
	_, err = OpenKeyring(ctx, f, pass("correct horse"), Options{})
	require.ErrorIs(t, err, ErrWrongKey)
	r = reopen(t, f, pass("battery staple"))
	require.Equal(t, k.Secret.ExposeSecret(), exposed(t, r, "a/b"))
	// The old passphrase and root file do not open the new ring: the root key changed as well.
	_, err = OpenKeyring(ctx, put(t, readFile(t, f.Ring), oldRoot), pass("correct horse"), Options{})
	require.ErrorIs(t, err, ErrRollback)
	_, err = OpenKeyring(ctx, put(t, oldRing, readFile(t, f.Root)), pass("battery staple"), Options{})
	require.ErrorIs(t, err, ErrRollback)
}

func TestRollback(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	_, err := r.Generate(ctx, "a/1")
	require.NoError(t, err)
	old := readFile(t, r.files.Ring)
	_, err = r.Generate(ctx, "a/2")
	require.NoError(t, err)
	version, err := r.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(3), version)

	require.NoError(t, os.WriteFile(r.files.Ring, old, 0o600))
	_, err = r.Get(ctx, "a/1")
	require.ErrorIs(t, err, ErrRollback, "the handle remembers")
	_, err = r.Generate(ctx, "a/3")
	require.ErrorIs(t, err, ErrRollback)
	_, err = OpenKeyring(ctx, r.files, w, Options{MinVersion: version})
	require.ErrorIs(t, err, ErrRollback)
	restored, err := OpenKeyring(ctx, r.files, w, Options{MinVersion: version - 1})
	require.NoError(t, err)
	_, err = restored.Get(ctx, "a/2")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestTwoHandlesSeeEachOther(t *testing.T) {
	ctx := context.Background()
	a, w := newRing(t)
	b := reopen(t, a.files, w)
	for i := range 10 {
		_, err := a.Generate(ctx, fmt.Sprintf("a/%d", i))
		require.NoError(t, err)
		_, err = b.Generate(ctx, fmt.Sprintf("b/%d", i))
		require.NoError(t, err)
	}
	for i := range 10 {
		require.Equal(t, exposed(t, b, fmt.Sprintf("a/%d", i)), exposed(t, a, fmt.Sprintf("a/%d", i)))
		require.Equal(t, exposed(t, b, fmt.Sprintf("b/%d", i)), exposed(t, a, fmt.Sprintf("b/%d", i)))
	}
	_, err := a.Destroy(ctx, "b/3", Destruction{})
	require.NoError(t, err)
	_, err = b.Get(ctx, "b/3")
	require.ErrorIs(t, err, ErrDestroyed, "a handle never serves what another one destroyed")
	_, err = b.Destroy(ctx, "a/3", Destruction{})
	require.NoError(t, err)
	_, err = a.Get(ctx, "a/3")
	require.ErrorIs(t, err, ErrDestroyed)
	_, err = a.Generate(ctx, "c/1")
	require.NoError(t, err)
}

func TestAudit(t *testing.T) {
	f, w := FilesIn(t.TempDir()), testWrapper()
	var events []Event
	var full error
	r, err := CreateKeyring(context.Background(), f, w, Options{Audit: func(_ context.Context, e Event) error {
		events = append(events, e)
		return full
	}})
	require.NoError(t, err)
	ctx := ctxFor("dr-who", "ward round")
	k, err := r.Generate(ctx, "a/1")
	require.NoError(t, err)
	_, err = r.Get(ctx, "a/1")
	require.NoError(t, err)
	_, err = r.Get(ctx, "a/2")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Destroy(ctx, "a/1", Destruction{})
	require.NoError(t, err)
	_, err = r.Destroy(ctx, "a/1", Destruction{})
	require.ErrorIs(t, err, ErrDestroyed)
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s %s %d %s %v", e.Action, e.Name, e.Version, e.Use.Actor, e.Err != nil))
		require.WithinDuration(t, time.Now(), e.Time, time.Hour)
		require.NotContains(t, fmt.Sprintf("%#v", e), string(k.Secret.ExposeSecret()))
	}
	require.Equal(t, []string{
		"create  0  false", "generate a/1 1 dr-who false", "get a/1 1 dr-who false", "get a/2 0 dr-who true",
		"destroy a/1 0 dr-who false", "destroy a/1 0 dr-who true",
	}, got)

	_, err = r.Generate(ctx, "a/3")
	require.NoError(t, err)
	full = errors.New("sink is full")
	ring := readFile(t, f.Ring)
	_, err = r.Get(ctx, "a/3")
	require.ErrorIs(t, err, full, "no use that cannot be told")
	_, err = r.Generate(ctx, "a/4")
	require.ErrorIs(t, err, full)
	_, err = r.Rotate(ctx, "a/3", nil)
	require.ErrorIs(t, err, full)
	_, err = r.Destroy(ctx, "a/3", Destruction{})
	require.ErrorIs(t, err, full)
	require.ErrorIs(t, r.Disable(ctx, "a/3", 1), full)
	require.ErrorIs(t, r.Rewrap(ctx, w), full)
	require.ErrorIs(t, r.GenerateMany(ctx, []string{"a/5"}), full)
	require.Equal(t, ring, readFile(t, f.Ring))
}

func TestClosedAndCancelled(t *testing.T) {
	r, w := newRing(t)
	other := reopen(t, r.files, w)
	require.NoError(t, r.Close())
	_, err := r.Get(context.Background(), "a")
	require.ErrorIs(t, err, ErrClosed)
	_, err = r.Generate(context.Background(), "a")
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, r.Close())

	unlock, err := lockFile(context.Background(), r.files.Ring+".lock")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = other.Generate(ctx, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded, "another holder of the lock is waited for no longer than the context")
	require.NoError(t, unlock())
	_, err = other.Generate(context.Background(), "a")
	require.NoError(t, err)
}
