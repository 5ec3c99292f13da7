package sse

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseDecimal(t *testing.T) {
	for text, want := range map[string]Value{
		"0": Dec(0, 0), "-0": Dec(0, 0), "12.50": Dec(125, 1), "+12.5": Dec(1250, 2), "-0.25": Dec(-25, 2), "007": Dec(7, 0), "1.000000000000000000000000": Dec(1, 0),
		"9223372036854775807": Dec(math.MaxInt64, 0), "-9223372036854775808": Dec(math.MinInt64, 0), "-9.223372036854775808": Dec(math.MinInt64, 18),
		"0.000000000000000001": Dec(1, 18), "100": Dec(100, 0), strings.Repeat("0", 1000) + "5.5": Dec(55, 1),
	} {
		got, err := ParseDecimal(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", ".", "-", "+", "1.", ".5", "1,5", "1.5.5", "1e3", "0x10", " 1", "1 ", "--1", "+-1", "1_000", "\u0661", "NaN", "Inf", "9223372036854775808", "-9223372036854775809",
		"9.2233720368547758070000001", "0.0000000000000000001", "92233720368547758070", strings.Repeat("9", 10000), "1\x00",
	} {
		_, err := ParseDecimal(text)
		require.ErrorIs(t, err, ErrSchema, text)
		require.Less(t, len(err.Error()), 300)
	}
	assert.Equal(t, "12.5", Dec(1250, 2).String())
	assert.Equal(t, "-0.05", Dec(-5, 2).String())
	assert.Equal(t, "100", Dec(1000, 1).String())
	assert.Equal(t, "-9.223372036854775808", Dec(math.MinInt64, 18).String())
	assert.Equal(t, "0", Dec(0, 9).String())
	assert.NotEqual(t, Dec(1, 0), Int(1))
	for _, scale := range []int{-1, 19, 256, math.MinInt} {
		s := Schema{Fields: []Field{{Name: "x", Type: Decimal, Scale: 9, Min: -100, Max: 100}}}
		_, err := s.queryTerms("x", Dec(0, scale))
		require.ErrorContains(t, err, "scale is not 0 to 18")
	}
}

// TestDecimalExact compares texts, units of fields and ranges with rational numbers.
func TestDecimalExact(t *testing.T) {
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2000, 2000), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MaxInt64 / 10, math.MinInt64/10 - 1}))
	rat := func(n int64, scale int) *big.Rat {
		return new(big.Rat).SetFrac(big.NewInt(n), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
	}
	rapid.Check(t, func(r *rapid.T) {
		n, scale := number.Draw(r, "n"), rapid.IntRange(0, maxDecimal).Draw(r, "scale")
		v := Dec(n, scale)
		shown, ok := new(big.Rat).SetString(v.String())
		require.True(r, ok)
		require.Zero(r, rat(n, scale).Cmp(shown))
		back, err := ParseDecimal(v.String())
		require.NoError(r, err)
		require.Equal(r, v, back)

		f := Field{Name: "x", Type: Decimal, Scale: rapid.IntRange(1, MaxScale).Draw(r, "field"), Min: number.Draw(r, "min")}
		f.Max = max(f.Min, number.Draw(r, "max"))
		if f.validate() != nil {
			f.Min, f.Max = -5, 5
		}
		s := Schema{Fields: []Field{f}}
		exact, err := s.queryTerms("x", v)
		inside := rat(f.Min, f.Scale).Cmp(shown) <= 0 && shown.Cmp(rat(f.Max, f.Scale)) <= 0
		require.Equal(r, inside && int(v.scale) <= f.Scale, err == nil)
		if int(v.scale) > f.Scale {
			return
		}
		// A value of the field lies in the range from v, or to v, exactly if it does by its value.
		m := rapid.Int64Range(f.Min, f.Max).Draw(r, "value")
		terms, err := s.indexTerms("x", []Value{Dec(m, f.Scale)})
		require.NoError(r, err)
		shared := func(lo, hi Value) bool {
			cover, err := s.rangeTerms("x", lo, hi)
			require.NoError(r, err)
			return slices.ContainsFunc(terms, func(t term) bool { return slices.Contains(cover, t) })
		}
		order := rat(m, f.Scale).Cmp(shown)
		require.Equal(r, order >= 0, shared(v, Value{}))
		require.Equal(r, order <= 0, shared(Value{}, v))
		require.Equal(r, order == 0, shared(v, v))
		require.Equal(r, order == 0, len(exact) == 1 && slices.Contains(terms, exact[0]))
	})
}

