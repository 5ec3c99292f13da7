package abe

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/abe/cpabe/tkn20"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// TKN20 is the scheme of Tomida, Kawahara and Nishimaki, "Fast, Compact, and Expressive Attribute-Based Encryption", PKC 2020, as circl
// implements it, with the CCA transformation that circl applies (Boneh and Katz). sigma is the message, the body is circl's ciphertext.
//
// circl's policies have labels with one value each. Here every atom is a label of its own, with the same value for all: so a key may hold
// several values of a name, and there is no negation, whose meaning in circl (a label that is there with another value) is not ours.
//
// What comes from outside is compared with the layout that it must have, see tknlayout.go, before circl sees it: its decoders take
// matrices of any size, with which its arithmetic panics, and lengths that do not fit 16 bits are cut without an error.

const (
	maxTKN20Atoms  = 700 // 16-bit lengths in circl's keys end at 727
	maxTKN20Leaves = 1024
	maxTKN20Nested = 63 // parentheses in parentheses; circl refuses the 64th
)

// tkn20Public implements public.
type tkn20Public struct {
	key      tkn20.PublicKey
	encoding []byte
}

func newTKN20Public(encoding []byte) (*tkn20Public, error) {
	if !tknPublicLayout().fits(encoding) {
		return nil, errors.New("the public key is of the wrong form")
	}
	for at := len(encoding) - 2*pairing.GTSize; at < len(encoding); at += pairing.GTSize { // circl does not check their subgroup
		if _, err := pairing.NewGT(encoding[at:][:pairing.GTSize]); err != nil {
			return nil, err
		}
	}
	p := &tkn20Public{encoding: bytes.Clone(encoding)}
	if err := p.key.UnmarshalBinary(encoding); err != nil {
		return nil, err
	}
	again, err := p.key.MarshalBinary()
	if err != nil || !bytes.Equal(again, encoding) {
		return nil, errors.New("the public key is not in its canonical form")
	}
	return p, nil
}

func decodeTKN20Public(d *wire.Decoder) public {
	raw := d.Bytes(maxTKN20Public)
	if d.Finish() != nil {
		return nil
	}
	p, err := newTKN20Public(raw)
	if err != nil {
		d.Failf("damaged: %v", err)
		return nil
	}
	return p
}

func (p *tkn20Public) append(b []byte) []byte { return wire.AppendBytes(b, p.encoding) }

func (p *tkn20Public) bodySize(f *formula) (int, error) {
	t, err := newTKNTree(f)
	if err != nil {
		return 0, err
	}
	return len(tknCiphertextLayout(t).bytes), nil
}

func (p *tkn20Public) encapsulate(_ []byte, f *formula) (body []byte, sigma [keySize]byte, err error) {
	t, err := newTKNTree(f)
	if err != nil {
		return nil, sigma, err
	}
	var policy tkn20.Policy
	if err := policy.FromString(t.circlPolicy()); err != nil {
		return nil, sigma, fmt.Errorf("abe: TKN20 does not take this policy: %w", err)
	}
	rand.Read(sigma[:])
	body, err = p.key.Encrypt(rand.Reader, policy, sigma[:])
	if err != nil {
		return nil, sigma, fmt.Errorf("abe: TKN20 cannot seal: %w", err)
	}
	if !tknCiphertextLayout(t).fits(body) {
		return nil, sigma, errors.New("abe: TKN20 made a ciphertext of another layout: this is a version of circl that abe does not know")
	}
	return body, sigma, nil
}

// tkn20Master implements master.
type tkn20Master struct {
	pub      *tkn20Public
	key      tkn20.SystemSecretKey
	encoding []byte
}

func generateTKN20() (master, error) {
	pub, key, err := tkn20.Setup(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("abe: TKN20 cannot generate an authority: %w", err)
	}
	encoding, err := pub.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("abe: TKN20 cannot generate an authority: %w", err)
	}
	p, err := newTKN20Public(encoding)
	if err != nil {
		return nil, fmt.Errorf("abe: TKN20 made an authority of another layout: %w", err)
	}
	m := &tkn20Master{pub: p, key: key}
	if m.encoding, err = key.MarshalBinary(); err != nil || !tknMasterLayout().fits(m.encoding) {
		return nil, fmt.Errorf("abe: TKN20 made an authority of another layout: %w", err)
	}
	return m, nil
}

// digest finds damage: the public key does not follow from the secret one as Y does from alpha.
func (m *tkn20Master) digest() [keySize]byte { return derive(labelMaster, m.pub.encoding, m.encoding) }

