package he

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// Labels of the derivations (docs/spec/he.md). Each ends up in one place only.
const (
	labelKeyID   = "veilchart/he/v1 key id"
	labelMAC     = "veilchart/he/v1 column tag key"
	labelSeed    = "veilchart/he/v1 secret seed"
	labelSecret  = "veilchart/he/v1 ternary secret"
	labelUniform = "veilchart/he/v1 uniform c1"
	labelPart    = "veilchart/he/v1 part digest"
	labelColumn  = "veilchart/he/v1 column digest"
	labelTag     = "veilchart/he/v1 column tag"
	labelRows    = "veilchart/he/v1 row set"
	labelPlan    = "veilchart/he/v1 plan"
	labelAnswer  = "veilchart/he/v1 answer checksum"
)

const keyVersion = 1

// KeyID names a key in public. It is the key epoch of every ciphertext made under it.
type KeyID [16]byte

// String is the identifier in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Key encrypts columns and decrypts answers. The gateway that applies differential privacy holds it; the computing server
// never does. It is immutable, safe for concurrent use, and prints as "redacted".
type Key struct{ k *keyData }

// keyData is behind a pointer so that printing a struct that contains a Key shows an address at most.
type keyData struct {
	lat    *lattice
	master [32]byte
	id     KeyID
	mac    []byte
	sMont  poly     // s, transformed, Montgomery form
	sRev   []uint64 // s as innerConst wants it
}

// GenerateKey draws a new key. It fails for a profile that is not ready.
func GenerateKey(p Profile) (*Key, error) {
	var master [32]byte
	rand.Read(master[:])
	return newKey(p, master)
}

// NewKey reads what ExposeSecret returned. Errors wrap ErrFormat.
func NewKey(secret []byte) (*Key, error) {
	d := wire.NewDecoder(secret)
	h := d.Header(wire.KindHEKey)
	checkSuite(d, h, keyVersion)
	var master [32]byte
	var id KeyID
	copy(master[:], d.Raw(len(master)))
	copy(id[:], d.Raw(len(id)))
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("he: secret key: %w; restore it from the key store", err)
	}
	k, err := newKey(Profile(h.Suite), master)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(id[:], k.k.id[:]) != 1 {
		return nil, fmt.Errorf("he: secret key: %w: its checksum does not fit; restore it from the key store", ErrFormat)
	}
	return k, nil
}

func newKey(p Profile, master [32]byte) (*Key, error) {
	lat, err := latticeOf(p)
	if err != nil {
		return nil, err
	}
	derive := func(label string, n int) []byte {
		b, err2 := hkdf.Key(sha256.New, master[:], []byte{byte(p)}, label, n)
		if err2 != nil && err == nil {
			err = fmt.Errorf("he: deriving a key: %w", err2)
		}
		return b
	}
	k := &keyData{lat: lat, master: master, mac: derive(labelMAC, 32)}
	copy(k.id[:], derive(labelKeyID, len(k.id)))
	seed := derive(labelSeed, 32)
	if err != nil {
		return nil, err
	}
	s := expandSecret(p, seed, lat.n())
	k.sRev = lat.reversed(s)
	k.sMont = lat.signed(s)
	lat.ntt(k.sMont)
	lat.mont(k.sMont)
	clear(s)
	clear(seed)
	return &Key{k}, nil
}

// ExposeSecret is the one way out for the secret: 56 bytes for a key store to wrap. Whoever has them can decrypt every
// column made under this key.
func (k *Key) ExposeSecret() []byte {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindHEKey, Version: keyVersion, Suite: uint8(k.k.lat.profile)})
	b = append(b, k.k.master[:]...)
	return append(b, k.k.id[:]...)
}

// ID names the key in public.
func (k *Key) ID() KeyID { return k.k.id }

// tag authenticates a column digest.
func (k *Key) tag(digest [32]byte) [32]byte {
	m := hmac.New(sha256.New, k.k.mac)
	m.Write(wire.AppendString(nil, labelTag))
	m.Write(digest[:])
	return [32]byte(m.Sum(nil))
}

// checkSuite refuses other versions of a format and profiles that are not ready.
func checkSuite(d *wire.Decoder, h wire.Header, version uint8) {
	switch {
	case d.Err() != nil:
	case h.Version != version:
		d.Failf("format version %d, this release reads %d: use a newer release", h.Version, version)
	case Profile(h.Suite) != ProfileSum:
		d.Failf("profile %v: use a newer release", Profile(h.Suite))
	}
}
