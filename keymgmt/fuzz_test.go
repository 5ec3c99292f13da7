package keymgmt

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every decoder: no panic on any bytes, and what it accepts has one encoding only. Seeds that were found or made by hand
// are in testdata/fuzz.

// sum puts the checksum behind b, so that the fuzzer gets past it.
func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return append(bytes.Clone(b), s[:]...)
}

func unsum(b []byte) []byte { return b[:len(b)-sha256.Size] }

func seedTree(t testing.TB) *tree {
	tr := newTree(ringID{1})
	for _, name := range []string{nameReceiptSeed, "a/1", "a/2", "b"} {
		secret := make([]byte, keySize)
		require.NoError(t, tr.insert(&entry{position: position{name, 1}, state: StatePrimary, created: 1}, secret))
	}
	return tr
}

func FuzzRingFile(f *testing.F) {
	f.Add(unsum(seedTree(f).file().encode()))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sum(b)} {
			if file, err := decodeRing(b); err == nil {
				require.Equal(t, b, file.encode())
				_, err := buildTree(file, make([]byte, keySize))
				require.Error(t, err)
			}
		}
	})
}

func FuzzRootFile(f *testing.F) {
	for _, root := range []rootFile{
		{state: rootSettled, slots: []rootSlot{{1, []byte{1}}}}, {state: rootCreating, slots: []rootSlot{{9, []byte{1, 2}}}},
		{state: rootChanging, slots: []rootSlot{{1, []byte{1}}, {2, []byte{2}}}},
	} {
		f.Add(unsum(root.encode()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sum(b)} {
			if root, err := decodeRoot(b); err == nil {
				require.Equal(t, b, root.encode())
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	tr := seedTree(f)
	tr.file()
	for p := range tr.pages() {
		plain, err := open(p.key, labelPage, p.sealed, pageData(tr.ring, p.number, header(tr, p)))
		require.NoError(f, err)
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, kids, err := decodePage(b, 7); err == nil {
			require.Equal(t, b, p.encode(kids))
		}
	})
}

func header(t *tree, p *page) []byte {
	if p == t.root {
		return t.fileHeader()
	}
	return nil
}

// FuzzTree seals a page of any content rightly, as only a holder of the root key can, and builds a tree from it.
func FuzzTree(f *testing.F) {
	tr := seedTree(f)
	tr.file()
	for p := range tr.pages() {
		plain, err := open(p.key, labelPage, p.sealed, pageData(tr.ring, p.number, header(tr, p)))
		require.NoError(f, err)
		f.Add("a", plain)
		f.Add("", plain)
	}
	f.Fuzz(func(t *testing.T, tenant string, plain []byte) {
		rootKey, key := bytes.Repeat([]byte{1}, keySize), bytes.Repeat([]byte{2}, keySize)
		file := &ringFile{epoch: 1, version: 1, next: 3}
		below := seal(key, labelPage, plain, pageData(file.ring, 2, nil))
		root := &page{kind: pageRoot, bounds: []position{{name: tenant}}}
		rootPlain := root.encode([]child{{number: 2, key: key, digest: sha256.Sum256(below)}})
		head := appendRingHeader(nil, file.ring, file.epoch, file.version, file.next)
		file.pages = []sealedPage{{1, seal(rootKey, labelPage, rootPlain, pageData(file.ring, 1, head))}, {2, below}}
		built, err := buildTree(file, rootKey)
		if err != nil {
			return
		}
		again, err := decodeRing(built.file().encode())
		require.NoError(t, err)
		_, err = buildTree(again, rootKey)
		require.NoError(t, err)
		for name := range built.names {
			e, err := built.find(name, 0)
			if err == nil {
				_, err = built.unwrap(e)
				require.Error(t, err, "nobody wrapped anything")
			}
		}
	})
}

func FuzzReceipt(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	r := &Receipt{Name: "a/1", Versions: []uint32{1, 2}, Time: time.UnixMicro(5), Actor: "x", AtOnce: []string{"records"}, Epoch: 1, RingVersion: 2}
	r.sign(key)
	f.Add(r.Bytes())
	r.ByDeadline, r.Deadline = []string{"lists"}, time.UnixMicro(6)
	r.sign(key)
	f.Add(r.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeReceipt(b); err == nil {
			require.Equal(t, b, r.Bytes())
		}
		if r, err := VerifyReceipt(b, publicOf(key)); err == nil {
			require.Equal(t, b, r.Bytes())
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	f.Add(unsum(encodeKeyFile(make([]byte, keySize))))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sum(b)} {
			if kek, err := decodeKeyFile(b); err == nil {
				require.Equal(t, b, encodeKeyFile(kek))
			}
		}
	})
}

func FuzzWrapped(f *testing.F) {
	ctx := context.Background()
	w := &keyFile{kek: NewSecret(make([]byte, keySize))}
	wrapped, err := w.Wrap(ctx, NewSecret(make([]byte, keySize)), "x")
	require.NoError(f, err)
	f.Add(wrapped)
	asPhrase := bytes.Clone(wrapped[:8])
	asPhrase[7] = providerPassphrase
	asPhrase = append(asPhrase, 0, 0, 0, 3, 0, 1, 0, 0, 4)
	f.Add(append(append(asPhrase, make([]byte, saltSize)...), wrapped[8:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := w.Unwrap(ctx, b, "x"); err == nil {
			require.Equal(t, wrapped[:24], b[:24])
			require.NotZero(t, key.Len())
		}
		if p, _, tail, err := readPassphraseWrapped(b); err == nil {
			require.NoError(t, p.valid())
			require.Equal(t, len(b), len(tail.head)+4+len(tail.sealed))
		}
	})
}
