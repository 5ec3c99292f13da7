package sse

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/veilchart/veilchart/internal/wire"
)

// schemaBytes1 is version 1 of the encoding, which is only read.
func schemaBytes1(s Schema) []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSESchema, Version: schemaVersion1})
	b = binary.BigEndian.AppendUint16(b, analyzerVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Fields)))
	for _, f := range s.sorted() {
		lo, hi := f.bounds()
		b = wire.AppendString(b, f.Name)
		b = append(b, uint8(f.Type), uint8(f.switches()))
		b = binary.BigEndian.AppendUint64(b, uint64(lo))
		b = binary.BigEndian.AppendUint64(b, uint64(hi))
	}
	return b
}

func drawSchema(r *rapid.T) Schema {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_.-]{0,9}`), 1, 8, rapid.ID[string]).Draw(r, "names")
	var s Schema
	for _, name := range names {
		s.Fields = append(s.Fields, drawField(r, name))
	}
	return s
}

func drawField(r *rapid.T, name string) Field {
	var f Field
	switch Type(rapid.IntRange(1, 8).Draw(r, "type")) {
	case Integer:
		f = drawInterval(r)
	case Decimal:
		f = drawInterval(r)
		f.Type, f.Scale = Decimal, rapid.IntRange(1, MaxScale).Draw(r, "scale")
	case Date:
		f = drawDates(r)
	case Time:
		f = drawDates(r)
		f.Type, f.Min, f.Max = Time, f.Min*secondsPerDay, f.Max*secondsPerDay
	case Text:
		f.Type, f.Language = Text, rapid.SampledFrom(append(languages(), "")).Draw(r, "language")
	case Name:
		f.Type = Name
	case Bytes:
		f.Type = Bytes
	default:
		f.Type = Keyword
	}
	f.Name = name
	for _, s := range fieldSwitches {
		*s.value(&f) = slices.Contains(s.types, f.Type) && rapid.Bool().Draw(r, s.name)
	}
	f.Stored = f.Stored || f.Substring || f.Sort
	if f.Rank {
		f.Words = rapid.IntRange(0, maxWords).Draw(r, "words")
	}
	return f
}

func TestSchemaRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSchema(r)
		require.NoError(r, s.Validate())
		b := s.Bytes()
		back, err := NewSchema(b)
		require.NoError(r, err)
		require.Equal(r, b, back.Bytes())
		require.Len(r, back.Fields, len(s.Fields))
		for _, f := range s.Fields {
			got, err := back.field(f.Name)
			require.NoError(r, err)
			f.Min, f.Max = f.bounds()
			f.Words = f.words()
			require.Equal(r, f, got)
		}
		before := slices.Clone(s.Fields)
		other := Schema{Fields: rapid.Permutation(s.Fields).Draw(r, "order")}
		require.Equal(r, b, other.Bytes(), "the order of fields has no meaning")
		require.Equal(r, before, s.Fields, "Bytes does not reorder the caller's fields")
	})
}

// TestFieldNumbers adds fields one by one, decoding now and then, and sees every field keep its first number.
func TestFieldNumbers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSchema(r)
		numbers := make(map[string]uint16)
		for i, f := range s.sorted() {
			numbers[f.Name] = uint16(i)
		}
		for range rapid.IntRange(0, 8).Draw(r, "more") {
			f := drawField(r, rapid.StringMatching(`[a-z]{1,3}`).Draw(r, "name"))
			wider, err := s.add(f)
			if _, there := numbers[f.Name]; there {
				require.ErrorContains(r, err, "twice")
				continue
			}
			require.NoError(r, err)
			numbers[f.Name] = uint16(len(s.Fields))
			s = wider
			if rapid.Bool().Draw(r, "decode") {
				s, err = NewSchema(s.Bytes())
				require.NoError(r, err)
			}
		}
		require.Len(r, s.Fields, len(numbers))
		all := s.fieldNumbers()
		for i, n := range all {
			require.EqualValues(r, i, n)
		}
		for name, want := range numbers {
			n, ok := s.number(name)
			require.True(r, ok)
			require.Equal(r, want, n, name)
			require.Equal(r, name, s.fieldName(n))
			f, ok := s.numbered(n)
			require.True(r, ok)
			require.Equal(r, name, f.Name)
		}
		_, ok := s.number("none.at.all")
		require.False(r, ok)
		_, ok = s.numbered(uint16(len(all)))
		require.False(r, ok)
		require.Equal(r, s.Bytes(), s.canonical().Bytes())
	})
}

// TestFieldNumbersAreNotReused: a schema that lost a field keeps its number back.
func TestFieldNumbersAreNotReused(t *testing.T) {
	s, err := Schema{Fields: []Field{{Name: "b", Type: Keyword}, {Name: "d", Type: Keyword}}}.add(Field{Name: "a", Type: Keyword})
	require.NoError(t, err)
	s.Fields = s.Fields[1:] // without b, which had 0
	s, err = NewSchema(s.Bytes())
	require.NoError(t, err)
	s, err = s.add(Field{Name: "c", Type: Keyword})
	require.NoError(t, err)
	for name, want := range map[string]uint16{"d": 1, "a": 2, "c": 3} {
		n, _ := s.number(name)
		assert.Equal(t, want, n, name)
	}
	assert.Empty(t, s.fieldName(0))
	s.next = math.MaxUint16
	_, err = s.add(Field{Name: "e", Type: Keyword})
	require.ErrorContains(t, err, "make a new index")
}

func TestSchemaRefuses(t *testing.T) {
	many := make([]Field, MaxFields+1)
	for i := range many {
		many[i] = Field{Name: fmt.Sprint("f", i), Type: Keyword}
	}
	require.NoError(t, Schema{Fields: many[1:]}.Validate())
	one := func(f Field) []Field { return []Field{f} }
	for _, c := range []struct {
		fields []Field
		want   string
	}{
		{nil, "add at least one"},
		{many, "64 is the limit"},
		{append(one(many[0]), many[0]), `"f0"`},
		{one(Field{Type: Text}), "its name"},
		{one(Field{Name: "Name", Type: Text}), `"Name"`},
		{one(Field{Name: "n\u00e4me", Type: Text}), "its name"},
		{one(Field{Name: "_a", Type: Text}), "its name"},
		{one(Field{Name: strings.Repeat("a", 65), Type: Text}), "its name"},
		{one(Field{Name: "x"}), "use Keyword"},
		{one(Field{Name: "x", Type: 77}), "type 77"},
		{one(Field{Name: "x", Type: Text, Max: 1}), "Min and Max"},
		{one(Field{Name: "x", Type: Keyword, Min: 1}), "Min and Max"},
		{one(Field{Name: "x", Type: Integer}), "set both bounds"},
		{one(Field{Name: "x", Type: Integer, Max: 1}), "fewer than three values"},
		{one(Field{Name: "x", Type: Integer, Min: math.MaxInt64 - 1, Max: math.MaxInt64}), "fewer than three values"},
		{one(Field{Name: "x", Type: Integer, Min: math.MaxInt64, Max: math.MinInt64}), "greater"},
		{one(Field{Name: "x", Type: Integer, Max: 9, Fuzzy: true}), "ask integer fields for a range"},
		{one(Field{Name: "x", Type: Date, Prefix: true}), "ask date fields for a range"},
		{one(Field{Name: "x", Type: Date, Min: 5, Max: 6}), "fewer than three days"},
		{one(Field{Name: "x", Type: Date, Min: 5, Max: -6}), "DayNumbers"},
		{one(Field{Name: "x", Type: Date, Min: math.MinInt64, Max: math.MaxInt64}), "DayNumbers"},
		{one(Field{Name: "x", Type: Time, Min: 5, Max: 6}), "fewer than three seconds"},
		{one(Field{Name: "x", Type: Time, Min: 5, Max: -6}), "Unix seconds"},
		{one(Field{Name: "x", Type: Time, Min: minSecond - 1, Max: maxSecond}), "Unix seconds"},
		{one(Field{Name: "x", Type: Time, Min: minSecond, Max: maxSecond + 1}), "Unix seconds"},
		{one(Field{Name: "x", Type: Bytes, Min: 5, Max: 60}), "Min and Max"},
		{one(Field{Name: "x", Type: Name, Min: 5, Max: 60}), "Min and Max"},
		{one(Field{Name: "x", Type: Decimal, Scale: 2}), "set both bounds"},
		{one(Field{Name: "x", Type: Decimal, Max: 100}), "Scale 0 is not 1 to 9"},
		{one(Field{Name: "x", Type: Decimal, Max: 100, Scale: 10}), "Scale 10 is not 1 to 9"},
		{one(Field{Name: "x", Type: Decimal, Max: 100, Scale: -1}), "is not 1 to 9"},
		{one(Field{Name: "x", Type: Integer, Max: 100, Scale: 1}), "Scale is for decimal fields"},
		{one(Field{Name: "x", Type: Name, Language: "en"}), "Language is for text fields"},
		{one(Field{Name: "x", Type: Text, Language: "xx"}), "use one of da, de, en, es, fi"},
		{one(Field{Name: "x", Type: Text, Language: "EN"}), "no stemmer"},
		{one(Field{Name: "x", Type: Text, Language: "en-GB"}), "no stemmer"},
		{one(Field{Name: "x", Type: Text, Words: 5}), "Words is for fields with Rank"},
		{one(Field{Name: "x", Type: Text, Rank: true, Words: -1}), "Words -1 is not"},
		{one(Field{Name: "x", Type: Text, Rank: true, Words: 1 << 16}), "is not 0 to 65535"},
		{one(Field{Name: "x", Type: Keyword, Substring: true}), "Substring needs Stored"},
		{one(Field{Name: "x", Type: Keyword, Sort: true}), "Sort needs Stored"},
		{one(Field{Name: "x", Type: Keyword, Phrase: true}), "Phrase is for fields of type text, name"},
		{one(Field{Name: "x", Type: Keyword, Rank: true}), "Rank is for fields of type text, name"},
		{one(Field{Name: "x", Type: Text, Facet: true}), "Facet is for fields of type keyword"},
		{one(Field{Name: "x", Type: Text, Stored: true, Sort: true}), "Sort is for fields of type keyword, integer"},
		{one(Field{Name: "x", Type: Name, Stored: true, Sort: true}), "Sort is for"},
		{one(Field{Name: "x", Type: Bytes, Stored: true, Sort: true}), "Sort is for"},
		{one(Field{Name: "x", Type: Bytes, Prefix: true}), "Prefix is for"},
		{one(Field{Name: "x", Type: Date, Substring: true, Stored: true}), "Substring is for"},
		{one(Field{Name: "x", Type: Decimal, Max: 100, Scale: 1, Facet: true}), "Facet is for"},
	} {
		s := Schema{Fields: c.fields}
		err := s.Validate()
		require.ErrorIs(t, err, ErrSchema, c.want)
		assert.ErrorContains(t, err, c.want)
		_, err = NewSchema(s.Bytes())
		assert.Error(t, err, "its bytes are refused as well: %s", c.want)
	}
}

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{Keyword: "keyword", Text: "text", Integer: "integer", Date: "date", Name: "name", Bytes: "bytes", Decimal: "decimal", Time: "time", 0: "type 0", 9: "type 9", 255: "type 255"} {
		assert.Equal(t, want, typ.String())
	}
}

func TestValueShown(t *testing.T) {
	assert.Equal(t, "5", Int(5).String())
	assert.Equal(t, "x", String("x").String())
	assert.Equal(t, "2024-02-29", Day(time.Date(2024, 2, 29, 23, 59, 0, 0, time.FixedZone("", -8*3600))).String(), "the date in its own zone")
	assert.Empty(t, Value{}.String())
	assert.Equal(t, `"a\nb"`, String("a\nb").shown())
	long := String(strings.Repeat("\u00e9", 100)).shown()
	assert.Less(t, len(long), 60)
	assert.True(t, strings.HasSuffix(long, `"...`))
	assert.NotContains(t, long, "\ufffd", "not cut within a character")
}

func FuzzSchema(f *testing.F) {
	s := Schema{Fields: []Field{
		{Name: "name", Type: Text, Prefix: true, Fuzzy: true}, {Name: "bmi", Type: Integer, Max: 255}, {Name: "when", Type: Date},
	}}
	f.Add(schemaBytes1(s))
	f.Add(s.Bytes())
	f.Add(s.Bytes()[:40])
	wider, err := s.add(Field{Name: "a", Type: Text, Language: "de", Rank: true, Phrase: true, Stored: true})
	require.NoError(f, err)
	f.Add(wider.Bytes())
	f.Add([]byte("vcht\x02\x03\x01\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewSchema(b)
		if err != nil {
			return
		}
		require.NoError(t, s.Validate())
		if b[6] == schemaVersion1 {
			require.Equal(t, b, schemaBytes1(s), "one encoding")
		} else {
			require.Equal(t, b, s.Bytes(), "one encoding")
		}
		for _, f := range s.Fields {
			if f.Type.ranged() {
				most, err := s.coverMax(f.Name)
				require.NoError(t, err)
				terms, err := s.rangeTerms(f.Name, Value{}, Value{})
				require.NoError(t, err)
				require.LessOrEqual(t, len(terms), most)
			}
		}
	})
}
