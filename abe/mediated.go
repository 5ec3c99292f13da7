package abe

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"io"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Mediated decryption: a key in two parts, of which a gateway holds one and the user the other, so that the user reads only as long as the gateway
// helps. It is the outsourced decryption of Green, Hohenberger and Waters (USENIX Security 2011, section 3) with FABEO's key:
//
//	sk  = KeyGen(S)      z random      gateway: sk^(1/z), each component      user: z
//	gateway    X = Dec(sk^(1/z), header) = d^(1/z)         user    d = X^z, then everything else of Open
//
// There, to save the user work; here, so that the gateway can stop.

const labelMediated = "mediated" // authority, holding, Y^(1/z)

// TransformKey is the gateway's part of a mediated key. By itself it opens nothing: it is distributed as a key that anybody could draw for
// an authority that does not exist. With the MediatedKey that belongs to it, it opens all that the whole key would, so it is a secret, prints as
// "redacted", and must not come to the user's hands. It is immutable and safe for concurrent use. Get one from IssueMediated or
// NewTransformKey: of the zero TransformKey Transform returns an error and the other methods panic.
type TransformKey struct {
	opaque
	hidden **transformParts
}

type transformParts struct {
	params *Params
	holding
	id [32]byte
	sk *fabeoKey // sk^(1/z); its pub has Y^(1/z)
}

// MediatedKey is the user's part of a mediated key: a number that says nothing of any object by itself, and what the whole key is for. It is a secret and
// prints as "redacted". It is immutable and safe for concurrent use. Get one from IssueMediated or NewMediatedKey: of the zero MediatedKey
// Open, Decrypt, OpenReaderAt and Rewrap return an error and the other methods panic.
type MediatedKey struct {
	opaque
	hidden **mediatedParts
}

type mediatedParts struct {
	params *Params
	holding
	id   [32]byte
	z    pairing.Scalar
	held map[atom]bool // the atoms of the holding
}

func newMediatedKey(params *Params, h holding, id [32]byte, z pairing.Scalar) *MediatedKey {
	parts := &mediatedParts{params, h, id, z, map[atom]bool{}}
	for _, u := range h.atoms() {
		parts.held[u] = true
	}
	return &MediatedKey{hidden: &parts}
}

// IssueMediated makes a key as IssueKey does and gives it out in two parts: the first for the gateway, the second for the user, who never sees
// the whole. Send each to its place over a confidential channel and keep neither. Suite FABEO only; ErrUnsupported otherwise.
//
// To stop a user at once, the gateway drops the TransformKey. What the user has opened stays opened.
//
// The gateway's duties: it knows the user by other means; it takes the header from the store itself, by the id of the record, and not from the
// user; it looks at what the user may ask for, limits how often, and logs. A gateway that works on headers that users bring would be an
// oracle for headers of their own making; Transform refuses those that are not well formed, and its argument (docs/spec/issuing.md) covers them, but what a gateway is not asked it
// cannot get wrong.
//
// The gateway and the user together have the whole key: a user who takes over the gateway, or a gateway that takes over a user's device, is
// stopped by nothing but the window. The gateway sees who reads what and when; it does not see plaintexts.
func (a *Authority) IssueMediated(window Window, attributes ...Attribute) (*TransformKey, *MediatedKey, error) {
	if err := a.check(); err != nil {
		return nil, nil, err
	}
	params := a.in().params
	m, ok := a.in().master.(*fabeoMaster)
	if !ok {
		return nil, nil, unsupported("mediated decryption", params.suite)
	}
	h, err := params.holding(window, attributes)
	if err != nil {
		return nil, nil, err
	}
	z := pairing.RandomScalar()
	inverse := z.Inv()
	// sk^(1/z) = (H(u)^(r/z), g1^(alpha/z) * H_b^(r/z), g2^(r/z)): a key of the master secret alpha/z whose random number r/z is as uniform as r.
	share := &fabeoMaster{alpha: m.alpha.Mul(inverse), pub: m.pub.withY(m.pub.y.Exp(inverse))}
	id := mediatedID(params, h, share.pub.y)
	transform := &transformParts{params, h, id, share.keyGen(h.atoms())}
	return &TransformKey{hidden: &transform}, newMediatedKey(params, h, id, z), nil
}

// mediatedID names the two parts of one key. It commits to z, and to what the key is for.
func mediatedID(params *Params, h holding, y pairing.GT) [32]byte {
	encoded := y.Bytes()
	return derive(labelMediated, params.authority[:], h.append(nil), encoded[:])
}

