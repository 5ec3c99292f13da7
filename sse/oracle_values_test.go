package sse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Schemas, values and documents of the oracle.

// An oracleValue is one value of a document and what it is compared by.
type oracleValue struct {
	value, stored Value         // as it is given, and as it comes back
	items         []oracleItem  // of text and names
	text          []oraclePiece // of text, names and keywords
	tokens        []oracleToken // of text and names; of keywords their normal form; of bytes themselves
	places        int
	sounds        []string // of names
	n             int64    // of numbers, in units of the field
}

// drawOracleSchema makes a schema of fields of all types and switches.
func drawOracleSchema(r *rand.Rand) Schema {
	var s Schema
	types := []Type{Keyword, Text, Integer, Date, Name, Bytes, Decimal, Time, Keyword, Text, Text, Name}
	for i := range 1 + r.IntN(6) {
		s.Fields = append(s.Fields, drawOracleField(r, fmt.Sprint("f", r.IntN(1000), "-", i), types[r.IntN(len(types))]))
	}
	return s
}

func drawOracleField(r *rand.Rand, name string, t Type) Field {
	f := Field{Name: name, Type: t}
	often := func() bool { return r.IntN(3) > 0 }
	f.Stored = often()
	switch t {
	case Keyword:
		f.Facet = often()
	case Text, Name:
		f.Phrase = often()
		if f.Rank = often(); f.Rank {
			f.Words = []int{0, 1, 2, 5, 100, 65535}[r.IntN(6)]
		}
		if t == Text {
			f.Language = []string{"", "", "en", "de", "fr"}[r.IntN(5)]
		}
	case Integer:
		bounds := [][2]int64{{0, 120}, {-5, 5}, {math.MinInt64, math.MaxInt64}, {0, 65535}, {1000, 1002}, {-300, 4000}}[r.IntN(6)]
		f.Min, f.Max = bounds[0], bounds[1]
	case Decimal:
		f.Scale = 1 + r.IntN(3)
		f.Min = -r.Int64N(3000)
		f.Max = f.Min + 2 + r.Int64N(5000)
	case Date:
		if r.IntN(2) == 0 {
			f.Min = r.Int64N(40000) - 20000
			f.Max = f.Min + 2 + r.Int64N(2000)
		}
	case Time:
		if r.IntN(2) == 0 {
			f.Min = r.Int64N(4e9) - 2e9
			f.Max = f.Min + 2 + r.Int64N(1e6)
		}
	}
	if t == Keyword || t == Text || t == Name {
		f.Prefix, f.Fuzzy, f.Substring = often(), often(), f.Stored && often()
	}
	if t == Keyword || hasOrder(f) {
		f.Sort = f.Stored && often()
	}
	return f
}

func hasOrder(f Field) bool {
	return f.Type == Integer || f.Type == Decimal || f.Type == Date || f.Type == Time
}

