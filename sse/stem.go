package sse

import (
	"maps"
	"slices"
	"unicode"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
)

// The stemmers of the Snowball project, by BCP 47 primary language. They work on folded words, so that a text with accents and one
// without have the same stems. Their results are in every index: another version of them is another version of the analyzer, and
// golden vectors of every language hold them. Languages whose stemmer needs the letters that folding unifies are left out.
var stemmers = map[string]func(*snowballstem.Env) bool{
	"da": danish.Stem, "de": german.Stem, "en": english.Stem, "es": spanish.Stem, "fi": finnish.Stem, "fr": french.Stem, "hu": hungarian.Stem,
	"it": italian.Stem, "nl": dutch.Stem, "no": norwegian.Stem, "ro": romanian.Stem, "ru": russian.Stem, "sv": swedish.Stem,
}

// languages are those that have a stemmer.
func languages() []string { return slices.Sorted(maps.Keys(stemmers)) }

// stem is the stem of a folded word. Words with anything but letters have themselves: codes, doses, measures; and so has a word of which
// the stemmer leaves nothing.
func stem(language, word string) string {
	for _, r := range word {
		if !unicode.IsLetter(r) || unspaced(r) {
			return word
		}
	}
	env := snowballstem.NewEnv(word)
	stemmers[language](env)
	if env.Current() == "" {
		return word
	}
	return env.Current()
}
