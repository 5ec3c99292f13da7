package keymgmt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/veilchart/veilchart/internal/wire"
)

// The ring file: a public header, the sealed pages, a checksum (docs/spec/keymgmt.md, section 6). The checksum tells
// damage from a wrong key; against an attacker the pages protect themselves.
const (
	suiteRing = 1 // AES-256-GCM, HKDF-SHA-256, SHA-256

	ringHeaderSize = wire.HeaderSize + 16 + 8 + 8 + 8
	// stampSize is how much of a ring file tells it from every other: the header, the count, and the root page's number,
	// length and random nonce.
	stampSize = ringHeaderSize + 4 + 8 + 4 + 12

	maxRingFile = 1 << 30
)

type sealedPage struct {
	number uint64
	sealed []byte
}

type ringFile struct {
	ring    ringID
	epoch   uint64
	version uint64
	next    uint64
	pages   []sealedPage // by number
}

func (t *tree) fileHeader() []byte {
	return appendRingHeader(nil, t.ring, t.epoch, t.version, t.next)
}

func appendRingHeader(b []byte, ring ringID, epoch, version, next uint64) []byte {
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindKeyRing, Version: 1, Suite: suiteRing})
	b = append(b, ring[:]...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = binary.BigEndian.AppendUint64(b, version)
	return binary.BigEndian.AppendUint64(b, next)
}

// file seals what changed and returns the ring file.
func (t *tree) file() *ringFile {
	t.root.sealed = nil // the root page is bound to the header
	t.seal(t.root)
	f := &ringFile{ring: t.ring, epoch: t.epoch, version: t.version, next: t.next}
	for p := range t.pages() {
		f.pages = append(f.pages, sealedPage{p.number, p.sealed})
	}
	slices.SortFunc(f.pages, func(a, b sealedPage) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return f
}

func (f *ringFile) encode() []byte {
	size := ringHeaderSize + 4 + sha256.Size
	for _, p := range f.pages {
		size += 12 + len(p.sealed)
	}
	b := appendRingHeader(make([]byte, 0, size), f.ring, f.epoch, f.version, f.next)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.pages)))
	for _, p := range f.pages {
		b = binary.BigEndian.AppendUint64(b, p.number)
		b = wire.AppendBytes(b, p.sealed)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeRing reads a ring file; the pages are slices of b.
func decodeRing(b []byte) (*ringFile, error) {
	d := wire.NewDecoder(b)
	f := &ringFile{}
	if h := d.Header(wire.KindKeyRing); d.Err() == nil && (h.Version != 1 || h.Suite != suiteRing) {
		d.Failf("ring of format version %d, suite %d; known is version 1, suite %d", h.Version, h.Suite, suiteRing)
	}
	copy(f.ring[:], d.Raw(16))
	f.epoch, f.version, f.next = d.Uint64(), d.Uint64(), d.Uint64()
	n := d.Len(maxRingFile/(12+overhead), 12+overhead)
	if d.Err() == nil && (n == 0 || f.epoch == 0 || f.version == 0) {
		d.Failf("epoch, version and the number of pages count from 1")
	}
	f.pages = make([]sealedPage, 0, n)
	for i := range n {
		p := sealedPage{number: d.Uint64()}
		p.sealed = d.Bytes(maxPage + overhead)
		switch {
		case d.Err() != nil:
			return nil, d.Err()
		case i == 0 && p.number != rootPage:
			d.Failf("the first page is number %d, not the root page", p.number)
		case i > 0 && p.number <= f.pages[i-1].number:
			d.Failf("pages out of order")
		case p.number >= f.next:
			d.Failf("page %d is not below %d", p.number, f.next)
		case len(p.sealed) <= overhead:
			d.Failf("page %d is empty", p.number)
		}
		f.pages = append(f.pages, p)
	}
	sum := sha256.Sum256(b[:d.Offset()])
	if got := d.Raw(sha256.Size); d.Err() == nil && !bytes.Equal(got, sum[:]) {
		d.Failf("checksum does not match")
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return f, nil
}
