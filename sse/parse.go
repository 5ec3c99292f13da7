package sse

import (
	"fmt"
	"strings"
)

// MaxQueryText is the most bytes of text that ParseQuery reads.
const MaxQueryText = 1 << 18

// ParseQuery reads a query that people write, such as
//
//	diagnosis:diabetes AND age:[50 TO 70] NOT name:smth~1
//
// field:word finds a word, field:"two words" a phrase or a whole value, field:dia* and field:d?ab* are patterns, field:*abet* any part of a
// value, field:/dia.*/ is a regular expression, field:word~1 allows typing errors, field:sounds("Meier") compares by sound, field:[50 TO 70] and
// field:>=50 are ranges, field:(a OR b) is a list, field:* asks for any value, and *:* for all documents. AND, OR and NOT are written in
// capitals; AND and OR are not mixed without parentheses, and one of them must stand between two clauses: a NOT b is a AND NOT b, and a b
// is an error. Values are read by the type of their field.
//
// The whole text has to be a query; nothing is dropped or guessed. The error is a *SyntaxError, for an invalid schema that of
// Schema.Validate. Limits: MaxQueryText bytes, 4,096 parts, 64 parts inside each other. Time is linear in the text. Query.String writes the same
// language. It is specified in docs/spec/sse-query.md.
func ParseQuery(schema Schema, text string) (Query, error) {
	if err := schema.Validate(); err != nil {
		return Query{}, err
	}
	if len(text) > MaxQueryText {
		return Query{}, &SyntaxError{Offset: MaxQueryText, Found: fmt.Sprintf("%d bytes", len(text)), Expected: fmt.Sprintf("at most %d bytes", MaxQueryText),
			Fix: "split the query, or make it with Or and the other constructors"}
	}
	p := &queryParser{schema: schema, text: text}
	p.space()
	n, err := p.expression(nil)
	if err != nil {
		return Query{}, err
	}
	if p.off < len(p.text) {
		return Query{}, p.unexpected("AND, OR, NOT or the end", "this parenthesis was never opened: remove it")
	}
	return n.query, nil
}

// queryParser is recursive descent over the text. Its recursion is bounded by maxDepth.
type queryParser struct {
	schema Schema
	text   string
	off    int
	depth  int // parentheses open and NOTs read
	open   int // parentheses open
	count  int // parts of the query so far
}

// parsed is a query and how many parts lie inside each other in it.
type parsed struct {
	query Query
	depth int
}

// part counts one part of the query, of which the deepest has depth.
func (p *queryParser) part(off int, q Query, depth int) (parsed, error) {
	if p.count++; p.count > maxClauses {
		return parsed{}, &SyntaxError{Offset: off, Found: "one more part", Expected: fmt.Sprintf("at most %d parts of a query", maxClauses), Fix: "split the query"}
	}
	if depth > maxDepth {
		return parsed{}, p.deep(off)
	}
	return parsed{q, depth}, nil
}

func (p *queryParser) deep(off int) error {
	return &SyntaxError{Offset: off, Found: "one more part inside others", Expected: fmt.Sprintf("at most %d inside each other", maxDepth), Fix: "make the query flatter"}
}

// expression = operand { "AND" operand | "NOT" operand } | operand { "OR" operand }
//
// f is the field of a list, or nil.
func (p *queryParser) expression(f *Field) (parsed, error) {
	start := p.off
	first, err := p.operand(f)
	if err != nil {
		return parsed{}, err
	}
	queries, depth := []Query{first.query}, first.depth
	var operator queryOp
	last := start // where the last operand begins
	for {
		end := p.off
		p.space()
		if p.off == len(p.text) || p.text[p.off] == ')' {
			break
		}
		op, word := opAnd, "AND"
		switch {
		case p.keyword("AND"), p.keyword("NOT"):
		case p.keyword("OR"):
			op, word = opOr, "OR"
		default:
			return parsed{}, p.juxtaposed(p.text[last:end])
		}
		if operator != 0 && op != operator {
			return parsed{}, p.mixed(start, last, end)
		}
		operator = op
		if p.keyword("NOT") { // which belongs to the operand
			last = p.off + len("NOT")
		} else {
			p.off += len(word)
			p.space()
			last = p.off
		}
		n, err := p.operand(f)
		if err != nil {
			return parsed{}, err
		}
		queries, depth = append(queries, n.query), max(depth, n.depth)
	}
	if operator == 0 {
		return first, nil
	}
	return p.part(start, join(operator, queries), depth+1)
}

