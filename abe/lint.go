package abe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Lint returns warnings about p, a line each: what is allowed and still likely a mistake. They are: what every holder of a name satisfies, what
// nobody can satisfy, names that v does not declare while it declares others, values outside of a declared range, and gates that ask for the same
// twice, such as 2 of (a, a, b), which a alone satisfies. A policy that Check refuses has one warning, the reason.
//
// What is warned of is so: no warning is wrong about what a key can satisfy. Not everything that is so is found: values of one name
// are held against each other across and and or, not across "k of".
func (v *Vocabulary) Lint(p *Policy) []string {
	if err := v.Check(p); err != nil {
		return []string{err.Error()}
	}
	l := &linter{p: p, v: v, said: map[string]bool{}}
	for i := range p.predicates {
		l.texts = append(l.texts, p.literalText(&p.predicates[i]))
		l.leaf(&p.predicates[i])
	}
	l.node(p.tree(p.root, false, func(i int) *node { return &node{leaf: i} }))
	return l.warnings
}

type linter struct {
	p        *Policy
	v        *Vocabulary
	texts    []string // of the leaves
	warnings []string
	said     map[string]bool
}

func (l *linter) warn(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !l.said[s] {
		l.said[s] = true
		l.warnings = append(l.warnings, s)
	}
}

// leaf warns of a leaf by itself.
func (l *linter) leaf(q *predicate) {
	d := l.v.find(q.name)
	if d.is == undeclared && l.v != nil && len(l.v.declarations) > 0 {
		l.warn("%s is not in the vocabulary: if it was written wrong, no key has it", q.name)
	}
	if kind := d.is.ordinal(); kind != Text {
		for _, value := range l.p.valuesOf(q) {
			if x, _ := parseOrdinal(kind, value); x < d.lo || x > d.hi {
				l.warn("%s: %s is outside of the range that is declared, %v", abbreviate(l.p.literalText(q)), value, d)
			}
		}
	}
	if asked := l.ask(q); len(asked) == 1 && asked[0].everything() {
		l.warn("every key with %s that is issued under this vocabulary satisfies %s", q.name, abbreviate(l.p.literalText(q)))
	}
}

// variable is something of which a key has at most one value: a number, a date, the place among the values of a name declared one; and for each value of a
// name declared many, whether it is held, 1, or not, 0.
type variable struct {
	name, value string
	lo, hi      int64
}

func (x variable) compare(y variable) int {
	return cmp.Or(strings.Compare(x.name, y.name), strings.Compare(x.value, y.value))
}

// bound is what a part of a policy asks of one variable: one of the values allowed, ascending and with gaps.
type bound struct {
	variable
	allowed []span
}

func (b bound) everything() bool {
	return len(b.allowed) == 1 && b.allowed[0] == span{b.lo, b.hi}
}

// ask returns the bounds that a leaf sets. All of them have to be kept.
func (l *linter) ask(q *predicate) []bound {
	d, values := l.v.find(q.name), l.p.valuesOf(q)
	switch d.is {
	case declaredNumber, declaredDate:
		return []bound{{variable{name: q.name, lo: d.lo, hi: d.hi}, l.p.spans(nil, q, d.lo, d.hi)}}
	case declaredOne:
		b := bound{variable: variable{name: q.name, lo: 0, hi: int64(len(d.values) - 1)}}
		for i, value := range d.values {
			if slices.Contains(values, value) != q.negative() {
				b.allowed = unite(b.allowed, []span{{int64(i), int64(i)}})
			}
		}
		return []bound{b}
	case declaredMany:
		var all []bound
		if q.negative() || len(values) == 1 {
			held := int64(1)
			if q.negative() {
				held = 0
			}
			for i, value := range values {
				if slices.Contains(values[:i], value) {
					continue
				}
				all = append(all, bound{variable{q.name, value, 0, 1}, []span{{held, held}}})
			}
		}
		return all
	}
	return nil
}

// node warns of what is below n. It returns the bounds that who satisfies n keeps, possible is false if nobody can.
func (l *linter) node(n *node) (bounds []bound, possible bool) {
	if n.isLeaf() {
		return l.ask(&l.p.predicates[n.leaf]), true
	}
	l.repeated(n)
	var all []bound // of the kids that are possible
	count := 0
	for _, kid := range n.kids {
		if b, ok := l.node(kid); ok {
			count++
			all = append(all, b...)
		}
	}
	slices.SortStableFunc(all, func(a, b bound) int { return a.compare(b.variable) })
	switch {
	case count < n.k:
		if !n.isAnd() && !n.isOr() {
			l.warn("nobody can satisfy %s: too few of its parts are possible", l.show(n))
		}
		return nil, false
	case n.isAnd():
		for i, b := range all {
			if last := len(bounds) - 1; i > 0 && bounds[last].variable == b.variable {
				bounds[last].allowed = intersect(bounds[last].allowed, b.allowed)
			} else {
				bounds = append(bounds, b)
			}
			if len(bounds[len(bounds)-1].allowed) == 0 {
				l.warn("nobody can satisfy %s: together its parts shut out every value of %s", l.show(n), b.name)
				return nil, false
			}
		}
		return bounds, true
	case n.isOr():
		l.exhausted(n)
		for from := 0; from < len(all); {
			b, i := all[from], from+1
			for ; i < len(all) && all[i].variable == b.variable; i++ {
				b.allowed = unite(b.allowed, all[i].allowed)
			}
			if i-from == count { // each kid has at most one bound for a variable: all of them have one
				bounds = append(bounds, b)
			}
			from = i
		}
		return bounds, true
	}
	return nil, true // which of the kids of a list hold is open
}

// exhausted warns of an or whose leaves together allow every value of a name.
func (l *linter) exhausted(n *node) {
	var all []bound
	for _, kid := range n.kids {
		if kid.isLeaf() {
			if b := l.ask(&l.p.predicates[kid.leaf]); len(b) == 1 {
				all = append(all, b[0])
			}
		}
	}
	slices.SortStableFunc(all, func(a, b bound) int { return a.compare(b.variable) })
	for i := 1; i < len(all); i++ {
		if all[i].variable == all[i-1].variable {
			all[i].allowed = unite(all[i-1].allowed, all[i].allowed)
			if all[i].everything() && !all[i-1].everything() {
				l.warn("every key with %s that is issued under this vocabulary satisfies %s", all[i].name, l.show(n))
			}
		}
	}
}

// repeated warns of a gate that has a part twice.
func (l *linter) repeated(n *node) {
	seen := map[string]bool{}
	for _, kid := range n.kids {
		text := l.show(kid)
		if seen[text] {
			l.warn("%s is asked for more than once in %s: who has it, has it each time", abbreviate(text), abbreviate(l.show(n)))
		}
		seen[text] = true
	}
}

// show is the text of a part, with its nots moved down to the leaves.
func (l *linter) show(n *node) string { return string(n.append(nil, l.texts)) }

// unite returns the values in a or in b, ascending and with gaps.
func unite(a, b []span) []span {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	joined := all[:0]
	for _, s := range all {
		if n := len(joined); n > 0 && (joined[n-1].to >= s.from || joined[n-1].to+1 == s.from) {
			joined[n-1].to = max(joined[n-1].to, s.to)
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// intersect returns the values in a and in b.
func intersect(a, b []span) []span {
	var both []span
	for len(a) > 0 && len(b) > 0 {
		if s := (span{max(a[0].from, b[0].from), min(a[0].to, b[0].to)}); s.from <= s.to {
			both = append(both, s)
		}
		if a[0].to < b[0].to {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}
