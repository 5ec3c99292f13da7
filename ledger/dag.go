package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The tree of chunks of a blob (docs/spec/ledger.md, section 5): chunks of fixed size, each a raw block; nodes of up to
// fanout links; the left subtrees full. These numbers are part of every CID and never change.
const (
	chunkSize = 1 << 20
	fanout    = 174

	// maxBlob bounds a blob in bytes: four levels of nodes hold more, and sums cannot overflow.
	maxBlob = 1 << 49
	// maxNode bounds an encoded node: 174 links of at most 55 bytes, their sizes of at most 11, and a little.
	maxNode = 16 << 10
)

// The tags of the protocol buffer fields that a node is made of: field number times 8, and the form of the value.
const (
	tagLink = 0x12 // of a node
	tagData = 0x0a

	tagHash  = 0x0a // of a link
	tagName  = 0x12
	tagTsize = 0x18

	tagType      = 0x08 // of the data, a UnixFS message
	tagFileSize  = 0x18
	tagBlockSize = 0x20
	typeFile     = 2
)

// link points to a block: a chunk, or a node over chunks.
type link struct {
	cid   CID
	bytes uint64 // bytes of the blob below it
	tsize uint64 // length of all blocks below it and of itself
}

// node is one inner block.
type node []link

func (n node) size() (bytes uint64) {
	for _, l := range n {
		bytes += l.bytes
	}
	return bytes
}

// encode is the canonical dag-pb encoding of a UnixFS file node without bytes of its own. The links stand before the
// data, a name is written though it is empty: that is how IPFS has always written files.
func (n node) encode() []byte {
	b := make([]byte, 0, 64*len(n)+64)
	for _, l := range n {
		inner := 2 + cidLength + 2 + 1 + uvarintLen(l.tsize)
		b = append(b, tagLink)
		b = binary.AppendUvarint(b, uint64(inner))
		b = append(b, tagHash, cidLength)
		b = append(b, l.cid.Bytes()...)
		b = append(b, tagName, 0)
		b = append(b, tagTsize)
		b = binary.AppendUvarint(b, l.tsize)
	}
	data := []byte{tagType, typeFile}
	data = append(data, tagFileSize)
	data = binary.AppendUvarint(data, n.size())
	for _, l := range n {
		data = append(data, tagBlockSize)
		data = binary.AppendUvarint(data, l.bytes)
	}
	b = append(b, tagData)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func uvarintLen(v uint64) int { return len(binary.AppendUvarint(nil, v)) }

// link is the link to a node.
func (n node) link(encoded []byte) link {
	l := link{cid: sumCID(codecDAGPB, encoded), bytes: n.size(), tsize: uint64(len(encoded))}
	for _, c := range n {
		l.tsize += c.tsize
	}
	return l
}

// parseNode decodes what encode wrote, and nothing else: what it returns encodes to b again.
func parseNode(b []byte) (node, error) {
	p := pbReader{b: b}
	var n node
	if len(b) > maxNode {
		return nil, fmt.Errorf("a node of %d bytes is over the limit of %d", len(b), maxNode)
	}
	for p.err == nil && p.peek() == tagLink {
		p.expect(tagLink)
		p.uvarint() // the length is checked by encoding again
		p.expect(tagHash)
		p.expect(cidLength)
		c, err := parseCIDBytes(p.raw(cidLength))
		if err != nil {
			p.fail(err.Error())
		}
		p.expect(tagName)
		p.expect(0)
		p.expect(tagTsize)
		n = append(n, link{cid: c, tsize: p.uvarint()})
		if len(n) > fanout {
			p.fail("too many links")
		}
	}
	p.expect(tagData)
	p.uvarint()
	p.expect(tagType)
	p.expect(typeFile)
	p.expect(tagFileSize)
	total := p.uvarint()
	for i := range n {
		p.expect(tagBlockSize)
		n[i].bytes = p.uvarint()
		if n[i].bytes == 0 || n[i].bytes > maxBlob || n[i].tsize > 2*maxBlob {
			p.fail("a size is zero or over the limit")
		}
	}
	switch {
	case p.err != nil:
		return nil, p.err
	case len(n) == 0:
		return nil, errors.New("a node without links")
	case len(p.b) != 0:
		return nil, errors.New("trailing bytes")
	case total != n.size():
		return nil, errors.New("the sizes do not add up")
	case string(n.encode()) != string(b):
		return nil, errors.New("not the canonical encoding")
	}
	return n, nil
}

// pbReader reads the few forms of protocol buffers that parseNode needs and remembers its first error.
type pbReader struct {
	b   []byte
	err error
}

func (p *pbReader) fail(why string) {
	if p.err == nil {
		p.err = errors.New(why)
	}
	p.b = nil
}

func (p *pbReader) peek() byte {
	if len(p.b) == 0 {
		return 0
	}
	return p.b[0]
}

func (p *pbReader) raw(n int) []byte {
	if len(p.b) < n {
		p.fail("cut off")
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *pbReader) expect(want byte) {
	if v := p.raw(1); v != nil && v[0] != want {
		p.fail(fmt.Sprintf("byte %#x where %#x is due", v[0], want))
	}
}

func (p *pbReader) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail("cut off or too large a number")
		return 0
	}
	p.b = p.b[n:]
	return v
}

