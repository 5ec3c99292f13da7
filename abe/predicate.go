package abe

import (
	"fmt"
	"strings"
)

// op is how a predicate compares.
type op uint8

const (
	opFlag    op = iota // name
	opEqual             // name = value
	opUnequal           // name != value
	opLess              // name < value
	opAtMost            // name <= value
	opMore              // name > value
	opAtLeast           // name >= value
	opRange             // name in value..value
	opIn                // name in (value, value)
)

var opTexts = [...]string{opEqual: "=", opUnequal: "!=", opLess: "<", opAtMost: "<=", opMore: ">", opAtLeast: ">="}

// predicate is a leaf of a policy: what is asked of one name.
type predicate struct {
	name     string
	from, to int16 // its values in Policy.values: none for opFlag, two for opRange, one or more for opIn, otherwise one
	op       op
	kind     Kind // of the values: Text, Number or Date
	negated  bool // whether it stands under an odd number of nots
}

// negative reports whether q asks for what a key does not have, after the nots above it.
func (q *predicate) negative() bool { return q.negated != (q.op == opUnequal) }

// predicate = name [ operator value | "in" range | "in" "(" value { "," value } ")" ]
func (p *parser) predicate() (q predicate, err error) {
	switch {
	case p.tok.kind == tokenCompare && p.tok.text == "!":
		return q, p.unexpected("a name, ( or a list such as 2 of (a, b, c)", "write the word not")
	case p.tok.kind == tokenString:
		return q, p.unexpected("a name", "values stand after a name and =; names have no quotes")
	case p.tok.kind != tokenWord:
		return q, p.unexpected("a name", "write what a reader must have, such as role = doctor")
	}
	q.name = p.tok.text
	if err := p.count(); err != nil {
		return q, err
	}
	if fix := checkName(q.name); fix != "" {
		return q, p.unexpected("a name", fix)
	}
	if err := p.advance(); err != nil {
		return q, err
	}
	q.from = int16(len(p.policy.values))
	switch {
	case p.tok.kind == tokenEquals:
		q.op = opEqual
		err = p.comparison(&q)
	case p.tok.kind == tokenCompare && p.tok.text == "!":
		err = p.unexpected(`=, "and", "or" or the end`, "write != or the word not")
	case p.tok.kind == tokenCompare:
		for o, text := range opTexts {
			if text == p.tok.text {
				q.op = op(o)
			}
		}
		err = p.comparison(&q)
	case p.tok.kind == tokenWord && p.tok.text == "in":
		if err := p.advanceTo("a range or a list"); err != nil {
			return q, err
		}
		if p.tok.kind == tokenOpen {
			q.op = opIn
			err = p.list(&q)
		} else {
			q.op = opRange
			err = p.span(&q)
		}
	}
	q.to = int16(len(p.policy.values))
	return q, err
}

// count counts a leaf, before anything is kept of it.
func (p *parser) count() error {
	if p.leaves == maxLeaves {
		return p.unexpected(fmt.Sprintf("at most %d attributes in a policy", maxLeaves), "make the policy shorter")
	}
	p.leaves++
	return nil
}

// comparison reads an operator and the one value after it.
func (p *parser) comparison(q *predicate) (err error) {
	ordered, wanted := q.op != opEqual && q.op != opUnequal, "a value"
	if ordered {
		wanted = "a number or a date"
	}
	if err := p.advanceTo(wanted); err != nil {
		return err
	}
	if ordered && (p.tok.kind == tokenString || p.tok.kind == tokenWord) {
		return p.unexpected("a number or a date", "only numbers and dates have an order; they stand without quotes, such as 18 or 1990-01-31")
	}
	q.kind, err = p.literal()
	return err
}

// literal reads one value.
func (p *parser) literal() (kind Kind, err error) {
	switch p.tok.kind {
	case tokenString:
	case tokenWord:
		if fix := checkBare(p.tok.text); fix != "" {
			return kind, p.unexpected("a value", fix)
		}
	case tokenNumber:
		if strings.Contains(p.tok.text, "..") {
			return kind, p.unexpected("a value", "a range stands after in, such as age in 18..65")
		}
		if kind, err = p.ordinal(p.tok.text, "; any text stands in double quotes"); err != nil {
			return kind, err
		}
	default:
		return kind, p.unexpected("a value", "write a word, a number, a date, or any text in double quotes; leave out the operator for a flag")
	}
	p.policy.values = append(p.policy.values, p.tok.text)
	return kind, p.advance()
}

// ordinal checks a number or a date in the token in hand. instead says what else may stand there.
func (p *parser) ordinal(text, instead string) (Kind, error) {
	kind := Number
	if looksLikeDate(text) {
		kind = Date
	}
	if _, fix := parseOrdinal(kind, text); fix != "" {
		return kind, p.unexpected("a number or a date", fix+instead)
	}
	return kind, nil
}

// list = "(" value { "," value } ")"
func (p *parser) list(q *predicate) error {
	p.wanted = "a value"
	err := p.open()
	p.wanted = ""
	if err != nil {
		return err
	}
	for {
		off, found := p.tok.off, p.tok
		kind, err := p.literal()
		if err != nil {
			return err
		}
		if int(q.from) == len(p.policy.values)-1 {
			q.kind = kind
		} else if kind != q.kind {
			return &SyntaxError{off, showText(found.text), "a value of the same kind as the first", "a list has texts, numbers or dates; texts that look like a number stand in double quotes"}
		}
		if p.tok.kind != tokenComma {
			break
		}
		if err := p.advanceTo("a value"); err != nil {
			return err
		}
		if err := p.count(); err != nil {
			return err
		}
	}
	if p.tok.kind != tokenClose {
		return p.unexpected(`a comma or ")"`, "close the list of values; a value of several words goes in double quotes")
	}
	return p.close()
}

// span = value ".." value, in one token
func (p *parser) span(q *predicate) error {
	lo, hi, ok := strings.Cut(p.tok.text, "..")
	if p.tok.kind != tokenNumber || !ok {
		return p.unexpected("a range or a list", "write in 18..65, without spaces in the range, or in (a, b, c)")
	}
	kind, err := p.ordinal(lo, "")
	if err != nil {
		return err
	}
	kindHi, err := p.ordinal(hi, "")
	if err != nil {
		return err
	}
	if kind != kindHi {
		return p.unexpected("a range", "both ends of a range are numbers, or both are dates")
	}
	if from, _ := parseOrdinal(kind, lo); !notAfter(kind, from, hi) {
		return p.unexpected("a range", "the first end of a range is not above the last")
	}
	q.kind = kind
	p.policy.values = append(p.policy.values, lo, hi)
	return p.advance()
}

func notAfter(kind Kind, from int64, hi string) bool {
	to, _ := parseOrdinal(kind, hi)
	return from <= to
}

// appendPredicate appends the canonical text of q.
func (p *Policy) appendPredicate(b []byte, q *predicate) []byte {
	b = append(b, q.name...)
	values := p.valuesOf(q)
	switch q.op {
	case opFlag:
	case opRange:
		b = append(append(append(append(b, " in "...), values[0]...), ".."...), values[1]...)
	case opIn:
		b = append(b, " in ("...)
		for i, value := range values {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendLiteral(b, q.kind, value)
		}
		b = append(b, ')')
	default:
		b = append(append(append(b, ' '), opTexts[q.op]...), ' ')
		b = appendLiteral(b, q.kind, values[0])
	}
	return b
}
