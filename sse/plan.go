package sse

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/blevesearch/vellum"
)

// Limits of a query.
const (
	maxDepth   = 64
	maxClauses = 1 << 12

	defaultMaxPages = 16 << 10
	defaultMaxTerms = 1 << 10
)

// plan is a query after it was checked against a schema: a tree of clauses over leaves, and what is looked up for them.
type plan struct {
	schema   Schema
	profile  Profile
	automata *automata
	root     clause
	leaves   []leaf
	lookups  []lookup // distinct: those that do not depend on the segment
	index    map[lookup]int
	fields   []string // whose vocabularies are needed
	count    int      // clauses

	scored []scoredTerm
	facets []int  // leaves, in the order of SearchOptions.Facets
	sorted uint16 // number of the field of SearchOptions.Sort
}

// scoredTerm is a term that a document scores by, and the numbers of its lookups.
type scoredTerm struct {
	term          term
	rows, impacts int
}

type clause struct {
	op   queryOp // opAnd, opOr, opNot, opAll, or 0 for a leaf
	leaf int
	sub  []clause
}

// leaf is a set of rows of a segment that follows from lists.
type leaf struct {
	kind    leafKind
	lookups []int // numbers in plan.lookups; of a union, dummies included

	field string // of leafWords, leafSubstring and leafExists

	// leafWords: the words that begin with the prefix and that the automaton accepts, where there is one. seed is what dummies depend on.
	prefix    string
	automaton vellum.Automaton
	seed      string

	// leafPhrase: lookups of rows are in lookups.
	places    []uint32 // where each word stands
	positions []int    // lookups of their positions

	found func(Value) bool // leafSubstring
}

type leafKind uint8

const (
	leafTerms     leafKind = iota // documents with any of the terms
	leafWords                     // documents with any of the words of a vocabulary
	leafPhrase                    // documents with words in a row
	leafSubstring                 // documents with all of the terms and a stored value in which a text is found
	leafExists                    // documents with the one term, which segments of format 1 do not have
)

// compile checks the query and the options against the schema.
func compile(schema Schema, profile Profile, automata *automata, q Query, o SearchOptions) (*plan, error) {
	p := &plan{schema: schema, profile: profile, automata: automata, index: make(map[lookup]int)}
	var err error
	if p.root, err = p.clause(q, 1, o.Rank); err != nil {
		return nil, err
	}
	for i, s := range p.scored {
		p.scored[i].impacts = p.lookup(impactsLookup(s.term))
	}
	for _, name := range o.Facets {
		f, err := schema.field(name)
		if err != nil {
			return nil, err
		}
		if !f.Facet {
			return nil, f.refuse("its values cannot be counted: add a keyword field with Facet")
		}
		c := p.words(leaf{field: name, seed: "facet\x00" + name})
		p.facets = append(p.facets, c.leaf)
	}
	if o.Sort != "" {
		f, err := schema.field(o.Sort)
		if err != nil {
			return nil, err
		}
		if !f.Sort {
			return nil, f.refuse("hits cannot be sorted by it: add a field with Sort")
		}
		p.sorted, _ = schema.number(o.Sort)
	}
	return p, nil
}