// The first and the last day of the calendar and seconds of it, by themselves.
var (
	oracleFirst = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	oracleLast  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// oracleBounds is the declared interval of a field of numbers.
func oracleBounds(f Field) (lo, hi int64) {
	if f.Min != 0 || f.Max != 0 {
		return f.Min, f.Max
	}
	if f.Type == Date {
		return oracleFirst / 86400, (oracleLast - 86399) / 86400
	}
	return oracleFirst, oracleLast
}

// oracleNumber makes the value of a field from its units.
func oracleNumber(f Field, n int64) Value {
	switch f.Type {
	case Integer:
		return Int(n)
	case Decimal:
		return Dec(n, f.Scale)
	case Date:
		return Day(time.Unix(n*86400, 0).UTC())
	}
	return Instant(time.Unix(n, 0))
}

// drawNumber takes one of few numbers of a field, so that they are met again; the ends and their neighbours among them.
func drawNumber(r *rand.Rand, f Field) int64 {
	lo, hi := oracleBounds(f)
	width := uint64(hi) - uint64(lo)
	if r.IntN(3) == 0 {
		return []int64{lo, lo + 1, hi - 1, hi}[r.IntN(4)]
	}
	return int64(uint64(lo) + width/16*uint64(r.IntN(16)) + min(width%16, uint64(r.IntN(3))))
}

// drawKeyword makes a keyword of pieces whose form is Unicode's NFC. Those of fields with Facet have few values.
func drawKeyword(r *rand.Rand, f Field) (text []oraclePiece) {
	most, kinds := 3, []oraclePiece{{"b", "B"}, {"b", "b"}, {"a", "a"}, {"e", "é"}, {"糖", "糖"}, {" ", " "}, {"*", "*"}, {"?", "?"}, {"\\", "\\"}}
	if f.Facet {
		most, kinds = 3, kinds[:4]
	}
	for range 1 + r.IntN(most) {
		text = append(text, kinds[r.IntN(len(kinds))])
	}
	return text
}

func formOf(text []oraclePiece) string {
	var b strings.Builder
	for _, p := range text {
		b.WriteString(p.form)
	}
	return b.String()
}

// spellForm writes a keyword, composed or not.
func spellForm(r *rand.Rand, text []oraclePiece) string {
	form := formOf(text)
	if r.IntN(2) == 0 {
		return strings.ReplaceAll(form, "é", "e\u0301")
	}
	return form
}

func keywordValue(r *rand.Rand, text []oraclePiece) oracleValue {
	form := formOf(text)
	return oracleValue{value: String(spellForm(r, text)), stored: String(form), text: text, tokens: []oracleToken{{form, 0}}}
}

func numberValue(f Field, n int64) oracleValue {
	v := oracleNumber(f, n)
	return oracleValue{value: v, stored: v, n: n}
}

func textValue(r *rand.Rand, f Field, items []oracleItem) oracleValue {
	v := oracleValue{items: items, text: joinItems(r, items)}
	v.value = String(spellAll(r, v.text))
	v.stored = v.value
	v.tokens, v.places = indexedTokens(items)
	if f.Type == Name {
		v.sounds = soundsOf(items)
	}
	return v
}

func drawOracleValue(r *rand.Rand, f Field) oracleValue {
	switch f.Type {
	case Keyword:
		return keywordValue(r, drawKeyword(r, f))
	case Text, Name:
		if r.IntN(30) == 0 { // a value without words is a value
			v := String([]string{"", "--", " \n"}[r.IntN(3)])
			return oracleValue{value: v, stored: v}
		}
		return textValue(r, f, drawItems(r, f, 4))
	case Bytes:
		b := []byte{byte(r.IntN(3)), byte(r.IntN(4))}[:1+r.IntN(2)]
		return oracleValue{value: Raw(b), stored: Raw(b), tokens: []oracleToken{{string(b), 0}}}
	}
	v := numberValue(f, drawNumber(r, f))
	if f.Type == Time && r.IntN(2) == 0 { // a fraction of a second and another zone, which are not kept
		v.value = Instant(time.Unix(v.n, 999_999_999).In(time.FixedZone("", 3600)))
	}
	return v
}

// oracleDoc is a document as the oracle knows it.
type oracleDoc struct {
	revision uint64
	tomb     bool
	stored   []byte
	values   map[string][]oracleValue
}

func drawOracleDoc(r *rand.Rand, s Schema) oracleDoc {
	d := oracleDoc{revision: uint64(1 + r.IntN(6)), values: make(map[string][]oracleValue)}
	for _, f := range s.Fields {
		most := 3
		if f.Sort {
			most = 1
		}
		for range min(most, r.IntN(5)) {
			d.values[f.Name] = append(d.values[f.Name], drawOracleValue(r, f))
		}
	}
	if n := r.IntN(300); n > 20 {
		d.stored = []byte(strings.Repeat(string(rune('a'+n%26)), n))
	}
	return d
}

func (d oracleDoc) document(id string) Document {
	fields := make(Fields)
	for name, values := range d.values {
		for _, v := range values {
			fields[name] = append(fields[name], v.value)
		}
	}
	return Document{ID: id, Revision: d.revision, Stored: d.stored, Fields: fields}
}

// hit is what a search brings back of the document.
func (d oracleDoc) hit(s Schema, id string) Hit {
	h := Hit{ID: id, Revision: d.revision, Stored: d.stored}
	for _, f := range s.Fields {
		for _, v := range d.values[f.Name] {
			if f.Stored {
				if h.Values == nil {
					h.Values = make(Fields)
				}
				h.Values[f.Name] = append(h.Values[f.Name], v.stored)
			}
		}
	}
	return h
}

// hasWord says whether the document has a word in the field that is like that.
func (d oracleDoc) hasWord(f Field, like func(word string) bool) bool {
	return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool {
		return slices.ContainsFunc(v.tokens, func(t oracleToken) bool { return like(t.word) })
	})
}

// hasPhrase says whether there is a place from which the words stand where they should, in the places of all values with one left free
// between two.
func (d oracleDoc) hasPhrase(f Field, phrase []oracleToken) bool {
	all := make(map[oracleToken]bool)
	base := 0
	for _, v := range d.values[f.Name] {
		for _, t := range v.tokens {
			all[oracleToken{t.word, base + t.at}] = true
		}
		base += v.places + 1
	}
	for p := range base {
		if !slices.ContainsFunc(phrase, func(t oracleToken) bool { return !all[oracleToken{t.word, p + t.at}] }) {
			return true
		}
	}
	return false
}
