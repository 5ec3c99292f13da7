package he

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

const columnVersion = 1

// appendDescription is what the digest covers besides the parts; it is also the start of the encoding after the header.
func (c *Column) appendDescription(b []byte) []byte {
	b = append(b, c.key[:]...)
	b = c.schema.append(b)
	b = binary.BigEndian.AppendUint64(b, c.next)
	return binary.BigEndian.AppendUint32(b, uint32(len(c.blocks)))
}

// Bytes is the canonical encoding (docs/spec/he.md, section 7): 64 KiB for each part of each block, parts being x', presence
// and one for each bucket. It is a copy.
func (c *Column) Bytes() []byte {
	size := 8*len(c.lat.q)*c.lat.n() + seedSize
	b := make([]byte, 0, 1024+len(c.blocks)*(8+c.schema.parts()*size))
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindHEColumn, Version: columnVersion, Suite: uint8(c.lat.profile)})
	b = c.appendDescription(b)
	for _, blk := range c.blocks {
		b = binary.BigEndian.AppendUint32(b, blk.index)
		b = binary.BigEndian.AppendUint32(b, blk.version)
		for _, p := range blk.parts {
			b = append(b, p.seed[:]...)
			b = c.lat.appendPoly(b, p.c0)
		}
	}
	b = append(b, c.digest[:]...)
	return append(b, c.tag[:]...)
}

// NewColumn reads a column. It needs no key: it checks the form, the ranges and an unkeyed hash, which finds damage but no
// forgery; a gateway calls Key.Verify next. Errors wrap ErrFormat.
func NewColumn(encoding []byte) (*Column, error) {
	c, claimed, err := decodeColumn(encoding)
	if err == nil && subtle.ConstantTimeCompare(claimed[:], c.digest[:]) != 1 {
		err = fmt.Errorf("%w: the contents do not match their checksum", ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("he: column: %w; the file is damaged or no column of this release: restore it from a copy", err)
	}
	return c, nil
}

// decodeColumn also returns the digest that the encoding claims.
func decodeColumn(encoding []byte) (c *Column, claimed [32]byte, err error) {
	d := wire.NewDecoder(encoding)
	h := d.Header(wire.KindHEColumn)
	checkSuite(d, h, columnVersion)
	if d.Err() != nil {
		return nil, claimed, d.Err()
	}
	lat, err := latticeOf(Profile(h.Suite))
	if err != nil {
		return nil, claimed, err
	}
	c = &Column{lat: lat}
	copy(c.key[:], d.Raw(len(c.key)))
	c.schema = decodeSchema(d)
	c.next = d.Uint64()
	parts := c.schema.parts()
	count := d.Len(maxBlocks, 8+parts*(seedSize+8*len(lat.q)*lat.n()))
	c.blocks = make([]*block, 0, count)
	for range count {
		b := &block{index: d.Uint32(), version: d.Uint32(), parts: make([]*sealed, parts)}
		c.checkBlock(d, b)
		for i := range b.parts {
			b.parts[i] = &sealed{c0: lat.newPoly()}
			copy(b.parts[i].seed[:], d.Raw(seedSize))
			lat.decodePoly(d, b.parts[i].c0)
		}
		if d.Err() != nil {
			break
		}
		c.blocks = append(c.blocks, b)
	}
	c.checkNext(d)
	copy(claimed[:], d.Raw(len(claimed)))
	copy(c.tag[:], d.Raw(len(c.tag)))
	if err := d.Finish(); err != nil {
		return nil, claimed, err
	}
	err = parallel(len(c.blocks)*parts, func(i int) error {
		b, part := c.blocks[i/parts], i%parts
		b.parts[part].digest = lat.partDigest(b.parts[part], c.place(b, part))
		return nil
	})
	c.digest = c.digestOf()
	return c, claimed, err
}

// checkBlock requires ascending blocks that start below next, and versions from 1.
func (c *Column) checkBlock(d *wire.Decoder, b *block) {
	switch n := len(c.blocks); {
	case d.Err() != nil:
	case n > 0 && c.blocks[n-1].index >= b.index:
		d.Failf("block %d after block %d: blocks ascend", b.index, c.blocks[n-1].index)
	case uint64(b.index)*uint64(c.lat.n()) >= c.next:
		d.Failf("block %d starts after the last position %d", b.index, c.next)
	case b.version == 0:
		d.Failf("block %d has version 0: versions count from 1", b.index)
	}
}

// checkNext requires that the last position is in the last block.
func (c *Column) checkNext(d *wire.Decoder) {
	var end uint64
	if n := len(c.blocks); n > 0 {
		end = (uint64(c.blocks[n-1].index) + 1) * uint64(c.lat.n())
	}
	if d.Err() == nil && (c.next > end || c.next > 1<<32) {
		d.Failf("next position %d is not in the last block", c.next)
	}
}

// appendPoly writes the residues modulo q[0], then those modulo q[1], 8 bytes each.
func (l *lattice) appendPoly(b []byte, p poly) []byte {
	for _, r := range p {
		for _, v := range r {
			b = binary.BigEndian.AppendUint64(b, v)
		}
	}
	return b
}

// decodePoly requires every residue to be below its prime.
func (l *lattice) decodePoly(d *wire.Decoder, p poly) {
	for j, q := range l.q {
		raw := d.Raw(8 * l.n())
		if raw == nil {
			return
		}
		for i := range p[j] {
			v := binary.BigEndian.Uint64(raw[8*i:])
			if v >= q {
				d.Failf("coefficient %d is not below the modulus", i)
				return
			}
			p[j][i] = v
		}
	}
}
