package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/veilchart/veilchart/internal/wire"
)

// maxDepth bounds the levels of nodes: 174^4 chunks are more than maxBlob.
const maxDepth = 4

// Get opens a blob for verified reading; see Blobs.
func (b *DirBlobs) Get(ctx context.Context, c CID) (_ io.ReadCloser, err error) {
	if err := errors.Join(ctx.Err(), b.open()); err != nil {
		return nil, err
	}
	if _, err := b.stat(c); err != nil {
		return nil, err
	}
	f, err := os.Open(b.File(c))
	if errors.Is(err, os.ErrNotExist) {
		return nil, b.missing(c)
	}
	if err != nil {
		return nil, err
	}
	r := &blobReader{ctx: ctx, blobs: b, cid: c, data: f}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r.size = uint64(fi.Size())
	d := depth(r.size)
	switch {
	case r.size > maxBlob:
		return nil, r.damaged(f.Name(), "the file is over the limit of a blob")
	case c.codec == codecRaw && d > 0:
		return nil, r.damaged(f.Name(), fmt.Sprintf("the file has %d bytes, more than the one chunk that this CID names", r.size))
	case c.codec == codecRaw:
		r.stack = []frame{{level: 1, links: node{{cid: c, bytes: r.size}}}}
		return r, nil
	case d == 0:
		return nil, r.damaged(f.Name(), fmt.Sprintf("the file has %d bytes, fewer than this CID names", r.size))
	}
	if err := r.openNodes(d); err != nil {
		return nil, err
	}
	if err := r.descend(d, link{cid: c, bytes: r.size}); err != nil {
		return nil, err
	}
	// The root is the last node. What stands behind it would never be looked at.
	if fi, err := r.nodes.Stat(); err != nil || fi.Size() != r.cursor[d] {
		return nil, r.damagedNodes("there are bytes behind the last node", err)
	}
	return r, nil
}

// blobReader verifies a blob chunk by chunk, from left to right. The nodes lie in their file in the order in which they
// were completed; each level is read by a cursor of its own, so that nothing is kept but one path from the root.
type blobReader struct {
	ctx    context.Context
	blobs  *DirBlobs
	cid    CID
	size   uint64
	offset uint64 // bytes verified so far
	data   *os.File
	nodes  *os.File

	cursor [maxDepth + 1]int64 // where to look for the next node of a level
	stack  []frame
	buf    *[chunkSize]byte
	chunk  []byte // verified bytes that were not returned yet
	err    error
}

// frame is a verified node whose links are partly followed. Below level 1 are the chunks.
type frame struct {
	level int
	links node
}

func (r *blobReader) damaged(file, reason string) error {
	return &DamageError{File: file, CID: r.cid, Reason: reason, Remedy: remedyBlob}
}

const remedyNodes = "the blob may be whole: put its bytes again, or restore this file from a backup"

func (r *blobReader) damagedNodes(reason string, cause error) error {
	return &DamageError{File: r.blobs.nodeFile(r.cid), CID: r.cid, Reason: reason, Remedy: remedyNodes, cause: cause}
}

func (r *blobReader) openNodes(d int) error {
	f, err := os.Open(r.blobs.nodeFile(r.cid))
	if err != nil {
		reason := err.Error()
		if errors.Is(err, os.ErrNotExist) {
			reason = "the file with the nodes of the blob is missing"
		}
		return r.damagedNodes(reason, err)
	}
	r.nodes = f
	var h [wire.HeaderSize]byte
	if _, err := f.ReadAt(h[:], 0); err != nil {
		return r.damagedNodes("the file is cut off", err)
	}
	dec := wire.NewDecoder(h[:])
	got := dec.Header(wire.KindLedgerNodes)
	if err := dec.Finish(); err != nil {
		return r.damagedNodes(err.Error(), err)
	}
	if got.Version != blobsVersion || got.Suite != blobsSuite {
		return r.damagedNodes(fmt.Sprintf("nodes of version %d, suite %d; this program knows version %d, suite %d", got.Version, got.Suite, blobsVersion, blobsSuite), nil)
	}
	for i := range r.cursor {
		r.cursor[i] = wire.HeaderSize
	}
	return nil
}

