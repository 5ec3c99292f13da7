package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8               // C2SP tlog-tiles
	tileWidth  = 1 << tileHeight // hashes in a full tile, leaves in a full bundle

	bundles = -1 // the "level" of entry bundles
)

// tilePath is the path of a tile or of an entry bundle, relative to the log: C2SP tlog-tiles. width is the number of
// hashes or leaves in it.
func tilePath(level int, n int64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = filepath.Join(fmt.Sprintf("x%03d", n%1000), name)
	}
	dir := "entries"
	if level >= 0 {
		dir = strconv.Itoa(level)
	}
	if width < tileWidth {
		name = filepath.Join(name+".p", strconv.Itoa(width))
	}
	return filepath.Join("tile", dir, name)
}

// tree is a head together with the right edge of its tiles. It is never changed once it is published, so readers need
// no lock.
type tree struct {
	head *Checkpoint
	edge [][]tlog.Hash // edge[L]: the hashes of the last tile of level L if it is not full, else empty
	last []byte        // the last entry bundle if it is not full
}

// fold is the hash over a full tile.
func fold(hashes []tlog.Hash) tlog.Hash {
	row := append([]tlog.Hash(nil), hashes...)
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// reader reads the tiles of one tree and believes none: a full tile must hash to what its parent says, up to the right
// edge, and that leads to the signed root.
type reader struct {
	ctx  context.Context
	dir  string
	tree *tree
	kept map[int]keptTile // the last verified tile of each level: neighbours share their parents
}

type keptTile struct {
	n      int64
	hashes []tlog.Hash
}

func newReader(ctx context.Context, dir string, t *tree) *reader {
	return &reader{ctx, dir, t, map[int]keptTile{}}
}

const remedyTile = "restore this file from a copy of the log"

// readTile reads the first width hashes of a tile, unverified.
func (r *reader) readTile(level int, n int64, width int) ([]tlog.Hash, string, error) {
	b, path, err := r.readWide(level, n, width, tileWidth*tlog.HashSize)
	if err != nil {
		return nil, path, err
	}
	if len(b) < width*tlog.HashSize || len(b)%tlog.HashSize != 0 {
		return nil, path, &DamageError{File: path, Reason: fmt.Sprintf("the tile has %d bytes, not %d", len(b), width*tlog.HashSize), Remedy: remedyTile}
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], b[i*tlog.HashSize:])
	}
	return hashes, path, nil
}

// readWide reads the file of a tile or bundle of that width, or the full one where the partial one has been swept
// already. A tile file has exactly the width of its name, so a longer or shorter one is damaged.
func (r *reader) readWide(level int, n int64, width, limit int) ([]byte, string, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, "", err
	}
	path := filepath.Join(r.dir, tilePath(level, n, width))
	b, err := readBounded(path, limit)
	exact := width
	if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
		full := filepath.Join(r.dir, tilePath(level, n, tileWidth))
		if b2, err2 := readBounded(full, limit); !errors.Is(err2, fs.ErrNotExist) {
			b, err, path, exact = b2, err2, full, tileWidth
		}
	}
	if err != nil {
		var damage *DamageError
		if errors.Is(err, fs.ErrNotExist) {
			err = &DamageError{File: path, Reason: "the file is missing", Remedy: remedyTile, cause: err}
		} else if !errors.As(err, &damage) {
			err = &DamageError{File: path, Reason: err.Error(), Remedy: "make the file readable, or " + remedyTile, cause: err}
		}
		return nil, path, err
	}
	if level != bundles && len(b) != exact*tlog.HashSize {
		return nil, path, &DamageError{File: path, Reason: fmt.Sprintf("the tile has %d bytes, not %d", len(b), exact*tlog.HashSize), Remedy: remedyTile}
	}
	return b, path, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, &DamageError{File: path, Reason: "this is not a regular file", Remedy: "move it away and restore the file from a copy"}
	}
	if fi.Size() > int64(limit) {
		return nil, &DamageError{File: path, Reason: fmt.Sprintf("%d bytes are over the limit of %d", fi.Size(), limit), Remedy: "move it away and restore the file from a copy"}
	}
	b := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, err
	}
	return b, nil
}

