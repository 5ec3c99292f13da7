package abe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/veilchart/veilchart/internal/wire"
)

// ErrDecrypt is in the chain of every error of a failed opening whose object had the right shape. Branch on it to tell
// "this key does not open this object" from input and output errors; nothing more can be learned from it.
var ErrDecrypt = errors.New("abe: the object cannot be opened: the key, the companion key or the associated data is not the right one, or the object was changed")

// ErrFormat is in the chain of every error about bytes that are no canonical encoding of what was asked for. Branch on it
// to tell a damaged or foreign file from a refused key; take the file from a good copy.
var ErrFormat = wire.ErrFormat

// ErrUnsupported says that the suite of an authority or key cannot do what was asked for. Branch on it where the suite is not known; FABEO can
// do everything.
var ErrUnsupported = errors.New("abe: this suite cannot do that: use an authority of suite FABEO")

// DeniedKind says why an object was refused before any mathematics.
type DeniedKind int

// The kinds of DeniedError.
const (
	DeniedPolicy      DeniedKind = iota + 1 // the key's attributes do not satisfy the policy
	DeniedAuthority                         // the object was sealed for keys of another authority
	DeniedCompanion                         // the object needs a companion key and none was given
	DeniedNoCompanion                       // a companion key was given and the object was sealed without one
	DeniedWindow                            // the object was sealed on a day that the key does not read
	DeniedHybrid                            // the object needs an ML-KEM-768 key and none was given
	DeniedNoHybrid                          // an ML-KEM-768 key was given and the object was sealed without one
)

// DeniedError says from public data why an opening is bound to fail, so that a person can be told. The lock does not depend
// on it: without this check the mathematics would fail. ErrDecrypt is in its chain.
type DeniedError struct {
	Kind        DeniedKind
	Explanation Explanation // for DeniedPolicy: what the policy asks for and what the key lacks; otherwise zero
	Day         Day         // for DeniedWindow: the sealing day; otherwise zero
	Window      Window      // for DeniedWindow: the days that the key reads, zero for a key of version 1; otherwise zero
}

// Error says what is wrong and what to do.
func (e *DeniedError) Error() string {
	switch e.Kind {
	case DeniedPolicy:
		return "abe: this key does not satisfy the policy: " + strings.TrimPrefix(e.Explanation.String(), "refused: ")
	case DeniedAuthority:
		return "abe: this object was sealed for keys of another authority: use a key that this authority issued"
	case DeniedWindow:
		if e.Window == (Window{}) {
			return fmt.Sprintf("abe: this object was sealed on %v and this key of version 1 knows no days: ask for a new key", e.Day)
		}
		return fmt.Sprintf("abe: this object was sealed on %v and this key reads %v: ask for a key whose window has that day", e.Day, e.Window)
	case DeniedHybrid:
		return "abe: this object needs an ML-KEM-768 key: pass it in Options.HybridKey"
	case DeniedNoHybrid:
		return "abe: this object was sealed without an ML-KEM-768 key: if that is expected, leave Options.HybridKey empty"
	case DeniedCompanion:
		return "abe: this object needs a companion key: pass it in Options.Companion"
	case DeniedNoCompanion:
		return "abe: this object was sealed without a companion key: if that is expected, leave Options.Companion empty"
	}
	return "abe: denied"
}

// Unwrap returns ErrDecrypt.
func (e *DeniedError) Unwrap() error { return ErrDecrypt }
