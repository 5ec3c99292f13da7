package abe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/veilchart/veilchart/internal/wire"
)

// atom is one thing that a key has a component for and a row of the share matrix asks for: the canonical encoding of
// docs/spec/policy.md section 7, which is the input of the hash to the curve. The encoding is injective and no atom is the
// beginning of another, so that no two share a curve point.
type atom string

// Types of atoms. Others are reserved.
const (
	atomVersion = 1

	atomFlag   = 1 // name
	atomText   = 2 // name = value
	atomNumber = 3 // the number of this name lies in a dyadic interval of the declared range
	atomDate   = 4 // the same for dates, in days since 1970-01-01
	atomNot    = 5 // name != value, for names declared many
	atomDay    = 6 // the sealing day lies in a base-4 interval
)

const (
	maxItem   = 2 + 4 + maxName + 4 + maxValue // bytes of the longest encoding
	maxItems  = 1024                           // of a key
	dayDigits = 8                              // base-4 digits of a day
)

// interval is the set of the values with one prefix in a declared range: those whose offset from lo, written with
// bitLen(hi-lo) bits, begins with the level bits of prefix. Level 0 is the whole range.
type interval struct {
	level  uint8
	prefix uint64
}

// bitLen is the number of bits of an offset in lo..hi, from 1 to 63 for a range that validRange admits.
func bitLen(lo, hi int64) int { return bits.Len64(uint64(hi) - uint64(lo)) }

// validRange reports whether lo..hi can be declared: two values at least and 2^63 at most.
func validRange(lo, hi int64) bool { return lo < hi && bitLen(lo, hi) <= 63 }

func appendFlagAtom(b []byte, name string) []byte {
	return wire.AppendString(append(b, atomVersion, atomFlag), name)
}

func appendValueAtom(b []byte, kind byte, name, value string) []byte {
	return wire.AppendString(wire.AppendString(append(b, atomVersion, kind), name), value)
}

func appendIntervalAtom(b []byte, kind byte, name string, lo, hi int64, in interval) []byte {
	b = wire.AppendString(append(b, atomVersion, kind), name)
	b = binary.BigEndian.AppendUint64(b, uint64(lo))
	b = binary.BigEndian.AppendUint64(b, uint64(hi))
	return binary.BigEndian.AppendUint64(append(b, in.level), in.prefix)
}

// atom returns the atom of a flag, a text or a Not. Numbers and dates have one only together with their range: see item.
func (a Attribute) atom() atom { return atom(a.encode()) }

func (a Attribute) encode() []byte {
	b := make([]byte, 0, 2+4+len(a.Name)+4+len(a.Value))
	switch {
	case a.Kind == Not:
		return appendValueAtom(b, atomNot, a.Name, a.Value)
	case a.Value == "":
		return appendFlagAtom(b, a.Name)
	}
	return appendValueAtom(b, atomText, a.Name, a.Value)
}

// item returns what a key holds for the attribute: the atom of the exact value.
func (a Attribute) item(v *Vocabulary) (atom, error) {
	if err := a.validate(); err != nil {
		return "", err
	}
	d := v.find(a.Name)
	if err := d.admits(a); err != nil {
		return "", err
	}
	if a.Kind != Number && a.Kind != Date {
		return a.atom(), nil
	}
	x, _ := parseOrdinal(a.Kind, a.Value)
	exact := interval{uint8(bitLen(d.lo, d.hi)), uint64(x) - uint64(d.lo)}
	return atom(appendIntervalAtom(nil, d.is.atomType(), a.Name, d.lo, d.hi, exact)), nil
}

// parsedAtom is the content of an atom of type 1 to 5.
type parsedAtom struct {
	kind   byte
	name   string
	value  string // text and not
	lo, hi int64  // number and date
	in     interval
}

