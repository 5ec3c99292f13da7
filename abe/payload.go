package abe

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// The payload is Tink's AES256-GCM-HKDF streaming format with segments of 1 MiB of ciphertext, written and read here: Tink's own reader
// and writer, which the tests hold against this file, copy every byte twice more and allocate two segments before the first one is checked.
//
//	first segment   40 (one byte, the length of this head) | salt 32 | nonce prefix 7 | AES-256-GCM
//	key             HKDF-SHA256(payload key, salt, info = associated data)
//	nonce           nonce prefix | number of the segment, 4 bytes | 1 for the last segment, otherwise 0
//
// The number keeps segments in their order and the flag shows a payload that was cut. A payload whose last segment would be full ends with
// it; an empty one after it is valid too, as in Tink, and only a foreign writer makes it.
const (
	segmentSize   = 1 << 20
	saltSize      = 32
	noncePrefix   = 7
	payloadHead   = 1 + saltSize + noncePrefix
	tagSize       = 16
	oneSegment    = segmentSize - payloadHead - tagSize // plaintext of a full first segment
	perSegment    = segmentSize - tagSize               // plaintext of every other full segment
	noncePosition = 1 + saltSize
	maxSegments   = math.MaxUint32 // Tink's limit; 4 PiB
)

var errTooLong = errors.New("abe: a payload ends after 4 PiB: start another object")

// segments seals and opens the segments of one payload. It is safe for concurrent use.
type segments struct {
	aead   cipher.AEAD
	prefix [noncePrefix]byte
}

// newHead returns a head with a fresh salt and nonce prefix.
func newHead() []byte {
	head := make([]byte, payloadHead)
	rand.Read(head)
	head[0] = payloadHead
	return head
}

// newSegments derives the key of a payload from its head, which has payloadHead bytes.
func newSegments(payloadKey [keySize]byte, head, associated []byte) (*segments, error) {
	if head[0] != payloadHead {
		return nil, ErrDecrypt
	}
	key, err := segmentKey(payloadKey, head, associated)
	if err != nil {
		return nil, err
	}
	return &segments{newGCM(key), [noncePrefix]byte(head[noncePosition:])}, nil
}

func segmentKey(payloadKey [keySize]byte, head, associated []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, payloadKey[:], head[1:noncePosition], string(associated), keySize)
}

// limit is the plaintext of a full segment with this number.
func limit(number int64) int {
	if number == 0 {
		return oneSegment
	}
	return perSegment
}

func (s *segments) nonce(number int64, last bool) []byte {
	nonce := make([]byte, 0, 12)
	nonce = append(nonce, s.prefix[:]...)
	nonce = binary.BigEndian.AppendUint32(nonce, uint32(number))
	if last {
		return append(nonce, 1)
	}
	return append(nonce, 0)
}

// seal appends a segment to b. The number is below maxSegments, and comes once.
func (s *segments) seal(b, plaintext []byte, number int64, last bool) []byte {
	return s.aead.Seal(b, s.nonce(number, last), plaintext, nil)
}

// open appends the plaintext of a segment to b.
func (s *segments) open(b, ciphertext []byte, number int64, last bool) ([]byte, error) {
	plaintext, err := s.aead.Open(b, s.nonce(number, last), ciphertext, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// appendPayload appends plaintext, encrypted.
func appendPayload(b []byte, payloadKey [keySize]byte, plaintext, associated []byte) ([]byte, error) {
	head := newHead()
	s, err := newSegments(payloadKey, head, associated)
	if err != nil {
		return nil, err
	}
	b = append(b, head...)
	for number := int64(0); ; number++ {
		if number == maxSegments {
			return nil, errTooLong
		}
		n := limit(number)
		if len(plaintext) <= n {
			return s.seal(b, plaintext, number, true), nil
		}
		b = s.seal(b, plaintext[:n], number, false)
		plaintext = plaintext[n:]
	}
}

// payloadSize is the number of bytes that appendPayload appends for n.
func payloadSize(n int) int {
	size := payloadHead + n + tagSize
	if n > oneSegment {
		size += (n - oneSegment + perSegment - 1) / perSegment * tagSize
	}
	return size
}

// openPayload returns the plaintext.
func openPayload(payload []byte, payloadKey [keySize]byte, associated []byte) ([]byte, error) {
	if len(payload) < payloadHead+tagSize {
		return nil, ErrDecrypt
	}
	s, err := newSegments(payloadKey, payload[:payloadHead], associated)
	if err != nil {
		return nil, err
	}
	plaintext := make([]byte, 0, len(payload)-payloadHead-tagSize)
	payload = payload[payloadHead:]
	for number := int64(0); number < maxSegments; number++ {
		n := limit(number) + tagSize
		if len(payload) <= n {
			return s.open(plaintext, payload, number, true)
		}
		if plaintext, err = s.open(plaintext, payload[:n], number, false); err != nil {
			return nil, err
		}
		payload = payload[n:]
	}
	return nil, ErrDecrypt
}
