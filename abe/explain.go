package abe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Explanation says why attributes satisfy a policy or not.
type Explanation struct {
	Granted bool // whether the attributes satisfy the policy
	// Used are attributes that satisfy the policy, in its order, each once; none of them could be left out. It is empty if
	// access is refused.
	Used []Attribute
	// Missing are conditions, each a policy by itself such as age >= 18, that would be enough together with what is held, in the order of the
	// policy, each once; none of them could be left out. No set is smaller if no condition occurs twice in the policy; otherwise
	// one may be, since to find the smallest is NP-hard. A condition can ask for another value of what a key holds once, as when a child's age is
	// not enough. It is empty if access is granted.
	Missing []string

	text string
}

// String is one line for the person who asked, such as
//
//	refused: needs role = doctor, and one of dept = cardiology or dept = "intensive care"; you have role = biller
func (e Explanation) String() string { return e.text }

// Explain says in plain words why a reader with these attributes may open what is sealed under p, or what is missing. It
// decides nothing: the mathematics of the key does. It takes what the reader claims to hold and needs no key. The attributes are those that
// Key.Attributes returns: where a name is declared many, with the values that the reader does not have. v is the vocabulary of the params.
// Cost: at most quadratic in the leaves and linear in the attributes.
//
// A policy that ParsePolicy did not make, or that v refuses, grants nothing.
func Explain(p *Policy, v *Vocabulary, attributes []Attribute) Explanation {
	if p.check() != nil {
		return Explanation{text: "refused: there is no policy, and without one nobody is let in"}
	}
	if err := v.Check(p); err != nil {
		return Explanation{text: "refused: " + strings.TrimPrefix(err.Error(), "abe: ")}
	}
	return explain(p, v, attributes, attributes)
}

// explainKey is Explain for the items of a key. It knows the ranges that its numbers and dates were issued under: components of another range than
// the header's fit nothing in it, whatever the value is.
func explainKey(p *Policy, v *Vocabulary, items []atom) Explanation {
	attributes := holding{items: items}.attributes()
	var fitting []Attribute
	var other []string
	for i, a := range attributes {
		d := v.find(a.Name)
		if was, _ := parseAtom([]byte(items[i])); (a.Kind == Number || a.Kind == Date) && a.Kind == d.is.ordinal() && (was.lo != d.lo || was.hi != d.hi) {
			was := declaration{name: a.Name, is: d.is, lo: was.lo, hi: was.hi}
			other = append(other, fmt.Sprintf("%v was issued under %v, and the object was sealed under %v", a, &was, d))
		} else {
			fitting = append(fitting, a)
		}
	}
	e := explain(p, v, fitting, attributes)
	if len(other) > 0 && !e.Granted {
		e.text += "; " + join(other, ", and ") + ": ask the authority which range is the right one, and for a key or an object of it"
	}
	return e
}

// explain explains a policy that means something under v. all are the attributes to be shown, those that do not fit the declarations of v too.
func explain(p *Policy, v *Vocabulary, attributes, all []Attribute) Explanation {
	x := newExplainer(p, v, attributes)
	everything := make([]bool, len(x.attributes))
	for i := range everything {
		everything[i] = true
	}
	held := x.held(everything)
	if best, ok := x.root.choose(func(leaf int) bool { return held[leaf] }); ok {
		e := Explanation{Granted: true, Used: x.used(best)}
		verb := " are enough"
		if len(e.Used) == 1 {
			verb = " is enough"
		}
		e.text = "granted: " + join(texts(e.Used), " and ") + verb
		return e
	}
	lack := x.root.lack(held)
	nearest, _ := lack.choose(func(int) bool { return true })
	e := Explanation{Missing: x.missing(nearest, held)}
	sentence, nested := lack.sentence(x.texts)
	e.text = "refused: needs " + sentence
	if nested {
		e.text += "; the fewest that would do: " + join(e.Missing, " and ")
	}
	e.text += "; you have " + p.possessions(all)
	return e
}

// explainer is a policy whose leaves are its predicates, and which attributes satisfy each.
type explainer struct {
	root       *node
	texts      []string // of leaf i, as it is asked for below its nots
	attributes []Attribute
	by         [][]int // of leaf i: the attributes that satisfy it, or that it needs all of; -1 for one that is not there
	all        []bool  // whether leaf i needs all of them
}

