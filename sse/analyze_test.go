package sse

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// wardSchema has a field of every kind.
func wardSchema(t testing.TB) Schema {
	t.Helper()
	s := Schema{Fields: []Field{
		{Name: "name", Type: Text, Prefix: true, Fuzzy: true},
		{Name: "note", Type: Text},
		{Name: "code", Type: Keyword, Prefix: true},
		{Name: "bmi", Type: Integer, Min: 0, Max: 255},
		{Name: "any", Type: Integer, Min: math.MinInt64, Max: math.MaxInt64},
		{Name: "born", Type: Date, Min: DayNumber(date(1880, 1, 1)), Max: DayNumber(date(2100, 12, 31))},
		{Name: "when", Type: Date},
	}}
	require.NoError(t, s.Validate())
	return s
}

// indexTerms are the terms that the values are found by, in any order but for the ladders of single numbers, without the one that says that there
// are any.
func (s Schema) indexTerms(field string, values []Value) ([]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	postings, err := f.index(nil, values)
	var terms []term
	for _, p := range postings {
		if p.term != f.term(tagExists, "") {
			terms = append(terms, p.term)
		}
	}
	return terms, err
}

func payloadOf(t require.TestingT, x term) string {
	_, _, payload, ok := x.split()
	require.True(t, ok)
	return payload
}

