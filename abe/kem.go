package abe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// The key encapsulation: FABEO made secure against chosen ciphertexts by the transformation of Fujisaki and Okamoto (Journal
// of Cryptology 26, 2013), in the letters of docs/spec/abe.md section 4.
//
//	pre   = prefix, suite, params fingerprint, epoch, flags, policy, ML-KEM part
//	coins = XOF("r", sigma, pre)
//	C0    = sigma xor KDF("d", d, pre, ct1..ct3)
//	core  = pre | C0 | ct1..ct3
//	K     = KDF("k", sigma, K_pq or empty, companion or empty, KDF("h", core))

// encapsulate returns a core and K for fresh sigma. companion is nil or 32 bytes.
func (p *Params) encapsulate(policy *Policy, companion []byte) (core []byte, K [keySize]byte) {
	var sigma [keySize]byte
	rand.Read(sigma[:])
	return p.encapsulateSigma(policy, companion, sigma)
}

// encapsulateSigma is deterministic, for known answers.
func (p *Params) encapsulateSigma(policy *Policy, companion []byte, sigma [keySize]byte) (core []byte, K [keySize]byte) {
	pre := appendPre(nil, p.fingerprint, policy, companion != nil)
	enc, s1 := p.encrypt(policy.formula(), coins{xof(labelCoins, sigma[:], pre)})
	d := p.yTable().Exp(s1).Bytes() // d = Y^s1
	mask := derive(labelMask, d[:], pre, enc)
	core = make([]byte, 0, len(pre)+keySize+len(enc))
	core = append(core, pre...)
	for i := range sigma {
		core = append(core, sigma[i]^mask[i])
	}
	core = append(core, enc...)
	return core, sharedKey(sigma, companion, core)
}

func sharedKey(sigma [keySize]byte, companion, core []byte) [keySize]byte {
	digest := derive(labelCore, core)
	return derive(labelKey, sigma[:], nil, companion, digest[:])
}

// decapsulate returns K, from rows that satisfy the policy. Whatever sel is, K comes out only if the whole of ct1 to ct3
// is, byte for byte, what the sealer with this sigma would have made: see recover.
func (k *Key) decapsulate(h *header, companion []byte, sel []selected) (K [keySize]byte, err error) {
	d, err := k.decrypt(h.Policy.formula(), h.enc, sel)
	if err != nil {
		return K, ErrDecrypt
	}
	return k.in().params.recover(h, companion, d)
}

// recover returns K from d, however d was come by. It is the check of Fujisaki and Okamoto, by re-encryption: all of ct1 to ct3 is
// compared. That covers rows that were not used for d, their canonical form and their subgroup with them.
func (p *Params) recover(h *header, companion []byte, d pairing.GT) (K [keySize]byte, err error) {
	sigma := unmask(h, d)
	enc, _ := p.encrypt(h.Policy.formula(), coins{xof(labelCoins, sigma[:], h.pre)})
	if subtle.ConstantTimeCompare(enc, h.enc) != 1 {
		return K, ErrDecrypt
	}
	return sharedKey(sigma, companion, h.core), nil
}

// unmask returns sigma, or 32 bytes of no meaning if d is not the one of the header.
func unmask(h *header, d pairing.GT) (sigma [keySize]byte) {
	encoded := d.Bytes()
	sigma = derive(labelMask, encoded[:], h.pre, h.enc)
	subtle.XORBytes(sigma[:], sigma[:], h.c0)
	return sigma
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
