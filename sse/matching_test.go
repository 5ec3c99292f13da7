package sse

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// indexed is a document as its postings, to ask what queries ask for without pages.
type indexed struct {
	schema   Schema
	postings map[term]posting
	values   Fields
}

// indexDocument also checks what holds for the postings of every document.
func indexDocument(t require.TestingT, s Schema, fields Fields) indexed {
	postings, encoded, err := s.index(&Document{ID: "1", Revision: 1, Fields: fields})
	require.NoError(t, err)
	d := indexed{s, make(map[term]posting, len(postings)), nil}
	last := term("")
	for _, p := range postings {
		require.Less(t, last, p.term, "sorted and distinct")
		last = p.term
		impacts, positions := s.aux(p.term)
		require.Equal(t, impacts, p.impact > 0)
		require.Equal(t, positions, len(p.positions) > 0)
		require.True(t, slices.IsSorted(p.positions))
		require.Len(t, slices.Compact(slices.Clone(p.positions)), len(p.positions))
		field, tag, payload, ok := p.term.split()
		require.True(t, ok)
		f, err := s.field(field)
		require.NoError(t, err)
		number, word, ok := s.vocabularyWord(p.term)
		require.Equal(t, f.vocabulary() && tag == uint8(f.Type), ok)
		if ok {
			require.Equal(t, payload, word)
			require.Equal(t, p.term, s.vocabularyTerm(number, word))
		}
		d.postings[p.term] = p
	}
	for name, values := range fields {
		exists, err := s.existsTerm(name)
		require.NoError(t, err)
		_, has := d.postings[exists]
		require.Equal(t, len(values) > 0, has)
	}
	d.values, err = decodeValues(s, encoded)
	require.NoError(t, err)
	return d
}

func (d indexed) has(t term) bool {
	_, ok := d.postings[t]
	return ok
}

func (d indexed) hasAll(terms []term) bool {
	return !slices.ContainsFunc(terms, func(t term) bool { return !d.has(t) })
}

func (d indexed) hasPhrase(words []phraseWord) bool {
	for _, p := range d.postings[words[0].term].positions {
		if !slices.ContainsFunc(words, func(w phraseWord) bool {
			_, ok := slices.BinarySearch(d.postings[w.term].positions, p-words[0].at+w.at)
			return !ok
		}) {
			return true
		}
	}
	return false
}

// hasWord says whether the document has a word in the vocabulary of the field that is accepted.
func (d indexed) hasWord(field string, accept func(word string) bool) bool {
	number, _ := d.schema.number(field)
	for t := range d.postings {
		if n, word, ok := d.schema.vocabularyWord(t); ok && n == number && accept(word) {
			return true
		}
	}
	return false
}

// matches evaluates a query of one kind by the terms that the query side gives.
func (d indexed) matches(t require.TestingT, kind, field, text string) bool {
	switch kind {
	case "term":
		terms, err := d.schema.queryTerms(field, String(text))
		require.NoError(t, err)
		require.NotEmpty(t, terms)
		return d.hasAll(terms)
	case "phrase":
		words, err := d.schema.phraseWords(field, text)
		require.NoError(t, err)
		return d.hasPhrase(words)
	case "substring":
		terms, found, err := d.schema.substringTerms(field, text)
		require.NoError(t, err)
		require.NotEmpty(t, terms)
		return d.hasAll(terms) && slices.ContainsFunc(d.values[field], found)
	case "wildcard":
		w, err := d.schema.wildcard(field, text)
		require.NoError(t, err)
		if w.phrase != nil {
			return d.hasPhrase(w.phrase)
		}
		whole := regexp.MustCompile(`^` + w.expression + `$`)
		return d.hasWord(field, func(word string) bool {
			matched := whole.MatchString(word)
			require.True(t, !matched || strings.HasPrefix(word, w.prefix), "the prefix is part of the pattern")
			return matched
		})
	case "prefix":
		words, err := d.schema.prefixWords(field, text)
		require.NoError(t, err)
		last := len(words) - 1
		for _, w := range words[:last] {
			if !d.has(d.schema.wordTerm(field, w)) {
				return false
			}
		}
		return d.hasWord(field, func(word string) bool { return strings.HasPrefix(word, words[last]) })
	case "sounds":
		sets, err := d.schema.soundTerms(field, text)
		require.NoError(t, err)
		for _, set := range sets {
			require.NotEmpty(t, set)
			if !slices.ContainsFunc(set, d.has) {
				return false
			}
		}
		return true
	}
	require.Fail(t, "unknown kind", kind)
	return false
}

// TestClinicalNotes asks notes in several languages what people ask of them.
func TestClinicalNotes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "analysis", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var c struct {
			Language string
			Notes    []string
			Queries  []struct {
				Kind, Text string
				Hits       []int
			}
		}
		require.NoError(t, json.Unmarshal(b, &c))
		require.NotEmpty(t, c.Queries)
		s := Schema{Fields: []Field{{Name: "note", Type: Text, Language: c.Language, Prefix: true, Fuzzy: true, Substring: true, Phrase: true, Rank: true, Stored: true}}}
		require.NoError(t, s.Validate())
		var notes []indexed
		for _, note := range c.Notes {
			notes = append(notes, indexDocument(t, s, Fields{"note": {String(note)}}))
		}
		for _, q := range c.Queries {
			hits := []int{}
			for i, n := range notes {
				if n.matches(t, q.Kind, "note", q.Text) {
					hits = append(hits, i)
				}
			}
			assert.Equal(t, q.Hits, hits, "%s: %s %q", file, q.Kind, q.Text)
		}
	}
}
