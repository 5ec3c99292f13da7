package abe

import (
	"fmt"
	"slices"
	"strconv"
)

// Limits of a policy.
const (
	maxDepth  = 32  // parentheses open at once
	maxLeaves = 256 // attributes asked for, each time counted
)

// ParsePolicy reads a policy. The whole text has to be one; nothing is dropped or guessed. Limits: 4 KiB of text, also in
// canonical form, 32 open parentheses, 256 leaves, 16 uses of one attribute. Time is linear in the text. The error is a
// *SyntaxError. The language is docs/spec/policy.md.
func ParsePolicy(text string) (*Policy, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
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
	policy := newPolicy(root, p.attrs)
	if i := slices.IndexFunc(policy.f.uses, func(use int) bool { return use > maxUses }); i >= 0 {
		return nil, &SyntaxError{p.offs[i], fmt.Sprintf("use %d of %s", policy.f.uses[i], abbreviate(p.attrs[i].String())), fmt.Sprintf("at most %d uses of one attribute", maxUses),
			"factor it out: (a and b) or (a and c) is a and (b or c)"}
	}
	if n := len(policy.text); n > maxText {
		return nil, &SyntaxError{len(text), fmt.Sprintf("%d bytes in canonical form", n), fmt.Sprintf("at most %d", maxText), "shorten the policy"}
	}
	return policy, nil
}

// parser is recursive descent with one token in hand. Its recursion is bounded by maxDepth.
type parser struct {
	lexer
	tok   token
	depth int
	attrs []Attribute // of the leaves read so far; a leaf is its index here
	offs  []int       // where those leaves begin
}

