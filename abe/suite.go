package abe

import (
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// Suite names a scheme with its groups and hashes. The zero Suite is none.
type Suite uint8

// The suites. Numbers are those of the formats.
const (
	// FABEO is FABEO CP-ABE (Riepel and Wee, CCS 2022) over BLS12-381: fast and small, proven in the generic group and random oracle
	// models. Take it unless you have to have a standard assumption.
	FABEO Suite = 1
	// TKN20 is the scheme of Tomida, Kawahara and Nishimaki (PKC 2020) as implemented by circl, proven from a standard assumption in
	// the random oracle model: several times slower to open, tens to hundreds of times to seal and issue (sealing to 100 leaves takes about a second), keys and headers several times larger, and without Delegate, mediated decryption, threshold issuing and Check.
	TKN20 Suite = 2
)

// String is the name.
func (s Suite) String() string {
	switch s {
	case FABEO:
		return "FABEO"
	case TKN20:
		return "TKN20"
	}
	return fmt.Sprintf("unknown suite %d", uint8(s))
}

// MarshalText returns String, so that a suite is its name in JSON. The error is always nil.
func (s Suite) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name of a suite.
func (s *Suite) UnmarshalText(text []byte) error {
	switch string(text) {
	case "FABEO":
		*s = FABEO
	case "TKN20":
		*s = TKN20
	default:
		return fmt.Errorf("abe: %.20q is no suite: write FABEO or TKN20", text)
	}
	return nil
}

// A suite is three types behind these interfaces. They know atoms and formulas, and nothing of attributes, policies, days or formats
// but the bytes of their own part. All are immutable and safe for concurrent use.

// public is what sealers have.
type public interface {
	// append appends its encoding.
	append(b []byte) []byte
	// bodySize is the length of the body for f, or an error if the suite has none for it.
	bodySize(f *formula) (int, error)
	// encapsulate draws sigma and makes a body from which keys that satisfy f, and nobody else, get it back. pre is the part of the header
	// before the body.
	encapsulate(pre []byte, f *formula) (body []byte, sigma [keySize]byte, err error)
}

// master is what an authority has.
type master interface {
	append(b []byte) []byte
	public() public
	// issue makes a key for different atoms, in the order in which they are encoded.
	issue(atoms []atom) (secret, error)
}

// secret is what the holder of a key has.
type secret interface {
	append(b []byte) []byte
	has(u atom) bool
	// decapsulate returns the sigma of a body that encapsulate made for pre and f, or ErrDecrypt. sel satisfies f.
	decapsulate(pre, body []byte, f *formula, sel []selected) (sigma [keySize]byte, err error)
}

// Versions of the formats of params, authorities, keys and objects. Version 1 had FABEO, and neither windows nor vocabularies. It is read, and what
// was read in it is written back as it was; nothing new is made in it.
const (
	version1 = 1
	version2 = 2
)

// decodePrefix reads the common prefix and refuses versions and suites that are not known.
func decodePrefix(d *wire.Decoder, kind wire.Kind) (version uint8, suite Suite) {
	d.About(kind)
	h := d.Header(kind)
	suite = Suite(h.Suite)
	switch {
	case d.Err() != nil:
	case h.Version != version1 && h.Version != version2:
		d.Failf("version %d of this format is not known here: a newer version of the library may read it", h.Version)
	case suite != FABEO && (suite != TKN20 || h.Version == version1):
		d.Failf("suite %d is not known here in version %d: a newer version of the library may read it", h.Suite, h.Version)
	}
	return h.Version, suite
}

// decodePublic reads the part of params that belongs to the suite, to the end.
func decodePublic(d *wire.Decoder, suite Suite) public {
	if suite == TKN20 {
		return decodeTKN20Public(d)
	}
	return decodeFABEOPublic(d)
}

// decodeMaster reads the part of an authority that belongs to the suite, to the end.
func decodeMaster(d *wire.Decoder, suite Suite) master {
	if suite == TKN20 {
		return decodeTKN20Master(d)
	}
	return decodeFABEOMaster(d)
}
