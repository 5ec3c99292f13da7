package sse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The oracle says what a query finds, from docs/spec/sse-analysis.md and docs/spec/sse-query.md and without the code: values are made of few
// characters, and what each of them folds to is written down here. So it needs no analysis, only sets of words.

// How the letters of the oracle are written, and what they are found as.
var oracleLetters = map[string][]string{
	"a": {"a", "a", "A", "á", "Á", "a\u0301", "Å", "ａ"},
	"b": {"b", "b", "B", "Ｂ"},
	"c": {"c", "c", "C", "ç", "c\u0327"},
	"o": {"o", "o", "ø", "Ö", "o\u0308\u0304"},
}

var oracleHan = []rune("糖尿病高血")

// An oracleItem is a word of letters, or a run of characters of a script without spaces.
type oracleItem struct {
	word string
	run  []rune
}

// drawText makes a text and says of what it is made.
func drawText(r *rand.Rand, most int) (text string, items []oracleItem) {
	var b strings.Builder
	for i := range 1 + r.IntN(most) {
		var it oracleItem
		if r.IntN(4) == 0 {
			for range 1 + r.IntN(4) {
				it.run = append(it.run, oracleHan[r.IntN(len(oracleHan))])
			}
		} else {
			for range 1 + r.IntN(4) {
				it.word += string("abco"[r.IntN(4)])
			}
		}
		// Scripts need no space between each other.
		if i > 0 && (items[i-1].run == nil) == (it.run == nil) || r.IntN(2) == 0 {
			b.WriteString([]string{" ", ", ", "\n", " (", " - ", "; ", "'", "/"}[r.IntN(8)])
		}
		for _, l := range it.word {
			ways := oracleLetters[string(l)]
			b.WriteString(ways[r.IntN(len(ways))])
		}
		b.WriteString(string(it.run))
		items = append(items, it)
	}
	return b.String(), items
}

// indexedWords are the words that a document with the items is found by, which are also those of the vocabulary.
func indexedWords(items []oracleItem) (words []string) {
	for _, it := range items {
		if it.run == nil {
			words = append(words, it.word)
		}
		for i, c := range it.run {
			words = append(words, string(c))
			if i > 0 {
				words = append(words, string(it.run[i-1:i+1]))
			}
		}
	}
	return words
}

// askedWords are the words that a query with the items asks for.
func askedWords(items []oracleItem) (words []string) {
	for _, it := range items {
		if len(it.run) < 2 {
			words = append(words, it.word+string(it.run))
		}
		for i := 1; i < len(it.run); i++ {
			words = append(words, string(it.run[i-1:i+1]))
		}
	}
	return words
}

// drawKeyword makes a keyword, and its Unicode form NFC, which is what it is compared by.
func drawKeyword(r *rand.Rand) (text, form string) {
	for range 1 + r.IntN(4) {
		switch r.IntN(7) {
		case 0:
			text, form = text+"e\u0301", form+"é"
		case 1:
			text, form = text+"é", form+"é"
		default:
			c := []string{"a", "B", "b", " ", "*", "糖"}[r.IntN(6)]
			text, form = text+c, form+c
		}
	}
	return text, form
}

// oracleDistance is the number of edits between two words: a character more, less or changed, or two neighbours changed about (optimal string
// alignment).
func oracleDistance(x, y string) int {
	a, b := []rune(x), []rune(y)
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func TestOracleDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"糖尿", "尿糖", 1}, {"smith", "smth", 1}, {"ca", "abc", 3}, {"abco", "obca", 2}, {"kitten", "sitting", 3}} {
		require.Equal(t, c.n, oracleDistance(c.a, c.b), c)
		require.Equal(t, c.n, oracleDistance(c.b, c.a), c)
	}
	items := []oracleItem{{word: "ab"}, {run: []rune("糖尿病")}, {run: []rune("血")}}
	require.Equal(t, []string{"ab", "糖", "尿", "糖尿", "病", "尿病", "血"}, indexedWords(items))
	require.Equal(t, []string{"ab", "糖尿", "尿病", "血"}, askedWords(items))
}

// An oracleValue is one value of a document and what it is compared by.
type oracleValue struct {
	value Value
	words []string // of fields with words: indexed; of keywords: the form; of bytes: themselves
	n     int64    // of numbers, in units of the field
}

