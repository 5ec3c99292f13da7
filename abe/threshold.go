package abe

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Threshold issuing: n issuers share the master secret, and t of them together make keys. In the letters of FABEO, with lambda_i the coefficients of
// Lagrange at 0 among the t issuers taken (Shamir 1979; Boneh, Boyen and Halevi, CT-RSA 2006, share the key of an identity-based scheme in the same way):
//
//	f of degree t-1, f(0) = alpha    alpha_i = f(i)    Y_i = e(g1,g2)^alpha_i
//	issuer i   sk1_i[u] = H(u)^r_i    sk2_i = g1^alpha_i * H_b^r_i    sk3_i = g2^r_i
//	public     e(sk2_i,g2) = Y_i * e(H_b,sk3_i)    e(sk1_i[u],g2) = e(H(u),sk3_i)
//	combined   sk1[u] = prod sk1_i[u]^lambda_i, and sk2, sk3 likewise: a key with r = sum lambda_i r_i
//
// docs/spec/issuing.md section 5 has the argument.

// Limits of threshold issuing.
const (
	minThreshold = 2
	maxIssuers   = 32
)

const labelIssuers = "issuers" // authority, t | n | keys and Y_i

const issuerKeysSize = ed25519.PublicKeySize + pairing.GTSize // of one issuer

// IssuerSet is what everybody knows of t-of-n issuers: the params of their authority, t and n, and for each issuer the Ed25519 key
// of its approvals and the Y_i against which its partial keys are checked. It is public, immutable and safe for concurrent use. Get one from
// Authority.Split or NewIssuerSet: of the zero IssuerSet, methods return errors or panic.
type IssuerSet struct {
	params    *Params
	public    *fabeoPublic
	threshold int
	keys      []ed25519.PublicKey // of issuer i+1
	ys        []pairing.GT        // Y_(i+1)
	id        [32]byte
}

// Split shares the master secret among n issuers so that t of them, and no fewer, make keys: 2 <= t <= n <= 32. Objects that were sealed, and keys that were issued before, stay as
// they are: the Params are the same.
//
// Split is the dealer, and the dealer is trusted: it knows the master secret and all shares, and could keep them. Run it once, on a machine that is
// wiped afterwards, with a witness from each issuer's house; send each Issuer over a confidential channel; then destroy the Authority and every copy of its
// secret, for it makes keys alone as before. What is lost by more than n-t issuers is lost for ever. Suite FABEO only; ErrUnsupported otherwise.
func (a *Authority) Split(t, n int) (*IssuerSet, []*Issuer, error) {
	if err := a.check(); err != nil {
		return nil, nil, err
	}
	params := a.in().params
	m, ok := a.in().master.(*fabeoMaster)
	if !ok {
		return nil, nil, unsupported("threshold issuing", params.suite)
	}
	if t < minThreshold || t > n || n > maxIssuers {
		return nil, nil, fmt.Errorf("abe: %d of %d issuers: give a threshold of at least %d, and at most %d issuers", t, n, minThreshold, maxIssuers)
	}
	f := []pairing.Scalar{m.alpha}
	for len(f) < t {
		f = append(f, pairing.RandomScalar())
	}
	set := &IssuerSet{params: params, public: m.pub, threshold: t}
	issuers := make([]*Issuer, n)
	for i := range issuers {
		parts := &issuerParts{set: set, index: i + 1}
		rand.Read(parts.seed[:])
		parts.master = newFABEOMaster(evaluate(f, i+1))
		if parts.master.alpha.IsZero() || parts.master.alpha.Equal(m.alpha) {
			return a.Split(t, n) // once in 2^249 calls; no issuer may have the share 0, nor alpha itself
		}
		parts.signer = ed25519.NewKeyFromSeed(parts.seed[:])
		set.keys = append(set.keys, parts.signer.Public().(ed25519.PublicKey))
		set.ys = append(set.ys, parts.master.pub.y)
		parts.master.pub = m.pub.withY(parts.master.pub.y)
		issuers[i] = &Issuer{hidden: &parts}
	}
	set.id = derive(labelIssuers, params.authority[:], set.appendKeys(nil))
	return set, issuers, nil
}

// evaluate returns f(x). Constant-time in the coefficients.
func evaluate(f []pairing.Scalar, x int) (y pairing.Scalar) {
	for i := len(f) - 1; i >= 0; i-- {
		y = y.Mul(pairing.ScalarFromInt64(int64(x))).Add(f[i])
	}
	return y
}

// appendKeys appends t, n, and the key and Y_i of each issuer.
func (s *IssuerSet) appendKeys(b []byte) []byte {
	b = append(b, byte(s.threshold), byte(len(s.keys)))
	for i := range s.keys {
		y := s.ys[i].Bytes()
		b = append(append(b, s.keys[i]...), y[:]...)
	}
	return b
}

// Bytes returns the canonical encoding. docs/spec/issuing.md section 6.
func (s *IssuerSet) Bytes() []byte {
	return s.appendKeys(wire.AppendBytes(appendIssuing(wire.KindABEIssuerSet), s.params.encoding))
}