func date(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func TestTextWords(t *testing.T) {
	for _, c := range []struct{ text, words string }{
		{"Hypertension, essential (primary)", "hypertension|essential|primary"},
		{"Müller-Lüdenscheidt, STRASSE straße", "muller|ludenscheidt|strasse|strasse"},
		{"O'Brien O’Brien Oʼbrien", "o|brien|o|brien|o|brien"},
		{"Sørensen Łódź Đorđević Æsir Œuvre Þór", "sorensen|lodz|dordevic|aesir|oeuvre|thor"},
		{"İstanbul Iğdır ılık", "istanbul|igdir|ilik"},
		{"ΟΔΥΣΣΕΥΣ Οδυσσεύς", "οδυσσευσ|οδυσσευσ"},
		{"Ёлка ёлка Йод йод ї ѓ ќ за́мок", "елка|елка|йод|йод|ї|ѓ|ќ|замок"},
		{"ﬁeber Ｆｕｌｌ ① x²", "fieber|full|1|x2"},
		{"3.14 mmHg 1,000 HER2+ B_12", "3.14|mmhg|1,000|her2|b_12"},
		{"soft\u00adhyphen zero\u200bwidth می\u200cخواهم", "softhyphen|zerowidth|میخواهم"},
		{"أحمد إحمد آمنة مُحَمَّد مـحـمد", "احمد|احمد|امنة|محمد|محمد"},
		{"שָׁלוֹם", "שלום"},
		{"हिन्दी", "हिन्दी"},
		{"高血圧", "高血|血圧"},
		{"王", "王"},
		{"ｶﾞﾝ カルテー", "ガン|カル|ルテ|テー"},
		{"당뇨병", "당뇨|뇨병"},
		{"ผู้ป่วย", "ผู้ป่|ป่ว|วย"},
		{"CT検査 2回", "ct|検査|2|回"},
		{"  --- …_ _ 🙂 ", ""},
		{"_under_score_", "under_score"},
		{"a\u0378b", "a|b"}, // not assigned
	} {
		assert.Equal(t, c.words, strings.Join(textWords(c.text, forQuery), "|"), "%q", c.text)
	}
	assert.Equal(t, []string{"高", "血", "高血", "圧", "血圧"}, textWords("高血圧", forIndex))
}

func TestTextCutsLongWords(t *testing.T) {
	word := strings.Repeat("ä", 200) + strings.Repeat("я", 200)
	words := textWords(word, forIndex)
	require.Greater(t, len(words), 1)
	assert.Equal(t, foldText(word), strings.Join(words, ""), "nothing is lost")
	for _, w := range words {
		assert.LessOrEqual(t, len(w), maxWord)
		assert.True(t, utf8.ValidString(w))
	}
	for _, mark := range []string{"\u0301", "\u093f", "\u11a8", "\u1161", "\u0345", "\u05b8", "\u0344"} {
		for _, base := range []string{"", "a", "1", "क", "ᄀ", "가", "א"} {
			checkText(t, "x "+base+strings.Repeat(mark, 100)+base)
		}
	}
	marks := "ผ" + strings.Repeat("\u0e48", 500)
	assert.Equal(t, []string{"ผ" + strings.Repeat("\u0e48", maxMarks)}, textWords(marks, forQuery))
}

// checkText checks what holds for every text: words are short, valid and stable, and the query of a text finds the text.
func checkText(t require.TestingT, text string) {
	folded := foldText(text)
	require.Equal(t, folded, foldText(folded), "folding %q twice", text)
	index := textWords(text, forIndex)
	for _, word := range index {
		require.NotEmpty(t, word)
		require.LessOrEqual(t, len(word), maxWord)
		require.True(t, utf8.ValidString(word))
		require.Equal(t, []string{word}, textWords(word, forQuery), "analysing a word of %q again", text)
	}
	query := textWords(text, forQuery)
	require.Subset(t, index, query, "a document with the text of the query has its words")
	require.Equal(t, len(index) == 0, len(query) == 0)
}

// pieces are what analyzers stumble over: marks, joiners, scripts that meet, compatibility forms, ends of words.
var pieces = []string{
	"a", "Z", "1", "'", "’", ".", ",", ":", "_", "-", " ", "\n", "\r\n", "é", "e\u0301", "\u0301", "\u0308", "ß", "ẞ", "ø", "Œ", "Þ", "İ", "ı",
	"Σ", "ς", "ά", "\u0345", "й", "ё", "ѓ", "ї", "א", "\u05b8", "\u0640", "أ", "\u0654", "\u064b", "ﻼ", "ि", "क", "्", "高", "\u3099", "ー", "か", "ｶ", "ﾞ",
	"각", "\u1100", "\u1161", "\u11a8", "ก", "่", "ำ", "ຳ", "\u0f71\u0f72", "\u200d", "\u200c", "\u00ad", "\ufe0f", "\u034f", "☃", "🇩", "🇪", "👍🏽", "①", "½", "ﬁ",
	"ŉ", "ǰ", "ﷺ", "\u0378", "\U0001d400", "\u2126", "\u212b", "\u1e9b\u0323", "\ufffd", "\u2044", "\u00b7", "\u30fb", "\uff0e", "\u180e", "\U000e0001", "\U0001e900",
	"\u0344", "\u1fb3", "\u0f0b", "၊", "។", "๏", "\u3000", "\u0130\u0307", "\u01c5", "\u10a0", "\u13a0", "\uab70", "\u1c80", "\ua64a",
}

func TestTextProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.SampledFrom(pieces), rapid.String()), 1, 15).Draw(r, "parts")
		checkText(r, strings.Join(parts, ""))
	})
}

// TestTextEveryCharacter analyses every code point of Unicode, alone and within a word; of the large blocks whose characters are
// all alike (ideographs, Korean syllables, private use, not assigned) a sample.
func TestTextEveryCharacter(t *testing.T) {
	fails := 0
	for c := rune(0); c <= utf8.MaxRune && fails < 20; c++ {
		alike := 0x3400 <= c && c < 0xa000 || 0xac00 <= c && c < 0xd7a4 || unicode.Is(unicode.Co, c) || !assigned(c) || 0x10000 <= c && unicode.Is(unicode.Han, c)
		if !utf8.ValidRune(c) || alike && c%997 != 0 {
			continue
		}
		for _, text := range []string{string(c), "a" + string(c) + "b", "高" + string(c) + "\u0301e"} {
			folded := foldText(text)
			if again := foldText(folded); again != folded {
				assert.Fail(t, "not stable", "%U: %+q gives %+q", c, folded, again)
				fails++
			}
			for _, word := range textWords(text, forIndex) {
				if again := textWords(word, forQuery); len(again) != 1 || again[0] != word {
					assert.Fail(t, "not stable", "%U: %q gives %q", c, word, again)
					fails++
				}
			}
		}
		if !assigned(c) {
			require.Empty(t, textWords(string(c), forIndex), "%U is unknown and separates", c)
		}
	}
}

