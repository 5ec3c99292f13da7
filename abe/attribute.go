package abe

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of an attribute.
const (
	maxName  = 64  // bytes of a name
	maxValue = 256 // bytes of a value
)

// Kind says what the value of an attribute is.
type Kind uint8

// The kinds.
const (
	Text   Kind = iota // any text; the empty value makes the attribute a flag
	Number             // an integer of 64 bits in decimal, such as 42 or -5
	Date               // a day, such as 1990-01-31
	Not                // a value that the holder does not have, of a name declared many: only an authority adds these
)

// Attribute is what a key holds and a policy asks for: a name with a value, such as role = doctor, or a name alone, which
// is called a flag, such as on-call.
//
// Name is 1 to 64 bytes of lower-case ASCII letters, digits, '-', '_' and '.', begins with a letter, holds no two dots in
// a row and is none of the words and, or, not, in, of. A Value of kind Text or Not is up to 256 bytes of UTF-8 in normalization form C,
// without unassigned code points and U+FFFD, not beginning with a combining mark; invisible characters are allowed but always
// printed as escapes. Upper and lower case differ in values. The empty Value of kind Text makes the attribute a flag: no text and no
// encoding has a value that is there and empty, so that a flag cannot be taken for one. A Value of kind Number or Date is
// in its one form: no plus sign, no leading zero, no -0; dates from 0001-01-01 to 9999-12-31.
//
// Two attributes are the same if and only if they are == as Go values. The number 3 and the text "3" are not the same.
//
// Beware of a Value that comes from elsewhere, such as a field of a database: where it is empty, the attribute is a flag and not
// "role without a value", and nothing reports an error. It matches policies that ask for the flag and no others. Check such a
// value for "" before.
type Attribute struct {
	Name  string
	Value string
	Kind  Kind
}

// ParseAttribute reads one attribute as policies write it: `role = doctor`, `dept = "intensive care"`, `on-call`, `age = 42`,
// `born = 1990-01-31`, `dept != psychiatry`. The text may be up to 4 KiB long. The error is a *SyntaxError.
func ParseAttribute(text string) (Attribute, error) {
	p, err := newParser(text)
	if err != nil {
		return Attribute{}, err
	}
	q, err := p.predicate()
	if err != nil {
		return Attribute{}, err
	}
	if p.tok.kind != tokenEnd {
		return Attribute{}, p.unexpected("the end, for one attribute was asked for")
	}
	a := Attribute{Name: q.name, Kind: q.kind}
	switch {
	case q.op == opFlag:
		return a, nil
	case q.op == opUnequal && q.kind == Text:
		a.Kind = Not
	case q.op != opEqual:
		return Attribute{}, &SyntaxError{0, showText(text), "one attribute, such as age = 42", "an attribute has one value; comparisons stand in policies"}
	}
	a.Value = p.policy.values[q.from]
	return a, nil
}

// String is the canonical text of the attribute, which ParseAttribute reads back. A name that no policy can hold is
// printed in quotes, so that it is seen to be wrong.
func (a Attribute) String() string { return string(a.append(nil)) }

func (a Attribute) append(b []byte) []byte {
	if checkName(a.Name) == "" {
		b = append(b, a.Name...)
	} else {
		b = appendQuoted(b, a.Name)
	}
	if a.Value == "" && a.Kind == Text {
		return b
	}
	if a.Kind == Not {
		b = append(b, " != "...)
	} else {
		b = append(b, " = "...)
	}
	return appendLiteral(b, a.Kind, a.Value)
}

// appendLiteral appends a value in the form that a policy has for its kind. What no policy can hold is printed after a question mark,
// so that it is seen to be wrong.
func appendLiteral(b []byte, kind Kind, value string) []byte {
	switch {
	case kind == Number || kind == Date:
		if _, fix := parseOrdinal(kind, value); fix == "" {
			return append(b, value...)
		}
		b = append(b, '?')
	case kind > Not:
		b = append(b, '?')
	case checkBare(value) == "":
		return append(b, value...)
	}
	return appendQuoted(b, value)
}

// validate says what is wrong with an attribute that did not come from a parser, and what to do.
func (a Attribute) validate() error {
	fix := checkName(a.Name)
	switch {
	case fix != "":
	case a.Kind == Text && a.Value == "": // a flag
	case a.Kind == Text || a.Kind == Not:
		fix = checkValue(a.Value)
	case a.Kind == Number || a.Kind == Date:
		_, fix = parseOrdinal(a.Kind, a.Value)
	default:
		fix = "the kinds are Text, Number, Date and Not"
	}
	if fix != "" {
		return fmt.Errorf("attribute %v cannot be used: %s", a, fix)
	}
	return nil
}

// isKeyword knows the words that are no names and no bare values. For values the case does not matter: `role = AND` is
// more likely a slip than a role.
func isKeyword(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not", "in", "of":
		return true
	}
	return false
}

// checkName returns what to do about a name, or "" if it is one.
func checkName(name string) (fix string) {
	switch {
	case name == "":
		return "give a name"
	case len(name) > maxName:
		return fmt.Sprintf("shorten the name from %d to at most %d bytes", len(name), maxName)
	case isKeyword(name) && name == strings.ToLower(name):
		return fmt.Sprintf("%s is a keyword, choose another name", name)
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			return "write names in lower case"
		} else if !isWordByte(c) {
			return "write names with lower-case ASCII letters, digits, '-', '_' and '.' only"
		}
	}
	return checkWord(name)
}

// checkBare returns what to do about a value written without quotes, or "" if it can stand like that.
func checkBare(value string) (fix string) {
	switch {
	case value == "":
		return "leave out = for a flag: there is no empty value"
	case len(value) > maxValue:
		return fmt.Sprintf("shorten the value from %d to at most %d bytes", len(value), maxValue)
	case isKeyword(value):
		return "it looks like a keyword, put the value in double quotes"
	}
	for i := 0; i < len(value); i++ {
		if !isWordByte(value[i]) {
			return "put the value in double quotes"
		}
	}
	return checkWord(value)
}

// checkWord returns what to do about the shape that names and bare values share, or "". What begins with a digit is a number or
// a date, what holds two dots a range.
func checkWord(word string) (fix string) {
	if !isLetter(word[0]) {
		return "begin with a letter; a value that does not, put in double quotes"
	}
	if strings.Contains(word, "..") {
		return "two dots stand only in ranges of numbers and dates; use one, or put the value in double quotes"
	}
	return ""
}

// checkValue returns what to do about a value in its decoded form, or "" if it is one.
func checkValue(value string) (fix string) {
	switch {
	case value == "":
		return "leave out = for a flag: there is no empty value"
	case len(value) > maxValue:
		return fmt.Sprintf("shorten the value from %d to at most %d bytes", len(value), maxValue)
	case !utf8.ValidString(value):
		return "write the value in UTF-8"
	}
	for _, r := range value {
		if !isAssigned(r) {
			return fmt.Sprintf("leave out U+%04X, which no value can hold", r)
		}
	}
	if first, _ := utf8.DecodeRuneInString(value); isMark(first) {
		return "begin the value with something other than a combining mark"
	}
	if !norm.NFC.IsNormalString(value) {
		return fmt.Sprintf("write the value in Unicode normalization form C: %s", appendQuoted(nil, norm.NFC.String(value)))
	}
	return ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '-' || c == '_' || c == '.' }
