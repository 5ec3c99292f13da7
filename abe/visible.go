package abe

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// unicodeVersion is the one whose properties the running program knows. A newer one assigns more characters; what is
// assigned never changes its normal form, so a policy means the same under every version that accepts it.
const unicodeVersion = unicode.Version

// hidden are the characters that must be written as escapes: controls, format characters (the bidirectional ones among
// them), spaces other than U+0020, line separators, private use, variation selectors, fillers and others that leave no
// mark on the page. The table is part of the format (docs/spec/policy.md, section 3), because the canonical text depends on it;
// it was made from Unicode 15.0 and does not grow.
var hidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1},
		{Lo: 0x007f, Hi: 0x00a0, Stride: 1},
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1},
		{Lo: 0x034f, Hi: 0x034f, Stride: 1},
		{Lo: 0x0600, Hi: 0x0605, Stride: 1},
		{Lo: 0x061c, Hi: 0x061c, Stride: 1},
		{Lo: 0x06dd, Hi: 0x06dd, Stride: 1},
		{Lo: 0x070f, Hi: 0x070f, Stride: 1},
		{Lo: 0x0890, Hi: 0x0891, Stride: 1},
		{Lo: 0x08e2, Hi: 0x08e2, Stride: 1},
		{Lo: 0x115f, Hi: 0x1160, Stride: 1},
		{Lo: 0x1680, Hi: 0x1680, Stride: 1},
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1},
		{Lo: 0x180b, Hi: 0x180f, Stride: 1},
		{Lo: 0x2000, Hi: 0x200f, Stride: 1},
		{Lo: 0x2028, Hi: 0x202f, Stride: 1},
		{Lo: 0x205f, Hi: 0x2064, Stride: 1},
		{Lo: 0x2066, Hi: 0x206f, Stride: 1},
		{Lo: 0x2800, Hi: 0x2800, Stride: 1},
		{Lo: 0x3000, Hi: 0x3000, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xe000, Hi: 0xf8ff, Stride: 1},
		{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1},
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1},
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
		{Lo: 0xfff9, Hi: 0xfffb, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x110bd, Hi: 0x110bd, Stride: 1},
		{Lo: 0x110cd, Hi: 0x110cd, Stride: 1},
		{Lo: 0x13430, Hi: 0x1343f, Stride: 1},
		{Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1},
		{Lo: 0x1bca0, Hi: 0x1bca3, Stride: 1},
		{Lo: 0x1d159, Hi: 0x1d159, Stride: 1},
		{Lo: 0x1d173, Hi: 0x1d17a, Stride: 1},
		{Lo: 0xe0001, Hi: 0xe0001, Stride: 1},
		{Lo: 0xe0020, Hi: 0xe007f, Stride: 1},
		{Lo: 0xe0100, Hi: 0xe01ef, Stride: 1},
		{Lo: 0xf0000, Hi: 0xffffd, Stride: 1},
		{Lo: 0x100000, Hi: 0x10fffd, Stride: 1},
	},
	LatinOffset: 3,
}

// isVisible reports whether r stands for itself in quotes; the quote and the backslash are visible and yet escaped.
// U+FFFD is left out: it stands for characters that were lost, and values that were different would be the same.
func isVisible(r rune) bool {
	return r == ' ' || r != utf8.RuneError && !unicode.Is(hidden, r) && unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}

// isAssigned reports whether r may be in a value at all. A character that a later Unicode makes a control or a space is
// in neither set: it would be invisible and yet outside the table.
func isAssigned(r rune) bool { return unicode.Is(hidden, r) || isVisible(r) }

func isMark(r rune) bool { return unicode.Is(unicode.M, r) }

// appendQuoted appends s in double quotes with the escapes of the canonical text: \" and \\ and, for what is not visible,
// \u{...} with lower-case hexadecimal digits and no leading zero. It takes any s: what is no value is escaped too.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == utf8.RuneError && size == 1:
			b = append(b, "\ufffd"...)
		case isVisible(r) && (i > 0 || !isMark(r)):
			b = append(b, s[i:i+size]...)
		default:
			b = append(b, `\u{`...)
			b = strconv.AppendInt(b, int64(r), 16)
			b = append(b, '}')
		}
		i += size
	}
	return append(b, '"')
}
