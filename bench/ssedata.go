package main

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
)

// entry is a document before any engine has seen it.
type entry struct {
	id     string
	codes  []string // keywords
	text   string   // full text, ranked
	name   string   // one word in lower case, for prefixes and typing errors; empty if there is none
	number int64    // -1 if there is none
	day    int64    // since 1970-01-01; noDay if there is none
}

const noDay int64 = -1 << 40

// Bounds of the numbers and days that engines are told.
const (
	maxNumber = 1_000_000 - 1
	firstDay  = -25_567 // 1900-01-01
	lastDay   = 29_219  // 2049-12-31
)

// corpus is a set of records that can be gone through again and again, the same each time.
type corpus struct {
	label   string // docs=100000 or data=notes: the last part of names
	records iter.Seq2[entry, error]
	cjk     bool // the text is Chinese
	truth   bool // words of the text are what stands between blanks, so that hits can be told without an engine
}

// Seeds and sizes of the made-up documents.
const (
	seed          = 0x5e1ec7
	termsEach     = 40
	vocabulary    = 1 << 17
	zipfExponent  = 1.1
	zipfOffset    = 8
	distinctCodes = 1 << 10
	distinctNames = 5000
	daysInUse     = 40 * 365
	dayOfFirst    = 7305 // 1990-01-01
)

// spell writes a number in syllables, so that words share beginnings and are near each other, as those of a language do.
func spell(n int) string {
	const consonants, vowels = "bdfghklmnprstvwz", "aeio"
	var b strings.Builder
	for {
		b.WriteByte(consonants[n%16])
		b.WriteByte(vowels[n/16%4])
		if n /= 64; n == 0 {
			return b.String()
		}
		n--
	}
}

// zipf draws numbers below n, small ones more often.
func zipf(r *rand.Rand, exponent float64, n uint64) func() int {
	z := rand.NewZipf(r, exponent, zipfOffset, n-1)
	return func() int { return int(z.Uint64()) }
}

// zipfCorpus has n documents of 40 words each, drawn by Zipf's law, a code, a name, a number and a day.
func zipfCorpus(n int) corpus {
	return corpus{label: fmt.Sprintf("docs=%d", n), truth: true, records: func(yield func(entry, error) bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		word, code, name := zipf(r, zipfExponent, vocabulary), zipf(r, zipfExponent, distinctCodes), zipf(r, zipfExponent, distinctNames)
		var text strings.Builder
		for i := range n {
			text.Reset()
			for j := range termsEach {
				if j > 0 {
					text.WriteByte(' ')
				}
				text.WriteString(spell(word()))
			}
			rec := entry{
				id: fmt.Sprintf("record-%08d", i), codes: []string{fmt.Sprintf("code-%d", code())}, text: text.String(),
				name: spell(7919 * name()), number: r.Int64N(maxNumber + 1), day: dayOfFirst + r.Int64N(daysInUse),
			}
			if !yield(rec, nil) {
				return
			}
		}
	}}
}

// keywordCorpus has n documents of 40 different keywords each, drawn by Zipf's law, and nothing that has to be analyzed. keep says of a
// keyword by the number of documents that have it whether it stays; nil keeps all.
func keywordCorpus(n int, keep func(rows int) bool) corpus {
	draw := func() iter.Seq2[int, []int] {
		return func(yield func(int, []int) bool) {
			r := rand.New(rand.NewPCG(seed, 2))
			word := zipf(r, zipfExponent, vocabulary)
			for i := range n {
				some := make([]int, 0, termsEach)
				for len(some) < termsEach {
					if w := word(); !slices.Contains(some, w) {
						some = append(some, w)
					}
				}
				if !yield(i, some) {
					return
				}
			}
		}
	}
	return corpus{label: fmt.Sprintf("docs=%d", n), records: func(yield func(entry, error) bool) {
		var rows []int
		if keep != nil {
			rows = make([]int, vocabulary)
			for _, some := range draw() {
				for _, w := range some {
					rows[w]++
				}
			}
		}
		for i, some := range draw() {
			rec := entry{id: fmt.Sprintf("record-%08d", i), number: -1, day: noDay}
			for _, w := range some {
				if keep == nil || keep(rows[w]) {
					rec.codes = append(rec.codes, spell(w))
				}
			}
			if !yield(rec, nil) {
				return
			}
		}
	}}
}

// postings is how many different values of fields a record has: what an index has to keep at least.
func (r entry) postings() int {
	n := len(r.codes)
	if r.text != "" {
		some := strings.Fields(r.text)
		slices.Sort(some)
		n += len(slices.Compact(some))
	}
	for _, has := range []bool{r.name != "", r.number >= 0, r.day != noDay} {
		if has {
			n++
		}
	}
	return n
}

// wordsOf are the different words that queries are made from: those of letters a to z only, or in Chinese the pairs of neighbours. They are
// words for every engine, wherever it cuts the rest.
func (c corpus) wordsOf(text string) []string {
	var out []string
	if c.cjk {
		runes := []rune(text)
		for i := 1; i < len(runes); i++ {
			if han(runes[i-1]) && han(runes[i]) {
				out = append(out, string(runes[i-1:i+1]))
			}
		}
	} else {
		for word := range strings.FieldsSeq(text) {
			if simple(word) {
				out = append(out, word)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func han(r rune) bool { return r >= 0x4e00 && r <= 0x9fa5 }

func simple(word string) bool {
	return len(word) > 0 && strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

// nearest returns the keys whose counts are nearest to want, count of them, in an order that is the same each time.
func nearest(counts map[string]int, want, count int) []string {
	type candidate struct {
		key string
		off int
	}
	var all []candidate
	for key, n := range counts {
		off := n - want
		if off < 0 {
			off = -off
		}
		all = append(all, candidate{key, off})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.key, b.key)) })
	var out []string
	for _, e := range all[:min(count, len(all))] {
		out = append(out, e.key)
	}
	return out
}
