package keymgmt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// damageRing is a small ring with every kind of page and entry, as files.
func damageRing(t *testing.T) (f Files, w Wrapper) {
	ctx := context.Background()
	r, w := newRing(t)
	var names []string
	for i := range maxFanout + 1 {
		names = append(names, fmt.Sprintf("a/%d", i))
	}
	require.NoError(t, r.GenerateMany(ctx, names))
	_, err := r.Rotate(ctx, "a/1", nil)
	require.NoError(t, err)
	require.NoError(t, r.Disable(ctx, "a/2", 1))
	_, err = r.Destroy(ctx, "a/3", Destruction{})
	require.NoError(t, err)
	return r.files, w
}

// resum puts the right checksum behind altered content: what who alters a file on purpose does.
func resum(b []byte) []byte {
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestEveryByteOfTheFiles(t *testing.T) {
	ctx := context.Background()
	f, w := damageRing(t)
	ring, root := readFile(t, f.Ring), readFile(t, f.Root)
	// try opens the files; tree does the same to a ring in memory, without the checks of epoch and version.
	try := func(ring, root []byte) error {
		require.NoError(t, os.WriteFile(f.Ring, ring, 0o600))
		require.NoError(t, os.WriteFile(f.Root, root, 0o600))
		r, err := OpenKeyring(ctx, f, w, Options{})
		require.True(t, (r == nil) == (err != nil))
		if err != nil {
			require.True(t, bytes.Equal(ring, readFile(t, f.Ring)) && bytes.Equal(root, readFile(t, f.Root)), "a file that is refused is left as it is")
		}
		return err
	}
	rootKey := rootKeyOf(t, f, w)
	tree := func(ring []byte) error {
		file, err := decodeRing(ring)
		if err == nil {
			_, err = buildTree(file, rootKey)
		}
		return err
	}
	require.NoError(t, try(ring, root))
	require.NoError(t, tree(ring))
	for i := range ring {
		b := bytes.Clone(ring)
		b[i] ^= 1 << (i % 8)
		require.Error(t, tree(b), "ring byte %d", i)
		past := i < len(ring)-sha256.Size // past the checksum: the mathematics refuses
		if past {
			require.Error(t, tree(resum(b)), "ring byte %d", i)
		}
		if i > 200 && i%61 != 0 {
			continue
		}
		err := try(b, root)
		require.ErrorIs(t, err, ErrDamaged, "ring byte %d", i)
		require.ErrorContains(t, err, f.Ring)
		if past {
			err := try(resum(b), root)
			require.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrRollback) && i >= 24 && i < 32, "ring byte %d: %v", i, err)
			require.ErrorContains(t, err, f.Ring)
		}
	}
	for i := range ring {
		require.Error(t, tree(ring[:i]), "ring of %d bytes", i)
		if i > sha256.Size {
			require.Error(t, tree(resum(ring[:i])), "ring of %d bytes", i)
		}
		if i < 200 || i%61 == 0 {
			require.ErrorIs(t, try(ring[:i], root), ErrDamaged, "ring of %d bytes", i)
		}
	}
	require.ErrorIs(t, try(append(bytes.Clone(ring), 0), root), ErrDamaged)

	for i := range root {
		for bit := range 8 {
			b := bytes.Clone(root)
			b[i] ^= 1 << bit
			err := try(ring, b)
			require.ErrorIs(t, err, ErrDamaged, "root file byte %d", i)
			require.ErrorContains(t, err, f.Root)
			if i == 24 && b[24] == rootCreating || i >= len(root)-sha256.Size {
				continue // "creating" with a whole ring means what "settled" means
			}
			err = try(ring, resum(b))
			require.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrWrongKey) || errors.Is(err, ErrRollback), "root file byte %d: %v", i, err)
		}
		require.ErrorIs(t, try(ring, root[:i]), ErrDamaged, "root file of %d bytes", i)
	}
	require.ErrorIs(t, try(ring, append(bytes.Clone(root), 0)), ErrDamaged)
	require.NoError(t, try(ring, root))
}

