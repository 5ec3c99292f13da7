package abe

import "strconv"

// maxUses bounds tau: how often one attribute may be asked for.
const maxUses = 16

// Policy says which sets of attributes open an object: a formula of attributes with and, or and "k of". It is immutable
// and may be shared between goroutines. Get one from ParsePolicy; the zero Policy is of no use: what seals refuses it, and
// Explain refuses access.
type Policy struct {
	root  *node
	attrs []Attribute // of leaf i, in the order of the text
	text  string
	f     *formula
}

// node is a leaf, or a gate that k of its kids must satisfy. Gates have two kids or more. No kid of an or gate is an or
// gate, no kid of an and gate an and gate: gate sees to it.
type node struct {
	k    int     // 0 for a leaf
	kids []*node // nil for a leaf
	leaf int     // number of the leaf in the order of the text, for a leaf
}

func (n *node) isLeaf() bool { return n.k == 0 }
func (n *node) isOr() bool   { return n.k == 1 }
func (n *node) isAnd() bool  { return n.k > 1 && n.k == len(n.kids) }

// gate makes the node that asks for k of kids, in its one normal form: 1 of n is or, n of n is and, a gate with one kid
// is that kid, and a kid of the same operator gives its own kids. The order stays.
func gate(k int, kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	if k > 1 && k < len(kids) {
		return &node{k: k, kids: kids}
	}
	flat := make([]*node, 0, len(kids))
	for _, kid := range kids {
		if k == 1 && kid.isOr() || k > 1 && kid.isAnd() {
			flat = append(flat, kid.kids...)
		} else {
			flat = append(flat, kid)
		}
	}
	if k > 1 {
		k = len(flat)
	}
	return &node{k: k, kids: flat}
}

func newPolicy(root *node, attrs []Attribute) *Policy {
	atoms := make([]atom, len(attrs))
	for i, a := range attrs {
		atoms[i] = a.atom()
	}
	return &Policy{root: root, attrs: attrs, text: string(root.append(nil, attrs)), f: newFormula(root, atoms)}
}

// formula returns what version 1 seals under: a leaf for each attribute.
func (p *Policy) formula() *formula { return p.f }

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

// append appends the canonical text of n. Only an and or or directly inside the other one has parentheses of its own.
func (n *node) append(b []byte, attrs []Attribute) []byte {
	switch {
	case n.isLeaf():
		return attrs[n.leaf].append(b)
	case n.isOr() || n.isAnd():
		operator := " or "
		if n.isAnd() {
			operator = " and "
		}
		for i, kid := range n.kids {
			if i > 0 {
				b = append(b, operator...)
			}
			if kid.isOr() || kid.isAnd() {
				b = append(kid.append(append(b, '('), attrs), ')')
			} else {
				b = kid.append(b, attrs)
			}
		}
		return b
	}
	b = strconv.AppendInt(b, int64(n.k), 10)
	b = append(b, " of ("...)
	for i, kid := range n.kids {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = kid.append(b, attrs)
	}
	return append(b, ')')
}
