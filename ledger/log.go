package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/veilchart/veilchart/internal/wire"
)

const (
	stateVersion = 1
	stateSuite   = 1 // Ed25519 notes, RFC 6962 hashing with SHA-256, tiles of height 8

	checkpointFile = "checkpoint"
	formatFile     = "format"
	lockName       = "lock"
)

// Log is an append-only Merkle log in a local folder (docs/spec/ledger.md, section 2). All methods are safe for
// concurrent use. One process writes at a time; any number read meanwhile.
type Log struct {
	dir    string
	disk   disk
	signer *Signer // nil for a reader
	pub    *Verifier
	lock   *os.File // nil for a reader

	tree atomic.Pointer[tree]

	refresh sync.Mutex // one Refresh at a time

	mu     sync.Mutex    // guards the queue
	queue  []*request    // appends that wait for the next commit
	busy   bool          // a goroutine commits
	idle   chan struct{} // closed when busy ends
	closed bool

	// Only the goroutine that commits touches these.
	broken   error           // set when it is unknown whether a checkpoint is durable
	unsynced map[string]bool // folders whose names must be made durable before the next checkpoint
	chained  bool            // a commit of this process has synced every folder up to the root
}

// OpenLog opens the log in the folder dir for appending and makes an empty one where there is nothing. It takes the
// log's lock; if that is taken it returns ErrLocked at once, since the holder may keep it for days. It verifies the
// checkpoint's signature and the right edge of the tree; Verify looks at everything.
//
// remembered is the Bytes of a checkpoint of this log that the caller kept somewhere else, or nil. The log must contain
// it: a log that was rolled back or rewritten gives a *ConflictError. Only that protects against an old copy of the
// whole folder. A damaged file gives a *DamageError.
func OpenLog(ctx context.Context, dir string, s *Signer, remembered []byte) (*Log, error) {
	if s == nil {
		return nil, errNoKey
	}
	l := &Log{dir: filepath.Clean(dir), signer: s, pub: s.pub, unsynced: map[string]bool{}}
	return l.open(ctx, remembered)
}

// ReadLog opens the log in the folder dir for reading, also while another process appends to it. It takes no lock and
// writes nothing. Checks are those of OpenLog; remembered has the same meaning. The log is read as of now; Refresh moves on.
func ReadLog(ctx context.Context, dir string, v *Verifier, remembered []byte) (*Log, error) {
	if v == nil {
		return nil, errNoKey
	}
	l := &Log{dir: filepath.Clean(dir), pub: v}
	if err := l.load(ctx, remembered); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }

func (l *Log) open(ctx context.Context, remembered []byte) (_ *Log, err error) {
	if _, err := os.Stat(l.dir); errors.Is(err, fs.ErrNotExist) {
		// Before anything is made: a log that is remembered must not be replaced by an empty one.
		if err := l.mustBeNew(remembered); err != nil {
			return nil, err
		}
		made := map[string]bool{}
		if err := errors.Join(l.disk.mkdirs(l.dir, made), l.disk.syncDirs(made)); err != nil {
			return nil, err
		}
	}
	f, busy, err := lockFile(l.path(lockName), true, false)
	switch {
	case err != nil:
		return nil, err
	case busy:
		return nil, fmt.Errorf("%s: %w; close the other one, or use ReadLog", l.path(lockName), ErrLocked)
	}
	l.lock = f
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := l.create(remembered); err != nil {
		return nil, err
	}
	if err := l.load(ctx, remembered); err != nil {
		return nil, err
	}
	// A process that was killed between the rename of a checkpoint and its last sync has left one that is not durable yet.
	if err := errors.Join(removeIfThere(l.path(checkpointFile+tmpSuffix)), l.disk.syncDir(l.dir)); err != nil {
		return nil, err
	}
	return l, nil
}

