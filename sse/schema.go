package sse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/veilchart/veilchart/internal/wire"
)

var (
	// ErrSchema is wrapped by the errors for a schema that cannot be used, for a field that the schema does not have, and for
	// a value or a query that does not fit its field. The message names the field and shows the value, shortened; keep it
	// out of logs where values are confidential.
	ErrSchema = errors.New("does not fit the schema")
	// ErrAnalyzer is returned for a schema whose index was built by another version of the analyzer. Its words would not
	// be found, so it is refused: build the index again from the documents.
	ErrAnalyzer = errors.New("index was built with another version of the analyzer")
)

// Limits of a schema and of values.
const (
	MaxFields  = 64      // fields in a schema
	MaxKeyword = 1024    // bytes of a value of a Keyword field, after normalisation
	MaxText    = 4 << 20 // bytes of a value of a Text field

	maxFieldName = 64
)

// analyzerVersion numbers the rules of docs/spec/sse-analysis.md. It is stored in every schema. It goes up with any change
// after which some text gives other terms.
const analyzerVersion = 1

// Type is the type of a field. It decides which values the field takes and which queries can be asked of it.
type Type uint8

// The types of fields. The numbers 5 and 6 are kept for names (phonetic, tolerant of typing errors) and for identifiers of
// raw bytes; a schema with them is refused until they exist.
const (
	// Keyword takes strings that are found whole: codes, names of wards, identifiers. Upper and lower case differ; only the
	// Unicode spelling is unified (NFC).
	Keyword Type = 1
	// Text takes prose and names. It is found by its words, whatever their case, accents and width; languages written
	// without spaces are found by pairs of characters.
	Text Type = 2
	// Integer takes whole numbers from Field.Min to Field.Max, found by value and by range.
	Integer Type = 3
	// Date takes calendar days, found by day and by range.
	Date Type = 4

	typeName  Type = 5
	typeBytes Type = 6
)

// String is the name of the type in lower case.
func (t Type) String() string {
	switch t {
	case Keyword:
		return "keyword"
	case Text:
		return "text"
	case Integer:
		return "integer"
	case Date:
		return "date"
	case typeName:
		return "name"
	case typeBytes:
		return "bytes"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Field is one field of a schema.
type Field struct {
	// Name is 1 to 64 of the characters a to z, 0 to 9, '_', '-' and '.', and begins with a letter.
	Name string
	// Type says what the field takes.
	Type Type
	// Min and Max bound the values of an Integer field, both included; Max is at least Min+2. The narrower the interval, the
	// fewer terms a value costs. For a Date field they are DayNumbers, and 0, 0 stands for 0001-01-01 to 9999-12-31.
	Min, Max int64
	// Prefix lets a Keyword or Text field be searched by the beginning of a word. It keeps a vocabulary, as Fuzzy does.
	Prefix bool
	// Fuzzy lets a Keyword or Text field be searched with typing errors.
	Fuzzy bool
}

// Schema lists the fields of an index. It is fixed when the index is made. The order of fields has no meaning.
//
// There is no type for yes and no. The two lists of a lone boolean give away by their lengths what each stands for. Let it
// be one of many values of a Keyword field instead: "smoker" in a field "flags".
type Schema struct {
	Fields []Field
}

// Validate reports the first thing that is wrong with the schema; the error wraps ErrSchema.
func (s Schema) Validate() error {
	if len(s.Fields) == 0 {
		return fmt.Errorf("sse: a schema without fields %w: add at least one", ErrSchema)
	}
	if len(s.Fields) > MaxFields {
		return fmt.Errorf("sse: a schema with %d fields %w: %d is the limit", len(s.Fields), ErrSchema, MaxFields)
	}
	seen := make(map[string]bool, len(s.Fields))
	for _, f := range s.Fields {
		if err := f.validate(); err != nil {
			return err
		}
		if seen[f.Name] {
			return f.refuse("stands twice in the schema: rename one")
		}
		seen[f.Name] = true
	}
	return nil
}

func (f Field) validate() error {
	if !validFieldName(f.Name) {
		return f.refuse("its name is not 1 to %d of a-z, 0-9, '_', '-', '.', beginning with a letter", maxFieldName)
	}
	switch f.Type {
	case Keyword, Text:
		if f.Min != 0 || f.Max != 0 {
			return f.refuse("Min and Max are for integer and date fields, not for %v", f.Type)
		}
		return nil
	case Integer:
		if f.Min > f.Max {
			return f.refuse("Min %d is greater than Max %d", f.Min, f.Max)
		}
		// Unsigned, the difference does not overflow.
		if uint64(f.Max)-uint64(f.Min) < 2 {
			return f.refuse("Min %d to Max %d holds fewer than three values: two lists tell by their lengths what they stand for; "+
				"set both bounds, or make it a value of a keyword field that has more", f.Min, f.Max)
		}
	case Date:
		lo, hi := f.bounds()
		if lo > hi || lo < minDay || hi > maxDay {
			return f.refuse("Min and Max are DayNumbers from 0001-01-01 to 9999-12-31, the smaller first")
		}
		if hi-lo < 2 {
			return f.refuse("the interval has fewer than three days")
		}
	case typeName, typeBytes:
		return f.refuse("fields of type %v are reserved and not implemented yet: use keyword or text", f.Type)
	default:
		return f.refuse("there is no %v: use Keyword, Text, Integer or Date", f.Type)
	}
	if f.Prefix || f.Fuzzy {
		return f.refuse("Prefix and Fuzzy are for keyword and text fields; ask %v fields for a range", f.Type)
	}
	return nil
}

func validFieldName(name string) bool {
	if len(name) == 0 || len(name) > maxFieldName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// refuse is an error about the field.
func (f Field) refuse(format string, args ...any) error {
	return fmt.Errorf("sse: field %q %w: %s", f.Name, ErrSchema, fmt.Sprintf(format, args...))
}

// bounds is the declared interval, with the default of a date field filled in.
func (f Field) bounds() (lo, hi int64) {
	if f.Type == Date && f.Min == 0 && f.Max == 0 {
		return minDay, maxDay
	}
	return f.Min, f.Max
}

// field looks a field up by name.
func (s Schema) field(name string) (Field, error) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, nil
		}
	}
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return Field{}, fmt.Errorf("sse: field %q %w: it has %s", name, ErrSchema, strings.Join(names, ", "))
}

