package he

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// reseal gives a changed column the digest of its contents, as someone without the key could; ok is false if the changed bytes
// are no column at all.
func reseal(b []byte) ([]byte, bool) {
	c, _, err := decodeColumn(b)
	if err != nil {
		return b, false
	}
	b = bytes.Clone(b)
	copy(b[len(b)-64:], c.digest[:])
	return b, true
}

// resum gives a changed answer its checksum.
func resum(b []byte) []byte {
	if len(b) < sha256.Size {
		return b
	}
	body := b[: len(b)-sha256.Size : len(b)-sha256.Size]
	return append(body, answerChecksum(body)...)
}

func smallColumn(t testing.TB, k *Key) *Column {
	t.Helper()
	s := bmi
	s.Edges = nil
	c, err := k.EncryptColumn(s, []Value{{0, 20}, {4097, 30}})
	require.NoError(t, err)
	return c
}

func TestColumnRoundTrip(t *testing.T) {
	k := newTestKey(t)
	for _, s := range []ColumnSchema{bmi, {Name: "x", Min: -5, Max: 5, Scale: 1, OutOfRange: RefuseOutOfRange}} {
		c, err := k.EncryptColumn(s, []Value{{3, 0}, {9000, 2}}[:1])
		if s.Name == "bmi" {
			c, err = k.EncryptColumn(s, []Value{{3, 20}, {9000, 30}})
		}
		require.NoError(t, err)
		b := c.Bytes()
		again, err := NewColumn(b)
		require.NoError(t, err)
		require.Equal(t, b, again.Bytes())
		require.Equal(t, c.Digest(), again.Digest())
		require.Equal(t, s, again.Schema())
		require.Equal(t, k.ID(), again.KeyID())
		require.NoError(t, k.Verify(again))
	}
}

// Any flipped bit is found without the key; a forger who fixes the digest is found with it.
func TestFlippedBitsInAColumn(t *testing.T) {
	k := newTestKey(t)
	b := smallColumn(t, k).Bytes()
	rng := rand.New(rand.NewPCG(17, 18))
	positions := []int{}
	for i := range 160 { // header, schema, first seed
		positions = append(positions, i)
	}
	for range 100 {
		positions = append(positions, rng.IntN(len(b)-64))
	}
	for i := range 64 {
		positions = append(positions, len(b)-64+i)
	}
	for _, i := range positions {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << rng.IntN(8)
		c, err := NewColumn(bad)
		if i >= len(b)-32 { // the tag itself: only the key can tell
			require.NoError(t, err)
			require.Equal(t, ErrDecrypt, k.Verify(c))
			continue
		}
		require.ErrorIs(t, err, ErrFormat, "byte %d", i)
		require.ErrorContains(t, err, "restore it from a copy")
		if forged, ok := reseal(bad); ok && i < len(b)-64 {
			c, err = NewColumn(forged)
			require.NoError(t, err)
			require.Equal(t, ErrDecrypt, k.Verify(c), "byte %d", i)
			_, err = k.Append(c, []Value{{9999, 20}})
			require.Equal(t, ErrDecrypt, err)
			_, err = k.Reencrypt(c, newTestKey(t), nil)
			require.Equal(t, ErrDecrypt, err)
		}
	}
}

func TestTruncatedColumnsAreRefused(t *testing.T) {
	b := smallColumn(t, newTestKey(t)).Bytes()
	rng := rand.New(rand.NewPCG(19, 20))
	cuts := []int{}
	for i := range 200 {
		cuts = append(cuts, i, len(b)-1-i)
	}
	for range 50 {
		cuts = append(cuts, rng.IntN(len(b)))
	}
	for _, n := range cuts {
		_, err := NewColumn(b[:n])
		require.ErrorIs(t, err, ErrFormat, "cut at %d", n)
	}
	for _, tail := range [][]byte{{0}, b[len(b)-32:], make([]byte, 70000)} {
		_, err := NewColumn(append(bytes.Clone(b), tail...))
		require.ErrorIs(t, err, ErrFormat)
	}
}

