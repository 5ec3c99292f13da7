package abe

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// flaky is a source whose reads fail while they touch a byte of [from, to).
type flaky struct {
	b        []byte
	from, to int64
	err      error
}

func (f *flaky) ReadAt(b []byte, offset int64) (int, error) {
	end := offset + int64(len(b))
	if f.err == nil || end <= f.from || offset >= f.to {
		return bytes.NewReader(f.b).ReadAt(b, offset)
	}
	n := copy(b, f.b[offset:max(offset, f.from)])
	return n, f.err
}

func openAt(t require.TestingT, k *Key, object []byte, opts *Options) *Reader {
	r, err := k.OpenReaderAt(bytes.NewReader(object), int64(len(object)), opts)
	require.NoError(t, err)
	return r
}

// What ReadAt returns is what bytes.Reader returns for the plaintext, bytes, number and error, for objects of Tink's writer.
func TestReadAtAgainstPlaintext(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	core, K := encapsulate(t, a.Params(), parsePolicy(t, "a"))
	opts := &Options{AssociatedData: []byte("ad")}
	head, payloadKey := makeHeader(core, K, "", opts.AssociatedData, 0)
	random := make([]byte, oneSegment+3*perSegment)
	rand.Read(random)
	rapid.Check(t, func(t *rapid.T) {
		near := func(what string, most int) int { // mostly around the ends of segments
			border := rapid.SampledFrom([]int{0, oneSegment, oneSegment + perSegment, oneSegment + 2*perSegment, most}).Draw(t, what+" border")
			wide := rapid.SampledFrom([]int{2, 40, segmentSize}).Draw(t, what+" width")
			return min(most, max(0, border+rapid.IntRange(-wide, wide).Draw(t, what)))
		}
		plaintext := random[:near("length", len(random))]
		object := append(bytes.Clone(head), tinkSeals(t, payloadKey, plaintext, opts.AssociatedData)...)
		r := openAt(t, k, object, opts)
		require.EqualValues(t, len(plaintext), r.Size())
		want := bytes.NewReader(plaintext)
		for range 8 {
			offset := near("offset", len(plaintext)+2)
			length := near("piece", len(plaintext)+2)
			expected, got := make([]byte, length), make([]byte, length)
			n, wantErr := want.ReadAt(expected, int64(offset))
			m, err := r.ReadAt(got, int64(offset))
			require.Equal(t, n, m)
			require.True(t, bytes.Equal(expected, got), "nothing beyond what was read is written")
			if length > 0 {
				require.Equal(t, wantErr, err)
			}
		}
	})
	r := openAt(t, k, append(bytes.Clone(head), tinkSeals(t, payloadKey, random[:oneSegment+10], opts.AssociatedData)...), opts)
	_, err := r.ReadAt(make([]byte, 1), -1)
	require.ErrorIs(t, err, errOffset)
	require.NoError(t, iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), random[:oneSegment+10]))
	require.Equal(t, "redacted", fmt.Sprintf("%+v", r))
}

// An object that was cut anywhere, or made longer, is refused when it is opened, and so is a size that is not its length.
func TestOpenReaderAtRefusesOtherLengths(t *testing.T) {
	_, k, sealed, _ := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	whole := int64(len(sealed))
	body := int64(h.Size + payloadHead)
	lengths := []int64{int64(h.Size), int64(h.Size) + 1, body - 1, body, body + 1, body + 15, body + 16, body + 100, whole - segmentSize, whole - 17, whole - 16, whole - 1}
	for i := range int64(3) {
		border := int64(h.Size) + i*segmentSize
		lengths = append(lengths, border, border+1, border+15, border+16, border+17, border+tagSize+payloadHead)
	}
	for _, n := range lengths {
		_, err := k.OpenReaderAt(bytes.NewReader(sealed[:n]), n, nil)
		mathematicsRefuses(t, err, "cut at %d", n)
		_, err = k.OpenReaderAt(bytes.NewReader(sealed), n, nil)
		mathematicsRefuses(t, err, "whole, but said to end at %d", n)
		_, err = k.OpenReaderAt(bytes.NewReader(sealed[:n]), whole, nil)
		mathematicsRefuses(t, err, "cut at %d, but said to be whole", n)
	}
	for _, more := range []int64{1, 15, 16, 17, segmentSize - 1, segmentSize, segmentSize + 1, 10 * segmentSize, 1 << 40, 1<<63 - 1 - whole} {
		_, err := k.OpenReaderAt(bytes.NewReader(sealed), whole+more, nil)
		mathematicsRefuses(t, err, "said to have %d bytes more", more)
		if more <= 10*segmentSize {
			_, err := k.OpenReaderAt(bytes.NewReader(append(bytes.Clone(sealed), make([]byte, more)...)), whole+more, nil)
			mathematicsRefuses(t, err, "%d bytes more", more)
		}
	}
	_, err = k.OpenReaderAt(bytes.NewReader(sealed), -1, nil)
	require.ErrorContains(t, err, "pass the length")
	for n := range int64(h.Size) {
		_, err := k.OpenReaderAt(bytes.NewReader(sealed), n, nil)
		require.ErrorIs(t, err, ErrFormat)
	}
}

