package sse

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// String is the query in the language of ParseQuery, values included: keep it out of logs where they are confidential. ParseQuery reads an
// equal query from it, for every query that fits the schema and whose text is not over MaxQueryText. Of other queries it shows
// something that ParseQuery refuses, or reads as the query that does fit. Time is linear in the length.
func (q Query) String() string { return string(q.append(nil)) }

func (q Query) append(b []byte) []byte {
	switch q.op {
	case opAnd, opOr:
		if len(q.sub) == 0 {
			return append(b, "()"...)
		}
		word := map[queryOp]string{opAnd: " AND ", opOr: " OR "}[q.op]
		for i, s := range q.sub {
			if i > 0 {
				b = append(b, word...)
			}
			b = s.appendOperand(b)
		}
		return b
	case opNot:
		for _, s := range q.sub {
			b = s.appendOperand(append(b, "NOT "...))
		}
		return b
	case opAll:
		return append(b, "*:*"...)
	case 0:
		return append(b, "no query"...)
	}
	if validFieldName(q.field) {
		b = append(b, q.field...)
	} else {
		b = strconv.AppendQuote(b, q.field)
	}
	b = append(b, ':')
	switch q.op {
	case opTerm:
		return appendValue(b, q.value)
	case opRange:
		b = appendEnd(append(b, '['), q.value)
		b = appendEnd(append(b, " TO "...), q.high)
		return append(b, ']')
	case opPrefix:
		return append(appendBare(b, q.text), '*')
	case opFuzzy:
		return strconv.AppendInt(append(appendBare(b, q.text), '~'), int64(q.distance), 10)
	case opSubstring:
		return append(appendBare(append(b, '*'), q.text), '*')
	case opPhrase:
		return appendQuoted(b, q.text)
	case opWildcard:
		if w, ok := cutPattern(q.text); ok && w.kind() == opWildcard {
			return w.appendPattern(b)
		}
		return append(appendQuoted(append(b, "wildcard("...), q.text), ')')
	case opRegexp:
		if plainExpression(q.text) {
			return appendExpression(b, q.text)
		}
		return append(appendQuoted(append(b, "regexp("...), q.text), ')')
	case opSounds:
		return append(appendQuoted(append(b, "sounds("...), q.text), ')')
	case opExists:
		return append(b, '*')
	}
	return b
}

// appendOperand puts parentheses around what and, or or not would otherwise take apart.
func (q Query) appendOperand(b []byte) []byte {
	if (q.op == opAnd || q.op == opOr) && len(q.sub) > 0 {
		return append(q.append(append(b, '(')), ')')
	}
	return q.append(b)
}

func appendValue(b []byte, v Value) []byte {
	if v.kind == valueString || v.kind == 0 {
		return appendBare(b, v.text)
	}
	return append(b, v.String()...)
}

func appendEnd(b []byte, v Value) []byte {
	if v == (Value{}) {
		return append(b, '*')
	}
	return appendValue(b, v)
}

// appendBare writes text as a value without quotes. The empty text has no such form and becomes "", which no kind of query takes.
func appendBare(b []byte, text string) []byte {
	if text == "" {
		return append(b, `""`...)
	}
	if isKeyword(text) {
		b = append(b, '\\')
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		b = appendCharacter(b, r, text[i:i+size], reserved(r) || i == 0 && reservedFirst(r))
		i += size
	}
	return b
}

func appendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		b = appendCharacter(b, r, text[i:i+size], r == '"' || r == '\\')
		i += size
	}
	return append(b, '"')
}

// appendCharacter writes one character, or a byte that is not UTF-8 in a form that ParseQuery refuses.
func appendCharacter(b []byte, r rune, raw string, escape bool) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Appendf(b, `\x{%x}`, raw)
	case hidden(r):
		return fmt.Appendf(b, `\u{%x}`, r)
	case escape:
		b = append(b, '\\')
	}
	return append(b, raw...)
}

// plainExpression says whether a regular expression can stand between slashes: it is printable, has no slash behind a
// backslash, and no backslash at its end.
func plainExpression(text string) bool {
	if text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return false
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) || text[i] == '/' {
				return false
			}
		}
	}
	return true
}

func appendExpression(b []byte, text string) []byte {
	b = append(b, '/')
	for i := range len(text) {
		if text[i] == '/' {
			b = append(b, '\\')
		}
		b = append(b, text[i])
	}
	return append(b, '/')
}

// isKeyword says whether a bare word has a meaning of its own, so that as a value it is escaped or quoted.
func isKeyword(word string) bool {
	return word == "AND" || word == "OR" || word == "NOT" || word == "TO"
}

// reserved says whether r is written \r in a value without quotes: because it has a meaning, has one in other query languages, or
// looks like a character that has.
func reserved(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || strings.ContainsRune(`()[]{}"~*?:\^&|!<>=,`, r) || r == 0x7f
	}
	switch {
	case 0xff01 <= r && r <= 0xff5e: // the same in full width
		return reserved(r - 0xff00 + ' ')
	case 0x201c <= r && r <= 0x201f, r == '«', r == '»', 0x300c <= r && r <= 0x300f: // quotes
		return true
	}
	return hidden(r)
}

// reservedFirst says whether r is written \r at the beginning of a value without quotes.
func reservedFirst(r rune) bool {
	return r == '/' || r == '\'' || r == '‘' || r == '‚' || r == '’'
}

// hidden says whether r is written \u{...} everywhere: controls, spaces but the common one, what turns the direction of writing, and
// the byte order mark. Joiners stay: scripts need them.
func hidden(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0xa0, r == 0x61c, r == 0x1680, 0x2000 <= r && r <= 0x200a, r == 0x200e, r == 0x200f, 0x2028 <= r && r <= 0x202f,
		r == 0x205f, 0x2066 <= r && r <= 0x2069, r == 0x3000, r == 0xfeff:
		return true
	}
	return false
}
