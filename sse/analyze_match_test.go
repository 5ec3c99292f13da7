package sse

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The tests below compare what documents have and queries ask for with plain definitions on the text itself, which know nothing of terms.

// matchSchema has text, name and keyword fields that can be asked everything.
var matchSchema = Schema{Fields: []Field{
	{Name: "note", Type: Text, Prefix: true, Fuzzy: true, Substring: true, Phrase: true, Rank: true, Stored: true},
	{Name: "stem", Type: Text, Language: "en", Prefix: true, Substring: true, Phrase: true, Rank: true, Stored: true},
	{Name: "name", Type: Name, Prefix: true, Substring: true, Phrase: true, Rank: true, Stored: true},
	{Name: "code", Type: Keyword, Prefix: true, Substring: true, Facet: true, Stored: true},
}}

// drawPhrase draws texts of few different words in which phrases repeat; letters of several scripts meet.
func drawPhrase(r *rapid.T, label string, most int) string {
	word := rapid.SampledFrom([]string{"a", "b", "ab", "pain", "pains", "é", "糖", "糖尿", "尿病", "病", "2", "型", "か", "ผู้", "각"})
	gap := rapid.SampledFrom([]string{" ", "", ", ", "-"})
	var b strings.Builder
	for i := range rapid.IntRange(1, most).Draw(r, label) {
		if i > 0 {
			b.WriteString(gap.Draw(r, "gap"))
		}
		b.WriteString(word.Draw(r, "word"))
	}
	return b.String()
}

// A unit is a word or a character of a text, and whether it goes on without a break from the one before.
type unit struct {
	word   string
	joined bool
}

// units cuts a text by the definition: maximal runs of characters of scripts without spaces, in between words. The texts that are drawn here
// need no other rules.
func units(text string) (list []unit) {
	for _, piece := range regexp.MustCompile(`[糖尿病型か각]|ผู้|[a-z0-9]+|[^a-z0-9]`).FindAllString(foldText(text), -1) {
		wide := regexp.MustCompile(`^([糖尿病型か각]|ผู้)$`).MatchString(piece)
		word := regexp.MustCompile(`^[a-z0-9]+$`).MatchString(piece)
		if wide || word {
			joined := wide && len(list) > 0 && list[len(list)-1].joined
			if wide {
				list = append(list, unit{piece, joined})
				list = append(list, unit{"", true}) // the next one is joined
			} else {
				list = append(list, unit{piece, false})
			}
			continue
		}
		list = append(list, unit{"", false})
	}
	// Take the markers out.
	var clean []unit
	join := false
	for _, u := range list {
		if u.word == "" {
			join = u.joined
			continue
		}
		wide := regexp.MustCompile(`^([糖尿病型か각]|ผู้)$`).MatchString(u.word)
		clean = append(clean, unit{u.word, join && wide})
		join = false
	}
	return clean
}

// within says whether the units of a phrase stand in a row in a text; what is joined in the phrase is joined there.
func within(phrase, text []unit) bool {
	for i := 0; i+len(phrase) <= len(text); i++ {
		same := true
		for j, u := range phrase {
			same = same && u.word == text[i+j].word && (j == 0 || !u.joined || text[i+j].joined)
		}
		if same {
			return true
		}
	}
	return false
}

func TestPhraseMatchesText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		field := rapid.SampledFrom([]string{"note", "stem", "name"}).Draw(r, "field")
		var values []Value
		var texts [][]unit
		for range rapid.IntRange(1, 3).Draw(r, "values") {
			text := drawPhrase(r, "text", 12)
			values, texts = append(values, String(text)), append(texts, units(text))
		}
		d := indexDocument(r, matchSchema, Fields{field: values})
		phrase := drawPhrase(r, "phrase", 4)
		want := slices.ContainsFunc(texts, func(text []unit) bool { return within(units(phrase), text) })
		require.Equal(r, want, d.matches(r, "phrase", field, phrase), "%q in %v", phrase, values)
	})
}

func TestTermMatchesText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text, query := drawPhrase(r, "text", 12), drawPhrase(r, "query", 3)
		all := units(text)
		want := true
		asked := units(query)
		for i, u := range asked {
			switch {
			case u.joined: // as a pair with the one before
				want = want && within([]unit{asked[i-1], u}, all)
			case i+1 < len(asked) && asked[i+1].joined:
			default:
				want = want && within([]unit{u}, all)
			}
		}
		for _, field := range []string{"note", "name"} {
			d := indexDocument(r, matchSchema, Fields{field: {String(text)}})
			require.Equal(r, want, d.matches(r, "term", field, query), "%q in %q", query, text)
		}
		d := indexDocument(r, matchSchema, Fields{"stem": {String(text)}})
		if want {
			require.True(r, d.matches(r, "term", "stem", query), "stems find at least what words do")
		}
		singular := strings.NewReplacer("pains", "pain")
		require.Equal(r, d.matches(r, "term", "stem", singular.Replace(query)), d.matches(r, "term", "stem", query))
	})
}

func TestSubstringMatchesText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		field := rapid.SampledFrom([]string{"note", "name", "code"}).Draw(r, "field")
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringMatching(`[a-c糖尿病]{1,5}`)), 1, 10).Draw(r, "text"), "")
		if field == "code" && (composed(text) == "" || len(composed(text)) > MaxKeyword) {
			return
		}
		d := indexDocument(r, matchSchema, Fields{field: {String(text), String("abcabc糖尿病")}})
		folded := []rune(foldText(text))
		part := rapid.StringMatching(`[a-c糖尿病]{1,5}`).Draw(r, "part")
		if len(folded) > 0 && rapid.Bool().Draw(r, "own") {
			from := rapid.IntRange(0, len(folded)-1).Draw(r, "from")
			part = string(folded[from:rapid.IntRange(from, len(folded)).Draw(r, "to")])
		}
		if _, _, err := matchSchema.substringTerms(field, part); err != nil {
			require.ErrorContains(r, err, "too short")
			require.Less(r, len([]rune(foldText(part))), 3)
			return
		}
		contains := func(v string) bool { return strings.Contains(foldText(v), foldText(part)) }
		want := contains(text) || contains("abcabc糖尿病")
		require.Equal(r, want, d.matches(r, "substring", field, part), "%q in %q", part, text)
	})
}