// A changed segment is refused when it is read, after what stands before it; the others stay readable.
func TestReadAtAroundAChangedSegment(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	changed := bytes.Clone(sealed)
	changed[h.Size+segmentSize+500] ^= 1
	swapped := bytes.Clone(sealed)
	copy(swapped[h.Size+segmentSize:], sealed[h.Size:h.Size+segmentSize])
	for _, object := range [][]byte{changed, swapped} {
		r := openAt(t, k, object, nil)
		for range 2 {
			got := make([]byte, len(plaintext))
			n, err := r.ReadAt(got, 0)
			require.Equal(t, oneSegment, n)
			mathematicsRefuses(t, err)
			require.True(t, bytes.Equal(plaintext[:n], got[:n]))
			require.Equal(t, make([]byte, len(got)-n), got[n:], "no byte of the changed segment comes out")
			for _, offset := range []int{oneSegment, oneSegment + 1, oneSegment + perSegment - 1} {
				n, err := r.ReadAt(got, int64(offset))
				require.Zero(t, n)
				mathematicsRefuses(t, err)
			}
			n, err = r.ReadAt(got[:len(plaintext)-oneSegment-perSegment], oneSegment+perSegment)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext[oneSegment+perSegment:], got[:n]))
		}
	}
	foreign, err := issueOther(t).OpenReaderAt(bytes.NewReader(sealed), int64(len(sealed)), nil)
	require.Nil(t, foreign)
	denied(t, err, DeniedAuthority)
	_, err = k.OpenReaderAt(bytes.NewReader(sealed), int64(len(sealed)), &Options{AssociatedData: []byte("other")})
	mathematicsRefuses(t, err)
}

func issueOther(t *testing.T) *Key { return issue(t, generate(t), "a") }

// Errors of the source come out as they are, from opening and from reading; what failed once can be read when the source is well again.
func TestReadAtFromAFailingSource(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, failure := range []error{errDisk, io.ErrUnexpectedEOF} {
		for _, from := range []int{0, 5, 13, h.Size - 1, h.Size, h.Size + payloadHead - 1, len(sealed) - 1} {
			src := &flaky{b: sealed, from: int64(from), to: int64(from) + 1, err: failure}
			_, err := k.OpenReaderAt(src, int64(len(sealed)), nil)
			require.ErrorIs(t, err, failure, "byte %d cannot be read", from)
			require.NotErrorIs(t, err, ErrDecrypt)
			require.NotErrorIs(t, err, ErrFormat)
		}
		src := &flaky{b: sealed, from: int64(h.Size + segmentSize + 7), to: int64(h.Size + segmentSize + 8)}
		r, err := k.OpenReaderAt(src, int64(len(sealed)), nil)
		require.NoError(t, err)
		got := make([]byte, len(plaintext))
		src.err = failure
		n, err := r.ReadAt(got, 0)
		require.ErrorIs(t, err, failure)
		require.NotErrorIs(t, err, ErrDecrypt)
		require.Equal(t, oneSegment, n)
		require.True(t, bytes.Equal(plaintext[:n], got[:n]))
		src.err = nil
		n, err = r.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, len(plaintext), n)
		require.True(t, bytes.Equal(plaintext, got))
	}
}

// Many readers at once, on an object with one bad segment: each gets what it would get alone.
func TestReadAtConcurrently(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	sealed[h.Size+segmentSize+500] ^= 1
	r := openAt(t, k, sealed, nil)
	bad := func(from, to int) bool { return from < oneSegment+perSegment && to > oneSegment }
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for worker := range 8 {
		group.Go(func() {
			got := make([]byte, 5000)
			for i := range 200 {
				offset := (worker*7919 + i*104_729*(worker+1)) % (len(plaintext) - len(got))
				n, err := r.ReadAt(got, int64(offset))
				if want := bad(offset, offset+len(got)); want != errors.Is(err, ErrDecrypt) || want != (err != nil) || want != (n < len(got)) {
					failures <- fmt.Errorf("offset %d: %d bytes, error %v", offset, n, err)
					return
				}
				if !bytes.Equal(got[:n], plaintext[offset:offset+n]) {
					failures <- fmt.Errorf("offset %d: other bytes", offset)
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
}
