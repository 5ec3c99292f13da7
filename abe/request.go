package abe

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/veilchart/veilchart/internal/wire"
)

const labelRequest = "request" // encoded request

const maxHolder = 256 // bytes

const nonceSize = 32

// Request asks the issuers of a set for one key. It is public but for what it says of the holder, and immutable. Nothing in it is authenticated: issuers look at
// it, and approve what they want to be issued. Get one from IssuerSet.Request or NewRequest.
type Request struct {
	set         [32]byte // IssuerSet.ID
	fingerprint [32]byte // Params.Fingerprint, with the vocabulary by which the items were made
	nonce       [nonceSize]byte
	holder      string
	holding
	encoding []byte
}

// Request makes a request for the key that Authority.IssueKey would make. holder says for whom, in the words that the issuers know the person or machine by: 1 to 256 bytes
// of visible UTF-8. Each call draws a nonce: two requests are never the same, and their keys never share anything.
func (s *IssuerSet) Request(holder string, window Window, attributes ...Attribute) (*Request, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := checkRecordID(holder); err != nil {
		return nil, fmt.Errorf("abe: holder %.300q: name it with 1 to %d bytes of visible UTF-8", holder, maxHolder)
	}
	h, err := s.params.holding(window, attributes)
	if err != nil {
		return nil, err
	}
	r := &Request{set: s.id, fingerprint: s.params.fingerprint, holder: holder, holding: h}
	rand.Read(r.nonce[:])
	r.encoding = r.encode()
	return r, nil
}

func (r *Request) encode() []byte {
	b := append(appendIssuing(wire.KindABERequest), r.set[:]...)
	b = append(append(b, r.fingerprint[:]...), r.nonce[:]...)
	return r.holding.append(wire.AppendString(b, r.holder))
}

// NewRequest decodes what Bytes returned. Whether it is a request to these issuers, and for a key that the vocabulary allows, Approve and Issue check. Errors are ErrFormat.
func NewRequest(encoding []byte) (*Request, error) {
	d := wire.NewDecoder(encoding)
	decodeIssuing(d, wire.KindABERequest)
	r := new(Request)
	copy(r.set[:], d.Raw(32))
	copy(r.fingerprint[:], d.Raw(32))
	copy(r.nonce[:], d.Raw(nonceSize))
	r.holder = d.String(maxHolder)
	if d.Err() == nil {
		if err := checkRecordID(r.holder); err != nil {
			d.Failf("the holder is not visible UTF-8 of 1 to %d bytes", maxHolder)
		}
	}
	r.holding = decodeHolding(d)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	r.encoding = slices.Clone(encoding)
	return r, nil
}

func (r *Request) check() error {
	if r == nil || r.encoding == nil {
		return errors.New("abe: no request: get one from IssuerSet.Request or NewRequest")
	}
	return nil
}

// Bytes returns the canonical encoding, a copy. docs/spec/issuing.md section 6.
func (r *Request) Bytes() []byte { return slices.Clone(r.encoding) }

// Holder says for whom the key is.
func (r *Request) Holder() string { return r.holder }

// Window returns the sealing days that the key would read.
func (r *Request) Window() Window { return r.holding.window }

// Attributes returns the attributes that the key would have, as Key.Attributes does.
func (r *Request) Attributes() []Attribute { return r.holding.attributes() }

// String says all of it for who is to approve it: holder, window, attributes.
func (r *Request) String() string {
	if r.check() != nil {
		return "no request"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key for %q, sealing days %v, with", r.holder, r.holding.window)
	for i, u := range r.Attributes() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %v", u)
	}
	return b.String()
}

// id names the request.
func (r *Request) id() [32]byte { return derive(labelRequest, r.encoding) }

// admit says whether r is a request to s, and whether its items are those that the vocabulary makes of its attributes: an honest Request has made
// them, one that was written by hand may ask for two ages, or leave out the values that the holder does not have.
func (s *IssuerSet) admit(r *Request) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.set != s.id {
		return errors.New("abe: the request is for other issuers: ask those that it names")
	}
	if r.fingerprint != s.params.fingerprint {
		return errors.New("abe: the request was made with another vocabulary: make it with the present IssuerSet")
	}
	var asked []Attribute
	for _, u := range r.Attributes() {
		if u.Kind != Not {
			asked = append(asked, u)
		}
	}
	h, err := s.params.holding(r.holding.window, asked)
	if err != nil {
		return fmt.Errorf("abe: the request cannot be granted: %w", err)
	}
	if !slices.Equal(h.items, r.items) {
		return errors.New("abe: the request cannot be granted: what it says of the values that the holder does not have is not so; make it with IssuerSet.Request")
	}
	return nil
}
