package keymgmt

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/veilchart/veilchart/internal/wire"
)

// The key tree is made of pages (docs/spec/keymgmt.md, section 4). A page is sealed under its own random page key; the
// page above holds that key and the SHA-256 of the sealed page. The root page's key is the root key.
const (
	pageLeaf  uint8 = 1 // key versions
	pageInner uint8 = 2 // pages of one tenant, by position
	pageRoot  uint8 = 3 // the tenants' topmost pages, by tenant

	maxFanout  = 64      // entries of a leaf, children of an inner page
	maxTenants = 4096    // children of the root page
	splitBytes = 1 << 16 // a leaf above this splits, unless it has one entry only
	maxPage    = 2 << 20 // one entry of 1 MiB, or 4096 tenants of 255 bytes, and room

	rootPage uint64 = 1 // the root page's number, for ever
)

// State says what may be done with one version of a key.
type State uint8

// The states. A name has at most one primary version.
const (
	StatePrimary   State = 1 // Get returns it: for new data
	StateActive    State = 2 // GetVersion returns it: for old data
	StateDisabled  State = 3 // switched off; Enable brings it back
	StateDestroyed State = 4 // gone; only the name, the version and the receipt are left
)

// String is the state's name in small letters.
func (s State) String() string {
	switch s {
	case StatePrimary:
		return "primary"
	case StateActive:
		return "active"
	case StateDisabled:
		return "disabled"
	case StateDestroyed:
		return "destroyed"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// entry is one version of one key. Its secret stays wrapped in memory.
type entry struct {
	position
	state   State
	created uint64 // microseconds since 1970, UTC
	wrapped []byte // under the leaf's key; of a destroyed key: the number of its receipt, four bytes
	leaf    *page
}

func (e *entry) size() int { return len(e.name) + len(e.wrapped) + 21 }

func (e *entry) info() Info {
	return Info{Name: e.name, Version: e.version, State: e.state, Created: time.UnixMicro(int64(e.created)).UTC()}
}

// page is a page of the tree in memory.
type page struct {
	kind   uint8
	number uint64
	key    []byte
	sealed []byte // nil when the page changed since it was sealed

	entries []*entry   // of a leaf, by position
	bounds  []position // lower bound of each child; in the root page: the tenant, version 0
	kids    []*page
}

func randomKey() []byte {
	k := make([]byte, keySize)
	rand.Read(k)
	return k
}

// pageData is the associated data of a sealed page. fileHeader is empty but for the root page.
func pageData(ring ringID, number uint64, fileHeader []byte) []byte {
	b := wire.AppendString(nil, labelPage)
	b = append(b, ring[:]...)
	b = binary.BigEndian.AppendUint64(b, number)
	return wire.AppendBytes(b, fileHeader)
}

// encode is the plaintext of the page, with what it says of its children.
func (p *page) encode(kids []child) []byte {
	b := []byte{p.kind}
	if p.kind == pageLeaf {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p.entries)))
		for _, e := range p.entries {
			b = wire.AppendString(b, e.name)
			b = binary.BigEndian.AppendUint32(b, e.version)
			b = append(b, byte(e.state))
			b = binary.BigEndian.AppendUint64(b, e.created)
			b = wire.AppendBytes(b, e.wrapped)
		}
		return b
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(kids)))
	for i, kid := range kids {
		b = wire.AppendString(b, p.bounds[i].name)
		b = binary.BigEndian.AppendUint32(b, p.bounds[i].version)
		b = binary.BigEndian.AppendUint64(b, kid.number)
		b = append(b, kid.key...)
		b = append(b, kid.digest[:]...)
	}
	return b
}

// child is what a page says of a page below it.
type child struct {
	number uint64
	key    []byte
	digest [sha256.Size]byte
}

// decodePage reads a page's plaintext. The children's pages are left to the caller. What it returns shares no memory
// with b.
func decodePage(b []byte, number uint64) (*page, []child, error) {
	d := wire.NewDecoder(b)
	p := &page{kind: d.Uint8(), number: number}
	var kids []child
	switch {
	case d.Err() != nil:
	case p.kind == pageLeaf:
		n := d.Len(maxFanout, 4+1+4+1+8+4)
		for range n {
			e := &entry{leaf: p}
			e.name, e.version = d.String(maxName), d.Uint32()
			e.state, e.created = State(d.Uint8()), d.Uint64()
			e.wrapped = bytes.Clone(d.Bytes(MaxSecretSize + overhead))
			if d.Err() != nil {
				break
			}
			checkEntry(d, e)
			if k := len(p.entries); k > 0 && p.entries[k-1].compare(e.position) >= 0 {
				d.Failf("keys out of order")
			}
			p.entries = append(p.entries, e)
		}
		if len(p.entries) == 0 {
			d.Failf("a leaf page is never empty")
		}
	case p.kind == pageInner || p.kind == pageRoot:
		limit := maxFanout
		if p.kind == pageRoot {
			limit = maxTenants
		}
		n := d.Len(limit, 4+4+8+keySize+sha256.Size)
		for i := range n {
			at := position{d.String(maxName), d.Uint32()}
			c := child{number: d.Uint64(), key: bytes.Clone(d.Raw(keySize))}
			copy(c.digest[:], d.Raw(sha256.Size))
			if d.Err() != nil {
				break
			}
			if i > 0 && p.bounds[i-1].compare(at) >= 0 {
				d.Failf("children out of order")
			}
			if p.kind == pageRoot && at.version != 0 {
				d.Failf("a tenant has no version")
			}
			p.bounds, kids = append(p.bounds, at), append(kids, c)
		}
		if len(kids) == 0 {
			d.Failf("a page above others is never empty")
		}
	default:
		d.Failf("page of unknown kind %d", p.kind)
	}
	if err := d.Finish(); err != nil {
		return nil, nil, err
	}
	return p, kids, nil
}

func checkEntry(d *wire.Decoder, e *entry) {
	if err := checkName(e.name); err != nil {
		d.Failf("%v", err)
	}
	if e.version == 0 {
		d.Failf("versions count from 1")
	}
	if e.created > maxMicros {
		d.Failf("time out of range")
	}
	switch e.state {
	case StatePrimary, StateActive, StateDisabled:
		if len(e.wrapped) <= overhead {
			d.Failf("a living key of no bytes")
		}
	case StateDestroyed:
		if len(e.wrapped) != 4 {
			d.Failf("a destroyed key keeps four bytes, not %d", len(e.wrapped))
		}
	default:
		d.Failf("unknown key state %d", e.state)
	}
}

// maxMicros is the last microsecond of the year 9999.
const maxMicros = 253402300799_999999

func (p *page) overfull() bool {
	if p.kind != pageLeaf {
		return p.kind == pageInner && len(p.kids) > maxFanout
	}
	if len(p.entries) < 2 {
		return false
	}
	sum := 0
	for _, e := range p.entries {
		sum += e.size()
	}
	return sum > splitBytes || len(p.entries) > maxFanout
}

// half is where an overfull page splits: the middle, by bytes in a leaf.
func (p *page) half() int {
	if p.kind != pageLeaf {
		return len(p.kids) / 2
	}
	sum, upto := 0, 0
	for _, e := range p.entries {
		sum += e.size()
	}
	for i, e := range p.entries {
		if upto += e.size(); 2*upto >= sum {
			return min(max(i, 1), len(p.entries)-1)
		}
	}
	return len(p.entries) / 2
}
