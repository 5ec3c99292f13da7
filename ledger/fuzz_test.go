package ledger

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// FuzzCheckpoint: what is accepted has one text only, and was signed.
func FuzzCheckpoint(f *testing.F) {
	s := testSigner(f)
	head, err := signCheckpoint(s, 300, tlog.RecordHash(nil))
	require.NoError(f, err)
	f.Add(head.signed, false)
	f.Add([]byte(testName+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"), true)
	f.Add([]byte(testName+"\n12\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign { // so that the fuzzer gets past the signature
			signed, err := note.Sign(&note.Note{Text: string(b)}, noteSigner{s})
			if err != nil {
				return
			}
			b = signed
		}
		c, err := NewCheckpoint(b, s.Verifier())
		if err != nil {
			return
		}
		require.Equal(t, b, c.Bytes())
		again, err := signCheckpoint(s, c.Size, c.Root)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(b, again.signed[:bytes.Index(again.signed, []byte("\n\n"))]), "the text is that of the fields")
		require.Contains(t, string(b), string(again.signed[bytes.Index(again.signed, []byte("\n\n"))+2:]), "the signature is the only one")
	})
}

// FuzzProof: decode and encode are inverse; no decoded proof verifies but the right one.
func FuzzProof(f *testing.F) {
	l := newLog(f, f.TempDir(), testSigner(f), 5, 11)
	head := l.Checkpoint()
	right, err := l.ProveInclusion(f.Context(), 6, head)
	require.NoError(f, err)
	f.Add(right)
	f.Add(proof{typeConsistency, 5, 11, make([]tlog.Hash, 3)}.bytes())
	f.Add(proof{typeInclusion, 0, 1, nil}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := newProof(b)
		if err != nil {
			return
		}
		require.Equal(t, b, p.bytes())
		err = VerifyInclusion(head.Bytes(), l.Verifier(), testLeaf(6), 6, b)
		require.Equal(t, bytes.Equal(b, right), err == nil)
		require.Error(t, VerifyConsistency(head.Bytes(), head.Bytes(), l.Verifier(), append(b, 0)))
	})
}

// FuzzNode: decode and encode are inverse, so a node has one encoding and one CID.
func FuzzNode(f *testing.F) {
	leaf := link{sumCID(codecRaw, []byte("x")), chunkSize, chunkSize}
	f.Add(node{leaf}.encode())
	f.Add(node{leaf, leaf, {sumCID(codecDAGPB, nil), 5, 70}}.encode())
	f.Add(bytes.Repeat([]byte{0x12, 0}, 400))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNode(b)
		if err != nil {
			return
		}
		require.Equal(t, b, n.encode())
		require.LessOrEqual(t, len(n), fanout)
	})
}

// FuzzBundle: decode and encode are inverse.
func FuzzBundle(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, testLeaf(0)), testLeaf(3)))
	f.Add(binary.BigEndian.AppendUint16(nil, MaxLeaf))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := parseBundle(b)
		if err != nil {
			return
		}
		var again []byte
		for _, leaf := range leaves {
			again = appendEntry(again, leaf)
		}
		require.Equal(t, b, again)
	})
}

// FuzzCIDText: every CID has one text.
func FuzzCIDText(f *testing.F) {
	f.Add(sumCID(codecRaw, nil).String())
	f.Add(sumCID(codecDAGPB, nil).String())
	f.Add("bafkr")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCID(text)
		if err != nil {
			return
		}
		require.Equal(t, text, c.String())
		back, err := parseCIDBytes(c.Bytes())
		require.NoError(t, err)
		require.Equal(t, c, back)
	})
}

// FuzzVerifier: every key has one text.
func FuzzVerifier(f *testing.F) {
	f.Add(testSigner(f).Verifier().String())
	f.Add("a+00000000+AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVerifier(text)
		if err != nil {
			return
		}
		require.Equal(t, text, v.String())
		require.NoError(t, checkName(v.Name()))
	})
}

// FuzzFolderFiles decodes the files that say what a folder is.
func FuzzFolderFiles(f *testing.F) {
	l := &Log{pub: testSigner(f).Verifier()}
	f.Add(l.format())
	f.Add(blobsFormat())
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := parseFormat(b); err == nil && key == l.pub.String() {
			require.Equal(t, l.format(), b)
		}
		if parseBlobsFormat(b) == nil {
			require.Equal(t, blobsFormat(), b)
		}
	})
}

// FuzzBlobNodes reads a blob beside any file of nodes: right bytes or an error.
func FuzzBlobNodes(f *testing.F) {
	b := newBlobs(f, f.TempDir())
	data := patternBytes(f, chunkSize+100)
	c := putBytes(f, b, data)
	good := readFile(f, b.nodeFile(c))
	f.Add(good)
	f.Add(good[:20])
	f.Add(append(bytes.Clone(good), good[8:]...))
	f.Fuzz(func(t *testing.T, nodes []byte) {
		writeFile(t, b.nodeFile(c), nodes)
		got, err := readBlob(b, c)
		if err == nil {
			require.True(t, bytes.Equal(data, got))
			return
		}
		require.True(t, bytes.HasPrefix(data, got))
		requireDamage(t, err, b.nodeFile(c), c)
	})
}
