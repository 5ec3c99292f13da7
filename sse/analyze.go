package sse

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/veilchart/veilchart/internal/wire"
)

// A term is what a document is found by: a field, a type and a payload, encoded so that two terms are equal exactly if all three
// are. It is the input of the pseudo-random functions. docs/spec/sse-analysis.md, section Terms.
type term string

func newTerm(f Field, payload string) term {
	b := make([]byte, 0, 4+len(f.Name)+1+4+len(payload))
	b = wire.AppendString(b, f.Name)
	b = append(b, uint8(f.Type))
	return term(wire.AppendString(b, payload))
}

// word is the payload of a term of a keyword or text field, which is the word in the field's vocabulary. Other terms have none.
func (t term) word() string {
	d := wire.NewDecoder([]byte(t))
	d.String(maxFieldName)
	tag := Type(d.Uint8())
	word := d.String(MaxKeyword)
	if d.Finish() != nil || tag != Keyword && tag != Text {
		return ""
	}
	return word
}

// index gives what a document is found by, and the encoded values of its stored fields.
func (s Schema) index(d *Document) (postings []posting, values []byte, err error) {
	for name, v := range d.Fields {
		terms, err := s.indexTerms(name, v)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range terms {
			postings = append(postings, posting{term: t})
		}
	}
	slices.SortFunc(postings, func(a, b posting) int { return strings.Compare(string(a.term), string(b.term)) })
	return postings, nil, nil // fields differ in their terms, and those of a field are distinct
}

// aux says which lists a term has beside that of its rows.
func (s Schema) aux(term) (impacts, positions bool) { return false, false }

// vocabularyWord is the word that stands for the term in the vocabulary of its field, and the number of the field. Terms that are in
// no vocabulary have none.
func (s Schema) vocabularyWord(t term) (field uint16, word string, ok bool) {
	name := t.field()
	if !s.vocabulary(name) {
		return 0, "", false
	}
	word = t.word()
	n, _ := s.number(name)
	return n, word, word != ""
}

// vocabularyTerm is the term of a word in the vocabulary of the field with that number: the inverse of vocabularyWord.
func (s Schema) vocabularyTerm(field uint16, word string) term {
	return s.wordTerm(s.fieldName(field), word)
}

// indexTerms are the terms by which a document with these values in the field is found: distinct, in the order of their first
// appearance.
func (s Schema) indexTerms(field string, values []Value) ([]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	var terms []term
	seen := make(map[string]bool)
	add := func(payload string) {
		if !seen[payload] {
			seen[payload] = true
			terms = append(terms, newTerm(f, payload))
		}
	}
	for _, v := range values {
		if err := f.takes(v); err != nil {
			return nil, err
		}
		switch f.Type {
		case Keyword:
			word, err := f.keyword(v)
			if err != nil {
				return nil, err
			}
			add(word)
		case Text:
			if err := f.checkText(v); err != nil {
				return nil, err
			}
			for _, word := range textWords(v.text, forIndex) {
				add(word)
			}
		default:
			pos, err := f.number(v)
			if err != nil {
				return nil, err
			}
			for _, n := range f.ladder().nodes(pos) {
				if t := n.term(f); !seen[string(t)] {
					seen[string(t)] = true
					terms = append(terms, t)
				}
			}
		}
	}
	return terms, nil
}

// queryTerms are the terms that a document must all have to match the value. There is at least one.
func (s Schema) queryTerms(field string, v Value) ([]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if err := f.takes(v); err != nil {
		return nil, err
	}
	if f.Type == Integer || f.Type == Date {
		pos, err := f.number(v)
		if err != nil {
			return nil, err
		}
		return []term{node{0, pos}.term(f)}, nil
	}
	words, err := f.words(v)
	if err != nil {
		return nil, err
	}
	terms := make([]term, len(words))
	for i, word := range words {
		terms[i] = newTerm(f, word)
	}
	return terms, nil
}

// words of a query on a keyword or text field: distinct, at least one.
func (f Field) words(v Value) ([]string, error) {
	if f.Type == Keyword {
		word, err := f.keyword(v)
		return []string{word}, err
	}
	if err := f.checkText(v); err != nil {
		return nil, err
	}
	var words []string
	for _, word := range textWords(v.text, forQuery) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return nil, f.refuse("there is no word to look for in %s", v.shown())
	}
	return words, nil
}

// vocabulary says whether the field keeps a vocabulary: the words of its terms, for prefix and fuzzy queries.
func (s Schema) vocabulary(field string) bool {
	f, err := s.field(field)
	return err == nil && (f.Prefix || f.Fuzzy)
}

// wordTerm is the term of a word of the field's vocabulary.
func (s Schema) wordTerm(field, word string) term {
	f, err := s.field(field)
	if err != nil {
		return "" // no document has the empty term
	}
	return newTerm(f, word)
}

// prefixWords analyses the beginning of a value: a document matches if it has all words but the last, and one that begins with
// the last.
func (s Schema) prefixWords(field, text string) ([]string, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if !f.Prefix {
		return nil, f.refuse("it cannot be searched by prefix: set Field.Prefix and build the index again")
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
	if len(words) == 0 {
		return nil, f.refuse("there is no word to look for in %s", String(text).shown())
	}
	return words, nil
}

// fuzzyWords analyses a value with typing errors: a document matches if it has a word near each of these.
func (s Schema) fuzzyWords(field, text string) ([]string, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if !f.Fuzzy {
		return nil, f.refuse("it cannot be searched with typing errors: set Field.Fuzzy and build the index again")
	}
	return f.words(String(text))
}

// keyword is the normal form of a keyword: Unicode NFC, otherwise as given.
func (f Field) keyword(v Value) (string, error) {
	if !utf8.ValidString(v.text) {
		return "", f.refuse("the value %s is not valid UTF-8", v.shown())
	}
	// A megabyte is not normalised only to be refused. NFC makes no string shorter than a third.
	if len(v.text) <= 3*MaxKeyword {
		v.text = composed(v.text)
	}
	switch {
	case v.text == "":
		return "", f.refuse("an empty keyword cannot be found: leave the value out")
	case len(v.text) > MaxKeyword:
		return "", f.refuse("the value %s has %d bytes, %d is the limit for keywords: use a text field", v.shown(), len(v.text), MaxKeyword)
	case strings.EqualFold(v.text, "true"), strings.EqualFold(v.text, "false"):
		return "", f.refuse("%s tells by the length of its list what it stands for: index a word such as \"smoker\" "+
			"in a field with many values, and nothing for its absence", v.shown())
	}
	return v.text, nil
}

func (f Field) checkText(v Value) error {
	if len(v.text) > MaxText {
		return f.refuse("a text of %d bytes is over the limit of %d: split the document", len(v.text), MaxText)
	}
	if !utf8.ValidString(v.text) {
		return f.refuse("the text %s is not valid UTF-8", v.shown())
	}
	return nil
}
