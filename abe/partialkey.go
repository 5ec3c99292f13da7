package abe

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// PartialKey is what one issuer gives for a request: t of them make the key. It is a secret and prints as "redacted": treat it as a whole key, for t-1
// issuers that are taken over need one more partial key to open what its attributes satisfy. It is immutable and safe for concurrent use. Get one from Issuer.Issue or NewPartialKey.
type PartialKey struct {
	opaque
	hidden **partialParts
}

type partialParts struct {
	request [32]byte
	issuer  int          // i, from 1
	sk1     []pairing.G1 // in the order of the request's atoms
	sk2     pairing.G1
	sk3     pairing.G2
}

// PartialKeyError says that partial keys do not pass the public check: the issuers made mistakes or cheated, or somebody changed the keys on their way. Leave
// these out, ask other issuers, and find out which it was.
type PartialKeyError struct {
	Issuers []int // the numbers of the issuers, ascending, from 1
}

// Error names the issuers and says what to do.
func (e *PartialKeyError) Error() string {
	list := strings.Trim(fmt.Sprint(e.Issuers), "[]")
	return "abe: partial keys that are none for this request came from the issuers " + list + ": leave them out, ask others, and find out why"
}

func (k *PartialKey) in() *partialParts { return *k.hidden }

func (k *PartialKey) check() error {
	if k == nil || k.hidden == nil {
		return errors.New("abe: no partial key: get one from Issuer.Issue or NewPartialKey")
	}
	return nil
}

// Issuer returns the number of the issuer, from 1.
func (k *PartialKey) Issuer() int { return k.in().issuer }

// ExposeSecret returns the canonical encoding with the partial key in the clear: 189 bytes, and 48 for each component. docs/spec/issuing.md section 6.
func (k *PartialKey) ExposeSecret() []byte {
	p := k.in()
	b := append(appendIssuing(wire.KindABEPartialKey), p.request[:]...)
	b = append(b, byte(p.issuer))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.sk1)))
	b = pairing.AppendG1s(b, p.sk1)
	sk2, sk3 := p.sk2.Bytes(), p.sk3.Bytes()
	return append(append(b, sk2[:]...), sk3[:]...)
}

// NewPartialKey decodes what ExposeSecret returned. Only IssuerSet.Verify and Combine say whether it is one for a request. Errors are ErrFormat.
func NewPartialKey(secret []byte) (*PartialKey, error) {
	d := wire.NewDecoder(secret)
	decodeIssuing(d, wire.KindABEPartialKey)
	p := new(partialParts)
	copy(p.request[:], d.Raw(32))
	p.issuer = int(d.Uint8())
	if d.Err() == nil && (p.issuer < 1 || p.issuer > maxIssuers) {
		d.Failf("issuer %d is none of 1 to %d", p.issuer, maxIssuers)
	}
	n := d.Len(maxAtoms, pairing.G1Size)
	if d.Err() == nil && n == 0 {
		d.Failf("a key has at least one component")
	}
	raw1, raw2, raw3 := d.Raw(n*pairing.G1Size), d.Raw(pairing.G1Size), d.Raw(pairing.G2Size)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	var err1, err2, err3 error
	p.sk1, err1 = pairing.NewG1s(raw1)
	p.sk2, err2 = pairing.NewG1(raw2)
	p.sk3, err3 = pairing.NewG2(raw3)
	if err1 != nil || err2 != nil || err3 != nil {
		d.Failf("a component of the partial key is damaged: ask the issuer again")
		return nil, d.Err()
	}
	return &PartialKey{hidden: &p}, nil
}

// Verify checks in public that a partial key is its issuer's for the request: the holder does it, or anybody whom the holder shows it to. Anything else is a
// *PartialKeyError. Cost: a product of two pairings, and for each component two short multiplications in G1.
func (s *IssuerSet) Verify(request *Request, partial *PartialKey) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.admit(request); err != nil {
		return err
	}
	if err := partial.check(); err != nil {
		return err
	}
	if !s.verify(request.id(), request.atoms(), partial.in()) {
		return &PartialKeyError{[]int{partial.Issuer()}}
	}
	return nil
}

