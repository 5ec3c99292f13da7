package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/veilchart/veilchart/internal/wire"
)

// Blobs is a content store: it keeps streams of bytes under their CID. DirBlobs is one; an IPFS node can be another.
// Package ledgertest has the tests that every implementation must pass. All methods are safe for concurrent use. What is
// stored should be ciphertext: a CID reveals which blobs are equal.
type Blobs interface {
	// Put stores what r gives until it ends, durably, and returns the CID and the number of bytes. Nothing is stored if r
	// fails. Storing the same bytes again is a success, and mends a damaged copy.
	Put(ctx context.Context, r io.Reader) (CID, int64, error)

	// Get streams a blob. Every chunk is verified against the CID before a byte of it is returned; a Read that finds other
	// bytes returns a *DamageError and never io.EOF. A missing blob gives an error that wraps ErrNotFound. The caller
	// closes the reader, which ends with ctx.
	Get(ctx context.Context, c CID) (io.ReadCloser, error)

	// Has says whether the store holds the blob, without verifying it.
	Has(ctx context.Context, c CID) (bool, error)

	// Size is the number of bytes of the blob, as stored, without verifying it. A missing blob gives ErrNotFound.
	Size(ctx context.Context, c CID) (int64, error)

	// Delete removes the blob, durably. Deleting what is not there is a success.
	Delete(ctx context.Context, c CID) error

	// All yields the CIDs of the store in no particular order. Blobs put or deleted meanwhile may be missed or seen.
	All(ctx context.Context) iter.Seq2[CID, error]
}

const (
	blobsVersion = 1
	blobsSuite   = 1 // SHA-256; chunks of 1 MiB; up to 174 links in a node

	blobsDir   = "blobs"
	tmpDir     = "tmp"
	nodeSuffix = ".nodes"

	// syncEach is the number of files up to which each is made durable on its own; above it the whole file system is.
	syncEach = 32
)

// DirBlobs keeps blobs in a local folder, one file each (docs/spec/ledger.md, section 6). Several processes may share the
// folder. Memory does not grow with the size of a blob.
type DirBlobs struct {
	dir  string
	disk disk
	lock *os.File // shared by all who have the folder open; sweeping wants it alone
	bufs sync.Pool

	mu sync.Mutex // guards lock

	commits  sync.Mutex      // one commit at a time; guards what follows
	shards   map[string]bool // folders known to be there, and durable
	unsynced map[string]bool // folders with names that are not durable yet
}

var _ Blobs = (*DirBlobs)(nil)

// OpenBlobs opens the store in the folder dir and makes an empty one where there is nothing. Files that a killed process
// left half-written are swept, unless another process has the store open.
func OpenBlobs(dir string) (_ *DirBlobs, err error) {
	b := &DirBlobs{dir: filepath.Clean(dir), shards: map[string]bool{}, unsynced: map[string]bool{}}
	b.bufs.New = func() any { return new([chunkSize]byte) }
	made := map[string]bool{}
	if err := errors.Join(b.disk.mkdirs(b.dir, made), b.disk.syncDirs(made)); err != nil {
		return nil, err
	}
	lockPath := filepath.Join(b.dir, lockName)
	f, busy, err := lockFile(lockPath, true, false)
	if err != nil {
		return nil, err
	}
	if !busy {
		if err := errors.Join(b.create(), b.sweep(), f.Close()); err != nil {
			return nil, err
		}
	}
	if f, _, err = lockFile(lockPath, false, true); err != nil {
		return nil, err
	}
	b.lock = f
	if err := b.checkFormat(); err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

// create makes the first file of a store where there is nothing.
func (b *DirBlobs) create() error {
	path := filepath.Join(b.dir, formatFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		switch e.Name() {
		case lockName, formatFile + tmpSuffix:
		case blobsDir:
			return &DamageError{File: path, Reason: "the file is missing, but there are blobs", Remedy: "restore this file from a copy of a blob folder: it is the same in all"}
		default:
			return &DamageError{File: filepath.Join(b.dir, e.Name()), Reason: "this folder holds other files and no blobs", Remedy: "give the blobs a folder of their own"}
		}
	}
	_, err = b.disk.replaceFile(path, blobsFormat())
	return err
}

// blobsFormat is the file that says what the folder is: docs/spec/ledger.md, section 6.1.
func blobsFormat() []byte {
	h := wire.AppendHeader(nil, wire.Header{Kind: wire.KindLedgerBlobs, Version: blobsVersion, Suite: blobsSuite})
	h = binary.BigEndian.AppendUint32(h, chunkSize)
	return binary.BigEndian.AppendUint32(h, fanout)
}

func parseBlobsFormat(b []byte) error {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindLedgerBlobs)
	if d.Err() == nil && (h.Version != blobsVersion || h.Suite != blobsSuite) {
		d.Failf("a blob folder of version %d, suite %d; this program knows version %d, suite %d; use a newer one", h.Version, h.Suite, blobsVersion, blobsSuite)
	}
	if chunk, links := d.Uint32(), d.Uint32(); d.Err() == nil && (chunk != chunkSize || links != fanout) {
		d.Failf("chunks of %d bytes and %d links; this suite has %d and %d", chunk, links, chunkSize, fanout)
	}
	return d.Finish()
}

func (b *DirBlobs) checkFormat() error {
	path := filepath.Join(b.dir, formatFile)
	text, err := readBounded(path, 4096)
	if err == nil {
		err = parseBlobsFormat(text)
	}
	if err != nil {
		return &DamageError{File: path, Reason: err.Error(), Remedy: "restore this file from a copy of a blob folder: it is the same in all", cause: err}
	}
	return nil
}

