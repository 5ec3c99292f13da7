package keymgmt

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/veilchart/veilchart/internal/wire"
)

// A key file holds one random key-encryption key: header, 32 bytes of key, SHA-256 of both (docs/spec/keymgmt.md,
// section 5).
const keyFileSize = wire.HeaderSize + keySize + sha256.Size

type keyFile struct{ kek *Secret }

// CreateKeyFile makes a new file with a random 32-byte key-encryption key that only its owner can read (0600), and
// returns its wrapper. The file appears whole or not at all. ErrExists if there is a file of that name: a key file is
// never overwritten. Keep a copy of it in a safe place; without it the ring cannot be opened. A process killed in this
// call may leave <path>.new-*: a key that no ring uses, or a second name of the key file. Remove it.
func CreateKeyFile(path string) (Wrapper, error) {
	kek := make([]byte, keySize)
	rand.Read(kek)
	b := encodeKeyFile(kek)
	defer clear(b)
	if err := (&disk{}).createNew(path, b); err != nil {
		clear(kek)
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("keymgmt: key file %s: %w: open it with OpenKeyFile, or choose another name", path, ErrExists)
		}
		return nil, fmt.Errorf("keymgmt: key file %s was not made: %w", path, err)
	}
	return &keyFile{kek: adoptSecret(kek)}, nil
}

// OpenKeyFile reads the key-encryption key of a file that CreateKeyFile made. Errors: fs.ErrNotExist, ErrPermissions if
// others than the owner can reach the file, ErrDamaged.
func OpenKeyFile(path string) (Wrapper, error) {
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	b, err := readBounded(path, keyFileSize)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	kek, err := decodeKeyFile(b)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: key file %s: %w: %w: restore it from a copy", path, ErrDamaged, err)
	}
	return &keyFile{kek: NewSecret(kek)}, nil
}

func encodeKeyFile(kek []byte) []byte {
	b := wire.AppendHeader(make([]byte, 0, keyFileSize), wire.Header{Kind: wire.KindKeyFile, Version: 1})
	b = append(b, kek...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeKeyFile returns a slice of b.
func decodeKeyFile(b []byte) ([]byte, error) {
	d := wire.NewDecoder(b)
	if h := d.Header(wire.KindKeyFile); d.Err() == nil && (h.Version != 1 || h.Suite != 0) {
		d.Failf("key file of version %d, suite %d; known is version 1, suite 0", h.Version, h.Suite)
	}
	kek := d.Raw(keySize)
	sum := sha256.Sum256(b[:d.Offset()])
	if got := d.Raw(sha256.Size); d.Err() == nil && !bytes.Equal(got, sum[:]) {
		d.Failf("checksum does not match")
	}
	return kek, d.Finish()
}

func (w *keyFile) Wrap(ctx context.Context, key *Secret, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kek := w.kek.ExposeSecret()
	defer clear(kek)
	return wrapUnder(kek, wire.AppendHeader(nil, wire.Header{Kind: wire.KindKeyWrapped, Version: 1, Suite: providerKeyFile}), key, name)
}

func (w *keyFile) Unwrap(ctx context.Context, wrapped []byte, name string) (*Secret, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := wire.NewDecoder(wrapped)
	if err := wrapHeader(d, providerKeyFile); err != nil {
		return nil, err
	}
	tail, err := readWrapTail(d, wrapped)
	if err != nil {
		return nil, err
	}
	kek := w.kek.ExposeSecret()
	defer clear(kek)
	return tail.unwrapUnder(kek, name)
}

// checkPrivate refuses a file that others than its owner can read or write. On systems without such modes there is
// nothing to check.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("keymgmt: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("keymgmt: %s is not a regular file: %w", path, ErrDamaged)
	}
	if perm := info.Mode().Perm(); hasModes && perm&0o077 != 0 {
		abs, err := filepath.Abs(path)
		if err != nil {
			abs = path
		}
		return fmt.Errorf("keymgmt: %s has mode %04o: %w: run chmod 600 %q, and think about who may have read it", path, perm, ErrPermissions, abs)
	}
	return nil
}