// number is the number of the field with that name.
func (s Schema) number(name string) (n uint16, ok bool) {
	for _, f := range s.Fields {
		if f.Name < name {
			n++
		}
		ok = ok || f.Name == name
	}
	return n, ok
}

// fieldName is the name of the field with that number; empty if there is none.
func (s Schema) fieldName(n uint16) string {
	fields := s.sorted()
	if int(n) >= len(fields) {
		return ""
	}
	return fields[n].Name
}

// The encoding is in docs/spec/sse-analysis.md, section Schema.
const (
	schemaVersion = 1

	flagPrefix = 1 << 0
	flagFuzzy  = 1 << 1

	// A field takes at least a length, one character, type, flags and two bounds.
	minFieldBytes = 4 + 1 + 1 + 1 + 8 + 8
)

// Bytes is the canonical encoding: fields sorted by name, bounds filled in. Schemas that mean the same have the same bytes. The
// schema must be valid; the bytes of another one are refused by NewSchema.
func (s Schema) Bytes() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSESchema, Version: schemaVersion})
	b = binary.BigEndian.AppendUint16(b, analyzerVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Fields)))
	for _, f := range s.sorted() {
		lo, hi := f.bounds()
		b = wire.AppendString(b, f.Name)
		b = append(b, uint8(f.Type), f.flags())
		b = binary.BigEndian.AppendUint64(b, uint64(lo))
		b = binary.BigEndian.AppendUint64(b, uint64(hi))
	}
	return b
}

func (s Schema) sorted() []Field {
	fields := slices.Clone(s.Fields)
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func (f Field) flags() uint8 {
	var flags uint8
	if f.Prefix {
		flags |= flagPrefix
	}
	if f.Fuzzy {
		flags |= flagFuzzy
	}
	return flags
}

// NewSchema decodes what Bytes wrote and validates it. ErrAnalyzer if it belongs to another version of the analyzer.
func NewSchema(encoding []byte) (Schema, error) {
	d := wire.NewDecoder(encoding)
	h := d.Header(wire.KindSSESchema)
	if d.Err() == nil && (h.Version != schemaVersion || h.Suite != 0) {
		d.Failf("schema of version %d, suite %d: this program reads version %d, suite 0", h.Version, h.Suite, schemaVersion)
	}
	analyzer := d.Uint16()
	if d.Err() == nil && analyzer != analyzerVersion {
		return Schema{}, fmt.Errorf("sse: schema: %w: it was %d, this program has %d: build the index again from the documents", ErrAnalyzer, analyzer, analyzerVersion)
	}
	fields := make([]Field, d.Len(MaxFields, minFieldBytes))
	for i := range fields {
		f := Field{Name: d.String(maxFieldName), Type: Type(d.Uint8())}
		flags := d.Uint8()
		f.Prefix, f.Fuzzy = flags&flagPrefix != 0, flags&flagFuzzy != 0
		f.Min, f.Max = int64(d.Uint64()), int64(d.Uint64())
		if d.Err() == nil && flags&^(flagPrefix|flagFuzzy) != 0 {
			d.Failf("unknown flags %#02x of field %q", flags, f.Name)
		}
		if d.Err() == nil && i > 0 && f.Name <= fields[i-1].Name {
			d.Failf("field %q is out of order", f.Name)
		}
		if d.Err() == nil && f.Type == Date && f.Min == 0 && f.Max == 0 {
			d.Failf("date field %q without bounds", f.Name)
		}
		fields[i] = f
	}
	if err := d.Finish(); err != nil {
		return Schema{}, fmt.Errorf("sse: schema: %w", err)
	}
	s := Schema{Fields: fields}
	if err := s.Validate(); err != nil {
		return Schema{}, err
	}
	return s, nil
}
