package abe

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"unicode/utf8"
)

// companionSize is the length of a companion key in bytes.
const companionSize = 32

// Options are what sealing and opening take besides policy and plaintext. A nil *Options is an empty one. They print as "redacted",
// unless they are in an unexported field of a struct that is printed: there fmt cannot call methods.
type Options struct {
	// AssociatedData is bound to the object and not stored: whoever opens gives the same bytes, and nil is the same as none. Use it
	// to bind an object to its place, such as the patient and the record number, so that a store cannot swap objects.
	AssociatedData []byte

	// Companion is nil or a key of 32 bytes that is needed besides attributes, such as the patient's key: once it is
	// destroyed, no copy of the object can be opened. The header says that one is needed, not which. Only nil means none: a slice
	// that is empty or all zero bytes is refused, for it is more likely a key that was lost or wiped than a wish.
	Companion []byte
}

// Record is one of the records of a SealMany call. It prints as "redacted", as Options do.
type Record struct {
	ID             string // 1 to 256 bytes of visible UTF-8, different from the others in the call; stored in the clear
	Plaintext      []byte
	AssociatedData []byte // as in Options
}

// check refuses what ParsePolicy did not make.
func (p *Policy) check() error {
	if p == nil || p.text == "" {
		return errors.New("abe: no policy: get one from ParsePolicy")
	}
	return nil
}

func (o *Options) parts() (associated, companion []byte, err error) {
	if o == nil {
		return nil, nil, nil
	}
	companion, err = checkCompanion(o.Companion)
	return o.AssociatedData, companion, err
}

// checkCompanion refuses what is neither nil nor a key. Zeros are what a wiped buffer holds: sealed under them, an object would
// seem erasable and be open to all who guess them.
func checkCompanion(companion []byte) ([]byte, error) {
	switch {
	case companion == nil:
		return nil, nil
	case len(companion) == 0:
		return nil, fmt.Errorf("abe: the companion key is empty: pass %d bytes, or nil if there is to be none", companionSize)
	case len(companion) != companionSize:
		return nil, fmt.Errorf("abe: a companion key has %d bytes, not %d", companionSize, len(companion))
	case subtle.ConstantTimeCompare(companion, make([]byte, companionSize)) == 1:
		return nil, errors.New("abe: the companion key is all zero bytes, as a key is after it was wiped: get the key again from where it is kept")
	}
	return companion, nil
}

// checkRecordID refuses ids that a log or a terminal would not show as they are.
func checkRecordID(id string) error {
	if id == "" || len(id) > maxRecordID || !utf8.ValidString(id) {
		return fmt.Errorf("a record id has 1 to %d bytes of UTF-8", maxRecordID)
	}
	for _, r := range id {
		if !isVisible(r) {
			return fmt.Errorf("leave U+%04X out of the record id: it holds visible characters and spaces only", r)
		}
	}
	return nil
}

// Seal encrypts plaintext under policy: a header with the policy in the clear, and the payload. Only keys whose attributes
// satisfy the policy open it. The object is longer than the plaintext by 429 bytes, the text of the policy, 48 for each leaf, 96 for each further
// use of the attribute that the policy uses most, and for plaintexts over a megabyte 16 for each further one. opts may be nil.
//
// Cost: about a millisecond, 0.2 to 0.4 for each leaf, and 0.3 for each further use. The first calls with new Params take two or three times
// that, until tables are there.
func (p *Params) Seal(policy *Policy, plaintext []byte, opts *Options) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, err
	}
	core, K := p.encapsulate(policy, companion)
	return sealRecord(core, K, "", plaintext, associated)
}

// SealMany seals the records of one patient under one policy with one encapsulation and returns one object for each record,
// in order. Each has a complete header and a payload key of its own and is opened like any other.
//
// The objects share a key K, which is dropped when SealMany returns. So they are linkable, and who opens one can open all
// of them: give it records only that belong together. Cost: one Seal, and for each further record about 10 microseconds and its encryption.
func (p *Params) SealMany(policy *Policy, records []Record, companion []byte) ([][]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	companion, err := checkCompanion(companion)
	if err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(records))
	for _, r := range records {
		if err := checkRecordID(r.ID); err != nil {
			return nil, fmt.Errorf("abe: record %q: %w", r.ID, err)
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("abe: record id %q comes twice: give each record its own", r.ID)
		}
		seen[r.ID] = true
	}
	if len(records) == 0 {
		return nil, nil
	}
	core, K := p.encapsulate(policy, companion)
	sealed := make([][]byte, len(records))
	for i, r := range records {
		if sealed[i], err = sealRecord(core, K, r.ID, r.Plaintext, r.AssociatedData); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

func sealRecord(core []byte, K [keySize]byte, id string, plaintext, associated []byte) ([]byte, error) {
	b, payloadKey := makeHeader(core, K, id, associated, payloadSize(len(plaintext)))
	return appendPayload(b, payloadKey, plaintext, associated)
}

// makeHeader returns core and tail for a fresh payload key, with room for what follows.
func makeHeader(core []byte, K [keySize]byte, id string, associated []byte, room int) ([]byte, [keySize]byte) {
	var payloadKey [keySize]byte
	rand.Read(payloadKey[:])
	b := make([]byte, len(core), len(core)+4+len(id)+closingSize+room)
	copy(b, core)
	return wrap(b, K, id, payloadKey, associated), payloadKey
}

// Open decrypts a sealed object. Options must hold what Seal was given; for objects of SealMany, the associated data of the
// record and the companion. Open does not check that Header.RecordID is the record that you asked the store for: compare it
// (Inspect), or bind it by AssociatedData.
//
// Every failure of an object of the right shape has ErrDecrypt in its chain. If it is plain from the header that opening will fail, the
// error is a *DeniedError that says why. Bytes of another shape give ErrFormat.
//
// Cost: 6 to 8 ms, 0.3 to 0.6 for each leaf of the policy, used or not, and about 2 for each further use of an attribute (tau > 1): a pairing and
// the decoding of an element if it is needed, and an exponentiation in any case. A policy of 100 leaves takes about 60 ms, one with 16 uses 45.
func (k *Key) Open(sealed []byte, opts *Options) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(sealed)
	if err != nil {
		return nil, err
	}
	payloadKey, err := k.openHeader(h, companion, associated)
	if err != nil {
		return nil, err
	}
	return openPayload(sealed[h.Size:], payloadKey, associated)
}

// openHeader makes the friendly checks and then does the mathematics.
func (k *Key) openHeader(h *header, companion, associated []byte) (payloadKey [keySize]byte, err error) {
	if h.Params != k.in().params.fingerprint {
		return payloadKey, &DeniedError{Kind: DeniedAuthority}
	}
	sel, ok := h.Policy.formula().satisfy(k.has)
	if !ok {
		return payloadKey, &DeniedError{Kind: DeniedPolicy, Explanation: Explain(h.Policy, nil, k.in().attributes)}
	}
	if h.NeedsCompanion && companion == nil {
		return payloadKey, &DeniedError{Kind: DeniedCompanion}
	}
	if !h.NeedsCompanion && companion != nil {
		return payloadKey, &DeniedError{Kind: DeniedNoCompanion}
	}
	K, err := k.decapsulate(h, companion, sel)
	if err != nil {
		return payloadKey, err
	}
	return unwrap(h, K, associated)
}
