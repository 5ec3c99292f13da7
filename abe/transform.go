package abe

import (
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// Transform makes of the header of a sealed object what the user's MediatedKey.Open needs, 584 bytes. sealed may be cut anywhere
// after the header, and the payload is not looked at. The gateway learns neither the plaintext nor any key of it.
//
// It refuses what it would not be safe to work on: an object of another authority or whose policy the key does not satisfy is a
// *DeniedError; a header with an element outside its group, or that does not follow the policy that it names, has ErrDecrypt in its chain; other bytes are ErrFormat.
// It does not, and cannot, see whether the object is genuine: that is for the user. It answers whoever asks: see IssueMediated for
// what a gateway must do before.
//
// Cost: that of Key.Open, about: the decoding of every element of the header and two products of pairings.
func (k *TransformKey) Transform(sealed []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	h, err := decodeHeader(sealed)
	if err != nil {
		return nil, err
	}
	p := k.in()
	f, sel, err := keyOf(&keyParts{version: version2, params: p.params, window: p.window, items: p.items, secret: p.sk}).choose(h)
	if err != nil {
		return nil, err
	}
	var e fabeoElements
	if e.decodeAll(f, h.body[keySize:]) != nil || !p.sk.pub.wellFormed(f, &e) {
		return nil, fmt.Errorf("abe: the header was not made as its policy says: refuse it, and find out where it comes from: %w", ErrDecrypt)
	}
	x := p.sk.combine(f, &e, sel)
	if x.IsIdentity() {
		return nil, ErrDecrypt
	}
	encoded := x.Bytes()
	return append(appendIssuing(wire.KindABETransformed), encoded[:]...), nil
}
