// Package ledgertest holds the tests that every implementation of the ledger's interfaces must pass.
package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/ledger"
)

// TestBlobs runs the conformance tests of ledger.Blobs. open returns a store for one test and cleans up after it; the
// store may hold other blobs already, as a shared node does.
func TestBlobs(t *testing.T, open func(t *testing.T) ledger.Blobs) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b ledger.Blobs)
	}{
		{"KnownCIDs", testKnownCIDs},
		{"PutGet", testPutGet},
		{"PutAgain", testPutAgain},
		{"Missing", testMissing},
		{"Delete", testDelete},
		{"FailingReader", testFailingReader},
		{"All", testAll},
		{"Cancelled", testCancelled},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// content is n bytes that differ for each seed.
func content(seed string, n int) []byte {
	b := make([]byte, 0, n+sha256.Size)
	for i := uint64(0); len(b) < n; i++ {
		h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), i))
		b = append(b, h[:]...)
	}
	return b[:n]
}

const mib = 1 << 20

// sizes are the lengths at which a tree of chunks changes its shape.
var sizes = []int{0, 1, 31, 4096, mib - 1, mib, mib + 1, 2 * mib, 5*mib + 3}

func put(t *testing.T, b ledger.Blobs, data []byte) ledger.CID {
	t.Helper()
	c, n, err := b.Put(t.Context(), bytes.NewReader(data))
	require.NoError(t, err)
	require.EqualValues(t, len(data), n)
	return c
}

func get(t *testing.T, b ledger.Blobs, c ledger.CID) []byte {
	t.Helper()
	r, err := b.Get(t.Context(), c)
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return data
}

// testKnownCIDs: kubo v0.39.0 printed these for `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576`.
func testKnownCIDs(t *testing.T, b ledger.Blobs) {
	for want, data := range map[string][]byte{
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku": nil,
		"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq": []byte("hello"),
		"bafybeigdsjup7aizxrrjn7yqtcmqg6ffksaugwr7is2ind3cf7esaqrz4m": make([]byte, 3*mib),
	} {
		require.Equal(t, want, put(t, b, data).String())
	}
}

func testPutGet(t *testing.T, b ledger.Blobs) {
	for _, n := range sizes {
		data := content("put get", n)
		c := put(t, b, data)
		want, _, err := ledger.ComputeCID(t.Context(), bytes.NewReader(data))
		require.NoError(t, err)
		require.Equal(t, want, c)
		require.True(t, bytes.Equal(data, get(t, b, c)), n)
		has, err := b.Has(t.Context(), c)
		require.NoError(t, err)
		require.True(t, has)
		size, err := b.Size(t.Context(), c)
		require.NoError(t, err)
		require.EqualValues(t, n, size)

		// Short reads on both sides make no difference.
		c2, _, err := b.Put(t.Context(), iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(data))))
		require.NoError(t, err)
		require.Equal(t, c, c2)
		r, err := b.Get(t.Context(), c)
		require.NoError(t, err)
		got, err := io.ReadAll(iotest.HalfReader(r))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.NoError(t, r.Close())
	}
}

func testPutAgain(t *testing.T, b ledger.Blobs) {
	for _, n := range []int{100, 2*mib + 1} {
		data := content("again", n)
		c := put(t, b, data)
		require.Equal(t, c, put(t, b, data))
		require.True(t, bytes.Equal(data, get(t, b, c)))
	}
}

// never is the CID of bytes that no test stores.
func never(t *testing.T, n int) ledger.CID {
	c, _, err := ledger.ComputeCID(t.Context(), bytes.NewReader(content("never stored", n)))
	require.NoError(t, err)
	return c
}

func testMissing(t *testing.T, b ledger.Blobs) {
	for _, n := range []int{10, 2 * mib} {
		c := never(t, n)
		has, err := b.Has(t.Context(), c)
		require.NoError(t, err)
		require.False(t, has)
		_, err = b.Size(t.Context(), c)
		require.ErrorIs(t, err, ledger.ErrNotFound)
		r, err := b.Get(t.Context(), c)
		if err == nil { // a remote store may find out late, but not never
			_, err = io.ReadAll(r)
			r.Close()
		}
		require.ErrorIs(t, err, ledger.ErrNotFound)
		require.ErrorContains(t, err, c.String())
	}
}

func testDelete(t *testing.T, b ledger.Blobs) {
	require.NoError(t, b.Delete(t.Context(), never(t, 10)))
	for _, n := range []int{10, 2*mib + 5} {
		keep, drop := content("keep", n), content("drop", n)
		ck, cd := put(t, b, keep), put(t, b, drop)
		require.NoError(t, b.Delete(t.Context(), cd))
		require.NoError(t, b.Delete(t.Context(), cd))
		has, err := b.Has(t.Context(), cd)
		require.NoError(t, err)
		require.False(t, has)
		require.True(t, bytes.Equal(keep, get(t, b, ck)))
		require.Equal(t, cd, put(t, b, drop))
		require.True(t, bytes.Equal(drop, get(t, b, cd)))
	}
}

// testFailingReader: a stream that breaks off leaves nothing behind, whichever error it breaks off with.
func testFailingReader(t *testing.T, b ledger.Blobs) {
	for _, n := range []int{0, 10, mib, 2*mib + 7} {
		for _, cause := range []error{errors.New("stream broke"), io.ErrUnexpectedEOF, io.ErrClosedPipe} {
			data := content("broken "+cause.Error(), n)
			_, _, err := b.Put(t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(cause)))
			require.ErrorIs(t, err, cause)
			if n == 0 {
				continue // the empty blob may be there for other reasons
			}
			c, _, err := ledger.ComputeCID(t.Context(), bytes.NewReader(data))
			require.NoError(t, err)
			has, err := b.Has(t.Context(), c)
			require.NoError(t, err)
			require.False(t, has)
		}
	}
}

func testAll(t *testing.T, b ledger.Blobs) {
	want := map[ledger.CID]bool{}
	for _, n := range sizes {
		want[put(t, b, content("all", n))] = true
	}
	seen := map[ledger.CID]bool{}
	for c, err := range b.All(t.Context()) {
		require.NoError(t, err)
		require.False(t, seen[c], "twice: %v", c)
		seen[c] = true
	}
	for c := range want {
		require.True(t, seen[c], "not listed: %v", c)
	}
	for range b.All(t.Context()) {
		break // an iteration may be left early
	}
}

func testCancelled(t *testing.T, b ledger.Blobs) {
	data := content("cancelled", 2*mib)
	c := put(t, b, data)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := b.Get(ctx, c)
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, context.Canceled)
	r.Close()
	_, _, err = b.Put(ctx, bytes.NewReader(data))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Get(ctx, c)
	require.ErrorIs(t, err, context.Canceled)
}

func testConcurrent(t *testing.T, b ledger.Blobs) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 6 {
				data := content("concurrent", 1000*i+(w%2)) // some blobs are the same, some not
				if i == 5 {
					data = content("concurrent", mib+w%2)
				}
				c, _, err := b.Put(t.Context(), bytes.NewReader(data))
				if err != nil {
					t.Error(err)
					return
				}
				r, err := b.Get(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(data, got) {
					t.Error("other bytes", err)
				}
			}
		})
	}
	wg.Wait()
}