func TestWildcardMatchesText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`([ab]{1,6} ){1,4}`).Draw(r, "text")
		p := rapid.StringMatching(`[abA*?]{1,6}`).Draw(r, "pattern")
		d := indexDocument(r, matchSchema, Fields{"note": {String(text)}, "code": {String(text)}})
		// A pattern matches by recursion on its first character.
		var match func(p, s string) bool
		match = func(p, s string) bool {
			switch {
			case p == "":
				return s == ""
			case p[0] == '*':
				return match(p[1:], s) || s != "" && match(p, s[1:])
			}
			return s != "" && (p[0] == '?' || p[0] == s[0]) && match(p[1:], s[1:])
		}
		want := slices.ContainsFunc(strings.Fields(text), func(w string) bool { return match(strings.ToLower(p), w) })
		require.Equal(r, want, d.matches(r, "wildcard", "note", p), "%q in %q", p, text)
		require.Equal(r, match(p, text), d.matches(r, "wildcard", "code", p), "%q in %q", p, text)

		wide := rapid.StringMatching(`[糖尿病]{1,8}`).Draw(r, "wide text")
		q := rapid.StringMatching(`[糖尿病][糖尿病?]{0,3}[糖尿病]`).Draw(r, "wide pattern")
		d = indexDocument(r, matchSchema, Fields{"note": {String(wide)}})
		want = regexp.MustCompile(strings.ReplaceAll(q, "?", ".")).MatchString(wide)
		require.Equal(r, want, d.matches(r, "wildcard", "note", "*"+q+"*"), "%q in %q", q, wide)
	})
}

func TestQueriesRefused(t *testing.T) {
	s := Schema{Fields: []Field{{Name: "plain", Type: Text}, {Name: "prefix", Type: Text, Prefix: true}, {Name: "code", Type: Keyword, Prefix: true}}}
	require.NoError(t, s.Validate())
	phrase := func(field, text string) error { _, err := s.phraseWords(field, text); return err }
	sub := func(field, text string) error { _, _, err := s.substringTerms(field, text); return err }
	wild := func(field, text string) error { _, err := s.wildcard(field, text); return err }
	match := func(ask func(Schema, string, string) error, field, text string) error {
		return ask(matchSchema, field, text)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{phrase("plain", "a b"), "with Phrase"},
		{phrase("none", "a b"), "it has plain"},
		{sub("plain", "abc"), "with Substring"},
		{sub("none", "abc"), "it has plain"},
		{wild("plain", "a*"), "with Prefix"},
		{wild("none", "a*"), "it has plain"},
		{wild("prefix", ""), "is no pattern"},
		{wild("prefix", `a\b`), "is no pattern"},
		{wild("prefix", "\xff"), "is no pattern"},
		{wild("prefix", strings.Repeat("a", MaxKeyword+1)), "is no pattern"},
		{wild("prefix", "o'br*"), "stands for one word"},
		{wild("prefix", "a b*"), "stands for one word"},
		{wild("prefix", "糖?病"), "with Phrase"},
		{wild("prefix", "糖尿病"), "with Phrase"},
		{wild("prefix", "糖*病"), "parts on both sides"},
		{wild("prefix", "2型*"), "scripts with and without spaces"},
		{match(func(s Schema, f, x string) error { _, err := s.wildcard(f, x); return err }, "note", "?尿病?"), "begins and ends"},
		{match(func(s Schema, f, x string) error { _, err := s.wildcard(f, x); return err }, "note", strings.Repeat("糖", 257)), "more than 256"},
		{match(func(s Schema, f, x string) error { _, err := s.phraseWords(f, x); return err }, "note", strings.Repeat("a ", 257)), "256 is the limit"},
		{match(func(s Schema, f, x string) error { _, err := s.phraseWords(f, x); return err }, "note", " - "), "no word"},
		{match(func(s Schema, f, x string) error { _, err := s.phraseWords(f, x); return err }, "note", "\xff"), "UTF-8"},
		{match(func(s Schema, f, x string) error { _, err := s.prefixWords(f, x); return err }, "note", strings.Repeat("a ", 257)), "256 is the limit"},
		{match(func(s Schema, f, x string) error { _, _, err := s.substringTerms(f, x); return err }, "note", "ab"), "too short"},
		{match(func(s Schema, f, x string) error { _, _, err := s.substringTerms(f, x); return err }, "note", "糖"), "too short"},
		{match(func(s Schema, f, x string) error { _, _, err := s.substringTerms(f, x); return err }, "note", ""), "too short"},
		{match(func(s Schema, f, x string) error { _, _, err := s.substringTerms(f, x); return err }, "note", "\xffabc"), "UTF-8"},
		{match(func(s Schema, f, x string) error { _, _, err := s.substringTerms(f, x); return err }, "note", strings.Repeat("abc", 400)), "1024"},
	} {
		require.ErrorIs(t, c.err, ErrSchema, c.want)
		require.ErrorContains(t, c.err, c.want)
	}
	_, err := s.existsTerm("none")
	require.ErrorIs(t, err, ErrSchema)
	terms, _, err := matchSchema.substringTerms("note", strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456789", 3))
	require.NoError(t, err)
	require.Len(t, terms, maxGrams)
}
