package abe

import (
	"encoding/binary"

	"github.com/veilchart/veilchart/internal/wire"
)

// Limits of a header, checked before anything is allocated.
const (
	maxCore     = 1 << 16 // bytes after the length field; 4 KiB of policy and 1,024 rows have 55,000
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
	Policy         *Policy
	Params         [32]byte // fingerprint of the params under which it was sealed
	NeedsCompanion bool     // a companion key is needed besides attributes
	RecordID       string   // as given to SealMany, otherwise ""
	Size           int      // bytes of the header; the payload follows
}

// header is the decoded form; the slices are parts of the object. docs/spec/abe.md section 8.
type header struct {
	Header
	pre     []byte // prefix to the reserved ML-KEM part
	c0      []byte // sigma, masked
	enc     []byte // ct1, ct2, ct3
	core    []byte // pre, c0, enc
	wrapped []byte // payload key under a key from K
	commit  []byte // to the payload key and the associated data
}

// Inspect reads the header of a sealed object without a key. sealed may be cut anywhere after the header. Nothing in a header
// is authenticated before an object has been opened. Errors are ErrFormat.
func Inspect(sealed []byte) (*Header, error) {
	h, err := decodeHeader(sealed)
	if err != nil {
		return nil, err
	}
	return &h.Header, nil
}

// appendPre appends the part of the header that the coins depend on. size is the length of the core after its length field.
func appendPre(b []byte, fingerprint [32]byte, policy *Policy, companion bool) []byte {
	start := len(b)
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindABEObject, Version: formatVersion, Suite: suiteFABEO})
	b = append(b, 0, 0, 0, 0) // length of the core, below
	b = append(b, fingerprint[:]...)
	b = binary.BigEndian.AppendUint64(b, 0) // epoch, reserved
	if companion {
		b = append(b, flagNeeds)
	} else {
		b = append(b, 0)
	}
	b = wire.AppendString(b, policy.String())
	b = wire.AppendBytes(b, nil) // ranges and enumerations, reserved
	b = wire.AppendBytes(b, nil) // ML-KEM-768 part, reserved
	size := len(b) - start - fixedSize + keySize + encSize(policy.formula())
	binary.BigEndian.PutUint32(b[start+wire.HeaderSize:], uint32(size))
	return b
}

// coreSize reads the prefix and the length of the core: fixedSize bytes. It leaves the rest to be read.
func coreSize(d *wire.Decoder) int {
	decodePrefix(d, wire.KindABEObject)
	size := d.Uint32()
	if size > maxCore {
		d.Failf("length %d of the header is over the limit of %d", size, maxCore)
		return 0
	}
	return int(size)
}

func decodeHeader(b []byte) (*header, error) {
	d := wire.NewDecoder(b)
	size := coreSize(d)
	if d.Err() == nil && d.Remaining() < size {
		d.Failf("truncated: the header has %d more bytes, %d are left", size, d.Remaining())
	}
	h := new(header)
	copy(h.Params[:], d.Raw(32))
	if epoch := d.Uint64(); epoch != 0 {
		d.Failf("epoch %d: sealing days are not known here, a newer version of the library may read this", epoch)
	}
	flags := d.Uint8()
	if flags&^flagNeeds != 0 {
		d.Failf("flags %#x are not known here, a newer version of the library may read this", flags)
	}
	h.NeedsCompanion = flags&flagNeeds != 0
	text := d.String(maxPolicy)
	d.Len(0, 0) // ranges and enumerations, reserved
	d.Len(0, 0) // ML-KEM-768 part, reserved
	if err := d.Err(); err != nil {
		return nil, err
	}
	h.pre = b[:d.Offset()]
	policy, err := ParsePolicy(text)
	if err != nil {
		d.Failf("policy: %v", err)
		return nil, d.Err()
	}
	if policy.String() != text {
		d.Failf("the policy is not in its canonical form")
	}
	if !policy.plain() {
		d.Failf("the policy holds comparisons or negations, which version 1 does not know")
		return nil, d.Err()
	}
	h.Policy = policy
	h.c0 = d.Raw(keySize)
	h.enc = d.Raw(encSize(policy.formula()))
	if d.Err() == nil && d.Offset() != fixedSize+size {
		d.Failf("the header says %d bytes, the policy makes %d", size, d.Offset()-fixedSize)
	}
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