func newExplainer(p *Policy, v *Vocabulary, attributes []Attribute) *explainer {
	x := &explainer{
		root: p.tree(p.root, false, func(i int) *node { return &node{leaf: i} }),
		by:   make([][]int, len(p.predicates)), all: make([]bool, len(p.predicates)),
	}
	known := map[atom]int{} // attributes that are one atom each
	seen := map[Attribute]bool{}
	for _, a := range attributes {
		if seen[a] {
			continue
		}
		seen[a] = true
		if a.Kind == Text || a.Kind == Not {
			known[a.atom()] = len(x.attributes)
		}
		x.attributes = append(x.attributes, a)
	}
	for i := range p.predicates {
		q := &p.predicates[i]
		x.texts = append(x.texts, p.literalText(q))
		d := v.find(q.name)
		if d.is.ordinal() == Text {
			x.all[i], _ = p.atoms(v, q, func(encoding []byte) {
				if at, ok := known[atom(encoding)]; ok {
					x.by[i] = append(x.by[i], at)
				} else {
					x.by[i] = append(x.by[i], -1)
				}
			})
			continue
		}
		spans := p.spans(nil, q, d.lo, d.hi)
		for at, a := range x.attributes {
			value, fix := parseOrdinal(a.Kind, a.Value)
			if a.Name == d.name && a.Kind == d.is.ordinal() && fix == "" &&
				slices.ContainsFunc(spans, func(s span) bool { return s.from <= value && value <= s.to }) {
				x.by[i] = append(x.by[i], at)
			}
		}
	}
	return x
}

// held says which leaves the attributes that are active satisfy.
func (x *explainer) held(active []bool) []bool {
	held := make([]bool, len(x.by))
	for i, by := range x.by {
		has := func(at int) bool { return at >= 0 && active[at] }
		if x.all[i] {
			held[i] = !slices.ContainsFunc(by, func(at int) bool { return !has(at) })
		} else {
			held[i] = slices.ContainsFunc(by, has)
		}
	}
	return held
}

// leavesOf returns the leaves of c, ascending.
func leavesOf(c choice) []int {
	if c.node.isLeaf() {
		return []int{c.node.leaf}
	}
	var leaves []int
	for _, kid := range c.kids {
		leaves = append(leaves, leavesOf(kid)...)
	}
	slices.Sort(leaves)
	return leaves
}

// used returns attributes that satisfy the leaves of c, each once, less those that are not needed beside the others.
func (x *explainer) used(c choice) []Attribute {
	active := make([]bool, len(x.attributes))
	for _, leaf := range leavesOf(c) {
		for _, at := range x.by[leaf] {
			if at < 0 {
				continue
			}
			active[at] = true
			if !x.all[leaf] {
				break
			}
		}
	}
	var order []int // as the policy asks for them
	seen := make([]bool, len(x.attributes))
	for _, by := range x.by {
		for _, at := range by {
			if at >= 0 && active[at] && !seen[at] {
				seen[at] = true
				order = append(order, at)
			}
		}
	}
	for _, at := range slices.Backward(order) {
		active[at] = false
		held := x.held(active)
		enough := x.root.holds(func(leaf int) bool { return held[leaf] })
		active[at] = !enough
	}
	var used []Attribute
	for _, at := range order {
		if active[at] {
			used = append(used, x.attributes[at])
		}
	}
	return used
}

// missing returns the texts of the leaves of c, each once, less those that are not needed beside the others and what is held.
func (x *explainer) missing(c choice, held []bool) []string {
	chosen := map[string]bool{}
	for _, leaf := range leavesOf(c) {
		chosen[x.texts[leaf]] = true
	}
	var order []string // as the policy asks for them
	seen := map[string]bool{}
	for _, text := range x.texts {
		if chosen[text] && !seen[text] {
			seen[text] = true
			order = append(order, text)
		}
	}
	for _, text := range slices.Backward(order) {
		chosen[text] = false
		enough := x.root.holds(func(leaf int) bool { return held[leaf] || chosen[x.texts[leaf]] })
		chosen[text] = !enough
	}
	return slices.DeleteFunc(order, func(text string) bool { return !chosen[text] })
}

