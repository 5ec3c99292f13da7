package sse

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/veilchart/veilchart/internal/wire"
)

// KeySize is the length in bytes of a partition key.
const KeySize = 32

// The derivation labels. docs/spec/sse.md, section Keys, holds the same list.
const (
	labelManifest = "veilchart sse v1 manifest"
	labelSegment  = "veilchart sse v1 segment"
	labelFind     = "veilchart sse v1 find"
	labelEntry    = "veilchart sse v1 entry"
	labelList     = "veilchart sse v1 list"
	labelPage     = "veilchart sse v1 page"
)

type key [32]byte

// Format keeps a key out of logs under every verb.
func (key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("redacted")) }

// manifestKey is used for one attempt to swap: salt is fresh each time, so that the nonce may be constant.
func manifestKey(partition key, id ID, salt []byte) key {
	return derive(partition[:], salt, labelManifest+string(id[:]))
}

// derive is HKDF-SHA-256. Its output is one hash long, which never fails.
func derive(secret, salt []byte, info string) key {
	k, err := hkdf.Key(sha256.New, secret, salt, info, len(key{}))
	if err != nil {
		panic("sse: HKDF refused 32 bytes: " + err.Error())
	}
	return key(k)
}

// segmentKeys are the keys of one segment. Every one of them has one use.
type segmentKeys struct {
	partition, segment ID

	find  key // PRF: term to bucket, fingerprint and order
	entry key // PRF: term to the pad of its table entry
	list  key // PRF: term to the key of its list
	page  key // PRF: page number to the key of a shared page
}

func newSegmentKeys(k key, partition, segment ID) *segmentKeys {
	s := derive(k[:], segment[:], labelSegment+string(partition[:]))
	sub := func(label string) key { return derive(s[:], nil, label) }
	return &segmentKeys{
		partition: partition, segment: segment,
		find: sub(labelFind), entry: sub(labelEntry), list: sub(labelList), page: sub(labelPage),
	}
}

// The domains of what is looked up in a table.
const (
	domainTerm      = 0 // a term of a field
	domainID        = 1 // the ID of a row
	domainDummy     = 2 // a term that no segment holds, to fill up a cover
	domainPositions = 3 // the positions of a term
	domainImpacts   = 4 // the impacts of a term
)

// lookup is what a table is asked for: the rows, positions or impacts of a term, an ID, or a dummy. It is comparable.
type lookup struct {
	domain uint8
	value  string
}

// isAux says whether the answer is an auxiliary list.
func (l lookup) isAux() bool { return l.domain == domainPositions || l.domain == domainImpacts }

func termLookup(t term) lookup      { return lookup{domainTerm, string(t)} }
func positionsLookup(t term) lookup { return lookup{domainPositions, string(t)} }
func impactsLookup(t term) lookup   { return lookup{domainImpacts, string(t)} }
func idLookup(id string) lookup     { return lookup{domainID, id} }

// prf is HMAC-SHA-256 under a fixed key. It keeps state and is for one goroutine.
type prf struct {
	mac hash.Hash
	in  []byte
	out key
}

func newPRF(k key) *prf { return &prf{mac: hmac.New(sha256.New, k[:])} }

func (p *prf) lookup(l lookup) key {
	p.in = wire.AppendString(append(p.in[:0], l.domain), l.value)
	return p.sum()
}

func (p *prf) number(n uint32) key {
	p.in = binary.BigEndian.AppendUint32(p.in[:0], n)
	return p.sum()
}

func (p *prf) sum() key {
	p.mac.Reset()
	p.mac.Write(p.in)
	p.mac.Sum(p.out[:0])
	return p.out
}

// place is where the find PRF puts a term.
type place struct {
	hash  uint64 // bucket = hash mod number of buckets
	print uint64 // fingerprint inside the bucket
	order uint64 // position among the lists, and the page of a dummy read
}

func placeOf(k key) place {
	return place{
		hash:  binary.BigEndian.Uint64(k[0:]),
		print: binary.BigEndian.Uint64(k[8:]),
		order: binary.BigEndian.Uint64(k[16:]),
	}
}

// gcm is AES-256-GCM under k.
func gcm(k key) cipher.AEAD {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic("sse: AES refused a 32-byte key: " + err.Error())
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		panic("sse: GCM refused AES: " + err.Error())
	}
	return a
}

// maskList encrypts or decrypts, in place, a list that lies in a shared page: AES-256-CTR from a zero block. k belongs to one term
// of one segment, and this is the only thing it ever encrypts.
func maskList(k key, list []byte) {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic("sse: AES refused a 32-byte key: " + err.Error())
	}
	cipher.NewCTR(b, make([]byte, aes.BlockSize)).XORKeyStream(list, list)
}

func checkKey(k []byte) (key, error) {
	if len(k) != KeySize {
		return key{}, fmt.Errorf("sse: a partition key has %d bytes, not %d: use %d bytes from a key manager", KeySize, len(k), KeySize)
	}
	return key(k), nil
}