// TestAssigned compares the table with Go's, while Go's are of the same version.
func TestAssigned(t *testing.T) {
	if unicode.Version != "15.0.0" || norm.Version != "15.0.0" {
		t.Skipf("Go has tables of Unicode %s and %s; the analyzer stays with 15.0", unicode.Version, norm.Version)
	}
	var all []*unicode.RangeTable
	for name, table := range unicode.Categories {
		if len(name) == 2 && name != "Cn" && name != "Cs" && name != "LC" {
			all = append(all, table)
		}
	}
	for c := rune(0); c <= utf8.MaxRune; c++ {
		if utf8.ValidRune(c) && unicode.In(c, all...) != assigned(c) {
			require.Fail(t, "the table differs", "%U", c)
		}
	}
}

func spacedWords(run string) []string {
	words := []string{}
	c := cutter{why: forIndex}
	c.spaced(run)
	for i, t := range c.tokens {
		if int(t.at) != i {
			return nil
		}
		words = append(words, t.word)
	}
	return words
}

// TestTextASCII compares the short way for ASCII with the tables.
func TestTextASCII(t *testing.T) {
	slow := func(text string) []string {
		words := []string{}
		state := -1
		for text != "" {
			var word string
			word, text, state = uniseg.FirstWordInString(text, state)
			if word = strings.TrimFunc(word, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N) }); word != "" {
				words = append(words, word)
			}
		}
		return words
	}
	const alphabet = "a1_.:,; "
	for length, count := 1, len(alphabet); length <= 5; length, count = length+1, count*len(alphabet) {
		for n := range count {
			text := make([]byte, length)
			for i := range text {
				text[i] = alphabet[n%len(alphabet)]
				n /= len(alphabet)
			}
			if want, got := slow(string(text)), spacedWords(string(text)); !slices.Equal(want, got) {
				require.Equal(t, want, got, "%q", text)
			}
		}
	}
	// All other characters, each between letters, digits and marks.
	for c := range rune(utf8.RuneSelf) {
		for _, around := range []string{"aa", "11", "a1", "1a", "__", "..", ".a", "1."} {
			text := foldText(around + string(c) + around)
			require.Equal(t, slow(text), spacedWords(text), "%q", text)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"O'Brien-Müller", "高血圧と糖尿病", "3.14 µg/dl", strings.Join(pieces, ""), strings.Repeat("x", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := wardSchema(t)
		_, err := s.indexTerms("note", []Value{String(text)})
		if !utf8.ValidString(text) {
			require.ErrorIs(t, err, ErrSchema)
			return
		}
		require.NoError(t, err)
		checkText(t, text)
		terms, err := s.indexTerms("code", []Value{String(text)})
		if err != nil {
			require.ErrorIs(t, err, ErrSchema)
			return
		}
		require.Len(t, terms, 1)
		again, err := s.queryTerms("code", String(payloadOf(t, terms[0])))
		require.NoError(t, err)
		require.Equal(t, terms, again, "the normal form of a keyword is its own")
	})
}

// TestTermsNeverCollide: terms are equal exactly if field, type and payload are.
func TestTermsNeverCollide(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type source struct {
			name, payload string
			typ           Type
		}
		text := rapid.OneOf(rapid.StringMatching(`[ab\x00\x01]{0,6}`), rapid.String())
		draw := func(label string) source {
			return source{text.Draw(r, label+" name"), text.Draw(r, label+" payload"), Type(rapid.IntRange(1, 4).Draw(r, label+" type"))}
		}
		a, b := draw("a"), draw("b")
		ta, tb := newTerm(Field{Name: a.name, Type: a.typ}, a.payload), newTerm(Field{Name: b.name, Type: b.typ}, b.payload)
		require.Equal(r, a == b, ta == tb)
		name, tag, payload, ok := ta.split()
		require.True(r, ok)
		require.Equal(r, a, source{name, payload, Type(tag)})
		for n := range len(ta) {
			_, _, _, ok := ta[:n].split()
			require.False(r, ok, "cut after %d bytes", n)
		}
		_, _, _, ok = (ta + "\x00").split()
		require.False(r, ok)
	})
	_, _, _, ok := term("\xff\xff\xff\xff").split()
	assert.False(t, ok)
}

