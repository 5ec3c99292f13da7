package main

import (
	"strings"

	"github.com/fentec-project/gofe/abe"
)

// newFAME is gofe's implementation of FAME (Agrawal and Chase). Names such as a0 keep away from its bugs: an attribute "0 0" is hashed like an
// element of the scheme itself, and AND or OR inside a name splits it.
func newFAME() (implementation, error) {
	scheme := abe.NewFAME()
	public, secret, err := scheme.GenerateMasterKeys()
	return implementation{
		impl: "fame",
		setup: func() error {
			_, _, err := scheme.GenerateMasterKeys()
			return err
		},
		bed: func(leaves int) (bed, error) {
			var attributes []string
			for i := range leaves {
				attributes = append(attributes, attributeName(i))
			}
			return fameWith(scheme, public, secret, strings.Join(attributes, " AND "), attributes)
		},
	}, err
}

type fameBed struct {
	scheme     *abe.FAME
	public     *abe.FAMEPubKey
	secret     *abe.FAMESecKey
	text       string
	policy     *abe.MSP
	attributes []string
	key        *abe.FAMEAttribKeys
	object     *abe.FAMECipher
}

func fameWith(scheme *abe.FAME, public *abe.FAMEPubKey, secret *abe.FAMESecKey, text string, attributes []string) (*fameBed, error) {
	policy, err := abe.BooleanToMSP(text, false)
	return &fameBed{scheme: scheme, public: public, secret: secret, text: text, policy: policy, attributes: attributes}, err
}

func (b *fameBed) issue() (err error) {
	b.key, err = b.scheme.GenerateAttribKeys(b.attributes, b.secret)
	return err
}

func (b *fameBed) seal() (err error) {
	b.object, err = b.scheme.Encrypt(string(record), b.policy, b.public)
	return err
}

func (b *fameBed) open() error {
	if b.key == nil || b.object == nil {
		return errNotMade
	}
	plaintext, err := b.scheme.Decrypt(b.object, b.key, b.public)
	if err != nil {
		return err
	}
	return compare([]byte(plaintext))
}

// header adds up the elements, the text of the policy, from which the matrix can be made again, and what AES-CBC adds. gofe has no encoding.
func (b *fameBed) header() (int, error) {
	n := len(b.text) + len(b.object.Iv) + len(b.object.SymEnc) - len(record) + len(b.object.CtPrime.Marshal())
	for _, g2 := range b.object.Ct0 {
		n += len(g2.Marshal())
	}
	for _, row := range b.object.Ct {
		for _, g1 := range row {
			n += len(g1.Marshal())
		}
	}
	return n, nil
}

// keyBytes adds up the elements and the names of the attributes.
func (b *fameBed) keyBytes() (int, error) {
	n := len(strings.Join(b.attributes, ""))
	for _, g2 := range b.key.K0 {
		n += len(g2.Marshal())
	}
	for _, g1 := range b.key.KPrime {
		n += len(g1.Marshal())
	}
	for _, row := range b.key.K {
		for _, g1 := range row {
			n += len(g1.Marshal())
		}
	}
	return n, nil
}
