package sse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/veilchart/veilchart/internal/wire"
)

// The encoding is in docs/spec/sse-analysis.md, section Schema. Version 2 is written, versions 1 and 2 are read.
const (
	schemaVersion1 = 1
	schemaVersion  = 2

	// A field takes at least a length, one character, and what has a fixed size.
	minFieldBytes1 = 4 + 1 + 1 + 1 + 8 + 8
	minFieldBytes  = 4 + 1 + 2 + 1 + 2 + 8 + 8 + 1 + 2 + 4
)

// Bytes is the canonical encoding: fields sorted by name, bounds and Words filled in. Schemas that mean the same have the same
// bytes. The schema must be valid; the bytes of another one are refused by NewSchema.
func (s Schema) Bytes() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSESchema, Version: schemaVersion})
	b = binary.BigEndian.AppendUint16(b, analyzerVersion)
	b = binary.BigEndian.AppendUint16(b, s.end())
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Fields)))
	for _, f := range s.sorted() {
		lo, hi := f.bounds()
		number, _ := s.number(f.Name)
		b = wire.AppendString(b, f.Name)
		b = binary.BigEndian.AppendUint16(b, number)
		b = append(b, uint8(f.Type))
		b = binary.BigEndian.AppendUint16(b, f.switches())
		b = binary.BigEndian.AppendUint64(b, uint64(lo))
		b = binary.BigEndian.AppendUint64(b, uint64(hi))
		b = append(b, uint8(min(f.Scale, math.MaxUint8))) // a negative one is refused as well
		b = binary.BigEndian.AppendUint16(b, uint16(f.words()))
		b = wire.AppendString(b, f.Language)
	}
	return b
}

// switches are the booleans as bits.
func (f Field) switches() (bits uint16) {
	for i, s := range fieldSwitches {
		if *s.value(&f) {
			bits |= 1 << i
		}
	}
	return bits
}

func (f *Field) setSwitches(d *wire.Decoder, bits uint16, known int) {
	if d.Err() == nil && bits>>known != 0 {
		d.Failf("unknown flags %#02x of field %q", bits, f.Name)
	}
	for i, s := range fieldSwitches {
		*s.value(f) = bits>>i&1 != 0
	}
}

// NewSchema decodes what Bytes wrote, also in version 1 of the encoding, and validates it. ErrAnalyzer if it belongs to another
// version of the analyzer.
func NewSchema(encoding []byte) (Schema, error) {
	d := wire.NewDecoder(encoding)
	h := d.Header(wire.KindSSESchema)
	if d.Err() == nil && (h.Version != schemaVersion1 && h.Version != schemaVersion || h.Suite != 0) {
		d.Failf("schema of version %d, suite %d: this program reads versions %d and %d, suite 0", h.Version, h.Suite, schemaVersion1, schemaVersion)
	}
	analyzer := d.Uint16()
	if d.Err() == nil && analyzer != analyzerVersion {
		return Schema{}, fmt.Errorf("sse: schema: %w: it was %d, this program has %d: build the index again from the documents", ErrAnalyzer, analyzer, analyzerVersion)
	}
	var s Schema
	if h.Version == schemaVersion1 {
		s.readFields1(d)
	} else {
		s.readFields(d)
	}
	if err := d.Finish(); err != nil {
		return Schema{}, fmt.Errorf("sse: schema: %w", err)
	}
	if h.Version == schemaVersion1 {
		for _, f := range s.Fields {
			if f.Type > Date {
				return Schema{}, f.refuse("version 1 of the encoding has no fields of type %v", f.Type)
			}
		}
	}
	if err := s.Validate(); err != nil {
		return Schema{}, err
	}
	return s, nil
}

// readFields1 reads the fields of version 1, whose numbers are their positions.
func (s *Schema) readFields1(d *wire.Decoder) {
	s.Fields = make([]Field, d.Len(MaxFields, minFieldBytes1))
	for i := range s.Fields {
		f := &s.Fields[i]
		f.Name = d.String(maxFieldName)
		f.Type = Type(d.Uint8())
		f.setSwitches(d, uint16(d.Uint8()), 2)
		f.Min, f.Max = int64(d.Uint64()), int64(d.Uint64())
		s.checkOrder(d, i)
	}
}

func (s *Schema) readFields(d *wire.Decoder) {
	s.next = d.Uint16()
	s.Fields = make([]Field, d.Len(MaxFields, minFieldBytes))
	s.numbers = make(map[string]uint16, len(s.Fields))
	plain := int(s.next) == len(s.Fields)
	taken := make(map[uint16]bool, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		f.Name = d.String(maxFieldName)
		number := d.Uint16()
		f.Type = Type(d.Uint8())
		f.setSwitches(d, d.Uint16(), len(fieldSwitches))
		f.Min, f.Max = int64(d.Uint64()), int64(d.Uint64())
		f.Scale, f.Words, f.Language = int(d.Uint8()), int(d.Uint16()), d.String(maxFieldName)
		s.checkOrder(d, i)
		if d.Err() == nil && f.Rank && f.Words == 0 {
			d.Failf("field %q with Rank and without Words", f.Name)
		}
		if d.Err() == nil && (number >= s.next || taken[number]) {
			d.Failf("field %q has number %d, which is another's or was not given yet", f.Name, number)
		}
		taken[number], s.numbers[f.Name] = true, number
		plain = plain && int(number) == i
	}
	if plain {
		// As a program makes it: numbers are the positions.
		s.numbers, s.next = nil, 0
	}
}

// checkOrder refuses what Bytes does not write.
func (s *Schema) checkOrder(d *wire.Decoder, i int) {
	f := s.Fields[i]
	if d.Err() == nil && i > 0 && f.Name <= s.Fields[i-1].Name {
		d.Failf("field %q is out of order", f.Name)
	}
	if d.Err() == nil && (f.Type == Date || f.Type == Time) && f.Min == 0 && f.Max == 0 {
		d.Failf("%v field %q without bounds", f.Type, f.Name)
	}
}