// builder makes the tree of a blob from its chunks, from left to right, in memory that grows with the depth only.
type builder struct {
	fanout int
	levels [][]link                              // links that have no node above them yet
	emit   func(level int, encoded []byte) error // receives each node when it is complete; level 1 is above the chunks
}

// add puts a link at the right end of a level. A full level is closed only when another link follows: a root has no node
// above it.
func (b *builder) add(level int, l link) error {
	if level == len(b.levels) {
		b.levels = append(b.levels, make([]link, 0, b.fanout))
	}
	if len(b.levels[level]) == b.fanout {
		if err := b.closeLevel(level); err != nil {
			return err
		}
	}
	b.levels[level] = append(b.levels[level], l)
	return nil
}

func (b *builder) closeLevel(level int) error {
	n := node(b.levels[level])
	encoded := n.encode()
	if err := b.emit(level+1, encoded); err != nil {
		return err
	}
	up := n.link(encoded)
	b.levels[level] = b.levels[level][:0]
	return b.add(level+1, up)
}

// finish closes what is open and returns the link to the root. There must have been a chunk.
func (b *builder) finish() (link, error) {
	for level := 0; ; level++ {
		if level == len(b.levels)-1 && len(b.levels[level]) == 1 {
			return b.levels[level][0], nil
		}
		if err := b.closeLevel(level); err != nil {
			return link{}, err
		}
	}
}

// depth is the number of levels of nodes above the chunks of a blob of that many bytes.
func depth(bytes uint64) int {
	d := 0
	for n := (bytes + chunkSize - 1) / chunkSize; n > 1; n = (n + fanout - 1) / fanout {
		d++
	}
	return d
}

// fill reads until buf is full or r ends. It is not io.ReadFull, which does not tell a reader that ended from one that
// failed with io.ErrUnexpectedEOF, as decompressors and decryptors do when their input is cut off.
func fill(r io.Reader, buf []byte) (n int, end bool, err error) {
	for idle := 0; n < len(buf); {
		m, err := r.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
		if idle++; m > 0 {
			idle = 0
		} else if idle == 100 {
			return n, false, io.ErrNoProgress
		}
	}
	return n, false, nil
}

// addChunks reads r to its end in chunks, gives each to out, and returns the link to the root. buf has chunkSize bytes.
func addChunks(ctx context.Context, r io.Reader, buf []byte, out func(chunk []byte) error, emit func(level int, encoded []byte) error) (link, error) {
	b := &builder{fanout: fanout, emit: emit}
	var total uint64
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return link{}, err
		}
		n, end, err := fill(r, buf)
		if err != nil {
			return link{}, err
		}
		if n == 0 && !first {
			break
		}
		total += uint64(n)
		if total > maxBlob {
			return link{}, fmt.Errorf("the blob is over the limit of %d bytes; split it", int64(maxBlob))
		}
		if err := out(buf[:n]); err != nil {
			return link{}, err
		}
		if err := b.add(0, link{cid: sumCID(codecRaw, buf[:n]), bytes: uint64(n), tsize: uint64(n)}); err != nil {
			return link{}, err
		}
		if end {
			break
		}
	}
	return b.finish()
}

// ComputeCID reads r to its end and returns the CID of the bytes and their number, without storing them: what
// `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576` prints. Memory is constant.
func ComputeCID(ctx context.Context, r io.Reader) (CID, int64, error) {
	root, err := addChunks(ctx, r, make([]byte, chunkSize),
		func([]byte) error { return nil },
		func(int, []byte) error { return nil })
	return root.cid, int64(root.bytes), err
}