// tile returns the hashes of a tile of the tree, verified: those of the right edge were verified when the tree was read.
func (r *reader) tile(level int, n int64) ([]tlog.Hash, error) {
	count := r.tree.head.Size >> (tileHeight * level) // hashes in this level
	if n == count>>tileHeight {
		return r.tree.edge[level], nil
	}
	if k, ok := r.kept[level]; ok && k.n == n {
		return k.hashes, nil
	}
	parent, err := r.tile(level+1, n>>tileHeight)
	if err != nil {
		return nil, err
	}
	hashes, path, err := r.readTile(level, n, tileWidth)
	if err != nil {
		return nil, err
	}
	if fold(hashes) != parent[n%tileWidth] {
		return nil, &DamageError{File: path, Reason: "its hashes are not those that the signed root stands for", Remedy: remedyTile}
	}
	r.kept[level] = keptTile{n, hashes}
	return hashes, nil
}

// ReadHashes makes a reader a tlog.HashReader.
func (r *reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		t := level / tileHeight
		span := 1 << (level % tileHeight) // hashes of the tile that lie below the wanted one
		first := n * int64(span)
		hashes, err := r.tile(t, first>>tileHeight)
		if err != nil {
			return nil, err
		}
		at := int(first % tileWidth)
		if at+span > len(hashes) {
			return nil, fmt.Errorf("hash %d of level %d lies outside a log of %d leaves", n, level, r.tree.head.Size)
		}
		out[i] = fold(hashes[at : at+span])
	}
	return out, nil
}

// bundle returns the leaves of an entry bundle, verified, as slices of one buffer.
func (r *reader) bundle(n int64) ([][]byte, error) {
	hashes, err := r.tile(0, n)
	if err != nil {
		return nil, err
	}
	b, path, err := r.readWide(bundles, n, len(hashes), maxBundle)
	if err != nil {
		return nil, err
	}
	return checkBundle(b, path, hashes)
}

// checkBundle decodes a bundle and compares it with the hashes of its leaves.
func checkBundle(b []byte, path string, hashes []tlog.Hash) ([][]byte, error) {
	damaged := func(reason string) ([][]byte, error) {
		return nil, &DamageError{File: path, Reason: reason, Remedy: remedyTile}
	}
	leaves, err := parseBundle(b)
	if err != nil {
		return damaged(err.Error())
	}
	full := filepath.Base(filepath.Dir(path))
	partial := filepath.Ext(full) == ".p"
	if len(leaves) < len(hashes) || (partial && len(leaves) != len(hashes)) {
		return damaged(fmt.Sprintf("the bundle has %d leaves, not %d", len(leaves), len(hashes)))
	}
	leaves = leaves[:len(hashes)]
	for i, leaf := range leaves {
		if tlog.RecordHash(leaf) != hashes[i] {
			return damaged(fmt.Sprintf("leaf %d of the bundle is not the one that the signed root stands for", i))
		}
	}
	return leaves, nil
}

// maxBundle bounds an entry bundle in bytes.
const maxBundle = tileWidth * (2 + MaxLeaf)

// appendEntry appends a leaf to a bundle: 16-bit length, bytes (C2SP tlog-tiles).
func appendEntry(b, leaf []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
	return append(b, leaf...)
}

// parseBundle takes a bundle apart: 1 to 256 leaves of allowed length and nothing else.
func parseBundle(b []byte) ([][]byte, error) {
	if len(b) > maxBundle {
		return nil, fmt.Errorf("a bundle of %d bytes is over the limit of %d", len(b), maxBundle)
	}
	var leaves [][]byte
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, errors.New("the bundle is cut off")
		}
		n := int(binary.BigEndian.Uint16(b))
		if err := errLeafLength(n); err != nil {
			return nil, err
		}
		if len(b) < 2+n {
			return nil, errors.New("the bundle is cut off")
		}
		if len(leaves) == tileWidth {
			return nil, fmt.Errorf("the bundle has more than %d leaves", tileWidth)
		}
		leaves = append(leaves, b[2:2+n:2+n])
		b = b[2+n:]
	}
	if len(leaves) == 0 {
		return nil, errors.New("the bundle is empty")
	}
	return leaves, nil
}
