package sse

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDirDamagedFiles cuts and changes the files of a store in every place that the store can judge. Each error names the file,
// and the file is left as it is.
func TestDirDamagedFiles(t *testing.T) {
	d := openDir(t, t.TempDir())
	ctx, p, id := t.Context(), ID{7}, ID{8}
	require.NoError(t, d.WriteSegment(ctx, p, id, filled(3, 2)))
	require.NoError(t, d.SwapHead(ctx, p, 1, []byte("first head")))
	require.NoError(t, d.SwapHead(ctx, p, 2, []byte("second head")))

	read := func() error { _, err := d.Read(ctx, p, []Run{{id, 1, 1}}); return err }
	list := func() error { _, err := d.Segments(ctx, p); return err }
	head := func() error { _, _, err := d.Head(ctx, p, 0); return err }
	for _, c := range []struct {
		path   string
		judged int // bytes from the front that the store can judge; the rest is the client's
		step   int
		calls  []func() error
	}{
		{d.SegmentPath(p, id), PageSize, 7, []func() error{read, list}},
		{d.HeadPath(p, 2), -1, 1, []func() error{head}},
	} {
		good, err := os.ReadFile(c.path)
		require.NoError(t, err)
		if c.judged < 0 {
			c.judged = len(good)
		}
		try := func(what string, at int, bad []byte) {
			t.Helper()
			require.NoError(t, os.WriteFile(c.path, bad, 0o600))
			for _, call := range append(c.calls, func() error { return d.Check(ctx) }) {
				err := call()
				require.ErrorIs(t, err, ErrDamaged, "%s at %d", what, at)
				require.ErrorContains(t, err, c.path, "%s at %d", what, at)
				require.ErrorContains(t, err, "backup")
			}
			got, err := os.ReadFile(c.path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(bad, got), "the file is left as it is")
		}
		for at := 0; at < c.judged; at += c.step {
			for _, bit := range []byte{0x01, 0x80} {
				bad := bytes.Clone(good)
				bad[at] ^= bit
				try("flip", at, bad)
			}
		}
		for at := 0; at < len(good); at += 1 + len(good)/100 {
			try("cut", at, good[:at])
		}
		try("one byte more", len(good), append(bytes.Clone(good), 0))
		try("a page more", len(good), append(bytes.Clone(good), make([]byte, PageSize)...))
		require.NoError(t, os.WriteFile(c.path, good, 0o600))
		require.NoError(t, d.Check(ctx))
	}

	// The head before the damaged one is still there for who asks for it.
	require.NoError(t, os.Truncate(d.HeadPath(p, 2), 20))
	_, latest, err := d.Head(ctx, p, 0)
	require.ErrorIs(t, err, ErrDamaged)
	assert.EqualValues(t, 2, latest)
	blob, _, err := d.Head(ctx, p, 1)
	require.NoError(t, err)
	assert.Equal(t, "first head", string(blob))
}

// TestDirSwappedFiles puts good files under the names of others.
func TestDirSwappedFiles(t *testing.T) {
	d := openDir(t, t.TempDir())
	ctx, p, q := t.Context(), ID{7}, ID{9}
	for _, part := range []ID{p, q} {
		for _, id := range []ID{{1}, {2}} {
			require.NoError(t, d.WriteSegment(ctx, part, id, filled(3, 2)))
		}
		for v := range uint64(3) {
			require.NoError(t, d.SwapHead(ctx, part, v+1, []byte{byte(v)}))
		}
	}
	for _, c := range []struct{ from, to string }{
		{d.SegmentPath(p, ID{1}), d.SegmentPath(p, ID{2})},
		{d.SegmentPath(q, ID{2}), d.SegmentPath(p, ID{2})},
		{d.HeadPath(p, 2), d.SegmentPath(p, ID{2})},
		{d.HeadPath(p, 2), d.HeadPath(p, 3)},
		{d.HeadPath(q, 3), d.HeadPath(p, 3)},
		{d.SegmentPath(p, ID{2}), d.HeadPath(p, 3)},
	} {
		good, err := os.ReadFile(c.to)
		require.NoError(t, err)
		bad, err := os.ReadFile(c.from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(c.to, bad, 0o600))
		_, err1 := d.Read(ctx, p, []Run{{ID{2}, 0, 1}})
		_, _, err2 := d.Head(ctx, p, 0)
		err = errors.Join(err1, err2)
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, c.to)
		require.NoError(t, os.WriteFile(c.to, good, 0o600))
	}
	require.NoError(t, d.Check(ctx))
}

