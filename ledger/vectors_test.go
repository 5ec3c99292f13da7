package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const vectorFolder = "testdata/vectors/v1"

// vectorCount is how many files there must be: one that is lost is noticed.
const vectorCount = 58

// vector is one case. Outcome is "success", "format failure" (the bytes are no canonical encoding), "signature failure"
// or "proof failure". Binary fields are hexadecimal, Checkpoint and Older are text.
type vector struct {
	What       string `json:"what"` // cid, cidtext, node, checkpoint, inclusion, consistency
	Outcome    string `json:"outcome"`
	Note       string `json:"note"`
	Length     int64  `json:"length,omitempty"` // cid: of the pattern SHA-256(0), SHA-256(1), ...
	CID        string `json:"cid,omitempty"`
	Key        string `json:"key,omitempty"`
	Older      string `json:"older,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
	Leaf       string `json:"leaf,omitempty"`
	Index      int64  `json:"index,omitempty"`
	Bytes      string `json:"bytes,omitempty"` // proof or node
}

// largePattern is as long as the longest case; making it takes longer than hashing it.
var largePattern = sync.OnceValue(func() []byte {
	b := make([]byte, 174<<20+1)
	if _, err := io.ReadFull(newPattern(int64(len(b))), b); err != nil {
		panic(err)
	}
	return b
})

// outcome runs a case.
func (c vector) outcome(t testing.TB) string {
	t.Helper()
	raw, err := hex.DecodeString(c.Bytes)
	require.NoError(t, err)
	leaf, err := hex.DecodeString(c.Leaf)
	require.NoError(t, err)
	result := func(err error, class string) string {
		if err != nil {
			return class
		}
		return "success"
	}
	switch c.What {
	case "cid":
		var r io.Reader = newPattern(c.Length)
		if c.Length > 100<<20 {
			r = bytes.NewReader(largePattern()[:c.Length])
		}
		got, n, err := ComputeCID(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, c.Length, n)
		if got.String() != c.CID {
			return "format failure"
		}
		return "success"
	case "cidtext":
		_, err := ParseCID(c.CID)
		return result(err, "format failure")
	case "node":
		_, err := parseNode(raw)
		return result(err, "format failure")
	}
	v, err := ParseVerifier(c.Key)
	if err != nil {
		return "format failure"
	}
	for _, signed := range []string{c.Checkpoint, c.Older} {
		if signed == "" {
			continue
		}
		if _, err := NewCheckpoint([]byte(signed), v); err != nil {
			if strings.Contains(err.Error(), "invalid signature") || strings.Contains(err.Error(), "no verifiable signatures") {
				return "signature failure"
			}
			return "format failure"
		}
	}
	if c.What == "checkpoint" {
		return "success"
	}
	if _, err := newProof(raw); err != nil {
		return "format failure"
	}
	if c.What == "inclusion" {
		return result(VerifyInclusion([]byte(c.Checkpoint), v, leaf, c.Index, raw), "proof failure")
	}
	require.Equal(t, "consistency", c.What)
	return result(VerifyConsistency([]byte(c.Older), []byte(c.Checkpoint), v, raw), "proof failure")
}

// TestVectors runs the frozen cases. They are never changed; new ones are added.
func TestVectors(t *testing.T) {
	entries, err := os.ReadDir(vectorFolder)
	require.NoError(t, err)
	require.Len(t, entries, vectorCount)
	good := 0
	for _, e := range entries {
		var c vector
		d := json.NewDecoder(strings.NewReader(string(readFile(t, filepath.Join(vectorFolder, e.Name())))))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&c), e.Name())
		require.Equal(t, c.Outcome, c.outcome(t), "%s: %s", e.Name(), c.Note)
		if c.Outcome == "success" {
			good++
		}
	}
	require.Less(t, good, vectorCount-good, "more failing than passing ones")
}

// TestVectorLog: the log that the vectors were taken from is made again, byte for byte.
func TestVectorLog(t *testing.T) {
	dir := t.TempDir()
	l := newLog(t, dir, testSigner(t), 300)
	var c vector
	require.NoError(t, json.Unmarshal(readFile(t, filepath.Join(vectorFolder, "checkpoint-300.json")), &c))
	require.Equal(t, c.Checkpoint, string(readFile(t, filepath.Join(dir, checkpointFile))))
	require.Equal(t, c.Key, l.Verifier().String())
	require.Equal(t, "ward.example/log+3c9deaa2+", c.Key[:len("ward.example/log+3c9deaa2+")])
	root := l.Checkpoint().Root
	require.Contains(t, c.Checkpoint, base64.StdEncoding.EncodeToString(root[:]))
}
