package abe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a vocabulary.
const (
	maxVocabulary = 64 << 10 // bytes of text
	maxNames      = 128      // declared
	maxValues     = 1024     // of all enumerations together
)

// Vocabulary declares names: what their values are, and how many of them a key may hold. It is what makes comparison and negation honest.
//
//	role: one of doctor, nurse, biller
//	dept: many of cardiology, "intensive care", psychiatry
//	age: number 0..150
//	born: date 1900-01-01..2100-12-31
//	on-call: flag
//	project: text
//
// A key holds at most one value of a name declared one, number or date. For a name declared many the authority also issues, for every value
// that the holder does not have, the attribute that says so. Undeclared names are flags and texts and can be asked for with = and in (a, b)
// only.
//
// Vocabulary is immutable and may be shared between goroutines. The nil Vocabulary declares nothing.
type Vocabulary struct {
	declarations []declaration // by name
	text         string
}

// meaning is what a declaration says about a name.
type meaning uint8

const (
	undeclared meaning = iota
	declaredFlag
	declaredText
	declaredOne
	declaredMany
	declaredNumber
	declaredDate
)

var meaningTexts = [...]string{declaredFlag: "flag", declaredText: "text", declaredOne: "one", declaredMany: "many", declaredNumber: "number", declaredDate: "date"}

func (m meaning) ordinal() Kind {
	switch m {
	case declaredNumber:
		return Number
	case declaredDate:
		return Date
	}
	return Text
}

func (m meaning) atomType() byte {
	if m == declaredDate {
		return atomDate
	}
	return atomNumber
}

type declaration struct {
	name   string
	is     meaning
	off    int32    // where it was read
	lo, hi int64    // number and date
	values []string // one and many, ascending
}

// noDeclaration stands for the declaration of a name that has none.
var noDeclaration = new(declaration)

// find returns the declaration of a name, or noDeclaration.
func (v *Vocabulary) find(name string) *declaration {
	if v != nil {
		i, ok := slices.BinarySearchFunc(v.declarations, name, func(d declaration, name string) int { return strings.Compare(d.name, name) })
		if ok {
			return &v.declarations[i]
		}
	}
	return noDeclaration
}

// has reports whether value is one of an enumeration.
func (d *declaration) has(value string) bool {
	_, ok := slices.BinarySearch(d.values, value)
	return ok
}

// pieces gives the canonical line of d piece by piece, so that it can be compared without being built. Pieces are built in b, one after the
// other in the same place.
func (d *declaration) pieces(b []byte, emit func([]byte)) {
	b = b[:0]
	emit(append(append(append(b, d.name...), ": "...), meaningTexts[d.is]...))
	switch d.is {
	case declaredOne, declaredMany:
		separator := " of "
		for _, value := range d.values {
			emit(appendLiteral(append(b, separator...), Text, value))
			separator = ", "
		}
	case declaredNumber, declaredDate:
		b = appendOrdinal(append(b, ' '), d.is.ordinal(), d.lo)
		emit(appendOrdinal(append(b, ".."...), d.is.ordinal(), d.hi))
	}
	emit(append(b[:0], '\n'))
}

// String is the declaration without its line end.
func (d *declaration) String() string {
	var s strings.Builder
	d.pieces(nil, func(piece []byte) { s.Write(piece) })
	return strings.TrimSuffix(s.String(), "\n")
}

// ParseVocabulary reads a vocabulary: one declaration on a line, in any order; blank lines mean nothing. Limits: 64 KiB of text, also in canonical
// form, 128 names, 1,024 values in all enumerations together. The error is a *SyntaxError. The language is docs/spec/policy.md.
func ParseVocabulary(text string) (*Vocabulary, error) {
	v, err := readDeclarations(text)
	if err != nil || v.isCanonical(text) {
		return v, err
	}
	v.print()
	if n := len(v.text); n > maxVocabulary {
		return nil, &SyntaxError{len(text), fmt.Sprintf("%d bytes in canonical form", n), fmt.Sprintf("at most %d", maxVocabulary), "shorten the vocabulary"}
	}
	return v, nil
}