// drawOracleSchema makes a schema of fields of all types and switches.
func drawOracleSchema(r *rand.Rand) Schema {
	var s Schema
	types := []Type{Keyword, Text, Integer, Date, Name, Bytes, Decimal, Time}
	for i := range 1 + r.IntN(6) {
		f := Field{Name: fmt.Sprint("f", r.IntN(1000), "-", i), Type: types[r.IntN(len(types))]}
		switch f.Type {
		case Keyword, Text, Name:
			f.Prefix, f.Fuzzy = r.IntN(3) > 0, r.IntN(3) > 0
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
		s.Fields = append(s.Fields, f)
	}
	return s
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

func drawOracleValue(r *rand.Rand, f Field) oracleValue {
	switch f.Type {
	case Keyword:
		text, form := drawKeyword(r)
		return oracleValue{value: String(text), words: []string{form}}
	case Text, Name:
		text, items := drawText(r, 4)
		return oracleValue{value: String(text), words: indexedWords(items)}
	case Bytes:
		b := []byte{byte(r.IntN(3)), byte(r.IntN(4))}[:1+r.IntN(2)]
		return oracleValue{value: Raw(b), words: []string{string(b)}}
	}
	n := drawNumber(r, f)
	return oracleValue{value: oracleNumber(f, n), n: n}
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
		for range r.IntN(4) {
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

// An oracleQuery is a query and what it means.
type oracleQuery struct {
	query Query
	match func(oracleDoc) bool
}

// An oracleKind makes queries of one kind, of the fields that take them. A new kind is a new row.
type oracleKind struct {
	fits func(Field) bool
	draw func(r *rand.Rand, f Field) oracleQuery
}

var oracleKinds = []oracleKind{
	{fits: func(Field) bool { return true }, draw: drawTerm},
	{fits: func(f Field) bool { return f.Type.hasOrder() }, draw: drawRange},
	{fits: func(f Field) bool { return f.Prefix }, draw: drawPrefix},
	{fits: func(f Field) bool { return f.Fuzzy }, draw: drawFuzzy},
}

func (t Type) hasOrder() bool { return t == Integer || t == Decimal || t == Date || t == Time }

// drawWords makes the text of a query on a field with words or keywords, and the words that it asks for, in order.
func drawWords(r *rand.Rand, f Field) (text string, words []string) {
	if f.Type == Keyword {
		text, form := drawKeyword(r)
		return text, []string{form}
	}
	text, items := drawText(r, 2)
	return text, askedWords(items)
}

// each matches documents that have, for each of the words, one that is like it in the field.
func each(f Field, words []string, like func(i int, word, asked string) bool) func(oracleDoc) bool {
	return func(d oracleDoc) bool {
		for i, w := range words {
			if !slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool {
				return slices.ContainsFunc(v.words, func(x string) bool { return like(i, x, w) })
			}) {
				return false
			}
		}
		return true
	}
}

func drawTerm(r *rand.Rand, f Field) oracleQuery {
	switch f.Type {
	case Keyword, Text, Name:
		text, words := drawWords(r, f)
		return oracleQuery{Term(f.Name, String(text)), each(f, words, func(_ int, x, w string) bool { return x == w })}
	case Bytes:
		v := drawOracleValue(r, f)
		return oracleQuery{Term(f.Name, v.value), each(f, v.words, func(_ int, x, w string) bool { return x == w })}
	}
	n := drawNumber(r, f)
	return oracleQuery{Term(f.Name, oracleNumber(f, n)), func(d oracleDoc) bool {
		return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool { return v.n == n })
	}}
}

func drawRange(r *rand.Rand, f Field) oracleQuery {
	a, b := drawNumber(r, f), drawNumber(r, f)
	lo, hi := min(a, b), max(a, b)
	q := Range(f.Name, oracleNumber(f, lo), oracleNumber(f, hi))
	switch r.IntN(4) {
	case 0:
		q, lo = Range(f.Name, Value{}, oracleNumber(f, hi)), math.MinInt64
	case 1:
		q, hi = Range(f.Name, oracleNumber(f, lo), Value{}), math.MaxInt64
	case 2: // an end outside the declared interval is allowed
		if f.Type == Integer && f.Min > math.MinInt64+9 && f.Max < math.MaxInt64-9 {
			lo, hi = lo-int64(r.IntN(9)), hi+int64(r.IntN(9))
			q = Range(f.Name, Int(lo), Int(hi))
		}
	}
	return oracleQuery{q, func(d oracleDoc) bool {
		return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool { return lo <= v.n && v.n <= hi })
	}}
}

func drawPrefix(r *rand.Rand, f Field) oracleQuery {
	text, words := drawWords(r, f)
	return oracleQuery{Prefix(f.Name, text), each(f, words, func(i int, x, w string) bool {
		return x == w || i == len(words)-1 && strings.HasPrefix(x, w)
	})}
}

func drawFuzzy(r *rand.Rand, f Field) oracleQuery {
	text, words := drawWords(r, f)
	n := 1 + r.IntN(2)
	return oracleQuery{Fuzzy(f.Name, text, n), each(f, words, func(_ int, x, w string) bool { return oracleDistance(x, w) <= n })}
}

// drawQuery makes a tree of queries.
func drawQuery(r *rand.Rand, s Schema, depth int) oracleQuery {
	if depth == 0 || r.IntN(3) == 0 {
		for {
			kind, f := oracleKinds[r.IntN(len(oracleKinds))], s.Fields[r.IntN(len(s.Fields))]
			if kind.fits(f) {
				return kind.draw(r, f)
			}
		}
	}
	a, b := drawQuery(r, s, depth-1), drawQuery(r, s, depth-1)
	switch r.IntN(4) {
	case 0:
		return oracleQuery{Not(a.query), func(d oracleDoc) bool { return !a.match(d) }}
	case 1:
		return oracleQuery{And(a.query, b.query), func(d oracleDoc) bool { return a.match(d) && b.match(d) }}
	case 2:
		return oracleQuery{And(a.query, Not(b.query)), func(d oracleDoc) bool { return a.match(d) && !b.match(d) }}
	}
	return oracleQuery{Or(a.query, b.query), func(d oracleDoc) bool { return a.match(d) || b.match(d) }}
}
