package abe

import (
	"errors"

	"github.com/veilchart/veilchart/internal/wire"
)

// ErrDecrypt is in the chain of every error of a failed opening whose object had the right shape. Branch on it to tell
// "this key does not open this object" from input and output errors; nothing more can be learned from it.
var ErrDecrypt = errors.New("abe: the object cannot be opened: the key, the companion key or the associated data is not the right one, or the object was changed")

// ErrFormat is in the chain of every error about bytes that are no canonical encoding of what was asked for. Branch on it
// to tell a damaged or foreign file from a refused key; take the file from a good copy.
var ErrFormat = wire.ErrFormat

// DeniedKind says why an object was refused before any mathematics.
type DeniedKind int

// The kinds of DeniedError.
const (
	DeniedPolicy      DeniedKind = iota + 1 // the key's attributes do not satisfy the policy
	DeniedAuthority                         // the object was sealed under the params of another authority
	DeniedCompanion                         // the object needs a companion key and none was given
	DeniedNoCompanion                       // a companion key was given and the object was sealed without one
)

// DeniedError says from public data why an opening is bound to fail, so that a person can be told. The lock does not depend
// on it: without this check the mathematics would fail. ErrDecrypt is in its chain.
type DeniedError struct {
	Kind        DeniedKind
	Explanation Explanation // for DeniedPolicy: what the policy asks for and what the key lacks; otherwise zero
}

// Error says what is wrong and what to do.
func (e *DeniedError) Error() string {
	switch e.Kind {
	case DeniedPolicy:
		return "abe: this key does not satisfy the policy: " + e.Explanation.String()
	case DeniedAuthority:
		return "abe: this object was sealed under another authority's params: use a key that this authority issued"
	case DeniedCompanion:
		return "abe: this object needs a companion key: pass it in Options.Companion"
	case DeniedNoCompanion:
		return "abe: this object was sealed without a companion key: if that is expected, leave Options.Companion empty"
	}
	return "abe: denied"
}

// Unwrap returns ErrDecrypt.
func (e *DeniedError) Unwrap() error { return ErrDecrypt }