// The rules of section 7 of the specification, one by one, behind a digest that fits.
func TestColumnsThatAreNotCanonical(t *testing.T) {
	k := newTestKey(t)
	good := smallColumn(t, k)
	const schemaAt = wire.HeaderSize + 16
	nextAt := schemaAt + len(good.schema.append(nil))
	blockAt := nextAt + 12
	partSize := seedSize + 16*blockRows
	second := blockAt + 8 + 2*partSize
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	put64 := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b }
	}
	lo := schemaAt + 4 + 3
	minusOne := int64(-1)
	for name, change := range map[string]func([]byte) []byte{
		"another kind":               func(b []byte) []byte { b[5] = 3; return b },
		"version 2":                  func(b []byte) []byte { b[6] = 2; return b },
		"profile 0":                  func(b []byte) []byte { b[7] = 0; return b },
		"reserved profile":           func(b []byte) []byte { b[7] = 2; return b },
		"empty name":                 put32(schemaAt, 0),
		"huge name":                  put32(schemaAt, 1<<31),
		"control character":          func(b []byte) []byte { b[schemaAt+4] = 7; return b },
		"lo above hi":                put64(lo, 600),
		"lo far away":                put64(lo, 1<<63),
		"hi far away":                put64(lo+8, 1<<41),
		"scale 0":                    put32(lo+16, 0),
		"scale too large":            put32(lo+16, 1<<31),
		"unknown policy":             func(b []byte) []byte { b[lo+20] = 3; return b },
		"one edge":                   put32(lo+21, 1),
		"66 edges":                   put32(lo+21, 66),
		"next before the last block": put64(nextAt, 4096),
		"next after the last block":  put64(nextAt, 8193),
		"next of 0":                  put64(nextAt, 0),
		"next out of range":          put64(nextAt, uint64(minusOne)),
		"more blocks than there are": put32(nextAt+8, 3),
		"fewer blocks":               put32(nextAt+8, 1),
		"2^31 blocks":                put32(nextAt+8, 1<<31),
		"over the limit of blocks":   put32(nextAt+8, maxBlocks+1),
		"version 0":                  put32(blockAt+4, 0),
		"block twice":                put32(second, 0),
		"blocks fall":                put32(blockAt, 1),
		"block after next":           put32(second, 2),
		"coefficient q0":             put64(blockAt+8+seedSize, good.lat.q[0]),
		"coefficient q1":             put64(blockAt+8+seedSize+8*blockRows, good.lat.q[1]),
		"last coefficient 2^64-1":    put64(second+8+2*partSize-8, uint64(minusOne)),
	} {
		_, err := NewColumn(good.Bytes())
		require.NoError(t, err)
		bad, _ := reseal(change(good.Bytes()))
		_, err = NewColumn(bad)
		require.ErrorIs(t, err, ErrFormat, name)
	}
	// A column of another kind or package.
	_, err := NewColumn(k.ExposeSecret())
	require.ErrorContains(t, err, "the kind is he secret key (0x0301), not he column (0x0302)")
	_, err = NewColumn([]byte("resourceType,Patient"))
	require.ErrorIs(t, err, ErrFormat)
}

func TestAnswerRoundTripAndDamage(t *testing.T) {
	k := newTestKey(t)
	p, a, _ := answered(t, k, Mean, nil)
	b := a.Bytes()
	require.Len(t, b, 8+16+32+4+2*27143+32)
	again, err := NewAnswer(b)
	require.NoError(t, err)
	require.Equal(t, b, again.Bytes())
	require.Equal(t, a.numbers, again.numbers)

	rng := rand.New(rand.NewPCG(21, 22))
	for i := range 300 {
		at := i
		if i >= 100 {
			at = rng.IntN(len(b))
		}
		bad := bytes.Clone(b)
		bad[at] ^= 1 << rng.IntN(8)
		_, err = NewAnswer(bad)
		require.ErrorIs(t, err, ErrFormat, "byte %d", at)
		require.ErrorContains(t, err, "ask for it again")
		_, err = NewAnswer(b[:at])
		require.ErrorIs(t, err, ErrFormat, "cut at %d", at)
		if at >= 8 && at < 8+16+32 { // key and plan, with a checksum that fits
			other, err := NewAnswer(resum(bad))
			require.NoError(t, err)
			_, err = k.Decrypt(p, other)
			require.Equal(t, ErrDecrypt, err)
		}
	}
	_, err = NewAnswer(append(bytes.Clone(b), 0))
	require.ErrorIs(t, err, ErrFormat)

	for name, change := range map[string]func([]byte){
		"no numbers":         func(b []byte) { b[59] = 0 },
		"one number of two":  func(b []byte) { b[59] = 1 },
		"three numbers":      func(b []byte) { b[59] = 3 },
		"2^31 numbers":       func(b []byte) { b[56] = 0x80 },
		"coefficient 2^53-1": func(b []byte) { copy(b[60:], bytes.Repeat([]byte{255}, 7)) },
		"last coefficient":   func(b []byte) { copy(b[60+27143-7:], []byte{255, 255, 255, 255, 255, 255, 0xf8}) },
		"filling bit":        func(b []byte) { b[60+27143-1] |= 1 },
		"reserved profile":   func(b []byte) { b[7] = 2 },
		"version 9":          func(b []byte) { b[6] = 9 },
	} {
		bad := bytes.Clone(b)
		change(bad)
		_, err = NewAnswer(resum(bad))
		require.ErrorIs(t, err, ErrFormat, name)
	}
}