func (k *TransformKey) in() *transformParts { return *k.hidden }

func (k *TransformKey) check() error {
	if k == nil || k.hidden == nil {
		return errors.New("abe: no transform key: get one from IssueMediated or NewTransformKey")
	}
	return nil
}

// ID names the key: the MediatedKey that belongs to it has the same. It is public.
func (k *TransformKey) ID() [32]byte { return k.in().id }

// Params returns the params of the authority. They came with the key: compare the fingerprint with the one you know.
func (k *TransformKey) Params() *Params { return k.in().params }

// Window returns the sealing days that the key reads.
func (k *TransformKey) Window() Window { return k.in().window }

// Attributes returns the attributes as Key.Attributes does.
func (k *TransformKey) Attributes() []Attribute { return k.in().attributes() }

// ExposeSecret returns the canonical encoding with the key in the clear. Encrypt it before it is stored. docs/spec/issuing.md section 4.
func (k *TransformKey) ExposeSecret() []byte {
	p := k.in()
	b := wire.AppendBytes(appendIssuing(wire.KindABETransformKey), p.params.encoding)
	return p.sk.append(append(p.holding.append(b), p.id[:]...))
}

// NewTransformKey decodes what ExposeSecret returned and checks that its components belong together. Cost: as NewKey. Errors are ErrFormat.
func NewTransformKey(secret []byte) (*TransformKey, error) {
	d := wire.NewDecoder(secret)
	decodeIssuing(d, wire.KindABETransformKey)
	encodedParams := d.Bytes(maxParams)
	h := decodeHolding(d)
	id, raw := d.Raw(32), d.Raw(fabeoKeySize(h.size()))
	if err := d.Finish(); err != nil {
		return nil, err
	}
	params, public := decodeFABEOParams(d, encodedParams)
	if d.Err() != nil {
		return nil, d.Err()
	}
	sk := decodeFABEOKey(d, public, h.atoms(), raw)
	if d.Err() != nil {
		return nil, d.Err()
	}
	sk.pub = public.withY(pairing.PairProduct( // Y^(1/z) = e(sk2,g2) / e(H_b,sk3), here of sk^(1/z)
		pairing.Pair{P: sk.sk2, Q: pairing.G2Generator()},
		pairing.Pair{P: public.hb(), Q: sk.sk3, Inverse: true}))
	if !sk.consistent() || mediatedID(params, h, sk.pub.y) != [32]byte(id) {
		d.Failf("the parts of the transform key do not belong together: get it from a copy, or have both parts issued again")
		return nil, d.Err()
	}
	parts := &transformParts{params, h, [32]byte(id), sk}
	return &TransformKey{hidden: &parts}, nil
}

func (k *MediatedKey) in() *mediatedParts { return *k.hidden }

func (k *MediatedKey) check() error {
	if k == nil || k.hidden == nil {
		return errors.New("abe: no mediated key: get one from IssueMediated or NewMediatedKey")
	}
	return nil
}

// ID names the key: the gateway's TransformKey that belongs to it has the same. It is public.
func (k *MediatedKey) ID() [32]byte { return k.in().id }

// Params returns the params of the authority. They came with the key: compare the fingerprint with the one you know.
func (k *MediatedKey) Params() *Params { return k.in().params }

// Window returns the sealing days that the key reads.
func (k *MediatedKey) Window() Window { return k.in().window }

// Attributes returns the attributes as Key.Attributes does.
func (k *MediatedKey) Attributes() []Attribute { return k.in().attributes() }

// ExposeSecret returns the canonical encoding with the key in the clear. Encrypt it before it is stored. docs/spec/issuing.md section 4.
func (k *MediatedKey) ExposeSecret() []byte {
	p := k.in()
	b := wire.AppendBytes(appendIssuing(wire.KindABEMediatedKey), p.params.encoding)
	b = append(p.holding.append(b), p.id[:]...)
	z := p.z.Bytes()
	return append(b, z[:]...)
}

