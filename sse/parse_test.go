package sse

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Each text and the query that it is, and how that is printed.
func TestParseQuery(t *testing.T) {
	for text, c := range map[string]struct {
		query Query
		print string
	}{
		"diagnosis:diabetes AND age:[50 TO 70] NOT note:smth~1": {
			And(Term("diagnosis", String("diabetes")), Range("age", Int(50), Int(70)), Not(Fuzzy("note", "smth", 1))),
			"diagnosis:diabetes AND age:[50 TO 70] AND NOT note:smth~1"},
		"diagnosis:I10":               {Term("diagnosis", String("I10")), "diagnosis:I10"},
		" \t\r\n diagnosis: \n I10  ": {Term("diagnosis", String("I10")), "diagnosis:I10"},
		`diagnosis:"north wing"`:      {Term("diagnosis", String("north wing")), `diagnosis:north\ wing`},
		`diagnosis:north\ wing`:       {Term("diagnosis", String("north wing")), `diagnosis:north\ wing`},
		`diagnosis:"dia*"`:            {Term("diagnosis", String("dia*")), `diagnosis:dia\*`},
		`diagnosis:"糖尿病（2型）"`:         {Term("diagnosis", String("糖尿病（2型）")), `diagnosis:糖尿病\（2型\）`},
		`diagnosis:"a\"\\\u{2003}b"`:  {Term("diagnosis", String("a\"\\\u2003b")), `diagnosis:a\"\\\u{2003}b`},
		`diagnosis:\OR`:               {Term("diagnosis", String("OR")), `diagnosis:\OR`},
		`diagnosis:"OR"`:              {Term("diagnosis", String("OR")), `diagnosis:\OR`},
		`diagnosis:or`:                {Term("diagnosis", String("or")), `diagnosis:or`},
		`diagnosis:-5.a/b+c@d'e#f$`:   {Term("diagnosis", String("-5.a/b+c@d'e#f$")), `diagnosis:-5.a/b+c@d'e#f$`},
		`diagnosis:\/x`:               {Term("diagnosis", String("/x")), `diagnosis:\/x`},
		`diagnosis:\'x\'`:             {Term("diagnosis", String("'x'")), `diagnosis:\'x'`},
		"note:O'Brien":                {Term("note", String("O'Brien")), "note:O'Brien"},
		"note:糖尿病":                    {Term("note", String("糖尿病")), "note:糖尿病"},
		"note:می\u200cروم":            {Term("note", String("می\u200cروم")), "note:می\u200cروم"},
		"age:50":                      {Term("age", Int(50)), "age:50"},
		`age:"50"`:                    {Term("age", Int(50)), "age:50"},
		"delta:-7":                    {Term("delta", Int(-7)), "delta:-7"},
		"born:1961-05-04":             {Term("born", Day(date(1961, 5, 4))), "born:1961-05-04"},
		"age:{50 TO 70}":              {Range("age", Int(51), Int(69)), "age:[51 TO 69]"},
		"age:[50 TO 70}":              {Range("age", Int(50), Int(69)), "age:[50 TO 69]"},
		"age:{50 TO 70]":              {Range("age", Int(51), Int(70)), "age:[51 TO 70]"},
		"age:[ 50  TO\n70 ]":          {Range("age", Int(50), Int(70)), "age:[50 TO 70]"},
		"age:[* TO 70]":               {Range("age", Value{}, Int(70)), "age:[* TO 70]"},
		"age:{* TO 70}":               {Range("age", Value{}, Int(69)), "age:[* TO 69]"},
		"age:[* TO *]":                {Range("age", Value{}, Value{}), "age:[* TO *]"},
		"age:>=50":                    {Range("age", Int(50), Value{}), "age:[50 TO *]"},
		"age:>50":                     {Range("age", Int(51), Value{}), "age:[51 TO *]"},
		"age:<= 50":                   {Range("age", Value{}, Int(50)), "age:[* TO 50]"},
		"age:<50":                     {Range("age", Value{}, Int(49)), "age:[* TO 49]"},
		"age:[100 TO 900]":            {Range("age", Int(100), Int(900)), "age:[100 TO 900]"},
		"born:>1999-12-31":            {Range("born", Day(date(2000, 1, 1)), Value{}), "born:[2000-01-01 TO *]"},
		`born:["1960-01-01" TO *]`:    {Range("born", Day(date(1960, 1, 1)), Value{}), "born:[1960-01-01 TO *]"},
		"diagnosis:dia*":              {Prefix("diagnosis", "dia"), "diagnosis:dia*"},
		`diagnosis:\**`:               {Prefix("diagnosis", "*"), `diagnosis:\**`},
		`note:chest\ pa*`:             {Prefix("note", "chest pa"), `note:chest\ pa*`},
		"diagnosis:d?ab*":             {Wildcard("diagnosis", "d?ab*"), "diagnosis:d?ab*"},
		"diagnosis:*betes":            {Wildcard("diagnosis", "*betes"), "diagnosis:*betes"},
		"diagnosis:**":                {Wildcard("diagnosis", "**"), "diagnosis:**"},
		"diagnosis:?":                 {Wildcard("diagnosis", "?"), "diagnosis:?"},
		`diagnosis:a\*\?\\b?`:         {Wildcard("diagnosis", `a\*\?\\b?`), `diagnosis:a\*\?\\b?`},
		`diagnosis:*abet*`:            {Wildcard("diagnosis", `*abet*`), `diagnosis:wildcard("*abet*")`},
		`diagnosis:wildcard("dia*")`:  {Wildcard("diagnosis", "dia*"), `diagnosis:wildcard("dia*")`},
		`diagnosis:wildcard( "dia" )`: {Wildcard("diagnosis", "dia"), `diagnosis:wildcard("dia")`},
		`diagnosis:wildcard("d?a")`:   {Wildcard("diagnosis", "d?a"), `diagnosis:d?a`},
		"diagnosis:/dia.* [a-z)\"]/":  {Regexp("diagnosis", "dia.* [a-z)\"]"), "diagnosis:/dia.* [a-z)\"]/"},
		`diagnosis:/a\/\d\\\/b/`:      {Regexp("diagnosis", `a/\d\\/b`), `diagnosis:/a\/\d\\\/b/`},
		`diagnosis:regexp("a\\/b")`:   {Regexp("diagnosis", `a\/b`), `diagnosis:regexp("a\\/b")`},
		"note:smith~":                 {Fuzzy("note", "smith", 2), "note:smith~2"},
		"note:smith~2":                {Fuzzy("note", "smith", 2), "note:smith~2"},
		`note:zoe\ smith~1`:           {Fuzzy("note", "zoe smith", 1), `note:zoe\ smith~1`},
		`memo:"chest pain"`:           {Phrase("memo", "chest pain"), `memo:"chest pain"`},
		`memo:"a \"b\" \\"`:           {Phrase("memo", `a "b" \`), `memo:"a \"b\" \\"`},
		`memo:chest\ pain`:            {Term("memo", String("chest pain")), `memo:chest\ pain`},
		"memo:*hest*":                 {Substring("memo", "hest"), "memo:*hest*"},
		`memo:*st\ pa*`:               {Substring("memo", "st pa"), `memo:*st\ pa*`},
		"code:*I10*":                  {Substring("code", "I10"), "code:*I10*"},
		`patient:"Zoë Müller"`:        {Phrase("patient", "Zoë Müller"), `patient:"Zoë Müller"`},
		`patient:sounds("Meier")`:     {Sounds("patient", "Meier"), `patient:sounds("Meier")`},
		"dose:12.50":                  {Term("dose", Dec(125, 1)), "dose:12.5"},
		"dose:12":                     {Term("dose", Dec(12, 0)), "dose:12"},
		"dose:{0.1 TO 1}":             {Range("dose", Dec(11, 2), Dec(99, 2)), "dose:[0.11 TO 0.99]"},
		"dose:<99999999999999999":     {Range("dose", Value{}, Dec(99999999999999999, 0)), "dose:[* TO 99999999999999999]"},
		"seen:2024-02-29T23:59:59Z":   {Term("seen", Instant(time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC))), "seen:2024-02-29T23:59:59Z"},
		"seen:>2024-02-29T23:59:59-01:00": {
			Range("seen", Instant(time.Date(2024, 3, 1, 1, 0, 0, 0, time.UTC)), Value{}), "seen:[2024-03-01T01:00:00Z TO *]"},
		"seen:[2024-01-01T00:00:00Z TO \"2025-01-01T00:00:00Z\"}": {
			Range("seen", Instant(date(2024, 1, 1)), Instant(time.Date(2024, 12, 31, 23, 59, 59, 0, time.UTC))), "seen:[2024-01-01T00:00:00Z TO 2024-12-31T23:59:59Z]"},
		"uid:0F3a":               {Term("uid", Raw([]byte{0x0f, 0x3a})), "uid:0f3a"},
		"note:*":                 {Exists("note"), "note:*"},
		"age:*":                  {Exists("age"), "age:*"},
		"*:*":                    {All(), "*:*"},
		"NOT *:*":                {Not(All()), "NOT *:*"},
		"NOT NOT age:5":          {Not(Not(Term("age", Int(5)))), "NOT NOT age:5"},
		"NOT age:5 AND age:6":    {And(Not(Term("age", Int(5))), Term("age", Int(6))), "NOT age:5 AND age:6"},
		"NOT age:5 NOT age:6":    {And(Not(Term("age", Int(5))), Not(Term("age", Int(6)))), "NOT age:5 AND NOT age:6"},
		"NOT(age:5 OR age:6)":    {Not(Or(Term("age", Int(5)), Term("age", Int(6)))), "NOT (age:5 OR age:6)"},
		"age:5 OR NOT age:6":     {Or(Term("age", Int(5)), Not(Term("age", Int(6)))), "age:5 OR NOT age:6"},
		"age:(5 OR 6)":           {Or(Term("age", Int(5)), Term("age", Int(6))), "age:5 OR age:6"},
		"age:(5)":                {Term("age", Int(5)), "age:5"},
		"age:(>=5 AND <7 NOT 6)": {And(Range("age", Int(5), Value{}), Range("age", Value{}, Int(6)), Not(Term("age", Int(6)))), "age:[5 TO *] AND age:[* TO 6] AND NOT age:6"},
		"diagnosis:((a) OR (b AND NOT c*))": {
			Or(Term("diagnosis", String("a")), And(Term("diagnosis", String("b")), Not(Prefix("diagnosis", "c")))),
			"diagnosis:a OR (diagnosis:b AND NOT diagnosis:c*)"},
		"age:5 AND (age:6 AND age:7)": {And(Term("age", Int(5)), And(Term("age", Int(6)), Term("age", Int(7)))), "age:5 AND (age:6 AND age:7)"},
		"((age:5)AND(age:6))":         {And(Term("age", Int(5)), Term("age", Int(6))), "age:5 AND age:6"},
	} {
		q, err := ParseQuery(parseSchema, text)
		if assert.NoError(t, err, text) {
			assert.Equal(t, c.query, q, text)
			assert.Equal(t, c.print, q.String(), text)
		}
	}
}

// testAutomata are shared, as their tables take some milliseconds.
var testAutomata automata

var parseSchema = Schema{Fields: []Field{
	{Name: "diagnosis", Type: Keyword, Prefix: true, Fuzzy: true},
	{Name: "age", Type: Integer, Min: 0, Max: 120},
	{Name: "delta", Type: Integer, Min: -1 << 63, Max: 1<<63 - 1},
	{Name: "born", Type: Date},
	{Name: "note", Type: Text, Prefix: true, Fuzzy: true},
	{Name: "plain", Type: Text},
	{Name: "memo", Type: Text, Phrase: true, Substring: true, Stored: true, Language: "en"},
	{Name: "code", Type: Keyword, Substring: true, Stored: true},
	{Name: "patient", Type: Name, Phrase: true, Prefix: true, Fuzzy: true},
	{Name: "dose", Type: Decimal, Min: 0, Max: 100_000, Scale: 2},
	{Name: "seen", Type: Time},
	{Name: "uid", Type: Bytes},
}}

// pieces of values: what has a meaning in the language, what looks like it, and what people write.
var parsePieces = []string{
	"a", "B", "7", "AND", "OR", "NOT", "TO", "not", " ", "  ", `"`, `\`, "*", "?", "~", "~1", "(", ")", ":", "/", "'", "’", "é", "e\u0301", "糖", "尿", "：", "（", "“", "»",
	"\u3000", "\u00a0", "\u200c", "\ufeff", "\u202e", "\n", "\x00", "\x7f", "[", "]", "{", "}", "^", "&&", "|", "!", "-", "+", "<", "=", ",", ".", "�", "🙂", "x{41}", "u{41}", "sounds",
}

func genText(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "any") == 0 {
		return rapid.String().Draw(t, "text")
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parsePieces), 1, 6).Draw(t, "pieces"), "")
}