func newParser(text string) (*parser, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{maxText, fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", maxText), "shorten the text"}
	}
	p := &parser{lexer: lexer{text: text}}
	return p, p.advance()
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

// expression = term { "and" term } | term { "or" term }
func (p *parser) expression() (*node, error) {
	first, err := p.term()
	if err != nil {
		return nil, err
	}
	kids, operator := []*node{first}, ""
	for p.tok.kind == tokenWord && (p.tok.text == "and" || p.tok.text == "or") {
		if operator == "" {
			operator = p.tok.text
		} else if operator != p.tok.text {
			return nil, p.mixed(kids, operator)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		kid, err := p.term()
		if err != nil {
			return nil, err
		}
		kids = append(kids, kid)
	}
	if operator == "and" {
		return gate(len(kids), kids), nil
	}
	return gate(1, kids), nil
}

// mixed says where parentheses can go when kids, joined by operator, are followed by the other operator.
func (p *parser) mixed(kids []*node, operator string) error {
	k := 1
	if operator == "and" {
		k = len(kids)
	}
	all := abbreviate(string((&node{k: k, kids: kids}).append(nil, p.attrs)))
	last := abbreviate(string(kids[len(kids)-1].append(nil, p.attrs)))
	return p.unexpected(fmt.Sprintf("%q or the end", operator), fmt.Sprintf(`"and" and "or" cannot be mixed without parentheses: write one of [(%s) %s ...] and [... %s (%s %s ...)]`,
		all, p.tok.text, operator, last, p.tok.text))
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

// term = "(" expression ")" | number "of" list | attribute
func (p *parser) term() (*node, error) {
	switch p.tok.kind {
	case tokenOpen:
		if err := p.open(); err != nil {
			return nil, err
		}
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		if p.tok.kind == tokenComma {
			return nil, p.unexpected(`"and", "or" or ")"`, "a list needs a number in front, such as 1 of (a, b, c)")
		}
		return n, p.close()
	case tokenNumber:
		return p.threshold()
	}
	off := p.tok.off
	a, err := p.attribute()
	if err != nil {
		return nil, err
	}
	p.attrs, p.offs = append(p.attrs, a), append(p.offs, off)
	return &node{leaf: len(p.attrs) - 1}, nil
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
func (p *parser) threshold() (*node, error) {
	number := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenWord || p.tok.text != "of" {
		return nil, &SyntaxError{number.off, showText(number.text), "a name, ( or a list such as 2 of (a, b, c)", "names begin with a letter"}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenOpen {
		return nil, p.unexpected("(", "write the list in parentheses, such as 2 of (a, b, c)")
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	var kids []*node
	for {
		kid, err := p.expression()
		if err != nil {
			return nil, err
		}
		kids = append(kids, kid)
		if p.tok.kind != tokenComma {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if p.tok.kind != tokenClose {
		return nil, p.unexpectedAfterTerm(`")"`)
	}
	k, err := strconv.Atoi(number.text)
	if err != nil || k < 1 || k > len(kids) || number.text != strconv.Itoa(k) {
		return nil, &SyntaxError{number.off, showText(number.text), fmt.Sprintf("a number from 1 to %d", len(kids)), fmt.Sprintf("the list has length %d; say how many of it must hold", len(kids))}
	}
	return gate(k, kids), p.close()
}

// attribute = name [ "=" value ]
func (p *parser) attribute() (a Attribute, err error) {
	switch {
	case p.tok.kind == tokenWord && p.tok.text == "not":
		return a, p.reserved()
	case p.tok.kind == tokenReserved && p.tok.text == "!":
		return a, p.reserved()
	case p.tok.kind == tokenString:
		return a, p.unexpected("a name", "values stand after a name and =; names have no quotes")
	case p.tok.kind != tokenWord:
		return a, p.unexpected("a name", "write what a reader must have, such as role = doctor")
	case len(p.attrs) == maxLeaves:
		return a, p.unexpected(fmt.Sprintf("at most %d attributes in a policy", maxLeaves), "make the policy shorter")
	}
	a.Name = p.tok.text
	if fix := checkName(a.Name); fix != "" {
		return a, p.unexpected("a name", fix)
	}
	if err := p.advance(); err != nil {
		return a, err
	}
	switch {
	case p.tok.kind == tokenReserved:
		return a, p.reserved()
	case p.tok.kind == tokenWord && p.tok.text == "in":
		return a, p.reserved()
	case p.tok.kind != tokenEquals:
		return a, nil
	}
	if err := p.advance(); err != nil {
		return a, err
	}
	switch p.tok.kind {
	case tokenString:
	case tokenWord:
		if fix := checkBare(p.tok.text); fix != "" {
			return a, p.unexpected("a value", fix)
		}
	case tokenNumber:
		return a, p.unexpected("a value that begins with a letter or a quote",
			fmt.Sprintf(`numbers and dates come with a later version of the language; as text write "%s" in double quotes`, abbreviate(p.tok.text)))
	default:
		return a, p.unexpected("a value", "write a word, or any text in double quotes; leave out = for a flag")
	}
	a.Value = p.tok.text
	return a, p.advance()
}

// reserved refuses what the next version of the language will know, rather than to read it as something else.
func (p *parser) reserved() error {
	later := p.tok.text + " is reserved for a later version of the language and is not supported yet; "
	if p.tok.text == "not" || p.tok.text == "!" {
		return p.unexpected("a name, ( or a list such as 2 of (a, b, c)", later+"say what a reader must have")
	}
	return p.unexpected(`=, "and", "or" or the end`, later+"until then list the values, such as (a = b or a = c)")
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
	case p.tok.kind == tokenReserved:
		return p.reserved()
	case p.tok.kind == tokenEnd:
		return p.unexpected(expected, "close the parenthesis")
	case p.tok.kind == tokenWord && (p.tok.text == "not" || p.tok.text == "in"):
		return p.reserved()
	case p.tok.kind == tokenWord && isKeyword(p.tok.text) && p.tok.text != "of":
		return p.unexpected(expected, "write keywords in lower case")
	case p.tok.kind == tokenWord && p.tok.text == "of":
		return p.unexpected(expected, `a number stands in front of "of", such as 2 of (a, b, c)`)
	}
	return p.unexpected(expected, `put "and" or "or" between attributes; a value of several words goes in double quotes`)
}
