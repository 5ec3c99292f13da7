package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// sample is an object with one field of every type.
type sample struct {
	h     Header
	u8    uint8
	b     bool
	u16   uint16
	u32   uint32
	u64   uint64
	raw   [5]byte
	bytes []byte
	str   string
	list  []uint16
}

func (s sample) encode() []byte {
	b := AppendHeader(nil, s.h)
	b = append(b, s.u8)
	if s.b {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, byte(s.u16>>8), byte(s.u16))
	for i := 3; i >= 0; i-- {
		b = append(b, byte(s.u32>>(8*i)))
	}
	for i := 7; i >= 0; i-- {
		b = append(b, byte(s.u64>>(8*i)))
	}
	b = append(b, s.raw[:]...)
	b = AppendBytes(b, s.bytes)
	b = AppendString(b, s.str)
	b = append(b, 0, 0, 0, byte(len(s.list)))
	for _, v := range s.list {
		b = append(b, byte(v>>8), byte(v))
	}
	return b
}

func decodeSample(b []byte) (sample, error) {
	d := NewDecoder(b)
	var s sample
	s.h = d.Header(KindABEKey)
	s.u8, s.b, s.u16, s.u32, s.u64 = d.Uint8(), d.Bool(), d.Uint16(), d.Uint32(), d.Uint64()
	copy(s.raw[:], d.Raw(5))
	s.bytes = bytes.Clone(d.Bytes(64))
	s.str = d.String(64)
	s.list = make([]uint16, d.Len(64, 2))
	for i := range s.list {
		s.list[i] = d.Uint16()
	}
	return s, d.Finish()
}

func drawSample(t *rapid.T) sample {
	s := sample{
		h:  Header{Kind: KindABEKey, Version: rapid.Uint8().Draw(t, "version"), Suite: rapid.Uint8().Draw(t, "suite")},
		u8: rapid.Uint8().Draw(t, "u8"), b: rapid.Bool().Draw(t, "b"), u16: rapid.Uint16().Draw(t, "u16"),
		u32: rapid.Uint32().Draw(t, "u32"), u64: rapid.Uint64().Draw(t, "u64"),
		bytes: rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "bytes"),
		str:   string(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "str")),
		list:  rapid.SliceOfN(rapid.Uint16(), 0, 64).Draw(t, "list"),
	}
	copy(s.raw[:], rapid.SliceOfN(rapid.Byte(), 5, 5).Draw(t, "raw"))
	return s
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSample(t)
		got, err := decodeSample(s.encode())
		require.NoError(t, err)
		assert.Equal(t, s.encode(), got.encode())
		assert.Equal(t, s.str, got.str)
		assert.Equal(t, s.u64, got.u64)
		assert.Equal(t, s.list, got.list)
	})
}

func TestEveryTruncationAndExtensionIsRefused(t *testing.T) {
	b := sample{h: Header{KindABEKey, 1, 2}, bytes: []byte("bytes"), str: "text", list: []uint16{1, 2, 3}}.encode()
	for n := range b {
		_, err := decodeSample(b[:n])
		require.ErrorIs(t, err, ErrFormat, "cut to %d bytes", n)
	}
	_, err := decodeSample(append(bytes.Clone(b), 0))
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "trailing")
}

func TestHeaderNamesWhatItFound(t *testing.T) {
	d := NewDecoder(AppendHeader(nil, Header{KindDPLedger, 1, 0}))
	d.Header(KindABEKey)
	require.EqualError(t, d.Finish(), "malformed encoding at byte 4: the kind is dp budget ledger (0x0401), not abe key (0x0103): give the object that is asked for")

	d = NewDecoder(AppendHeader(nil, Header{KindABEParams, 1, 0})[:7])
	d.About(KindABEParams)
	d.Header(KindABEParams)
	require.EqualError(t, d.Finish(), "abe: public parameters: malformed encoding at byte 0: truncated: 8 more bytes needed, 7 left")
	require.ErrorIs(t, d.Err(), ErrFormat)

	d = NewDecoder([]byte("PK\x03\x04 a zip file"))
	d.Header(KindABEKey)
	require.EqualError(t, d.Err(), "malformed encoding at byte 0: no veilchart object: wrong magic")
	assert.Equal(t, "unknown (0xffff)", Kind(0xffff).String())
}

func TestLengthsAreBoundedBeforeAllocation(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3}
	for name, read := range map[string]func(*Decoder){
		"over the limit":     func(d *Decoder) { d.Bytes(1 << 20) },
		"over the input":     func(d *Decoder) { d.Bytes(1<<32 - 1) },
		"elements too large": func(d *Decoder) { d.Len(1<<32-1, 48) },
	} {
		d := NewDecoder(huge)
		read(d)
		assert.ErrorIs(t, d.Err(), ErrFormat, name)
	}
}

func TestTheFirstErrorStays(t *testing.T) {
	d := NewDecoder([]byte{2})
	d.Bool()
	first := d.Err()
	require.Error(t, first)
	d.Uint64()
	d.Failf("later")
	assert.Equal(t, first, d.Finish())
	assert.False(t, errors.Is(errors.New("other"), ErrFormat))
}

// The table of kinds in the spec and the one in the code say the same, and no number stands twice.
func TestKindsAgreeWithTheSpec(t *testing.T) {
	text, err := os.ReadFile("../../docs/spec/wire.md")
	require.NoError(t, err)
	spec := map[Kind]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| 0x([0-9a-f]{4}) \| ([^|]+?) \|`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseUint(m[1], 16, 16)
		require.NoError(t, err)
		require.NotContains(t, spec, Kind(n), "kind %#x stands twice", n)
		spec[Kind(n)] = m[2]
	}
	assert.Equal(t, kindNames, spec)
}

func FuzzDecoder(f *testing.F) {
	f.Add(sample{h: Header{KindABEKey, 1, 1}, bytes: []byte("b"), str: "s", list: []uint16{7}}.encode())
	f.Add([]byte(Magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSample(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(fmt.Errorf("untyped error: %w", err))
			}
			return
		}
		if !bytes.Equal(s.encode(), b) {
			t.Fatalf("%x decodes but encodes as %x", b, s.encode())
		}
	})
}
