package abe

import (
	"bytes"
	"errors"
	"sync"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// Suites, the last byte of every prefix. Others are reserved.
const suiteFABEO = 1 // FABEO CP-ABE over BLS12-381 as a KEM with Fujisaki-Okamoto

const formatVersion = 1

// Domain separation tags of the two hashes to G1, RFC 9380 section 3.1. They differ, so that no attribute, whatever its
// name, hashes to H_b: with one domain for both, the key component of a colliding attribute would be H_b^r, and
// sk2 / H_b^r is the master secret g1^alpha.
const (
	dstAttribute = "VEILCHART-ABE-V01-S01-H-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
	dstBase      = "VEILCHART-ABE-V01-S01-HB-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
)

// paramsSize is the length of encoded Params: prefix, reserved vocabulary length, Y.
const paramsSize = wire.HeaderSize + 4 + pairing.GTSize

// Params are an authority's public parameters: who has them can seal, under any policy. They are immutable and safe for
// concurrent use. Keep one and share it: it caches tables (about 1 MiB, up to 10 MiB for busy attributes).
// Get them from Authority.Params, Key.Params or NewParams: with zero Params sealing is an error, Bytes is empty and Fingerprint zero.
type Params struct {
	y           pairing.GT // e(g1,g2)^alpha
	encoding    []byte
	fingerprint [32]byte

	hb      func() pairing.G1       // H_b
	hbTable func() *pairing.G1Table // for H_b
	g2Table func() *pairing.G2Table // for g2
	yTable  func() *pairing.GTTable // for Y
	hashes  *hashCache              // H(u)
}

func newParams(y pairing.GT) *Params {
	b := wire.AppendHeader(make([]byte, 0, paramsSize), wire.Header{Kind: wire.KindABEParams, Version: formatVersion, Suite: suiteFABEO})
	b = wire.AppendBytes(b, nil) // vocabulary, reserved
	out := y.Bytes()
	b = append(b, out[:]...)
	p := &Params{y: y, encoding: b, fingerprint: derive(labelFingerprint, b), hashes: newHashCache()}
	p.hb = sync.OnceValue(func() pairing.G1 { return pairing.HashToG1(nil, dstBase) })
	p.hbTable = sync.OnceValue(func() *pairing.G1Table { return pairing.NewG1Table(p.hb()) })
	p.g2Table = sync.OnceValue(func() *pairing.G2Table { return pairing.NewG2Table(pairing.G2Generator()) })
	p.yTable = sync.OnceValue(func() *pairing.GTTable { return pairing.NewGTTable(p.y) })
	return p
}

// NewParams decodes what Bytes returned: 588 bytes. It checks that Y is of the right group, which takes a few milliseconds,
// but cannot know whose params they are: compare the Fingerprint with one that came another way. Errors are ErrFormat.
func NewParams(encoding []byte) (*Params, error) {
	d := wire.NewDecoder(encoding)
	decodePrefix(d, wire.KindABEParams)
	d.Len(0, 0) // vocabulary, reserved
	raw := d.Raw(pairing.GTSize)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	y, err := pairing.NewGT(raw)
	if err != nil {
		d.Failf("Y is damaged: %v", err)
		return nil, d.Err()
	}
	return newParams(y), nil
}

func (p *Params) check() error {
	if p == nil || p.hb == nil {
		return errors.New("abe: no params: get them from Authority.Params or NewParams")
	}
	return nil
}

// Bytes returns the canonical encoding, a copy. docs/spec/abe.md section 5.
func (p *Params) Bytes() []byte { return bytes.Clone(p.encoding) }

// Fingerprint names the authority: a hash of the encoding. Pin it. Every sealed object and every key carries it.
func (p *Params) Fingerprint() [32]byte { return p.fingerprint }

// decodePrefix reads the common prefix and refuses versions and suites that this version does not know.
func decodePrefix(d *wire.Decoder, kind wire.Kind) {
	h := d.Header(kind)
	if d.Err() != nil {
		return
	}
	if h.Version != formatVersion {
		d.Failf("version %d of this format is not known here: a newer version of the library may read it", h.Version)
	} else if h.Suite != suiteFABEO {
		d.Failf("suite %d is not known here: a newer version of the library may read it", h.Suite)
	}
}
