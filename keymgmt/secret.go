package keymgmt

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"

	"github.com/veilchart/veilchart/internal/wire"
)

// MaxSecretSize is the largest secret that a keyring takes, in bytes: 1 MiB.
const MaxSecretSize = 1 << 20

// The purposes that a patient's key is derived for. Other purposes may be added by the caller.
const (
	PurposeContent = "content" // records and attachments
	PurposeIndex   = "index"   // search index rows
	PurposeColumn  = "column"  // encrypted columns
	PurposeBudget  = "budget"  // privacy budget entries
)

const redacted = "redacted"

// errEncode is what every encoder gets that would carry the bytes, or a useless stand-in, somewhere else.
var errEncode = errors.New("keymgmt: a secret is not encoded; wrap it in a keyring, or take it out with ExposeSecret")

// Secret holds secret bytes. It prints as "redacted" under every fmt verb, in slog, JSON and text encodings, and refuses
// gob and binary encodings. ExposeSecret is the one way out. The zero Secret is destroyed. A Secret is safe for
// concurrent use; copies of the struct share the same bytes.
type Secret struct {
	// The bytes are behind a closure and not behind a pointer, because printers that walk values by reflection (fmt for
	// unexported fields and bad verbs, the dumpers of test libraries) follow pointers but cannot look into a closure.
	open func() *cell
}

type cell struct {
	mu sync.RWMutex
	b  []byte
}

// NewSecret copies b. The caller may clear(b) afterwards.
func NewSecret(b []byte) *Secret { return adoptSecret(bytes.Clone(b)) }

// adoptSecret takes b over without a copy.
func adoptSecret(b []byte) *Secret {
	c := &cell{b: b}
	return &Secret{open: func() *cell { return c }}
}

// GenerateSecret draws n random bytes, 1 <= n <= MaxSecretSize. Another n is a mistake in the program, and it panics.
func GenerateSecret(n int) *Secret {
	if n < 1 || n > MaxSecretSize {
		panic(fmt.Sprintf("keymgmt: GenerateSecret(%d): the length must be 1 to %d", n, MaxSecretSize))
	}
	b := make([]byte, n)
	rand.Read(b) // never fails; it ends the process if the system has no randomness
	return adoptSecret(b)
}

func (s *Secret) cell() *cell {
	if s == nil || s.open == nil {
		return &cell{}
	}
	return s.open()
}

// ExposeSecret returns a copy of the bytes, or nil after Destroy. Clear the copy when done with it. A copy, because a
// slice of the living bytes would silently turn into a key of zeros at Destroy.
func (s *Secret) ExposeSecret() []byte {
	c := s.cell()
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.b) == 0 {
		return nil
	}
	return bytes.Clone(c.b)
}

// Len is the number of bytes; 0 after Destroy.
func (s *Secret) Len() int {
	c := s.cell()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.b)
}

// Equal reports whether both hold the same bytes, in a time that depends only on the lengths. Destroyed secrets are
// equal to nothing.
func (s *Secret) Equal(t *Secret) bool {
	a, b := s.ExposeSecret(), t.ExposeSecret()
	defer clear(a)
	defer clear(b)
	return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1
}

// Derive returns the 32-byte key for one purpose below this key, by HKDF-SHA-256 (RFC 5869) with a label that names the
// spec, its version, the purpose and each part of context (docs/spec/keymgmt.md, section 3). Different purposes and
// contexts give independent keys. purpose has 1 to 64 characters a-z, 0-9 and "-". The secret must have at least 16
// bytes and full entropy: derive from random keys, not from passphrases.
func (s *Secret) Derive(purpose string, context ...[]byte) (*Secret, error) {
	if len(purpose) < 1 || len(purpose) > 64 {
		return nil, fmt.Errorf("keymgmt: purpose of %d characters: give 1 to 64", len(purpose))
	}
	for _, c := range []byte(purpose) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return nil, fmt.Errorf("keymgmt: purpose %q: use a-z, 0-9 and -", purpose)
		}
	}
	key := s.ExposeSecret()
	defer clear(key)
	if key == nil {
		return nil, fmt.Errorf("keymgmt: deriving %q: %w", purpose, ErrClosed)
	}
	if len(key) < 16 {
		return nil, fmt.Errorf("keymgmt: deriving %q from a secret of %d bytes: at least 16 are needed", purpose, len(key))
	}
	info := wire.AppendString(nil, labelDerive)
	info = wire.AppendString(info, purpose)
	for _, c := range context {
		info = wire.AppendBytes(info, c)
	}
	b, err := hkdf.Key(sha256.New, key, nil, string(info), keySize)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: deriving %q: %w", purpose, err)
	}
	return adoptSecret(b), nil
}

// Destroy overwrites the bytes with zeros. It may be called again. Copies that ExposeSecret handed out are not reached.
func (s *Secret) Destroy() {
	c := s.cell()
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.b)
	runtime.KeepAlive(c.b)
	c.b = nil
}

// Format prints "redacted" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String is "redacted".
func (s Secret) String() string { return redacted }

// GoString is "redacted".
func (s Secret) GoString() string { return redacted }

// LogValue is "redacted".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON is "redacted", so that a log line with a secret in it can still be written.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText is "redacted".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON refuses: what was written was "redacted".
func (s *Secret) UnmarshalJSON([]byte) error { return errEncode }

// UnmarshalText refuses: what was written was "redacted".
func (s *Secret) UnmarshalText([]byte) error { return errEncode }

// MarshalBinary refuses.
func (s Secret) MarshalBinary() ([]byte, error) { return nil, errEncode }

// UnmarshalBinary refuses.
func (s *Secret) UnmarshalBinary([]byte) error { return errEncode }

// GobEncode refuses: gob is for storage, where a stand-in would be found out too late.
func (s Secret) GobEncode() ([]byte, error) { return nil, errEncode }

// GobDecode refuses.
func (s *Secret) GobDecode([]byte) error { return errEncode }
