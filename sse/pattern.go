package sse

import "unicode/utf8"

// pattern is a value with wildcards: runes, of which anyRun and anyOne stand for the wildcards.
type pattern []rune

const (
	anyRun rune = -1 - iota // *
	anyOne                  // ?
)

// cutPattern reads the pattern of a Wildcard query: * and ? are wildcards unless a backslash stands in front, which may also stand in front
// of a backslash and nowhere else. It reports whether the pattern is one.
func cutPattern(text string) (pattern, bool) {
	p := make(pattern, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, false
		case r == '\\':
			i++
			if i == len(text) || text[i] != '*' && text[i] != '?' && text[i] != '\\' {
				return nil, false
			}
			r = rune(text[i])
		case r == '*':
			r = anyRun
		case r == '?':
			r = anyOne
		}
		p = append(p, r)
		i += size
	}
	return p, len(p) > 0
}

// kind is the query that the pattern asks for where a value without quotes stands; opSubstring may also be a Wildcard, in fields
// that cannot be searched by substring.
func (p pattern) kind() queryOp {
	stars, ones := 0, 0
	for _, r := range p {
		switch r {
		case anyRun:
			stars++
		case anyOne:
			ones++
		}
	}
	first, last := p[0] == anyRun, p[len(p)-1] == anyRun
	switch {
	case stars+ones == 0:
		return opTerm
	case ones > 0:
		return opWildcard
	case len(p) == 1:
		return opExists
	case stars == 1 && last:
		return opPrefix
	case stars == 2 && first && last && len(p) > 2:
		return opSubstring
	}
	return opWildcard
}

// literal is the text of the pattern without its wildcards.
func (p pattern) literal() string {
	b := make([]byte, 0, len(p))
	for _, r := range p {
		if r >= 0 {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// text is the pattern as Wildcard takes it.
func (p pattern) text() string {
	b := make([]byte, 0, len(p))
	for _, r := range p {
		switch r {
		case anyRun:
			b = append(b, '*')
		case anyOne:
			b = append(b, '?')
		case '*', '?', '\\':
			b = append(b, '\\', byte(r))
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// appendPattern writes the pattern as ParseQuery reads it without quotes.
func (p pattern) appendPattern(b []byte) []byte {
	for i, r := range p {
		switch r {
		case anyRun:
			b = append(b, '*')
		case anyOne:
			b = append(b, '?')
		default:
			b = appendCharacter(b, r, string(r), reserved(r) || i == 0 && reservedFirst(r))
		}
	}
	return b
}
