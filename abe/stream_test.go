package abe

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// full is a device with room for n bytes.
type full struct {
	n int
	b bytes.Buffer
}

func (f *full) Write(b []byte) (int, error) {
	m, _ := f.b.Write(b[:min(len(b), f.n-f.b.Len())])
	if m < len(b) {
		return m, errDisk
	}
	return m, nil
}

func streamed(t *testing.T) (a *Authority, k *Key, sealed, plaintext []byte) {
	a = generate(t)
	k = issue(t, a, "a")
	plaintext = bytes.Repeat([]byte("0123456789"), 250_000)
	sealed, err := a.Params().Seal(parsePolicy(t, "a"), plaintext, nil)
	require.NoError(t, err)
	return a, k, sealed, plaintext
}

// A stream that was cut never ends well, wherever it was cut; and once it has failed it stays failed.
func TestCutStreams(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	p := h.Size
	for _, n := range []int{p, p + 1, p + payloadHead - 1, p + payloadHead, p + payloadHead + 1, p + 1000, p + segmentSize - 1, p + segmentSize, p + segmentSize + 1,
		p + 2*segmentSize - 1, p + 2*segmentSize, p + 2*segmentSize + 15, len(sealed) - 16, len(sealed) - 1} {
		r, err := k.Decrypt(bytes.NewReader(sealed[:n]), nil)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(r)
			require.Less(t, len(got), len(plaintext))
			require.True(t, bytes.HasPrefix(plaintext, got), "only what is authentic")
			_, again := r.Read(make([]byte, 1))
			require.Equal(t, err, again, "cut at %d: stays failed", n)
		}
		mathematicsRefuses(t, err, "cut at %d", n)
		_, err = k.Open(sealed[:n], nil)
		mathematicsRefuses(t, err, "cut at %d", n)
	}
	for n := range p {
		_, err := k.Decrypt(bytes.NewReader(sealed[:n]), nil)
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, "truncated")
	}
	// Segments that change places, or are left out.
	first, second := sealed[p:p+segmentSize], sealed[p+segmentSize:p+2*segmentSize]
	for name, b := range map[string][]byte{
		"left out": append(bytes.Clone(sealed[:p+segmentSize]), sealed[p+2*segmentSize:]...),
		"twice":    append(append(bytes.Clone(sealed[:p+2*segmentSize]), second...), sealed[p+2*segmentSize:]...),
		"swapped":  append(append(append(bytes.Clone(sealed[:p]), second...), first...), sealed[p+2*segmentSize:]...),
		"appended": append(bytes.Clone(sealed), 0),
	} {
		_, err := k.Open(b, nil)
		mathematicsRefuses(t, err, name)
		r, err := k.Decrypt(bytes.NewReader(b), nil)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		mathematicsRefuses(t, err, name)
	}
}

func TestStreamsFromSlowAndBrokenSources(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	r, err := k.Decrypt(iotest.HalfReader(bytes.NewReader(sealed)), nil)
	require.NoError(t, err)
	got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 1000)))
	require.NoError(t, err)
	require.Equal(t, plaintext[:1000], got)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(plaintext[1000:], rest))
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)

	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, n := range []int{0, 5, 100, h.Size - 1, h.Size, h.Size + 20, h.Size + payloadHead, h.Size + 5000, h.Size + segmentSize + 5} {
		r, err := k.Decrypt(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(errDisk)), nil)
		if err == nil {
			_, err = io.ReadAll(r)
			_, again := r.Read(make([]byte, 1))
			require.Equal(t, err, again)
		}
		require.ErrorIs(t, err, errDisk, "source fails after %d bytes: its error is passed on", n)
		require.NotErrorIs(t, err, ErrDecrypt)
	}
}

// A full disk under the object, at any point: the error comes out, and nothing is completed afterwards.
func TestEncryptToAFullDisk(t *testing.T) {
	a, k, sealed, plaintext := streamed(t)
	policy := parsePolicy(t, "a")
	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, n := range []int{0, 10, h.Size - 1, h.Size, h.Size + 39, h.Size + 40, h.Size + 1000, h.Size + segmentSize, h.Size + segmentSize + 1, len(sealed) - 1} {
		disk := &full{n: n}
		w, err := a.Params().Encrypt(disk, policy, nil)
		if err == nil {
			var copied int64
			copied, err = io.Copy(w, bytes.NewReader(plaintext))
			if err == nil {
				require.Equal(t, int64(len(plaintext)), copied)
			}
			closing := w.Close()
			require.ErrorIs(t, closing, errDisk, "%d bytes of room", n)
			require.Equal(t, closing, w.Close(), "and again")
			if err != nil {
				require.ErrorIs(t, err, errDisk)
				_, err := w.Write([]byte("more"))
				require.ErrorIs(t, err, errDisk)
				require.LessOrEqual(t, disk.b.Len(), n)
			}
		} else {
			require.ErrorIs(t, err, errDisk)
		}
		if r, err := k.Decrypt(&disk.b, nil); err == nil {
			_, err = io.ReadAll(r)
			require.Error(t, err, "what is on the disk is not a whole object")
		}
	}
}

// The source fails in the middle of io.Copy and a deferred Close follows: no object comes out of it.
func TestCloseAfterAFailedCopy(t *testing.T) {
	a, k, _, _ := streamed(t)
	var dst bytes.Buffer
	w, err := a.Params().Encrypt(&dst, parsePolicy(t, "a"), nil)
	require.NoError(t, err)
	n, err := io.Copy(w, io.MultiReader(bytes.NewReader(make([]byte, 5000)), iotest.ErrReader(errDisk)))
	require.Equal(t, int64(5000), n)
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, w.Close(), errDisk)
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, errDisk)
	_, err = io.Copy(w, bytes.NewReader([]byte("x")))
	require.ErrorIs(t, err, errDisk)
	_, err = k.Open(dst.Bytes(), nil)
	mathematicsRefuses(t, err)
}

func TestCloseTwiceAndWriteAfterClose(t *testing.T) {
	a, k, _, _ := streamed(t)
	var dst bytes.Buffer
	w, err := a.Params().Encrypt(&dst, parsePolicy(t, "a"), nil)
	require.NoError(t, err)
	_, err = io.Copy(w, bytes.NewReader([]byte("hello")))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	size := dst.Len()
	require.NoError(t, w.Close())
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, errClosed)
	require.Equal(t, size, dst.Len())
	got, err := k.Open(dst.Bytes(), nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}
