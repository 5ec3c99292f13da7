package dp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/veilchart/veilchart/internal/wire"
)

// The ledger file is docs/spec/dp.md, section "Ledger file".
const (
	keySize    = 32
	idSize     = 32
	hashSize   = sha256.Size
	headerSize = wire.HeaderSize + idSize
	nonceSize  = 12
	tagSize    = 16
	maxBody    = 128 << 10 // plaintext
	prefixSize = 4 + 4 + 8 + hashSize + 1 + hashSize + 8 + 16 + 8 + 4
	minRecord  = prefixSize + nonceSize + tagSize + hashSize
	maxRecord  = minRecord + maxBody
)

type recordType uint8

const (
	typeOpen    recordType = 1
	typeReserve recordType = 2
	typeCommit  recordType = 3
	typeVoid    recordType = 4
)

type hash [hashSize]byte

// record is one entry of the file, as it stands there: the body is sealed.
type record struct {
	seq    uint64
	prev   hash
	kind   recordType
	query  hash
	cost   Cost
	millis uint64 // Unix time
	body   []byte // nonce and AES-GCM
	mac    hash
}

// prefix is everything before the body.
func (r record) prefix() []byte {
	size := uint32(minRecord - nonceSize - tagSize + len(r.body))
	b := make([]byte, 0, size)
	b = binary.BigEndian.AppendUint32(b, size)
	b = binary.BigEndian.AppendUint32(b, ^size)
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = append(b, r.prev[:]...)
	b = append(b, byte(r.kind))
	b = append(b, r.query[:]...)
	b = binary.BigEndian.AppendUint64(b, r.cost.rho)
	b = binary.BigEndian.AppendUint64(b, r.cost.delta.hi)
	b = binary.BigEndian.AppendUint64(b, r.cost.delta.lo)
	b = binary.BigEndian.AppendUint64(b, r.millis)
	return binary.BigEndian.AppendUint32(b, uint32(len(r.body)))
}

func (r record) bytes() []byte {
	return append(append(r.prefix(), r.body...), r.mac[:]...)
}

// recordSize reads the length, which stands there twice: a flipped bit in it must not look like a record cut short.
func recordSize(b []byte) (int64, bool) {
	size := binary.BigEndian.Uint32(b)
	return int64(size), binary.BigEndian.Uint32(b[4:]) == ^size && size >= minRecord && size <= maxRecord
}

// parseRecord reads exactly one record. It checks the form alone; keyset.check does the rest.
func parseRecord(b []byte) (record, error) {
	var r record
	d := wire.NewDecoder(b)
	if head := d.Raw(8); head != nil {
		if n, ok := recordSize(head); !ok || n != int64(len(b)) {
			d.Failf("the record's length is wrong")
		}
	}
	r.seq = d.Uint64()
	copy(r.prev[:], d.Raw(hashSize))
	r.kind = recordType(d.Uint8())
	copy(r.query[:], d.Raw(hashSize))
	r.cost = readCost(d)
	r.millis = d.Uint64()
	r.body = d.Bytes(maxBody + nonceSize + tagSize)
	copy(r.mac[:], d.Raw(hashSize))
	if d.Err() == nil && (r.kind < typeOpen || r.kind > typeVoid) {
		d.Failf("record type %d is unknown; it may need a newer version of this software", uint8(r.kind))
	}
	if err := d.Finish(); err != nil {
		return record{}, err
	}
	return r, nil
}

func readCost(d *wire.Decoder) Cost {
	return Cost{d.Uint64(), u128{d.Uint64(), d.Uint64()}}
}

func appendCost(b []byte, c Cost) []byte {
	b = binary.BigEndian.AppendUint64(b, c.rho)
	b = binary.BigEndian.AppendUint64(b, c.delta.hi)
	return binary.BigEndian.AppendUint64(b, c.delta.lo)
}

// keyset holds what is derived from the ledger key for one file.
type keyset struct {
	mac, query []byte
	body       cipher.AEAD
}

func deriveKeys(key, id []byte) (*keyset, error) {
	prk, err := hkdf.Extract(sha256.New, key, id)
	if err != nil {
		return nil, err
	}
	derive := func(label string) []byte {
		if err != nil {
			return nil
		}
		var k []byte
		k, err = hkdf.Expand(sha256.New, prk, "veilchart dp ledger v1 "+label, 32)
		return k
	}
	k := &keyset{mac: derive("mac"), query: derive("query")}
	sealing := derive("body")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	k.body, err = cipher.NewGCM(block)
	return k, err
}