// verify checks e(sk2_i,g2) = Y_i * e(H_b,sk3_i) and e(sk1_i[u],g2) = e(H(u),sk3_i).
func (s *IssuerSet) verify(request [32]byte, atoms []atom, p *partialParts) bool {
	if p.request != request || p.issuer > len(s.ys) || len(p.sk1) != len(atoms) {
		return false
	}
	sk := &fabeoKey{pub: s.public.withY(s.ys[p.issuer-1]), atoms: atoms, sk1: make(map[atom]pairing.G1, len(atoms)), sk2: p.sk2, sk3: p.sk3}
	for n, u := range atoms {
		sk.sk1[u] = p.sk1[n]
	}
	return sk.consistent()
}

// Combine verifies partial keys of t or more different issuers for the request and makes the key of t of them. The key is like one that the whole
// authority issued: it does not show who made it, nor that it was shared. If partial keys do not pass, the error is a *PartialKeyError
// that names all of them, and nothing is made. Cost: Verify for each, and t multiplications in G1 for each component.
func (s *IssuerSet) Combine(request *Request, partials ...*PartialKey) (*Key, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := s.admit(request); err != nil {
		return nil, err
	}
	parts := make([]*partialParts, len(partials))
	for i, k := range partials {
		if err := k.check(); err != nil {
			return nil, err
		}
		parts[i] = k.in()
	}
	slices.SortStableFunc(parts, func(a, b *partialParts) int { return cmp.Compare(a.issuer, b.issuer) })
	id, atoms := request.id(), request.atoms()
	rogue := new(PartialKeyError)
	for i, p := range parts {
		if i > 0 && p.issuer == parts[i-1].issuer {
			return nil, fmt.Errorf("abe: there are two partial keys of issuer %d: give one", p.issuer)
		}
		if !s.verify(id, atoms, p) {
			rogue.Issuers = append(rogue.Issuers, p.issuer)
		}
	}
	switch {
	case len(rogue.Issuers) > 0:
		return nil, rogue
	case len(parts) < s.threshold:
		return nil, fmt.Errorf("abe: there are partial keys of %d issuers, and it takes %d: ask more of them", len(parts), s.threshold)
	}
	sk := combine(s.public, atoms, parts[:s.threshold])
	if sk.sk2.IsIdentity() || sk.sk3.IsIdentity() {
		return nil, errors.New("abe: the partial keys cancel each other: make a new request") // once in 2^254 honest runs
	}
	return keyOf(&keyParts{version: version2, params: s.params, window: request.holding.window, items: request.items, secret: sk}), nil
}

// combine is the sum over i of lambda_i times the partial keys.
func combine(public *fabeoPublic, atoms []atom, parts []*partialParts) *fabeoKey {
	at := make([]int, len(parts))
	for i, p := range parts {
		at[i] = p.issuer
	}
	sk := &fabeoKey{pub: public, atoms: atoms, sk1: make(map[atom]pairing.G1, len(atoms)), sk2: pairing.G1Identity(), sk3: pairing.G2Identity()}
	for _, u := range atoms {
		sk.sk1[u] = pairing.G1Identity()
	}
	for _, p := range parts {
		lambda := newCoefficient(lagrange(p.issuer, at)) // public
		for n, u := range atoms {
			sk.sk1[u] = sk.sk1[u].Add(lambda.mul(p.sk1[n])) // sk1[u] = prod sk1_i[u]^lambda_i
		}
		sk.sk2 = sk.sk2.Add(lambda.mul(p.sk2))          // sk2 = prod sk2_i^lambda_i
		sk.sk3 = sk.sk3.Add(p.sk3.Mul(lambda.scalar())) // sk3 = prod sk3_i^lambda_i
	}
	return sk
}
