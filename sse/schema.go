package sse

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
	MaxKeyword = 1024    // bytes of a value of a Keyword field, after normalisation, and of a value of a field with Substring
	MaxText    = 4 << 20 // bytes of a value of a Text or Name field
	MaxBytes   = 128     // bytes of a value of a Bytes field
	MaxScale   = 9       // digits after the point of a Decimal field

	maxFieldName = 64
	maxWords     = 1<<16 - 1 // of Field.Words
	defaultWords = 64
)

// analyzerVersion numbers the rules of docs/spec/sse-analysis.md. It is stored in every schema. It goes up with any change
// after which some text gives other terms.
const analyzerVersion = 1

// Type is the type of a field. It decides which values the field takes and which queries can be asked of it.
type Type uint8

// The types of fields.
const (
	// Keyword takes strings that are found whole: codes, names of wards, identifiers. Upper and lower case differ; only the
	// Unicode spelling is unified (NFC).
	Keyword Type = 1
	// Text takes prose. It is found by its words, whatever their case, accents and width, and by their stems if it has a
	// Language; languages written without spaces are found by pairs of characters.
	Text Type = 2
	// Integer takes whole numbers from Field.Min to Field.Max, found by value and by range.
	Integer Type = 3
	// Date takes calendar days, found by day and by range.
	Date Type = 4
	// Name takes names of people. It is found by its words, as Text is, and by how they sound.
	Name Type = 5
	// Bytes takes identifiers of raw bytes, found whole.
	Bytes Type = 6
	// Decimal takes decimal numbers with Field.Scale digits after the point, exactly, found by value and by range.
	Decimal Type = 7
	// Time takes points in time to the second, found by the second and by range.
	Time Type = 8
)

var typeNames = [...]string{Keyword: "keyword", Text: "text", Integer: "integer", Date: "date", Name: "name", Bytes: "bytes", Decimal: "decimal", Time: "time"}

// String is the name of the type in lower case.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// ranged says whether the values are numbers or days, which have an order and ranges.
func (t Type) ranged() bool { return t == Integer || t == Decimal || t == Date || t == Time }

// Field is one field of a schema. What a field can be asked is decided when it is made: each of the switches costs terms or pages.
type Field struct {
	// Name is 1 to 64 of the characters a to z, 0 to 9, '_', '-' and '.', and begins with a letter.
	Name string
	// Type says what the field takes.
	Type Type
	// Min and Max bound the values of an Integer, Decimal, Date or Time field, both included; Max is at least Min+2. The narrower
	// the interval, the fewer terms a value costs. A Decimal field counts in units of its last digit: with Scale 2, 12.50
	// is 1250. A Date field counts in DayNumbers, a Time field in Unix seconds; there 0, 0 stands for the years 1 to 9999.
	Min, Max int64
	// Scale is the number of digits after the point of a Decimal field, 1 to 9.
	Scale int
	// Language lets a Text field be searched by the stems of its words: the BCP 47 primary language, such as "en" or "de". Empty, words
	// are found as they stand, but for case and accents.
	Language string
	// Words is the typical number of words of a value of a field with Rank, 1 to 65535; 0 stands for 64. Longer
	// documents count for less.
	Words int
	// Prefix lets a Keyword, Text or Name field be searched by the beginning of a word, by wildcards and by regular expressions. It
	// keeps a vocabulary, as Fuzzy does.
	Prefix bool
	// Fuzzy lets a Keyword, Text or Name field be searched with typing errors.
	Fuzzy bool
	// Substring lets a Keyword, Text or Name field be searched by any part of its values. It needs Stored, as hits are compared with
	// the stored value; values have at most MaxKeyword bytes.
	Substring bool
	// Phrase keeps the positions of words in a Text or Name field, so that words can be asked for in a row.
	Phrase bool
	// Rank keeps the weight of words in a Text or Name field, so that hits can be sorted by how well they match.
	Rank bool
	// Facet lets a Keyword field be counted by value. It is meant for few values.
	Facet bool
	// Stored brings the values back with hits. The values of all fields of a document share MaxStored bytes with Document.Stored.
	Stored bool
	// Sort lets hits be sorted by a Keyword, Integer, Decimal, Date or Time field. It needs Stored, and a document has at most one value.
	Sort bool
}