// create makes the two first files of a log where there is nothing. It finishes what a killed process began.
func (l *Log) create(remembered []byte) error {
	if _, err := os.Lstat(l.path(checkpointFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		switch e.Name() {
		case lockName, formatFile, formatFile + tmpSuffix, checkpointFile + tmpSuffix:
		case "tile":
			return &DamageError{File: l.path(checkpointFile), Reason: "the checkpoint is missing, but there are tiles", Remedy: "restore the checkpoint from a copy of the log, or from where it was remembered or anchored"}
		default:
			return &DamageError{File: l.path(e.Name()), Reason: "this folder holds other files and no log", Remedy: "give the log a folder of its own"}
		}
	}
	if err := l.mustBeNew(remembered); err != nil {
		return err
	}
	if _, err := os.Lstat(l.path(formatFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := l.disk.replaceFile(l.path(formatFile), l.format()); err != nil {
			return err
		}
	} else if err := l.checkFormat(); err != nil {
		return err
	}
	head, err := signCheckpoint(l.signer, 0, emptyRoot)
	if err != nil {
		return err
	}
	_, err = l.disk.replaceFile(l.path(checkpointFile), head.signed)
	return err
}

// mustBeNew refuses to make an empty log where a longer one is remembered.
func (l *Log) mustBeNew(remembered []byte) error {
	if remembered == nil {
		return nil
	}
	c, err := l.rememberedHead(remembered)
	if err != nil {
		return err
	}
	if c.Size > 0 {
		return &ConflictError{File: l.path(checkpointFile), Remembered: c}
	}
	return nil
}

func (l *Log) rememberedHead(remembered []byte) (*Checkpoint, error) {
	c, err := NewCheckpoint(remembered, l.pub)
	if err != nil {
		return nil, fmt.Errorf("the remembered head: %w; pass a checkpoint of this log or none", err)
	}
	return c, nil
}

// format is the file that says what the folder is: docs/spec/ledger.md, section 2.1.
func (l *Log) format() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindLedgerState, Version: stateVersion, Suite: stateSuite})
	return wire.AppendString(b, l.pub.String())
}

func parseFormat(b []byte) (key string, err error) {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindLedgerState)
	if d.Err() == nil && (h.Version != stateVersion || h.Suite != stateSuite) {
		d.Failf("a log of version %d, suite %d; this program knows version %d, suite %d; use a newer one", h.Version, h.Suite, stateVersion, stateSuite)
	}
	key = d.String(maxName + 128)
	return key, d.Finish()
}

func (l *Log) checkFormat() error {
	path := l.path(formatFile)
	b, err := l.readSmall(formatFile, 4096)
	if err != nil {
		return err
	}
	key, err := parseFormat(b)
	if err != nil {
		return &DamageError{File: path, Reason: err.Error(), Remedy: "restore this file from a copy of the log", cause: err}
	}
	if key != l.pub.String() {
		return &DamageError{File: path, Reason: fmt.Sprintf("this log belongs to the key %q, not to %q", key, l.pub), Remedy: "open it with its own key, or restore this file from a copy of the log"}
	}
	return nil
}

func (l *Log) readSmall(name string, limit int) ([]byte, error) {
	b, err := readBounded(l.path(name), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DamageError{File: l.path(name), Reason: "the file is missing", Remedy: "check the path of the log, or restore the file from a copy", cause: err}
	}
	return b, err
}

// load reads the head and the right edge and requires that the log contains the remembered head.
func (l *Log) load(ctx context.Context, remembered []byte) error {
	var old *Checkpoint
	if remembered != nil {
		var err error
		if old, err = l.rememberedHead(remembered); err != nil {
			return err
		}
	}
	if old != nil && old.Size > 0 {
		if _, err := os.Lstat(l.path(formatFile)); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(l.path(checkpointFile)); errors.Is(err, fs.ErrNotExist) {
				return &ConflictError{File: l.path(checkpointFile), Remembered: old}
			}
		}
	}
	if err := l.checkFormat(); err != nil {
		return err
	}
	t, err := l.readTree(ctx)
	if err != nil {
		return err
	}
	if old != nil {
		if err := l.mustContain(ctx, t, old); err != nil {
			return err
		}
	}
	l.tree.Store(t)
	return nil
}

// mustContain requires that old is an earlier head of t. It costs O(log n) reads.
func (l *Log) mustContain(ctx context.Context, t *tree, old *Checkpoint) error {
	if old.Size <= t.head.Size {
		root, err := tlog.TreeHash(old.Size, newReader(ctx, l.dir, t))
		if err != nil {
			return err
		}
		if root == old.Root {
			return nil
		}
	}
	return &ConflictError{File: l.path(checkpointFile), Here: t.head, Remembered: old}
}

