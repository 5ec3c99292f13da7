package abe

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// maxExpanded is the largest number of leaves after expansion.
const maxExpanded = 1024

// expand returns the formula of p under v: nots moved down to the leaves, and each leaf written as atoms.
func (p *Policy) expand(v *Vocabulary) (*formula, error) {
	leaves, _, err := p.size(v)
	if err != nil {
		return nil, err
	}
	atoms := make([]atom, 0, leaves)
	nodes := make([]node, leaves)
	for i := range nodes {
		nodes[i].leaf = i
	}
	root := p.tree(p.root, false, func(i int) *node {
		first := len(atoms)
		all, _ := p.atoms(v, &p.predicates[i], func(encoding []byte) { atoms = append(atoms, atom(encoding)) })
		n := len(atoms) - first
		if n == 1 {
			return &nodes[first]
		}
		kids := make([]*node, n)
		for i := range kids {
			kids[i] = &nodes[first+i]
		}
		if all {
			return gate(n, kids)
		}
		return gate(1, kids)
	})
	return newFormula(root, atoms), nil
}

// size returns the number of leaves of the formula and its tau, and the error of expand if there is one. It needs at most 12 KiB of memory, so
// that a decoder can hold the numbers against the bytes that it has before it expands.
func (p *Policy) size(v *Vocabulary) (leaves, tau int, err error) {
	for i := range p.predicates {
		q := &p.predicates[i]
		_, err := p.literals(v.find(q.name), q, func(literal) bool {
			leaves++
			return leaves <= maxExpanded
		})
		if err != nil {
			return 0, 0, err
		}
	}
	if leaves > maxExpanded {
		return 0, 0, fmt.Errorf("abe: the policy has more than %d leaves after its comparisons and negations are expanded: ask for fewer or wider ranges, or for fewer values", maxExpanded)
	}
	if tau = p.countUses(v, leaves); tau > maxUses {
		return 0, 0, fmt.Errorf("abe: the policy asks for one attribute %d times after its comparisons and negations are expanded, the limit is %d: factor it out, (a and b) or (a and c) is a and (b or c)", tau, maxUses)
	}
	return leaves, tau, nil
}

// countUses returns how often the commonest atom is asked for. It numbers the atoms of each name, in little memory.
func (p *Policy) countUses(v *Vocabulary, leaves int) (tau int) {
	byName := make([]int16, len(p.predicates))
	for i := range byName {
		byName[i] = int16(i)
	}
	slices.SortFunc(byName, func(i, j int16) int { return strings.Compare(p.predicates[i].name, p.predicates[j].name) })
	numbers := make([]uint64, 0, leaves) // of the atoms of one name that is a number, a date or an enumeration
	texts := make([]int16, 0, maxLeaves) // of the texts of another: where they are in p.values
	flags := 0
	for i, at := range byName {
		q := &p.predicates[at]
		switch d := v.find(q.name); {
		case q.op == opFlag:
			flags++
		case d.is == undeclared || d.is == declaredText:
			for at := q.from; at < q.to; at++ {
				texts = append(texts, at)
			}
		default:
			p.literals(d, q, func(l literal) bool {
				numbers = append(numbers, l.number(d))
				return true
			})
		}
		if i+1 < len(byName) && p.predicates[byName[i+1]].name == q.name {
			continue
		}
		slices.Sort(numbers)
		slices.SortFunc(texts, func(a, b int16) int { return strings.Compare(p.values[a], p.values[b]) })
		tau = max(tau, flags, longestRun(numbers, func(a, b uint64) bool { return a == b }),
			longestRun(texts, func(a, b int16) bool { return p.values[a] == p.values[b] }))
		numbers, texts, flags = numbers[:0], texts[:0], 0
	}
	return tau
}

// longestRun returns how many equal neighbours s has at most.
func longestRun[E any](s []E, equal func(a, b E) bool) (most int) {
	for from, i := 0, 0; i < len(s); i++ {
		if !equal(s[from], s[i]) {
			from = i
		}
		most = max(most, i-from+1)
	}
	return most
}

// literal is an atom of one name, not encoded yet.
type literal struct {
	kind  byte     // type of the atom
	value string   // text and not
	in    interval // number and date
}

// append appends the atom.
func (l literal) append(b []byte, name string, d *declaration) []byte {
	switch l.kind {
	case atomFlag:
		return appendFlagAtom(b, name)
	case atomText, atomNot:
		return appendValueAtom(b, l.kind, name, l.value)
	}
	return appendIntervalAtom(b, l.kind, name, d.lo, d.hi, l.in)
}

