package sse

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPlaces is the most places of words in one field of a document: what MaxText bytes of Chinese and of short words have room for.
const maxPlaces = 1 << 22

// index gives what a document is found by, sorted and distinct, and the encoded values of its fields with Stored.
func (s Schema) index(d *Document) (postings []posting, values []byte, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.Fields)) {
		f, err := s.field(name)
		if err != nil {
			return nil, nil, err
		}
		if postings, err = f.index(postings, d.Fields[name]); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(postings, func(a, b posting) int { return strings.Compare(string(a.term), string(b.term)) })
	values, err = s.encodeValues(d.Fields)
	if err != nil {
		return nil, nil, err
	}
	return postings, values, nil
}

// index appends the postings of the field: distinct, in no order that means anything.
func (f *Field) index(postings []posting, values []Value) ([]posting, error) {
	if len(values) == 0 {
		return postings, nil
	}
	if f.Sort && len(values) > 1 {
		return nil, f.refuse("a document has %d values in it, and hits cannot be sorted by several: give one, or leave Sort out", len(values))
	}
	checked := make([]Value, len(values)) // in normal form
	for i, v := range values {
		var err error
		if checked[i], err = f.check(v); err != nil {
			return nil, err
		}
	}
	postings = append(postings, posting{term: f.term(tagExists, "")})
	if f.Substring {
		postings = f.appendDistinct(postings, tagGram, gramsOf(checked))
	}
	switch {
	case f.Type == Text || f.Type == Name:
		return f.indexText(postings, checked)
	case f.Type.ranged():
		l := f.ladder()
		var payloads []string
		for _, v := range checked {
			n, err := f.number(v)
			if err != nil {
				return nil, err
			}
			for _, node := range l.nodes(l.position(n)) {
				payloads = append(payloads, node.payload())
			}
		}
		return f.appendDistinct(postings, uint8(f.Type), payloads), nil
	}
	words := make([]string, len(checked))
	for i, v := range checked {
		words[i] = v.text
	}
	return f.appendDistinct(postings, uint8(f.Type), words), nil
}

// appendDistinct appends a posting for each different payload.
func (f *Field) appendDistinct(postings []posting, tag uint8, payloads []string) []posting {
	if len(payloads) > 1 {
		slices.Sort(payloads)
		payloads = slices.Compact(payloads)
	}
	for _, p := range payloads {
		postings = append(postings, posting{term: f.term(tag, p)})
	}
	return postings
}

// check is the value in its normal form; an error if the field does not take it.
func (f *Field) check(v Value) (Value, error) {
	if err := f.takes(v); err != nil {
		return v, err
	}
	var err error
	switch f.Type {
	case Keyword:
		v.text, err = f.keyword(v)
	case Text, Name:
		err = f.checkText(v)
	case Bytes:
		if len(v.text) == 0 || len(v.text) > MaxBytes {
			err = f.refuse("a value of %d bytes: it takes 1 to %d", len(v.text), MaxBytes)
		}
	default:
		_, err = f.number(v)
	}
	if err == nil && f.Substring && len(v.text) > MaxKeyword {
		err = f.refuse("the value %s has %d bytes, %d is the limit for fields with Substring: split it, or leave Substring out", v.shown(), len(v.text), MaxKeyword)
	}
	return v, err
}

// A tally counts the words of one field of a document.
type tally struct {
	at    map[string]int
	words []counted
}

type counted struct {
	word   string
	times  uint32
	places []uint32
}

// count adds a number of occurrences.
func (t *tally) count(word string, times uint32) *counted {
	i, ok := t.at[word]
	if !ok {
		i = len(t.words)
		t.at[word] = i
		t.words = append(t.words, counted{word: word})
	}
	t.words[i].times += times
	return &t.words[i]
}

// indexText appends the postings of words, stems and sounds.
func (f *Field) indexText(postings []posting, values []Value) ([]posting, error) {
	c := cutter{why: forIndex}
	length := uint32(0) // words of the field, which is the length of the document for BM25
	for _, v := range values {
		before := c.next
		c.text(v.text)
		length += c.next - before
		c.next++ // one place is left free, so that no phrase runs on into the next value
		if c.next > maxPlaces {
			return nil, f.refuse("a document has more than %d words in it: split the document", maxPlaces)
		}
	}
	exact := tally{at: make(map[string]int, len(c.tokens))}
	for _, t := range c.tokens {
		w := exact.count(t.word, 1)
		if f.Phrase {
			w.places = append(w.places, t.at)
		}
	}
	if f.Language == "" || f.Prefix || f.Fuzzy || f.Phrase {
		postings = f.appendWords(postings, uint8(f.Type), exact.words, length)
	}
	if f.Language != "" {
		stems := tally{at: make(map[string]int, len(exact.words))}
		for _, w := range exact.words {
			stems.count(stem(f.Language, w.word), w.times)
		}
		postings = f.appendWords(postings, tagStem, stems.words, length)
	}
	if f.Type == Name {
		var sounds []string
		for _, v := range values {
			sounds = appendSounds(sounds, v.text)
		}
		postings = f.appendDistinct(postings, tagSound, sounds)
	}
	return postings, nil
}

func (f *Field) appendWords(postings []posting, tag uint8, words []counted, length uint32) []posting {
	for _, w := range words {
		p := posting{term: f.term(tag, w.word), positions: w.places}
		if f.Rank && tag == f.asked() {
			p.impact = impact(w.times, length, f.words())
		}
		postings = append(postings, p)
	}
	return postings
}

// keyword is the normal form of a keyword: Unicode NFC, otherwise as given.
func (f *Field) keyword(v Value) (string, error) {
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

func (f *Field) checkText(v Value) error {
	if len(v.text) > MaxText {
		return f.refuse("a text of %d bytes is over the limit of %d: split the document", len(v.text), MaxText)
	}
	if !utf8.ValidString(v.text) {
		return f.refuse("the text %s is not valid UTF-8", v.shown())
	}
	return nil
}
