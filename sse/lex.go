package sse

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The characters of a query. docs/spec/sse-query.md, section Characters.

// space moves on to the next character that is none, and reports whether it moved.
func (p *queryParser) space() bool {
	start := p.off
	for p.off < len(p.text) && isSpace(p.text[p.off]) {
		p.off++
	}
	return p.off > start
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// peek is the next byte, or 0 at the end; a zero byte in the text means nothing else either.
func (p *queryParser) peek() byte {
	if p.off == len(p.text) {
		return 0
	}
	return p.text[p.off]
}

// keyword reports whether the word stands here and is no part of a longer one.
func (p *queryParser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.off:], word)
	return ok && (rest == "" || isSpace(rest[0]) || strings.IndexByte("()", rest[0]) >= 0)
}

// word is what stands at off, to the next reserved character; never empty if something stands there.
func (p *queryParser) word(off int) string {
	rest := p.text[off:]
	for i, r := range rest {
		if reserved(r) || r == utf8.RuneError {
			if i > 0 {
				return rest[:i]
			}
			_, size := utf8.DecodeRuneInString(rest)
			return rest[:size]
		}
	}
	return rest
}

// bare reads a value without quotes: to the next reserved character that is not escaped and no wildcard.
func (p *queryParser) bare(f *Field) (pattern, error) {
	var w pattern
	for p.off < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.off:])
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, p.stray(p.off, f.wanted())
		case r == '\\':
			var err error
			if r, size, err = p.escape(p.off, true); err != nil {
				return nil, err
			}
		case r == '*':
			r = anyRun
		case r == '?':
			r = anyOne
		case r == ':' && f.Type == Time:
		case reserved(r), len(w) == 0 && reservedFirst(r):
			return w, nil
		}
		w = append(w, r)
		p.off += size
	}
	return w, nil
}

// quoted reads a value in double quotes, the first of which stands here, and decodes it.
func (p *queryParser) quoted() (string, error) {
	start := p.off
	var b strings.Builder
	for i := start + 1; i < len(p.text); {
		r, size := utf8.DecodeRuneInString(p.text[i:])
		switch {
		case r == '"':
			p.off = i + 1
			return b.String(), nil
		case r == '\\':
			var err error
			if r, size, err = p.escape(i, false); err != nil {
				return "", err
			}
		case r == utf8.RuneError && size == 1, hidden(r):
			return "", p.stray(i, `a character or the closing "`)
		}
		b.WriteRune(r)
		i += size
	}
	return "", &SyntaxError{Offset: len(p.text), Found: "the end", Expected: `the closing "`,
		Fix: fmt.Sprintf(`close the value that begins at byte %d; inside it write \" for "`, start)}
}

// escape reads the escape at byte i and returns its character and its length.
func (p *queryParser) escape(i int, bare bool) (rune, int, error) {
	rest := p.text[i+1:]
	fix := `inside double quotes the escapes are \", \\ and \u{...}; a backslash is written \\`
	if bare {
		fix = `a backslash stands in front of a character that is to have no meaning, such as \* or \:, and in \u{...}; a backslash is written \\`
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case strings.HasPrefix(rest, "u{"):
		digits, _, closed := strings.Cut(rest[2:min(len(rest), 9)], "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if closed && err == nil && utf8.ValidRune(rune(n)) {
			return rune(n), len(`\u{}`) + len(digits), nil
		}
		fix = `write \u{...} with one to six hexadecimal digits of a Unicode character`
	case strings.HasPrefix(rest, "x{"):
		fix = `values are text in UTF-8; write a character as \u{...}`
	case r == '"' || r == '\\',
		bare && !hidden(r) && (reserved(r) || reservedFirst(r) || 'A' <= r && r <= 'Z' || r < utf8.RuneSelf && !isLetterOrDigit(byte(r))):
		return r, 1 + size, nil
	}
	return 0, 0, &SyntaxError{Offset: i, Found: showText(p.text[i : i+1+size]), Expected: "an escape", Fix: fix}
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// ends requires that the value that was just read ends here.
func (p *queryParser) ends() error {
	if p.off == len(p.text) || isSpace(p.text[p.off]) || p.text[p.off] == ')' {
		return nil
	}
	e := p.stray(p.off, `a space, ")" or the end behind the value`)
	switch p.text[p.off] {
	case '~':
		e.Fix = `~ stands behind a word without quotes and wildcards; a space in it is written "\ "; words in quotes have no distance`
	case '"':
		e.Fix = `double quotes stand around a whole value; a " in it is written \"`
	case '*', '?':
		e.Fix = `wildcards stand in values without quotes; a space there is written "\ "`
	default:
		e.Fix = cmp.Or(e.Fix, "put a space behind the value")
	}
	return e
}

// stray explains the character at byte off, where it has no meaning.
func (p *queryParser) stray(off int, expected string) *SyntaxError {
	e := &SyntaxError{Offset: off, Found: "the end", Expected: expected}
	if off == len(p.text) {
		return e
	}
	e.Found = showText(p.word(off))
	r, size := utf8.DecodeRuneInString(p.text[off:])
	switch {
	case r == utf8.RuneError && size == 1:
		e.Fix = "write the text in UTF-8"
	case hidden(r):
		e.Found = fmt.Sprintf("the invisible U+%04X", r)
		e.Fix = fmt.Sprintf(`leave it out; in a value it is written \u{%x}`, r)
	case r == '^':
		e.Fix = `there are no boosts; in a value it is written \^`
	case r == '&', r == '|':
		e.Fix = fmt.Sprintf(`write AND or OR; in a value it is written \%c`, r)
	case r == '!':
		e.Fix = `write NOT; in a value it is written \!`
	case r == ',':
		e.Fix = `a list is written with OR, such as name:(a OR b); in a value it is written \,`
	case r == ':':
		e.Fix = `a colon stands behind the name of a field; in a value it is written \:`
	case r == '"':
		e.Fix = `double quotes stand around a whole value; in a value without them it is written \"`
	case r == '/':
		e.Fix = `a regular expression stands between two slashes; at the beginning of a value it is written \/`
	case r == ']', r == '}':
		e.Fix = "this bracket was never opened: a range is written [50 TO 70] or {50 TO 70}"
	case r == '<', r == '>', r == '=':
		e.Fix = `a comparison is written right behind the colon, such as age:>=50; in a value it is written \` + string(r)
	case 0xff01 <= r && r <= 0xff5e:
		e.Fix = fmt.Sprintf(`it is not the character %c, which may be meant; in a value it is written \%c`, r-0xff00+' ', r)
	case reservedFirst(r), r > 0x7f && reserved(r):
		e.Fix = fmt.Sprintf(`use the double quote "; at the beginning of a value it is written \%c`, r)
	}
	return e
}
