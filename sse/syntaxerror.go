package sse

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// SyntaxError says where the text of a query is wrong and what to do about it. It shows a piece of the text: keep it out of logs where
// queries are confidential. errors.Is finds ErrSchema in it if the text is in the language but does not fit the schema.
type SyntaxError struct {
	Offset   int    // byte offset in the text, from 0 to its length
	Found    string // what is there, shortened, nothing in it invisible
	Expected string // what would be right there
	Fix      string // what to do

	cause error
}

// Error is one line of visible characters, whatever the query holds.
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("sse: query is wrong at byte %d: expected %s, found %s", e.Offset, e.Expected, e.Found)
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Unwrap is ErrSchema or nil.
func (e *SyntaxError) Unwrap() error { return e.cause }

// showText quotes a piece of the text for an error, at most 40 bytes of it.
func showText(s string) string {
	const limit = 40
	if len(s) > limit {
		cut := limit
		for cut > limit-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return showText(s[:cut]) + "..."
	}
	if quoted := strconv.Quote(s); len(quoted) == len(s)+2 || !strconv.CanBackquote(s) {
		return quoted
	}
	return "`" + s + "`" // easier to read where s has quotes and backslashes of its own
}

// abbreviate keeps the middle out of a long piece of the text.
func abbreviate(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	head, tail := limit/2, len(s)-limit/2
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + " ... " + s[tail:]
}
