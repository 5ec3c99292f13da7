package abe

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync/atomic"
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

// Streams take segments in batches, one segment for each core. Sources and destinations take their turns with the batch, on one core, so that more than a few
// do not pay, and each costs memory.
const (
	atOnce    = 4 // at most
	longAfter = 2 // so many segments were sealed or authenticated before a stream takes memory for more than one
)

// batch is how many segments of a stream are sealed or opened at once.
func batch() int { return min(allCores(), atOnce) }

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

// appendPayload appends plaintext, encrypted. It takes all cores.
func appendPayload(b []byte, payloadKey [keySize]byte, plaintext, associated []byte) ([]byte, error) {
	head := newHead()
	s, err := newSegments(payloadKey, head, associated)
	if err != nil {
		return nil, err
	}
	count := countSegments(int64(len(plaintext)), 0)
	if count > maxSegments {
		return nil, errTooLong
	}
	b = append(slices.Grow(b, payloadSize(len(plaintext))), head...)
	start := len(b)
	b = b[:start+len(plaintext)+int(count)*tagSize]
	inParallel(allCores(), int(count), func(i int) {
		from, to := bounds(int64(i), int64(len(plaintext)), 0)
		at := start + int(from) + i*tagSize
		s.seal(b[at:at], plaintext[from:to], int64(i), i == int(count)-1)
	})
	return b, nil
}

// countSegments is how many segments there are in size bytes: of plaintext if tag is 0, of ciphertext if it is tagSize.
func countSegments(size int64, tag int64) int64 {
	first, other := oneSegment+tag, perSegment+tag
	if size <= first {
		return 1
	}
	return 1 + (size-first+other-1)/other
}

// bounds says where a segment begins and ends in size bytes: of plaintext if tag is 0, of ciphertext if it is tagSize.
func bounds(number, size, tag int64) (from, to int64) {
	if number == 0 {
		return 0, min(size, oneSegment+tag)
	}
	from = oneSegment + tag + (number-1)*(perSegment+tag)
	return from, min(size, from+perSegment+tag)
}

// payloadSize is the number of bytes that appendPayload appends for n.
func payloadSize(n int) int {
	return payloadHead + n + int(countSegments(int64(n), 0))*tagSize
}

// openPayload returns the plaintext. It takes all cores.
func openPayload(payload []byte, payloadKey [keySize]byte, associated []byte) ([]byte, error) {
	if len(payload) < payloadHead+tagSize {
		return nil, ErrDecrypt
	}
	s, err := newSegments(payloadKey, payload[:payloadHead], associated)
	if err != nil {
		return nil, err
	}
	body := payload[payloadHead:]
	size := int64(len(body))
	count := countSegments(size, tagSize)
	if from, to := bounds(count-1, size, tagSize); count > maxSegments || to-from < tagSize {
		return nil, ErrDecrypt
	}
	plaintext := make([]byte, size-count*tagSize)
	var changed atomic.Bool
	inParallel(allCores(), int(count), func(i int) {
		if changed.Load() {
			return // all or nothing
		}
		from, to := bounds(int64(i), size, tagSize)
		at := from - int64(i)*tagSize
		if _, err := s.open(plaintext[at:at], body[from:to], int64(i), int64(i) == count-1); err != nil {
			changed.Store(true)
		}
	})
	if changed.Load() {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}
