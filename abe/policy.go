package abe

import (
	"iter"
	"strconv"
	"sync"
)

// maxUses bounds tau: how often one attribute may be asked for, after expansion.
const maxUses = 16

// Policy says which sets of attributes open an object: a formula of comparisons and flags with and, or, not and "k of". It is immutable
// and may be shared between goroutines. Get one from ParsePolicy; the zero Policy is of no use: what seals refuses it, and
// Explain refuses access.
type Policy struct {
	exprs      []expr
	predicates []predicate // in the order of the text
	values     []string    // of all predicates, numbers and dates in their one form
	root       int16
	text       string
	version1   func() *formula // of a plain policy, computed once
}

// expr is a node of a policy: a leaf, or a gate that k of its kids must satisfy. Gates have two kids or more. No kid of an or gate is an or
// gate, no kid of an and gate an and gate, unless it is negated: Policy.gate sees to it. Numbers are of 16 bits and kids are a
// linked list, so that a policy from a header costs little memory before anything in the header was checked.
type expr struct {
	k, n        int16 // k of n kids; 0 for a leaf
	predicate   int16 // of a leaf
	first, last int16 // kids of a gate, linked by next
	next        int16
	not         bool // the opposite is asked for
}

func (e *expr) isLeaf() bool { return e.n == 0 }
func (e *expr) isOr() bool   { return e.k == 1 }
func (e *expr) isAnd() bool  { return e.k > 1 && e.k == e.n }

// kids yields the kids of e in their order.
func (p *Policy) kids(e *expr) iter.Seq[int16] {
	return func(yield func(int16) bool) {
		for i, at := int16(0), e.first; i < e.n; i, at = i+1, p.exprs[at].next {
			if !yield(at) {
				return
			}
		}
	}
}

func (p *Policy) valuesOf(q *predicate) []string { return p.values[q.from:q.to] }

func (p *Policy) leaf(q predicate) int16 {
	p.predicates = append(p.predicates, q)
	p.exprs = append(p.exprs, expr{predicate: int16(len(p.predicates) - 1)})
	return int16(len(p.exprs) - 1)
}

// gate makes the node that asks for k of n kids, in its one normal form: 1 of n is or, n of n is and, a gate with one kid
// is that kid, and a kid of the same operator gives its own kids. The order stays.
func (p *Policy) gate(k int, first int16, n int) int16 {
	if n == 1 {
		return first
	}
	g := expr{k: int16(k), n: int16(n), first: first}
	same := func(e *expr) bool { return !e.not && (k == 1 && e.isOr() || k == n && e.isAnd()) }
	at, before := first, int16(-1)
	for range n {
		e, next, last := &p.exprs[at], p.exprs[at].next, at
		if same(e) {
			g.n += e.n - 1
			at, last = e.first, e.last
		}
		if before < 0 {
			g.first = at
		} else {
			p.exprs[before].next = at
		}
		before, at = last, next
	}
	g.last = before
	if k == n {
		g.k = g.n
	}
	p.exprs = append(p.exprs, g)
	return int16(len(p.exprs) - 1)
}

// finish ends what a parser began with newParser.
func (p *Policy) finish(root int16, text string) {
	p.root = root
	p.mark(root, false)
	canonical := p.append(make([]byte, 0, maxText), root)
	if p.text = text; string(canonical) != text {
		p.text = string(canonical)
	}
	p.version1 = sync.OnceValue(func() *formula {
		f, err := p.expand(nil)
		if err != nil {
			panic("abe: this policy needs a vocabulary: " + err.Error()) // callers ask plain first
		}
		return f
	})
}

// mark tells the predicates below e whether they are negated.
func (p *Policy) mark(e int16, negated bool) {
	x := &p.exprs[e]
	negated = negated != x.not
	if x.isLeaf() {
		p.predicates[x.predicate].negated = negated
	}
	for kid := range p.kids(x) {
		p.mark(kid, negated)
	}
}

// tree returns p below e with the nots moved down to the leaves: not (k of n) is n-k+1 of the negated n. leaf is asked once for each
// predicate, in the order of the text.
func (p *Policy) tree(e int16, negated bool, leaf func(predicate int) *node) *node {
	x := &p.exprs[e]
	negated = negated != x.not
	if x.isLeaf() {
		return leaf(int(x.predicate))
	}
	kids := make([]*node, 0, x.n)
	for kid := range p.kids(x) {
		kids = append(kids, p.tree(kid, negated, leaf))
	}
	if negated {
		return gate(int(x.n-x.k+1), kids)
	}
	return gate(int(x.k), kids)
}

// plain reports whether version 1 of the language knows everything in p: flags, name = text, and, or and "k of". Such a policy
// needs no vocabulary.
func (p *Policy) plain() bool {
	for i := range p.predicates {
		q := &p.predicates[i]
		if q.negated || q.op > opEqual || q.kind != Text {
			return false
		}
	}
	for i := range p.exprs {
		if p.exprs[i].not { // twice above the same leaf
			return false
		}
	}
	return true
}

// formula returns what version 1 seals under a plain policy: a leaf for each attribute.
func (p *Policy) formula() *formula { return p.version1() }

// String is the canonical text: ParsePolicy reads it back as an equal policy, and policies with the same canonical text
// are the same. It is the text that is hashed and sealed. The order of the attributes is the author's.
//
// A nil or zero Policy has no text.
func (p *Policy) String() string {
	if p == nil {
		return ""
	}
	return p.text
}

// MarshalText returns String, so that a policy is a string in JSON. A policy that ParsePolicy did not make is an error.
func (p *Policy) MarshalText() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return []byte(p.text), nil
}

// UnmarshalText sets p to what ParsePolicy reads in text; the error is a *SyntaxError. It is for a new Policy that nobody else
// has yet.
func (p *Policy) UnmarshalText(text []byte) error {
	parsed, err := ParsePolicy(string(text))
	if err != nil {
		return err
	}
	*p = *parsed
	return nil
}

// append appends the canonical text of e. Only an and or or directly inside the other one, or under a not, has parentheses of its own.
func (p *Policy) append(b []byte, e int16) []byte {
	x := &p.exprs[e]
	if x.not {
		b = append(b, "not "...)
		if x.isOr() || x.isAnd() {
			return append(p.appendGate(append(b, '('), x), ')')
		}
	}
	if x.isLeaf() {
		return p.appendPredicate(b, &p.predicates[x.predicate])
	}
	return p.appendGate(b, x)
}

func (p *Policy) appendGate(b []byte, x *expr) []byte {
	switch {
	case x.isOr():
		return p.appendJoined(b, " or ", x.first, int(x.n))
	case x.isAnd():
		return p.appendJoined(b, " and ", x.first, int(x.n))
	}
	b = strconv.AppendInt(b, int64(x.k), 10)
	b = append(b, " of ("...)
	i := 0
	for kid := range p.kids(x) {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = p.append(b, kid)
		i++
	}
	return append(b, ')')
}

// appendJoined appends n nodes, from first on, as kids of an and or an or.
func (p *Policy) appendJoined(b []byte, operator string, first int16, n int) []byte {
	for i, at := 0, first; i < n; i, at = i+1, p.exprs[at].next {
		if i > 0 {
			b = append(b, operator...)
		}
		if x := &p.exprs[at]; !x.not && (x.isOr() || x.isAnd()) {
			b = append(p.append(append(b, '('), at), ')')
		} else {
			b = p.append(b, at)
		}
	}
	return b
}
