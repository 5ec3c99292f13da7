package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/veilchart/veilchart/internal/wire"
)

// Batch stores many blobs of a DirBlobs with one durability point. It is for one goroutine at a time; several batches
// may be filled at once.
type Batch struct {
	blobs *DirBlobs
	tmp   string // folder of the half-written files, "" if there is none yet
	next  int
	files []pending
}

// pending is a written file that waits for its place.
type pending struct{ from, to string }

// Batch begins an empty batch. Call Discard when done with it.
func (b *DirBlobs) Batch() *Batch { return &Batch{blobs: b} }

func (p *Batch) tmpFile() (*os.File, error) {
	d := &p.blobs.disk
	if p.tmp == "" {
		parent := filepath.Join(p.blobs.dir, tmpDir)
		if err := d.mkdirs(parent, map[string]bool{}); err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(parent, "batch-")
		if err != nil {
			return nil, err
		}
		p.tmp = dir
	}
	p.next++
	return d.create(filepath.Join(p.tmp, strconv.Itoa(p.next)))
}

// Put writes the blob and returns its CID and length. It is neither durable nor visible before Commit. If r fails, the
// batch is as it was before the call.
func (p *Batch) Put(ctx context.Context, r io.Reader) (_ CID, _ int64, err error) {
	if err := errors.Join(ctx.Err(), p.blobs.open()); err != nil {
		return CID{}, 0, err
	}
	buf := p.blobs.bufs.Get().(*[chunkSize]byte)
	defer p.blobs.bufs.Put(buf)
	f, err := p.tmpFile()
	if err != nil {
		return CID{}, 0, err
	}
	var nodes *os.File
	defer func() {
		if err == nil {
			return
		}
		f.Close()
		err = errors.Join(err, removeIfThere(f.Name()))
		if nodes != nil {
			nodes.Close()
			err = errors.Join(err, removeIfThere(nodes.Name()))
		}
	}()
	d := &p.blobs.disk
	root, err := addChunks(ctx, r, buf[:],
		func(chunk []byte) error { return d.write(f, chunk) },
		func(level int, encoded []byte) error {
			var record []byte
			if nodes == nil {
				if nodes, err = p.tmpFile(); err != nil {
					return err
				}
				record = nodesHeader()
			}
			record = append(record, byte(level))
			return d.write(nodes, wire.AppendBytes(record, encoded))
		})
	if err != nil {
		return CID{}, 0, err
	}
	if err := f.Close(); err != nil {
		return CID{}, 0, err
	}
	if nodes != nil {
		if err := nodes.Close(); err != nil {
			return CID{}, 0, err
		}
		// Before the blob, which means nothing without it.
		p.files = append(p.files, pending{nodes.Name(), p.blobs.nodeFile(root.cid)})
	}
	p.files = append(p.files, pending{f.Name(), p.blobs.File(root.cid)})
	return root.cid, int64(root.bytes), nil
}

// nodesHeader opens a file of nodes: docs/spec/ledger.md, section 6.3.
func nodesHeader() []byte {
	return wire.AppendHeader(make([]byte, 0, maxNode), wire.Header{Kind: wire.KindLedgerNodes, Version: blobsVersion, Suite: blobsSuite})
}

// Commit makes everything that was put durable and visible. The batch is empty afterwards and may be filled again. After
// an error some of the blobs may be in place, complete and right, and the others not: call Commit again, or Discard.
func (p *Batch) Commit(ctx context.Context) error {
	if err := errors.Join(ctx.Err(), p.blobs.open()); err != nil {
		return err
	}
	if len(p.files) == 0 {
		return nil
	}
	b := p.blobs
	b.commits.Lock()
	defer b.commits.Unlock()
	if err := p.syncFiles(); err != nil {
		return p.failed(err)
	}
	for len(p.files) > 0 {
		f := p.files[0]
		dir := filepath.Dir(f.to)
		if !b.shards[dir] {
			if err := b.disk.mkdirs(dir, b.unsynced); err != nil {
				return p.failed(err)
			}
			// A folder that an earlier process made and did not live to sync.
			for up := filepath.Dir(dir); up != b.dir; up = filepath.Dir(up) {
				b.unsynced[up] = true
			}
			b.unsynced[b.dir] = true
		}
		b.unsynced[dir] = true
		if err := b.disk.rename(f.from, f.to); err != nil {
			return p.failed(err)
		}
		p.files = p.files[1:]
	}
	if err := b.syncNames(); err != nil {
		return p.failed(err)
	}
	for dir := range b.unsynced {
		b.shards[dir] = true
	}
	clear(b.unsynced)
	p.files = nil
	return nil
}

func (p *Batch) failed(err error) error {
	return fmt.Errorf("blobs in %s: the batch is not complete: %w; free the disk or mend the cause, then commit again", p.blobs.dir, err)
}

// syncFiles makes the bytes of all new files durable.
func (p *Batch) syncFiles() error {
	d := &p.blobs.disk
	if len(p.files) > syncEach {
		if err := d.check("sync", p.tmp); err != nil {
			return err
		}
		if done, err := syncAll(p.tmp); done || err != nil {
			return err
		}
	}
	for _, f := range p.files {
		file, err := os.OpenFile(f.from, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(d.syncFile(file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// syncNames makes the names of all new files durable.
func (b *DirBlobs) syncNames() error {
	if len(b.unsynced) > syncEach {
		if err := b.disk.check("syncdir", b.dir); err != nil {
			return err
		}
		if done, err := syncAll(b.dir); done || err != nil {
			return err
		}
	}
	return b.disk.syncDirs(b.unsynced)
}

// Discard drops what was put and not committed. After a Commit it drops nothing.
func (p *Batch) Discard() error {
	p.files = nil
	if p.tmp == "" {
		return nil
	}
	tmp := p.tmp
	p.tmp = ""
	return os.RemoveAll(tmp)
}

// parseRecordHeader reads what stands before each node in a file of nodes.
func parseRecordHeader(b []byte) (level, length int, err error) {
	level, length = int(b[0]), int(binary.BigEndian.Uint32(b[1:]))
	if level < 1 || level > maxDepth || length < 1 || length > maxNode {
		return 0, 0, errors.New("no record of a node where one is due")
	}
	return level, length, nil
}