// number tells the literals of a number, a date or an enumeration apart.
func (l literal) number(d *declaration) uint64 {
	if l.kind == atomText || l.kind == atomNot {
		at, _ := slices.BinarySearch(d.values, l.value)
		return uint64(at)<<1 | uint64(l.kind&1)
	}
	return 1<<l.in.level | l.in.prefix // as nodes of a tree are numbered from 1; the level is at most 63
}

// atoms gives the encoded atoms that q expands to. A reader needs all of them, or else one. encoding is valid for one call.
func (p *Policy) atoms(v *Vocabulary, q *predicate, emit func(encoding []byte)) (all bool, err error) {
	d := v.find(q.name)
	b := make([]byte, 0, maxItem)
	return p.literals(d, q, func(l literal) bool {
		emit(l.append(b, q.name, d))
		return true
	})
}

// literals gives the literals that q expands to, until emit says false. A reader needs all of them, or else one.
func (p *Policy) literals(d *declaration, q *predicate, emit func(literal) bool) (all bool, err error) {
	if err := p.meaningful(d, q); err != nil {
		return false, err
	}
	values := p.valuesOf(q)
	switch {
	case q.kind != Text:
		return false, p.intervals(d, q, emit)
	case q.op == opFlag:
		emit(literal{kind: atomFlag})
	case !q.negative():
		for _, value := range values {
			if !emit(literal{kind: atomText, value: value}) {
				break
			}
		}
	case d.is == declaredMany:
		for _, value := range values {
			if !emit(literal{kind: atomNot, value: value}) {
				break
			}
		}
		return true, nil
	default:
		none := true
		for _, value := range d.values {
			if !slices.Contains(values, value) {
				none = false
				if !emit(literal{kind: atomText, value: value}) {
					break
				}
			}
		}
		if none {
			return false, p.unsatisfiable(d, q)
		}
	}
	return false, nil
}

// predicateText is the text of q as it is asked for, in an error.
func (p *Policy) predicateText(q *predicate) string {
	b := []byte(nil)
	if q.negated {
		b = append(b, "not "...)
	}
	return abbreviate(string(p.appendPredicate(b, q)))
}

func (p *Policy) unsatisfiable(d *declaration, q *predicate) error {
	return fmt.Errorf("abe: %s is never satisfied: %s is declared %s", p.predicateText(q), q.name, abbreviate(d.String()))
}

// meaningful says why q cannot be asked for under d, and what to do.
func (p *Policy) meaningful(d *declaration, q *predicate) error {
	refuse := func(fix string) error {
		return fmt.Errorf("abe: %s cannot be asked for: %s", p.predicateText(q), fix)
	}
	switch {
	case q.op == opFlag && q.negated:
		return refuse("that a key holds no flag cannot be seen in the key; declare " + q.name + " with values, such as " + q.name + ": one of yes, no, and ask for one of them")
	case q.kind != Text && d.is == undeclared:
		return refuse(q.name + " is not declared; " + declareHint(q.kind, q.name) + `, or ask for a text in double quotes`)
	case q.kind != d.is.ordinal():
		return refuse(q.name + " is declared " + abbreviate(d.String()) + "; compare it with a " + kindTexts[d.is.ordinal()])
	case q.kind != Text:
		return nil
	case q.negative() && (d.is == undeclared || d.is == declaredText):
		return refuse("that a key lacks a value of " + q.name + " cannot be seen in the key; " + declareHint(Text, q.name))
	case q.op != opFlag && d.is == declaredFlag:
		return refuse(q.name + " is declared a flag; ask for it without a value")
	case q.op == opFlag && d.is != declaredFlag && d.is != undeclared:
		return refuse(q.name + " is declared " + abbreviate(d.String()) + "; ask for a value")
	case d.is == declaredOne || d.is == declaredMany:
		for _, value := range p.valuesOf(q) {
			if !d.has(value) {
				return refuse(fmt.Sprintf("the vocabulary does not have the value %s; it has %s", abbreviate(string(appendLiteral(nil, Text, value))), abbreviate(d.String())))
			}
		}
	}
	return nil
}

// span is a range of numbers or dates, both ends included.
type span struct{ from, to int64 }