func hmacSum(key []byte, parts ...[]byte) (h hash) {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	m.Sum(h[:0])
	return h
}

// question is the cache key: a keyed hash, for whoever reads the disk could otherwise try predicates out.
func (k *keyset) question(q Query) hash {
	return hmacSum(k.query, q.append(wire.AppendString(nil, "veilchart dp question v1")))
}

// seal completes a record: it encrypts the body under a random nonce, with the prefix as associated data, and computes the MAC.
func (k *keyset) seal(r record, plain []byte) record {
	r.body = make([]byte, nonceSize, nonceSize+len(plain)+tagSize)
	_, _ = rand.Read(r.body)
	whole := r
	whole.body = r.body[:nonceSize+len(plain)+tagSize] // the prefix states the sealed length
	r.body = k.body.Seal(r.body, r.body, plain, whole.prefix())
	r.mac = hmacSum(k.mac, r.prefix(), r.body)
	return r
}

var errMAC = errors.New("its MAC is wrong")

// check verifies the MAC and opens the body.
func (k *keyset) check(r record) ([]byte, error) {
	mac := hmacSum(k.mac, r.prefix(), r.body)
	if !hmac.Equal(mac[:], r.mac[:]) {
		return nil, errMAC
	}
	plain, err := k.body.Open(nil, r.body[:nonceSize], r.body[nonceSize:], r.prefix())
	if err != nil {
		return nil, errMAC
	}
	return plain, nil
}

// The bodies, before sealing.

func (l Limits) append(b []byte) []byte {
	b = wire.AppendString(b, l.Dataset)
	b = appendCost(b, l.Querier)
	b = appendCost(b, l.Global)
	return binary.BigEndian.AppendUint64(b, uint64(l.SuppressBelow))
}

func parseLimits(b []byte) (Limits, error) {
	d := wire.NewDecoder(b)
	l := Limits{Dataset: d.String(maxName), Querier: readCost(d), Global: readCost(d), SuppressBelow: int64(d.Uint64())}
	if err := d.Finish(); err != nil {
		return Limits{}, err
	}
	return l, l.check()
}

// charge is the body of a Reserve.
type charge struct {
	hit      bool // pays for reading an answer that exists: the querier is charged, the cap over all queriers is not
	querier  string
	question Query
}

func (c charge) append(b []byte) []byte {
	hit := byte(0)
	if c.hit {
		hit = 1
	}
	b = append(b, hit)
	b = wire.AppendString(b, c.querier)
	return c.question.append(b)
}

func parseCharge(b []byte) (charge, error) {
	d := wire.NewDecoder(b)
	c := charge{hit: d.Bool(), querier: d.String(maxName), question: readQuery(d)}
	if err := d.Finish(); err != nil {
		return charge{}, err
	}
	return c, checkName("querier", c.querier, maxName, false)
}

// answer is the body of a Commit: which Reserve it completes, and the noisy integers.
type answer struct {
	reserve uint64
	noisy   []int64
}

func (a answer) append(b []byte) []byte {
	b = wire.AppendHeader(b, wire.Header{Kind: wire.KindDPRelease, Version: 1})
	b = binary.BigEndian.AppendUint64(b, a.reserve)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.noisy)))
	for _, v := range a.noisy {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func parseAnswer(b []byte) (answer, error) {
	d := wire.NewDecoder(b)
	if h := d.Header(wire.KindDPRelease); d.Err() == nil && (h.Version != 1 || h.Suite != 0) {
		d.Failf("version %d, suite %d of an answer is unknown; it may need a newer version of this software", h.Version, h.Suite)
	}
	a := answer{reserve: d.Uint64()}
	a.noisy = make([]int64, d.Len(maxBuckets, 8))
	for i := range a.noisy {
		a.noisy[i] = int64(d.Uint64())
	}
	return a, d.Finish()
}

func appendVoid(b []byte, reserve uint64) []byte { return binary.BigEndian.AppendUint64(b, reserve) }

func parseVoid(b []byte) (uint64, error) {
	d := wire.NewDecoder(b)
	reserve := d.Uint64()
	return reserve, d.Finish()
}