// readTree reads the checkpoint and the right edge of its tree, and verifies both.
func (l *Log) readTree(ctx context.Context) (*tree, error) {
	path := l.path(checkpointFile)
	signed, err := l.readSmall(checkpointFile, maxCheckpoint)
	if err != nil {
		return nil, err
	}
	head, err := NewCheckpoint(signed, l.pub)
	if err != nil {
		return nil, &DamageError{File: path, Reason: err.Error(), Remedy: "restore it from a copy of the log, or check that this is the right key", cause: err}
	}
	t := &tree{head: head}
	r := newReader(ctx, l.dir, t)
	var paths []string
	for level := 0; head.Size>>(tileHeight*level) > 0; level++ {
		count := head.Size >> (tileHeight * level)
		var hashes []tlog.Hash
		if width := int(count % tileWidth); width > 0 {
			var path string
			if hashes, path, err = r.readTile(level, count>>tileHeight, width); err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
		t.edge = append(t.edge, hashes)
	}
	root, err := tlog.TreeHash(head.Size, r)
	if err != nil {
		return nil, err
	}
	if root != head.Root {
		return nil, l.blame(r, paths)
	}
	if head.Size > 0 {
		// The bundle with the last leaf; the writer goes on from its bytes.
		n := (head.Size - 1) >> tileHeight
		leaves, err := r.bundle(n)
		if err != nil {
			return nil, err
		}
		if head.Size%tileWidth != 0 {
			for _, leaf := range leaves {
				t.last = appendEntry(t.last, leaf)
			}
		}
	}
	return t, nil
}

// blame finds out which tile of the right edge does not fit the signed root: the bytes below it still tell.
func (l *Log) blame(r *reader, paths []string) error {
	const reason = "its hashes are not those that the signed root stands for"
	i := 0
	for level, hashes := range r.tree.edge {
		if len(hashes) == 0 {
			continue
		}
		path := paths[i]
		i++
		n := r.tree.head.Size >> (tileHeight * level) >> tileHeight
		if level == 0 {
			b, file, err := r.readWide(bundles, n, len(hashes), maxBundle)
			if err != nil {
				return err
			}
			if _, err := checkBundle(b, file, hashes); err != nil {
				return &DamageError{File: path, Reason: reason + ", nor those of the leaves in " + file, Remedy: "restore both files from a copy of the log", cause: err}
			}
			continue
		}
		for j := range hashes {
			below, _, err := r.readTile(level-1, n<<tileHeight+int64(j), tileWidth)
			if err != nil {
				return err
			}
			if fold(below) != hashes[j] {
				return &DamageError{File: path, Reason: reason, Remedy: remedyTile}
			}
		}
	}
	return &DamageError{File: l.path(checkpointFile), Reason: fmt.Sprintf("the tiles do not lead to its root; files that count: %v", paths), Remedy: "checkpoint and tiles are from different copies or logs: restore the whole log from one copy"}
}

// Checkpoint is the present head; for a reader, the head as of ReadLog or the last Refresh.
func (l *Log) Checkpoint() *Checkpoint { return l.tree.Load().head }

// Verifier is the public key of the log.
func (l *Log) Verifier() *Verifier { return l.pub }

// Refresh reads the head of a log that another process appends to. A head that does not contain the one seen before gives
// a *ConflictError and is not taken over. For a log opened with OpenLog it does nothing.
func (l *Log) Refresh(ctx context.Context) error {
	if l.signer != nil {
		return nil
	}
	l.refresh.Lock()
	defer l.refresh.Unlock()
	t, err := l.readTree(ctx)
	if err != nil {
		return err
	}
	if err := l.mustContain(ctx, t, l.Checkpoint()); err != nil {
		return err
	}
	l.tree.Store(t)
	return nil
}

// Close waits for appends under way, then releases the lock. Later appends give an error that wraps os.ErrClosed;
// reading goes on to work.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	idle := l.idle
	if !l.busy {
		idle = nil
	}
	l.mu.Unlock()
	if idle != nil {
		<-idle
	}
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
}