// spans returns the values from lo to hi that q asks for, ascending, with a gap between any two spans. It uses to if that is long enough.
func (p *Policy) spans(to []span, q *predicate, lo, hi int64) []span {
	values := p.valuesOf(q)
	x := func(i int) int64 {
		x, _ := parseOrdinal(q.kind, values[i])
		return x
	}
	asked := to[:0]
	switch q.op {
	case opLess:
		if x(0) > math.MinInt64 {
			asked = append(asked, span{math.MinInt64, x(0) - 1})
		}
	case opAtMost:
		asked = append(asked, span{math.MinInt64, x(0)})
	case opMore:
		if x(0) < math.MaxInt64 {
			asked = append(asked, span{x(0) + 1, math.MaxInt64})
		}
	case opAtLeast:
		asked = append(asked, span{x(0), math.MaxInt64})
	case opRange:
		asked = append(asked, span{x(0), x(1)})
	default:
		for i := range values {
			asked = append(asked, span{x(i), x(i)})
		}
		slices.SortFunc(asked, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	}
	kept := asked[:0] // within lo..hi, neighbours joined
	for _, s := range asked {
		s.from, s.to = max(s.from, lo), min(s.to, hi)
		if s.from > s.to {
			continue
		}
		if n := len(kept); n > 0 && (kept[n-1].to >= s.from || kept[n-1].to+1 == s.from) {
			kept[n-1].to = max(kept[n-1].to, s.to)
		} else {
			kept = append(kept, s)
		}
	}
	if !q.negative() {
		return kept
	}
	// The gaps between them, each written over the span that was read before it.
	gaps, from := kept[:0], lo
	for _, s := range kept {
		if s.from > from {
			gaps = append(gaps, span{from, s.from - 1})
		}
		if s.to == hi {
			return gaps
		}
		from = s.to + 1
	}
	return append(gaps, span{from, hi})
}

// intervals gives the fewest dyadic intervals of the declared range that hold exactly the values that q asks for, ascending.
func (p *Policy) intervals(d *declaration, q *predicate, emit func(literal) bool) error {
	var few [2]span
	spans := p.spans(few[:], q, d.lo, d.hi)
	if len(spans) == 0 {
		return p.unsatisfiable(d, q)
	}
	width := bitLen(d.lo, d.hi)
	for _, s := range spans {
		from, to := uint64(s.from)-uint64(d.lo), uint64(s.to)-uint64(d.lo)
		for {
			// The largest interval that begins at from and does not go beyond to; beyond the range it may, where no key holds a value.
			size := min(bits.TrailingZeros64(from), width)
			for from|lowBits(size) > to && s.to < d.hi {
				size--
			}
			if !emit(literal{kind: d.is.atomType(), in: interval{uint8(width - size), from >> size}}) {
				return nil
			}
			if from |= lowBits(size); from >= to {
				break
			}
			from++
		}
	}
	return nil
}

// lowBits has the n lowest bits set, n from 0 to 63.
func lowBits(n int) uint64 { return 1<<n - 1 }

// declarations returns the part of v that the expansion of p needs: expand gives the same under it. Of a name declared many, these are only the
// values that p names.
func (p *Policy) declarations(v *Vocabulary) *Vocabulary {
	part := new(Vocabulary)
	if v != nil {
		for i := range v.declarations {
			d := v.declarations[i]
			if !p.needs(&d) {
				continue
			}
			if d.is == declaredMany {
				d.values = slices.DeleteFunc(slices.Clone(d.values), func(value string) bool { return !p.mentions(d.name, value) })
			}
			part.declarations = append(part.declarations, d)
		}
	}
	part.print()
	return part
}

// needs reports whether some predicate of p cannot be expanded without d.
func (p *Policy) needs(d *declaration) bool {
	return slices.ContainsFunc(p.predicates, func(q predicate) bool {
		return q.name == d.name && (q.kind != Text || q.negative())
	})
}

// mentions reports whether p names a value of a name.
func (p *Policy) mentions(name, value string) bool {
	return slices.ContainsFunc(p.predicates, func(q predicate) bool {
		return q.name == name && slices.Contains(p.valuesOf(&q), value)
	})
}

// decodeDeclarations reads what declarations returned for p, in its one form and nothing else.
func decodeDeclarations(p *Policy, text string) (*Vocabulary, error) {
	if len(text) > maxVocabulary {
		return nil, fmt.Errorf("%d bytes of declarations are over the limit of %d", len(text), maxVocabulary)
	}
	v, err := readDeclarations(text)
	if err != nil {
		return nil, err
	}
	if !v.isCanonical(text) {
		return nil, errors.New("the declarations are not in their canonical form")
	}
	for i := range v.declarations {
		d := &v.declarations[i]
		if !p.needs(d) || d.is == declaredMany && slices.ContainsFunc(d.values, func(value string) bool { return !p.mentions(d.name, value) }) {
			return nil, fmt.Errorf("the declarations hold more of %s than the policy needs", d.name)
		}
	}
	return v, nil
}
