package he

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/veilchart/veilchart/internal/wire"
)

// Limits of a column: 2^14 blocks are 67 million rows.
const maxBlocks = 1 << 14

// Column is an encrypted column: what the computing server stores. There is no key in it. It is immutable and safe for
// concurrent use. In memory it needs what Bytes has and, once it was evaluated, as much again for the expanded seeds.
type Column struct {
	lat    *lattice
	key    KeyID
	schema schema
	next   uint64
	blocks []*block // ascending index
	digest [32]byte
	tag    [32]byte // HMAC of digest; worth something only after Key.Verify
}

// block is N consecutive rows, sealed once. A later version replaces it in a new Column; columns share unchanged blocks.
type block struct {
	index, version uint32
	parts          []*sealed
}

// sealed is a fresh ciphertext (seed, c0) with c0 + c1*s = T^-1*m + e mod Q (docs/spec/he.md, section 4).
type sealed struct {
	seed   [seedSize]byte
	c0     poly // coefficient form
	digest [32]byte

	once sync.Once
	c1   poly // transformed; see expanded
}

// expanded is c1, derived from the seed when it is first needed and kept.
func (s *sealed) expanded(l *lattice, at place) poly {
	s.once.Do(func() {
		s.c1 = l.expandUniform(&s.seed, at)
		l.ntt(s.c1)
	})
	return s.c1
}

// Schema is what the column was declared as.
func (c *Column) Schema() ColumnSchema { return c.schema.public() }

// KeyID names the key that the column was made under.
func (c *Column) KeyID() KeyID { return c.key }

// Next is the first position that was never used: one more than the largest row.
func (c *Column) Next() uint64 { return c.next }

// Digest is a hash over the schema and all ciphertexts. It names this revision of the column: log or pin it to notice an
// older revision that was put back.
func (c *Column) Digest() [32]byte { return c.digest }

func (c *Column) place(b *block, part int) place {
	return place{c.lat.profile, c.key, c.schema.name, uint16(part), b.index, b.version}
}

// used is the number of leading positions of a block below next: 1 to N.
func (c *Column) used(b *block) int {
	return int(min(uint64(c.lat.n()), c.next-uint64(b.index)*uint64(c.lat.n())))
}

// rows is the public size: how many positions the stored blocks cover.
func (c *Column) rows() int64 {
	var n int64
	for _, b := range c.blocks {
		n += int64(c.used(b))
	}
	return n
}

// slots counts the coefficients that carry noise.
func (c *Column) slots() int { return len(c.blocks) * c.lat.n() }

// partDigest binds a ciphertext to its place.
func (l *lattice) partDigest(s *sealed, at place) [32]byte {
	h := sha256.New()
	h.Write(at.append(wire.AppendString(nil, labelPart)))
	h.Write(s.seed[:])
	h.Write(l.appendPoly(make([]byte, 0, 8*len(l.q)*l.n()), s.c0))
	return [32]byte(h.Sum(nil))
}

// digestOf hashes the description of the column and the digests of its parts.
func (c *Column) digestOf() [32]byte {
	b := c.appendDescription(append(wire.AppendString(nil, labelColumn), byte(c.lat.profile)))
	for _, blk := range c.blocks {
		b = binary.BigEndian.AppendUint32(b, blk.index)
		b = binary.BigEndian.AppendUint32(b, blk.version)
		for _, p := range blk.parts {
			b = append(b, p.digest[:]...)
		}
	}
	return sha256.Sum256(b)
}

// slot is one row in the clear; the zero slot is a row without a value.
type slot struct {
	x       uint64
	present bool
}

// EncryptColumn seals values, in any order of rows, as the first version of a column. A row that is listed twice, a NaN or an
// infinity is refused. It takes less than a millisecond for each part of each block of 4,096 rows on one core.
func (k *Key) EncryptColumn(cs ColumnSchema, values []Value) (*Column, error) {
	s, err := newSchema(cs)
	if err != nil {
		return nil, err
	}
	return k.extend(&Column{lat: k.k.lat, key: k.k.id, schema: s}, nil, values)
}

