package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func putBytes(t testing.TB, b *DirBlobs, data []byte) CID {
	t.Helper()
	c, n, err := b.Put(t.Context(), bytes.NewReader(data))
	require.NoError(t, err)
	require.EqualValues(t, len(data), n)
	return c
}

// readBlob returns what Get hands out before its first error.
func readBlob(b *DirBlobs, c CID) ([]byte, error) {
	r, err := b.Get(context.Background(), c)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func requireDamage(t testing.TB, err error, file string, c CID) {
	t.Helper()
	var damage *DamageError
	require.ErrorAs(t, err, &damage)
	require.Equal(t, file, damage.File)
	require.Equal(t, c, damage.CID)
	require.NotEmpty(t, damage.Remedy)
	for _, part := range []string{file, damage.Reason, damage.Remedy} {
		require.ErrorContains(t, err, part)
	}
}

// TestDamagedBlobs cuts, flips, lengthens, replaces and removes the files of blobs. What is handed out before the error
// is always a true beginning of the blob.
func TestDamagedBlobs(t *testing.T) {
	for _, n := range []int64{1, 2000, chunkSize, chunkSize + 1, 3*chunkSize + 77} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBlobs(t, t.TempDir())
			data := patternBytes(t, n)
			c := putBytes(t, b, data)
			other := putBytes(t, b, patternBytes(t, n-1))
			file := b.File(c)
			try := func(path string, change []byte) {
				t.Helper()
				good := readFile(t, path)
				if change == nil {
					require.NoError(t, os.Remove(path))
				} else {
					writeFile(t, path, change)
				}
				got, err := readBlob(b, c)
				requireDamage(t, err, path, c)
				require.True(t, bytes.HasPrefix(data, got))
				require.Zero(t, len(got)%chunkSize, "whole chunks only")
				if change != nil {
					requireDamage(t, b.Verify(t.Context(), nil), path, c)
				}
				writeFile(t, path, good)
			}
			flip := func(path string, at int64) {
				changed := readFile(t, path)
				changed[at] ^= 0x10
				try(path, changed)
			}
			for _, at := range []int64{0, n / 2, n - 1} {
				flip(file, at)
			}
			for _, cut := range []int64{0, n / 2, n - 1} {
				try(file, data[:cut:cut])
			}
			try(file, append(bytes.Clone(data), 0))
			try(file, append(bytes.Clone(data), make([]byte, chunkSize)...))
			try(file, nil)
			try(file, readFile(t, b.File(other)))
			_, err := readBlob(b, c)
			require.NoError(t, err)

			if c.codec != codecDAGPB {
				require.NoFileExists(t, b.nodeFile(c))
				return
			}
			nodes := b.nodeFile(c)
			whole := readFile(t, nodes)
			for at := range int64(len(whole)) {
				flip(nodes, at)
			}
			for cut := range whole {
				try(nodes, whole[:cut:cut])
			}
			try(nodes, append(bytes.Clone(whole), 0))
			try(nodes, append(bytes.Clone(whole), whole[8:]...))
			try(nodes, nil)
			// Putting the bytes again mends both files.
			require.NoError(t, os.Remove(nodes))
			writeFile(t, file, data[:1])
			require.Equal(t, c, putBytes(t, b, data))
			require.NoError(t, b.Verify(t.Context(), nil))
		})
	}
}

// TestTwoLevelBlob stores and damages a blob with two levels of nodes.
func TestTwoLevelBlob(t *testing.T) {
	b := newBlobs(t, t.TempDir())
	n := int64(fanout*chunkSize + 2*chunkSize + 5)
	c, size, err := b.Put(t.Context(), newPattern(n))
	require.NoError(t, err)
	require.Equal(t, n, size)
	want, _, err := ComputeCID(t.Context(), newPattern(n))
	require.NoError(t, err)
	require.Equal(t, want, c)
	require.NoError(t, b.Verify(t.Context(), nil))

	compare := func() (int64, error) {
		r, err := b.Get(t.Context(), c)
		if err != nil {
			return 0, err
		}
		defer r.Close()
		again, _, err := ComputeCID(t.Context(), r) // constant memory
		if err == nil {
			require.Equal(t, c, again)
		}
		return r.(*blobReader).cursor[1], err
	}
	_, err = compare()
	require.NoError(t, err)

	nodes := readFile(t, b.nodeFile(c))
	for at := 8; at < len(nodes); at += 509 {
		changed := bytes.Clone(nodes)
		changed[at] ^= 1
		writeFile(t, b.nodeFile(c), changed)
		_, err := compare()
		requireDamage(t, err, b.nodeFile(c), c)
	}
	writeFile(t, b.nodeFile(c), nodes)
	f, err := os.OpenFile(b.File(c), os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff, 0xff}, 175*chunkSize+9)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = compare()
	requireDamage(t, err, b.File(c), c)
	require.ErrorContains(t, err, fmt.Sprintf("offset %d", 175*chunkSize))
}

