package abe

import (
	"bytes"
	"errors"

	"github.com/veilchart/veilchart/internal/wire"
)

// maxParams is the largest length of encoded Params.
const maxParams = wire.HeaderSize + 4 + maxVocabulary + 4 + maxTKN20Public

// Params are an authority's public parameters: who has them can seal, under any policy that the vocabulary allows. They are immutable and
// safe for concurrent use. Keep one and share it: it caches tables (about 1 MiB, up to 11 MiB, or 16 with the circl back end, when many attributes are busy).
// Get them from Authority.Params, Key.Params or NewParams: with zero Params sealing is an error, Bytes is empty, Authority and Fingerprint are zero.
type Params struct {
	version     uint8
	suite       Suite
	vocabulary  *Vocabulary
	public      public
	encoding    []byte
	authority   [32]byte
	fingerprint [32]byte
}

func newParams(version uint8, suite Suite, v *Vocabulary, pub public) *Params {
	p := &Params{version: version, suite: suite, vocabulary: v, public: pub}
	p.encoding = p.encode(version, v.String())
	p.fingerprint = derive(labelFingerprint, p.encoding)
	p.authority = derive(labelFingerprint, p.encode(version1, ""))
	return p
}

func (p *Params) encode(version uint8, vocabulary string) []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindABEParams, Version: version, Suite: uint8(p.suite)})
	return p.public.append(wire.AppendString(b, vocabulary))
}

// NewParams decodes what Bytes returned: for FABEO 588 bytes and the text of the vocabulary. It checks that what is in them is of the right group, which
// takes a few milliseconds, but cannot know whose params they are: compare the Fingerprint with one that came another way. Params of
// version 1 are read; their vocabulary is empty. Errors are ErrFormat.
func NewParams(encoding []byte) (*Params, error) {
	d := wire.NewDecoder(encoding)
	version, suite := decodePrefix(d, wire.KindABEParams)
	v := decodeVocabulary(d, version)
	if d.Err() != nil {
		return nil, d.Err()
	}
	pub := decodePublic(d, suite)
	if d.Err() != nil {
		return nil, d.Err()
	}
	return newParams(version, suite, v, pub), nil
}

// decodeVocabulary reads a vocabulary in its canonical form. In version 1 it is empty.
func decodeVocabulary(d *wire.Decoder, version uint8) *Vocabulary {
	limit := maxVocabulary
	if version == version1 {
		limit = 0
	}
	text := d.String(limit)
	if d.Err() != nil {
		return nil
	}
	v, err := ParseVocabulary(text)
	if err != nil {
		d.Failf("vocabulary: %v", err)
		return nil
	}
	if v.String() != text {
		d.Failf("the vocabulary is not in its canonical form")
	}
	return v
}

func (p *Params) check() error {
	if p == nil || p.public == nil {
		return errors.New("abe: no params: get them from Authority.Params or NewParams")
	}
	return nil
}

// Bytes returns the canonical encoding, a copy. docs/spec/abe.md section 6.
func (p *Params) Bytes() []byte { return bytes.Clone(p.encoding) }

// Fingerprint is a hash of the encoding, and so of the vocabulary too. Pin it: who seals under other params seals for another authority, or under
// other meanings.
func (p *Params) Fingerprint() [32]byte { return p.fingerprint }

// Authority names the authority and not its vocabulary: keys and objects carry it, so that the vocabulary can grow. It does not tell whether a
// vocabulary is the authority's; Fingerprint does.
func (p *Params) Authority() [32]byte { return p.authority }

// Suite returns the suite.
func (p *Params) Suite() Suite { return p.suite }

// Vocabulary returns the names that the authority has declared. It is never nil.
func (p *Params) Vocabulary() *Vocabulary { return p.vocabulary }
