package keymgmt

import (
	"context"
	"crypto/subtle"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// Wrapper is a key-encryption key, wherever it lives: a passphrase, a key file, later an HSM or a KMS. A keyring gives
// it one key only, the root of the key tree. It must be safe for concurrent use. keymgmttest.TestWrapper holds the
// rules for all implementations.
type Wrapper interface {
	// Wrap encrypts and authenticates key, bound to name. Wrapping twice gives two different results.
	Wrap(ctx context.Context, key *Secret, name string) ([]byte, error)
	// Unwrap is the inverse, with the same name. The error is ErrWrongKey if wrapped was made by another key-encryption
	// key, and ErrDamaged if wrapped is no such encoding or was altered.
	Unwrap(ctx context.Context, wrapped []byte, name string) (*Secret, error)
}

// The providers: the suite byte of a wrapped key.
const (
	providerPassphrase uint8 = 1
	providerKeyFile    uint8 = 2
	// 3 PKCS#11, 4 Vault transit, 5 X-Wing, 6 passphrase with PBKDF2: reserved
)

var providerNames = map[uint8]string{providerPassphrase: "a passphrase", providerKeyFile: "a key file"}

const (
	maxWrapped = 4096 // bytes of one wrapped root key, of any provider
	checkSize  = 16
)

// wrapHeader checks the common prefix of a wrapped key for one provider.
func wrapHeader(d *wire.Decoder, provider uint8) error {
	h := d.Header(wire.KindKeyWrapped)
	switch {
	case d.Err() != nil:
		return fmt.Errorf("keymgmt: wrapped key: %w: %w", ErrDamaged, d.Err())
	case h.Version != 1:
		return fmt.Errorf("keymgmt: wrapped key of format version %d, this program knows 1: use a newer one: %w", h.Version, ErrDamaged)
	case h.Suite != provider:
		made, ok := providerNames[h.Suite]
		if !ok {
			return fmt.Errorf("keymgmt: the key is wrapped by provider %d, which this program does not know: use a newer one: %w", h.Suite, ErrDamaged)
		}
		return fmt.Errorf("keymgmt: the key is wrapped by %s, but %s was given: %w", made, providerNames[provider], ErrWrongKey)
	}
	return nil
}

// wrapUnder appends to the public head (header and parameters) the check value and the sealed key.
func wrapUnder(kek, head []byte, key *Secret, name string) ([]byte, error) {
	plain := key.ExposeSecret()
	defer clear(plain)
	if plain == nil {
		return nil, fmt.Errorf("keymgmt: wrapping %q: %w", name, ErrClosed)
	}
	if len(plain) > maxWrapped/2 {
		return nil, fmt.Errorf("keymgmt: wrapping %q: a key-encryption key wraps at most %d bytes, not %d: put it into a keyring", name, maxWrapped/2, len(plain))
	}
	head = append(head, subkey(kek, labelKEKCheck)[:checkSize]...)
	return wire.AppendBytes(head, seal(kek, labelKEK, plain, wrapData(head, name))), nil
}

// wrapData binds the sealed key to everything in front of it and to its name.
func wrapData(head []byte, name string) []byte {
	return wire.AppendString(wire.AppendBytes(wire.AppendString(nil, labelKEK), head), name)
}

// wrapTail is what follows the parameters of a wrapped key.
type wrapTail struct {
	head, check, sealed []byte
}

func readWrapTail(d *wire.Decoder, wrapped []byte) (wrapTail, error) {
	var t wrapTail
	t.check = d.Raw(checkSize)
	t.head = wrapped[:d.Offset()]
	t.sealed = d.Bytes(maxWrapped)
	if err := d.Finish(); err != nil {
		return t, fmt.Errorf("keymgmt: wrapped key: %w: %w", ErrDamaged, err)
	}
	return t, nil
}

// unwrapUnder tells a wrong key-encryption key from an altered wrapped key by the public check value. The check value
// gives nothing to someone who guesses passphrases that the sealed key does not give as well.
func (t wrapTail) unwrapUnder(kek []byte, name string) (*Secret, error) {
	if subtle.ConstantTimeCompare(t.check, subkey(kek, labelKEKCheck)[:checkSize]) != 1 {
		return nil, fmt.Errorf("keymgmt: unwrapping %q: %w", name, ErrWrongKey)
	}
	plain, err := open(kek, labelKEK, t.sealed, wrapData(t.head, name))
	if err != nil {
		return nil, fmt.Errorf("keymgmt: unwrapping %q: the passphrase or key file is right, but the wrapped key was altered or belongs to another name: %w", name, ErrDamaged)
	}
	if len(plain) == 0 {
		return nil, fmt.Errorf("keymgmt: unwrapping %q: empty key: %w", name, ErrDamaged)
	}
	return adoptSecret(plain), nil
}