// Schema lists the fields of an index. Fields can be added to an index, and are never changed or removed. The order of fields has no
// meaning.
//
// There is no type for yes and no. The two lists of a lone boolean give away by their lengths what each stands for. Let it
// be one of many values of a Keyword field instead: "smoker" in a field "flags".
type Schema struct {
	Fields []Field

	// Numbers of the fields by name, as decoded, and the next one to be given. Fields that are not in numbers have those from next
	// on, in the order of names. Numbers name vocabularies, columns and stored values, so none is given twice.
	numbers map[string]uint16
	next    uint16
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
	fresh := 0
	for _, f := range s.Fields {
		if err := f.validate(); err != nil {
			return err
		}
		if seen[f.Name] {
			return f.refuse("stands twice in the schema: rename one")
		}
		seen[f.Name] = true
		if _, ok := s.numbers[f.Name]; !ok {
			fresh++
		}
	}
	if int(s.next)+fresh > math.MaxUint16 {
		return fmt.Errorf("sse: a schema that has given out %d numbers of fields %w: make a new index", s.next, ErrSchema)
	}
	return nil
}

func (f Field) validate() error {
	if !validFieldName(f.Name) {
		return f.refuse("its name is not 1 to %d of a-z, 0-9, '_', '-', '.', beginning with a letter", maxFieldName)
	}
	if int(f.Type) >= len(typeNames) || typeNames[f.Type] == "" {
		return f.refuse("there is no %v: use Keyword, Text, Name, Integer, Decimal, Date, Time or Bytes", f.Type)
	}
	if err := f.validateSwitches(); err != nil {
		return err
	}
	if err := f.validateBounds(); err != nil {
		return err
	}
	switch {
	case f.Type == Decimal && (f.Scale < 1 || f.Scale > MaxScale):
		return f.refuse("Scale %d is not 1 to %d: give the number of digits after the point, or use an integer field", f.Scale, MaxScale)
	case f.Type != Decimal && f.Scale != 0:
		return f.refuse("Scale is for decimal fields, not for %v: leave it 0", f.Type)
	case f.Language != "" && f.Type != Text:
		return f.refuse("Language is for text fields, not for %v: leave it empty", f.Type)
	case f.Language != "" && stemmers[f.Language] == nil:
		return f.refuse("there is no stemmer for language %q: use one of %s, or leave it empty", f.Language, strings.Join(languages(), ", "))
	case f.Words < 0 || f.Words > maxWords:
		return f.refuse("Words %d is not 0 to %d", f.Words, maxWords)
	case f.Words != 0 && !f.Rank:
		return f.refuse("Words is for fields with Rank: set Rank, or leave Words 0")
	case f.Substring && !f.Stored:
		return f.refuse("Substring needs Stored, as hits are compared with the stored value: set both")
	case f.Sort && !f.Stored:
		return f.refuse("Sort needs Stored: set both")
	}
	return nil
}

// A fieldSwitch is one of the booleans of a Field: its bit in the encoding, and the types that have it.
type fieldSwitch struct {
	name  string
	value func(*Field) *bool
	types []Type
}

// The order is that of the bits in the encoding; switches of version 1 come first.
var fieldSwitches = [...]fieldSwitch{
	{"Prefix", func(f *Field) *bool { return &f.Prefix }, []Type{Keyword, Text, Name}},
	{"Fuzzy", func(f *Field) *bool { return &f.Fuzzy }, []Type{Keyword, Text, Name}},
	{"Substring", func(f *Field) *bool { return &f.Substring }, []Type{Keyword, Text, Name}},
	{"Phrase", func(f *Field) *bool { return &f.Phrase }, []Type{Text, Name}},
	{"Rank", func(f *Field) *bool { return &f.Rank }, []Type{Text, Name}},
	{"Facet", func(f *Field) *bool { return &f.Facet }, []Type{Keyword}},
	{"Stored", func(f *Field) *bool { return &f.Stored }, []Type{Keyword, Text, Name, Integer, Decimal, Date, Time, Bytes}},
	{"Sort", func(f *Field) *bool { return &f.Sort }, []Type{Keyword, Integer, Decimal, Date, Time}},
}

func (f Field) validateSwitches() error {
	for _, s := range fieldSwitches {
		if !*s.value(&f) || slices.Contains(s.types, f.Type) {
			continue
		}
		names := make([]string, len(s.types))
		for i, t := range s.types {
			names[i] = t.String()
		}
		hint := ""
		if f.Type.ranged() && slices.Contains(s.types, Text) {
			hint = fmt.Sprintf("; ask %v fields for a range", f.Type)
		}
		return f.refuse("%s is for fields of type %s, not for %v: leave it out%s", s.name, strings.Join(names, ", "), f.Type, hint)
	}
	return nil
}

