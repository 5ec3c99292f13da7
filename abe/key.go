package abe

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// maxEncodedAttribute is the largest length of an attribute's encoding.
const maxEncodedAttribute = 2 + 4 + maxName + 4 + maxValue

// Key is a user's key for a set of attributes: it opens what was sealed under a policy that the set satisfies. Key is
// immutable, safe for concurrent use and prints as "redacted". Get one from IssueKey or NewKey: the zero Key opens nothing, Open and
// Decrypt refuse it, and its other methods panic.
type Key struct{ hidden **keyParts }

type keyParts struct {
	params     *Params
	attributes []Attribute // sorted, different
	sk1        map[atom]pairing.G1
	sk2        pairing.G1
	sk3        pairing.G2
}

func keyOf(parts *keyParts) *Key { return &Key{&parts} }

func (k *Key) in() *keyParts { return *k.hidden }

func (k *Key) check() error {
	if k == nil || k.hidden == nil {
		return errors.New("abe: no key: get one from IssueKey or NewKey")
	}
	return nil
}

func compareAttributes(a, b Attribute) int { return bytes.Compare(a.encode(), b.encode()) }

// Params returns the params of the authority that issued the key. They came with the key: compare the fingerprint with the
// one you know.
func (k *Key) Params() *Params { return k.in().params }

// Attributes returns the attributes, sorted, a copy.
func (k *Key) Attributes() []Attribute { return slices.Clone(k.in().attributes) }

func (k *Key) has(u atom) bool { _, ok := k.in().sk1[u]; return ok }

// ExposeSecret returns the canonical encoding with the key in the clear, 752 bytes, and for each attribute 52
// and its encoding. Encrypt it before it is stored. docs/spec/abe.md section 7.
func (k *Key) ExposeSecret() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEKey, Version: formatVersion, Suite: suiteFABEO})
	b = wire.AppendBytes(b, k.in().params.encoding)
	b = wire.AppendBytes(b, nil) // window, reserved
	b = append(b, 0, 0, byte(len(k.in().attributes)>>8), byte(len(k.in().attributes)))
	for _, u := range k.in().attributes {
		b = wire.AppendBytes(b, u.encode())
		sk1 := k.in().sk1[u.atom()].Bytes()
		b = append(b, sk1[:]...)
	}
	sk2, sk3 := k.in().sk2.Bytes(), k.in().sk3.Bytes()
	return append(append(b, sk2[:]...), sk3[:]...)
}

// NewKey decodes what ExposeSecret returned and checks the key against the params in it: a key that was damaged, or edited
// to claim other attributes, is refused. Cost: a product of two pairings, and for each attribute a decoding, a hash and two
// multiplications in G1: about 20 ms for ten. Errors are ErrFormat.
func NewKey(secret []byte) (*Key, error) {
	d := wire.NewDecoder(secret)
	decodePrefix(d, wire.KindABEKey)
	encodedParams := d.Bytes(paramsSize)
	d.Len(0, 0) // window, reserved
	n := d.Len(maxAttributes, 4+pairing.G1Size)
	if d.Err() == nil && n == 0 {
		d.Failf("a key has at least one attribute")
	}
	parts := &keyParts{sk1: make(map[atom]pairing.G1, n)}
	var before []byte
	for range n {
		encoded := d.Bytes(maxEncodedAttribute)
		u := decodeAttribute(d, encoded)
		if bytes.Compare(before, encoded) >= 0 {
			d.Failf("attributes are not sorted")
		}
		before = encoded
		sk1, err := pairing.NewG1(d.Raw(pairing.G1Size))
		if err != nil {
			d.Failf("the component for an attribute is damaged: get the key from a copy or issued again")
		}
		if d.Err() != nil {
			return nil, d.Err()
		}
		parts.attributes = append(parts.attributes, u)
		parts.sk1[u.atom()] = sk1
	}
	raw2, raw3 := d.Raw(pairing.G1Size), d.Raw(pairing.G2Size)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	var err2, err3 error
	parts.sk2, err2 = pairing.NewG1(raw2)
	parts.sk3, err3 = pairing.NewG2(raw3)
	if err2 != nil || err3 != nil {
		d.Failf("a component of the key is damaged: get the key from a copy or issued again")
		return nil, d.Err()
	}
	params, err := NewParams(encodedParams)
	if err != nil {
		return nil, err
	}
	parts.params = params
	k := keyOf(parts)
	if !k.consistent() {
		d.Failf("the components of the key do not belong together: get the key from a copy or issued again")
		return nil, d.Err()
	}
	return k, nil
}

// consistent says whether e(sk2,g2) = Y * e(H_b,sk3) and, for every u, e(sk1[u],g2) = e(H(u),sk3). All equations are checked
// as one, each of the latter to the power of a fresh random 128-bit delta[u]; all points are in the groups of prime order
// by decoding, so that a wrong key passes with probability 2^-128 at most (Bellare, Garay and Rabin, Eurocrypt 1998).
func (k *Key) consistent() bool {
	left, right := k.in().sk2, k.in().params.hb()
	for _, u := range k.in().attributes {
		delta := randomDelta()
		left = left.Add(k.in().sk1[u.atom()].Mul(delta))
		right = right.Add(k.in().params.hashes.point(u.atom()).Mul(delta))
	}
	return pairing.PairProduct(
		pairing.Pair{P: left, Q: pairing.G2Generator()},
		pairing.Pair{P: right, Q: k.in().sk3, Inverse: true},
	).Equal(k.in().params.y)
}

// deltaSize is the number of random bytes in a weight of consistent: a wrong key passes with probability 2^-(8 deltaSize).
const deltaSize = 16

func randomDelta() pairing.Scalar {
	var wide [pairing.WideSize]byte
	rand.Read(wide[pairing.WideSize-deltaSize:])
	return pairing.ReduceWide(&wide)
}

// decodeAttribute reads an attribute of version 1: a flag or a text.
func decodeAttribute(outer *wire.Decoder, encoded []byte) Attribute {
	item, err := decodeItem(encoded)
	if err == nil && !item.plain() {
		err = errors.New("attribute is of a type that version 1 does not know")
	}
	if err != nil {
		outer.Failf("%v", err)
		return Attribute{}
	}
	return itemAttribute(item)
}