func TestInstant(t *testing.T) {
	zone := time.FixedZone("", 5*3600+1800)
	at := time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, zone)
	assert.Equal(t, "2024-02-29T18:29:59Z", Instant(at).String())
	assert.Equal(t, Instant(at), Instant(at.UTC().Truncate(time.Second)))
	assert.Equal(t, "1969-12-31T23:59:59Z", Instant(time.Unix(-1, 1)).String(), "the second that it lies in, also before 1970")
	f := Field{Name: "t", Type: Time}
	require.NoError(t, f.validate())
	assert.Equal(t, 10, f.ladder().levels)
	assert.Equal(t, "0001-01-01T00:00:00Z", f.value(minSecond).String())
	assert.Equal(t, "9999-12-31T23:59:59Z", f.value(maxSecond).String())
	s := Schema{Fields: []Field{f}}
	_, err := s.queryTerms("t", Instant(time.Unix(maxSecond+1, 0)))
	require.ErrorContains(t, err, "outside the declared interval")
	_, err = s.queryTerms("t", Day(at))
	require.ErrorContains(t, err, "takes sse.Instant, not sse.Day(2024-02-29)")
	most, err := s.coverMax("t")
	require.NoError(t, err)
	cover, err := s.rangeTerms("t", Instant(time.Date(2024, 1, 1, 0, 0, 1, 0, time.UTC)), Instant(at))
	require.NoError(t, err)
	require.LessOrEqual(t, len(cover), most)
}

func TestRaw(t *testing.T) {
	s := Schema{Fields: []Field{{Name: "id", Type: Bytes, Stored: true}}}
	b := []byte{0, 1, 0xff}
	v := Raw(b)
	b[0] = 9
	assert.Equal(t, "0001ff", v.String(), "copied")
	d := indexDocument(t, s, Fields{"id": {v, Raw([]byte{2}), v}})
	assert.Len(t, d.postings, 3)
	assert.Equal(t, Fields{"id": {v, Raw([]byte{2}), v}}, d.values)
	terms, err := s.queryTerms("id", v)
	require.NoError(t, err)
	assert.True(t, d.hasAll(terms))
	for _, bad := range []Value{Raw(nil), Raw(make([]byte, MaxBytes+1)), String("x"), {}} {
		_, err = s.queryTerms("id", bad)
		require.ErrorIs(t, err, ErrSchema)
		require.Less(t, len(err.Error()), 300)
		_, _, err = s.index(&Document{Fields: Fields{"id": {bad}}})
		require.ErrorIs(t, err, ErrSchema)
	}
}

// drawValue draws a value that the field takes.
func drawValue(r *rapid.T, f Field) Value {
	switch {
	case f.Type.ranged():
		lo, _ := f.bounds()
		return f.value(drawIn(r, f, lo, "n"))
	case f.Type == Bytes:
		return Raw(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(r, "bytes"))
	}
	v := String(strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringMatching(`[a-zé糖尿病 ]{1,6}`)), 1, 6).Draw(r, "text"), ""))
	if f.Type == Keyword && composed(v.text) == "" {
		return String("x")
	}
	return v
}

func drawDocument(r *rapid.T, s Schema) Fields {
	fields := make(Fields)
	for _, f := range s.Fields {
		most := 3
		if f.Sort {
			most = 1
		}
		for range rapid.IntRange(0, most).Draw(r, "values") {
			fields[f.Name] = append(fields[f.Name], drawValue(r, f))
		}
	}
	return fields
}

// TestStoredValues: what is stored comes back in normal form, in one encoding, also under a wider schema.
func TestStoredValues(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawSchema(r)
		fields := drawDocument(r, s)
		d := indexDocument(r, s, fields)
		want := make(Fields)
		keys := make(map[uint16]sortKey)
		for name, values := range fields {
			f, err := s.field(name)
			require.NoError(r, err)
			if !f.Stored {
				continue
			}
			for _, v := range values {
				if f.Type == Keyword {
					v = String(composed(v.text))
				}
				want[name] = append(want[name], v)
				if n, _ := s.number(name); f.Sort {
					k := sortKey{word: v.text}
					if f.Type != Keyword {
						k.number, _, err = f.units(v)
						require.NoError(r, err)
					}
					keys[n] = k
					require.Contains(r, s.sortFields(), n)
					require.Equal(r, f.Type == Keyword, s.sortsWords(n))
				}
			}
		}
		require.Equal(r, want, d.values)
		_, encoded, err := s.index(&Document{Fields: fields})
		require.NoError(r, err)
		again, err := s.encodeValues(d.values)
		require.NoError(r, err)
		require.Equal(r, encoded, again)
		got := make(map[uint16]sortKey)
		for _, n := range s.sortFields() {
			k, ok, err := s.sortKey(n, encoded)
			require.NoError(r, err)
			if ok {
				got[n] = k
			}
		}
		require.Equal(r, keys, got)

		wider, err := s.add(Field{Name: "zz.more", Type: Keyword, Stored: true})
		require.NoError(r, err)
		more, err := decodeValues(wider, encoded)
		require.NoError(r, err)
		require.Equal(r, want, more)
		for n := range len(encoded) {
			if short, err := decodeValues(s, encoded[:n]); err == nil {
				require.NotEqual(r, want, short, "cut between fields")
			}
		}
	})
}

