package keymgmt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// The root file: the wrapped root key, and during a change of the root key the old and the new one (docs/spec/keymgmt.md,
// section 7). It must never be in a backup.
const (
	rootSettled  uint8 = 1 // one root key
	rootChanging uint8 = 2 // two: the ring's epoch says which one counts
	rootCreating uint8 = 3 // one, and the ring file may not be there yet

	maxRootFile = 16 << 10
)

type rootSlot struct {
	epoch   uint64
	wrapped []byte
}

type rootFile struct {
	ring  ringID
	state uint8
	slots []rootSlot
}

// rootName is what a wrapped root key is bound to.
func rootName(ring ringID, epoch uint64) string {
	return fmt.Sprintf("veilchart/root/%s/%d", hex.EncodeToString(ring[:]), epoch)
}

func (f *rootFile) encode() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindKeyRoot, Version: 1})
	b = append(b, f.ring[:]...)
	b = append(b, f.state)
	for _, s := range f.slots {
		b = binary.BigEndian.AppendUint64(b, s.epoch)
		b = wire.AppendBytes(b, s.wrapped)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decodeRoot(b []byte) (*rootFile, error) {
	d := wire.NewDecoder(b)
	f := &rootFile{}
	if h := d.Header(wire.KindKeyRoot); d.Err() == nil && (h.Version != 1 || h.Suite != 0) {
		d.Failf("root file of format version %d, suite %d; known is version 1, suite 0", h.Version, h.Suite)
	}
	copy(f.ring[:], d.Raw(16))
	f.state = d.Uint8()
	slots := 1
	switch f.state {
	case rootSettled, rootCreating:
	case rootChanging:
		slots = 2
	default:
		d.Failf("unknown state %d", f.state)
	}
	for i := range slots {
		s := rootSlot{epoch: d.Uint64(), wrapped: bytes.Clone(d.Bytes(maxWrapped))}
		if d.Err() == nil && (s.epoch == 0 || len(s.wrapped) == 0) {
			d.Failf("epochs count from 1, and a wrapped key is not empty")
		}
		if d.Err() == nil && i == 1 && s.epoch-1 != f.slots[0].epoch {
			d.Failf("epoch %d does not follow %d", s.epoch, f.slots[0].epoch)
		}
		f.slots = append(f.slots, s)
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

// slot is the root key of an epoch.
func (f *rootFile) slot(epoch uint64) (rootSlot, bool) {
	for _, s := range f.slots {
		if s.epoch == epoch {
			return s, true
		}
	}
	return rootSlot{}, false
}

// last is the newest epoch.
func (f *rootFile) last() uint64 { return f.slots[len(f.slots)-1].epoch }