// readDeclarations reads a vocabulary whose text is not set yet.
func readDeclarations(text string) (*Vocabulary, error) {
	if len(text) > maxVocabulary {
		return nil, &SyntaxError{maxVocabulary, fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", maxVocabulary), "shorten the vocabulary"}
	}
	v := &Vocabulary{declarations: make([]declaration, 0, min(maxNames, strings.Count(text, ":")))}
	p := &parser{policy: &Policy{values: make([]string, 0, min(maxValues, strings.Count(text, "of")+strings.Count(text, ",")))}}
	for start := 0; start < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i
		}
		p.text, p.off = text[:end], start
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind != tokenEnd {
			if len(v.declarations) == maxNames {
				return nil, p.unexpected(fmt.Sprintf("at most %d names", maxNames), "declare fewer names")
			}
			d, err := p.declaration()
			if err != nil {
				return nil, err
			}
			v.declarations = append(v.declarations, d)
		}
		start = end + 1
	}
	slices.SortStableFunc(v.declarations, func(a, b declaration) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(v.declarations); i++ {
		if d := &v.declarations[i]; d.name == v.declarations[i-1].name {
			return nil, &SyntaxError{int(d.off), showText(d.name), "each name once", "a name has one declaration; remove this one or the other"}
		}
	}
	return v, nil
}

// isCanonical reports whether text is the canonical text, and keeps it then.
func (v *Vocabulary) isCanonical(text string) bool {
	rest, same := text, true
	b := make([]byte, 0, 1024) // more than a value with its escapes takes, except for rare ones
	for i := range v.declarations {
		v.declarations[i].pieces(b, func(piece []byte) {
			if same = same && len(piece) <= len(rest) && rest[:len(piece)] == string(piece); same {
				rest = rest[len(piece):]
			}
		})
	}
	if same = same && rest == ""; same {
		v.text = text
	}
	return same
}

// print sets the canonical text.
func (v *Vocabulary) print() {
	var s strings.Builder
	for i := range v.declarations {
		v.declarations[i].pieces(nil, func(piece []byte) { s.Write(piece) })
	}
	v.text = s.String()
}

// declaration = name ":" ( "flag" / "text" / ( "one" / "many" ) "of" value *( "," value ) / ( "number" / "date" ) range )
func (p *parser) declaration() (d declaration, err error) {
	d.name, d.off = p.tok.text, int32(p.tok.off)
	if p.tok.kind != tokenWord {
		return d, p.unexpected("a name", "write one declaration on a line, such as role: one of doctor, nurse")
	}
	if fix := checkName(d.name); fix != "" {
		return d, p.unexpected("a name", fix)
	}
	for p.off < len(p.text) && (p.text[p.off] == ' ' || p.text[p.off] == '\t') {
		p.off++
	}
	if p.off == len(p.text) || p.text[p.off] != ':' {
		return d, &SyntaxError{p.off, showText(p.text[p.off:min(len(p.text), p.off+1)]), ":", "put a colon between a name and what it is, such as on-call: flag"}
	}
	p.off++
	if err := p.advance(); err != nil {
		return d, err
	}
	const expected = "flag, text, one of, many of, number or date"
	if i := slices.Index(meaningTexts[declaredFlag:], p.tok.text); p.tok.kind == tokenWord && i >= 0 {
		d.is = declaredFlag + meaning(i)
	} else {
		return d, p.unexpected(expected, "say what the values of "+d.name+" are")
	}
	if err := p.advance(); err != nil {
		return d, err
	}
	switch d.is {
	case declaredOne, declaredMany:
		err = p.enumeration(&d)
	case declaredNumber, declaredDate:
		err = p.declaredRange(&d)
	}
	if err == nil && p.tok.kind != tokenEnd {
		err = p.unexpected("the end of the line", "write one declaration on a line; a value of several words goes in double quotes")
	}
	return d, err
}

// enumeration = "of" value *( "," value )
func (p *parser) enumeration(d *declaration) error {
	if p.tok.kind != tokenWord || p.tok.text != "of" {
		return p.unexpected("of", "write the values after of, such as "+meaningTexts[d.is]+" of doctor, nurse")
	}
	from := len(p.policy.values)
	for {
		if err := p.advance(); err != nil {
			return err
		}
		if len(p.policy.values) == maxValues {
			return p.unexpected(fmt.Sprintf("at most %d values in all enumerations together", maxValues), "declare a name with more values as text")
		}
		if p.tok.kind == tokenNumber {
			return p.unexpected("a value", "the values of an enumeration are texts; put those that look like numbers in double quotes, or declare a number or a date")
		}
		if _, err := p.literal(); err != nil {
			return err
		}
		if p.tok.kind != tokenComma {
			break
		}
	}
	d.values = p.policy.values[from:len(p.policy.values):len(p.policy.values)]
	slices.Sort(d.values)
	for i := 1; i < len(d.values); i++ {
		if d.values[i] == d.values[i-1] {
			return &SyntaxError{int(d.off), showText(d.name), "each value once", "remove one of the two " + abbreviate(string(appendLiteral(nil, Text, d.values[i])))}
		}
	}
	return nil
}

