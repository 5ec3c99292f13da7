package sse

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// The texts of the oracle are made of words and characters of which is written down here how they are spelled, what they fold to, what
// stem they have and how they sound. So the oracle needs no analysis, only comparisons of what it drew.

// How letters are written that are found as the letter. Every letter is also written as a capital and in full width.
var oracleLetters = map[rune][]string{
	'a': {"á", "Á", "a\u0301", "Å"},
	'c': {"ç", "c\u0327"},
	'd': {"đ"},
	'e': {"é", "e\u0301", "Ê"},
	'k': {"\u212a"}, // Kelvin
	'l': {"ł"},
	'n': {"ñ", "N\u0303"},
	'o': {"ø", "Ö", "o\u0308\u0304"},
	's': {"ſ"},
	'u': {"ü", "U\u0308"},
}

// How what parts words is written, by what it folds to.
var oracleParts = map[string][]string{
	" ": {" ", " ", "'", "’"}, ", ": {", "}, "\n": {"\n"}, " (": {" ("}, " - ": {" - "}, "; ": {"; "}, "/": {"/", "／"},
}

// Words by language, with the stems that the sample vocabularies at snowballstem.org list for them (without accents, as they are folded).
var oracleStems = map[string]map[string]string{
	"en": {
		"consign": "consign", "consigned": "consign", "consigning": "consign", "consignment": "consign", "consist": "consist", "consisted": "consist",
		"consistency": "consist", "consistently": "consist", "consolations": "consol", "console": "consol", "consoled": "consol", "consolatory": "consolatori",
		"knack": "knack", "knackeries": "knackeri", "knacks": "knack", "kneaded": "knead", "kneading": "knead", "knee": "knee", "knees": "knee", "kneeling": "kneel",
	},
	"de": {
		"aufeinander": "aufeinand", "aufenthalt": "aufenthalt", "aufenthalten": "aufenthalt", "auferlegen": "auferleg", "auferlegt": "auferlegt",
		"auferlegten": "auferlegt", "kategorie": "kategori", "kategorien": "kategori", "kater": "kat", "katers": "kat", "katze": "katz",
	},
	"fr": {
		"continu": "continu", "continua": "continu", "continuait": "continu", "continuant": "continu", "continuation": "continu", "continue": "continu",
		"continuel": "continuel", "continuelle": "continuel", "continuellement": "continuel",
	},
}

// Names with all their Daitch-Mokotoff codes, as published at www.avotaynu.com/soundex.htm and www.jewishgen.org/infofiles/soundex.html; those
// of the Chinese ones were coded by hand.
var oracleNames = map[string]string{
	"golden": "583600", "alpert": "087930", "breuer": "791900", "haber": "579000", "mannheim": "665600", "mintz": "664000", "topf": "370000",
	"auerbach": "097400 097500", "ohrbach": "097400 097500", "lipshitz": "874400", "lippszyc": "874400 874500", "lewinsky": "876450",
	"levinski": "876450", "szlamawicz": "486740", "shlamovitz": "486740", "ceniow": "467000 567000", "tsenyuv": "467000",
	"holubica": "587400 587500", "golubitsa": "587400", "przemysl": "746480 794648", "pshemeshil": "746480", "peters": "734000 739400",
	"peterson": "734600 739460", "moskowitz": "645740", "moskovitz": "645740", "jackson": "154600 145460 454600 445460",
	"wang": "765000", "xiaoming": "566500", "xiao": "500000", "ming": "665000", "zeng": "465000", "ceng": "465000 565000", "keng": "565000",
}

// Characters of names with their readings in the pinyin table that docs/spec/sse-analysis.md names, rare ones included.
var oracleReadings = map[rune][]string{
	'王': {"wang", "yu"}, '小': {"xiao"}, '明': {"ming", "meng"}, '晓': {"xiao"}, '张': {"zhang"}, '張': {"zhang"}, '曾': {"ceng", "zeng"},
}

var oracleHan = map[Type][]rune{Text: []rune("糖尿病高血"), Name: []rune("王小明晓张張曾")}

// drawKey takes one of the keys of a map.
func drawKey[V any](r *rand.Rand, m map[string]V) string {
	return slices.Sorted(maps.Keys(m))[r.IntN(len(m))]
}

// An oracleItem is a word of letters, or a run of characters of a script without spaces.
type oracleItem struct {
	word string
	run  []rune
}

// drawItem makes a word or run that fits the field.
func drawItem(r *rand.Rand, f Field) (it oracleItem) {
	switch {
	case r.IntN(4) == 0:
		for range 1 + r.IntN(4) {
			it.run = append(it.run, oracleHan[f.Type][r.IntN(len(oracleHan[f.Type]))])
		}
	case f.Type == Name:
		it.word = drawKey(r, oracleNames)
	case f.Language != "":
		it.word = drawKey(r, oracleStems[f.Language])
	default:
		for range 1 + r.IntN(4) {
			it.word += string("abco"[r.IntN(4)])
		}
	}
	return it
}

func drawItems(r *rand.Rand, f Field, most int) (items []oracleItem) {
	for range 1 + r.IntN(most) {
		items = append(items, drawItem(r, f))
	}
	return items
}

// An oraclePiece is a character or what parts words: what it is found as, and as what it counts where keywords are compared.
type oraclePiece struct{ folded, form string }

