package ledger

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// MinLeaf is the length in bytes of the shortest leaf: a SHA-256 digest. Shorter values could be guessed.
	MinLeaf = 32
	// MaxLeaf is the length in bytes of the longest leaf, enough for a sealed audit event.
	MaxLeaf = 1024
	// MaxLeaves is the number of leaves that one Append takes.
	MaxLeaves = 1 << 16
)

func errLeafLength(n int) error {
	if n < MinLeaf || n > MaxLeaf {
		return fmt.Errorf("a leaf has %d bytes; leaves have %d to %d: log a digest", n, MinLeaf, MaxLeaf)
	}
	return nil
}

// request is one Append that waits.
type request struct {
	leaves [][]byte
	taken  bool // a commit has it; guarded by Log.mu
	done   chan struct{}
	first  int64
	err    error
}

// Append adds leaves and returns the index, from 0, of the first; the others follow it. It returns once the checkpoint
// that covers them is signed and durable: either all leaves are in, or none is. A leaf has MinLeaf to MaxLeaf bytes and is
// a digest of a ciphertext or a sealed event, never a plaintext: leaves are stored as they are. Appends from several
// goroutines share checkpoints, so that a hundred cost little more than one. The leaves must not change meanwhile.
//
// A ctx that ends before the commit begins takes the leaves back; after that Append waits for the outcome. After a
// failure that leaves the outcome unknown every later Append fails too: open the log again to learn what it holds.
func (l *Log) Append(ctx context.Context, leaves ...[]byte) (first int64, err error) {
	if l.signer == nil {
		return 0, fmt.Errorf("%s: %w; use OpenLog", l.dir, ErrReadOnly)
	}
	if len(leaves) == 0 || len(leaves) > MaxLeaves {
		return 0, fmt.Errorf("%d leaves in one call; pass 1 to %d", len(leaves), MaxLeaves)
	}
	for i, leaf := range leaves {
		if err := errLeafLength(len(leaf)); err != nil {
			return 0, fmt.Errorf("leaf %d of the call: %w", i, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := &request{leaves: leaves, done: make(chan struct{})}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, fmt.Errorf("log %s: %w", l.dir, os.ErrClosed)
	}
	l.queue = append(l.queue, r)
	if !l.busy {
		l.busy, l.idle = true, make(chan struct{})
		go l.commitQueue(l.idle)
	}
	l.mu.Unlock()

	select {
	case <-r.done:
	case <-ctx.Done():
		l.mu.Lock()
		if !r.taken {
			l.queue = slices.DeleteFunc(l.queue, func(q *request) bool { return q == r })
			l.mu.Unlock()
			return 0, ctx.Err()
		}
		l.mu.Unlock()
		<-r.done
	}
	return r.first, r.err
}

// commitQueue commits what waits, together, until nothing waits.
func (l *Log) commitQueue(idle chan struct{}) {
	for {
		l.mu.Lock()
		var group []*request
		leaves := 0
		for len(l.queue) > 0 && (leaves == 0 || leaves+len(l.queue[0].leaves) <= MaxLeaves) {
			r := l.queue[0]
			l.queue = l.queue[1:]
			r.taken = true
			leaves += len(r.leaves)
			group = append(group, r)
		}
		if len(group) == 0 {
			l.busy = false
			close(idle)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		err := l.commit(group)
		for _, r := range group {
			r.err = err
			close(r.done)
		}
	}
}

// newFile is a tile or bundle to be written.
type newFile struct {
	path string
	data []byte
}

// growth collects what a commit adds to a tree.
type growth struct {
	tree
	size  int64
	files []newFile
	swept []string // folders of partial tiles that a full one replaces
}

func (g *growth) emit(level int, n int64, width int, data []byte) {
	g.files = append(g.files, newFile{tilePath(level, n, width), data})
	if width == tileWidth {
		g.swept = append(g.swept, tilePath(level, n, width)+".p")
	}
}

// add puts a hash at the right end of a level. The slices of the tree before are never written to.
func (g *growth) add(level int, h tlog.Hash) {
	if level == len(g.edge) {
		g.edge = append(g.edge, nil)
	}
	g.edge[level] = append(g.edge[level], h)
	if len(g.edge[level]) < tileWidth {
		return
	}
	full := g.edge[level]
	g.edge[level] = nil
	g.emit(level, (g.size-1)>>(tileHeight*(level+1)), tileWidth, tileData(full))
	g.add(level+1, fold(full))
}

func tileData(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// grow computes the files of a tree with more leaves.
func grow(t *tree, group []*request) *growth {
	g := &growth{size: t.head.Size, tree: tree{last: bytes.Clone(t.last)}}
	for _, e := range t.edge {
		g.edge = append(g.edge, slices.Clone(e))
	}
	for _, r := range group {
		for _, leaf := range r.leaves {
			g.last = appendEntry(g.last, leaf)
			g.size++
			if g.size%tileWidth == 0 {
				g.emit(bundles, (g.size-1)>>tileHeight, tileWidth, g.last)
				g.last = nil
			}
			g.add(0, tlog.RecordHash(leaf))
		}
	}
	if g.last != nil {
		g.emit(bundles, g.size>>tileHeight, int(g.size%tileWidth), bytes.Clone(g.last))
	}
	for level, hashes := range g.edge {
		changed := g.size>>(tileHeight*level) != t.head.Size>>(tileHeight*level)
		if len(hashes) > 0 && changed {
			g.emit(level, g.size>>(tileHeight*(level+1)), len(hashes), tileData(hashes))
		}
	}
	return g
}

// commit writes the tiles, makes them durable, and only then puts the new checkpoint in place: whenever the process ends,
// the checkpoint on disk has all its tiles. Tiles beyond the checkpoint mean nothing and are written over.
func (l *Log) commit(group []*request) error {
	if l.broken != nil {
		return l.broken
	}
	old := l.tree.Load()
	g := grow(old, group)
	if g.size > maxSize {
		return fmt.Errorf("log %s: %d leaves are over the limit of %d; begin a new log", l.dir, g.size, int64(maxSize))
	}
	root, err := tlog.TreeHash(g.size, newReader(context.Background(), l.dir, &tree{head: &Checkpoint{Size: g.size}, edge: g.edge}))
	if err != nil {
		return err
	}
	head, err := signCheckpoint(l.signer, g.size, root)
	if err != nil {
		return err
	}
	for _, f := range g.files {
		path := l.path(f.path)
		if err := l.disk.mkdirs(filepath.Dir(path), l.unsynced); err != nil {
			return l.unchanged(err)
		}
		if err := l.disk.writeFile(path, f.data); err != nil {
			return l.unchanged(err)
		}
		// A process that was killed, or a commit that failed, may have left folders whose names are not durable. So the
		// first commit goes up to the root.
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			l.unsynced[dir] = true
			if l.chained || dir == l.dir {
				break
			}
		}
	}
	if err := l.disk.syncDirs(l.unsynced); err != nil {
		return l.unchanged(err)
	}
	clear(l.unsynced)
	l.chained = true
	if renamed, err := l.disk.replaceFile(l.path(checkpointFile), head.signed); err != nil {
		if !renamed {
			return l.unchanged(err)
		}
		l.broken = fmt.Errorf("log %s: it is not known whether the last checkpoint is durable: %w; close the log and open it again", l.dir, err)
		return l.broken
	}
	g.tree.head = head
	l.tree.Store(&g.tree)
	first := old.head.Size
	for _, r := range group {
		r.first = first
		first += int64(len(r.leaves))
	}
	for _, dir := range g.swept {
		// Only tidiness, so errors do not count: readers of an older head take the full tile instead.
		os.RemoveAll(l.path(dir))
	}
	return nil
}

func (l *Log) unchanged(err error) error {
	return fmt.Errorf("log %s: nothing was appended: %w; free the disk or mend the cause, then append again", l.dir, err)
}