// mixed says where parentheses can go when operands with one operator, from start to end, are followed by another one.
func (p *queryParser) mixed(start, last, end int) error {
	next := p.word(p.off)
	return p.unexpected("one operator for the whole list", fmt.Sprintf("AND and OR cannot be mixed without parentheses: write one of [(%s) %s ...] and [%s (%s %s ...)]",
		abbreviate(p.text[start:end]), next, abbreviate(strings.TrimSpace(p.text[start:last])), abbreviate(strings.TrimSpace(p.text[last:end])), next))
}

// operand = { "NOT" } ( "(" expression ")" | clause | value )
func (p *queryParser) operand(f *Field) (parsed, error) {
	start := p.off
	switch {
	case p.keyword("NOT"):
		if p.depth++; p.depth > maxDepth {
			return parsed{}, p.deep(p.off)
		}
		p.off += len("NOT")
		p.space()
		n, err := p.operand(f)
		if err != nil {
			return parsed{}, err
		}
		p.depth--
		return p.part(start, Not(n.query), n.depth+1)
	case p.peek() == '(':
		return p.parenthesis(f)
	case f != nil:
		q, err := p.value(f)
		if err != nil {
			return parsed{}, err
		}
		return p.part(start, q, 1)
	}
	return p.clause()
}

func (p *queryParser) parenthesis(f *Field) (parsed, error) {
	start := p.off
	if p.depth++; p.depth > maxDepth {
		return parsed{}, p.deep(p.off)
	}
	p.open++
	p.off++
	p.space()
	n, err := p.expression(f)
	if err != nil {
		return parsed{}, err
	}
	if p.peek() != ')' {
		return parsed{}, p.unexpected(`AND, OR, NOT or ")"`, fmt.Sprintf("close the parenthesis of byte %d", start))
	}
	p.off++
	p.open--
	p.depth--
	return n, nil
}

// clause = "*:*" | field ":" ( value | "(" expression ")" )
func (p *queryParser) clause() (parsed, error) {
	start := p.off
	if strings.HasPrefix(p.text[start:], "*:*") {
		p.off += len("*:*")
		if err := p.ends(); err != nil {
			return parsed{}, err
		}
		return p.part(start, All(), 1)
	}
	f, err := p.field()
	if err != nil {
		return parsed{}, err
	}
	p.off++ // the colon
	p.space()
	if p.peek() == '(' {
		return p.parenthesis(f)
	}
	q, err := p.value(f)
	if err != nil {
		return parsed{}, err
	}
	return p.part(start, q, 1)
}

