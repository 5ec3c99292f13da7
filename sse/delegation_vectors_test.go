package sse

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// Vectors of row sets and tokens, written by a second implementation, in another language, from docs/spec/sse.md. The tokens are for the
// partition of partition-base.json.
const (
	rowSetVectors = 24
	tokenVectors  = 38
)

type delegationVector struct {
	Class             string
	Encoding, Segment hexBytes
	Size              uint32
	Count             int
	Rows              []uint32
	Answers           [][][]uint32 // of each query, of each segment
}

func eachDelegationVector(t *testing.T, prefix string, count int, test func(t *testing.T, v delegationVector)) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v2", prefix+"-*.json"))
	require.NoError(t, err)
	require.Len(t, files, count, "vectors are only ever added, and counted here")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var v delegationVector
			require.NoError(t, json.Unmarshal(b, &v))
			test(t, v)
		})
	}
}

func TestVectorsRowSets(t *testing.T) {
	eachDelegationVector(t, "rowset", rowSetVectors, func(t *testing.T, v delegationVector) {
		s, err := NewRowSet(v.Encoding)
		if v.Class == "format" {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		require.Equal(t, "success", v.Class)
		require.NoError(t, err)
		require.Equal(t, ID(v.Segment), s.Segment)
		require.Equal(t, v.Size, s.Size)
		require.Len(t, s.Rows, v.Count)
		if len(v.Rows) > 0 {
			require.Equal(t, v.Rows, s.Rows)
		}
		again, err := s.Bytes()
		require.NoError(t, err)
		require.True(t, bytes.Equal(v.Encoding, again))
	})
}

func TestVectorsTokens(t *testing.T) {
	base := readVector2(t, filepath.Join("testdata", "vectors", "v2", "partition-base.json"))
	s := newMemStore()
	s.segments[ID(base.Partition)] = make(map[ID]*memSegment)
	var segments map[string]string
	require.NoError(t, json.Unmarshal(base.Segments, &segments))
	for name, text := range segments {
		id, err := ParseID(name)
		require.NoError(t, err)
		pages, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		s.segments[ID(base.Partition)][id] = &memSegment{pages: pages}
	}
	eachDelegationVector(t, "token", tokenVectors, func(t *testing.T, v delegationVector) {
		token, err := NewToken(v.Encoding)
		if v.Class == "format" {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(v.Encoding, token.ExposeSecret()))
		sets, err := token.Rows(context.Background(), s)
		switch v.Class {
		case "damaged":
			require.ErrorIs(t, err, ErrDamaged)
		case "expired":
			require.ErrorIs(t, err, ErrExpired)
		default:
			require.Equal(t, "success", v.Class)
			require.NoError(t, err)
			require.Len(t, sets, len(v.Answers))
			for i := range sets {
				require.Len(t, sets[i], len(v.Answers[i]))
				for j, set := range sets[i] {
					require.ElementsMatch(t, v.Answers[i][j], set.Rows)
				}
			}
		}
	})
}