func decodeTKN20Master(d *wire.Decoder) master {
	raw, secret, digest := d.Bytes(maxTKN20Public), d.Bytes(maxTKN20Public), d.Raw(keySize)
	if d.Finish() != nil {
		return nil
	}
	pub, err := newTKN20Public(raw)
	if err != nil {
		d.Failf("the public key is damaged: restore it from a copy")
		return nil
	}
	m := &tkn20Master{pub: pub, encoding: bytes.Clone(secret)}
	want := m.digest()
	if subtle.ConstantTimeCompare(digest, want[:]) != 1 || !tknMasterLayout().fits(secret) || m.key.UnmarshalBinary(m.encoding) != nil {
		d.Failf("the master secret is damaged: restore it from a copy")
		return nil
	}
	if again, err := m.key.MarshalBinary(); err != nil || !bytes.Equal(again, secret) {
		d.Failf("the master secret is not in its canonical form")
		return nil
	}
	return m
}

func (m *tkn20Master) append(b []byte) []byte {
	digest := m.digest()
	return append(wire.AppendBytes(m.pub.append(b), m.encoding), digest[:]...)
}

func (m *tkn20Master) public() public { return m.pub }

func (m *tkn20Master) issue(atoms []atom) (secret, error) {
	if len(atoms) > maxTKN20Atoms {
		return nil, fmt.Errorf("abe: the attributes come to %d components of the key, the limit of TKN20 is %d: issue several keys", len(atoms), maxTKN20Atoms)
	}
	labels := make(map[string]string, len(atoms))
	for _, u := range atoms {
		labels[tknLabel(u)] = tknValue
	}
	var attributes tkn20.Attributes
	attributes.FromMap(labels)
	key, err := m.key.KeyGen(rand.Reader, attributes)
	if err != nil {
		return nil, fmt.Errorf("abe: TKN20 cannot issue a key: %w", err)
	}
	k, err := newTKN20Key(key, atoms)
	if err == nil && !tknKeyLayout(atoms).fits(k.encoding) {
		err = errors.New("abe: TKN20 made a key of another layout: this is a version of circl that abe does not know")
	}
	return k, err
}

// tkn20Key implements secret.
type tkn20Key struct {
	key      tkn20.AttributeKey
	atoms    map[atom]struct{}
	encoding []byte
}

func newTKN20Key(key tkn20.AttributeKey, atoms []atom) (*tkn20Key, error) {
	encoding, err := key.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("abe: TKN20 cannot encode a key: %w", err)
	}
	k := &tkn20Key{key: key, encoding: encoding, atoms: make(map[atom]struct{}, len(atoms))}
	for _, u := range atoms {
		k.atoms[u] = struct{}{}
	}
	return k, nil
}

// decodeTKN20Key decodes what append wrote. A key can be checked for its form alone.
func decodeTKN20Key(d *wire.Decoder, atoms []atom, encoding []byte) *tkn20Key {
	if len(atoms) > maxTKN20Atoms {
		d.Failf("%d components are over the limit of %d", len(atoms), maxTKN20Atoms)
		return nil
	}
	inner := wire.NewDecoder(encoding)
	raw := inner.Bytes(len(encoding))
	if err := inner.Finish(); err != nil {
		d.Failf("%v", err)
		return nil
	}
	var key tkn20.AttributeKey
	if !tknKeyLayout(atoms).fits(raw) || key.UnmarshalBinary(raw) != nil {
		d.Failf("a component of the key is damaged: get the key from a copy or issued again")
		return nil
	}
	k, err := newTKN20Key(key, atoms)
	if err != nil || !bytes.Equal(k.encoding, raw) {
		d.Failf("a component of the key is not in its canonical form")
		return nil
	}
	return k
}

func (k *tkn20Key) append(b []byte) []byte { return wire.AppendBytes(b, k.encoding) }

func (k *tkn20Key) has(u atom) bool { _, ok := k.atoms[u]; return ok }

// decapsulate requires that circl's ciphertext is for f and for nothing else: the layout has its policy. What circl did with another policy in
// it would not be what the header says.
func (k *tkn20Key) decapsulate(_, body []byte, f *formula, _ []selected) (sigma [keySize]byte, err error) {
	t, err := newTKNTree(f)
	if err != nil || !tknCiphertextLayout(t).fits(body) {
		return sigma, ErrDecrypt
	}
	message, err := k.key.Decrypt(body)
	if err != nil || len(message) != keySize {
		return sigma, ErrDecrypt
	}
	return [keySize]byte(message), nil
}
