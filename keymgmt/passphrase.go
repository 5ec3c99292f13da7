package keymgmt

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/veilchart/veilchart/internal/wire"
)

const saltSize = 16

// argonParams are the cost parameters of Argon2id (RFC 9106).
type argonParams struct {
	time    uint32 // passes
	memory  uint32 // KiB
	threads uint8  // lanes
}

// argonDefault is the second recommended option of RFC 9106, section 4.
var argonDefault = argonParams{time: 3, memory: 64 << 10, threads: 4}

// valid bounds what a file may ask for: above, it would be a way to exhaust memory; below, the passphrase would be
// cheap to guess.
func (p argonParams) valid() error {
	switch {
	case p.memory < 16<<10 || p.memory > 256<<10:
		return fmt.Errorf("Argon2id memory of %d KiB is outside 16 MiB to 256 MiB", p.memory)
	case p.time < 1 || p.time > 16:
		return fmt.Errorf("%d passes of Argon2id are outside 1 to 16", p.time)
	case p.threads < 1 || p.threads > 16:
		return fmt.Errorf("%d lanes of Argon2id are outside 1 to 16", p.threads)
	}
	return nil
}

type passphrase struct {
	phrase *Secret
	want   argonParams // for new wrappings

	mu   sync.Mutex // one derivation at a time: each takes 64 MiB
	last derived
}

// derived is the key-encryption key of one salt, kept because deriving is slow on purpose.
type derived struct {
	params argonParams
	salt   [saltSize]byte
	kek    *Secret
}

// NewPassphrase returns the wrapper for a passphrase that people remember: Argon2id with 3 passes over 64 MiB in 4 lanes
// (RFC 9106, section 4, second option), which takes some tenths of a second once for each salt. Text is brought to
// Unicode normalization form C first, so that it does not matter which keyboard typed it. The secret is copied. An empty
// passphrase is refused.
func NewPassphrase(phrase *Secret) (Wrapper, error) {
	b := phrase.ExposeSecret()
	if b == nil {
		return nil, errors.New("keymgmt: the passphrase is empty: give one, or use a key file")
	}
	if utf8.Valid(b) {
		n := norm.NFC.Bytes(b)
		if &n[0] != &b[0] {
			clear(b)
		}
		b = n
	}
	return &passphrase{phrase: adoptSecret(b), want: argonDefault}, nil
}

// kek derives, or remembers, the key-encryption key for a salt. The caller holds mu.
func (w *passphrase) kek(p argonParams, salt [saltSize]byte) *Secret {
	if w.last.kek != nil && w.last.params == p && w.last.salt == salt {
		return w.last.kek
	}
	phrase := w.phrase.ExposeSecret()
	defer clear(phrase)
	return adoptSecret(argon2.IDKey(phrase, salt[:], p.time, p.memory, p.threads, keySize))
}

// Wrap uses the salt at hand again, so that a destruction need not derive anew; the nonce is fresh.
func (w *passphrase) Wrap(ctx context.Context, key *Secret, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.kek == nil || w.last.params != w.want {
		d := derived{params: w.want}
		rand.Read(d.salt[:])
		d.kek = w.kek(d.params, d.salt)
		w.last = d
	}
	head := wire.AppendHeader(nil, wire.Header{Kind: wire.KindKeyWrapped, Version: 1, Suite: providerPassphrase})
	head = binary.BigEndian.AppendUint32(head, w.last.params.time)
	head = binary.BigEndian.AppendUint32(head, w.last.params.memory)
	head = append(head, w.last.params.threads)
	head = append(head, w.last.salt[:]...)
	kek := w.last.kek.ExposeSecret()
	defer clear(kek)
	return wrapUnder(kek, head, key, name)
}

func (w *passphrase) Unwrap(ctx context.Context, wrapped []byte, name string) (*Secret, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, salt, tail, err := readPassphraseWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kek := w.kek(p, salt)
	b := kek.ExposeSecret()
	defer clear(b)
	key, err := tail.unwrapUnder(b, name)
	if err != nil {
		return nil, err
	}
	w.last = derived{params: p, salt: salt, kek: kek} // authenticated by the tag: now it is known to be ours
	return key, nil
}

func readPassphraseWrapped(wrapped []byte) (p argonParams, salt [saltSize]byte, tail wrapTail, err error) {
	d := wire.NewDecoder(wrapped)
	if err = wrapHeader(d, providerPassphrase); err != nil {
		return p, salt, tail, err
	}
	p = argonParams{time: d.Uint32(), memory: d.Uint32(), threads: d.Uint8()}
	copy(salt[:], d.Raw(saltSize))
	if tail, err = readWrapTail(d, wrapped); err != nil {
		return p, salt, tail, err
	}
	if err = p.valid(); err != nil {
		err = fmt.Errorf("keymgmt: wrapped key: %w: %w", ErrDamaged, err)
	}
	return p, salt, tail, err
}
