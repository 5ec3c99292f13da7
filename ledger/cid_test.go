package ledger

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// nowhere is a DAG service that keeps nothing: the importer only has to compute.
type nowhere struct{ ipld.DAGService }

func (nowhere) Add(context.Context, ipld.Node) error       { return nil }
func (nowhere) AddMany(context.Context, []ipld.Node) error { return nil }

// boxoCID is what IPFS's own importer makes of the bytes.
func boxoCID(t require.TestingT, data []byte, chunkBytes int64, links int) string {
	params := helpers.DagBuilderParams{
		Maxlinks: links, RawLeaves: true, Dagserv: nowhere{},
		CidBuilder: cid.V1Builder{Codec: cid.DagProtobuf, MhType: 0x12, MhLength: -1},
	}
	db, err := params.New(chunk.NewSizeSplitter(bytes.NewReader(data), chunkBytes))
	require.NoError(t, err)
	n, err := balanced.Layout(db)
	require.NoError(t, err)
	_, isRaw := n.(*merkledag.RawNode)
	require.Equal(t, int64(len(data)) <= chunkBytes, isRaw)
	return n.Cid().String()
}

// ownCID is the builder with other numbers, so that deep trees need few bytes.
func ownCID(t require.TestingT, data []byte, chunkBytes, links int) string {
	nodes := map[int][][]byte{}
	b := &builder{fanout: links, emit: func(level int, encoded []byte) error {
		nodes[level] = append(nodes[level], encoded)
		n, err := parseNode(encoded)
		require.NoError(t, err)
		require.LessOrEqual(t, len(n), links)
		return nil
	}}
	for rest := data; ; {
		n := min(len(rest), chunkBytes)
		require.NoError(t, b.add(0, link{sumCID(codecRaw, rest[:n]), uint64(n), uint64(n)}))
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	root, err := b.finish()
	require.NoError(t, err)
	require.EqualValues(t, len(data), root.bytes)
	return root.cid.String()
}

func TestTreeAgainstBoxo(t *testing.T) {
	data := patternBytes(t, 3000)
	for _, links := range []int{2, 3, 5} {
		for n := range 140 {
			require.Equal(t, boxoCID(t, data[:n], 4, links), ownCID(t, data[:n], 4, links), "%d bytes, %d links", n, links)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		links := rapid.IntRange(2, 20).Draw(t, "links")
		chunkBytes := rapid.IntRange(1, 200).Draw(t, "chunk")
		n := rapid.IntRange(0, len(data)).Draw(t, "length")
		require.Equal(t, boxoCID(t, data[:n], int64(chunkBytes), links), ownCID(t, data[:n], chunkBytes, links))
	})
}

// TestTwoLevelsOfNodes goes over 174 chunks with the numbers of the specification.
func TestTwoLevelsOfNodes(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 176<<20/16)
	for _, n := range []int{174 << 20, 174<<20 + 1, 176<<20 - 3} {
		got, size, err := ComputeCID(t.Context(), bytes.NewReader(data[:n]))
		require.NoError(t, err)
		require.EqualValues(t, n, size)
		require.Equal(t, boxoCID(t, data[:n], chunkSize, fanout), got.String())
	}
	require.Equal(t, 1, depth(174<<20))
	require.Equal(t, 2, depth(174<<20+1))
	require.Equal(t, 0, depth(1<<20))
	require.Equal(t, maxDepth, depth(maxBlob))
}

func TestCIDText(t *testing.T) {
	for _, c := range []CID{sumCID(codecRaw, []byte("hello")), sumCID(codecDAGPB, []byte("hello"))} {
		theirs, err := cid.Decode(c.String())
		require.NoError(t, err)
		require.Equal(t, theirs.Bytes(), c.Bytes())
		require.Equal(t, theirs.String(), c.String())
		back, err := ParseCID(c.String())
		require.NoError(t, err)
		require.Equal(t, c, back)
		theirHash, err := cid.Prefix{Version: 1, Codec: uint64(c.codec), MhType: 0x12, MhLength: -1}.Sum([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, theirHash.String(), c.String())
	}
	good := sumCID(codecRaw, []byte("hello")).String()
	for i := range good {
		for _, r := range "a7=\x00" {
			text := good[:i] + string(r) + good[i+1:]
			c, err := ParseCID(text)
			if err == nil {
				require.Equal(t, text, c.String()) // another digest, but its only text
			}
		}
	}
	for _, text := range []string{
		"", "b", "bafk", good[1:], good + "a", strings.ToUpper(good), "z" + good[1:], good[:58] + "7",
		"QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u",              // version 0
		"bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae", // dag-cbor
		strings.Repeat("b", 1<<16),
	} {
		_, err := ParseCID(text)
		require.Error(t, err, text)
		require.Less(t, len(err.Error()), 400)
	}
}

// TestReaderThatStalls: a reader that returns nothing for ever is an error, not a hang.
func TestReaderThatStalls(t *testing.T) {
	_, _, err := ComputeCID(t.Context(), stall{})
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type stall struct{}

func (stall) Read([]byte) (int, error) { return 0, nil }
