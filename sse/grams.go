package sse

import (
	"strings"
	"unicode/utf8"
)

// A substring is found by its q-grams, pieces of q code points that overlap, and then by a comparison with the stored value: every
// value that contains the text has the grams of the text. q is 3, and 2 where a character of a script without spaces takes part, as such a
// character says about as much as a syllable.

// maxGrams is the most grams that a query asks for. More of them read more pages and hardly leave fewer rows to compare.
const maxGrams = 32

// appendGrams appends the grams of folded text, with repetitions.
func appendGrams(grams []string, folded string) []string {
	// Begin and kind of the last two code points; -1 if there is none.
	second, first := -1, -1
	secondWide, firstWide := false, false
	for i, r := range folded {
		end := i + utf8.RuneLen(r)
		wide := unspaced(r)
		switch {
		case first >= 0 && (wide || firstWide):
			grams = append(grams, folded[first:end])
		case second >= 0 && !secondWide:
			grams = append(grams, folded[second:end])
		}
		second, secondWide = first, firstWide
		first, firstWide = i, wide
	}
	return grams
}

// gramsOf are the grams of values.
func gramsOf(values []Value) []string {
	var grams []string
	for _, v := range values {
		grams = appendGrams(grams, foldText(v.text))
	}
	return grams
}

// substringTerms are terms that every document has in one of whose values the text stands, and found says whether it stands in a stored
// value: case, accents and width do not matter.
func (s Schema) substringTerms(field, text string) (terms []term, found func(Value) bool, err error) {
	f, err := s.field(field)
	if err != nil {
		return nil, nil, err
	}
	if !f.Substring {
		return nil, nil, f.refuse("it cannot be searched by parts of its values: add a field with Substring and Stored")
	}
	switch {
	case !utf8.ValidString(text):
		return nil, nil, f.refuse("the text %s is not valid UTF-8", String(text).shown())
	case len(text) > MaxKeyword:
		return nil, nil, f.refuse("a part of %d bytes is over the limit of %d for values: shorten it", len(text), MaxKeyword)
	}
	part := foldText(text)
	grams := distinct(appendGrams(nil, part))
	if len(grams) == 0 {
		return nil, nil, f.refuse("the part %s is too short: give at least three characters in a row, or two in Chinese, Japanese, Korean, Thai", String(text).shown())
	}
	if n := len(grams); n > maxGrams {
		for i := range maxGrams {
			grams[i] = grams[i*n/maxGrams]
		}
		grams = grams[:maxGrams]
	}
	for _, g := range grams {
		terms = append(terms, f.term(tagGram, g))
	}
	return terms, func(v Value) bool { return strings.Contains(foldText(v.text), part) }, nil
}