// declaredRange = value ".." value, in one token
func (p *parser) declaredRange(d *declaration) error {
	tok, q := p.tok, predicate{}
	such := "age: number 0..150"
	if d.is == declaredDate {
		such = "born: date 1900-01-01..2100-12-31"
	}
	expected := "a range of " + meaningTexts[d.is] + "s"
	if tok.kind != tokenNumber || !strings.Contains(tok.text, "..") {
		return p.unexpected(expected, "write the range, without spaces in it, such as "+such)
	}
	from := len(p.policy.values)
	if err := p.span(&q); err != nil {
		return err
	}
	ends := p.policy.values[from:]
	p.policy.values = p.policy.values[:from]
	if q.kind != d.is.ordinal() {
		return &SyntaxError{tok.off, showText(tok.text), expected, "write such as " + such}
	}
	d.lo, _ = parseOrdinal(q.kind, ends[0])
	d.hi, _ = parseOrdinal(q.kind, ends[1])
	if !validRange(d.lo, d.hi) {
		return &SyntaxError{tok.off, showText(tok.text), "a range of 2 to 9223372036854775808 values", "declare a flag for what has one value, and a smaller range for what has more"}
	}
	return nil
}

// String is the canonical text: the declarations by name, each ended by a line feed. ParseVocabulary reads it back. It is the text that
// params hold. The nil Vocabulary has the text "".
func (v *Vocabulary) String() string {
	if v == nil {
		return ""
	}
	return v.text
}

// MarshalText returns String, so that a vocabulary is a string in JSON. The error is always nil.
func (v *Vocabulary) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v to what ParseVocabulary reads in text; the error is a *SyntaxError. It is for a new Vocabulary that nobody else has
// yet.
func (v *Vocabulary) UnmarshalText(text []byte) error {
	parsed, err := ParseVocabulary(string(text))
	if err != nil {
		return err
	}
	*v = *parsed
	return nil
}

// Check says whether p means something under v: whether what it compares or negates is declared so that it can be, whether it can be satisfied at all
// where that is plain to see, and whether it has at most 1,024 leaves and 16 uses of one after expansion. Sealing refuses what Check
// refuses. See Lint for what is allowed and still likely a mistake.
func (v *Vocabulary) Check(p *Policy) error {
	if err := p.check(); err != nil {
		return err
	}
	_, _, err := p.size(v)
	return err
}

// admits says whether the authority may issue a, which is valid by itself.
func (d *declaration) admits(a Attribute) error {
	refuse := func(fix string) error { return fmt.Errorf("attribute %v cannot be issued: %s", a, fix) }
	switch {
	case a.Kind == Not:
		return refuse("the authority itself adds what a holder of a name declared many does not have; leave it out")
	case d.is == undeclared:
		if a.Kind != Text {
			return refuse(a.Name + " is not declared; " + declareHint(a.Kind, a.Name) + ", or give a text")
		}
	case a.Kind != d.is.ordinal():
		kind := d.is.ordinal()
		fix := "give a " + kindTexts[kind]
		if _, none := parseOrdinal(kind, a.Value); kind != Text && none == "" { // 42 as a text: it is there, and its kind is not
			fix = fmt.Sprintf("set Kind to %s, or use ParseAttribute(`%s = %s`)", kindNames[kind], a.Name, a.Value)
		} else if d.is == declaredFlag {
			fix = "give it without a value, of kind Text"
		} else if kind == Text {
			fix += ": set Kind to Text, or put the value in double quotes for ParseAttribute"
		}
		return refuse(d.name + " is declared " + abbreviate(d.String()) + "; " + fix)
	case d.is == declaredFlag && a.Value != "":
		return refuse(d.name + " is declared a flag; give it without a value")
	case d.is != declaredFlag && a.Value == "":
		return refuse(d.name + " is declared " + abbreviate(d.String()) + "; give it with a value")
	case (d.is == declaredOne || d.is == declaredMany) && !d.has(a.Value):
		return refuse("the vocabulary does not have this value; it has " + abbreviate(d.String()))
	case d.is == declaredNumber || d.is == declaredDate:
		if x, _ := parseOrdinal(a.Kind, a.Value); x < d.lo || x > d.hi {
			return refuse("it is outside of the range that is declared, " + d.String())
		}
	}
	return nil
}

