package sse

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The analysis of text: fold, cut into words, cut long words. A word analysed again gives itself, so that a word of a vocabulary can
// be a query. docs/spec/sse-analysis.md, section Text.

// maxWord is the greatest length of a word in bytes; longer ones are cut into pieces.
const maxWord = 128

// maxMarks is the most combining marks in a row that are kept. Real text has up to four.
const maxMarks = 8

type purpose bool

// In scripts without spaces a document is indexed by its characters and pairs of characters; a query of two or more characters
// asks for the pairs only.
const (
	forIndex purpose = true
	forQuery purpose = false
)

// A token is a word of a text and the place where it stands. Words of spaced scripts take a place each, and so does each character of a
// script without spaces; a pair stands where its first character does.
type token struct {
	word string
	at   uint32
}

// textWords are the words of a text, in order, with repetitions. The text is valid UTF-8.
func textWords(text string, why purpose) []string {
	c := cutter{why: why}
	c.text(text)
	words := make([]string, len(c.tokens))
	for i, t := range c.tokens {
		words[i] = t.word
	}
	return words
}

// A cutter cuts texts into tokens.
type cutter struct {
	why    purpose
	tokens []token
	next   uint32 // place
}

func (c *cutter) text(text string) { c.words(foldText(text)) }

// add appends a word on a place of its own.
func (c *cutter) add(word string) {
	c.tokens = append(c.tokens, token{word, c.next})
	c.next++
}

// foldText unifies what people do not distinguish when they search: case, width and other compatibility forms, accents where
// the script allows, apostrophes. It is idempotent.
func foldText(text string) string {
	if isASCII(text) {
		return strings.ReplaceAll(strings.ToLower(text), "'", " ")
	}
	// One round is nearly always final. But a compatibility form can give a letter that folds, and a removed mark can let others
	// compose; so it goes round until nothing changes. A test finds every character and many sequences stable after few rounds; the
	// bound is there so that a text that nobody thought of ends too.
	fold := cases.Fold()
	for range maxRounds {
		next := norm.NFKC.String(replaced(text))
		next = fold.String(next)
		next = norm.NFKC.String(stripMarks(norm.NFKD.String(next)))
		if next == text {
			break
		}
		text = next
	}
	return text
}

const maxRounds = 16

// replaced maps single code points, and drops marks beyond maxMarks in a row: from 30 on, normalisation by golang.org/x/text
// would put joiners between them.
func replaced(text string) string {
	marks := 0
	return strings.Map(func(r rune) rune {
		r = replace(r)
		if r == -1 { // what is removed does not part marks
			return -1
		}
		if r < 0x300 || !joins(r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return -1
		}
		return r
	}, text)
}

// joins says whether r is a mark, or a vowel or final of a Korean syllable, which normalisation treats alike.
func joins(r rune) bool {
	return unicode.Is(unicode.M, r) || 0x1160 <= r && r <= 0x11ff || 0xd7b0 <= r && r <= 0xd7fb
}

// composed is text in NFC, with code points that Unicode 15.0 does not know left as they are.
func composed(text string) string {
	if isASCII(text) {
		return text
	}
	var b strings.Builder
	start := 0
	for i, r := range text {
		if !assigned(r) {
			b.WriteString(norm.NFC.String(text[start:i]))
			b.WriteRune(r)
			start = i + utf8.RuneLen(r)
		}
	}
	b.WriteString(norm.NFC.String(text[start:]))
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// assigned says whether Unicode 15.0 has the code point. What it does to text is settled by the stability policies of
// Unicode. Of later code points it is not: an index built by a program with older tables would not be found by one with newer tables, so
// they are all treated alike, as spaces.
func assigned(r rune) bool {
	if r < 0x378 {
		return true
	}
	_, found := slices.BinarySearchFunc(assignedRanges[:], r, func(a [2]rune, r rune) int {
		switch {
		case a[1] < r:
			return -1
		case a[0] > r:
			return 1
		}
		return 0
	})
	return found
}

// replace maps single code points: to a space, to nothing (-1), or to letters that have no decomposition but are commonly
// typed without their stroke.
func replace(r rune) rune {
	if r < utf8.RuneSelf {
		if r == '\'' {
			return ' '
		}
		return r
	}
	switch r {
	case '\u2018', '\u2019', '\u201b', '\u02bb', '\u02bc', '\uff07': // apostrophes, as people type them
		return ' '
	case '\u00f8', '\u00d8':
		return 'o'
	case '\u0142', '\u0141':
		return 'l'
	case '\u0111', '\u0110', '\u00f0', '\u00d0':
		return 'd'
	case '\u0127', '\u0126':
		return 'h'
	case '\u0167', '\u0166':
		return 't'
	case '\u0131':
		return 'i'
	case '\u0640': // Arabic tatweel, which only stretches a word
		return -1
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u3164', '\uffa0': // invisible, and no format characters
		return -1
	}
	switch {
	case !assigned(r):
		return ' '
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r): // joiners, soft hyphens, directions
		return -1
	}
	return r
}

