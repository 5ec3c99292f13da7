package abe

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

const streamBench = 64 << 20 // bytes of plaintext in a stream

// sink is a destination without a ReadFrom, so that io.Copy does what it does to a file or a socket.
type sink struct{ n int64 }

func (s *sink) Write(b []byte) (int, error) {
	s.n += int64(len(b))
	return len(b), nil
}

// endless is a source of n bytes that costs nothing.
type endless struct{ n int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), e.n)
	e.n -= n
	return int(n), nil
}

// BenchmarkStream is sealing and opening of a stream against raw AES-256-GCM over blocks of 1 MiB in one buffer.
func BenchmarkStream(b *testing.B) {
	gcm, nonce := newGCM(make([]byte, 32)), make([]byte, 12)
	b.Run("raw-seal", func(b *testing.B) {
		in, out := make([]byte, segmentSize), make([]byte, 0, segmentSize+tagSize)
		b.SetBytes(segmentSize)
		for b.Loop() {
			out = gcm.Seal(out[:0], nonce, in, nil)
		}
	})
	b.Run("raw-open", func(b *testing.B) {
		in, out := gcm.Seal(nil, nonce, make([]byte, segmentSize), nil), make([]byte, 0, segmentSize)
		b.SetBytes(segmentSize)
		for b.Loop() {
			_, err := gcm.Open(out[:0], nonce, in, nil)
			require.NoError(b, err)
		}
	})
	a := generate(b)
	k := issue(b, a, "a")
	policy := parsePolicy(b, "a")
	var object bytes.Buffer
	require.NoError(b, a.Params().EncryptFrom(&object, &endless{streamBench}, policy, nil))
	b.Run("encrypt-from", func(b *testing.B) {
		b.SetBytes(streamBench)
		for b.Loop() {
			require.NoError(b, a.Params().EncryptFrom(new(sink), &endless{streamBench}, policy, nil))
		}
	})
	for _, piece := range []int{32 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("write-%dk", piece>>10), func(b *testing.B) {
			buffer := make([]byte, piece)
			b.SetBytes(streamBench)
			for b.Loop() {
				w, err := a.Params().Encrypt(new(sink), policy, nil)
				require.NoError(b, err)
				for range streamBench / piece {
					_, err = w.Write(buffer)
					require.NoError(b, err)
				}
				require.NoError(b, w.Close())
			}
		})
	}
	b.Run("decrypt", func(b *testing.B) {
		b.SetBytes(streamBench)
		for b.Loop() {
			r, err := k.Decrypt(bytes.NewReader(object.Bytes()), nil)
			require.NoError(b, err)
			n, err := io.Copy(new(sink), r)
			require.NoError(b, err)
			require.EqualValues(b, streamBench, n)
		}
	})
	b.Run("read-at", func(b *testing.B) {
		b.SetBytes(streamBench)
		for b.Loop() {
			r, err := k.OpenReaderAt(bytes.NewReader(object.Bytes()), int64(object.Len()), nil)
			require.NoError(b, err)
			n, err := io.Copy(new(sink), io.NewSectionReader(r, 0, r.Size()))
			require.NoError(b, err)
			require.EqualValues(b, streamBench, n)
		}
	})
}
