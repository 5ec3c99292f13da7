package sse

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A wildcardWord is what a pattern asks for: words of the vocabulary, or, in a script without spaces, whose vocabulary ends at pairs of
// characters, words in a row.
type wildcardWord struct {
	prefix     string // what such words begin with
	expression string // what they match as a whole, in the syntax of package regexp
	phrase     []phraseWord
}

// wildcard analyses a pattern. The field keeps a vocabulary if there is no error.
func (s Schema) wildcard(field, text string) (w wildcardWord, err error) {
	f, err := s.field(field)
	if err != nil {
		return w, err
	}
	if !f.Prefix {
		return w, f.refuse("it cannot be searched with wildcards: add a field with Prefix")
	}
	p, ok := cutPattern(text)
	if !ok || len(text) > MaxKeyword {
		return w, f.refuse("%s is no pattern of at most %d bytes: a backslash stands in front of *, ? and another backslash only", String(text).shown(), MaxKeyword)
	}
	p, wide, err := f.foldPattern(p)
	if err != nil {
		return w, err
	}
	if wide {
		if p, err = f.widePattern(p); err != nil {
			return w, err
		}
		if w.phrase, err = f.phrasePattern(p); err != nil || w.phrase != nil {
			return w, err
		}
	}
	literal := len(p)
	if i := slices.IndexFunc(p, func(r rune) bool { return r < 0 }); i >= 0 {
		literal = i
	}
	w.prefix = string(p[:literal])
	var b strings.Builder
	b.WriteString("(?s:")
	for _, r := range p {
		switch r {
		case anyRun:
			b.WriteString(".*")
		case anyOne:
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteByte(')')
	w.expression = b.String()
	return w, nil
}

// foldPattern brings what stands between wildcards into the form of the words of the field. wide says whether a character of a script without
// spaces is among them.
func (f *Field) foldPattern(p pattern) (folded pattern, wide bool, err error) {
	for len(p) > 0 {
		if p[0] < 0 {
			folded, p = append(folded, p[0]), p[1:]
			continue
		}
		n := slices.IndexFunc(p, func(r rune) bool { return r < 0 })
		if n < 0 {
			n = len(p)
		}
		piece := string(p[:n])
		p = p[n:]
		if f.Type == Keyword {
			folded = append(folded, []rune(composed(piece))...)
			continue
		}
		for _, r := range foldText(piece) {
			if unicode.IsSpace(r) {
				return nil, false, f.refuse("a pattern stands for one word, and %q holds several, which spaces and apostrophes part: ask for each of them", piece)
			}
			wide = wide || unspaced(r)
			folded = append(folded, r)
		}
	}
	return folded, wide, nil
}

// widePattern checks a pattern of a script without spaces. A text has words at each of its characters, so that a run of anything at either
// end means nothing.
func (f *Field) widePattern(p pattern) (pattern, error) {
	for p[0] == anyRun {
		p = p[1:]
	}
	for p[len(p)-1] == anyRun {
		p = p[:len(p)-1]
	}
	for _, r := range p {
		if r == anyRun {
			return nil, f.refuse("between characters of a script without spaces * is not possible: ask for the parts on both sides of it")
		}
		if r != anyOne && !unspaced(r) && !unicode.Is(unicode.M, r) {
			return nil, f.refuse("a pattern of scripts with and without spaces is not possible: ask for the parts, or for a phrase")
		}
	}
	return p, nil
}

// phrasePattern is the phrase that stands for a pattern of three or more characters; none for shorter ones, which are in the vocabulary.
func (f *Field) phrasePattern(p pattern) ([]phraseWord, error) {
	var chars []string // "" for any character
	for i := 0; i < len(p); {
		if p[i] == anyOne {
			chars = append(chars, "")
			i++
			continue
		}
		n := 1
		for i+n < len(p) && p[i+n] >= 0 && unicode.Is(unicode.M, p[i+n]) {
			n++
		}
		chars = append(chars, fewMarks(string(p[i:i+n])))
		i += n
	}
	if len(chars) < 3 {
		return nil, nil
	}
	if !f.Phrase {
		return nil, f.refuse("a pattern of three or more characters needs their positions: add a field with Phrase")
	}
	if len(chars) > maxQueryWords {
		return nil, f.refuse("a pattern of more than %d characters: ask for a part of it", maxQueryWords)
	}
	if chars[0] == "" || chars[len(chars)-1] == "" {
		return nil, f.refuse("a pattern of three or more characters of a script without spaces begins and ends with one of them, not with ?: leave that out")
	}
	var words []phraseWord
	for i, char := range chars {
		pair := i+1 < len(chars) && chars[i+1] != ""
		switch {
		case char == "":
		case pair:
			words = append(words, phraseWord{newTerm(*f, char+chars[i+1]), uint32(i)})
		case i == 0 || chars[i-1] == "":
			words = append(words, phraseWord{newTerm(*f, char), uint32(i)})
		}
	}
	return words, nil
}
