package he

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func base(t testing.TB, name string) []byte {
	b, err := os.ReadFile(vectorDir("base", name))
	require.NoError(t, err)
	return b
}

// In all three: no panic, what is accepted is its own canonical encoding, and only the original has the key's consent.

func FuzzNewKey(f *testing.F) {
	f.Add(base(f, "key.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Every 32 bytes are a key.
		if len(b) >= 32 {
			k, err := newKey(ProfileSum, [32]byte(b[len(b)-32:]))
			require.NoError(t, err)
			again, err := NewKey(k.ExposeSecret())
			require.NoError(t, err)
			require.Equal(t, k.ID(), again.ID())
		}
		k, err := NewKey(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, b, k.ExposeSecret())
	})
}

// The input is patched into a real column, since a column of random bytes ends at the first length; the digest is made to
// fit so that the fuzzer gets behind it.
func FuzzNewColumn(f *testing.F) {
	good := base(f, "column.bin")
	k, err := NewKey(base(f, "key.bin"))
	require.NoError(f, err)
	f.Add(uint32(0), good[:200], uint32(0))
	f.Add(uint32(31), []byte{255}, uint32(0))
	f.Add(uint32(92), []byte{0, 0, 0, 1, 0, 0, 0, 2}, uint32(0))
	f.Add(uint32(len(good)-80), make([]byte, 8), uint32(0))
	f.Add(uint32(0), []byte{}, uint32(len(good)/2))
	f.Fuzz(func(t *testing.T, at uint32, data []byte, cut uint32) {
		if len(data) > 1<<12 {
			return
		}
		b := bytes.Clone(good[:len(good)-int(cut%uint32(len(good)))])
		copy(b[int(at)%len(b):], data)
		if _, err := NewColumn(data); err == nil {
			t.Fatal("a column of 4 KiB")
		}
		forged, ok := reseal(b)
		c, err := NewColumn(forged)
		require.Equal(t, ok, err == nil, "%v", err)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.Equal(t, forged, c.Bytes())
		require.Equal(t, bytes.Equal(forged, good), k.Verify(c) == nil)
	})
}

func FuzzNewAnswer(f *testing.F) {
	good := base(f, "count.bin")
	f.Add(uint32(0), good[:80], uint32(0))
	f.Add(uint32(59), []byte{2}, uint32(0))
	f.Add(uint32(len(good)-33), []byte{1}, uint32(0))
	f.Add(uint32(60), []byte{255, 255, 255, 255, 255, 255, 255}, uint32(0))
	f.Add(uint32(0), []byte{}, uint32(1))
	f.Fuzz(func(t *testing.T, at uint32, data []byte, cut uint32) {
		b := bytes.Clone(good[:len(good)-int(cut%uint32(len(good)))])
		copy(b[int(at)%len(b):], data)
		for _, b := range [][]byte{data, b, resum(b)} {
			a, err := NewAnswer(b)
			if err != nil {
				require.ErrorIs(t, err, ErrFormat)
				continue
			}
			require.Equal(t, b, a.Bytes())
		}
	})
}
