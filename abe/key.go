package abe

import (
	"bytes"
	"errors"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Key is a user's key for a set of attributes and a window of sealing days: it opens what was sealed inside the window under a policy
// that the set satisfies. Key is immutable, safe for concurrent use and prints as "redacted". Get one from IssueKey, NewKey or Delegate:
// the zero Key opens nothing, Open and Decrypt refuse it, and its other methods panic.
//
// Objects of version 1 name no day: a key opens those whose policy it satisfies, whatever its window is. Keys of version 1 have no window
// and open objects of version 1 only.
type Key struct{ hidden **keyParts }

type keyParts struct {
	version uint8
	params  *Params
	window  Window // zero in version 1
	items   []atom // sorted, different
	secret  secret // for keyAtoms of items and window
}

func keyOf(parts *keyParts) *Key { return &Key{&parts} }

func (k *Key) in() *keyParts { return *k.hidden }

func (k *Key) check() error {
	if k == nil || k.hidden == nil {
		return errors.New("abe: no key: get one from IssueKey or NewKey")
	}
	return nil
}

// keyAtoms are the atoms of a key in the order of its encoding. window is nil in version 1.
func keyAtoms(items []atom, window *Window) []atom {
	var atoms []atom
	for _, item := range items {
		atoms = append(atoms, itemAtoms(item)...)
	}
	if window != nil {
		atoms = append(atoms, window.atoms()...)
	}
	return atoms
}

// Params returns the params of the authority that issued the key. They came with the key: compare the fingerprint with the
// one you know.
func (k *Key) Params() *Params { return k.in().params }

// Suite returns the suite.
func (k *Key) Suite() Suite { return k.in().params.suite }

// Window returns the sealing days that the key reads. For a key of version 1, which reads no object with a day, it is the zero Window.
func (k *Key) Window() Window { return k.in().window }

// Attributes returns the attributes, sorted, a copy: those that the key was issued for, and `name != value` for what the
// authority added.
func (k *Key) Attributes() []Attribute { return holding{items: k.in().items}.attributes() }

func (k *Key) has(u atom) bool { return k.in().secret.has(u) }

// ExposeSecret returns the canonical encoding with the key in the clear. Encrypt it before it is stored. docs/spec/abe.md section 8.
func (k *Key) ExposeSecret() []byte {
	p := k.in()
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEKey, Version: p.version, Suite: uint8(p.params.suite)})
	b = wire.AppendBytes(b, p.params.encoding)
	if p.version == version1 {
		return appendKey1(b, p.items, p.secret.(*fabeoKey))
	}
	return p.secret.append(holding{p.window, p.items}.append(b))
}

// appendKey1 appends what follows the params in version 1.
func appendKey1(b []byte, items []atom, s *fabeoKey) []byte {
	b = wire.AppendBytes(b, nil) // window
	b = append(b, 0, 0, byte(len(items)>>8), byte(len(items)))
	for _, item := range items {
		b = wire.AppendString(b, string(item))
		sk1 := s.sk1[item].Bytes()
		b = append(b, sk1[:]...)
	}
	return s.appendRest(b)
}

