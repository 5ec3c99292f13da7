package abe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
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
	root := p.tree(p.root, false, func(i int) *node {
		var kids []*node
		all, _ := p.atoms(v, &p.predicates[i], func(encoding []byte) bool {
			kids = append(kids, &node{leaf: len(atoms)})
			atoms = append(atoms, atom(encoding))
			return true
		})
		if all {
			return gate(len(kids), kids)
		}
		return gate(1, kids)
	})
	return newFormula(root, atoms), nil
}

// size returns the number of leaves of the formula and its tau, and the error of expand if there is one. It needs at most 16 KiB of memory.
func (p *Policy) size(v *Vocabulary) (leaves, tau int, err error) {
	for i := range p.predicates {
		_, err := p.atoms(v, &p.predicates[i], func([]byte) bool {
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
	// Equal atoms are counted by 128 bits of their digest, which differ as long as SHA-256 has no such collision.
	type digest [16]byte
	seen := make([]digest, 0, leaves)
	for i := range p.predicates {
		p.atoms(v, &p.predicates[i], func(encoding []byte) bool {
			sum := sha256.Sum256(encoding)
			seen = append(seen, digest(sum[:16]))
			return true
		})
	}
	slices.SortFunc(seen, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	for i := 0; i < len(seen); {
		from := i
		for i < len(seen) && seen[i] == seen[from] {
			i++
		}
		tau = max(tau, i-from)
	}
	if tau > maxUses {
		return 0, 0, fmt.Errorf("abe: the policy asks for one attribute %d times after its comparisons and negations are expanded, the limit is %d: factor it out, (a and b) or (a and c) is a and (b or c)", tau, maxUses)
	}
	return leaves, tau, nil
}

// atoms gives the atoms that q expands to, until emit says false. A reader needs all of them, or else one. encoding is valid for one
// call.
func (p *Policy) atoms(v *Vocabulary, q *predicate, emit func(encoding []byte) bool) (all bool, err error) {
	d := v.find(q.name)
	if err := p.meaningful(d, q); err != nil {
		return false, err
	}
	b := make([]byte, 0, maxItem)
	switch d.is {
	case declaredNumber, declaredDate:
		return false, p.intervals(d, q, func(in interval) bool {
			return emit(appendIntervalAtom(b, d.is.atomType(), d.name, d.lo, d.hi, in))
		})
	}
	if q.op == opFlag {
		emit(appendFlagAtom(b, q.name))
		return false, nil
	}
	values := p.valuesOf(q)
	if q.negated == (q.op == opUnequal) { // asks for the values
		for _, value := range values {
			if !emit(appendValueAtom(b, atomText, q.name, value)) {
				break
			}
		}
		return false, nil
	}
	if d.is == declaredMany {
		for _, value := range values {
			if !emit(appendValueAtom(b, atomNot, q.name, value)) {
				break
			}
		}
		return true, nil
	}
	none := true
	for _, value := range d.values {
		if !slices.Contains(values, value) {
			none = false
			if !emit(appendValueAtom(b, atomText, q.name, value)) {
				break
			}
		}
	}
	if none {
		return false, p.unsatisfiable(d, q)
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
	negative := q.negated != (q.op == opUnequal)
	switch {
	case q.op == opFlag && q.negated:
		return refuse("that a key holds no flag cannot be seen in the key; declare " + q.name + " with values, such as " + q.name + ": one of yes, no, and ask for one of them")
	case q.kind != Text && d.is == undeclared:
		return refuse(q.name + " is not declared; " + declareHint(q.kind, q.name) + `, or ask for a text in double quotes`)
	case q.kind != d.is.ordinal():
		return refuse(q.name + " is declared " + abbreviate(d.String()) + "; compare it with a " + kindTexts[d.is.ordinal()])
	case q.kind != Text:
		return nil
	case negative && (d.is == undeclared || d.is == declaredText):
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

// spans returns the values from lo to hi that q asks for, ascending, with a gap between any two spans.
func (p *Policy) spans(q *predicate, lo, hi int64) []span {
	values := p.valuesOf(q)
	x := func(i int) int64 {
		x, _ := parseOrdinal(q.kind, values[i])
		return x
	}
	var asked []span
	switch q.op {
	case opEqual, opUnequal:
		asked = []span{{x(0), x(0)}}
	case opLess:
		if x(0) > math.MinInt64 {
			asked = []span{{math.MinInt64, x(0) - 1}}
		}
	case opAtMost:
		asked = []span{{math.MinInt64, x(0)}}
	case opMore:
		if x(0) < math.MaxInt64 {
			asked = []span{{x(0) + 1, math.MaxInt64}}
		}
	case opAtLeast:
		asked = []span{{x(0), math.MaxInt64}}
	case opRange:
		asked = []span{{x(0), x(1)}}
	case opIn:
		asked = make([]span, len(values))
		for i := range values {
			asked[i] = span{x(i), x(i)}
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
	if q.negated == (q.op == opUnequal) {
		return kept
	}
	rest, from := make([]span, 0, len(kept)+1), lo
	for _, s := range kept {
		if s.from > from {
			rest = append(rest, span{from, s.from - 1})
		}
		if s.to == hi {
			return rest
		}
		from = s.to + 1
	}
	return append(rest, span{from, hi})
}

// intervals gives the fewest dyadic intervals of the declared range that hold exactly the values that q asks for, ascending.
func (p *Policy) intervals(d *declaration, q *predicate, emit func(interval) bool) error {
	spans := p.spans(q, d.lo, d.hi)
	if len(spans) == 0 {
		return p.unsatisfiable(d, q)
	}
	width := bitLen(d.lo, d.hi)
	for _, s := range spans {
		from, to := uint64(s.from)-uint64(d.lo), uint64(s.to)-uint64(d.lo)
		if s.to == d.hi {
			to = math.MaxUint64 >> (64 - width) // no key holds a value above the range: taking those in saves intervals
		}
		for {
			// The largest interval that begins at from and does not go beyond to.
			size := min(bits.TrailingZeros64(from), width)
			for from|lowBits(size) > to {
				size--
			}
			if !emit(interval{uint8(width - size), from >> size}) {
				return nil
			}
			if from |= lowBits(size); from == to {
				break
			}
			from++
		}
	}
	return nil
}

// lowBits has the n lowest bits set, n from 0 to 64.
func lowBits(n int) uint64 { return math.MaxUint64 >> (64 - n) }

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
	part.text = part.canonical("")
	return part
}

// needs reports whether some predicate of p cannot be expanded without d.
func (p *Policy) needs(d *declaration) bool {
	return slices.ContainsFunc(p.predicates, func(q predicate) bool {
		return q.name == d.name && (q.kind != Text || q.negated != (q.op == opUnequal))
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
	v, err := ParseVocabulary(text)
	if err != nil {
		return nil, err
	}
	if v.text != text {
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