// spell writes a piece in one of the ways in which it is found all the same.
func (p oraclePiece) spell(r *rand.Rand) string {
	if ways := oracleParts[p.folded]; ways != nil {
		return ways[r.IntN(len(ways))]
	}
	c := []rune(p.folded)[0]
	if c < 'a' || c > 'z' {
		return p.folded
	}
	if ways := oracleLetters[c]; ways != nil && r.IntN(4) == 0 {
		return ways[r.IntN(len(ways))]
	}
	return []string{p.folded, p.folded, string(c - 'a' + 'A'), string(c - 'a' + 'ａ'), string(c - 'a' + 'Ａ')}[r.IntN(5)]
}

func spellAll(r *rand.Rand, pieces []oraclePiece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.spell(r))
	}
	return b.String()
}

func piecesOf(s string) (out []oraclePiece) {
	for _, c := range s {
		out = append(out, oraclePiece{string(c), string(c)})
	}
	return out
}

// joinItems makes the text of items. Scripts need no space between each other.
func joinItems(r *rand.Rand, items []oracleItem) (text []oraclePiece) {
	for i, it := range items {
		if i > 0 && (items[i-1].run == nil) == (it.run == nil) || r.IntN(2) == 0 {
			part := drawKey(r, oracleParts)
			text = append(text, oraclePiece{part, part})
		}
		text = append(append(text, piecesOf(it.word)...), piecesOf(string(it.run))...)
	}
	return text
}

func folded(text []oraclePiece) string {
	var b strings.Builder
	for _, p := range text {
		b.WriteString(p.folded)
	}
	return b.String()
}

// An oracleToken is a word and its place.
type oracleToken struct {
	word string
	at   int
}

// indexedTokens are the words that a document with the items is found by, which are also those of the vocabulary, and the number of places.
func indexedTokens(items []oracleItem) (tokens []oracleToken, places int) {
	for _, it := range items {
		if it.run == nil {
			tokens = append(tokens, oracleToken{it.word, places})
			places++
		}
		for i, c := range it.run {
			tokens = append(tokens, oracleToken{string(c), places})
			if i > 0 {
				tokens = append(tokens, oracleToken{string(it.run[i-1 : i+1]), places - 1})
			}
			places++
		}
	}
	return tokens, places
}

// askedTokens are the words that a query with the items asks for.
func askedTokens(items []oracleItem) (tokens []oracleToken) {
	at := 0
	for _, it := range items {
		if len(it.run) < 2 {
			tokens = append(tokens, oracleToken{it.word + string(it.run), at})
		}
		for i := 1; i < len(it.run); i++ {
			tokens = append(tokens, oracleToken{string(it.run[i-1 : i+1]), at + i - 1})
		}
		at += max(1, len(it.run))
	}
	return tokens
}

// stemOf is what a query for a value asks for: the stem, if the field has a language and the word has one.
func stemOf(f Field, word string) string {
	if stem, ok := oracleStems[f.Language][word]; ok {
		return stem
	}
	return word
}

// soundsOf are the keys of a name, as it is found.
func soundsOf(items []oracleItem) (keys []string) {
	for _, it := range items {
		if it.run == nil {
			keys = append(keys, "w"+it.word)
			for code := range strings.FieldsSeq(oracleNames[it.word]) {
				keys = append(keys, "s"+code)
			}
		}
		for i := range it.run {
			keys = append(append(keys, joinedReadings(it.run, i, i+1)...), joinedReadings(it.run, i, i+2)...)
		}
	}
	return keys
}

// askedSounds are sets of keys; a query for the name asks for one of each.
func askedSounds(items []oracleItem) (sets [][]string) {
	for _, it := range items {
		if it.run == nil {
			sets = append(sets, soundsOf([]oracleItem{it}))
		}
		for i := range it.run {
			sets = append(sets, slices.Concat(joinedReadings(it.run, i, i+1), joinedReadings(it.run, i-1, i+1), joinedReadings(it.run, i, i+2)))
		}
	}
	return sets
}

// joinedReadings are the ways to read one or two characters of a run; none if they are not all there.
func joinedReadings(run []rune, from, to int) []string {
	if from < 0 || to > len(run) {
		return nil
	}
	keys := []string{"w"}
	for _, c := range run[from:to] {
		var next []string
		for _, k := range keys {
			for _, reading := range oracleReadings[c] {
				next = append(next, k+reading)
			}
		}
		keys = next
	}
	return keys
}

// oracleDistance is the number of edits between two words: a character more, less or changed, or two neighbours changed about (optimal string
// alignment).
func oracleDistance(x, y string) int {
	a, b := []rune(x), []rune(y)
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// Of a pattern: any characters, and any one. Other runes stand for themselves.
const oracleAny, oracleOne = rune(-1), rune(-2)

// oraclePattern says whether a word matches a pattern as a whole.
func oraclePattern(pattern, word []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(word) == 0
	case pattern[0] == oracleAny:
		return oraclePattern(pattern[1:], word) || len(word) > 0 && oraclePattern(pattern, word[1:])
	case len(word) == 0 || pattern[0] != oracleOne && pattern[0] != word[0]:
		return false
	}
	return oraclePattern(pattern[1:], word[1:])
}
