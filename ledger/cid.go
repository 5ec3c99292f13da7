package ledger

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
)

// The prefixes of the two kinds of content identifier that this package makes: CID version 1, codec, sha2-256, 32 bytes.
// Each number is below 128, so its varint is one byte.
const (
	codecRaw   = 0x55 // the bytes themselves
	codecDAGPB = 0x70 // a node of a tree of chunks

	cidLength = 4 + sha256.Size
)

// CID is a content identifier: what IPFS calls these bytes (docs/spec/ledger.md, section 5). It is comparable; the zero
// CID names nothing. A CID of ciphertext reveals whether two ciphertexts are equal, and nothing else.
type CID struct {
	codec  byte
	digest [sha256.Size]byte
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ParseCID reads the text that String writes: 'b' and lower-case base32. Identifiers of other versions, bases, codecs and
// hashes are refused: the store could not verify them.
func ParseCID(text string) (CID, error) {
	fail := func(why string) (CID, error) {
		if len(text) > 80 {
			text = text[:80] + "..."
		}
		return CID{}, fmt.Errorf("no CID of this store: %q: %s; expected version 1, base32, sha2-256, raw or dag-pb, which begins with bafkrei or bafybei", text, why)
	}
	if len(text) != 1+base32Lower.EncodedLen(cidLength) || text[0] != 'b' {
		return fail("wrong length or base")
	}
	b, err := base32Lower.DecodeString(text[1:])
	if err != nil {
		return fail("not base32")
	}
	c, err := parseCIDBytes(b)
	if err != nil {
		return fail(err.Error())
	}
	if c.String() != text {
		return fail("not canonical") // unused bits of the last character
	}
	return c, nil
}

func parseCIDBytes(b []byte) (CID, error) {
	if len(b) != cidLength || b[0] != 1 || b[2] != 0x12 || b[3] != sha256.Size || (b[1] != codecRaw && b[1] != codecDAGPB) {
		return CID{}, errors.New("not version 1, sha2-256, raw or dag-pb")
	}
	c := CID{codec: b[1]}
	copy(c.digest[:], b[4:])
	return c, nil
}

// String is the usual text of the CID: 59 characters.
func (c CID) String() string { return "b" + base32Lower.EncodeToString(c.Bytes()) }

// Bytes is the binary CID: 36 bytes, a good leaf for a Log.
func (c CID) Bytes() []byte {
	return append([]byte{1, c.codec, 0x12, sha256.Size}, c.digest[:]...)
}

func sumCID(codec byte, block []byte) CID { return CID{codec, sha256.Sum256(block)} }
