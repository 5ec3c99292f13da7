package abe

import (
	"crypto/mlkem"
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

	// Day is the sealing day, for sealing alone. 0 is today by the clock, in UTC; DayOf never gives 0. Give the day on which a record was made if it is sealed
	// later and keys that read that day are to open it.
	Day Day

	// HybridTo and HybridKey add ML-KEM-768: what is sealed to HybridTo is opened with the key that belongs to it in HybridKey, besides
	// attributes, so that an attacker with a quantum computer has to have it too. It is one key for everybody who is entitled and knows no policy: who has
	// it can do no more than others, and once it is out the object is protected by its attributes alone. A reader who gives a key requires it: an
	// object sealed without is refused.
	HybridTo  *mlkem.EncapsulationKey768
	HybridKey *mlkem.DecapsulationKey768
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

// sealing is what Options say to a sealer.
type sealing struct {
	associated, companion []byte
	day                   Day
	hybrid                *mlkem.EncapsulationKey768
}

func (o *Options) sealing() (s sealing, err error) {
	if o == nil {
		o = new(Options)
	}
	if o.HybridTo != nil && *o.HybridTo == (mlkem.EncapsulationKey768{}) {
		return s, errors.New("abe: Options.HybridTo is no key: get one from crypto/mlkem")
	}
	if o.HybridKey != nil {
		return s, errors.New("abe: Options.HybridKey is for opening: seal to its EncapsulationKey in Options.HybridTo")
	}
	s = sealing{associated: o.AssociatedData, day: o.Day, hybrid: o.HybridTo}
	if s.day == 0 {
		if s.day, err = today(); err != nil {
			return s, err
		}
	}
	s.companion, err = checkCompanion(o.Companion)
	return s, err
}

// opening is what Options say to a reader.
type opening struct {
	associated, companion []byte
	hybrid                *mlkem.DecapsulationKey768
}

func (o *Options) opening() (s opening, err error) {
	switch {
	case o == nil:
		return s, nil
	case o.HybridTo != nil:
		return s, errors.New("abe: Options.HybridTo is for sealing: open with the key that belongs to it in Options.HybridKey")
	case o.HybridKey != nil && *o.HybridKey == (mlkem.DecapsulationKey768{}):
		return s, errors.New("abe: Options.HybridKey is no key: get one from crypto/mlkem")
	case o.Day != 0:
		return s, errors.New("abe: Options.Day is for sealing: leave it 0 to open, and read Header.Day")
	}
	s = opening{associated: o.AssociatedData, hybrid: o.HybridKey}
	s.companion, err = checkCompanion(o.Companion)
	return s, err
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
// satisfy the policy and whose window contains the sealing day open it. Under FABEO the object is longer than the plaintext by 813 bytes, the text of the policy
// and of the declarations that it needs, 48 for each leaf that it expands to, 96 for each further
// use of the attribute that the policy uses most, 1,088 if it is hybrid, and for plaintexts over a megabyte 16 for each further one. opts may be nil.
//
// Cost, under FABEO: two fixed-base multiplications in G2 and one in GT, for each further use one more in G2, and for each leaf, of which the day has eight, two
// multiplications in G1. The first calls with new Params take two or three times that, until tables are there. `go run ./bench -suites abe` measures it.
func (p *Params) Seal(policy *Policy, plaintext []byte, opts *Options) ([]byte, error) {
	s, err := p.sealer(policy, opts)
	if err != nil {
		return nil, err
	}
	core, K, err := s.encapsulate()
	if err != nil {
		return nil, err
	}
	return sealRecord(core, K, "", plaintext, s.associated)
}

// SealMany seals the records of one patient under one policy with one encapsulation and returns one object for each record,
// in order. Each has a complete header and a payload key of its own and is opened like any other. opts may be nil; associated data stand in the
// records.
//
// The objects share a key K, which is dropped when SealMany returns. So they are linkable, and who opens one can open all
// of them: give it records only that belong together. Cost: one Seal, and for each further record about 10 microseconds and its encryption.
func (p *Params) SealMany(policy *Policy, records []Record, opts *Options) ([][]byte, error) {
	s, err := p.recordSealer(policy, records, opts)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	core, K, err := s.encapsulate()
	if err != nil {
		return nil, err
	}
	sealed := make([][]byte, len(records))
	for i, r := range records {
		if sealed[i], err = sealRecord(core, K, r.ID, r.Plaintext, r.AssociatedData); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

// recordSealer is sealer for records. It refuses ids that are no ids or come twice.
func (p *Params) recordSealer(policy *Policy, records []Record, opts *Options) (*sealer, error) {
	s, err := p.sealer(policy, opts)
	if err != nil {
		return nil, err
	}
	if s.associated != nil {
		return nil, errors.New("abe: the associated data of records stand in each Record: leave Options.AssociatedData empty")
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
	return s, nil
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
// Cost, under FABEO: a product of three pairings and one more for each further use of an attribute that is touched, a fixed-base multiplication in G2 for each use, and for
// each leaf of the policy, used or not, the decoding of an element and a sum with 128-bit weights. It takes all cores. `go run ./bench -suites abe` measures it.
func (k *Key) Open(sealed []byte, opts *Options) ([]byte, error) {
	h, o, err := k.read(sealed, opts)
	if err != nil {
		return nil, err
	}
	payloadKey, err := k.openHeader(h, o)
	if err != nil {
		return nil, err
	}
	return openPayload(sealed[h.Size:], payloadKey, o.associated)
}

// read decodes what Open and Rewrap are given.
func (k *Key) read(sealed []byte, opts *Options) (h *header, o opening, err error) {
	if err := k.check(); err != nil {
		return nil, o, err
	}
	if o, err = opts.opening(); err != nil {
		return nil, o, err
	}
	h, err = decodeHeader(sealed)
	return h, o, err
}

// openHeader makes the friendly checks and then does the mathematics.
func (k *Key) openHeader(h *header, o opening) (payloadKey [keySize]byte, err error) {
	f, sel, err := k.admit(h, o)
	if err != nil {
		return payloadKey, err
	}
	sigma, err := k.in().secret.decapsulate(h.pre, h.body, f, sel)
	if err != nil {
		return payloadKey, err
	}
	return h.finish(sigma, o)
}

// admit makes the friendly checks: what it refuses the mathematics would refuse too. It returns the formula of the object and rows that
// satisfy it.
func (k *Key) admit(h *header, o opening) (*formula, []selected, error) {
	f, sel, err := k.choose(h)
	if err == nil {
		err = o.suits(h)
	}
	return f, sel, err
}

// suits says whether the options have the keys that the header asks for, and no others.
func (o opening) suits(h *header) error {
	switch {
	case h.NeedsCompanion && o.companion == nil:
		return &DeniedError{Kind: DeniedCompanion}
	case !h.NeedsCompanion && o.companion != nil:
		return &DeniedError{Kind: DeniedNoCompanion}
	case h.Hybrid && o.hybrid == nil:
		return &DeniedError{Kind: DeniedHybrid}
	case !h.Hybrid && o.hybrid != nil:
		return &DeniedError{Kind: DeniedNoHybrid}
	}
	return nil
}

// choose makes the formula of an object and chooses rows that satisfy it, if it is of the key's authority and the key's attributes and
// window suffice.
func (k *Key) choose(h *header) (*formula, []selected, error) {
	// The id commits to the suite, but anybody can write both: a body of another suite has another length.
	if p := k.in().params; h.Authority != p.authority || h.Suite != p.suite {
		return nil, nil, &DeniedError{Kind: DeniedAuthority}
	}
	f, err := h.Policy.expand(h.Vocabulary)
	if err != nil {
		return nil, nil, ErrDecrypt
	}
	if _, ok := f.satisfy(k.has); !ok {
		return nil, nil, &DeniedError{Kind: DeniedPolicy, Explanation: explainKey(h.Policy, h.Vocabulary, k.in().items)}
	}
	f = h.withDay(f)
	sel, ok := f.satisfy(k.has)
	if !ok {
		return nil, nil, &DeniedError{Kind: DeniedWindow, Day: h.Day, Window: k.in().window}
	}
	return f, sel, nil
}

// finish returns the payload key for sigma. A reader who requires ML-KEM is refused here too: nothing in the mathematics would do it.
func (h *header) finish(sigma [keySize]byte, o opening) (payloadKey [keySize]byte, err error) {
	if o.suits(h) != nil {
		return payloadKey, ErrDecrypt
	}
	var shared []byte
	if h.Hybrid {
		if shared, err = o.hybrid.Decapsulate(h.hybrid); err != nil {
			return payloadKey, ErrDecrypt
		}
	}
	return unwrap(h, sharedKey(sigma, shared, o.companion, h.core), o.associated)
}
