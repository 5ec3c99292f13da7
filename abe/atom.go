package abe

// atom is one thing that a key has a component for and a row of the share matrix asks for: the canonical encoding of
// docs/spec/policy.md section 5, which is the input of the hash to the curve.
type atom string

// atom returns the atom of an attribute.
func (a Attribute) atom() atom { return atom(a.encode()) }
