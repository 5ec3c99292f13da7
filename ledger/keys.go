package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// maxName bounds the name of a log in bytes.
const maxName = 256

// Signer is the secret Ed25519 key (RFC 8032) of a log, together with the log's name. It prints as "redacted"; Seed is
// the one way out. It is immutable and safe for concurrent use.
type Signer struct {
	name string
	key  ed25519.PrivateKey
	pub  *Verifier
}

// GenerateSigner draws a new key for a log of that name. The name is the origin line of every checkpoint and should be
// unique in the world, such as "ward.example.org/log": 1 to 256 bytes of UTF-8 without spaces, control characters and '+'.
func GenerateSigner(name string) (*Signer, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails since Go 1.24
	return NewSigner(name, seed)
}

// NewSigner makes the key of a log of that name (see GenerateSigner) from a secret seed of 32 bytes.
func NewSigner(name string, seed []byte) (*Signer, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the seed of a log's key has %d bytes, not %d; pass the bytes that Seed returned", len(seed), ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	text, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	pub, err := ParseVerifier(text)
	if err != nil {
		return nil, err
	}
	return &Signer{name, key, pub}, nil
}

func checkName(name string) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("the name of a log has %d bytes; use 1 to %d", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, bad):
		return fmt.Errorf("the name %q of a log holds a space, a control character, a '+' or bytes that are not UTF-8; leave them out", name)
	}
	return nil
}

// Seed returns the secret: 32 bytes from which NewSigner makes the same key again.
func (s *Signer) Seed() []byte { return s.key.Seed() }

// Verifier returns the public key.
func (s *Signer) Verifier() *Verifier { return s.pub }

// String hides the key.
func (Signer) String() string { return "redacted" }

// Format hides the key under every verb.
func (Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, "redacted") }

// LogValue hides the key from slog.
func (Signer) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText hides the key from JSON and the like.
func (Signer) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// noteSigner lets the note package sign with the key; it is a type of its own so that Signer does not grow its methods.
type noteSigner struct{ s *Signer }

func (n noteSigner) Name() string                     { return n.s.name }
func (n noteSigner) KeyHash() uint32                  { return n.s.pub.v.KeyHash() }
func (n noteSigner) Sign(text []byte) ([]byte, error) { return ed25519.Sign(n.s.key, text), nil }

// Verifier is the public key of a log, together with the log's name. It is immutable and safe for concurrent use.
type Verifier struct {
	text string
	v    note.Verifier
}

// ParseVerifier reads a public key in the form that String writes: name, '+', key hash in hexadecimal, '+', key in base64,
// as in the C2SP note format. Keys of algorithms other than Ed25519 are refused.
func ParseVerifier(text string) (*Verifier, error) {
	fail := func(why string) (*Verifier, error) {
		return nil, fmt.Errorf("no public key of a log: %s; expected the form name+hash+base64", why)
	}
	if len(text) > maxName+128 {
		return fail("too long")
	}
	name, rest, ok := strings.Cut(text, "+")
	_, b64, ok2 := strings.Cut(rest, "+")
	if !ok || !ok2 {
		return fail("a '+' is missing")
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 1 {
		return fail("the last part is not an Ed25519 key")
	}
	// One text for each key: what is written again must be what was read.
	if canon, err := note.NewEd25519VerifierKey(name, key[1:]); err != nil || canon != text {
		return fail("the hash in the middle does not belong to name and key")
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return fail(err.Error())
	}
	return &Verifier{text, v}, nil
}

// Name is the name of the log.
func (v *Verifier) Name() string { return v.v.Name() }

// String is the text that ParseVerifier reads.
func (v *Verifier) String() string { return v.text }

var errNoKey = errors.New("no key given; pass the log's Signer or Verifier")