// parseAtom reads an atom of type 1 to 5 in its one form.
func parseAtom(encoding []byte) (p parsedAtom, err error) {
	d := wire.NewDecoder(encoding)
	version, kind := d.Uint8(), d.Uint8()
	if d.Err() == nil && (version != atomVersion || kind < atomFlag || kind > atomNot) {
		return p, fmt.Errorf("attribute of version %d and type %d is not known here: a newer version of the library may read it", version, kind)
	}
	p.kind, p.name = kind, d.String(maxName)
	switch kind {
	case atomText, atomNot:
		p.value = d.String(maxValue)
	case atomNumber, atomDate:
		p.lo, p.hi = int64(d.Uint64()), int64(d.Uint64())
		p.in.level, p.in.prefix = d.Uint8(), d.Uint64()
	}
	if err := d.Finish(); err != nil {
		return p, fmt.Errorf("attribute: %w", err)
	}
	if fix := checkName(p.name); fix != "" {
		return p, fmt.Errorf("attribute %s: %s", appendQuoted(nil, p.name), fix)
	}
	switch kind {
	case atomText, atomNot:
		if fix := checkValue(p.value); fix != "" {
			return p, fmt.Errorf("attribute %s: %s", p.name, fix)
		}
	case atomNumber, atomDate:
		if !validRange(p.lo, p.hi) || kind == atomDate && (p.lo < firstDate || p.hi > lastDate) {
			return p, fmt.Errorf("attribute %s: its range is none", p.name)
		}
		width, last := bitLen(p.lo, p.hi), uint64(p.hi)-uint64(p.lo)
		if int(p.in.level) > width || p.in.prefix > last>>(width-int(p.in.level)) {
			return p, fmt.Errorf("attribute %s: its prefix lies outside its range", p.name)
		}
	}
	return p, nil
}

// decodeItem reads the atom of an exact value, as a key holds it: the only form of it, all of encoding.
func decodeItem(encoding []byte) (atom, error) {
	p, err := parseAtom(encoding)
	if err != nil {
		return "", err
	}
	if (p.kind == atomNumber || p.kind == atomDate) && int(p.in.level) != bitLen(p.lo, p.hi) {
		return "", errors.New("attribute " + p.name + " is a range of values, a key holds one value: get the key from a copy or issued again")
	}
	return atom(encoding), nil
}

// plain reports whether version 1 of the formats knows the item: a flag or a text.
func (a atom) plain() bool { return a[1] == atomFlag || a[1] == atomText }

// itemAttribute is the attribute of an item.
func itemAttribute(item atom) Attribute {
	p, err := parseAtom([]byte(item))
	if err != nil {
		panic("abe: not an item") // items come from item and decodeItem
	}
	switch p.kind {
	case atomNumber:
		return Attribute{Name: p.name, Value: formatOrdinal(Number, int64(p.in.prefix+uint64(p.lo))), Kind: Number}
	case atomDate:
		return Attribute{Name: p.name, Value: formatOrdinal(Date, int64(p.in.prefix+uint64(p.lo))), Kind: Date}
	case atomNot:
		return Attribute{Name: p.name, Value: p.value, Kind: Not}
	}
	return Attribute{Name: p.name, Value: p.value}
}

// itemAtoms returns the atoms that a key has components for because it holds item: for a number or a date all its prefixes,
// the whole range first; otherwise the item.
func itemAtoms(item atom) []atom {
	if item[1] != atomNumber && item[1] != atomDate {
		return []atom{item}
	}
	// The last nine bytes are level and prefix.
	head, width := item[:len(item)-9], item[len(item)-9]
	offset := binary.BigEndian.Uint64([]byte(item[len(item)-8:]))
	atoms := make([]atom, 0, int(width)+1)
	for level := range width + 1 {
		b := append([]byte(head), level)
		atoms = append(atoms, atom(binary.BigEndian.AppendUint64(b, offset>>(width-level))))
	}
	return atoms
}

// dayAtom is the atom of the sealing days whose first level base-4 digits are prefix, out of dayDigits. level is 1 to 8.
func dayAtom(level int, prefix uint16) atom {
	return atom([]byte{atomVersion, atomDay, byte(level), byte(prefix >> 8), byte(prefix)})
}

// dayAtoms returns the atoms of which a reader of an object sealed on day needs one, level 1 first.
func dayAtoms(day uint16) []atom {
	atoms := make([]atom, dayDigits)
	for level := 1; level <= dayDigits; level++ {
		atoms[level-1] = dayAtom(level, day>>(2*(dayDigits-level)))
	}
	return atoms
}

// windowAtoms returns the fewest atoms that cover exactly the days first to last, ascending by level and then by prefix. first is
// not after last. There are at most 44.
func windowAtoms(first, last uint16) []atom {
	byLevel := make([][]atom, dayDigits+1)
	for day := int(first); day <= int(last); {
		level := dayDigits
		for level > 1 {
			size := 1 << (2 * (dayDigits - level + 1))
			if day%size != 0 || day+size-1 > int(last) {
				break
			}
			level--
		}
		size := 1 << (2 * (dayDigits - level))
		byLevel[level] = append(byLevel[level], dayAtom(level, uint16(day/size)))
		day += size
	}
	var atoms []atom
	for _, level := range byLevel {
		atoms = append(atoms, level...)
	}
	return atoms
}