// field reads the name of a field up to the colon.
func (p *queryParser) field() (*Field, error) {
	const wanted = "a clause such as "
	start := p.off
	example := wanted + p.schema.Fields[0].Name + ":" + p.schema.Fields[0].example()
	if start == len(p.text) {
		return nil, p.stray(start, example)
	}
	name := p.word(start)
	end := start + len(name)
	e := p.stray(start, example)
	switch {
	case end < len(p.text) && p.text[end] == ':' && validFieldName(name):
		for i := range p.schema.Fields {
			if p.schema.Fields[i].Name == name {
				p.off = end
				return &p.schema.Fields[i], nil
			}
		}
		e.Expected, e.Fix, e.cause = "a field of the schema", p.nearest(name), ErrSchema
	case name == "AND" || name == "OR":
		e.Fix = fmt.Sprintf("%s stands between two clauses", name)
	case name == ")":
		e.Fix = "there is nothing inside the parentheses, or nothing behind the operator"
	case name == "*":
		e.Fix = "all documents are *:*"
	case name == ":":
		e.Fix = "the name of a field stands in front of the colon"
	case name == `"`:
		e.Fix = "say in which field: write its name and a colon in front"
	case strings.EqualFold(name, "not"):
		e.Fix = "write NOT in capitals"
	case name[0] == '-' || name[0] == '+':
		e.Fix = "there are no signs for clauses: write NOT, or nothing, and AND between clauses"
	case e.Fix != "" || reserved([]rune(name)[0]):
	case end < len(p.text) && p.text[end] == ':':
		e.Expected, e.cause = "a field of the schema", ErrSchema
		e.Fix = "names of fields are lower-case letters, digits, _, - and ."
		if validFieldName(strings.ToLower(name)) {
			e.Fix = p.nearest(strings.ToLower(name))
		}
	case strings.HasPrefix(p.text[end:], "："):
		e.Fix = "the colon behind a name is the one of ASCII"
	case end < len(p.text) && strings.IndexByte("<>=!", p.text[end]) >= 0:
		e.Fix = fmt.Sprintf("a comparison is written behind a colon, such as %s:%s", abbreviate(name), p.comparison(name))
	default:
		e.Fix = "say in which field: write its name and a colon in front"
	}
	return nil, e
}

// comparison is an example for the field of that name, if there is one.
func (p *queryParser) comparison(name string) string {
	if f, err := p.schema.field(name); err == nil {
		if f.ranged() == nil {
			return ">=" + f.example()
		}
		return f.example()
	}
	return ">=50"
}

// nearest suggests the field whose name is nearest to name, which is in lower case.
func (p *queryParser) nearest(name string) string {
	if len(name) > maxFieldName {
		return fmt.Sprintf("names of fields have at most %d characters", maxFieldName)
	}
	best, least := "", len(name)/3+2 // as many differences are no likeness
	for i := range p.schema.Fields {
		if n := p.schema.Fields[i].Name; difference(n, name) < least {
			best, least = n, difference(n, name)
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	names := make([]string, len(p.schema.Fields))
	for i, f := range p.schema.Fields {
		names[i] = f.Name
	}
	return "the schema has " + abbreviate(strings.Join(names, ", "))
}

// difference is the number of characters to insert, remove or change to make b of a; both are short.
func difference(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// unexpected is the error for what stands here.
func (p *queryParser) unexpected(expected, fix string) *SyntaxError {
	e := p.stray(p.off, expected)
	e.Fix = fix
	return e
}

// juxtaposed is the error for what stands behind the operand last without an operator.
func (p *queryParser) juxtaposed(last string) error {
	expected := "AND, OR, NOT or the end"
	if p.open > 0 {
		expected = `AND, OR, NOT or ")"`
	}
	e := p.stray(p.off, expected)
	word := p.word(p.off)
	upper := strings.ToUpper(word)
	switch {
	case upper == "TO":
		e.Fix = "a range is written in brackets, such as [50 TO 70]"
	case isKeyword(word):
		e.Fix = fmt.Sprintf("put a space behind %s", word)
	case isKeyword(upper):
		e.Fix = fmt.Sprintf("write %s in capitals", upper)
	case strings.HasSuffix(last, "not"):
		e.Fix = "write NOT in capitals"
	case word[0] == '-' || word[0] == '+':
		e.Fix = "there are no signs for clauses: write NOT, or nothing, and AND between clauses"
	case word == "~":
		e.Fix = "~ stands right behind the word"
	case word == "(" || strings.HasPrefix(p.text[p.off+len(word):], ":") || word == "*":
		e.Fix = "put AND or OR between two clauses: query languages differ in what it means to leave them out"
	case e.Fix == "" || word == `"`:
		e.Fix = `a value of several words stands in double quotes, or has "\ " for a space; between two values stands AND or OR, as in name:(a OR b)`
	}
	return e
}