// clause compiles a part of the query. score says that its terms give documents their score: they do unless they stand under Not.
func (p *plan) clause(q Query, depth int, score bool) (clause, error) {
	if p.count++; p.count > maxClauses || depth > maxDepth {
		return clause{}, fmt.Errorf("sse: %w: a query has at most %d parts, nested %d deep: split it", ErrTooBroad, maxClauses, maxDepth)
	}
	switch q.op {
	case opTerm:
		terms, err := p.schema.queryTerms(q.field, q.value)
		if err != nil {
			return clause{}, err
		}
		c := p.all(terms)
		if score {
			p.score(terms)
		}
		return c, nil
	case opRange:
		return p.between(q)
	case opPrefix:
		words, err := p.schema.prefixWords(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		last := len(words) - 1
		c := p.all(p.wordTerms(q.field, words[:last]))
		c.sub = append(c.sub, p.words(leaf{field: q.field, prefix: words[last], seed: "prefix\x00" + q.field + "\x00" + words[last]}))
		return c, nil
	case opFuzzy:
		return p.near(q)
	case opWildcard:
		w, err := p.schema.wildcard(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		if w.phrase != nil {
			return p.phrase(w.phrase), nil
		}
		return p.matching(q, w.prefix, w.expression)
	case opRegexp:
		if err := p.schema.checkExpression(q.field, q.text); err != nil {
			return clause{}, err
		}
		return p.matching(q, "", q.text)
	case opPhrase:
		words, err := p.schema.phraseWords(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		return p.phrase(words), nil
	case opSubstring:
		terms, found, err := p.schema.substringTerms(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		return p.leaf(leaf{kind: leafSubstring, field: q.field, lookups: p.termLookups(terms), found: found}), nil
	case opSounds:
		sets, err := p.schema.soundTerms(q.field, q.text)
		if err != nil {
			return clause{}, err
		}
		c := clause{op: opAnd}
		for i, set := range sets {
			c.sub = append(c.sub, p.union(set, p.profile.cover(len(set)), fmt.Sprint("sounds\x00", i, "\x00", q)))
		}
		return c, nil
	case opExists:
		t, err := p.schema.existsTerm(q.field)
		if err != nil {
			return clause{}, err
		}
		return p.leaf(leaf{kind: leafExists, field: q.field, lookups: p.termLookups([]term{t})}), nil
	case opAll:
		return clause{op: opAll}, nil
	case opAnd, opOr, opNot:
		if len(q.sub) == 0 {
			return clause{}, fmt.Errorf("sse: And and Or %w: they need at least one query", ErrSchema)
		}
		c := clause{op: q.op, sub: make([]clause, len(q.sub))}
		for i, s := range q.sub {
			var err error
			if c.sub[i], err = p.clause(s, depth+1, score && q.op != opNot); err != nil {
				return clause{}, err
			}
		}
		return c, nil
	}
	return clause{}, fmt.Errorf("sse: the zero Query %w: make one with Term and the other constructors, or with ParseQuery", ErrSchema)
}

func (p *plan) leaf(l leaf) clause {
	p.leaves = append(p.leaves, l)
	return clause{leaf: len(p.leaves) - 1}
}

// words is a leaf over the vocabulary of a field.
func (p *plan) words(l leaf) clause {
	l.kind = leafWords
	if !slices.Contains(p.fields, l.field) {
		p.fields = append(p.fields, l.field)
	}
	return p.leaf(l)
}

// lookup is the number of a lookup in p.lookups.
func (p *plan) lookup(l lookup) int {
	n, ok := p.index[l]
	if !ok {
		n = len(p.lookups)
		p.index[l] = n
		p.lookups = append(p.lookups, l)
	}
	return n
}

func (p *plan) termLookups(terms []term) []int {
	out := make([]int, len(terms))
	for i, t := range terms {
		out[i] = p.lookup(termLookup(t))
	}
	return out
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
	for i := range terms {
		c.sub = append(c.sub, p.leaf(leaf{lookups: p.termLookups(terms[i : i+1])}))
	}
	return c
}

// score notes the terms that have impacts.
func (p *plan) score(terms []term) {
	for _, t := range terms {
		if impacts, _ := p.schema.aux(t); impacts && !slices.ContainsFunc(p.scored, func(s scoredTerm) bool { return s.term == t }) {
			p.scored = append(p.scored, scoredTerm{term: t, rows: p.lookup(termLookup(t))})
		}
	}
}

// union is the disjunction of terms, filled up to a number of lookups.
func (p *plan) union(terms []term, size int, seed string) clause {
	l := leaf{lookups: p.termLookups(terms)}
	for n := range size - len(terms) {
		l.lookups = append(l.lookups, p.lookup(dummyLookup(n, seed)))
	}
	return p.leaf(l)
}

// dummyLookup is a lookup that no segment answers. It depends on the query only, so that asking again reads the same pages and does not
// tell it from the others.
func dummyLookup(n int, seed string) lookup {
	return lookup{domainDummy, string(binary.BigEndian.AppendUint32(nil, uint32(n))) + seed}
}

func (p *plan) between(q Query) (clause, error) {
	terms, err := p.schema.rangeTerms(q.field, q.value, q.high)
	if err != nil {
		return clause{}, err
	}
	size := p.profile.cover(len(terms))
	if profiles[p.profile].wideRanges {
		if size, err = p.schema.coverMax(q.field); err != nil {
			return clause{}, err
		}
	}
	return p.union(terms, size, q.String()), nil
}

func (p *plan) near(q Query) (clause, error) {
	f, err := p.schema.field(q.field)
	if err != nil {
		return clause{}, err
	}
	if q.distance < 1 || q.distance > maxDistance {
		return clause{}, f.refuse("a fuzzy query allows 1 or %d edits, not %d", maxDistance, q.distance)
	}
	words, err := p.schema.fuzzyWords(q.field, q.text)
	if err != nil {
		return clause{}, err
	}
	c := clause{op: opAnd}
	for _, w := range words {
		a, err := p.automata.build(w, q.distance)
		if err != nil {
			return clause{}, err
		}
		c.sub = append(c.sub, p.words(leaf{field: q.field, automaton: a, seed: fmt.Sprint("fuzzy\x00", q.distance, q.field, "\x00", w)}))
	}
	return c, nil
}

// matching finds the words that an expression matches as a whole; they begin with the prefix.
func (p *plan) matching(q Query, prefix, text string) (clause, error) {
	e, err := newExpression(text)
	if err != nil {
		return clause{}, fmt.Errorf("sse: field %q: the query %v: %w", q.field, q, err)
	}
	return p.words(leaf{field: q.field, prefix: prefix, automaton: e, seed: "expression\x00" + q.field + "\x00" + text}), nil
}

// phrase finds words in a row. One word needs no positions.
func (p *plan) phrase(words []phraseWord) clause {
	if len(words) == 1 {
		return p.all([]term{words[0].term})
	}
	l := leaf{kind: leafPhrase}
	for _, w := range words {
		l.lookups = append(l.lookups, p.lookup(termLookup(w.term)))
		l.positions = append(l.positions, p.lookup(positionsLookup(w.term)))
		l.places = append(l.places, w.at)
	}
	return p.leaf(l)
}