// genLeaf makes a query of any kind that fits the schema, or All.
func genLeaf(t *rapid.T) Query {
	var q Query
	words := []string{"diagnosis", "note"}
	switch rapid.IntRange(0, 16).Draw(t, "leaf") {
	case 0:
		q = Term(rapid.SampledFrom([]string{"diagnosis", "note", "plain"}).Draw(t, "field"), String(genText(t)))
	case 1:
		q = Term("delta", Int(rapid.Int64().Draw(t, "n")))
	case 2:
		q = Term("born", Day(dayTime(rapid.Int64Range(minDay, maxDay).Draw(t, "day"))))
	case 3:
		lo, hi := rapid.Int64().Draw(t, "lo"), rapid.Int64().Draw(t, "hi")
		q = Range(rapid.SampledFrom([]string{"age", "delta"}).Draw(t, "field"), Int(min(lo, hi)), Int(max(lo, hi)))
		if rapid.Bool().Draw(t, "open") {
			q.value = Value{}
		}
	case 4:
		q = Range("born", Day(dayTime(rapid.Int64Range(minDay, maxDay).Draw(t, "day"))), Value{})
	case 5:
		q = Prefix(rapid.SampledFrom(words).Draw(t, "field"), genText(t))
	case 6:
		q = Fuzzy(rapid.SampledFrom(words).Draw(t, "field"), genText(t), rapid.IntRange(1, 2).Draw(t, "distance"))
	case 7:
		q = Wildcard(rapid.SampledFrom(words).Draw(t, "field"), genText(t))
		_, err := parseSchema.wildcard(q.field, q.text)
		return orAll(q, err)
	case 8:
		text := genText(t)
		if _, err := syntax.Parse(text, syntax.Perl); err == nil && text != "" {
			return Regexp(rapid.SampledFrom(words).Draw(t, "field"), text)
		}
		return All()
	case 9:
		return Exists(rapid.SampledFrom([]string{"diagnosis", "age", "born", "note"}).Draw(t, "field"))
	case 10:
		q = Phrase(rapid.SampledFrom([]string{"memo", "patient"}).Draw(t, "field"), genText(t))
		_, err := parseSchema.phraseWords(q.field, q.text)
		return orAll(q, err)
	case 11:
		q = Substring(rapid.SampledFrom([]string{"memo", "code"}).Draw(t, "field"), genText(t))
		_, _, err := parseSchema.substringTerms(q.field, q.text)
		return orAll(q, err)
	case 12:
		q = Sounds("patient", genText(t))
		_, err := parseSchema.soundTerms(q.field, q.text)
		return orAll(q, err)
	case 13:
		q = Range("dose", Dec(rapid.Int64().Draw(t, "unscaled"), rapid.IntRange(0, 2).Draw(t, "scale")), Value{})
	case 14:
		q = Term("dose", Dec(rapid.Int64Range(0, 100_000).Draw(t, "unscaled"), 2))
	case 15:
		lo := rapid.Int64Range(minSecond, maxSecond).Draw(t, "lo")
		q = Range("seen", Instant(time.Unix(lo, 0)), Instant(time.Unix(rapid.Int64Range(lo, maxSecond).Draw(t, "hi"), 0)))
	case 16:
		q = Term("uid", Raw(rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "bytes")))
	default:
		return All()
	}
	_, err := compile(parseSchema, Balanced, &testAutomata, q, SearchOptions{})
	return orAll(q, err)
}

