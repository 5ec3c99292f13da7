package sse

import (
	"encoding/binary"
	"fmt"
)

// Query says which documents to find. Make it with Term, Range, Prefix, Wildcard, Regexp, Fuzzy, Substring, Phrase, Sounds, Exists, All,
// And, Or and Not, or with ParseQuery from text. It is checked against the schema when it is used; the zero Query is refused.
type Query struct {
	op       queryOp
	field    string // all but And, Or, Not and All
	value    Value  // Term; Range: the lower end
	high     Value  // Range
	text     string // Prefix, Wildcard, Regexp, Fuzzy, Substring, Phrase, Sounds
	distance int    // Fuzzy
	sub      []Query
}

type queryOp uint8

const (
	opTerm queryOp = iota + 1
	opRange
	opPrefix
	opFuzzy
	opAnd
	opOr
	opNot
	opWildcard
	opRegexp
	opSubstring
	opPhrase
	opSounds
	opExists
	opAll
)

// Term finds documents that have the value in the field. In a text field they must have all words of the value.
func Term(field string, v Value) Query { return Query{op: opTerm, field: field, value: v} }

// Range finds documents with a value from low to high, both included, in an integer or date field. The zero Value stands for
// the end of the declared interval.
func Range(field string, low, high Value) Query {
	return Query{op: opRange, field: field, value: low, high: high}
}

// Prefix finds documents with a value (keyword field) or a word (text field) that begins with text. Of several words in a text
// field the last is the beginning of a word and the others are whole. The field needs Field.Prefix.
func Prefix(field, text string) Query { return Query{op: opPrefix, field: field, text: text} }

// Fuzzy finds documents with a value (keyword field) or a word (text field) that is at most distance edits away: a character
// more, less or changed, or two neighbours changed about. distance is 1 or 2. Of several words in a text field each must be
// near. The field needs Field.Fuzzy.
func Fuzzy(field, text string, distance int) Query {
	return Query{op: opFuzzy, field: field, text: text, distance: distance}
}

// Wildcard finds documents with a value (keyword field) or a word (text and name fields) that as a whole matches the pattern: * stands
// for any characters, also none, ? for one character, and \*, \? and \\ for the characters *, ? and \. Another backslash is refused.
// The field needs Field.Prefix.
func Wildcard(field, pattern string) Query {
	return Query{op: opWildcard, field: field, text: pattern}
}

// Regexp finds documents with a value (keyword field) or a word (text and name fields) that as a whole matches the regular expression,
// in the syntax of package regexp. The field needs Field.Prefix.
func Regexp(field, expression string) Query {
	return Query{op: opRegexp, field: field, text: expression}
}

// Substring finds documents with a value that has text somewhere in it, whatever the case and accents. The field needs
// Field.Substring.
func Substring(field, text string) Query { return Query{op: opSubstring, field: field, text: text} }

// Phrase finds documents with a value that has the words of text one after the other. The field needs Field.Phrase.
func Phrase(field, text string) Query { return Query{op: opPhrase, field: field, text: text} }

// Sounds finds documents with a name that sounds like text, in a name field. Of several words each must be found.
func Sounds(field, text string) Query { return Query{op: opSounds, field: field, text: text} }

// Exists finds documents that have a value in the field.
func Exists(field string) Query { return Query{op: opExists, field: field} }

// All finds all documents.
func All() Query { return Query{op: opAll} }

// And finds documents that all of the queries find. There must be at least one; And of one query is that query.
func And(q ...Query) Query { return join(opAnd, q) }

// Or finds documents that at least one of the queries finds. There must be at least one; Or of one query is that query.
func Or(q ...Query) Query { return join(opOr, q) }

func join(op queryOp, q []Query) Query {
	if len(q) == 1 {
		return q[0]
	}
	return Query{op: op, sub: q}
}

// Not finds documents that the query does not find. Alone it finds all others.
func Not(q Query) Query { return Query{op: opNot, sub: []Query{q}} }

// Limits of a query.
const (
	maxDepth   = 64
	maxClauses = 1 << 12

	// The numbers of profile Balanced; docs/spec/sse.md, section Profiles.
	coverLeast      = 16 // a cover has this many terms, or twice, four times as many and so on
	defaultMaxPages = 16 << 10
	defaultMaxTerms = 1 << 10
)

// plan is a query after it was checked: a tree of clauses over leaves.
type plan struct {
	schema Schema
	root   clause
	leaves []leaf
	fields []string // whose vocabularies are needed
	count  int      // clauses
}

type clause struct {
	op   queryOp // opAnd, opOr, opNot, or 0 for a leaf
	leaf int
	sub  []clause
}

// leaf is a union of terms: of those listed, or of those that match in the vocabulary of each segment.
type leaf struct {
	lookups []lookup // a cover, dummies included

	field    string // of the vocabulary, or ""
	prefix   string
	word     string // fuzzy
	distance int
}

