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
	// Missing are attributes that would be enough together with those held, in the order of the policy, each once; none of
	// them could be left out. No set is smaller if no attribute occurs twice in the policy; otherwise one may be, since to
	// find the smallest is NP-hard. It is empty if access is granted.
	Missing []Attribute

	text string
}

// String is one line for the person who asked, such as
//
//	refused: needs role = doctor, and one of dept = cardiology or dept = "intensive care"; you have role = biller
func (e Explanation) String() string { return e.text }

// Explain says in plain words why a reader with these attributes may open what is sealed under p, or what is missing. It
// decides nothing: the mathematics of the key does. It takes what the reader claims to hold and needs no key. Cost: linear
// in the attributes, at most quadratic in the leaves.
// A policy that ParsePolicy did not make grants nothing.
func Explain(p *Policy, attributes []Attribute) Explanation {
	if p.check() != nil {
		return Explanation{text: "refused: there is no policy, and without one nobody is let in"}
	}
	held := make(map[atom]bool, len(attributes))
	for _, a := range attributes {
		held[a.atom()] = true
	}
	leaves := p.f.held(func(a atom) bool { return held[a] })
	if best, ok := p.root.choose(func(leaf int) bool { return leaves[leaf] }); ok {
		e := Explanation{Granted: true, Used: p.collect(best, make([]bool, len(p.attrs)))}
		verb := " are enough"
		if len(e.Used) == 1 {
			verb = " is enough"
		}
		e.text = "granted: " + join(texts(e.Used), " and ") + verb
		return e
	}
	lack := p.root.lack(leaves)
	nearest, _ := lack.choose(func(int) bool { return true })
	e := Explanation{Missing: p.collect(nearest, leaves)}
	sentence, nested := lack.sentence(p.attrs)
	e.text = "refused: needs " + sentence
	if nested {
		e.text += "; the fewest that would do: " + join(texts(e.Missing), " and ")
	}
	e.text += "; you have " + p.possessions(attributes)
	return e
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

// collect returns the attributes of the leaves of c, each once, in the order of the policy, less those that are not needed
// beside the others and the leaves given: an attribute that occurs again may do for a leaf that another was chosen for.
func (p *Policy) collect(c choice, given []bool) []Attribute {
	chosen := make([]bool, p.f.names)
	var walk func(choice)
	walk = func(c choice) {
		if c.node.isLeaf() {
			chosen[p.f.ids[c.node.leaf]] = true
		}
		for _, kid := range c.kids {
			walk(kid)
		}
	}
	walk(c)
	for id := range slices.Backward(chosen) {
		if chosen[id] {
			chosen[id] = false
			_, enough := p.root.choose(func(leaf int) bool { return given[leaf] || chosen[p.f.ids[leaf]] })
			chosen[id] = !enough
		}
	}
	var attrs []Attribute
	for leaf, id := range p.f.ids {
		if chosen[id] {
			attrs = append(attrs, p.attrs[leaf])
			chosen[id] = false
		}
	}
	return attrs
}

// sentence says what n asks for: the parts of an and at the top, then "one of" and "2 of", and below that the text of
// the policy in parentheses. nested reports whether there was such a text.
func (n *node) sentence(attrs []Attribute) (text string, nested bool) {
	if !n.isAnd() {
		return n.part(attrs)
	}
	var parts []string
	simple := true
	for _, kid := range n.kids {
		part, deep := kid.part(attrs)
		parts = append(parts, part)
		simple, nested = simple && kid.isLeaf(), nested || deep
	}
	if simple {
		return join(parts, " and "), false
	}
	return strings.Join(parts, ", and "), nested
}

// part says one part of a sentence.
func (n *node) part(attrs []Attribute) (text string, nested bool) {
	if n.isLeaf() {
		return attrs[n.leaf].String(), false
	}
	nested = slices.ContainsFunc(n.kids, func(kid *node) bool { return !kid.isLeaf() })
	if nested && !n.isOr() {
		return string(n.append(nil, attrs)), true
	}
	var parts []string
	for _, kid := range n.kids {
		part := string(kid.append(nil, attrs))
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

// possessions lists those attributes whose names the policy mentions: the others say nothing about the refusal.
func (p *Policy) possessions(attributes []Attribute) string {
	const limit = 12
	asked := map[string]bool{}
	for _, a := range p.attrs {
		asked[a.Name] = true
	}
	var parts []string
	seen, more := map[Attribute]bool{}, 0
	for _, a := range attributes {
		if !asked[a.Name] || seen[a] {
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
