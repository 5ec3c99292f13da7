package abe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// The key encapsulation, in the letters of docs/spec/abe.md section 4. The suite makes a body for sigma; K binds it to all of the header before the
// tail, and to the keys that are needed besides attributes.
//
//	pre   = prefix, suite, authority, day, flags, policy, declarations, ML-KEM part
//	core  = pre | body
//	K     = KDF("k", sigma, K_pq or empty, companion or empty, KDF("h", core))

// sealer is what the objects of one call have in common.
type sealer struct {
	params       *Params
	public       public
	formula      *formula // with the day
	policy       string
	declarations string
	bodySize     int
	sealing
}

// sealer checks what a sealing call was given.
func (p *Params) sealer(policy *Policy, opts *Options) (*sealer, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	s, err := opts.sealing()
	if err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, err
	}
	f, err := policy.expand(p.vocabulary)
	if err != nil {
		return nil, err
	}
	f = f.withDay(s.day)
	size, err := p.public.bodySize(f)
	if err != nil {
		return nil, err
	}
	out := &sealer{params: p, public: p.public, formula: f, policy: policy.String(), declarations: policy.declarations(p.vocabulary).String(), bodySize: size, sealing: s}
	if size := out.coreSize(); size > maxCore {
		return nil, fmt.Errorf("abe: the header would have %d bytes, the limit is %d: give the policy fewer leaves, or the names under not and != fewer values", size, maxCore)
	}
	return out, nil
}

// head is what is made of an object before its body.
type head struct{ pre, shared []byte } // shared is the secret of ML-KEM or nil

func (s *sealer) head() (h head) {
	var hybrid []byte
	if s.hybrid != nil {
		h.shared, hybrid = s.hybrid.Encapsulate()
	}
	h.pre = s.appendPre(make([]byte, 0, fixedSize+s.coreSize()), hybrid)
	return h
}

// join returns core and K.
func (s *sealer) join(h head, body []byte, sigma [keySize]byte) (core []byte, K [keySize]byte) {
	core = append(h.pre, body...)
	return core, sharedKey(sigma, h.shared, s.companion, core)
}

// encapsulate returns a core and K for fresh sigma.
func (s *sealer) encapsulate() (core []byte, K [keySize]byte, err error) {
	h := s.head()
	body, sigma, err := s.public.encapsulate(h.pre, s.formula)
	if err != nil {
		return nil, K, err
	}
	core, K = s.join(h, body, sigma)
	return core, K, nil
}

func sharedKey(sigma [keySize]byte, hybrid, companion, core []byte) [keySize]byte {
	digest := derive(labelCore, core)
	return derive(labelKey, sigma[:], hybrid, companion, digest[:])
}

// wrap appends the tail to b, which is the core: the record id, the payload key under a key from K with core and id as associated data, and the
// commitment. The nonce is zero: the wrapping key is used for this one message, since K is fresh and no id comes twice.
func wrap(b []byte, K [keySize]byte, id string, payloadKey [keySize]byte, associated []byte) []byte {
	core := b
	b = wire.AppendString(b, id)
	aead, nonce := wrapper(K, id)
	b = aead.Seal(b, nonce, payloadKey[:], tailData(core, id))
	commit := commitment(payloadKey, associated)
	return append(b, commit[:]...)
}

// commitment is a collision-resistant hash of payload key and associated data. AES-GCM commits to neither: a sealer can make one ciphertext
// that opens to two plaintexts, under two keys or, since the key of the payload is derived with them, under two associated data.
func commitment(payloadKey [keySize]byte, associated []byte) [keySize]byte {
	digest := derive(labelAssociated, associated)
	return derive(labelCommit, payloadKey[:], digest[:])
}

// unwrap returns the payload key, after the check that it and the associated data are the committed ones.
func unwrap(h *header, K [keySize]byte, associated []byte) (payloadKey [keySize]byte, err error) {
	aead, nonce := wrapper(K, h.RecordID)
	if _, err := aead.Open(payloadKey[:0], nonce, h.wrapped, tailData(h.core, h.RecordID)); err != nil {
		return payloadKey, ErrDecrypt
	}
	commit := commitment(payloadKey, associated)
	if subtle.ConstantTimeCompare(commit[:], h.commit) != 1 {
		return payloadKey, ErrDecrypt
	}
	return payloadKey, nil
}

func wrapper(K [keySize]byte, id string) (aead cipher.AEAD, nonce []byte) {
	key := derive(labelWrap, K[:], []byte(id)) // record key = KDF(K, record id)
	return newGCM(key[:]), make([]byte, 12)
}

func tailData(core []byte, id string) []byte {
	b := wire.AppendBytes(make([]byte, 0, 8+len(core)+len(id)), core)
	return wire.AppendString(b, id)
}

// newGCM returns AES-256-GCM. key has 32 bytes, for which neither step has an error.
func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