func TestIndexTermsDistinct(t *testing.T) {
	s := wardSchema(t)
	twice, err := s.indexTerms("name", []Value{String("Ann ann"), String("ANN Lee"), String("")})
	require.NoError(t, err)
	assert.Equal(t, []term{s.wordTerm("name", "ann"), s.wordTerm("name", "lee")}, twice)
	nums, err := s.indexTerms("bmi", []Value{Int(30), Int(31), Int(30)})
	require.NoError(t, err)
	assert.Len(t, nums, 3, "two values, one common block")
	none, err := s.indexTerms("name", nil)
	require.NoError(t, err)
	assert.Empty(t, none)
	a, err := s.indexTerms("name", []Value{String("ann")})
	require.NoError(t, err)
	b, err := s.indexTerms("note", []Value{String("ann")})
	require.NoError(t, err)
	assert.NotEqual(t, a, b, "fields are told apart")
}

func TestVocabularyWords(t *testing.T) {
	s := wardSchema(t)
	assert.True(t, s.vocabulary("name"))
	assert.True(t, s.vocabulary("code"))
	assert.False(t, s.vocabulary("note"))
	assert.False(t, s.vocabulary("none"))
	assert.Empty(t, s.wordTerm("none", "x"))

	words, err := s.prefixWords("name", "Ann ANN Müll")
	require.NoError(t, err)
	assert.Equal(t, []string{"ann", "ann", "mull"}, words)
	words, err = s.prefixWords("code", "E1")
	require.NoError(t, err)
	assert.Equal(t, []string{"E1"}, words)
	words, err = s.fuzzyWords("name", "O'Brein O")
	require.NoError(t, err)
	assert.Equal(t, []string{"o", "brein"}, words)

	_, err = s.prefixWords("note", "a")
	assert.ErrorContains(t, err, "a field with Prefix")
	_, err = s.fuzzyWords("code", "a")
	assert.ErrorContains(t, err, "a field with Fuzzy")
	for _, text := range []string{"", "-", "\xff"} {
		_, err = s.prefixWords("name", text)
		assert.ErrorIs(t, err, ErrSchema)
		_, err = s.fuzzyWords("name", text)
		assert.ErrorIs(t, err, ErrSchema)
	}
	_, err = s.prefixWords("code", "")
	assert.ErrorIs(t, err, ErrSchema)
	_, err = s.prefixWords("none", "a")
	assert.ErrorIs(t, err, ErrSchema)
	_, err = s.fuzzyWords("none", "a")
	assert.ErrorIs(t, err, ErrSchema)
}

func TestKeywordLimits(t *testing.T) {
	s := wardSchema(t)
	jamo := strings.Repeat("\u1100\u1161\u11a8", MaxKeyword/3) // composes to a third
	_, err := s.indexTerms("code", []Value{String(jamo)})
	require.NoError(t, err)
	_, err = s.indexTerms("code", []Value{String(jamo + "\u1100\u1161\u11a8")})
	require.ErrorContains(t, err, "1024 is the limit")
	_, err = s.indexTerms("note", []Value{String(strings.Repeat("a ", MaxText/2+1))})
	require.ErrorContains(t, err, "limit")
	_, err = s.queryTerms("bmi", Int(256))
	require.ErrorContains(t, err, `"bmi"`)
	require.ErrorContains(t, err, "256 is outside the declared interval, 0 to 255")
	_, err = s.indexTerms("born", []Value{Day(date(1879, 12, 31))})
	require.ErrorContains(t, err, "1879-12-31 is outside the declared interval, 1880-01-01 to 2100-12-31")
	_, err = s.indexTerms("born", []Value{{}})
	require.ErrorContains(t, err, "the zero sse.Value")
}
