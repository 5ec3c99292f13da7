package keymgmt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"github.com/veilchart/veilchart/internal/wire"
)

// Derivation labels and associated data, docs/spec/keymgmt.md, section 3. Each names the spec and its version.
const (
	labelDerive   = "veilchart/keymgmt/v1/derive"    // a purpose key below a secret
	labelPage     = "veilchart/keymgmt/v1/page"      // sealing a page under its page key
	labelKey      = "veilchart/keymgmt/v1/key"       // wrapping a key inside a leaf page
	labelKEK      = "veilchart/keymgmt/v1/kek"       // wrapping under a key-encryption key
	labelKEKCheck = "veilchart/keymgmt/v1/kek-check" // public check value of a key-encryption key
	labelReceipt  = "veilchart/keymgmt/v1/receipt"   // signing a receipt
)

const (
	keySize  = 32 // every symmetric key of the ring
	overhead = 28 // what sealing adds: 12 bytes of nonce in front, 16 bytes of tag behind
)

var errOpen = errors.New("decryption failed")

// subkey derives one of the keys of a 32-byte key.
func subkey(key []byte, label string) []byte {
	k, err := hkdf.Expand(sha256.New, key, label, keySize)
	if err != nil {
		panic("keymgmt: HKDF of a fixed length failed: " + err.Error()) // only for lengths above 255 blocks
	}
	return k
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("keymgmt: page keys have 32 bytes: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("keymgmt: AES-GCM: " + err.Error())
	}
	return gcm
}

// seal encrypts under the label's subkey of key. The nonce is random; a key must not seal more than 2^32 times.
func seal(key []byte, label string, plain, data []byte) []byte {
	k := subkey(key, label)
	defer clear(k)
	return newGCM(k).Seal(make([]byte, 0, len(plain)+overhead), nil, plain, data)
}

// open is the inverse of seal, with one error for every failure.
func open(key []byte, label string, sealed, data []byte) ([]byte, error) {
	k := subkey(key, label)
	defer clear(k)
	plain, err := newGCM(k).Open(nil, nil, sealed, data)
	if err != nil {
		return nil, errOpen
	}
	return plain, nil
}

// fullName is the associated data of a wrapped key: ring, name and version, so that no key can take another's place.
func fullName(ring ringID, name string, version uint32) []byte {
	b := wire.AppendString(nil, labelKey)
	b = append(b, ring[:]...)
	b = wire.AppendString(b, name)
	return append(b, byte(version>>24), byte(version>>16), byte(version>>8), byte(version))
}