// next returns the next node of a level from the file of nodes, unverified.
func (r *blobReader) next(level int) ([]byte, error) {
	for {
		var h [5]byte
		if _, err := r.nodes.ReadAt(h[:], r.cursor[level]); err != nil {
			return nil, r.damagedNodes("the file is cut off", err)
		}
		at, length, err := parseRecordHeader(h[:])
		if err != nil {
			return nil, r.damagedNodes(err.Error(), err)
		}
		begin := r.cursor[level] + int64(len(h))
		r.cursor[level] = begin + int64(length)
		if at != level {
			continue
		}
		b := make([]byte, length)
		if _, err := r.nodes.ReadAt(b, begin); err != nil {
			return nil, r.damagedNodes("the file is cut off", err)
		}
		return b, nil
	}
}

// descend reads the node that l points to, verifies it and puts it on the stack.
func (r *blobReader) descend(level int, l link) error {
	b, err := r.next(level)
	if err != nil {
		return err
	}
	if sumCID(codecDAGPB, b) != l.cid {
		return r.damagedNodes("a node is not the one that the CID stands for", nil)
	}
	// From here on the bytes are those that the CID names, but somebody may have made that CID in another way.
	n, err := parseNode(b)
	if err != nil {
		return r.foreign(err.Error())
	}
	if n.size() != l.bytes {
		if r.stack == nil {
			return r.damaged(r.data.Name(), fmt.Sprintf("the file has %d bytes, not %d", l.bytes, n.size()))
		}
		return r.foreign("the sizes of its nodes contradict each other")
	}
	if err := checkShape(n, level); err != nil {
		return r.foreign(err.Error())
	}
	r.stack = append(r.stack, frame{level, n})
	return nil
}

func (r *blobReader) foreign(reason string) error {
	return r.damagedNodes("the CID was made with other chunks or another tree than this store uses: "+reason, nil)
}

// checkShape requires that a node has the links that builder gives it: all but the last full, of the right codec.
func checkShape(n node, level int) error {
	full, codec := uint64(chunkSize), byte(codecRaw)
	if level > 1 {
		codec = codecDAGPB
	}
	for range level - 1 {
		full *= fanout
	}
	for i, l := range n {
		if l.cid.codec != codec {
			return errors.New("a link of the wrong codec")
		}
		if l.bytes > full || (i < len(n)-1 && l.bytes != full) {
			return fmt.Errorf("a link over %d bytes where %d are due", l.bytes, full)
		}
	}
	return nil
}

// Read returns verified bytes only.
func (r *blobReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.chunk) == 0 {
		if r.err == nil {
			r.err = r.ctx.Err()
		}
		if r.err == nil {
			r.err = r.advance()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// advance reads and verifies the next chunk, or returns io.EOF after the last.
func (r *blobReader) advance() error {
	for len(r.stack) > 0 {
		top := &r.stack[len(r.stack)-1]
		if len(top.links) == 0 {
			r.stack = r.stack[:len(r.stack)-1]
			continue
		}
		l := top.links[0]
		top.links = top.links[1:]
		if top.level > 1 {
			if err := r.descend(top.level-1, l); err != nil {
				return err
			}
			continue
		}
		if r.buf == nil {
			r.buf = r.blobs.bufs.Get().(*[chunkSize]byte)
		}
		chunk := r.buf[:l.bytes]
		if _, err := io.ReadFull(r.data, chunk); err == io.EOF || err == io.ErrUnexpectedEOF {
			return r.damaged(r.data.Name(), fmt.Sprintf("the file is cut off; it had %d bytes", r.size))
		} else if err != nil {
			return err
		}
		if sumCID(codecRaw, chunk) != l.cid {
			return r.damaged(r.data.Name(), fmt.Sprintf("the %d bytes from offset %d are not the ones that the CID stands for", l.bytes, r.offset))
		}
		r.chunk = chunk
		r.offset += l.bytes
		return nil
	}
	return io.EOF
}

// Close releases the files. Reading after it fails.
func (r *blobReader) Close() error {
	if r.data == nil {
		return nil
	}
	err := r.data.Close()
	if r.nodes != nil {
		err = errors.Join(err, r.nodes.Close())
	}
	if r.buf != nil {
		r.blobs.bufs.Put(r.buf)
		r.buf = nil
	}
	r.data, r.chunk, r.stack, r.err = nil, nil, nil, os.ErrClosed
	return err
}
