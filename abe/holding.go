package abe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// holding is what a key is for, apart from its components: the sealing days that it reads and its items, sorted and different.
type holding struct {
	window Window
	items  []atom
}

// holding makes the holding of a new key: every rule for what an authority issues is here.
func (p *Params) holding(window Window, attributes []Attribute) (h holding, err error) {
	if err := window.check(); err != nil {
		return h, err
	}
	if len(attributes) == 0 {
		return h, errors.New("abe: a key needs at least one attribute: name what the holder is or may do")
	}
	if len(attributes) > maxAttributes {
		return h, fmt.Errorf("abe: %d attributes are over the limit of %d: issue several keys", len(attributes), maxAttributes)
	}
	items, err := p.vocabulary.items(attributes)
	if err != nil {
		return h, fmt.Errorf("abe: %w", err)
	}
	h = holding{window, items}
	if atoms := h.size(); len(items) > maxAttributes || atoms > maxAtoms {
		return h, fmt.Errorf("abe: the attributes come to %d with those for what the holder is not, and to %d components of the key; the limits are %d and %d: issue several keys",
			len(items), atoms, maxAttributes, maxAtoms)
	}
	return h, nil
}

// atoms are those that a key has components for, in the order of the components.
func (h holding) atoms() []atom { return keyAtoms(h.items, &h.window) }

// size is the number of atoms, without making them.
func (h holding) size() int {
	size := len(h.window.atoms())
	for _, item := range h.items {
		size += itemSize([]byte(item))
	}
	return size
}

func (h holding) attributes() []Attribute {
	attributes := make([]Attribute, len(h.items))
	for i, item := range h.items {
		attributes[i] = itemAttribute(item)
	}
	return attributes
}

// append appends first day, last day, number of items, and each item with its length.
func (h holding) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(h.window.First))
	b = binary.BigEndian.AppendUint16(b, uint16(h.window.Last))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h.items)))
	for _, item := range h.items {
		b = wire.AppendString(b, string(item))
	}
	return b
}

// decodeHolding reads what append wrote. It looks at all lengths, and at how many atoms the items come to, before it keeps anything.
func decodeHolding(d *wire.Decoder) (h holding) {
	h.window = Window{Day(d.Uint16()), Day(d.Uint16())}
	if err := h.window.check(); d.Err() == nil && err != nil {
		d.Failf("%v", err)
	}
	n := d.Len(maxAttributes, 4)
	if d.Err() == nil && n == 0 {
		d.Failf("a key has at least one attribute")
	}
	ahead, atoms := *d, len(h.window.atoms())
	var before []byte
	for range n {
		item := ahead.Bytes(maxItem)
		if ahead.Err() == nil && bytes.Compare(before, item) >= 0 {
			ahead.Failf("attributes are not sorted")
		}
		before = item
		atoms += itemSize(item)
	}
	if ahead.Err() == nil && atoms > maxAtoms {
		ahead.Failf("%d components are over the limit of %d", atoms, maxAtoms)
	}
	if ahead.Err() != nil {
		*d = ahead
		return holding{}
	}
	h.items = make([]atom, 0, n)
	for range n {
		item, err := decodeItem(d.Bytes(maxItem))
		if err != nil {
			d.Failf("%v", err)
			return holding{}
		}
		if i := len(h.items); i > 0 && sameOrdinal(h.items[i-1], item) {
			d.Failf("%v", twice(item))
			return holding{}
		}
		h.items = append(h.items, item)
	}
	return h
}

// sameOrdinal reports whether two neighbours among the items of a key are numbers, or dates, of one name: a key with both would pass
// negations by the one and comparisons by the other. Items are sorted, so that such items are neighbours, whatever their ranges.
func sameOrdinal(before, item atom) bool {
	const tail = 8 + 8 + 1 + 8 // lo, hi, level, prefix
	if item[1] != atomNumber && item[1] != atomDate {
		return false
	}
	head := item[:len(item)-tail] // version, type and name with its length
	return strings.HasPrefix(string(before), string(head))
}

func twice(item atom) error {
	return fmt.Errorf("%s is there twice: a key has one number or date of a name", itemAttribute(item).Name)
}

// issuingVersion is the version of the formats of docs/spec/issuing.md.
const issuingVersion = 1

func appendIssuing(kind wire.Kind) []byte {
	return wire.AppendHeader(nil, wire.Header{Kind: kind, Version: issuingVersion, Suite: uint8(FABEO)})
}

// decodeIssuing reads the prefix of a format of docs/spec/issuing.md.
func decodeIssuing(d *wire.Decoder, kind wire.Kind) {
	d.About(kind)
	h := d.Header(kind)
	switch {
	case d.Err() != nil:
	case h.Version != issuingVersion:
		d.Failf("version %d of this format is not known here: a newer version of the library may read it", h.Version)
	case Suite(h.Suite) != FABEO:
		d.Failf("suite %d has no such objects here: a newer version of the library may read it", h.Suite)
	}
}

// decodeFABEOParams decodes params of suite FABEO that were read from d. It is called when everything else has the right length.
func decodeFABEOParams(d *wire.Decoder, encoding []byte) (*Params, *fabeoPublic) {
	params, err := NewParams(encoding)
	if err != nil {
		d.Failf("params: %v", err)
		return nil, nil
	}
	public, ok := params.public.(*fabeoPublic)
	if !ok {
		d.Failf("the params are of suite %v, which has no such objects", params.suite)
		return nil, nil
	}
	return params, public
}

// withY is p for another Y and the same hashes: the authority of a share or a multiple of the master secret.
func (p *fabeoPublic) withY(y pairing.GT) *fabeoPublic {
	q := *p
	q.y = y
	q.yTable = sync.OnceValue(func() *pairing.GTTable { return pairing.NewGTTable(y) })
	return &q
}

// unsupported says that the suite of an authority or a key cannot do what was asked for.
func unsupported(what string, suite Suite) error {
	return fmt.Errorf("%w: %s is not there in suite %v", ErrUnsupported, what, suite)
}
