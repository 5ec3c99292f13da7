package agerecipient

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/age"

	"github.com/veilchart/veilchart/abe"
)

// Identity opens age files that were encrypted to a policy. It is immutable, safe for concurrent use and prints as "redacted". Get one from
// NewIdentity or ParseIdentity.
type Identity struct {
	key  *abe.Key
	opts *abe.Options // behind a pointer: fmt prints an address where it cannot call methods
}

// NewIdentity returns an identity for a key. opts may be nil; it holds what Key.Open takes.
func NewIdentity(key *abe.Key, opts *abe.Options) (*Identity, error) {
	if key == nil || *key == (abe.Key{}) {
		return nil, errNoIdentity
	}
	own := ownOptions(opts)
	return &Identity{key: key, opts: &own}, nil
}

var errNoIdentity = errors.New("agerecipient: no identity: get one from NewIdentity or ParseIdentity")

// Key returns the key.
func (i *Identity) Key() *abe.Key { return i.key }

const redacted = "redacted"

// Format prints "redacted" under every verb.
func (Identity) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Identity) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "redacted", in JSON too. To store the identity use ExposeSecret.
func (Identity) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Unwrap returns the file key. A file that has no stanza of this package, or one that this key is bound not to open, gives an error with
// age.ErrIncorrectIdentity in its chain, so that age tries the next identity; in the second case with the *abe.DeniedError that says why, too. age.Decrypt returns
// them all in its NoIdentityMatchError. Other errors end the attempt: abe.ErrDecrypt if the stanza was changed or the options are not
// those it was sealed with, abe.ErrFormat if it is no stanza of this package.
func (i *Identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if i == nil || i.key == nil {
		return nil, errNoIdentity
	}
	var ours *age.Stanza
	for _, s := range stanzas {
		if s.Type != stanzaType {
			continue
		}
		if ours != nil {
			return nil, fmt.Errorf("agerecipient: %w: a file has one %s stanza at most", abe.ErrFormat, stanzaType)
		}
		ours = s
	}
	if ours == nil {
		return nil, fmt.Errorf("%w: the file is not encrypted to a policy", age.ErrIncorrectIdentity)
	}
	if err := checkStanza(ours); err != nil {
		return nil, err
	}
	fileKey, err := i.key.Open(ours.Body, i.opts)
	if denied := (*abe.DeniedError)(nil); errors.As(err, &denied) {
		return nil, fmt.Errorf("%w: %w", age.ErrIncorrectIdentity, err)
	}
	if err != nil {
		return nil, fmt.Errorf("agerecipient: %w", err)
	}
	return fileKey, nil
}

// checkStanza refuses what Wrap does not make, before any mathematics.
func checkStanza(s *age.Stanza) error {
	if len(s.Args) != 0 {
		return fmt.Errorf("agerecipient: %w: a %s stanza has no arguments, this one has %d", abe.ErrFormat, stanzaType, len(s.Args))
	}
	if len(s.Body) > maxBody {
		return fmt.Errorf("agerecipient: %w: a %s stanza has %d bytes at most, this one has %d", abe.ErrFormat, stanzaType, maxBody, len(s.Body))
	}
	h, err := abe.Inspect(s.Body)
	if err != nil {
		return fmt.Errorf("agerecipient: the %s stanza: %w", stanzaType, err)
	}
	if h.RecordID != "" || len(s.Body)-h.Size != payloadSize+fileKeySize {
		return fmt.Errorf("agerecipient: %w: the %s stanza does not hold a file key", abe.ErrFormat, stanzaType)
	}
	return nil
}
