package main

import (
	"errors"

	"github.com/cloudflare/circl/abe/cpabe/tkn20"
)

var errNotMade = errors.New("there is no key or no object yet")

// newTKN20 is circl's CP-ABE of Tomida, Kawahara and Nishimaki, with its CCA transformation.
func newTKN20() (implementation, error) {
	public, secret, err := tkn20.Setup(nil)
	return implementation{
		impl: "tkn20",
		setup: func() error {
			_, _, err := tkn20.Setup(nil)
			return err
		},
		bed: func(leaves int) (bed, error) {
			attributes := map[string]string{}
			for i := range leaves {
				attributes[attributeName(i)] = attributeValue
			}
			return tkn20With(&public, &secret, balanced(0, leaves), attributes)
		},
	}, err
}

type tkn20Bed struct {
	public     *tkn20.PublicKey
	secret     *tkn20.SystemSecretKey
	text       string
	policy     tkn20.Policy
	attributes map[string]string
	key        *tkn20.AttributeKey
	object     []byte

	publicBytes, secretBytes []byte
}

func tkn20With(public *tkn20.PublicKey, secret *tkn20.SystemSecretKey, text string, attributes map[string]string) (*tkn20Bed, error) {
	b := &tkn20Bed{public: public, secret: secret, text: text, attributes: attributes}
	return b, b.policy.FromString(text)
}

// balanced is the AND of attributes from <= i < to, nested as little as possible: circl nests at most 64 deep.
func balanced(from, to int) string {
	if to-from == 1 {
		return attributeName(from) + ": " + attributeValue
	}
	middle := (from + to) / 2
	return "(" + balanced(from, middle) + " and " + balanced(middle, to) + ")"
}

func (b *tkn20Bed) issue() error {
	var attributes tkn20.Attributes
	attributes.FromMap(b.attributes)
	key, err := b.secret.KeyGen(nil, attributes)
	b.key = &key
	return err
}

func (b *tkn20Bed) seal() (err error) {
	b.object, err = b.public.Encrypt(nil, b.policy, record)
	return err
}

func (b *tkn20Bed) open() error {
	if b.key == nil || b.object == nil {
		return errNotMade
	}
	plaintext, err := b.key.Decrypt(b.object)
	if err != nil {
		return err
	}
	return compare(plaintext)
}

func (b *tkn20Bed) header() (int, error) { return len(b.object) - len(record), nil }

func (b *tkn20Bed) keyBytes() (int, error) {
	encoding, err := b.key.MarshalBinary()
	return len(encoding), err
}

func (b *tkn20Bed) encode() (err error) {
	if b.publicBytes, err = b.public.MarshalBinary(); err != nil {
		return err
	}
	b.secretBytes, err = b.key.MarshalBinary()
	return err
}

func (b *tkn20Bed) sealCold() error {
	var public tkn20.PublicKey
	if err := public.UnmarshalBinary(b.publicBytes); err != nil {
		return err
	}
	var policy tkn20.Policy
	if err := policy.FromString(b.text); err != nil {
		return err
	}
	_, err := public.Encrypt(nil, policy, record)
	return err
}

func (b *tkn20Bed) openCold() error {
	var key tkn20.AttributeKey
	if err := key.UnmarshalBinary(b.secretBytes); err != nil {
		return err
	}
	plaintext, err := key.Decrypt(b.object)
	if err != nil {
		return err
	}
	return compare(plaintext)
}