// Append seals more values at positions of at least c.Next: the last block is sealed again as a new version, the others are
// shared. c stays as it was; whoever stores columns replaces the file. ErrDecrypt if c is not a column of this key.
func (k *Key) Append(c *Column, values []Value) (*Column, error) {
	if err := k.Verify(c); err != nil {
		return nil, err
	}
	for _, v := range values {
		if uint64(v.Row) < c.next {
			return nil, fmt.Errorf("he: column %q: row %d was used before: blocks are written once, give the new value a position of %d or more", c.schema.name, v.Row, c.next)
		}
	}
	if len(values) == 0 {
		return c, nil
	}
	var tail []slot
	inTail := func(v Value) bool { return uint64(v.Row)/uint64(c.lat.n()) == c.next/uint64(c.lat.n()) }
	if n := len(c.blocks); n > 0 && c.next%uint64(c.lat.n()) != 0 && slices.ContainsFunc(values, inTail) {
		var err error
		if tail, err = k.open(c, c.blocks[n-1]); err != nil {
			return nil, err
		}
	}
	return k.extend(c, tail, values)
}

// extend seals values after c, where tail is the content of c's last block if that one is sealed again.
func (k *Key) extend(c *Column, tail []slot, values []Value) (*Column, error) {
	n := k.k.lat.n()
	out := &Column{lat: c.lat, key: c.key, schema: c.schema, next: c.next}
	plain := map[uint32][]slot{}
	listed := map[uint32]*bitmap{}
	old := c.blocks
	version := map[uint32]uint32{} // the version that is replaced
	if tail != nil {
		last := old[len(old)-1]
		old = old[:len(old)-1]
		plain[last.index], listed[last.index], version[last.index] = tail, new(bitmap), last.version
		if last.version == 1<<32-1 {
			return nil, fmt.Errorf("he: column %q: block %d has no version left: re-encrypt the column under a new key", c.schema.name, last.index)
		}
	}
	var slots []slot // of the block in hand, as rows mostly come in order
	var seen *bitmap
	at := uint32(1<<32 - 1)
	for _, v := range values {
		if index := v.Row / uint32(n); index != at {
			at = index
			if plain[at] == nil {
				plain[at], listed[at] = make([]slot, n), new(bitmap)
			}
			slots, seen = plain[at], listed[at]
		}
		i := v.Row % uint32(n)
		if seen[i/64]>>(i%64)&1 == 1 {
			return nil, fmt.Errorf("he: column %q: row %d is listed twice: give one value a row", c.schema.name, v.Row)
		}
		seen[i/64] |= 1 << (i % 64)
		x, ok, err := c.schema.step(v)
		if err != nil {
			return nil, err
		}
		if ok {
			slots[i] = slot{x, true}
		}
		out.next = max(out.next, uint64(v.Row)+1)
	}
	if total := len(old) + len(plain); total > maxBlocks {
		return nil, fmt.Errorf("he: column %q would have %d blocks, the limit is %d: number the rows densely from 0", c.schema.name, total, maxBlocks)
	}
	fresh := make([]*block, 0, len(plain))
	for index := range plain {
		fresh = append(fresh, &block{index: index, version: version[index] + 1})
	}
	slices.SortFunc(fresh, func(a, b *block) int { return int(int64(a.index) - int64(b.index)) })
	out.blocks = append(slices.Clip(old), fresh...)
	return k.seal(out, fresh, func(b *block) []slot { return plain[b.index] })
}

// seal encrypts the parts of fresh blocks of c and closes c with its digest and tag.
func (k *Key) seal(c *Column, fresh []*block, content func(*block) []slot) (*Column, error) {
	parts := c.schema.parts()
	for _, b := range fresh {
		b.parts = make([]*sealed, parts)
	}
	err := parallel(len(fresh)*parts, func(i int) error {
		b, part := fresh[i/parts], i%parts
		b.parts[part] = k.encrypt(c.schema.message(content(b), part), c.place(b, part))
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.digest = c.digestOf()
	c.tag = k.tag(c.digest)
	return c, nil
}

// message is the polynomial of one part: m_i belongs to row i of the block.
func (s schema) message(slots []slot, part int) []uint64 {
	m := make([]uint64, len(slots))
	for i, v := range slots {
		switch {
		case !v.present:
		case part == partValue:
			m[i] = v.x
		case part == partPresence, s.bucket(v.x) == part-firstBucket:
			m[i] = 1
		}
	}
	return m
}
