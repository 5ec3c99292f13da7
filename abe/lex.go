package abe

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText bounds the text of a policy, before any work and again in its canonical form.
const maxText = 4096

type tokenKind uint8

const (
	tokenEnd     tokenKind = iota
	tokenWord              // begins with a letter: a name, a bare value or a keyword
	tokenNumber            // begins like a number, a date or a range of them
	tokenString            // in double quotes
	tokenOpen              // (
	tokenClose             // )
	tokenComma             // ,
	tokenEquals            // =
	tokenCompare           // != < <= > >= and a lone !
)

// token is one piece of the text. For a string, text is its decoded content; otherwise it is the piece itself.
type token struct {
	kind tokenKind
	off  int
	text string
}

// lexer cuts the text into tokens, each byte looked at a bounded number of times. What belongs to a word is one token to
// its last byte, so that dept_head is never dept followed by something, and NORTH never begins with NOT or N.
type lexer struct {
	text    string
	off     int
	decoded []byte // of the last string with escapes
	wanted  string // what may stand here, where the parser knows it better
}

func (l *lexer) next() (token, error) {
	for l.off < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.off]) >= 0 {
		l.off++
	}
	start := l.off
	if start == len(l.text) {
		return token{tokenEnd, start, ""}, nil
	}
	switch c := l.text[start]; {
	case isWordByte(c):
		for l.off < len(l.text) && isWordByte(l.text[l.off]) {
			l.off++
		}
		word := l.text[start:l.off]
		switch {
		case isLetter(c):
			return token{tokenWord, start, word}, nil
		case isDigit(c) || c == '-' && len(word) > 1 && isDigit(word[1]):
			return token{tokenNumber, start, word}, nil
		}
		return token{}, &SyntaxError{start, showText(word), cmp.Or(l.wanted, "a name, a value or a number"), "begin with a letter; a value that does not, put in double quotes"}
	case c == '"':
		return l.quoted()
	case c == '(':
		return l.take(tokenOpen, 1), nil
	case c == ')':
		return l.take(tokenClose, 1), nil
	case c == ',':
		return l.take(tokenComma, 1), nil
	case c == '=':
		if strings.HasPrefix(l.text[start:], "==") {
			return token{}, &SyntaxError{start, `"=="`, "=", "write one ="}
		}
		return l.take(tokenEquals, 1), nil
	case c == '<' || c == '>' || c == '!':
		if strings.HasPrefix(l.text[start+1:], "=") {
			return l.take(tokenCompare, 2), nil
		}
		return l.take(tokenCompare, 1), nil
	}
	return token{}, l.stray()
}

func (l *lexer) take(kind tokenKind, n int) token {
	t := token{kind, l.off, l.text[l.off : l.off+n]}
	l.off += n
	return t
}

// stray explains a character that begins no token.
func (l *lexer) stray() error {
	r, size := utf8.DecodeRuneInString(l.text[l.off:])
	e := &SyntaxError{l.off, showText(l.text[l.off : l.off+size]), cmp.Or(l.wanted, "a name, an operator or a parenthesis"), ""}
	switch {
	case r == utf8.RuneError && size == 1:
		e.Fix = "write the text in UTF-8"
	case r == '&' || r == '|':
		e.Fix = `write the word "and" or the word "or"`
	case r == '\'' || r == '`' || r == '“' || r == '”' || r == '„' || r == '«' || r == '»' || r == '‘' || r == '’':
		e.Fix = `use the double quote "`
	case r == '[' || r == '{' || r == ']' || r == '}':
		e.Fix = "use parentheses"
	case r == ':':
		e.Fix = "write = between a name and its value; put a value with a colon in double quotes"
	case r == '/' && l.off > 0 && isDigit(l.text[l.off-1]):
		e.Fix = "dates are written year first, such as 1999-12-31; put a value with this character in double quotes"
	case r == '#' || r == '/' || r == ';':
		e.Fix = "there are no comments; put a value with this character in double quotes"
	case !isVisible(r):
		e.Found = fmt.Sprintf("the invisible U+%04X", r)
		e.Fix = "leave it out; only space, tab and line ends may stand between words"
	case r > 0x7f:
		e.Found = fmt.Sprintf("U+%04X", r)
		e.Fix = "names are lower-case ASCII, though the character may look like a letter of it; put values in double quotes"
	default:
		e.Fix = "put a value with this character in double quotes"
	}
	return e
}

// quoted reads a string in double quotes and decodes its escapes.
func (l *lexer) quoted() (token, error) {
	start := l.off
	plain := true // no escape so far: the value is a part of the text
	l.decoded = l.decoded[:0]
	for i := start + 1; i < len(l.text); {
		r, size := utf8.DecodeRuneInString(l.text[i:])
		switch {
		case r == '"':
			l.off = i + 1
			value := l.text[start+1 : i]
			if !plain {
				value = string(l.decoded)
			}
			if fix := checkValue(value); fix != "" {
				return token{}, &SyntaxError{start, showText(l.text[start:l.off]), "a value", fix}
			}
			return token{tokenString, start, value}, nil
		case r == '\\':
			decoded, n, err := l.escape(i)
			if err != nil {
				return token{}, err
			}
			if plain {
				plain, l.decoded = false, append(l.decoded, l.text[start+1:i]...)
			}
			r, size = decoded, n
		case r == utf8.RuneError && size == 1:
			return token{}, &SyntaxError{i, showText(l.text[i : i+1]), "UTF-8", "write the text in UTF-8"}
		case !isAssigned(r):
			return token{}, &SyntaxError{i, fmt.Sprintf("U+%04X", r), "an assigned character of Unicode " + unicodeVersion, "leave it out"}
		case !isVisible(r):
			return token{}, &SyntaxError{i, fmt.Sprintf("the invisible U+%04X", r), "visible characters", fmt.Sprintf(`leave it out, or write \u{%x} so that readers see it`, r)}
		}
		if !plain {
			l.decoded = utf8.AppendRune(l.decoded, r)
		}
		i += size
	}
	return token{}, &SyntaxError{len(l.text), "the end", `the closing "`, fmt.Sprintf(`close the value that begins at byte %d; inside a value write \" for "`, start)}
}

// escape reads the escape at byte i and returns its character and the length of the escape.
func (l *lexer) escape(i int) (rune, int, error) {
	rest := l.text[i:]
	switch {
	case strings.HasPrefix(rest, `\"`) || strings.HasPrefix(rest, `\\`):
		return rune(rest[1]), 2, nil
	case strings.HasPrefix(rest, `\u{`):
		digits, _, closed := strings.Cut(rest[3:min(len(rest), 10)], "}")
		if n, err := strconv.ParseUint(digits, 16, 32); closed && err == nil && utf8.ValidRune(rune(n)) && isAssigned(rune(n)) {
			return rune(n), 4 + len(digits), nil
		}
		return 0, 0, &SyntaxError{i, showText(rest[:min(len(rest), 10)]), "an escape", `write \u{...} with one to six hexadecimal digits of an assigned character of Unicode ` + unicodeVersion}
	}
	return 0, 0, &SyntaxError{i, showText(rest[:min(len(rest), 2)]), "an escape", `the escapes are \" and \\ and \u{...}; write a backslash as \\`}
}
