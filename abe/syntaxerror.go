package abe

import (
	"fmt"
	"strconv"
)

// SyntaxError says where the text of a policy, an attribute or a vocabulary is wrong and what to do about it.
type SyntaxError struct {
	Offset   int    // byte offset in the text, from 0
	Found    string // what is there, shortened, nothing in it invisible
	Expected string // what would be right there
	Fix      string // what to do
}

// Error is one line of visible characters, whatever the policy holds.
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("abe: syntax error at byte %d: expected %s, found %s", e.Offset, e.Expected, e.Found)
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// showText quotes a piece of the text for an error: printable ASCII, at most 24 bytes of the original.
func showText(s string) string {
	const limit = 24
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
