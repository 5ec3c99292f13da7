package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// damageOf tries the log after a change and requires an error that names a file and says what to do.
func damageOf(t testing.TB, dir string, v *Verifier) *DamageError {
	t.Helper()
	err := checkLog(dir, v, nil)
	var damage *DamageError
	require.ErrorAs(t, err, &damage)
	require.NotEmpty(t, damage.Remedy)
	require.True(t, strings.HasPrefix(damage.File, dir))
	return damage
}

// TestEveryByte flips every byte of every file of a small log, with a full and a partial tile on level 0 and one on
// level 1. The error names that very file.
func TestEveryByte(t *testing.T) {
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 300)
	require.NoError(t, l.Close())
	v := l.Verifier()
	all := files(t, dir)
	require.Len(t, all, 8, "lock, format, checkpoint, two bundles, three tiles: %v", all)
	for _, name := range all {
		path := filepath.Join(dir, name)
		good := readFile(t, path)
		small := name == formatFile || name == checkpointFile
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		for i := range good {
			bits := []byte{1 << (i % 8)}
			if small {
				bits = []byte{1, 2, 4, 8, 16, 32, 64, 128, 255}
			}
			for _, bit := range bits {
				_, err := f.WriteAt([]byte{good[i] ^ bit}, int64(i))
				require.NoError(t, err)
				if damage := damageOf(t, dir, v); damage.File != path {
					t.Fatalf("byte %d of %s: %v", i, path, damage)
				}
			}
			_, err := f.WriteAt(good[i:i+1], int64(i))
			require.NoError(t, err)
		}
		require.NoError(t, f.Close())
	}
	require.NoError(t, checkLog(dir, v, nil))
}

// TestCutAndMissing cuts, lengthens, empties and removes every file, and puts a folder in its place.
func TestCutAndMissing(t *testing.T) {
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 300)
	require.NoError(t, l.Close())
	v := l.Verifier()
	for _, name := range files(t, dir) {
		if name == lockName {
			continue
		}
		path := filepath.Join(dir, name)
		good := readFile(t, path)
		for _, changed := range [][]byte{{}, good[:1], good[:len(good)/2], good[:len(good)-1], append(bytes.Clone(good), 0), append(bytes.Clone(good), good...), append(bytes.Clone(good), make([]byte, 1<<20)...)} {
			writeFile(t, path, changed)
			require.Equal(t, path, damageOf(t, dir, v).File)
			if len(changed) < len(good) {
				_, err := OpenLog(t.Context(), dir, testSigner(t), nil)
				if err == nil {
					require.Contains(t, name, "000", "only what lies left of the right edge can wait for Verify")
				}
			}
		}
		require.NoError(t, os.Remove(path))
		require.Equal(t, path, damageOf(t, dir, v).File)
		require.NoError(t, os.Mkdir(path, 0o700))
		require.Equal(t, path, damageOf(t, dir, v).File)
		require.NoError(t, os.Remove(path))
		writeFile(t, path, good)
	}
	require.NoError(t, checkLog(dir, v, nil))
}

// TestForeignLogFiles puts each file of another log under the same key in the place of ours.
func TestForeignLogFiles(t *testing.T) {
	base := t.TempDir()
	dir, other := filepath.Join(base, "log"), filepath.Join(base, "other")
	s := testSigner(t)
	l := newLog(t, dir, s, 600)
	require.NoError(t, l.Close())
	o := newLog(t, other, s)
	_, err := o.Append(t.Context(), testLeaves(5000, 5600)...)
	require.NoError(t, err)
	for _, name := range files(t, dir) {
		if name == lockName || name == formatFile { // these are the same in both
			continue
		}
		path := filepath.Join(dir, name)
		good := readFile(t, path)
		writeFile(t, path, readFile(t, filepath.Join(other, name)))
		require.Equal(t, path, damageOf(t, dir, l.Verifier()).File)
		writeFile(t, path, good)
	}
	// All tiles and bundles at once: nothing but the signature tells.
	mixed := filepath.Join(base, "mixed")
	copyDir(t, other, mixed)
	writeFile(t, filepath.Join(mixed, checkpointFile), readFile(t, filepath.Join(dir, checkpointFile)))
	require.ErrorContains(t, damageOf(t, mixed, l.Verifier()), "different copies")
	// Two tiles that agree with each other and not with the root.
	for _, name := range []string{tilePath(0, 0, tileWidth), tilePath(bundles, 0, tileWidth)} {
		writeFile(t, filepath.Join(dir, name), readFile(t, filepath.Join(other, name)))
	}
	require.Equal(t, filepath.Join(dir, tilePath(0, 0, tileWidth)), damageOf(t, dir, l.Verifier()).File)
}

// TestDamageWhileOpen: reading and proving say the same as Verify, and never return a wrong leaf or proof.
func TestDamageWhileOpen(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 600)
	for _, name := range []string{tilePath(0, 0, tileWidth), tilePath(bundles, 0, tileWidth)} {
		path := filepath.Join(dir, name)
		good := readFile(t, path)
		changed := bytes.Clone(good)
		changed[40] ^= 1
		writeFile(t, path, changed)
		_, err := l.Leaf(ctx, 3)
		requireDamage(t, err, path, CID{})
		for _, err = range l.Leaves(ctx, 0, 600) {
		}
		requireDamage(t, err, path, CID{})
		requireDamage(t, l.Verify(ctx, nil), path, CID{})
		if name == tilePath(0, 0, tileWidth) {
			_, err = l.ProveInclusion(ctx, 3, l.Checkpoint())
			requireDamage(t, err, path, CID{})
		}
		leaf, err := l.Leaf(ctx, 599)
		require.NoError(t, err, "what is whole stays readable")
		require.Equal(t, testLeaf(599), leaf)
		writeFile(t, path, good)
	}
	// Several damaged files are all reported.
	for _, n := range []int64{0, 1} {
		require.NoError(t, os.Remove(filepath.Join(dir, tilePath(bundles, n, tileWidth))))
	}
	err := l.Verify(ctx, nil)
	require.ErrorContains(t, err, tilePath(bundles, 0, tileWidth))
	require.ErrorContains(t, err, tilePath(bundles, 1, tileWidth))
}

// TestOrphans: what a killed process left beyond the checkpoint, in whatever state, neither disturbs nor survives.
func TestOrphans(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := testSigner(t)
	l := newLog(t, dir, s, 200)
	require.NoError(t, l.Close())
	for _, name := range []string{
		tilePath(0, 0, 230), tilePath(bundles, 0, 230), tilePath(0, 0, tileWidth), tilePath(bundles, 0, tileWidth),
		tilePath(1, 0, 1), tilePath(0, 1, 44), checkpointFile + tmpSuffix,
	} {
		writeFile(t, filepath.Join(dir, name), []byte("half-written"))
	}
	require.NoError(t, checkLog(dir, s.Verifier(), nil))
	l, err := OpenLog(ctx, dir, s, l.Checkpoint().Bytes())
	require.NoError(t, err)
	_, err = l.Append(ctx, testLeaves(200, 300)...)
	require.NoError(t, err)
	require.Equal(t, referenceRoot(testLeaves(0, 300)), l.Checkpoint().Root[:])
	require.NoError(t, l.Close())
	require.NoError(t, checkLog(dir, s.Verifier(), nil))
}