// TestDirForeignFiles: what is not the store's is reported, does not disturb, and stays.
func TestDirForeignFiles(t *testing.T) {
	path := t.TempDir()
	d := dirBefore(t, path)
	part := d.partition(faultPartition)
	foreign := []string{
		filepath.Join(path, "notes.txt"), filepath.Join(path, ".DS_Store"), filepath.Join(path, "0123"),
		filepath.Join(part, "extra"), filepath.Join(part, segmentsDir, "x.segment"),
		filepath.Join(part, segmentsDir, "FF000000000000000000000000000000.segment"), filepath.Join(part, segmentsDir, oldSegment.String()+".segment.bak"),
		filepath.Join(part, headsDir, "1.head"), filepath.Join(part, headsDir, "99999999999999999999.head"),
		filepath.Join(part, headsDir, "00000000000000000000.head"), filepath.Join(part, headsDir, "00000000000000000064.head~"),
		filepath.Join(part, tmpDir, "upload.part"),
	}
	for _, f := range foreign {
		require.NoError(t, os.WriteFile(f, []byte("mine"), 0o600))
	}
	d = openDir(t, path)
	for _, c := range changes {
		require.False(t, c.state(t, d))
	}
	require.NoError(t, changes["swap"].do(d))
	require.NoError(t, changes["write"].do(d))
	infos, err := d.Segments(t.Context(), faultPartition)
	require.NoError(t, err)
	require.Len(t, infos, 2)
	err = d.Check(t.Context())
	for _, f := range foreign {
		require.ErrorContains(t, err, f)
		require.FileExists(t, f)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	require.Len(t, joined.Unwrap(), len(foreign), "and nothing else: %v", err)
}

// TestDirOddFiles: folders, links and names that are taken where files should be.
func TestDirOddFiles(t *testing.T) {
	ctx := t.Context()
	d := dirBefore(t, t.TempDir())
	target := d.SegmentPath(faultPartition, oldSegment)
	link := d.SegmentPath(faultPartition, newSegment)
	require.NoError(t, os.Symlink(target, link))
	_, err := d.Read(ctx, faultPartition, []Run{{newSegment, 0, 1}})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, link)
	require.ErrorIs(t, d.WriteSegment(ctx, faultPartition, newSegment, filled(1, 1)), ErrExists)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Mkdir(link, 0o700))
	_, err = d.Segments(ctx, faultPartition)
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, link)

	require.NoError(t, os.WriteFile(filepath.Join(d.path, ID{0xaa}.String()), nil, 0o600))
	err = d.SwapHead(ctx, ID{0xaa}, 1, nil)
	require.ErrorContains(t, err, ID{0xaa}.String())
	require.ErrorContains(t, err, "move it away")
}

func TestOpenDirRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := OpenDir(file)
	require.ErrorContains(t, err, file)
	_, err = OpenDir(dir)
	require.ErrorContains(t, err, dir, "a folder with something else in it")
	require.NoFileExists(t, filepath.Join(dir, markerName))

	deep := filepath.Join(dir, "a", "b")
	d := openDir(t, deep)
	require.NoError(t, d.SwapHead(t.Context(), ID{1}, 1, []byte("kept")))
	marker := filepath.Join(deep, markerName)
	good, err := os.ReadFile(marker)
	require.NoError(t, err)
	for _, bad := range [][]byte{nil, good[:7], append(bytes.Clone(good), 0), []byte("vcht\x02\x04\x01\x00"), []byte("VCHT\x02\x05\x01\x00"), bytes.Repeat(good, 100)} {
		require.NoError(t, os.WriteFile(marker, bad, 0o600))
		_, err := OpenDir(deep)
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, marker)
	}
	for _, later := range []string{"vcht\x02\x05\x02\x00", "vcht\x02\x05\x01\x01"} {
		require.NoError(t, os.WriteFile(marker, []byte(later), 0o600))
		_, err := OpenDir(deep)
		require.ErrorContains(t, err, "newer program")
	}
	require.NoError(t, os.Remove(marker))
	_, err = OpenDir(deep)
	require.ErrorContains(t, err, markerName, "a lost marker is not taken for an empty folder")
	require.NoError(t, os.WriteFile(marker, good, 0o600))
	blob, _, err := openDir(t, deep).Head(context.Background(), ID{1}, 0)
	require.NoError(t, err)
	require.Equal(t, "kept", string(blob))
}

func TestOpenDirModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	dirBefore(t, path)
	require.NoError(t, filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "%s is the owner's alone", path)
		return nil
	}))
}

func FuzzDirFiles(f *testing.F) {
	p, id := ID{1}, ID{2}
	f.Add(segmentHeader(p, SegmentInfo{ID: id, Pages: 3}))
	f.Add(appendHead(p, 5, []byte("blob")))
	f.Add(appendHead(p, 5, nil)[:50])
	f.Add([]byte("vcht\x02\x01\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := decodeSegmentHeader(b, p, id); err == nil {
			require.Equal(t, b, segmentHeader(p, info), "one encoding")
		}
		if blob, err := decodeHead(b, p, 5); err == nil {
			require.Equal(t, b, appendHead(p, 5, blob), "one encoding")
		}
	})
}