// TestForgedTree: a node file whose hashes are all in order but whose tree is not the one of the specification. The CID is
// then another one, which this store must not accept as its own.
func TestForgedTree(t *testing.T) {
	b := newBlobs(t, t.TempDir())
	data := patternBytes(t, 2*chunkSize)
	leaf := func(from, to int) link {
		return link{sumCID(codecRaw, data[from:to]), uint64(to - from), uint64(to - from)}
	}
	half := chunkSize / 2
	inner := node{leaf(0, chunkSize)}
	for name, root := range map[string]node{
		"other chunks":   {leaf(0, half), leaf(half, half+chunkSize), leaf(half+chunkSize, 2*chunkSize)},
		"other order":    {leaf(chunkSize, 2*chunkSize), leaf(0, chunkSize)},
		"a level more":   {inner.link(inner.encode()), leaf(chunkSize, 2*chunkSize)},
		"lies on sizes":  {{sumCID(codecRaw, data[:chunkSize]), chunkSize + 1, chunkSize}, {sumCID(codecRaw, data[chunkSize:]), chunkSize - 1, chunkSize}},
		"only the first": {leaf(0, chunkSize)},
	} {
		encoded := root.encode()
		c := sumCID(codecDAGPB, encoded)
		writeFile(t, b.File(c), data)
		record := append(nodesHeader(), 1)
		record = append(record, byte(len(encoded)>>24), byte(len(encoded)>>16), byte(len(encoded)>>8), byte(len(encoded)))
		writeFile(t, b.nodeFile(c), append(record, encoded...))
		got, err := readBlob(b, c)
		var damage *DamageError
		require.ErrorAs(t, err, &damage, name)
		require.Empty(t, got, name)
	}
}

func TestForeignFiles(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	b := newBlobs(t, dir)
	c := putBytes(t, b, []byte("a blob in its place"))
	other := sumCID(codecRaw, []byte("elsewhere"))
	for _, path := range []string{
		filepath.Join(dir, blobsDir, "README"),
		filepath.Join(filepath.Dir(b.File(c)), "Thumbs.db"),
		filepath.Join(filepath.Dir(b.File(c)), other.String()), // a blob in a wrong folder
		b.File(c) + nodeSuffix,                                 // nodes of a blob that has none
	} {
		writeFile(t, path, []byte("elsewhere"))
		requireDamage(t, b.Verify(ctx, nil), path, CID{})
		require.NoError(t, os.Remove(path))
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(b.File(other)), 0o700))
	require.NoError(t, os.Symlink(b.File(c), b.File(other)+"x"))
	require.Error(t, b.Verify(ctx, nil))
	require.NoError(t, os.Remove(b.File(other)+"x"))
	require.NoError(t, os.MkdirAll(b.File(other), 0o700))
	_, err := b.Get(ctx, other)
	requireDamage(t, err, b.File(other), other)
	_, err = b.Has(ctx, other)
	require.Error(t, err)
	require.NoError(t, os.Remove(b.File(other)))
	require.NoError(t, b.Verify(ctx, nil))
	require.NoError(t, b.Close())

	format := readFile(t, filepath.Join(dir, formatFile))
	for i := range format {
		changed := bytes.Clone(format)
		changed[i] ^= 0x41
		writeFile(t, filepath.Join(dir, formatFile), changed)
		_, err := OpenBlobs(dir)
		requireDamage(t, err, filepath.Join(dir, formatFile), CID{})
	}
	require.NoError(t, os.Remove(filepath.Join(dir, formatFile)))
	_, err = OpenBlobs(dir)
	requireDamage(t, err, filepath.Join(dir, formatFile), CID{})

	dir = t.TempDir()
	writeFile(t, filepath.Join(dir, "thesis.tex"), nil)
	_, err = OpenBlobs(dir)
	requireDamage(t, err, filepath.Join(dir, "thesis.tex"), CID{})
}

