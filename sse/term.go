package sse

import (
	"encoding/binary"

	"github.com/veilchart/veilchart/internal/wire"
)

// A term is what a document is found by: a field, a tag and a payload, encoded so that two terms are equal exactly if all three
// are. It is the input of the pseudo-random functions. docs/spec/sse-analysis.md, section Terms.
type term string

// The tags of terms. A value itself has the number of its field's type.
const (
	tagStem   = 16 // stem of a word
	tagGram   = 17 // part of a folded value
	tagSound  = 18 // phonetic key
	tagExists = 19 // the field has a value
)

// newTerm is the term of a value, or of a word, of the field.
func newTerm(f Field, payload string) term { return f.term(uint8(f.Type), payload) }

func (f Field) term(tag uint8, payload string) term {
	b := make([]byte, 0, 4+len(f.Name)+1+4+len(payload))
	b = wire.AppendString(b, f.Name)
	b = append(b, tag)
	return term(wire.AppendString(b, payload))
}

// split is the inverse of Field.term; ok is false for other strings.
func (t term) split() (field string, tag uint8, payload string, ok bool) {
	field, rest, ok := cutString(string(t))
	if !ok || rest == "" {
		return "", 0, "", false
	}
	tag = rest[0]
	payload, rest, ok = cutString(rest[1:])
	return field, tag, payload, ok && rest == ""
}

func cutString(s string) (v, rest string, ok bool) {
	if len(s) < 4 {
		return "", "", false
	}
	n := binary.BigEndian.Uint32([]byte(s[:4]))
	if s = s[4:]; uint64(n) > uint64(len(s)) {
		return "", "", false
	}
	return s[:n], s[n:], true
}

// vocabulary says whether the field keeps a vocabulary: the words of its terms.
func (f Field) vocabulary() bool { return f.Prefix || f.Fuzzy || f.Facet }

func (s Schema) vocabulary(field string) bool {
	f, err := s.field(field)
	return err == nil && f.vocabulary()
}

// vocabularyWord is the word that stands for the term in the vocabulary of its field, and the number of the field. Terms that are in
// no vocabulary have none.
func (s Schema) vocabularyWord(t term) (field uint16, word string, ok bool) {
	name, tag, word, ok := t.split()
	if !ok {
		return 0, "", false
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Name == name {
			if !f.vocabulary() || tag != uint8(f.Type) {
				return 0, "", false
			}
			field, _ = s.number(name)
			return field, word, true
		}
	}
	return 0, "", false
}

// vocabularyTerm is the term of a word in the vocabulary of the field with that number: the inverse of vocabularyWord.
func (s Schema) vocabularyTerm(field uint16, word string) term {
	return s.wordTerm(s.fieldName(field), word)
}

// wordTerm is the term of a word of the field's vocabulary.
func (s Schema) wordTerm(field, word string) term {
	f, err := s.field(field)
	if err != nil {
		return "" // no document has the empty term
	}
	return newTerm(f, word)
}

// existsTerm is the term of all documents that have a value in the field.
func (s Schema) existsTerm(field string) (term, error) {
	f, err := s.field(field)
	if err != nil {
		return "", err
	}
	return f.term(tagExists, ""), nil
}

// aux says which lists a term has beside that of its rows: impacts stand with the terms that a query for a value asks for, positions with
// words as they are.
func (s Schema) aux(t term) (impacts, positions bool) {
	name, tag, _, ok := t.split()
	if !ok {
		return false, false
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Name == name {
			return f.Rank && tag == f.asked(), f.Phrase && tag == uint8(f.Type)
		}
	}
	return false, false
}

// asked is the tag of the terms that a query for a value of the field asks for.
func (f *Field) asked() uint8 {
	if f.Language != "" {
		return tagStem
	}
	return uint8(f.Type)
}