// NewIssuerSet decodes what Bytes returned. It checks in public, by the exponents of Y and the Y_i, that any t issuers share the master secret of the params: that the
// shares lie on a polynomial of degree t-1 and of no lower one. That fewer than t cannot issue follows for an honest dealer only: a dealer who wants it otherwise
// can draw such a polynomial. Only the plainest case is seen and refused, an issuer whose Y_i is Y and who has the master secret alone
// (docs/spec/issuing.md section 5). Nor can it know whose issuers they are: compare the ID, and the fingerprint of the params, with those that
// came another way. Cost: up to four exponentiations in the target group for each issuer. Errors are ErrFormat.
func NewIssuerSet(encoding []byte) (*IssuerSet, error) {
	d := wire.NewDecoder(encoding)
	decodeIssuing(d, wire.KindABEIssuerSet)
	encodedParams := d.Bytes(maxParams)
	t, n := int(d.Uint8()), int(d.Uint8())
	if d.Err() == nil && (t < minThreshold || t > n || n > maxIssuers) {
		d.Failf("%d of %d issuers are not possible", t, n)
	}
	raw := d.Raw(n * issuerKeysSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	s := &IssuerSet{threshold: t}
	if s.params, s.public = decodeFABEOParams(d, encodedParams); d.Err() != nil {
		return nil, d.Err()
	}
	for i := range n {
		entry := raw[i*issuerKeysSize:][:issuerKeysSize]
		key := ed25519.PublicKey(bytes.Clone(entry[:ed25519.PublicKeySize]))
		for _, other := range s.keys {
			if key.Equal(other) {
				d.Failf("issuer %d has the signing key of another one: it would count twice", i+1)
				return nil, d.Err()
			}
		}
		y, err := pairing.NewGT(entry[ed25519.PublicKeySize:])
		if err != nil {
			d.Failf("Y of issuer %d is damaged: %v", i+1, err)
			return nil, d.Err()
		}
		if y.Equal(s.public.y) {
			d.Failf("issuer %d has the master secret itself and needs no other: get a set from an honest dealer", i+1)
			return nil, d.Err()
		}
		s.keys, s.ys = append(s.keys, key), append(s.ys, y)
	}
	if !shareOf(s.public.y, s.ys, t) {
		d.Failf("the issuers do not share the master secret as %d of %d: get the set from its dealer", t, n)
		return nil, d.Err()
	}
	s.id = derive(labelIssuers, s.params.authority[:], s.appendKeys(nil))
	return s, nil
}

// shareOf says whether the exponents of y and ys, at 0 to n, are the values of a polynomial of degree t-1, for others with probability
// 2^-128 at most; and of none of a lower degree, with which any t-1 could issue.
func shareOf(y pairing.GT, ys []pairing.GT, t int) bool {
	values := append([]pairing.GT{y}, ys...)
	n := len(ys)
	var g []pairing.Scalar // a random polynomial of degree n-t
	for _, delta := range pairing.RandomWeights(n - t + 1) {
		g = append(g, delta.Scalar())
	}
	leading := differences(t-1, []pairing.Scalar{pairing.ScalarFromInt64(1)}) // (t-1)! times the coefficient of x^(t-1)
	return productGT(values, differences(n, g)).IsIdentity() && !productGT(values[:t], leading).IsIdentity()
}

func productGT(values []pairing.GT, weights []pairing.Scalar) pairing.GT {
	product := pairing.GTIdentity()
	for i, x := range values {
		product = product.Mul(x.Exp(weights[i]))
	}
	return product
}

func (s *IssuerSet) check() error {
	if s == nil || s.params == nil {
		return errors.New("abe: no issuer set: get one from Authority.Split or NewIssuerSet")
	}
	return nil
}

// ID names the set: authority, t, and the keys of the issuers. It stays the same when the vocabulary grows. Requests carry it. Pin it.
func (s *IssuerSet) ID() [32]byte { return s.id }

// Params returns the params under which to seal.
func (s *IssuerSet) Params() *Params { return s.params }

// Threshold returns how many issuers it takes, and how many there are.
func (s *IssuerSet) Threshold() (t, n int) { return s.threshold, len(s.keys) }

// WithVocabulary returns the same issuers for another vocabulary, by the rules of Authority.WithVocabulary. No secret is needed; but an issuer refuses requests of
// another vocabulary than its own, so at least t of them must have agreed to it: each loads its secret with the new set.
func (s *IssuerSet) WithVocabulary(vocabulary *Vocabulary) (*IssuerSet, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if vocabulary == nil {
		vocabulary = new(Vocabulary)
	}
	if err := vocabulary.extends(s.params.vocabulary); err != nil {
		return nil, fmt.Errorf("abe: %w", err)
	}
	grown := *s
	grown.params = newParams(version2, FABEO, vocabulary, s.public)
	return &grown, nil
}
