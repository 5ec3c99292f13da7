package sse

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-pinyin"
)

// How names sound. Words of Latin letters have Daitch-Mokotoff codes; Han characters are written in pinyin, without tones, in every
// reading they have. Every other word stands for itself. docs/spec/sse-analysis.md, section Sounds, says why these.

// Payloads of terms tagged tagSound begin with one of these.
const (
	soundCode = "s" // Daitch-Mokotoff code
	soundWord = "w" // a word, or pinyin
)

// maxReadings is the most readings of a character that count. Of those that have more, the rest are rare.
const maxReadings = 4

// appendSounds appends the keys of a name, with repetitions.
func appendSounds(keys []string, name string) []string {
	for _, run := range nameRuns(name) {
		switch {
		case run.han == nil:
			keys = append(keys, wordSounds(run.word)...)
		default:
			for i := range run.han {
				keys = append(keys, run.single(i)...)
				keys = append(keys, run.pair(i)...)
			}
		}
	}
	return keys
}

// soundTerms are sets of terms: a document whose name sounds like the text has at least one of each.
func (s Schema) soundTerms(field, text string) ([][]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if f.Type != Name {
		return nil, f.refuse("%v fields cannot be searched by sound: add a field of type name", f.Type)
	}
	if err := f.checkText(String(text)); err != nil {
		return nil, err
	}
	var sets [][]term
	seen := make(map[string]bool)
	add := func(keys []string) {
		if all := strings.Join(keys, " "); !seen[all] { // no key holds a space
			seen[all] = true
			var set []term
			for _, p := range f.appendDistinct(nil, tagSound, keys) {
				set = append(set, p.term)
			}
			sets = append(sets, set)
		}
	}
	for _, run := range nameRuns(text) {
		if run.han == nil {
			add(wordSounds(run.word))
			continue
		}
		// A given name of two characters is one word when it is written in Latin letters: each character is found alone, or with the one
		// before or behind it.
		for i := range run.han {
			keys := append(run.single(i), run.pair(i)...)
			if i > 0 {
				keys = append(keys, run.pair(i-1)...)
			}
			add(keys)
		}
	}
	return sets, f.bounded(len(sets), text)
}

// A nameRun is a word, or the readings of the characters of a run of Han.
type nameRun struct {
	word string
	han  [][]string
}

func nameRuns(name string) (runs []nameRun) {
	folded := foldText(name)
	for folded != "" {
		n, spaced := script(folded)
		run := folded[:n]
		folded = folded[n:]
		if spaced {
			c := cutter{why: forQuery}
			c.spaced(run)
			for _, t := range c.tokens {
				runs = append(runs, nameRun{word: t.word})
			}
			continue
		}
		for run != "" {
			if han := leading(run, true); han != "" {
				run = run[len(han):]
				r := nameRun{}
				for han != "" {
					char := character(han)
					han = han[len(char):]
					r.han = append(r.han, readings(fewMarks(char)))
				}
				runs = append(runs, r)
				continue
			}
			// Other characters stand for themselves, one by one: names in these scripts are short.
			other := leading(run, false)
			run = run[len(other):]
			for other != "" {
				char := character(other)
				other = other[len(char):]
				runs = append(runs, nameRun{word: fewMarks(char)})
			}
		}
	}
	return runs
}

// leading is the beginning of an unspaced run that is Han, or is not, marks included.
func leading(run string, han bool) string {
	for i, r := range run {
		if unicode.Is(unicode.M, r) && i > 0 {
			continue
		}
		if unicode.Is(unicode.Han, r) != han {
			return run[:i]
		}
	}
	return run
}

// readings are the ways to read a character, or the character itself if none is known.
func readings(char string) []string {
	var list []string
	r, _ := utf8.DecodeRuneInString(char)
	for reading := range strings.SplitSeq(pinyin.PinyinDict[int(r)], ",") {
		if reading = foldText(reading); reading != "" && !slices.Contains(list, reading) && len(list) < maxReadings {
			list = append(list, reading)
		}
	}
	if list == nil {
		return []string{char}
	}
	return list
}

func (r nameRun) single(i int) []string {
	var keys []string
	for _, a := range r.han[i] {
		keys = append(keys, soundWord+a)
	}
	return keys
}

// pair are the keys of a character and the next one, if there is one.
func (r nameRun) pair(i int) []string {
	var keys []string
	if i+1 < len(r.han) {
		for _, a := range r.han[i] {
			for _, b := range r.han[i+1] {
				keys = append(keys, soundWord+a+b)
			}
		}
	}
	return keys
}

// wordSounds are the keys of one folded word.
func wordSounds(word string) []string {
	keys := []string{soundWord + word}
	for _, code := range daitchMokotoff(word) {
		keys = append(keys, soundCode+code)
	}
	return keys
}
