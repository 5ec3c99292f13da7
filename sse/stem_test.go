package sse

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestStems: forms of one word have one stem, also without their accents, and other words have another.
func TestStems(t *testing.T) {
	for language, c := range map[string][2]string{
		"da": {"sygdom sygdommen sygdomme sygdommene", "smerte"},
		"de": {"Erkrankung Erkrankungen", "Schmerz"},
		"en": {"infection infections infected infecting", "pain"},
		"es": {"infección infecciones infeccion", "dolor"},
		"fi": {"lääkäri lääkärin lääkärit lääkärille laakari", "kipu"},
		"fr": {"opération opérations operation", "douleur"},
		"hu": {"betegség betegségek betegseg", "fájdalom"},
		"it": {"infezione infezioni", "dolore"},
		"nl": {"ziekte ziekten", "pijn"},
		"no": {"sykehus sykehuset sykehusene", "smerte"},
		"ro": {"infecție infecții infectie", "durere"},
		"ru": {"боль боли болью", "кашель"},
		"sv": {"sjukdom sjukdomen sjukdomar", "smärta"},
	} {
		forms := strings.Fields(foldText(c[0]))
		for _, form := range forms[1:] {
			assert.Equal(t, stem(language, forms[0]), stem(language, form), "%s: %s", language, form)
		}
		assert.NotEqual(t, stem(language, forms[0]), stem(language, foldText(c[1])), language)
	}
	assert.Len(t, languages(), 13)
	for _, word := range []string{"hba1c", "130", "3.14", "b_12s", "高血", "糖", "µs1"} {
		assert.Equal(t, word, stem("en", word), "no word of a language stays as it is")
	}
}

// checkStems: whatever the words, every stemmer ends, and gives valid text that is no longer than it should be.
func checkStems(t require.TestingT, text string) {
	for _, word := range textWords(text, forQuery) {
		for _, language := range languages() {
			s := stem(language, word)
			require.NotEmpty(t, s)
			require.True(t, utf8.ValidString(s), "%s of %q", language, word)
			require.LessOrEqual(t, len(s), len(word)+8, "%s of %q", language, word)
		}
	}
}

func TestStemsOfAnything(t *testing.T) {
	word := rapid.OneOf(rapid.StringMatching(`[a-z]{1,20}`), rapid.StringMatching(`[aeiouyslngtd]{1,128}`), rapid.StringMatching(`[а-я]{1,20}`), rapid.SampledFrom(pieces), rapid.String())
	rapid.Check(t, func(r *rapid.T) {
		checkStems(r, strings.Join(rapid.SliceOfN(word, 1, 5).Draw(r, "words"), rapid.SampledFrom([]string{"", " "}).Draw(r, "between")))
	})
}

func FuzzStems(f *testing.F) {
	for _, seed := range []string{"Erkrankungen", "opérations", "yyyyyyy", "ßßß", "щущуща", strings.Repeat("ing", 50), "ational ization"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) {
			checkStems(t, text)
		}
	})
}