// orAll keeps what is generated within what fits the schema.
func orAll(q Query, err error) Query {
	if err != nil {
		return All()
	}
	return q
}

func genTree(t *rapid.T, depth int) Query {
	if depth == 0 {
		return genLeaf(t)
	}
	switch rapid.IntRange(0, 3).Draw(t, "operator") {
	case 0:
		return Not(genTree(t, depth-1))
	case 1, 2:
		subs := make([]Query, rapid.IntRange(1, 3).Draw(t, "subs"))
		for i := range subs {
			subs[i] = genTree(t, depth-1)
		}
		if rapid.Bool().Draw(t, "or") {
			return Or(subs...)
		}
		return And(subs...)
	}
	return genLeaf(t)
}

// What String prints, ParseQuery reads as the same query, for every query that fits the schema.
func TestQueryStringIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genTree(t, rapid.IntRange(0, 4).Draw(t, "depth"))
		text := q.String()
		require.True(t, utf8.ValidString(text))
		require.False(t, strings.ContainsFunc(text, hidden), "%q", text)
		again, err := ParseQuery(parseSchema, text)
		require.NoError(t, err, text)
		require.Equal(t, q, again, text)
	})
}

// Of queries that fit no schema String shows something that is refused, not another query.
func TestQueryStringOfWhatDoesNotFit(t *testing.T) {
	for _, q := range []Query{
		{}, And(), Or(), Not(Query{}), Not(And()), Term("diagnosis", Value{}), Term("diagnosis", String("")), Term("note", String("")), Term("note", String("...")),
		Term("diagnosis", String("a\xffb")), Term("diagnosis", String("\xff")), Phrase("note", ""), Phrase("plain", ""), Prefix("diagnosis", ""), Prefix("plain", "a"),
		Fuzzy("diagnosis", "", 1), Fuzzy("note", "a", 0), Fuzzy("note", "a", 3), Fuzzy("note", "a", -1), Substring("diagnosis", ""), Wildcard("diagnosis", ""),
		Wildcard("diagnosis", `\a*`), Wildcard("diagnosis", `a?\`), Wildcard("diagnosis", "a?\xff"), Regexp("diagnosis", ""), Regexp("diagnosis", "a\xffb"), Regexp("diagnosis", `a\`),
		Regexp("diagnosis", "("), Regexp("plain", "a"), Sounds("diagnosis", "a"), Sounds("note", ""), Range("age", Int(7), Int(5)), Range("diagnosis", String("a"), String("b")),
		Range("note", Value{}, Value{}), Term("age", String("x y")), Term("age", Int(121)), Term("age:5 OR age", Int(6)), Exists("nope"), Term("", Int(5)),
		Term("born", Day(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))), Term("born", Day(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))),
	} {
		_, err := ParseQuery(parseSchema, q.String())
		assert.Error(t, err, "%#v prints %q", q, q.String())
	}
}

// A query as deep, and with as many parts, as compile takes is read; one more is refused.
func TestParseQueryLimits(t *testing.T) {
	refused := func(text, expected string) {
		t.Helper()
		_, err := ParseQuery(parseSchema, text)
		var e *SyntaxError
		require.ErrorAs(t, err, &e)
		require.Equal(t, expected, e.Expected)
		require.NotErrorIs(t, err, ErrSchema)
	}
	x := Term("age", Int(5))
	for name, deeper := range map[string]func(Query) Query{
		"not": Not,
		"and": func(q Query) Query { return And(x, q) },
		"or":  func(q Query) Query { return Or(q, x) },
	} {
		deep := x
		for range maxDepth - 1 {
			deep = deeper(deep)
			if name != "not" { // so that both operators alternate
				deep = Query{op: opAnd + opOr - deep.op, sub: deep.sub}
			}
		}
		_, err := compile(parseSchema, Balanced, &testAutomata, deep, SearchOptions{})
		require.NoError(t, err)
		q, err := ParseQuery(parseSchema, deep.String())
		require.NoError(t, err, name)
		require.Equal(t, deep, q)
		refused(Not(deep).String(), "at most 64 inside each other")
		refused(deeper(deep).String(), "at most 64 inside each other")
	}
	refused(strings.Repeat("(", maxDepth+1)+"age:5"+strings.Repeat(")", maxDepth+1), "at most 64 inside each other")
	refused(strings.Repeat("(", MaxQueryText), "at most 64 inside each other")
	refused(strings.Repeat("NOT ", MaxQueryText/4), "at most 64 inside each other")
	many := make([]Query, maxClauses-1)
	for i := range many {
		many[i] = x
	}
	q, err := ParseQuery(parseSchema, Or(many...).String())
	require.NoError(t, err)
	require.Equal(t, Or(many...), q)
	refused(Or(append(many, x)...).String(), "at most 4096 parts of a query")
	refused("age:("+strings.Repeat("5 OR ", maxClauses-1)+"5)", "at most 4096 parts of a query")

	text := "plain:a" + strings.Repeat(" ", MaxQueryText-len("plain:a"))
	_, err = ParseQuery(parseSchema, text)
	require.NoError(t, err)
	refused(text+" ", "at most 262144 bytes")
}

// Long texts of every kind come to an end: a parser that went back, or looked at the rest of the text for each part, would hang here.
func TestParseQueryTakesLongTexts(t *testing.T) {
	length := MaxQueryText
	if testing.Short() {
		length /= 16
	}
	for _, unit := range []string{"a", "\\*", "?", "(", "NOT ", "糖", "~", "\"", "\\", "[", "/", ",", "\u3000", "*", "a ", "age:5 AND ", "diagnosis:a OR ", "plain:(", "-"} {
		for _, head := range []string{"", "diagnosis:", `diagnosis:"`, "diagnosis:/", "diagnosis:wildcard(\"", "age:", "age:[", "x OR ", "diagnosis:*"} {
			text := head + strings.Repeat(unit, (length-len(head))/len(unit))
			_, err := ParseQuery(parseSchema, text)
			checkSyntaxError(t, text, err)
		}
	}
}

// checkSyntaxError requires that an error points into the text, is one line that can be shown, and is short.
func checkSyntaxError(t require.TestingT, text string, err error) {
	if err == nil {
		return
	}
	var e *SyntaxError
	require.ErrorAs(t, err, &e)
	require.GreaterOrEqual(t, e.Offset, 0)
	require.LessOrEqual(t, e.Offset, len(text))
	require.NotEmpty(t, e.Found)
	require.NotEmpty(t, e.Expected)
	s := err.Error()
	require.True(t, utf8.ValidString(s), "%q", s)
	require.Less(t, len(s), 2000)
	require.False(t, strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == 0x2028 || r == 0x202e }), "%q", s)
	require.True(t, e.Offset == len(text) || utf8.RuneStart(text[e.Offset]) || !utf8.ValidString(text), "%q at %d", text, e.Offset)
}

