package sse

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/veilchart/veilchart/internal/wire"
)

// Anchor names a state of a partition. Remember it, or put it into a log, and give it to Open: a store that goes back behind it
// is found out. Hash is SHA-256 of the sealed manifest.
type Anchor struct {
	Counter uint64
	Hash    [32]byte
}

// manifest is what a partition consists of at one moment. It is never changed once it is sealed.
type manifest struct {
	counter     uint64   // the version of the head
	predecessor [32]byte // SHA-256 of the sealed manifest before it, zero for the first
	written     int64    // Unix seconds, by the writer's clock
	profile     Profile
	schema      Schema
	segments    []*segment
	retired     []retired
}

// retired is a segment, or an object with deletions, that readers of older manifests may still want; or one that never was in a manifest and
// is given up: a writer that finds its segment here must not commit it.
type retired struct {
	id ID
	at int64 // Unix seconds
}

const (
	manifestVersion = 2 // written; 1 is read
	manifestSuite   = 1 // HKDF-SHA-256, AES-256-GCM

	manifestSalt  = 32
	manifestLeast = 4096 // sealed length of the smallest
	manifestExtra = wire.HeaderSize + manifestSalt + tagSize
)

func (m *manifest) encode() []byte {
	b := make([]byte, 4, manifestLeast)
	b = binary.BigEndian.AppendUint64(b, m.counter)
	b = append(b, m.predecessor[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.written))
	b = append(b, uint8(m.profile))
	b = wire.AppendBytes(b, m.schema.Bytes())
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.segments)))
	for _, s := range m.segments {
		b = s.append(b)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.retired)))
	for _, r := range m.retired {
		b = append(b, r.id[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return append(b, make([]byte, manifestLength(len(b))-len(b))...)
}

// manifestLength is the padded length for n bytes: that of the smallest manifest, or Padmé.
func manifestLength(n int) int { return max(padme(n), manifestLeast-manifestExtra) }

// decodeManifest reads what encode wrote, or a manifest of version 1.
func decodeManifest(b []byte, version int) (*manifest, error) {
	d := wire.NewDecoder(b)
	n := d.Len(len(b), 1)
	if d.Err() == nil && (len(b) != manifestLength(4+n) || !allZero(b[4+n:])) {
		d.Failf("a manifest of %d bytes is padded to %d, with zeros", n, manifestLength(4+n))
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	d = wire.NewDecoder(b[4 : 4+n])
	m := &manifest{counter: d.Uint64()}
	copy(m.predecessor[:], d.Raw(len(m.predecessor)))
	m.written = int64(d.Uint64())
	m.profile = Profile(d.Uint8())
	if d.Err() == nil {
		if err := m.profile.check(); err != nil {
			return nil, err
		}
		if version == 1 && m.profile != Balanced {
			return nil, fmt.Errorf("sse: a manifest of version 1 with profile %d: when it was written there was Balanced only: use a backup", m.profile)
		}
	}
	schema := d.Bytes(MaxFields * 256)
	if err := d.Err(); err != nil {
		return nil, err
	}
	var err error
	if m.schema, err = NewSchema(schema); err != nil {
		return nil, err
	}
	if h := wire.NewDecoder(schema).Header(wire.KindSSESchema); int(h.Version) > version || version > 1 && !bytes.Equal(schema, m.schema.Bytes()) {
		d.Failf("a schema of version %d in a manifest of version %d", h.Version, version)
	}
	m.segments = make([]*segment, d.Len(maxSegments, minSegmentBytes))
	seen := make(map[ID]bool)
	taken := func(id ID) {
		if d.Err() == nil && seen[id] {
			d.Failf("segment %v stands twice", id)
		}
		seen[id] = true
	}
	for i := range m.segments {
		s := readSegment(d, m.schema, version)
		m.segments[i] = s
		taken(s.id)
		if s.deleted.count > 0 && s.deleted.inline == nil {
			taken(s.deleted.object)
		}
	}
	m.retired = make([]retired, d.Len(maxRetired, 24))
	for i := range m.retired {
		copy(m.retired[i].id[:], d.Raw(16))
		m.retired[i].at = int64(d.Uint64())
		taken(m.retired[i].id)
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return m, nil
}

// sealManifest seals under a key of its own: each attempt has a fresh salt.
func sealManifest(k key, partition ID, m *manifest) []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSEManifest, Version: manifestVersion, Suite: manifestSuite})
	salt := make([]byte, manifestSalt)
	_, _ = rand.Read(salt)
	b = append(b, salt...)
	aad := manifestAAD(b[:wire.HeaderSize], partition, m.counter)
	return gcm(manifestKey(k, partition, salt)).Seal(b, make([]byte, 12), m.encode(), aad)
}

func manifestAAD(header []byte, partition ID, counter uint64) []byte {
	aad := append(slices.Clone(header), partition[:]...)
	return binary.BigEndian.AppendUint64(aad, counter)
}

// openManifest opens the head of that version.
func openManifest(k key, partition ID, version uint64, blob []byte) (*manifest, error) {
	d := wire.NewDecoder(blob)
	h := d.Header(wire.KindSSEManifest)
	if d.Err() == nil && (h.Version < 1 || h.Version > manifestVersion || h.Suite != manifestSuite) {
		return nil, fmt.Errorf("sse: manifest of version %d, suite %d: this program reads versions 1 to %d, suite %d: use a newer one", h.Version, h.Suite, manifestVersion, manifestSuite)
	}
	salt := d.Raw(manifestSalt)
	sealed := d.Raw(d.Remaining())
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("sse: head %d: %w (%w): restore it from a backup", version, ErrDamaged, err)
	}
	aad := manifestAAD(blob[:wire.HeaderSize], partition, version)
	plain, err := gcm(manifestKey(k, partition, salt)).Open(nil, make([]byte, 12), sealed, aad)
	if err != nil {
		return nil, fmt.Errorf("sse: head %d of partition %v %w: try the newer partition key if it was rotated, else restore the head from a backup", version, partition, ErrDecrypt)
	}
	m, err := decodeManifest(plain, int(h.Version))
	if err != nil {
		return nil, fmt.Errorf("sse: head %d: %w", version, err)
	}
	if m.counter != version {
		return nil, fmt.Errorf("sse: head %d says it is number %d: %w: restore it from a backup", version, m.counter, ErrDamaged)
	}
	return m, nil
}

// next is the manifest that follows, with the same segments; the caller changes it before it is sealed.
func (m *manifest) next(blobHash [32]byte, now time.Time) *manifest {
	return &manifest{
		counter: m.counter + 1, predecessor: blobHash, written: now.Unix(), profile: m.profile, schema: m.schema,
		segments: slices.Clone(m.segments), retired: slices.Clone(m.retired),
	}
}

// find returns the segment with the ID.
func (m *manifest) find(id ID) *segment {
	for _, s := range m.segments {
		if s.id == id {
			return s
		}
	}
	return nil
}

func anchorOf(m *manifest, blob []byte) Anchor { return Anchor{m.counter, sha256.Sum256(blob)} }

// givenUp says whether the segment is retired.
func (m *manifest) givenUp(id ID) bool {
	return slices.ContainsFunc(m.retired, func(r retired) bool { return r.id == id })
}
