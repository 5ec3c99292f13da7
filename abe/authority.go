package abe

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// maxAttributes is the largest number of attributes of one key.
const maxAttributes = 1024

// Authority issues keys. Its master secret opens everything that was sealed under its Params. It is immutable, safe for
// concurrent use and prints as "redacted". Get one from GenerateAuthority or NewAuthority: of the zero Authority IssueKey returns
// an error and the other methods panic.
type Authority struct{ hidden **master }

type master struct {
	alpha  pairing.Scalar
	params *Params
}

func newAuthority(alpha pairing.Scalar) *Authority {
	y := pairing.PairProduct(pairing.Pair{P: pairing.G1Generator(), Q: pairing.G2Generator()}).Exp(alpha) // Y = e(g1,g2)^alpha
	m := &master{alpha, newParams(y)}
	return &Authority{&m}
}

func (a *Authority) in() *master { return *a.hidden }

// GenerateAuthority draws a new master secret. It takes a few milliseconds. The error is always nil now and is there for
// suites whose generation can fail.
func GenerateAuthority() (*Authority, error) { return newAuthority(pairing.RandomScalar()), nil }

// NewAuthority decodes what ExposeSecret returned: 76 bytes. A damaged secret is refused: the encoding carries the
// fingerprint of the params that belong to it. Errors are ErrFormat.
func NewAuthority(secret []byte) (*Authority, error) {
	d := wire.NewDecoder(secret)
	decodePrefix(d, wire.KindABEAuthority)
	d.Len(0, 0) // vocabulary, reserved
	fingerprint, raw := d.Raw(32), d.Raw(pairing.ScalarSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	alpha, err := pairing.NewScalar(raw)
	if err != nil {
		d.Failf("the master secret is damaged: restore it from a copy")
		return nil, d.Err()
	}
	a := newAuthority(alpha)
	if subtle.ConstantTimeCompare(fingerprint, a.in().params.fingerprint[:]) != 1 {
		d.Failf("the master secret does not belong to the fingerprint stored with it: restore it from a copy")
		return nil, d.Err()
	}
	return a, nil
}

// ExposeSecret returns the canonical encoding with the master secret in the clear. Encrypt it before it is stored.
func (a *Authority) ExposeSecret() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEAuthority, Version: formatVersion, Suite: suiteFABEO})
	b = wire.AppendBytes(b, nil) // vocabulary, reserved
	b = append(b, a.in().params.fingerprint[:]...)
	alpha := a.in().alpha.Bytes()
	return append(b, alpha[:]...)
}

// Params returns what everybody who seals needs.
func (a *Authority) Params() *Params { return a.in().params }

// IssueKey makes a key for a set of 1 to 1,024 different attributes. An attribute that is given twice is refused, because
// it is more likely a mistake than a wish; so is a name that is there with a value and as a flag, because a value was more likely
// lost. An empty Value alone is not noticed: role without one is the flag role. Check values that come from
// elsewhere before they are issued. The same set gives another key each time, and two keys never combine. Cost: one
// multiplication and at first a hash in G1 for each attribute, about 0.4 ms.
func (a *Authority) IssueKey(attributes ...Attribute) (*Key, error) {
	if a == nil || a.hidden == nil {
		return nil, errors.New("abe: no authority: get one from GenerateAuthority or NewAuthority")
	}
	if len(attributes) == 0 {
		return nil, errors.New("abe: a key needs at least one attribute: name what the holder is or may do")
	}
	if len(attributes) > maxAttributes {
		return nil, fmt.Errorf("abe: %d attributes are over the limit of %d: issue several keys", len(attributes), maxAttributes)
	}
	attributes = slices.Clone(attributes)
	slices.SortFunc(attributes, compareAttributes)
	bare := map[string]bool{}
	for i, u := range attributes {
		if err := u.validate(); err != nil {
			return nil, fmt.Errorf("abe: %w", err)
		}
		if i > 0 && u == attributes[i-1] {
			return nil, fmt.Errorf("abe: attribute %v is given twice: give it once", u)
		}
		if u.Value == "" {
			bare[u.Name] = true // flags sort before values
		} else if bare[u.Name] {
			return nil, fmt.Errorf("abe: %s is given with the value %s and as a flag, without one: if a value was lost, find it, otherwise give the flag another name",
				u.Name, appendQuoted(nil, u.Value))
		}
	}
	return a.keyGen(attributes), nil
}
