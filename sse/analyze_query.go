package sse

import "slices"

// What queries ask for, in terms. docs/spec/sse-analysis.md.

// queryTerms are the terms that a document must all have to match the value. There is at least one, and they are distinct.
func (s Schema) queryTerms(field string, v Value) ([]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if v, err = f.check(v); err != nil {
		return nil, err
	}
	if f.Type.ranged() {
		n, err := f.number(v)
		if err != nil {
			return nil, err
		}
		return []term{node{0, f.ladder().position(n)}.term(f)}, nil
	}
	words, err := f.queryWords(v)
	if err != nil {
		return nil, err
	}
	if f.Language != "" {
		for i, word := range words {
			words[i] = stem(f.Language, word)
		}
		words = distinct(words)
	}
	terms := make([]term, len(words))
	for i, word := range words {
		terms[i] = f.term(f.asked(), word)
	}
	return terms, nil
}

// distinct drops repetitions.
func distinct(words []string) []string {
	seen := make(map[string]bool, len(words))
	return slices.DeleteFunc(words, func(w string) bool {
		again := seen[w]
		seen[w] = true
		return again
	})
}

// maxQueryWords is the most words and pairs of a query that asks for several, not counting repetitions but in phrases and prefixes.
const maxQueryWords = 256

// bounded refuses a query with too many words, or none.
func (f *Field) bounded(words int, text string) error {
	switch {
	case words == 0:
		return f.refuse("there is no word to look for in %s", String(text).shown())
	case words > maxQueryWords:
		return f.refuse("a query for %s has %d words, %d is the limit: look for a part of it", String(text).shown(), words, maxQueryWords)
	}
	return nil
}

// queryWords are the words of a checked value: distinct, at least one.
func (f *Field) queryWords(v Value) ([]string, error) {
	if f.Type != Text && f.Type != Name {
		return []string{v.text}, nil
	}
	words := distinct(textWords(v.text, forQuery))
	return words, f.bounded(len(words), v.text)
}

// prefixWords analyses the beginning of a value: a document matches if it has all words but the last, and one that begins with
// the last.
func (s Schema) prefixWords(field, text string) ([]string, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if !f.Prefix {
		return nil, f.refuse("it cannot be searched by prefix: add a field with Prefix")
	}
	if f.Type == Keyword {
		word, err := f.keyword(String(text))
		return []string{word}, err
	}
	if err := f.checkText(String(text)); err != nil {
		return nil, err
	}
	// The last word stays last also if it was there before: "ann ann" wants a word ann, and one that begins so.
	words := textWords(text, forQuery)
	return words, f.bounded(len(words), text)
}

// fuzzyWords analyses a value with typing errors: a document matches if it has a word near each of these.
func (s Schema) fuzzyWords(field, text string) ([]string, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if !f.Fuzzy {
		return nil, f.refuse("it cannot be searched with typing errors: add a field with Fuzzy")
	}
	v, err := f.check(String(text))
	if err != nil {
		return nil, err
	}
	return f.queryWords(v)
}

// A phraseWord is a term of a phrase and the place where it stands, counted from the first word.
type phraseWord struct {
	term term
	at   uint32
}

// phraseWords analyses a phrase: a document matches if there is a place p such that every word stands at p plus its own place. A phrase of
// one word needs no positions.
func (s Schema) phraseWords(field, text string) ([]phraseWord, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if !f.Phrase {
		return nil, f.refuse("it cannot be searched by phrase: add a text or name field with Phrase")
	}
	if err := f.checkText(String(text)); err != nil {
		return nil, err
	}
	c := cutter{why: forQuery}
	c.text(text)
	if err := f.bounded(len(c.tokens), text); err != nil {
		return nil, err
	}
	words := make([]phraseWord, len(c.tokens))
	for i, t := range c.tokens {
		words[i] = phraseWord{newTerm(f, t.word), t.at}
	}
	return words, nil
}
