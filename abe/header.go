package abe

import (
	"crypto/mlkem"
	"encoding/binary"

	"github.com/veilchart/veilchart/internal/wire"
)

// Limits of a header, checked before anything is allocated.
const (
	maxCore     = 1 << 16 // bytes after the length field
	maxPolicy   = 4 << 10
	maxRecordID = 256
)

const (
	fixedSize   = wire.HeaderSize + 4   // prefix and length of the core
	wrappedSize = keySize + tagSize     // payload key and tag
	closingSize = wrappedSize + keySize // what follows the record id
	flagNeeds   = 1                     // flags: a companion key is part of K
)

// Header is the public part of a sealed object: anybody who holds the object reads it.
type Header struct {
	Version        uint8 // of the format: 2, or 1 for old objects
	Suite          Suite
	Authority      [32]byte    // the authority whose keys open it: see Params.Authority
	Day            Day         // the sealing day; 0 in version 1, which has none
	Policy         *Policy     // who may open it
	Vocabulary     *Vocabulary // the declarations that the policy was read with, and no others
	NeedsCompanion bool        // a companion key is needed besides attributes
	Hybrid         bool        // an ML-KEM-768 key is needed besides attributes
	RecordID       string      // as given to SealMany, otherwise ""
	Size           int         // bytes of the header; the payload follows
}

// header is the decoded form; the slices are parts of the object. docs/spec/abe.md section 9.
type header struct {
	Header
	leaves, tau int    // of the policy
	pre         []byte // prefix to the ML-KEM part
	hybrid      []byte // the ML-KEM-768 ciphertext, or empty
	body        []byte // of the suite
	core        []byte // pre, body
	wrapped     []byte // payload key under a key from K
	commit      []byte // to the payload key and the associated data
}

// Inspect reads the header of a sealed object without a key. sealed may be cut anywhere after the header: its first 65,888 bytes are always
// enough. Nothing in a header is authenticated before an object has been opened. Errors are ErrFormat.
func Inspect(sealed []byte) (*Header, error) {
	h, err := decodeHeader(sealed)
	if err != nil {
		return nil, err
	}
	return &h.Header, nil
}

// coreSize is the length of the core after its length field.
func (s *sealer) coreSize() int {
	size := 32 + 8 + 1 + 4 + len(s.policy) + 4 + len(s.declarations) + 4 + s.bodySize
	if s.hybrid != nil {
		size += mlkem.CiphertextSize768
	}
	return size
}

// appendPre appends the part of the header before the body.
func (s *sealer) appendPre(b []byte, hybrid []byte) []byte {
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindABEObject, Version: version2, Suite: uint8(s.params.suite)})
	b = binary.BigEndian.AppendUint32(b, uint32(s.coreSize()))
	b = append(b, s.params.authority[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.day))
	if s.companion != nil {
		b = append(b, flagNeeds)
	} else {
		b = append(b, 0)
	}
	b = wire.AppendString(b, s.policy)
	b = wire.AppendString(b, s.declarations)
	return wire.AppendBytes(b, hybrid)
}

// coreSize reads the prefix and the length of the core: fixedSize bytes. It leaves the rest to be read.
func coreSize(d *wire.Decoder) (version uint8, suite Suite, size int) {
	version, suite = decodePrefix(d, wire.KindABEObject)
	n := d.Uint32()
	if n > maxCore {
		d.Failf("length %d of the header is over the limit of %d", n, maxCore)
		return 0, 0, 0
	}
	return version, suite, int(n)
}

func decodeHeader(b []byte) (*header, error) {
	d := wire.NewDecoder(b)
	h := new(header)
	var size int
	h.Version, h.Suite, size = coreSize(d)
	if d.Err() == nil && d.Remaining() < size {
		d.Failf("truncated: the header has %d more bytes, %d are left: read more of the object", size, d.Remaining())
	}
	copy(h.Authority[:], d.Raw(32))
	day := d.Uint64()
	if h.Version == version1 && day != 0 || day > uint64(LastDay) || h.Version != version1 && day == 0 {
		d.Failf("day %d is no sealing day of version %d", day, h.Version)
	}
	h.Day = Day(day)
	flags := d.Uint8()
	if flags&^flagNeeds != 0 {
		d.Failf("flags %#x are not known here, a newer version of the library may read this", flags)
	}
	h.NeedsCompanion = flags&flagNeeds != 0
	text := d.String(maxPolicy)
	var declarations string
	if h.Version == version1 {
		d.Len(0, 0)
		d.Len(0, 0)
	} else {
		declarations = d.String(maxCore)
		if n := d.Len(mlkem.CiphertextSize768, 1); n != 0 && n != mlkem.CiphertextSize768 {
			d.Failf("an ML-KEM-768 ciphertext has %d bytes, not %d", mlkem.CiphertextSize768, n)
		} else {
			h.hybrid = d.Raw(n)
		}
		h.Hybrid = len(h.hybrid) > 0
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	h.pre = b[:d.Offset()]
	if !h.decodePolicy(d, text, declarations) {
		return nil, d.Err()
	}
	bodySize := fixedSize + size - d.Offset() // of TKN20 it is only known with the formula
	if h.Suite == FABEO {
		bodySize = fabeoBodySize(h.leaves, h.tau)
	}
	if d.Offset()+bodySize != fixedSize+size {
		d.Failf("the header says %d bytes, the policy makes %d", size, d.Offset()+bodySize-fixedSize)
	}
	h.body = d.Raw(bodySize)
	h.core = b[:d.Offset()]
	h.RecordID = d.String(maxRecordID)
	if d.Err() == nil && h.RecordID != "" {
		if err := checkRecordID(h.RecordID); err != nil {
			d.Failf("%v", err)
		}
	}
	h.wrapped = d.Raw(wrappedSize)
	h.commit = d.Raw(keySize)
	if err := d.Err(); err != nil {
		return nil, err
	}
	h.Size = d.Offset()
	return h, nil
}

// decodePolicy reads policy and declarations, each in its one form, and says how large the formula is without making it.
func (h *header) decodePolicy(d *wire.Decoder, text, declarations string) bool {
	policy, err := ParsePolicy(text)
	if err != nil {
		d.Failf("policy: %v", err)
		return false
	}
	if policy.String() != text {
		d.Failf("the policy is not in its canonical form")
		return false
	}
	if h.Version == version1 && !policy.plain() {
		d.Failf("the policy has what version 1 does not know")
		return false
	}
	h.Policy = policy
	if h.Vocabulary, err = decodeDeclarations(policy, declarations); err != nil {
		d.Failf("declarations: %v", err)
		return false
	}
	if h.leaves, h.tau, err = policy.size(h.Vocabulary); err != nil {
		d.Failf("policy: %v", err)
		return false
	}
	if h.Version != version1 {
		h.leaves += dayDigits
	}
	return true
}

// withDay adds the day to the formula of the policy.
func (h *header) withDay(f *formula) *formula {
	if h.Version == version1 {
		return f
	}
	return f.withDay(h.Day)
}
