package abe

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a policy.
const (
	maxDepth  = 32  // parentheses open at once
	maxLeaves = 256 // values and flags asked for, each time counted; a range counts once
)

// ParsePolicy reads a policy. The whole text has to be one; nothing is dropped or guessed. Limits: 4 KiB of text, also in
// canonical form, 32 open parentheses, 256 leaves, 16 uses of one attribute. Time is linear in the text. It needs no vocabulary: whether
// the names are declared so that they can be compared or negated, Vocabulary.Check and sealing say. The error is a
// *SyntaxError. The language is docs/spec/policy.md.
func ParsePolicy(text string) (*Policy, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	p.reserve()
	root, err := p.expression()
	if err != nil {
		return nil, err
	}
	switch p.tok.kind {
	case tokenEnd:
	case tokenComma:
		return nil, p.unexpected(`"and", "or" or the end`, "a comma stands only in a list such as 2 of (a, b, c)")
	case tokenClose:
		return nil, p.unexpected(`"and", "or" or the end`, "this parenthesis was never opened; remove it")
	default:
		return nil, p.unexpectedAfterTerm("the end")
	}
	policy := p.policy
	policy.finish(root, text)
	if policy.plain() {
		if err := p.checkUses(); err != nil {
			return nil, err
		}
	}
	if n := len(policy.text); n > maxText {
		return nil, &SyntaxError{len(text), fmt.Sprintf("%d bytes in canonical form", n), fmt.Sprintf("at most %d", maxText), "shorten the policy"}
	}
	return policy, nil
}

// parser is recursive descent with one token in hand. Its recursion is bounded by maxDepth.
type parser struct {
	lexer
	tok    token
	depth  int
	leaves int     // so far, to be held against maxLeaves
	policy *Policy // what was read so far
	offs   []int16 // where its predicates begin
}

func newParser(text string) (*parser, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{maxText, fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", maxText), "shorten the text"}
	}
	p := &parser{lexer: lexer{text: text}, policy: new(Policy)}
	return p, p.advance()
}

// reserve makes room for as many leaves as there can be, so that reading a header costs little memory. A tree in which every gate has two
// kids or more has fewer gates than leaves.
func (p *parser) reserve() {
	n := min(maxLeaves, 1+strings.Count(p.text, "and")+strings.Count(p.text, "or")+strings.Count(p.text, ","))
	p.policy.exprs = make([]expr, 0, 2*n-1)
	p.policy.predicates = make([]predicate, 0, n)
	p.policy.values = make([]string, 0, n)
	p.offs = make([]int16, 0, n)
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

// advanceTo is advance where only wanted may follow.
func (p *parser) advanceTo(wanted string) error {
	p.wanted = wanted
	err := p.advance()
	p.wanted = ""
	return err
}

// checkUses refuses the first leaf of a plain policy that asks for its attribute once more than maxUses. Of other policies this is known after
// expansion only.
func (p *parser) checkUses() error {
	leaves := p.policy.predicates
	compare := func(i, j int16) int {
		a, b := &leaves[i], &leaves[j]
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.op, b.op), slices.Compare(p.policy.valuesOf(a), p.policy.valuesOf(b)))
	}
	order := make([]int16, len(leaves))
	for i := range order {
		order[i] = int16(i)
	}
	slices.SortStableFunc(order, compare)
	first := len(leaves)
	for i := maxUses; i < len(order); i++ {
		if compare(order[i-maxUses], order[i]) == 0 {
			first = min(first, int(order[i]))
		}
	}
	if first == len(leaves) {
		return nil
	}
	text := abbreviate(string(p.policy.appendPredicate(nil, &leaves[first])))
	return &SyntaxError{int(p.offs[first]), fmt.Sprintf("use %d of %s", maxUses+1, text), fmt.Sprintf("at most %d uses of one attribute", maxUses),
		"factor it out: (a and b) or (a and c) is a and (b or c)"}
}

// expression = term { "and" term } | term { "or" term }
func (p *parser) expression() (int16, error) {
	first, err := p.term()
	if err != nil {
		return 0, err
	}
	last, n, operator := first, 1, ""
	for p.tok.kind == tokenWord && (p.tok.text == "and" || p.tok.text == "or") {
		if operator == "" {
			operator = p.tok.text
		} else if operator != p.tok.text {
			return 0, p.mixed(first, last, n, operator)
		}
		if err := p.advance(); err != nil {
			return 0, err
		}
		kid, err := p.term()
		if err != nil {
			return 0, err
		}
		p.policy.exprs[last].next = kid
		last, n = kid, n+1
	}
	if operator == "and" {
		return p.policy.gate(n, first, n), nil
	}
	return p.policy.gate(1, first, n), nil
}

// mixed says where parentheses can go when n kids, joined by operator, are followed by the other operator.
func (p *parser) mixed(first, last int16, n int, operator string) error {
	all := abbreviate(string(p.policy.appendJoined(nil, " "+operator+" ", first, n)))
	end := abbreviate(string(p.policy.append(nil, last)))
	return p.unexpected(fmt.Sprintf("%q or the end", operator), fmt.Sprintf(`"and" and "or" cannot be mixed without parentheses: write one of [(%s) %s ...] and [... %s (%s %s ...)]`,
		all, p.tok.text, operator, end, p.tok.text))
}