func TestParseQueryNeedsASchema(t *testing.T) {
	_, err := ParseQuery(Schema{}, "a:b")
	require.ErrorIs(t, err, ErrSchema)
	var e *SyntaxError
	require.False(t, errors.As(err, &e))
}

func FuzzParseQuery(f *testing.F) {
	for _, text := range []string{
		"diagnosis:diabetes AND age:[50 TO 70] NOT note:smth~1", `diagnosis:"a\"\u{2003}" OR (note:d?ab* AND NOT born:>=1961-05-04)`, "diagnosis:/a\\/b/ OR age:{* TO 7}",
		`diagnosis:wildcard("*a*") AND *:* NOT plain:*`, "diagnosis:(a OR b* OR \\OR~)", "nmae:x", "a:b c", "age:5 AND age:6 OR age:7", "diagnosis:“a”", "age:(1 OR (2", "diagnosis:\\u{zz}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(parseSchema, text)
		checkSyntaxError(t, text, err)
		if err != nil {
			return
		}
		again, err := ParseQuery(parseSchema, q.String())
		require.NoError(t, err, "%q prints %q", text, q)
		require.Equal(t, q, again)
		_, err = compile(parseSchema, Balanced, &testAutomata, q, SearchOptions{})
		require.NotErrorIs(t, err, ErrTooBroad, fmt.Sprint(q))
	})
}
