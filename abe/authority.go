package abe

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Limits of a key.
const (
	maxAttributes = maxItems // attributes, with those that the authority adds for what a holder is not
	maxAtoms      = 4096     // what they and the window come to: a number counts once for each of its bits and once more
)

// Authority issues keys. Its master secret opens everything that was sealed under its Params. It is immutable, safe for
// concurrent use and prints as "redacted". Get one from GenerateAuthority or NewAuthority: of the zero Authority IssueKey and WithVocabulary return
// an error and the other methods panic.
type Authority struct{ hidden **authorityParts }

type authorityParts struct {
	params *Params
	master master
}

func authorityOf(params *Params, m master) *Authority {
	parts := &authorityParts{params, m}
	return &Authority{&parts}
}

func (a *Authority) in() *authorityParts { return *a.hidden }

func (a *Authority) check() error {
	if a == nil || a.hidden == nil {
		return errors.New("abe: no authority: get one from GenerateAuthority or NewAuthority")
	}
	return nil
}

// GenerateAuthority draws a new master secret. vocabulary declares the names that hold numbers, dates or one of several values; nil declares
// none, and then attributes are flags and text. It takes a few milliseconds.
func GenerateAuthority(suite Suite, vocabulary *Vocabulary) (*Authority, error) {
	if vocabulary == nil {
		vocabulary = new(Vocabulary)
	}
	var m master
	switch suite {
	case FABEO:
		m = newFABEOMaster(pairing.RandomScalar())
	case TKN20:
		var err error
		if m, err = generateTKN20(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("abe: %v: choose FABEO, or TKN20 for a standard assumption", suite)
	}
	return authorityOf(newParams(version2, suite, vocabulary, m.public()), m), nil
}

// NewAuthority decodes what ExposeSecret returned. A damaged secret is refused: the encoding carries the
// fingerprint of the params that belong to it. Authorities of version 1 are read. Errors are ErrFormat.
func NewAuthority(secret []byte) (*Authority, error) {
	d := wire.NewDecoder(secret)
	version, suite := decodePrefix(d, wire.KindABEAuthority)
	v := decodeVocabulary(d, version)
	fingerprint := d.Raw(32)
	if d.Err() != nil {
		return nil, d.Err()
	}
	m := decodeMaster(d, suite)
	if d.Err() != nil {
		return nil, d.Err()
	}
	params := newParams(version, suite, v, m.public())
	if subtle.ConstantTimeCompare(fingerprint, params.fingerprint[:]) != 1 {
		d.Failf("the master secret does not belong to the fingerprint stored with it: restore it from a copy")
		return nil, d.Err()
	}
	return authorityOf(params, m), nil
}

// ExposeSecret returns the canonical encoding with the master secret in the clear. Encrypt it before it is stored. docs/spec/abe.md section 7.
func (a *Authority) ExposeSecret() []byte {
	p := a.in().params
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEAuthority, Version: p.version, Suite: uint8(p.suite)})
	b = wire.AppendString(b, p.vocabulary.String())
	return a.in().master.append(append(b, p.fingerprint[:]...))
}

// Params returns what everybody who seals needs.
func (a *Authority) Params() *Params { return a.in().params }

// WithVocabulary returns the same authority, with the same master secret, for another vocabulary. Keys and objects of both go together. Names and
// values may be added; what would change the meaning of objects or keys that are already out is refused: see Vocabulary. An authority of
// version 1 becomes one of version 2.
func (a *Authority) WithVocabulary(vocabulary *Vocabulary) (*Authority, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if vocabulary == nil {
		vocabulary = new(Vocabulary)
	}
	p := a.in().params
	if err := vocabulary.extends(p.vocabulary); err != nil {
		return nil, fmt.Errorf("abe: %w", err)
	}
	return authorityOf(newParams(version2, p.suite, vocabulary, p.public), a.in().master), nil
}

// IssueKey makes a key that reads what is sealed inside window, for a set of different attributes: 1 to 1,024, less those that the authority adds for the values of
// names declared many that the holder does not have. An attribute that is given twice is refused, because
// it is more likely a mistake than a wish; so is a name that is there with a value and as a flag, because a value was more likely
// lost, and what the vocabulary does not allow. An empty Value alone is not noticed: role without one is the flag role. Check values that come from
// elsewhere before they are issued. The same set gives another key each time, and two keys never combine. Cost: one
// multiplication and at first a hash in G1 for each attribute, for a number or date for each bit of its range, and for each of the 1 to 44 prefixes of the window.
func (a *Authority) IssueKey(window Window, attributes ...Attribute) (*Key, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	h, err := a.in().params.holding(window, attributes)
	if err != nil {
		return nil, err
	}
	return a.issue(h.window, h.items)
}

// issue makes a key for items that are within the limits, sorted and different.
func (a *Authority) issue(window Window, items []atom) (*Key, error) {
	s, err := a.in().master.issue(keyAtoms(items, &window))
	if err != nil {
		return nil, err
	}
	return keyOf(&keyParts{version: version2, params: a.in().params, window: window, items: items, secret: s}), nil
}