func TestForeignFiles(t *testing.T) {
	ctx := context.Background()
	f, w := damageRing(t)
	g, v := damageRing(t)
	ring, root := readFile(t, f.Ring), readFile(t, f.Root)
	open := func(ring, root []byte, w Wrapper) error {
		_, err := OpenKeyring(ctx, put(t, ring, root), w, Options{})
		return err
	}
	err := open(ring, readFile(t, g.Root), w)
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "two different rings")
	require.ErrorIs(t, open(root, root, w), ErrDamaged)
	require.ErrorIs(t, open(ring, ring, w), ErrDamaged)
	require.ErrorIs(t, open(ring, root, v), ErrWrongKey)
	for _, junk := range [][]byte{nil, []byte("PK\x03\x04 a zip"), bytes.Repeat([]byte{0}, 5000), bytes.Repeat([]byte("vcht"), 1000)} {
		require.ErrorIs(t, open(junk, root, w), ErrDamaged)
		require.ErrorIs(t, open(ring, junk, w), ErrDamaged)
	}
	// The root key of one ring under the identifier of the other.
	mixed, err := decodeRoot(readFile(t, g.Root))
	require.NoError(t, err)
	own, err := decodeRoot(root)
	require.NoError(t, err)
	mixed.ring = own.ring
	require.ErrorIs(t, open(ring, mixed.encode(), v), ErrDamaged)
	huge := put(t, ring, root)
	require.NoError(t, os.Truncate(huge.Root, 1<<40))
	_, err = OpenKeyring(ctx, huge, w, Options{})
	require.ErrorIs(t, err, ErrDamaged, "a TiB of nothing is not read")
	huge = put(t, ring, root)
	require.NoError(t, os.Truncate(huge.Ring, 1<<40))
	_, err = OpenKeyring(ctx, huge, w, Options{})
	require.ErrorIs(t, err, ErrDamaged)
}

// TestPagesOfSeveralVersions: every version of a page was sealed under a right key for its place. Still, none but those
// of one version go together.
func TestPagesOfSeveralVersions(t *testing.T) {
	ctx := context.Background()
	f, w := damageRing(t)
	r := reopen(t, f, w)
	before, err := decodeRing(readFile(t, f.Ring))
	require.NoError(t, err)
	require.NoError(t, r.Disable(ctx, "a/5", 1))
	after, err := decodeRing(readFile(t, f.Ring))
	require.NoError(t, err)
	root := readFile(t, f.Root)
	require.Len(t, after.pages, len(before.pages))
	changed := 0
	for i := range after.pages {
		if bytes.Equal(after.pages[i].sealed, before.pages[i].sealed) {
			continue
		}
		changed++
		mixed := *after
		mixed.pages = append([]sealedPage(nil), after.pages...)
		mixed.pages[i] = before.pages[i]
		_, err := OpenKeyring(ctx, put(t, mixed.encode(), root), w, Options{})
		require.ErrorIs(t, err, ErrDamaged, "page %d of the version before: the disabled key would be enabled again", i)
	}
	require.GreaterOrEqual(t, changed, 3)
	// The whole old version under the new version's number.
	older := *before
	older.version = after.version
	_, err = OpenKeyring(ctx, put(t, older.encode(), root), w, Options{})
	require.ErrorIs(t, err, ErrDamaged)
	// A page more than the tree has, and one less.
	extra := *after
	extra.pages = append(append([]sealedPage(nil), after.pages...), sealedPage{extra.next - 1, after.pages[1].sealed})
	if last := after.pages[len(after.pages)-1].number; last < extra.next-1 {
		_, err = OpenKeyring(ctx, put(t, extra.encode(), root), w, Options{})
		require.ErrorIs(t, err, ErrDamaged)
	}
	less := *after
	less.pages = after.pages[:len(after.pages)-1]
	_, err = OpenKeyring(ctx, put(t, less.encode(), root), w, Options{})
	require.ErrorIs(t, err, ErrDamaged)
}