// compile checks the query against the schema.
func compile(schema Schema, q Query) (*plan, error) {
	p := &plan{schema: schema}
	var err error
	p.root, err = p.clause(q, 1)
	return p, err
}

func (p *plan) clause(q Query, depth int) (clause, error) {
	if p.count++; p.count > maxClauses || depth > maxDepth {
		return clause{}, fmt.Errorf("sse: %w: a query has at most %d parts, nested %d deep: split it", ErrTooBroad, maxClauses, maxDepth)
	}
	switch q.op {
	case opTerm:
		terms, err := p.schema.queryTerms(q.field, q.value)
		if err != nil {
			return clause{}, err
		}
		return p.all(terms), nil
	case opRange:
		return p.between(q)
	case opPrefix:
		words, err := p.schema.prefixWords(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		last := len(words) - 1
		c := p.all(p.wordTerms(q.field, words[:last]))
		c.sub = append(c.sub, p.leaf(leaf{field: q.field, prefix: words[last]}))
		return c, nil
	case opFuzzy:
		if q.distance < 1 || q.distance > maxDistance {
			return clause{}, fmt.Errorf("sse: field %q %w: a fuzzy query allows 1 or %d edits, not %d", q.field, ErrSchema, maxDistance, q.distance)
		}
		words, err := p.schema.fuzzyWords(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		c := clause{op: opAnd}
		for _, w := range words {
			c.sub = append(c.sub, p.leaf(leaf{field: q.field, word: w, distance: q.distance}))
		}
		return c, nil
	case opAnd, opOr, opNot:
		if len(q.sub) == 0 {
			return clause{}, fmt.Errorf("sse: And and Or %w: they need at least one query", ErrSchema)
		}
		c := clause{op: q.op, sub: make([]clause, len(q.sub))}
		for i, s := range q.sub {
			var err error
			if c.sub[i], err = p.clause(s, depth+1); err != nil {
				return clause{}, err
			}
		}
		return c, nil
	case opWildcard, opRegexp, opSubstring, opPhrase, opSounds, opExists, opAll:
		return clause{}, fmt.Errorf("sse: the query %v %w: this version does not answer queries of its kind", q, ErrSchema)
	}
	return clause{}, fmt.Errorf("sse: the zero Query %w: make one with Term and the other constructors, or with ParseQuery", ErrSchema)
}

func (p *plan) leaf(l leaf) clause {
	p.leaves = append(p.leaves, l)
	if l.field != "" {
		p.fields = append(p.fields, l.field)
	}
	return clause{leaf: len(p.leaves) - 1}
}

func (p *plan) wordTerms(field string, words []string) []term {
	terms := make([]term, len(words))
	for i, w := range words {
		terms[i] = p.schema.wordTerm(field, w)
	}
	return terms
}

// all is the conjunction of terms.
func (p *plan) all(terms []term) clause {
	c := clause{op: opAnd}
	for _, t := range terms {
		c.sub = append(c.sub, p.leaf(leaf{lookups: []lookup{termLookup(t)}}))
	}
	return c
}

func (p *plan) between(q Query) (clause, error) {
	f, err := p.schema.field(q.field)
	if err != nil {
		return clause{}, err
	}
	if err := f.ranged(); err != nil {
		return clause{}, err
	}
	lo, hi := f.bounds()
	if q.value == (Value{}) {
		q.value = f.value(lo)
	}
	if q.high == (Value{}) {
		q.high = f.value(hi)
	}
	terms, err := p.schema.rangeTerms(q.field, q.value, q.high)
	if err != nil {
		return clause{}, err
	}
	lookups := make([]lookup, len(terms), coverSize(len(terms)))
	for i, t := range terms {
		lookups[i] = termLookup(t)
	}
	return p.leaf(leaf{lookups: fillCover(lookups, q.String())}), nil
}

// coverSize is the number of terms that a cover of n terms is filled up to.
func coverSize(n int) int {
	size := coverLeast
	for size < n {
		size *= 2
	}
	return size
}

// fillCover adds dummies: terms that no document has. They depend on the query only, so that asking again reads the same pages and
// does not tell them from the others.
func fillCover(lookups []lookup, query string) []lookup {
	for n := uint32(0); len(lookups) < coverSize(len(lookups)); n++ {
		lookups = append(lookups, lookup{domainDummy, string(binary.BigEndian.AppendUint32(nil, n)) + query})
	}
	return lookups
}

// expand finds the words of a leaf in a vocabulary.
func (ix *Index) expand(l leaf, v *vocabulary, limit int) ([]string, error) {
	if v == nil {
		return nil, nil // the segment has no term in this field
	}
	if l.prefix != "" {
		return v.prefixed(l.prefix, limit)
	}
	dfa, err := ix.automata.build(l.word, l.distance)
	if err != nil {
		return nil, err
	}
	return v.match(dfa, nil, nil, limit)
}