// abbreviate keeps an error readable when the policy is long.
func abbreviate(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	cut := limit / 2
	for cut > 0 && s[cut]&0xc0 == 0x80 { // not in the middle of a character
		cut--
	}
	from := len(s) - limit/2
	for from < len(s) && s[from]&0xc0 == 0x80 {
		from++
	}
	return s[:cut] + " ... " + s[from:]
}

// term = { "not" } ( "(" expression ")" | number "of" list | predicate )
func (p *parser) term() (int16, error) {
	negated := false
	for p.tok.kind == tokenWord && p.tok.text == "not" {
		negated = !negated
		if err := p.advance(); err != nil {
			return 0, err
		}
	}
	e, err := p.positive()
	if err == nil && negated {
		p.policy.exprs[e].not = !p.policy.exprs[e].not
	}
	return e, err
}

func (p *parser) positive() (int16, error) {
	switch p.tok.kind {
	case tokenOpen:
		if err := p.open(); err != nil {
			return 0, err
		}
		e, err := p.expression()
		if err != nil {
			return 0, err
		}
		if p.tok.kind == tokenComma {
			return 0, p.unexpected(`"and", "or" or ")"`, "a list needs a number in front, such as 1 of (a, b, c)")
		}
		return e, p.close()
	case tokenNumber:
		return p.threshold()
	}
	off := p.tok.off
	leaf, err := p.predicate()
	if err != nil {
		return 0, err
	}
	p.offs = append(p.offs, int16(off))
	return p.policy.leaf(leaf), nil
}

func (p *parser) open() error {
	if p.depth == maxDepth {
		return p.unexpected(fmt.Sprintf("at most %d parentheses inside each other", maxDepth), "make the policy flatter")
	}
	p.depth++
	return p.advance()
}

func (p *parser) close() error {
	if p.tok.kind != tokenClose {
		return p.unexpectedAfterTerm(`")"`)
	}
	p.depth--
	return p.advance()
}

// threshold = number "of" "(" expression { "," expression } ")"
func (p *parser) threshold() (int16, error) {
	number := p.tok
	if err := p.advance(); err != nil {
		return 0, err
	}
	if p.tok.kind != tokenWord || p.tok.text != "of" {
		return 0, &SyntaxError{number.off, showText(number.text), "a name, ( or a list such as 2 of (a, b, c)", "names begin with a letter"}
	}
	if err := p.advance(); err != nil {
		return 0, err
	}
	if p.tok.kind != tokenOpen {
		return 0, p.unexpected("(", "write the list in parentheses, such as 2 of (a, b, c)")
	}
	if err := p.open(); err != nil {
		return 0, err
	}
	var first, last int16
	n := 0
	for {
		kid, err := p.expression()
		if err != nil {
			return 0, err
		}
		if n == 0 {
			first = kid
		} else {
			p.policy.exprs[last].next = kid
		}
		last, n = kid, n+1
		if p.tok.kind != tokenComma {
			break
		}
		if err := p.advance(); err != nil {
			return 0, err
		}
	}
	if p.tok.kind != tokenClose {
		return 0, p.unexpectedAfterTerm(`")"`)
	}
	k, err := strconv.Atoi(number.text)
	if err != nil || k < 1 || k > n || number.text != strconv.Itoa(k) {
		return 0, &SyntaxError{number.off, showText(number.text), fmt.Sprintf("a number from 1 to %d", n), fmt.Sprintf("the list has length %d; say how many of it must hold", n)}
	}
	return p.policy.gate(k, first, n), p.close()
}

// unexpected is the error for the token in hand.
func (p *parser) unexpected(expected string, fix ...string) error {
	e := &SyntaxError{Offset: p.tok.off, Found: "the end", Expected: expected}
	if p.tok.kind == tokenString {
		e.Found = showText(string(appendQuoted(nil, p.tok.text)))
	} else if p.tok.kind != tokenEnd {
		e.Found = showText(p.tok.text)
	}
	if len(fix) > 0 {
		e.Fix = fix[0]
	}
	return e
}

// unexpectedAfterTerm is the error for a token that can neither go on nor end what was read.
func (p *parser) unexpectedAfterTerm(end string) error {
	expected := `"and", "or" or ` + end
	switch {
	case p.tok.kind == tokenCompare || p.tok.kind == tokenEquals:
		return p.unexpected(expected, "a comparison has one name, one operator and one value; join two of them with and, or write in lo..hi")
	case p.tok.kind == tokenEnd:
		return p.unexpected(expected, "close the parenthesis")
	case p.tok.kind == tokenWord && p.tok.text == "not":
		return p.unexpected(expected, "not stands in front of what it negates, such as not role = doctor")
	case p.tok.kind == tokenWord && p.tok.text == "in":
		return p.unexpected(expected, "in stands between a name and its values, such as age in 18..65")
	case p.tok.kind == tokenWord && isKeyword(p.tok.text) && p.tok.text != "of":
		return p.unexpected(expected, "write keywords in lower case")
	case p.tok.kind == tokenWord && p.tok.text == "of":
		return p.unexpected(expected, `a number stands in front of "of", such as 2 of (a, b, c)`)
	}
	return p.unexpected(expected, `put "and" or "or" between attributes; a value of several words goes in double quotes`)
}
