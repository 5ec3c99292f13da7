package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const testName = "ward.example/log"

// testSigner is the same key in every run: vectors depend on it.
func testSigner(t testing.TB) *Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("veilchart ledger test key"))
	s, err := NewSigner(testName, seed[:])
	require.NoError(t, err)
	return s
}

func otherSigner(t testing.TB) *Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("another key"))
	s, err := NewSigner(testName, seed[:])
	require.NoError(t, err)
	return s
}

// testLeaf is the leaf number i of the logs in these tests; lengths vary.
func testLeaf(i int64) []byte {
	d := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("leaf"), uint64(i)))
	return append(d[:], bytes.Repeat([]byte{byte(i)}, int(i%5))...)
}

func testLeaves(from, to int64) [][]byte {
	var leaves [][]byte
	for i := from; i < to; i++ {
		leaves = append(leaves, testLeaf(i))
	}
	return leaves
}

// newLog makes a log with the test leaves, appended in those steps.
func newLog(t testing.TB, dir string, s *Signer, sizes ...int64) *Log {
	t.Helper()
	l, err := OpenLog(t.Context(), dir, s, nil)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	l.disk.lazy = true // what waits for the medium is tested by fault_test.go and crash_test.go
	at := int64(0)
	for _, n := range sizes {
		first, err := l.Append(t.Context(), testLeaves(at, n)...)
		require.NoError(t, err)
		require.Equal(t, at, first)
		at = n
	}
	return l
}

func newBlobs(t testing.TB, dir string) *DirBlobs {
	t.Helper()
	b, err := OpenBlobs(dir)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

// pattern is a stream of n bytes that is easy to make elsewhere: SHA-256(0), SHA-256(1), ... of 64-bit big-endian numbers.
type pattern struct {
	left  int64
	count uint64
	block []byte
}

func newPattern(n int64) *pattern { return &pattern{left: n} }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	n := 0
	for n < len(b) {
		if len(p.block) == 0 {
			h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, p.count))
			p.block = h[:]
			p.count++
		}
		m := copy(b[n:], p.block)
		p.block = p.block[m:]
		n += m
	}
	p.left -= int64(n)
	return n, nil
}

func patternBytes(t testing.TB, n int64) []byte {
	b, err := io.ReadAll(newPattern(n))
	require.NoError(t, err)
	return b
}

// files lists the regular files below dir, by relative path.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	}))
	return out
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(to))
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// checkLog opens and verifies a log for reading, in all detail.
func checkLog(dir string, v *Verifier, remembered []byte) error {
	l, err := ReadLog(context.Background(), dir, v, remembered)
	if err != nil {
		return err
	}
	return l.Verify(context.Background(), nil)
}