var (
	kindTexts = [...]string{Text: "text", Number: "number", Date: "date"}
	kindNames = [...]string{Number: "Number", Date: "Date"}
)

// declareHint says how to declare a name so that its values can be of a kind.
func declareHint(kind Kind, name string) string {
	switch kind {
	case Number:
		return "declare it in the vocabulary, such as " + name + ": number 0..150"
	case Date:
		return "declare it in the vocabulary, such as " + name + ": date 1900-01-01..2100-12-31"
	}
	return "declare it in the vocabulary, such as " + name + ": one of ... or " + name + ": many of ..."
}

// items returns what a key for the attributes holds, ascending: the attributes, which it checks, and for every name declared
// many the values that are not among them.
func (v *Vocabulary) items(attributes []Attribute) ([]atom, error) {
	if len(attributes) == 0 {
		return nil, errors.New("a key needs at least one attribute: name what the holder is or may do")
	}
	if len(attributes) > maxItems {
		return nil, fmt.Errorf("%d attributes are over the limit of %d: issue several keys", len(attributes), maxItems)
	}
	items := make([]atom, 0, len(attributes))
	held := make(map[string]Attribute, len(attributes)) // by name: the last one
	given := make(map[Attribute]bool, len(attributes))
	for _, a := range attributes {
		item, err := a.item(v)
		if err != nil {
			return nil, err
		}
		d, before := v.find(a.Name), held[a.Name]
		switch {
		case given[a]:
			return nil, fmt.Errorf("attribute %v is given twice: give it once", a)
		case before.Name == "":
		case d.is == declaredOne || d.is == declaredNumber || d.is == declaredDate:
			return nil, fmt.Errorf("attributes %v and %v cannot be issued together: a key has one value of what is declared %s", before, a, abbreviate(d.String()))
		case (before.Value == "") != (a.Value == ""):
			valued := a
			if a.Value == "" {
				valued = before
			}
			return nil, fmt.Errorf("%s is given with the value %s and as a flag, without one: if a value was lost, find it, otherwise give the flag another name",
				a.Name, appendQuoted(nil, valued.Value))
		}
		held[a.Name], given[a] = a, true
		items = append(items, item)
	}
	if v != nil {
		for i := range v.declarations {
			if d := &v.declarations[i]; d.is == declaredMany {
				for _, value := range d.values {
					if !given[Attribute{Name: d.name, Value: value}] {
						items = append(items, Attribute{Name: d.name, Value: value, Kind: Not}.atom())
					}
				}
			}
		}
	}
	if len(items) > maxItems {
		return nil, fmt.Errorf("%d attributes, with the values of names declared many that the holder does not have, are over the limit of %d: declare fewer values", len(items), maxItems)
	}
	slices.Sort(items)
	return items, nil
}

// extends says why v may not follow old, in an authority that has issued keys and whose params have sealed objects: what was issued and
// sealed before must not come to mean something else. Names and values may be added, with one exception. docs/spec/policy.md section 10.
func (v *Vocabulary) extends(old *Vocabulary) error {
	if old != nil {
		for i := range old.declarations {
			was := &old.declarations[i]
			is := v.find(was.name)
			switch {
			case is.is == undeclared:
				return fmt.Errorf("%s cannot be removed from the vocabulary: objects that were sealed rely on how its keys are issued; keep the declaration", was.name)
			case is.is != was.is:
				return fmt.Errorf("%s was declared %s and cannot become %s: keys and objects that exist would mean something else; declare another name", was.name, meaningTexts[was.is], meaningTexts[is.is])
			case is.lo != was.lo || is.hi != was.hi:
				return fmt.Errorf("%s was declared %v and cannot get another range: no key would open what was sealed under the other one; declare another name", was.name, was)
			}
			for _, value := range was.values {
				if !is.has(value) {
					return fmt.Errorf("%s cannot lose its value %s: objects that were sealed rely on it; keep the value", was.name, appendLiteral(nil, Text, value))
				}
			}
		}
	}
	if v != nil {
		for i := range v.declarations {
			if d := &v.declarations[i]; d.is == declaredOne && old.find(d.name).is == undeclared {
				return fmt.Errorf("%s cannot be declared one now: a key that was issued before may hold two of its values and would pass where one of them is shut out; "+
					"declare it many, which is honest for keys of any age", d.name)
			}
		}
	}
	return nil
}
