package abe

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"io"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// The payload is Tink's AES256-GCM-HKDF streaming format with segments of 1 MiB of ciphertext. Tink's writer and reader serve
// streams and what is longer than one segment. A record within one segment, the usual case, is written and read here, in the
// same format, without Tink's buffers of a megabyte each.
//
//	first segment   40 (one byte, the length of this head) | salt 32 | nonce prefix 7 | AES-256-GCM
//	key             HKDF-SHA256(payload key, salt, info = associated data)
//	nonce           nonce prefix | number of the segment, 4 bytes | 1 for the last segment, otherwise 0
const (
	segmentSize   = 1 << 20
	saltSize      = 32
	noncePrefix   = subtle.AESGCMHKDFNoncePrefixSizeInBytes
	payloadHead   = 1 + saltSize + noncePrefix
	tagSize       = subtle.AESGCMHKDFTagSizeInBytes
	oneSegment    = segmentSize - payloadHead - tagSize // the longest plaintext of a single segment
	noncePosition = 1 + saltSize
)

func tink(payloadKey [keySize]byte) *subtle.AESGCMHKDF {
	t, err := subtle.NewAESGCMHKDF(payloadKey[:], "SHA256", keySize, segmentSize, 0)
	if err != nil {
		panic(err) // it looks at the constants alone
	}
	return t
}

// appendPayload appends plaintext, encrypted.
func appendPayload(b []byte, payloadKey [keySize]byte, plaintext, associated []byte) ([]byte, error) {
	if len(plaintext) <= oneSegment {
		head := make([]byte, payloadHead)
		rand.Read(head)
		head[0] = payloadHead
		key, nonce, err := segmentKey(payloadKey, head, associated)
		if err != nil {
			return nil, err
		}
		return newGCM(key).Seal(append(b, head...), nonce, plaintext, nil), nil
	}
	buffer := bytes.NewBuffer(b)
	w, err := tink(payloadKey).NewEncryptingWriter(buffer, associated)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plaintext); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// openPayload returns the plaintext.
func openPayload(payload []byte, payloadKey [keySize]byte, associated []byte) ([]byte, error) {
	if len(payload) < payloadHead+tagSize || payload[0] != payloadHead {
		return nil, ErrDecrypt
	}
	if len(payload) <= segmentSize {
		key, nonce, err := segmentKey(payloadKey, payload[:payloadHead], associated)
		if err != nil {
			return nil, err
		}
		plaintext, err := newGCM(key).Open(nil, nonce, payload[payloadHead:], nil)
		if err != nil {
			return nil, ErrDecrypt
		}
		return plaintext, nil
	}
	r, err := tink(payloadKey).NewDecryptingReader(bytes.NewReader(payload), associated)
	if err != nil {
		return nil, ErrDecrypt
	}
	plaintext := bytes.NewBuffer(make([]byte, 0, len(payload)))
	if _, err := io.Copy(plaintext, r); err != nil {
		return nil, ErrDecrypt
	}
	return plaintext.Bytes(), nil
}

// segmentKey derives the key of a payload and the nonce of a first segment that is the last one too.
func segmentKey(payloadKey [keySize]byte, head, associated []byte) (key, nonce []byte, err error) {
	key, err = hkdf.Key(sha256.New, payloadKey[:], head[1:noncePosition], string(associated), keySize)
	nonce = append(bytes.Clone(head[noncePosition:payloadHead]), 0, 0, 0, 0, 1)
	return key, nonce, err
}
