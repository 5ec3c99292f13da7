package abe

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/veilchart/veilchart/internal/wire"
)

// Limits of an attribute.
const (
	maxName  = 64  // bytes of a name
	maxValue = 256 // bytes of a value
)

// Attribute is what a key holds and a policy asks for: a name with a value, such as role = doctor, or a name alone, which
// is called a flag, such as on-call.
//
// Name is 1 to 64 bytes of lower-case ASCII letters, digits, '-', '_' and '.', begins with a letter, holds no two dots in
// a row and is none of the words and, or, not, in, of. Value is up to 256 bytes of UTF-8 in normalization form C, without
// unassigned code points and U+FFFD, not beginning with a combining mark; invisible characters are allowed but always
// printed as escapes. Upper and lower case differ in values. The empty Value makes the attribute a flag: no text and no
// encoding has a value that is there and empty, so that a flag cannot be taken for one.
//
// Two attributes are the same if and only if they are == as Go values.
//
// Beware of a Value that comes from elsewhere, such as a field of a database: where it is empty, the attribute is a flag and not
// "role without a value", and nothing reports an error. It matches policies that ask for the flag and no others. Check such a
// value for "" before.
type Attribute struct {
	Name  string
	Value string
}

// ParseAttribute reads one attribute as policies write it: `role = doctor`, `dept = "intensive care"`, `on-call`. The text
// may be up to 4 KiB long. The error is a *SyntaxError.
func ParseAttribute(text string) (Attribute, error) {
	p, err := newParser(text)
	if err != nil {
		return Attribute{}, err
	}
	a, err := p.attribute()
	if err != nil {
		return Attribute{}, err
	}
	if p.tok.kind != tokenEnd {
		return Attribute{}, p.unexpected("the end, for one attribute was asked for")
	}
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
	if a.Value == "" {
		return b
	}
	b = append(b, " = "...)
	if checkBare(a.Value) == "" {
		return append(b, a.Value...)
	}
	return appendQuoted(b, a.Value)
}

// validate says what is wrong with an attribute that did not come from a parser, and what to do.
func (a Attribute) validate() error {
	if fix := checkName(a.Name); fix != "" {
		return fmt.Errorf("attribute %v cannot be used: %s", a, fix)
	}
	if fix := checkValue(a.Value); a.Value != "" && fix != "" {
		return fmt.Errorf("attribute %v cannot be used: %s", a, fix)
	}
	return nil
}

// Types of an attribute in its encoding, docs/spec/policy.md section 5. Others are reserved.
const (
	attributeVersion  = 1
	attributeTypeFlag = 1
	attributeTypeText = 2
)

// encode is the input of the hash to the curve: version, type, name, value, each of fixed width or with its length. It is
// injective, so that no two attributes share a curve point.
func (a Attribute) encode() []byte {
	b := make([]byte, 0, 2+4+len(a.Name)+4+len(a.Value))
	if a.Value == "" {
		b = append(b, attributeVersion, attributeTypeFlag)
		return wire.AppendString(b, a.Name)
	}
	b = append(b, attributeVersion, attributeTypeText)
	b = wire.AppendString(b, a.Name)
	return wire.AppendString(b, a.Value)
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

// checkWord returns what to do about the shape that names and bare values share, or "". A first digit would keep the next
// version of the language from having numbers and dates, two dots from having ranges.
func checkWord(word string) (fix string) {
	if !isLetter(word[0]) {
		return "begin with a letter; a value that does not, put in double quotes"
	}
	if strings.Contains(word, "..") {
		return "two dots are kept for ranges; use one, or put the value in double quotes"
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
