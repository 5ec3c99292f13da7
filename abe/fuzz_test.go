package abe

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fixed secrets, so that a failing input of the fuzzer fails again.
func fuzzAuthority(t testing.TB) *Authority {
	return authorityFrom(coins{xof(labelCoins, []byte("fuzz"))}.scalar())
}

func FuzzNewKey(f *testing.F) {
	a := fuzzAuthority(f)
	for _, names := range [][]string{{"a"}, {"a", "b"}} {
		f.Add(issue(f, a, names...).ExposeSecret())
	}
	f.Add([]byte("vcht"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := NewKey(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, b, k.ExposeSecret(), "one encoding")
	})
}

func FuzzNewAuthority(f *testing.F) {
	f.Add(fuzzAuthority(f).ExposeSecret())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := NewAuthority(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, b, a.ExposeSecret(), "one encoding")
	})
}

func FuzzNewParams(f *testing.F) {
	f.Add(fuzzAuthority(f).Params().Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewParams(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, b, p.Bytes(), "one encoding")
	})
}

// FuzzInspect checks that what decodes encodes to the same bytes: parts that the decoder skips would show here.
func FuzzInspect(f *testing.F) {
	params := fuzzAuthority(f).Params()
	for _, text := range []string{"a", "a and (b or c)", `2 of (a, role = "x y", c)`} {
		sealed, err := params.SealMany(parsePolicy(f, text), []Record{{ID: "id", Plaintext: []byte("x")}}, &Options{Companion: bytes.Repeat([]byte{1}, 32), Day: testDay})
		require.NoError(f, err)
		f.Add(sealed[0])
	}
	f.Add([]byte("vcht\x01\x04\x01\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		again := encodeCore(h)
		require.Equal(t, h.core, again)
		again = append(again, 0, 0, byte(len(h.RecordID)>>8), byte(len(h.RecordID)))
		again = append(append(append(again, h.RecordID...), h.wrapped...), h.commit...)
		require.Equal(t, b[:h.Size], again)
		streamed, err := readHeader(&watched{r: bytes.NewReader(b)})
		require.NoError(t, err)
		require.Equal(t, h.Size, streamed.Size)
	})
}

// FuzzOpen opens what may not have been sealed here: at once and as a stream the outcome is the same. Anybody can seal, so that a
// plaintext is no failure.
func FuzzOpen(f *testing.F) {
	a := fuzzAuthority(f)
	k := issue(f, a, "a", "b")
	for _, text := range []string{"a", "a and (b or c)"} {
		sealed, err := a.Params().Seal(parsePolicy(f, text), []byte("plaintext"), nil)
		require.NoError(f, err)
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.Open(b, nil)
		var streamed []byte
		r, streamErr := k.Decrypt(bytes.NewReader(b), nil)
		if streamErr == nil {
			streamed, streamErr = io.ReadAll(r)
		}
		require.Equal(t, err == nil, streamErr == nil, "%v, %v", err, streamErr)
		if err != nil {
			require.True(t, errors.Is(err, ErrFormat) || errors.Is(err, ErrDecrypt), "%v", err)
			return
		}
		require.True(t, bytes.Equal(got, streamed))
	})
}
