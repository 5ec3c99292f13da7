package sse

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
)

// The values of a query: what stands behind the colon. docs/spec/sse-query.md, section Values.

// value reads one value of the field and makes the query that it stands for.
func (p *queryParser) value(f *Field) (Query, error) {
	start := p.off
	switch c := p.peek(); {
	case c == '"':
		text, err := p.quoted()
		if err != nil {
			return Query{}, err
		}
		if err := p.ends(); err != nil {
			return Query{}, err
		}
		return p.exact(f, start, text)
	case c == '[' || c == '{':
		return p.brackets(f)
	case c == '<' || c == '>':
		return p.compared(f)
	case c == '=':
		return Query{}, p.unexpected(f.wanted(), "leave = out: the colon says it, as in "+f.Name+":"+f.example()+"; comparisons are >=, <=, > and <")
	case c == '!':
		return Query{}, p.unexpected(f.wanted(), "write NOT in front of the field, as in NOT "+f.Name+":"+f.example())
	case c == '/':
		return p.slashes(f)
	}
	w, err := p.bare(f)
	if err != nil {
		return Query{}, err
	}
	raw := p.text[start:p.off]
	switch {
	case len(w) == 0:
		return Query{}, p.stray(start, f.wanted())
	case isKeyword(raw):
		return Query{}, p.wrong(f, start, raw, raw+` has a meaning of its own: as a value it is written \`+raw)
	case p.peek() == '(':
		return p.function(f, start, raw)
	case p.peek() == '~':
		return p.near(f, start, w)
	}
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	kind := w.kind()
	if kind == opSubstring && !f.Substring {
		kind = opWildcard
	}
	switch kind {
	case opTerm:
		v, err := p.typed(f, start, w.literal())
		if err != nil {
			return Query{}, err
		}
		return p.check(f, start, Term(f.Name, v))
	case opExists:
		return Exists(f.Name), nil
	case opPrefix:
		return p.check(f, start, Prefix(f.Name, w.literal()))
	case opSubstring:
		return p.check(f, start, Substring(f.Name, w.literal()))
	}
	return p.check(f, start, Wildcard(f.Name, w.text()))
}

// exact is the query for a text in double quotes: a phrase where the field has words, else the value.
func (p *queryParser) exact(f *Field, start int, text string) (Query, error) {
	if !f.hasWords() {
		v, err := p.typed(f, start, text)
		if err != nil {
			return Query{}, err
		}
		return p.check(f, start, Term(f.Name, v))
	}
	if !f.Phrase && text != "" {
		return Query{}, p.wrong(f, start, p.text[start:p.off], fmt.Sprintf("it keeps no places of words, so that words in a row cannot be found: write %s:%s for all of its words in any order",
			f.Name, abbreviate(string(appendBare(nil, text)))))
	}
	return p.check(f, start, Phrase(f.Name, text))
}

// near = word "~" [ "1" | "2" ]
func (p *queryParser) near(f *Field, start int, w pattern) (Query, error) {
	if w.kind() != opTerm {
		return Query{}, p.unexpected(`a space, ")" or the end behind the value`, "a pattern with * or ? has no distance: leave ~ or the wildcards out")
	}
	p.off++
	at := p.off
	for p.off < len(p.text) && (isLetterOrDigit(p.text[p.off]) || strings.IndexByte(".-+", p.text[p.off]) >= 0) {
		p.off++
	}
	distance := 2
	switch number := p.text[at:p.off]; number {
	case "", "2":
	case "1":
		distance = 1
	default:
		return Query{}, &SyntaxError{Offset: at, Found: showText(number), Expected: "1, 2 or nothing", Fix: "~1 allows one typing error, ~2 or ~ two"}
	}
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	return p.check(f, start, Fuzzy(f.Name, w.literal(), distance))
}

// slashes = "/" expression "/", where \/ stands for / and any other backslash for itself.
func (p *queryParser) slashes(f *Field) (Query, error) {
	start := p.off
	var b strings.Builder
	i := start + 1
	for ; i < len(p.text) && p.text[i] != '/'; i++ {
		if p.text[i] == '\\' && i+1 < len(p.text) {
			if i++; p.text[i] != '/' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(p.text[i])
	}
	if i == len(p.text) {
		return Query{}, &SyntaxError{Offset: i, Found: "the end", Expected: "the closing /",
			Fix: fmt.Sprintf(`close the regular expression that begins at byte %d; inside it write \/ for /`, start)}
	}
	for j, r := range p.text[start:i] {
		if hidden(r) {
			return Query{}, p.stray(start+j, "a character of a regular expression")
		}
	}
	p.off = i + 1
	if c := p.peek(); isLetterOrDigit(c) {
		return Query{}, p.unexpected(`a space, ")" or the end behind the value`, "options stand inside the expression, such as /(?i)dia.*/; a slash in it is written \\/")
	}
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	return p.expressionOf(f, start, b.String())
}

func (p *queryParser) expressionOf(f *Field, start int, text string) (Query, error) {
	if text == "" {
		return Query{}, p.wrong(f, start, p.text[start:p.off], "a regular expression says what the whole word looks like: write one such as /dia.*/")
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		var e *syntax.Error
		why := "it is not one"
		if errors.As(err, &e) {
			why = e.Code.String() + " at " + showText(e.Expr)
		}
		return Query{}, &SyntaxError{Offset: start, Found: showText(p.text[start:p.off]), Expected: "a regular expression", Fix: why + ": correct it"}
	}
	return p.check(f, start, Regexp(f.Name, text))
}

// function = ( "sounds" | "wildcard" | "regexp" ) "(" quoted ")"
func (p *queryParser) function(f *Field, start int, name string) (Query, error) {
	if name != "sounds" && name != "wildcard" && name != "regexp" {
		return Query{}, &SyntaxError{Offset: start, Found: showText(name + "("), Expected: "sounds(, wildcard( or regexp(, or a space behind the value",
			Fix: `a parenthesis in a value is written \(`}
	}
	p.off++
	p.space()
	if p.peek() != '"' {
		return Query{}, p.unexpected("a text in double quotes", fmt.Sprintf(`write it such as %s:%s("...")`, f.Name, name))
	}
	text, err := p.quoted()
	if err != nil {
		return Query{}, err
	}
	p.space()
	if p.peek() != ')' {
		return Query{}, p.unexpected(`")"`, fmt.Sprintf(`%s takes one text in double quotes`, name))
	}
	p.off++
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	switch name {
	case "sounds":
		return p.check(f, start, Sounds(f.Name, text))
	case "regexp":
		return p.expressionOf(f, start, text)
	}
	if _, ok := cutPattern(text); !ok {
		return Query{}, p.wrong(f, start, p.text[start:p.off], `a pattern is not empty and has a backslash only in front of *, ? and another backslash, which in double quotes is written \\`)
	}
	return p.check(f, start, Wildcard(f.Name, text))
}

// brackets = ( "[" | "{" ) end "TO" end ( "]" | "}" )
func (p *queryParser) brackets(f *Field) (Query, error) {
	start := p.off
	if err := p.ordered(f, start); err != nil {
		return Query{}, err
	}
	above := p.text[start] == '{'
	p.off++
	p.space()
	low, err := p.end(f)
	if err != nil {
		return Query{}, err
	}
	if !p.space() || !p.keyword("TO") {
		return Query{}, p.unexpected("TO with spaces around it", fmt.Sprintf("write [%s TO *], with TO in capitals and * for an open end", f.example()))
	}
	p.off += len("TO")
	p.space()
	at := p.off
	high, err := p.end(f)
	if err != nil {
		return Query{}, err
	}
	if f.ends(low, high) {
		return Query{}, &SyntaxError{Offset: at, Found: showText(p.text[at:p.off]), Expected: "a value from " + low.String() + " on",
			Fix: "the range ends before it begins: swap its ends", cause: ErrSchema}
	}
	p.space()
	if c := p.peek(); c != ']' && c != '}' {
		return Query{}, p.unexpected("] or }", "close the range: ] takes the end in, } leaves it out")
	}
	below := p.text[p.off] == '}'
	p.off++
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	return p.between(f, start, low, high, above, below)
}

// compared = ( ">=" | "<=" | ">" | "<" ) end
func (p *queryParser) compared(f *Field) (Query, error) {
	start := p.off
	if err := p.ordered(f, start); err != nil {
		return Query{}, err
	}
	greater := p.text[start] == '>'
	p.off++
	without := p.peek() != '='
	if !without {
		p.off++
	}
	p.space()
	if p.peek() == '*' {
		return Query{}, p.unexpected(f.wanted(), "any value at all is "+f.Name+":*")
	}
	v, err := p.end(f)
	if err != nil {
		return Query{}, err
	}
	if err := p.ends(); err != nil {
		return Query{}, err
	}
	if greater {
		return p.between(f, start, v, Value{}, without, false)
	}
	return p.between(f, start, Value{}, v, false, without)
}

// ordered requires a field with ranges.
func (p *queryParser) ordered(f *Field, start int) error {
	if f.ranged() == nil {
		return nil
	}
	return p.wrong(f, start, p.word(start), fmt.Sprintf("fields of type %v have no order and no ranges; as a part of a value, brackets and < and > are written with a backslash in front", f.Type))
}

// end reads one end of a range; the zero Value is an open one.
func (p *queryParser) end(f *Field) (Value, error) {
	start := p.off
	var text string
	if p.peek() == '"' {
		var err error
		if text, err = p.quoted(); err != nil {
			return Value{}, err
		}
	} else {
		w, err := p.bare(f)
		if err != nil {
			return Value{}, err
		}
		switch {
		case len(w) == 0:
			return Value{}, p.stray(start, f.wanted())
		case w.kind() == opExists:
			return Value{}, nil
		case isKeyword(p.text[start:p.off]):
			return Value{}, &SyntaxError{Offset: start, Found: showText(p.text[start:p.off]), Expected: f.wanted(), Fix: "an open end is *"}
		case w.kind() != opTerm:
			return Value{}, p.wrong(f, start, p.text[start:p.off], "a range has no patterns; an open end is *")
		}
		text = w.literal()
	}
	v, err := p.typed(f, start, text)
	if err != nil {
		return Value{}, err
	}
	if _, _, err := f.units(v); err != nil {
		return Value{}, p.wrong(f, start, p.text[start:p.off], f.reason(err))
	}
	return v, nil
}

// between makes the range, whose ends are left out where above and below say so: values are counted in whole units, so that what is
// above one begins with the next.
func (p *queryParser) between(f *Field, start int, low, high Value, above, below bool) (Query, error) {
	some := true
	if above && low != (Value{}) {
		low, some = f.next(low, 1)
	}
	if below && high != (Value{}) && some {
		high, some = f.next(high, -1)
	}
	if !some || f.ends(low, high) {
		return Query{}, p.wrong(f, start, p.text[start:p.off], "there is no value between the ends: [, ], >= and <= take the ends in, {, }, > and < leave them out")
	}
	return p.check(f, start, Range(f.Name, low, high))
}

// next is the value that follows, for step 1, or comes before, for step -1; ok is false if the type has none. What lies beyond all values
// of the type stays: none is left out there.
func (f *Field) next(v Value, step int64) (next Value, ok bool) {
	n, over, _ := f.units(v)
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	switch f.Type {
	case Date:
		least, most = minDay, maxDay
	case Time:
		least, most = minSecond, maxSecond
	}
	switch {
	case over != 0:
		return v, true
	case step > 0 && n >= most, step < 0 && n <= least:
		return v, false
	}
	return f.value(n + step), true
}

// ends says whether a range ends before it begins.
func (f *Field) ends(low, high Value) bool {
	if low == (Value{}) || high == (Value{}) {
		return false
	}
	a, beyond, _ := f.units(low)
	b, behind, _ := f.units(high)
	return cmp.Or(cmp.Compare(beyond, behind), cmp.Compare(a, b)) > 0
}

// typed reads a value as the type of the field wants it.
func (p *queryParser) typed(f *Field, start int, text string) (Value, error) {
	v, fix := f.read(text)
	if fix != "" {
		return Value{}, p.wrong(f, start, p.text[start:p.off], fix)
	}
	return v, nil
}

// read reads a value; fix says what to do if it is none.
func (f *Field) read(text string) (v Value, fix string) {
	switch f.Type {
	case Integer:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != text {
			if errors.Is(err, strconv.ErrRange) {
				return v, "it does not fit into 64 bits"
			}
			return v, "write digits, and - in front of a negative number, without leading zeros, points and separators"
		}
		return Int(n), ""
	case Date:
		t, err := time.Parse(time.DateOnly, text)
		if err != nil || t.Year() < 1 {
			return v, "write year-month-day, a day of the calendar"
		}
		return Day(t), ""
	case Decimal:
		v, err := ParseDecimal(text)
		if err != nil {
			return v, "write digits with a point, such as 12.5, without exponent and separators, of at most 64 bits and 18 digits after the point"
		}
		return v, ""
	case Time:
		t, err := time.Parse(time.RFC3339, text)
		// time.Parse also takes fractions and single digits.
		if err != nil || len(text) != len("2006-01-02T15:04:05Z") && len(text) != len("2006-01-02T15:04:05+00:00") {
			return v, "write date, T, hours, minutes and whole seconds, and Z or the offset from UTC, as in RFC 3339"
		}
		if v = Instant(t); v.n < minSecond || v.n > maxSecond {
			return v, "in UTC it is not in the years 1 to 9999"
		}
		return v, ""
	case Bytes:
		b, err := hex.DecodeString(text)
		if err != nil {
			return v, "write an even number of hexadecimal digits, without separators"
		}
		return Raw(b), ""
	}
	return String(text), ""
}

// check asks the schema whether the query fits it.
func (p *queryParser) check(f *Field, start int, q Query) (Query, error) {
	fix := ""
	switch q.op {
	case opTerm:
		fix = f.reason(second(p.schema.queryTerms(f.Name, q.value)))
	case opRange:
		fix = f.reason(second(p.schema.rangeTerms(f.Name, q.value, q.high)))
	case opPrefix, opWildcard, opRegexp, opFuzzy, opSubstring:
		if f.Type != Keyword && !f.hasWords() {
			fix = fmt.Sprintf("fields of type %v have no patterns and no typing errors: look for a whole value", f.Type)
			if f.ranged() == nil {
				fix += " or a range, such as " + f.Name + ":>=" + f.example()
			}
			break
		}
		switch q.op {
		case opPrefix:
			fix = f.reason(second(p.schema.prefixWords(f.Name, q.text)))
		case opFuzzy:
			fix = f.reason(second(p.schema.fuzzyWords(f.Name, q.text)))
		case opSubstring:
			_, _, err := p.schema.substringTerms(f.Name, q.text)
			fix = f.reason(err)
		case opWildcard:
			fix = f.reason(second(p.schema.wildcard(f.Name, q.text)))
		case opRegexp:
			fix = f.reason(p.schema.checkExpression(f.Name, q.text))
		}
	case opPhrase:
		fix = f.reason(second(p.schema.phraseWords(f.Name, q.text)))
	case opSounds:
		fix = f.reason(second(p.schema.soundTerms(f.Name, q.text)))
	}
	if fix != "" {
		return Query{}, p.wrong(f, start, p.text[start:p.off], fix)
	}
	return q, nil
}

func second[T any](_ T, err error) error { return err }

// reason is what an error of the schema about the field says, without the words that every such error begins with.
func (f *Field) reason(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), fmt.Sprintf("sse: field %q %v: ", f.Name, ErrSchema))
}

// wrong is the error for a value that the field does not take.
func (p *queryParser) wrong(f *Field, off int, found, fix string) *SyntaxError {
	return &SyntaxError{Offset: off, Found: showText(found), Expected: f.wanted(), Fix: fix, cause: ErrSchema}
}

// wanted is what the field takes, with an example.
func (f *Field) wanted() string {
	what := map[Type]string{Keyword: "a keyword", Text: "a word", Name: "a name", Integer: "a whole number", Decimal: "a decimal number", Date: "a day", Time: "a time",
		Bytes: "hexadecimal digits"}[f.Type]
	return fmt.Sprintf("%s for field %s such as %s", what, f.Name, f.example())
}

// example is a value of the field.
func (f *Field) example() string {
	lo, hi := f.bounds()
	n := int64(50)
	switch f.Type {
	case Keyword:
		return "I10"
	case Text:
		return "fever"
	case Name:
		return "Meier"
	case Bytes:
		return "0f3a"
	case Date:
		n = DayNumber(time.Date(2006, time.January, 2, 0, 0, 0, 0, time.UTC))
	case Time:
		n = time.Date(2006, time.January, 2, 15, 4, 5, 0, time.UTC).Unix()
	case Decimal:
		n = 125 // 12.5 with one digit, 1.25 with two
	}
	return f.value(min(max(n, lo), hi)).String()
}

// hasWords says whether the field is found by its words and not by whole values.
func (f *Field) hasWords() bool { return f.Type == Text || f.Type == Name }