func TestBatch(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	b := newBlobs(t, dir)
	batch := b.Batch()
	defer batch.Discard()
	var cids []CID
	for i := range 300 {
		c, n, err := batch.Put(ctx, bytes.NewReader(testLeaf(int64(i))))
		require.NoError(t, err)
		require.EqualValues(t, len(testLeaf(int64(i))), n)
		cids = append(cids, c)
	}
	big, _, err := batch.Put(ctx, newPattern(2*chunkSize+1))
	require.NoError(t, err)
	cids = append(cids, big, cids[0])
	_, _, err = batch.Put(ctx, bytes.NewReader(testLeaf(0))) // twice in one batch
	require.NoError(t, err)
	_, _, err = batch.Put(ctx, io.MultiReader(newPattern(3*chunkSize), failing{}))
	require.ErrorIs(t, err, errFailing)
	for _, c := range cids {
		has, err := b.Has(ctx, c)
		require.NoError(t, err)
		require.False(t, has, "not visible before Commit")
	}
	require.NoError(t, batch.Commit(ctx))
	for _, c := range cids {
		has, err := b.Has(ctx, c)
		require.NoError(t, err)
		require.True(t, has)
	}
	n := 0
	require.NoError(t, b.Verify(ctx, func(done, total int64) {
		n++
		require.EqualValues(t, n, done)
		require.EqualValues(t, 301, total)
	}))
	require.Equal(t, 301, n)

	// The batch goes on; what is discarded never appears.
	dropped, _, err := batch.Put(ctx, strings.NewReader("dropped"))
	require.NoError(t, err)
	require.NoError(t, batch.Discard())
	require.NoError(t, batch.Commit(ctx))
	has, err := b.Has(ctx, dropped)
	require.NoError(t, err)
	require.False(t, has)
	kept, _, err := batch.Put(ctx, strings.NewReader("kept"))
	require.NoError(t, err)
	require.NoError(t, batch.Commit(ctx))
	require.NoError(t, batch.Discard())
	_, err = readBlob(b, kept)
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Join(dir, tmpDir))
	require.NoError(t, err)
	require.Empty(t, left)
}

var errFailing = errors.New("the stream broke")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

// TestSweep: half-written files vanish when the folder is opened alone, and stay while another has it open.
func TestSweep(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	first := newBlobs(t, dir)
	batch := first.Batch()
	c, _, err := batch.Put(ctx, strings.NewReader("half-written"))
	require.NoError(t, err)
	second := newBlobs(t, dir)
	require.NoError(t, batch.Commit(ctx), "the second did not sweep the first one's file")
	_, err = readBlob(second, c)
	require.NoError(t, err)

	_, _, err = batch.Put(ctx, strings.NewReader("left behind"))
	require.NoError(t, err)
	require.NoError(t, first.Close())
	require.NoError(t, second.Close())
	require.ErrorIs(t, batch.Commit(ctx), os.ErrClosed)
	_, err = first.Get(ctx, c)
	require.ErrorIs(t, err, os.ErrClosed)
	require.NotEmpty(t, files(t, filepath.Join(dir, tmpDir)))
	third := newBlobs(t, dir)
	require.NoDirExists(t, filepath.Join(dir, tmpDir))
	require.NoError(t, third.Verify(ctx, nil))
}

// TestRelativeFolder: the working directory itself can be the store, and the log's folder.
func TestRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	b, err := OpenBlobs("")
	require.NoError(t, err)
	putBytes(t, b, []byte("here"))
	require.NoError(t, b.Verify(t.Context(), nil))
	require.NoError(t, b.Close())
	t.Chdir(t.TempDir())
	l := newLog(t, ".", testSigner(t), 3)
	require.NoError(t, l.Verify(t.Context(), nil))
}