// sweep removes what killed processes left. The caller has the folder alone.
func (b *DirBlobs) sweep() error {
	return errors.Join(os.RemoveAll(filepath.Join(b.dir, tmpDir)), removeIfThere(filepath.Join(b.dir, formatFile+tmpSuffix)))
}

// Close lets others sweep the folder. Readers that are open stay open. Close no store while a Batch of it is at work.
func (b *DirBlobs) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lock == nil {
		return nil
	}
	err := b.lock.Close()
	b.lock = nil
	return err
}

func (b *DirBlobs) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lock == nil {
		return fmt.Errorf("blobs in %s: %w", b.dir, os.ErrClosed)
	}
	return nil
}

// File is the path of the file that holds the bytes of c, whether it is there or not.
func (b *DirBlobs) File(c CID) string {
	text := c.String()
	// The last character carries three bits only; the two before it are evenly spread: 32 times 32 folders.
	n := len(text)
	return filepath.Join(b.dir, blobsDir, text[n-2:n-1], text[n-3:n-2], text)
}

func (b *DirBlobs) nodeFile(c CID) string { return b.File(c) + nodeSuffix }

// Put stores one blob; see Blobs. It costs four file system syncs or so; for many blobs use Batch.
func (b *DirBlobs) Put(ctx context.Context, r io.Reader) (CID, int64, error) {
	batch := b.Batch()
	c, n, err := batch.Put(ctx, r)
	if err == nil {
		err = batch.Commit(ctx)
	}
	if err = errors.Join(err, batch.Discard()); err != nil {
		return CID{}, 0, err
	}
	return c, n, nil
}

func (b *DirBlobs) missing(c CID) error {
	return &DamageError{File: b.File(c), CID: c, Reason: "the file is missing", Remedy: remedyBlob, cause: ErrNotFound}
}

const remedyBlob = "restore it from a backup or put the blob again from another node; the CID proves which bytes are right"

// stat finds the file of a blob.
func (b *DirBlobs) stat(c CID) (fs.FileInfo, error) {
	fi, err := os.Lstat(b.File(c))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, b.missing(c)
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, &DamageError{File: b.File(c), CID: c, Reason: "this is not a regular file", Remedy: "move it away and " + remedyBlob}
	}
	return fi, nil
}

// Has says whether the blob is there; see Blobs.
func (b *DirBlobs) Has(ctx context.Context, c CID) (bool, error) {
	if err := errors.Join(ctx.Err(), b.open()); err != nil {
		return false, err
	}
	_, err := b.stat(c)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Size is the length of the blob; see Blobs.
func (b *DirBlobs) Size(ctx context.Context, c CID) (int64, error) {
	if err := errors.Join(ctx.Err(), b.open()); err != nil {
		return 0, err
	}
	fi, err := b.stat(c)
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// Delete removes the blob; see Blobs. The bytes may remain on the medium: to make a record unreadable destroy its key.
func (b *DirBlobs) Delete(ctx context.Context, c CID) error {
	if err := errors.Join(ctx.Err(), b.open()); err != nil {
		return err
	}
	for _, path := range []string{b.File(c), b.nodeFile(c)} { // the blob first: nodes alone mean nothing
		if err := b.disk.check("remove", path); err != nil {
			return err
		}
		if err := removeIfThere(path); err != nil {
			return err
		}
	}
	dir := filepath.Dir(b.File(c))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return b.disk.syncDir(dir)
}

// All yields the CIDs in the folder; see Blobs. A file that does not belong there gives a *DamageError, and All goes on.
func (b *DirBlobs) All(ctx context.Context) iter.Seq2[CID, error] {
	return func(yield func(CID, error) bool) {
		if err := b.open(); err != nil {
			yield(CID{}, err)
			return
		}
		b.walk(ctx, filepath.Join(b.dir, blobsDir), 2, yield)
	}
}

// walk yields what is in dir, which has so many levels of folders. It says whether to go on.
func (b *DirBlobs) walk(ctx context.Context, dir string, levels int, yield func(CID, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(CID{}, err)
		return false
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield(CID{}, err)
		return false
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if levels > 0 && e.IsDir() && len(e.Name()) == 1 {
			if !b.walk(ctx, path, levels-1, yield) {
				return false
			}
			continue
		}
		name, isNodes := strings.CutSuffix(e.Name(), nodeSuffix)
		c, err := ParseCID(name)
		foreign := err != nil || b.File(c) != filepath.Join(dir, name) || !e.Type().IsRegular() || (isNodes && c.codec != codecDAGPB)
		switch {
		case foreign:
			err := &DamageError{File: path, Reason: "this is not a blob's file in its place", Remedy: "move it away"}
			if !yield(CID{}, err) {
				return false
			}
		case !isNodes:
			if !yield(c, nil) {
				return false
			}
		}
	}
	return true
}

// Verify reads every blob and checks its bytes. It reports every damaged or foreign file, up to 64, as a *DamageError;
// errors.As finds the first. A blob that is missing altogether is not noticed: compare with the log. progress, if not
// nil, is called after each blob with the blobs checked so far and their number at the start.
func (b *DirBlobs) Verify(ctx context.Context, progress func(done, total int64)) error {
	var total, done int64
	for _, err := range b.All(ctx) {
		if err == nil {
			total++
		}
	}
	var found findings
	buf := b.bufs.Get().(*[chunkSize]byte)
	defer b.bufs.Put(buf)
	for c, err := range b.All(ctx) {
		if err == nil {
			err = b.verifyOne(ctx, c, buf[:])
			done++
			if progress != nil {
				progress(done, max(done, total))
			}
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
		}
		if err != nil && !found.add(err) {
			break
		}
	}
	return found.join()
}

func (b *DirBlobs) verifyOne(ctx context.Context, c CID, buf []byte) (err error) {
	r, err := b.Get(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		if _, err := r.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
