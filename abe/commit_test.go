package abe

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is an element of GF(2^128) in the bit order of GCM (NIST SP 800-38D, section 6.3).
type block struct{ hi, lo uint64 }

func blockOf(b []byte) block {
	return block{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x block) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, x.hi), x.lo)
}

func (x block) add(y block) block { return block{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x block) mul(y block) (z block) {
	for i := range 128 {
		bit := x.hi >> (63 - i%64) & 1
		if i >= 64 {
			bit = x.lo >> (63 - i%64) & 1
		}
		if bit == 1 {
			z = z.add(y)
		}
		carry := y.lo & 1
		y.lo = y.lo>>1 | y.hi<<63
		y.hi = y.hi>>1 ^ carry*(0xe1<<56)
	}
	return z
}

// inverse is x^(2^128 - 2).
func (x block) inverse() block {
	power := x.mul(x)
	out := power
	for range 126 {
		power = power.mul(power)
		out = out.mul(power)
	}
	return out
}

// twoFaced makes a payload that opens under the payload key with either of two associated data, to different plaintexts: three blocks of
// ciphertext of which the last is chosen so that both tags are the same, one linear equation (Dodis, Grubbs, Ristenpart and
// Woodage, "Fast Message Franking", Crypto 2018).
func twoFaced(t *testing.T, payloadKey [keySize]byte, first, second []byte) []byte {
	head := newHead()
	c := make([]byte, 48)
	rand.Read(c[:32])
	length := block{0, 48 * 8}
	var h, rest [2]block
	for i, associated := range [][]byte{first, second} {
		key, err := segmentKey(payloadKey, head, associated)
		require.NoError(t, err)
		cipher, err := aes.NewCipher(key)
		require.NoError(t, err)
		b := make([]byte, 16)
		cipher.Encrypt(b, b)
		h[i] = blockOf(b)
		cipher.Encrypt(b, append(bytes.Clone(head[noncePosition:]), 0, 0, 0, 0, 1, 0, 0, 0, 1)) // nonce of a first and last segment, first block
		// tag = c1 h^4 + c2 h^3 + c3 h^2 + length h + mask
		y := blockOf(c).mul(h[i]).add(blockOf(c[16:])).mul(h[i]).mul(h[i]).mul(h[i])
		rest[i] = y.add(length.mul(h[i])).add(blockOf(b))
	}
	squares := [2]block{h[0].mul(h[0]), h[1].mul(h[1])}
	c3 := rest[0].add(rest[1]).mul(squares[0].add(squares[1]).inverse())
	copy(c[32:], c3.bytes())
	tag := rest[0].add(c3.mul(squares[0]))
	require.Equal(t, tag, rest[1].add(c3.mul(squares[1])))
	return append(append(head, c...), tag.bytes()...)
}

// A malicious sealer cannot make one object that says one thing with the associated data of one patient and another with those of
// another. The payload alone would: AES-GCM does not commit to its key, which depends on the associated data.
func TestAssociatedDataAreCommitted(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	first, second := []byte("patient 17"), []byte("patient 18")
	core, K := encapsulate(t, a.Params(), parsePolicy(t, "a"))
	for _, committed := range [][]byte{first, second} {
		head, payloadKey := makeHeader(core, K, "", committed, 0)
		payload := twoFaced(t, payloadKey, first, second)
		one, err := openPayload(payload, payloadKey, first)
		require.NoError(t, err)
		two, err := openPayload(payload, payloadKey, second)
		require.NoError(t, err)
		require.NotEqual(t, one, two, "the attack works on the payload alone")

		object := append(head, payload...)
		h, err := decodeHeader(object)
		require.NoError(t, err)
		for _, associated := range [][]byte{first, second, nil} {
			_, headerErr := k.openHeader(h, opening{associated: associated})
			got, err := k.Open(object, &Options{AssociatedData: associated})
			if string(associated) == string(committed) {
				require.NoError(t, err)
				require.Len(t, got, 48)
				continue
			}
			mathematicsRefuses(t, headerErr, "before the payload")
			mathematicsRefuses(t, err)
		}
	}
}

// The commitment has one input for each pair, wherever the border between key and associated data is.
func TestCommitmentInputs(t *testing.T) {
	key := [keySize]byte{1}
	require.Equal(t, commitment(key, nil), commitment(key, []byte{}))
	seen := map[[keySize]byte]bool{}
	for _, c := range [][keySize]byte{
		commitment(key, nil), commitment(key, []byte{0}), commitment(key, []byte{0, 0}), commitment([keySize]byte{2}, nil),
		derive(labelCommit, key[:]), derive(labelAssociated, nil), derive(labelAssociated, key[:]),
	} {
		require.False(t, seen[c])
		seen[c] = true
	}
}