// NewKey decodes what ExposeSecret returned and, for FABEO, checks the key against the params in it: a key that was damaged, or edited
// to claim other attributes or another window, is refused. Cost: a product of two pairings, and for each component of an attribute or of the window
// a decoding, a hash and two multiplications in G1. Keys of version 1 are read. Errors are ErrFormat.
//
// A key of TKN20 can only be checked for its form.
func NewKey(secret []byte) (*Key, error) {
	d := wire.NewDecoder(secret)
	raw := decodeKey(d)
	if d.Err() != nil {
		return nil, d.Err()
	}
	// The lengths are right: from here on no more is allocated than a multiple of the bytes that are there.
	items := raw.decodeItems(d)
	if d.Err() != nil {
		return nil, d.Err()
	}
	params, err := NewParams(raw.params)
	if err != nil {
		return nil, err
	}
	if params.suite != raw.suite || raw.version == version1 && params.version != version1 {
		d.Failf("the params in the key are of another suite or version")
		return nil, d.Err()
	}
	parts := &keyParts{version: raw.version, params: params, items: items, window: raw.window}
	atoms := keyAtoms(items, raw.covers())
	if pub, ok := params.public.(*fabeoPublic); ok {
		s := decodeFABEOKey(d, pub, atoms, raw.components())
		if d.Err() == nil && !s.consistent() {
			d.Failf("the components of the key do not belong together: get the key from a copy or issued again")
		}
		parts.secret = s
	} else {
		parts.secret = decodeTKN20Key(d, atoms, raw.rest)
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	return keyOf(parts), nil
}

// Check says whether the components of the key belong together and to its params, by pairings:
// e(sk2,g2) = Y e(H_b,sk3), and e(sk1[u],g2) = e(H(u),sk3) for every component. NewKey has done it; it is for keys that were just made by others or put together
// from partial keys. A key that is not whole passes with probability 2^-128 at most. Compare the fingerprint of its params besides: they came with the key. Keys of
// TKN20 cannot be checked: ErrUnsupported.
func (k *Key) Check() error {
	if err := k.check(); err != nil {
		return err
	}
	s, ok := k.in().secret.(*fabeoKey)
	if !ok {
		return unsupported("Check", k.Suite())
	}
	if !s.consistent() {
		return errors.New("abe: the components of the key do not belong together: have it issued again")
	}
	return nil
}

// rawKey is a key taken apart, as slices of its encoding.
type rawKey struct {
	version uint8
	suite   Suite
	params  []byte
	window  Window
	n       int
	items   []byte // n times: length, item, and in version 1 its component
	rest    []byte // the part of the suite; in version 1 sk2 and sk3
}

// decodeKey checks every length of a key and allocates nothing.
func decodeKey(d *wire.Decoder) *rawKey {
	k := new(rawKey)
	k.version, k.suite = decodePrefix(d, wire.KindABEKey)
	k.params = d.Bytes(maxParams)
	component := 0
	if k.version == version1 {
		d.Len(0, 0) // window, reserved
		component = pairing.G1Size
	} else {
		k.window = Window{Day(d.Uint16()), Day(d.Uint16())}
		if err := k.window.check(); d.Err() == nil && err != nil {
			d.Failf("%v", err)
		}
	}
	k.n = d.Len(maxAttributes, 4+component)
	if d.Err() == nil && k.n == 0 {
		d.Failf("a key has at least one attribute")
	}
	start, atoms := d.Remaining(), 0
	rest := *d
	var before []byte
	for range k.n {
		item := d.Bytes(maxItem)
		if d.Err() == nil && bytes.Compare(before, item) >= 0 {
			d.Failf("attributes are not sorted")
		}
		before = item
		atoms += itemSize(item)
		d.Raw(component)
	}
	k.items = rest.Raw(start - d.Remaining())
	if k.version != version1 {
		atoms += len(k.window.atoms())
	}
	if d.Err() == nil && atoms > maxAtoms {
		d.Failf("%d components are over the limit of %d", atoms, maxAtoms)
	}
	size := d.Remaining()
	if k.version == version1 {
		size = fabeoKeySize(0)
	} else if k.suite == FABEO {
		size = fabeoKeySize(atoms)
	}
	k.rest = d.Raw(size)
	d.Finish()
	return k
}

// itemSize is the number of atoms of an encoded item: one, and for a number or date one more for each bit, which its level says.
// It looks at bytes that may be anything, and decodeItem judges them later.
func itemSize(item []byte) int {
	const level = 1 + 8 // level and prefix
	if len(item) > level && (item[1] == atomNumber || item[1] == atomDate) {
		return 1 + int(item[len(item)-level])
	}
	return 1
}

// decodeItems decodes the attributes.
func (k *rawKey) decodeItems(outer *wire.Decoder) []atom {
	items := make([]atom, 0, k.n)
	d := wire.NewDecoder(k.items)
	for range k.n {
		item, err := decodeItem(d.Bytes(maxItem))
		if err != nil {
			outer.Failf("%v", err)
			return nil
		}
		if k.version == version1 {
			d.Raw(pairing.G1Size)
			if !item.plain() {
				outer.Failf("attribute of type %d, which version 1 does not know", item[1])
				return nil
			}
		}
		if i := len(items); i > 0 && sameOrdinal(items[i-1], item) {
			outer.Failf("%v", twice(item))
			return nil
		}
		items = append(items, item)
	}
	return items
}

// covers is the window that the key has components for.
func (k *rawKey) covers() *Window {
	if k.version == version1 {
		return nil
	}
	return &k.window
}

// components are sk1, sk2 and sk3 one after another, which version 1 has elsewhere.
func (k *rawKey) components() []byte {
	if k.version != version1 {
		return k.rest
	}
	b := make([]byte, 0, fabeoKeySize(k.n))
	d := wire.NewDecoder(k.items)
	for range k.n {
		d.Bytes(maxItem)
		b = append(b, d.Raw(pairing.G1Size)...)
	}
	return append(b, k.rest...)
}