// stripMarks removes accents from decomposed text. In Latin and Greek all of them; elsewhere those that are left out in everyday writing, and not
// those that make another letter, such as the breve of Cyrillic й or the vowel signs of Devanagari.
func stripMarks(decomposed string) string {
	var b strings.Builder
	b.Grow(len(decomposed))
	var base rune
	for _, r := range decomposed {
		if r < 0x300 || !unicode.In(r, unicode.Mn, unicode.Me) {
			base = r
			switch {
			case r == 'æ':
				b.WriteString("ae")
			case r == 'œ':
				b.WriteString("oe")
			case r == 'þ':
				b.WriteString("th")
			case 0xab70 <= r && r <= 0xabbf: // Cherokee folds to upper case, which golang.org/x/text has the other way round too
				b.WriteRune(r - 0xab70 + 0x13a0)
			case 0x13f8 <= r && r <= 0x13fd:
				b.WriteRune(r - 0x13f8 + 0x13f0)
			default:
				b.WriteRune(r)
			}
			continue
		}
		if !optionalMark(base, r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func optionalMark(base, mark rune) bool {
	switch {
	case base < utf8.RuneSelf:
		return 'a' <= base && base <= 'z' || 'A' <= base && base <= 'Z'
	case unicode.In(base, unicode.Latin, unicode.Greek):
		return true
	case unicode.Is(unicode.Cyrillic, base):
		switch mark {
		case 0x300, 0x301: // stress; but ѓ and ќ are letters
			return base != 'г' && base != 'к'
		case 0x308: // ё is written е; but ї is a letter
			return base == 'е'
		}
		return false
	case unicode.Is(unicode.Hebrew, base): // points
		return 0x591 <= mark && mark <= 0x5c7
	case unicode.Is(unicode.Arabic, base): // vowel signs; madda and hamza only on alef
		return 0x64b <= mark && mark <= 0x652 || mark == 0x670 || base == 0x627 && 0x653 <= mark && mark <= 0x655
	}
	return false
}

// words appends the words of folded text.
func (c *cutter) words(folded string) {
	for folded != "" {
		n, spaced := script(folded)
		if spaced {
			c.spaced(folded[:n])
		} else {
			c.pairs(folded[:n])
		}
		folded = folded[n:]
	}
}

// script is the length of the run at the front that is written with spaces between words, or without. Marks belong to
// what they follow.
func script(folded string) (n int, spaced bool) {
	for i, r := range folded {
		switch {
		case i == 0:
			spaced = !unspaced(r)
		case spaced == unspaced(r) && (spaced || !unicode.Is(unicode.M, r)):
			return i, spaced
		}
	}
	return len(folded), spaced
}

// unspaced says whether r is a letter or digit that belongs to a script that has no spaces between words, or, as Korean, has words that
// are not found whole because of their endings.
func unspaced(r rune) bool {
	if r < 0xe00 {
		return false
	}
	if r == '\u30fc' { // the long-vowel sign is common to both kana
		return true
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && unicode.In(r, unicode.L, unicode.N)
}

// spaced appends the words of a run by the word boundaries of UAX 29, without what is no letter or digit at their ends.
func (c *cutter) spaced(run string) {
	state := -1
	ascii := isASCII(run) // most text is, and needs no tables
	for run != "" {
		var word string
		if ascii {
			n := asciiWord(run)
			word, run = run[:n], run[n:]
			if n == 1 && wordClass(word[0]) != classLetter && wordClass(word[0]) != classDigit {
				continue
			}
		} else {
			word, run, state = uniseg.FirstWordInString(run, state)
		}
		word = strings.TrimLeftFunc(word, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N) })
		word = strings.TrimRightFunc(word, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.M) })
		for len(word) > maxWord {
			cut := maxWord
			for !utf8.RuneStart(word[cut]) {
				cut--
			}
			c.spaced(word[:cut])
			word = strings.TrimLeftFunc(word[cut:], func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N) })
		}
		if word != "" {
			c.add(word)
		}
	}
}

// asciiWord is the length of the first piece of an ASCII text by the word boundaries of UAX 29, as far as it matters here: pieces
// without letters and digits may come in more parts.
func asciiWord(s string) int {
	n := 1
	for ; n < len(s); n++ {
		a, b := wordClass(s[n-1]), wordClass(s[n])
		if a != classOther && b != classOther && a != classMid && b != classMid { // WB5, WB8 to WB10, WB13a, WB13b
			continue
		}
		// WB6, WB7, WB11, WB12: one mark between two letters, or between two digits
		if b == classMid && n+1 < len(s) && wordClass(s[n+1]) == a && (a == classLetter && s[n] != ',' && s[n] != ';' || a == classDigit && s[n] != ':') {
			n++
			continue
		}
		return n
	}
	return n
}

const (
	classOther = iota
	classLetter
	classDigit
	classLine // the low line joins everything
	classMid  // MidLetter, MidNum and MidNumLet; the apostrophe was replaced
)

func wordClass(c byte) int {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		return classLetter
	case '0' <= c && c <= '9':
		return classDigit
	case c == '_':
		return classLine
	case c == '.', c == ':', c == ',', c == ';':
		return classMid
	}
	return classOther
}

// pairs appends the characters of a run, each with its marks, and the pairs of neighbours.
func (c *cutter) pairs(run string) {
	var last string
	count := 0
	for run != "" {
		char := character(run)
		run = run[len(char):]
		char = fewMarks(char)
		if c.why == forIndex || count == 0 && run == "" {
			c.tokens = append(c.tokens, token{char, c.next})
		}
		if count > 0 {
			c.tokens = append(c.tokens, token{last + char, c.next - 1})
		}
		last = char
		count++
		c.next++
	}
}

// character is the first code point of the run and the marks after it.
func character(run string) string {
	for i, r := range run {
		if i > 0 && !unicode.Is(unicode.M, r) {
			return run[:i]
		}
	}
	return run
}

func fewMarks(char string) string {
	marks := 0
	for i := range char {
		if marks++; marks > maxMarks+1 {
			return char[:i]
		}
	}
	return char
}
