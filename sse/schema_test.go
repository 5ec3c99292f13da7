package sse

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawSchema(r *rapid.T) Schema {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_.-]{0,9}`), 1, 8, rapid.ID[string]).Draw(r, "names")
	var s Schema
	for _, name := range names {
		var f Field
		switch Type(rapid.IntRange(1, 4).Draw(r, "type")) {
		case Integer:
			f = drawInterval(r)
		case Date:
			f = drawDates(r)
		case Text:
			f = Field{Type: Text, Prefix: rapid.Bool().Draw(r, "prefix"), Fuzzy: rapid.Bool().Draw(r, "fuzzy")}
		default:
			f = Field{Type: Keyword, Prefix: rapid.Bool().Draw(r, "prefix"), Fuzzy: rapid.Bool().Draw(r, "fuzzy")}
		}
		f.Name = name
		s.Fields = append(s.Fields, f)
	}
	return s
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
			require.Equal(r, f, got)
		}
		before := slices.Clone(s.Fields)
		other := Schema{Fields: rapid.Permutation(s.Fields).Draw(r, "order")}
		require.Equal(r, b, other.Bytes(), "the order of fields has no meaning")
		require.Equal(r, before, s.Fields, "Bytes does not reorder the caller's fields")
	})
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
		{one(Field{Name: "x", Type: typeName}), "reserved"},
		{one(Field{Name: "x", Type: typeBytes}), "reserved"},
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
	for typ, want := range map[Type]string{Keyword: "keyword", Text: "text", Integer: "integer", Date: "date", typeName: "name", typeBytes: "bytes", 9: "type 9"} {
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
	f.Add(s.Bytes())
	f.Add(s.Bytes()[:40])
	f.Add([]byte("vcht\x02\x03\x01\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewSchema(b)
		if err != nil {
			return
		}
		require.NoError(t, s.Validate())
		require.Equal(t, b, s.Bytes(), "one encoding")
		for _, f := range s.Fields {
			if f.Type == Integer || f.Type == Date {
				most, err := s.coverMax(f.Name)
				require.NoError(t, err)
				terms, err := s.rangeTerms(f.Name, Value{}, Value{})
				require.NoError(t, err)
				require.LessOrEqual(t, len(terms), most)
			}
		}
	})
}