func (f Field) validateBounds() error {
	lo, hi := f.bounds()
	switch f.Type {
	case Integer, Decimal:
		if lo > hi {
			return f.refuse("Min %d is greater than Max %d: swap them", lo, hi)
		}
		// Unsigned, the difference does not overflow.
		if uint64(hi)-uint64(lo) < 2 {
			return f.refuse("Min %d to Max %d holds fewer than three values: two lists tell by their lengths what they stand for; "+
				"set both bounds, or make it a value of a keyword field that has more", lo, hi)
		}
	case Date:
		if lo > hi || lo < minDay || hi > maxDay {
			return f.refuse("Min and Max are DayNumbers from 0001-01-01 to 9999-12-31, the smaller first")
		}
		if hi-lo < 2 {
			return f.refuse("the interval has fewer than three days")
		}
	case Time:
		if lo > hi || lo < minSecond || hi > maxSecond {
			return f.refuse("Min and Max are Unix seconds of the years 1 to 9999, the smaller first")
		}
		if hi-lo < 2 {
			return f.refuse("the interval has fewer than three seconds")
		}
	default:
		if f.Min != 0 || f.Max != 0 {
			return f.refuse("Min and Max are for integer, decimal, date and time fields, not for %v: leave them 0", f.Type)
		}
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

// bounds is the declared interval, with the default of date and time fields filled in.
func (f Field) bounds() (lo, hi int64) {
	if f.Min == 0 && f.Max == 0 {
		switch f.Type {
		case Date:
			return minDay, maxDay
		case Time:
			return minSecond, maxSecond
		}
	}
	return f.Min, f.Max
}

// words is Words with the default filled in, and 0 if it is out of range, which a decoder refuses.
func (f Field) words() int {
	switch {
	case f.Words < 0 || f.Words > maxWords:
		return 0
	case f.Rank && f.Words == 0:
		return defaultWords
	}
	return f.Words
}

// field looks a field up by name.
func (s Schema) field(name string) (Field, error) {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return s.Fields[i], nil
		}
	}
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return Field{}, fmt.Errorf("sse: field %q %w: it has %s", name, ErrSchema, strings.Join(names, ", "))
}

// number is the number of a field, which never changes and is never given to another one.
func (s Schema) number(name string) (n uint16, ok bool) {
	if n, ok := s.numbers[name]; ok {
		return n, true
	}
	n = s.next
	for i := range s.Fields {
		other := s.Fields[i].Name
		if other == name {
			ok = true
		} else if _, given := s.numbers[other]; !given && other < name {
			n++
		}
	}
	return n, ok
}

// numbered looks a field up by its number.
func (s Schema) numbered(n uint16) (Field, bool) {
	for i := range s.Fields {
		if got, _ := s.number(s.Fields[i].Name); got == n {
			return s.Fields[i], true
		}
	}
	return Field{}, false
}

// fieldName is the name of the field with that number; empty if there is none.
func (s Schema) fieldName(n uint16) string {
	f, _ := s.numbered(n)
	return f.Name
}

// fieldNumbers are the numbers of the fields, ascending.
func (s Schema) fieldNumbers() []uint16 {
	numbers := make([]uint16, len(s.Fields))
	for i := range s.Fields {
		numbers[i], _ = s.number(s.Fields[i].Name)
	}
	slices.Sort(numbers)
	return numbers
}

// add is the schema with one field more, under a number of its own.
func (s Schema) add(f Field) (Schema, error) {
	wider := Schema{Fields: append(slices.Clone(s.Fields), f), numbers: make(map[string]uint16, len(s.Fields)+1), next: s.end()}
	for _, old := range s.Fields {
		wider.numbers[old.Name], _ = s.number(old.Name)
	}
	if err := wider.Validate(); err != nil {
		return Schema{}, err
	}
	wider.numbers[f.Name] = wider.next
	wider.next++
	return wider, nil
}

// end is the first number that no field has or had.
func (s Schema) end() uint16 {
	n := s.next
	for _, f := range s.Fields {
		if _, ok := s.numbers[f.Name]; !ok {
			n++
		}
	}
	return n
}

// canonical is the same schema with its fields sorted by name.
func (s Schema) canonical() Schema {
	s.Fields = s.sorted()
	return s
}

func (s Schema) sorted() []Field {
	fields := slices.Clone(s.Fields)
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}
