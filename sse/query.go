package sse

// Query says which documents to find. Make it with Term, Range, Prefix, Wildcard, Regexp, Fuzzy, Substring, Phrase, Sounds, Exists, All,
// And, Or and Not, or with ParseQuery from text. It is checked against the schema when it is used; the zero Query is refused.
type Query struct {
	op       queryOp
	field    string // all but And, Or, Not and All
	value    Value  // Term; Range: the lower end
	high     Value  // Range
	text     string // Prefix, Wildcard, Regexp, Fuzzy, Substring, Phrase, Sounds
	distance int    // Fuzzy
	sub      []Query
}

type queryOp uint8

const (
	opTerm queryOp = iota + 1
	opRange
	opPrefix
	opFuzzy
	opAnd
	opOr
	opNot
	opWildcard
	opRegexp
	opSubstring
	opPhrase
	opSounds
	opExists
	opAll
)

// Term finds documents that have the value in the field. In a text field they must have all words of the value.
func Term(field string, v Value) Query { return Query{op: opTerm, field: field, value: v} }

// Range finds documents with a value from low to high, both included, in an integer, decimal, date or time field. The zero Value stands for
// the end of the declared interval.
func Range(field string, low, high Value) Query {
	return Query{op: opRange, field: field, value: low, high: high}
}

// Prefix finds documents with a value (keyword field) or a word (text field) that begins with text. Of several words in a text
// field the last is the beginning of a word and the others are whole. The field needs Field.Prefix.
func Prefix(field, text string) Query { return Query{op: opPrefix, field: field, text: text} }

// Fuzzy finds documents with a value (keyword field) or a word (text field) that is at most distance edits away: a character
// more, less or changed, or two neighbours changed about. distance is 1 or 2. Of several words in a text field each must be
// near. The field needs Field.Fuzzy.
func Fuzzy(field, text string, distance int) Query {
	return Query{op: opFuzzy, field: field, text: text, distance: distance}
}

// Wildcard finds documents with a value (keyword field) or a word (text and name fields) that as a whole matches the pattern: * stands
// for any characters, also none, ? for one character, and \*, \? and \\ for the characters *, ? and \. Another backslash is refused.
// The field needs Field.Prefix.
func Wildcard(field, pattern string) Query {
	return Query{op: opWildcard, field: field, text: pattern}
}

// Regexp finds documents with a value (keyword field) or a word (text and name fields) that as a whole matches the regular expression,
// in the syntax of package regexp. The field needs Field.Prefix.
func Regexp(field, expression string) Query {
	return Query{op: opRegexp, field: field, text: expression}
}

// Substring finds documents with a value that has text somewhere in it, whatever the case and accents. The field needs
// Field.Substring.
func Substring(field, text string) Query { return Query{op: opSubstring, field: field, text: text} }

// Phrase finds documents with a value that has the words of text one after the other. The field needs Field.Phrase.
func Phrase(field, text string) Query { return Query{op: opPhrase, field: field, text: text} }

// Sounds finds documents with a name that sounds like text, in a name field. Of several words each must be found.
func Sounds(field, text string) Query { return Query{op: opSounds, field: field, text: text} }

// Exists finds documents that have a value in the field.
func Exists(field string) Query { return Query{op: opExists, field: field} }

// All finds all documents.
func All() Query { return Query{op: opAll} }

// And finds documents that all of the queries find. There must be at least one; And of one query is that query.
func And(q ...Query) Query { return join(opAnd, q) }

// Or finds documents that at least one of the queries finds. There must be at least one; Or of one query is that query.
func Or(q ...Query) Query { return join(opOr, q) }

func join(op queryOp, q []Query) Query {
	if len(q) == 1 {
		return q[0]
	}
	return Query{op: op, sub: q}
}

// Not finds documents that the query does not find. Alone it finds all others.
func Not(q Query) Query { return Query{op: opNot, sub: []Query{q}} }
