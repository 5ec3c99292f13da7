package abe

import (
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

const (
	labelApprove = "approve" // what an approval signs: the label and the encoded request, each with its length
	labelPartial = "partial" // alpha_i, seed, encoded request: the tape from which r_i is drawn
)

// Issuer is one of n issuers: its share of the master secret and its signing key. It is a secret, prints as "redacted", is immutable and safe
// for concurrent use. Get one from Authority.Split or NewIssuer: of the zero Issuer Approve and Issue return errors and the other methods panic.
//
// The library keeps no state for an issuer and needs none: see Issue. It does not know people either. Who runs an issuer decides what is approved, knows the
// others' IssuerSet from the dealing, sends a partial key to the holder and to nobody else over a confidential channel, and keeps a log.
type Issuer struct {
	opaque
	hidden **issuerParts
}

type issuerParts struct {
	set    *IssuerSet
	index  int          // i, from 1
	master *fabeoMaster // alpha_i; its pub has Y_i
	seed   [ed25519.SeedSize]byte
	signer ed25519.PrivateKey
}

func (i *Issuer) in() *issuerParts { return *i.hidden }

func (i *Issuer) check() error {
	if i == nil || i.hidden == nil {
		return errors.New("abe: no issuer: get one from Authority.Split or NewIssuer")
	}
	return nil
}

// Index returns the number of the issuer in its set, from 1.
func (i *Issuer) Index() int { return i.in().index }

// ExposeSecret returns the canonical encoding with the secrets in the clear. Encrypt it before it is stored. The IssuerSet is stored beside it. docs/spec/issuing.md section 6.
func (i *Issuer) ExposeSecret() []byte {
	p := i.in()
	b := append(appendIssuing(wire.KindABEIssuer), p.set.id[:]...)
	b = append(b, byte(p.index))
	return append(p.master.append(b), p.seed[:]...)
}

// NewIssuer decodes what ExposeSecret returned and checks that it belongs to the set. Give it the set of the dealing, or one that WithVocabulary made of it and that you
// agree with. Errors are ErrFormat.
func NewIssuer(secret []byte, set *IssuerSet) (*Issuer, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	d := wire.NewDecoder(secret)
	decodeIssuing(d, wire.KindABEIssuer)
	id, index := d.Raw(32), int(d.Uint8())
	raw, seed := d.Raw(pairing.ScalarSize), d.Raw(ed25519.SeedSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	alpha, err := pairing.NewScalar(raw)
	switch {
	case [32]byte(id) != set.id:
		d.Failf("the secret belongs to another set of issuers: load it with that one")
	case index < 1 || index > len(set.keys):
		d.Failf("issuer %d is none of 1 to %d", index, len(set.keys))
	case err != nil:
		d.Failf("the share is damaged: restore it from a copy")
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	p := &issuerParts{set: set, index: index, seed: [ed25519.SeedSize]byte(seed), signer: ed25519.NewKeyFromSeed(seed)}
	p.master = newFABEOMaster(alpha)
	y := p.master.pub.y
	p.master.pub = set.public.withY(y)
	if !y.Equal(set.ys[index-1]) || subtle.ConstantTimeCompare(p.signer.Public().(ed25519.PublicKey), set.keys[index-1]) != 1 {
		d.Failf("the secret is not that of issuer %d: restore it from a copy", index)
		return nil, d.Err()
	}
	return &Issuer{hidden: &p}, nil
}

// approved is the message that an approval signs.
func approved(r *Request) []byte {
	return wire.AppendBytes(wire.AppendString(nil, labelPrefix+labelApprove), r.encoding)
}

// Approve signs a request, of 105 bytes: round one. Read Request.String and ask the people concerned before: t approvals make t issuers give
// out the key. An approval is public, names the request and nothing else, and does not expire: do not approve what may not be issued next year.
func (i *Issuer) Approve(request *Request) (approval []byte, err error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	p := i.in()
	if err := p.set.admit(request); err != nil {
		return nil, err
	}
	id := request.id()
	b := append(appendIssuing(wire.KindABEApproval), id[:]...)
	b = append(b, byte(p.index))
	return append(b, ed25519.Sign(p.signer, approved(request))...), nil
}

// approver returns which issuer has approved the request, from 1.
func (s *IssuerSet) approver(approval []byte, request *Request) (int, error) {
	d := wire.NewDecoder(approval)
	decodeIssuing(d, wire.KindABEApproval)
	id, index, signature := d.Raw(32), int(d.Uint8()), d.Raw(ed25519.SignatureSize)
	if err := d.Finish(); err != nil {
		return 0, err
	}
	if index < 1 || index > len(s.keys) {
		d.Failf("issuer %d is none of 1 to %d", index, len(s.keys))
		return 0, d.Err()
	}
	if [32]byte(id) != request.id() {
		return 0, fmt.Errorf("abe: the approval of issuer %d is for another request: leave it out", index)
	}
	if !ed25519.Verify(s.keys[index-1], approved(request), signature) {
		return 0, fmt.Errorf("abe: the approval of issuer %d was forged or damaged: leave it out and ask the issuer", index)
	}
	return index, nil
}

// Issue makes the issuer's partial key for a request that t different issuers have approved: round two. The issuer's own approval need not be among
// them: t approvals are the decision of the set. One that is not valid is an error.
//
// The same request gives the same partial key each time, at every copy of the issuer: its random number is derived from the issuer's secrets and the whole
// request. So nothing has to be remembered, a lost answer is asked for again, and who asks twice has no more than who asked once.
//
// Whoever collects t partial keys has the key: send this one to the holder that the request names and to nobody else.
func (i *Issuer) Issue(request *Request, approvals ...[]byte) (*PartialKey, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	p := i.in()
	if err := p.set.admit(request); err != nil {
		return nil, err
	}
	approvers := map[int]bool{}
	for _, approval := range approvals {
		index, err := p.set.approver(approval, request)
		if err != nil {
			return nil, err
		}
		approvers[index] = true
	}
	if len(approvers) < p.set.threshold {
		return nil, fmt.Errorf("abe: %d issuers have approved the request, and it takes %d: get more approvals", len(approvers), p.set.threshold)
	}
	// r_i never serves two sets of atoms: components of both would be those of one key for their union. So it depends on every byte of the request, and
	// not on the nonce alone, which is the holder's choice.
	alpha := p.master.alpha.Bytes()
	r := coins{xof(labelPartial, alpha[:], p.seed[:], request.encoding)}.scalar()
	sk := p.master.keyGenWith(request.atoms(), r)
	out := &partialParts{request: request.id(), issuer: p.index, sk2: sk.sk2, sk3: sk.sk3}
	for _, u := range sk.atoms {
		out.sk1 = append(out.sk1, sk.sk1[u])
	}
	return &PartialKey{hidden: &out}, nil
}