// NewMediatedKey decodes what ExposeSecret returned. A damaged or edited one is refused: it carries the ID, which depends on all of it. Cost:
// two exponentiations in the target group. Errors are ErrFormat.
func NewMediatedKey(secret []byte) (*MediatedKey, error) {
	d := wire.NewDecoder(secret)
	decodeIssuing(d, wire.KindABEMediatedKey)
	encodedParams := d.Bytes(maxParams)
	h := decodeHolding(d)
	id, raw := d.Raw(32), d.Raw(pairing.ScalarSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	params, public := decodeFABEOParams(d, encodedParams)
	if d.Err() != nil {
		return nil, d.Err()
	}
	z, err := pairing.NewScalar(raw)
	if err != nil {
		d.Failf("the mediated key is damaged: restore it from a copy, or have both parts issued again")
		return nil, d.Err()
	}
	if want := mediatedID(params, h, public.y.Exp(z.Inv())); subtle.ConstantTimeCompare(want[:], id) != 1 {
		d.Failf("the parts of the mediated key do not belong together: restore it from a copy, or have both parts issued again")
		return nil, d.Err()
	}
	return newMediatedKey(params, h, [32]byte(id), z), nil
}

// Open opens a sealed object with what the gateway's Transform made of its header, as Key.Open does with a whole key: the same options, the same
// checks, the same errors. Whatever the gateway sends, the plaintext is the sealer's or there is none: a value of another header, of another user or made up
// gives ErrDecrypt, and bytes that are no such value ErrFormat.
//
// Cost: that of Key.Open with two exponentiations in the target group in the place of its pairings.
func (k *MediatedKey) Open(sealed, transformed []byte, opts *Options) ([]byte, error) {
	whole, err := k.with(transformed)
	if err != nil {
		return nil, err
	}
	return whole.Open(sealed, opts)
}

// Decrypt is Open for streams, as Key.Decrypt is.
func (k *MediatedKey) Decrypt(src io.Reader, transformed []byte, opts *Options) (io.Reader, error) {
	whole, err := k.with(transformed)
	if err != nil {
		return nil, err
	}
	return whole.Decrypt(src, opts)
}

// OpenReaderAt is Open for objects of which only parts are wanted, as Key.OpenReaderAt is. size is the length of the whole object in src.
func (k *MediatedKey) OpenReaderAt(src io.ReaderAt, size int64, transformed []byte, opts *Options) (*Reader, error) {
	whole, err := k.with(transformed)
	if err != nil {
		return nil, err
	}
	return whole.OpenReaderAt(src, size, opts)
}

// Rewrap makes another header for the payload of sealed, as Key.Rewrap does, with the same refusals. The gateway takes part as in opening: transformed is its
// Transform of the header that there is. What Key.Rewrap says of former readers holds here too: a user who rewraps to a key of its own reads on without the gateway, as
// it could with a copy of the plaintext.
func (k *MediatedKey) Rewrap(sealed, transformed []byte, opts *Options, params *Params, policy *Policy, to *Options) (header []byte, err error) {
	whole, err := k.with(transformed)
	if err != nil {
		return nil, err
	}
	return whole.Rewrap(sealed, opts, params, policy, to)
}

// with is a key that opens the header that was transformed.
func (k *MediatedKey) with(transformed []byte) (*Key, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	d := wire.NewDecoder(transformed)
	decodeIssuing(d, wire.KindABETransformed)
	x := d.Raw(pairing.GTSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	p := k.in()
	s := &mediatedSecret{pub: p.params.public.(*fabeoPublic), held: p.held, z: p.z, x: bytes.Clone(x)}
	return keyOf(&keyParts{version: version2, params: p.params, window: p.window, items: p.items, secret: s}), nil
}

// mediatedSecret implements secret, for one header.
type mediatedSecret struct {
	pub  *fabeoPublic
	held map[atom]bool
	z    pairing.Scalar
	x    []byte // X as the gateway sent it
}

func (s *mediatedSecret) has(u atom) bool { return s.held[u] }

// decapsulate does without the rows: the gateway chose its own. NewGT must see X before z does: with an element of small order in X, whether the object opens
// would tell z modulo that order.
func (s *mediatedSecret) decapsulate(pre, body []byte, f *formula, _ []selected) (sigma [keySize]byte, err error) {
	x, err := pairing.NewGT(s.x)
	if err != nil {
		return sigma, ErrDecrypt
	}
	return s.pub.recover(pre, body, f, x.Exp(s.z)) // d = X^z
}

// append appends z. The key that with returns is not given out, so that nobody calls it but who encodes a key.
func (s *mediatedSecret) append(b []byte) []byte {
	z := s.z.Bytes()
	return append(b, z[:]...)
}