// literalText is the text of q as it is asked for, with the nots above it.
func (p *Policy) literalText(q *predicate) string {
	if !q.negated {
		return string(p.appendPredicate(nil, q))
	}
	opposite := *q
	switch q.op {
	case opEqual:
		opposite.op = opUnequal
	case opUnequal:
		opposite.op = opEqual
	case opLess:
		opposite.op = opAtLeast
	case opAtMost:
		opposite.op = opMore
	case opMore:
		opposite.op = opAtMost
	case opAtLeast:
		opposite.op = opLess
	default:
		return "not " + string(p.appendPredicate(nil, q))
	}
	return string(p.appendPredicate(nil, &opposite))
}

// lack is what is left of n when the leaves that are held are taken as given, nil if nothing. What remains is exactly
// what would have to be added: a gate that needs k and has h asks for k-h of the kids that do not hold.
func (n *node) lack(held []bool) *node {
	if n.isLeaf() {
		if held[n.leaf] {
			return nil
		}
		return n
	}
	k, kids := n.k, []*node(nil)
	for _, kid := range n.kids {
		if rest := kid.lack(held); rest != nil {
			kids = append(kids, rest)
		} else {
			k--
		}
	}
	if k <= 0 {
		return nil
	}
	return gate(k, kids)
}

// sentence says what n asks for: the parts of an and at the top, then "one of" and "2 of", and below that the text of
// the policy in parentheses. nested reports whether there was such a text.
func (n *node) sentence(leaves []string) (text string, nested bool) {
	if !n.isAnd() {
		return n.part(leaves)
	}
	var parts []string
	simple := true
	for _, kid := range n.kids {
		part, deep := kid.part(leaves)
		parts = append(parts, part)
		simple, nested = simple && kid.isLeaf(), nested || deep
	}
	if simple {
		return join(parts, " and "), false
	}
	return strings.Join(parts, ", and "), nested
}

// part says one part of a sentence.
func (n *node) part(leaves []string) (text string, nested bool) {
	if n.isLeaf() {
		return leaves[n.leaf], false
	}
	nested = slices.ContainsFunc(n.kids, func(kid *node) bool { return !kid.isLeaf() })
	if nested && !n.isOr() {
		return string(n.append(nil, leaves)), true
	}
	var parts []string
	for _, kid := range n.kids {
		part := string(kid.append(nil, leaves))
		if kid.isAnd() {
			part = "(" + part + ")"
		}
		parts = append(parts, part)
	}
	switch {
	case nested:
		return "either " + join(parts, " or "), true
	case n.isOr():
		return "one of " + join(parts, " or "), false
	}
	return strconv.Itoa(n.k) + " of " + join(parts, " and "), false
}

// append appends the text of n as a policy has it, with the texts of its leaves.
func (n *node) append(b []byte, leaves []string) []byte {
	separator, end := ", ", ")"
	switch {
	case n.isLeaf():
		return append(b, leaves[n.leaf]...)
	case n.isOr():
		separator, end = " or ", ""
	case n.isAnd():
		separator, end = " and ", ""
	default:
		b = append(strconv.AppendInt(b, int64(n.k), 10), " of ("...)
	}
	for i, kid := range n.kids {
		if i > 0 {
			b = append(b, separator...)
		}
		if end == "" && (kid.isOr() || kid.isAnd()) {
			b = append(kid.append(append(b, '('), leaves), ')')
		} else {
			b = kid.append(b, leaves)
		}
	}
	return append(b, end...)
}

// possessions lists those attributes whose names the policy mentions: the others say nothing about the refusal, nor does what the reader
// does not have.
func (p *Policy) possessions(attributes []Attribute) string {
	const limit = 12
	asked := map[string]bool{}
	for i := range p.predicates {
		asked[p.predicates[i].name] = true
	}
	var parts []string
	seen, more := map[Attribute]bool{}, 0
	for _, a := range attributes {
		if !asked[a.Name] || seen[a] || a.Kind == Not {
			continue
		}
		seen[a] = true
		if len(parts) == limit {
			more++
		} else {
			parts = append(parts, a.String())
		}
	}
	switch {
	case len(parts) == 0:
		return "nothing that it asks for"
	case more > 0:
		return strings.Join(parts, ", ") + fmt.Sprintf(" and %d more", more)
	}
	return join(parts, " and ")
}

func texts(attributes []Attribute) []string {
	var s []string
	for _, a := range attributes {
		s = append(s, a.String())
	}
	return s
}

// join writes a list as English does: a, b or c.
func join(parts []string, last string) string {
	n := len(parts) - 1
	if n < 1 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:n], ", ") + last + parts[n]
}