func TestIndexRefuses(t *testing.T) {
	s := Schema{Fields: []Field{
		{Name: "code", Type: Keyword, Stored: true, Sort: true}, {Name: "part", Type: Text, Stored: true, Substring: true}, {Name: "note", Type: Text, Phrase: true},
		{Name: "bmi", Type: Decimal, Scale: 1, Max: 999},
	}}
	require.NoError(t, s.Validate())
	for _, c := range []struct {
		field  string
		values []Value
		want   string
	}{
		{"code", []Value{String("a"), String("b")}, "cannot be sorted by several"},
		{"code", []Value{String("a"), String("a")}, "cannot be sorted by several"},
		{"code", []Value{String("")}, "empty keyword"},
		{"code", []Value{String("True")}, "tells by the length of its list"},
		{"code", []Value{String("\xff")}, "UTF-8"},
		{"part", []Value{String(strings.Repeat("a", MaxKeyword+1))}, "1024 is the limit for fields with Substring"},
		{"note", []Value{String("\xff")}, "UTF-8"},
		{"note", []Value{Int(1)}, "takes sse.String"},
		{"bmi", []Value{Dec(3141, 2)}, "more than 1 digits after the point"},
		{"bmi", []Value{Dec(1000, 0)}, "outside the declared interval, 0 to 99.9"},
		{"bmi", []Value{Int(3)}, "takes sse.Dec, not sse.Int(3)"},
		{"none", []Value{Int(3)}, "it has code, part, note, bmi"},
	} {
		_, _, err := s.index(&Document{Fields: Fields{c.field: c.values}})
		require.ErrorIs(t, err, ErrSchema, c.want)
		assert.ErrorContains(t, err, c.want)
	}
	if !testing.Short() { // four million words
		_, _, err := s.index(&Document{Fields: Fields{"note": slices.Repeat([]Value{String(strings.Repeat("a ", MaxText/2))}, 2)}})
		require.ErrorContains(t, err, "more than 4194304 words in it: split the document")
	}
	postings, values, err := s.index(&Document{Fields: Fields{"code": nil, "note": {}}})
	require.NoError(t, err)
	assert.Empty(t, postings)
	assert.Empty(t, values)
}

// FuzzValues: the decoder takes the one encoding of a document's values only.
func FuzzValues(f *testing.F) {
	s := Schema{Fields: []Field{
		{Name: "born", Type: Date, Stored: true, Sort: true}, {Name: "code", Type: Keyword, Stored: true}, {Name: "dose", Type: Decimal, Scale: 2, Max: 10000, Stored: true},
		{Name: "id", Type: Bytes, Stored: true}, {Name: "note", Type: Text, Stored: true, Substring: true}, {Name: "quiet", Type: Keyword}, {Name: "seen", Type: Time, Stored: true},
	}}
	require.NoError(f, s.Validate())
	_, whole, err := s.index(&Document{Fields: Fields{
		"born": {Day(date(1961, 5, 4))}, "code": {String("I10"), String("E11.9")}, "dose": {Dec(1250, 2)}, "id": {Raw([]byte{0})}, "note": {String(""), String("高血压")},
		"seen": {Instant(time.Unix(0, 0))},
	}})
	require.NoError(f, err)
	f.Add(whole)
	f.Add(whole[:7])
	f.Add([]byte{})
	f.Add([]byte{1, 1, 4, 't', 'r', 'u', 'e'})
	f.Add([]byte{4, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := decodeValues(s, b)
		if err != nil {
			require.ErrorIs(t, err, errValues)
			return
		}
		again, err := s.encodeValues(fields)
		require.NoError(t, err)
		if len(b) == 0 {
			b = nil
		}
		require.Equal(t, b, again)
		_, values, err := s.index(&Document{Fields: fields})
		require.NoError(t, err)
		require.Equal(t, b, values)
	})
}
