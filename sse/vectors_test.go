package sse

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// These vectors too were written by a second implementation, in another language, from docs/spec/sse.md.
const (
	keyVectors       = 2
	pageVectors      = 14
	codecVectors     = 63
	manifestVectors  = 51
	partitionVectors = 7
)

// hexBytes are bytes that stand in hexadecimal in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	if err == nil {
		*h, err = hex.DecodeString(s)
	}
	return err
}

type coreVector struct {
	Class                                             string
	Key, Partition, Segment, Term, Sealed, Content    hexBytes
	Encoding, Blob                                    hexBytes
	Keys, Outputs                                     []hexBytes
	ID, Codec                                         string
	Page, Kind, Rows, Shared, Own, Count, Pages, Docs uint32
	Version                                           uint64
	Want                                              []uint32
	Head                                              string
	Segments                                          json.RawMessage
	Queries                                           map[string][]string
	Stored                                            map[string]string
	Flip                                              int
}

func eachCoreVector(t *testing.T, prefix string, count int, test func(t *testing.T, v coreVector)) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v1", prefix+"-*.json"))
	require.NoError(t, err)
	require.Len(t, files, count, "vectors are only ever added, and counted here")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			test(t, readCoreVector(t, file))
		})
	}
}

func readCoreVector(t testing.TB, file string) (v coreVector) {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

func TestVectorsKeys(t *testing.T) {
	eachCoreVector(t, "keys", keyVectors, func(t *testing.T, v coreVector) {
		s := newSegmentKeys(key(v.Key), ID(v.Partition), ID(v.Segment))
		for i, k := range []key{s.find, s.entry, s.list, s.page} {
			require.Equal(t, []byte(v.Keys[i]), k[:])
		}
		l := termLookup(term(v.Term))
		for i, k := range []key{newPRF(s.find).lookup(l), newPRF(s.entry).lookup(l), newPRF(s.list).lookup(l), newPRF(s.find).lookup(idLookup(v.ID)), newPRF(s.page).number(7)} {
			require.Equal(t, []byte(v.Outputs[i]), k[:])
		}
	})
}

func TestVectorsPages(t *testing.T) {
	eachCoreVector(t, "page", pageVectors, func(t *testing.T, v coreVector) {
		keys := newSegmentKeys(key(v.Key), ID(v.Partition), ID(v.Segment))
		s := newSealer(keys)
		var list *key
		if len(v.Term) > 0 {
			k := newPRF(keys.list).lookup(termLookup(term(v.Term)))
			list = &k
		}
		plain, err := s.open(slices.Clone(v.Sealed), v.Page, pageKind(v.Kind), list)
		if v.Class == "payload" {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, []byte(v.Content), plain[:len(v.Content)])
		require.True(t, allZero(plain[len(v.Content):]))
		require.Equal(t, []byte(v.Sealed), s.seal(nil, plain, v.Page, pageKind(v.Kind), list))
	})
}

func TestVectorsCodecs(t *testing.T) {
	eachCoreVector(t, "codec", codecVectors, func(t *testing.T, v coreVector) {
		var err error
		var again []byte // where there is one encoding
		page := make([]byte, pageRoom)
		switch b := []byte(v.Encoding); v.Codec {
		case "entry":
			var e entry
			e, err = decodeEntry([entryBody]byte(b), false, v.Rows, v.Shared, v.Own, Balanced)
			body := e.encode()
			again = body[:]
		case "bucket":
			err = checkBucket(b)
			again = b
		case "list":
			m, lerr := decodeList(b, v.Count, v.Rows)
			if err = lerr; err == nil {
				require.Equal(t, v.Want, m.ToArray())
				again = encodeList(v.Want)
			}
		case "deleted":
			m, derr := decodeDeleted(b, v.Rows)
			if err = derr; err == nil {
				require.Equal(t, v.Want, m.ToArray())
				again = bitmapBytes(canonical(m))
			}
		case "rows":
			var first uint32
			var rows []row
			if first, rows, err = readRowPage(b, 1); err == nil {
				fillRowPage1(page, first, rows)
				again = page
			}
		case "directory":
			var firsts []uint32
			if firsts, err = readDirectory(b, v.Pages, v.Rows); err == nil {
				fillDirectoryPage(page, firsts)
				again = page
			}
		case "terms":
			var terms []term
			terms, err = readTerms(b)
			again = appendTerms(nil, terms)
		case "tail":
			var docs []document
			docs, err = decodeTail(b, v.Docs, v.Rows, Schema{}, 1)
			again = encodeTail1(docs)
		default:
			require.Fail(t, "unknown codec")
		}
		if v.Class == "format" {
			require.Error(t, err)
			return
		}
		require.Equal(t, "success", v.Class)
		require.NoError(t, err)
		require.Equal(t, []byte(v.Encoding), again)
	})
}

func TestVectorsManifests(t *testing.T) {
	eachCoreVector(t, "manifest", manifestVectors, func(t *testing.T, v coreVector) {
		m, err := openManifest(key(v.Key), ID(v.Partition), v.Version, v.Blob)
		switch v.Class {
		case "success":
			require.NoError(t, err)
			var n int
			require.NoError(t, json.Unmarshal(v.Segments, &n))
			require.Len(t, m.segments, n)
			plain, err := decodeManifest(m.encode(), manifestVersion)
			require.NoError(t, err)
			require.Equal(t, m, plain)
		case "payload":
			require.ErrorIs(t, err, ErrDecrypt)
		case "damaged":
			require.ErrorIs(t, err, ErrDamaged)
		case "format":
			require.ErrorIs(t, err, wire.ErrFormat)
		case "analyzer":
			require.ErrorIs(t, err, ErrAnalyzer)
		case "other":
			if v.Blob[6] == manifestVersion { // when it was made there was no version 2; now it says it is what it is not
				require.ErrorIs(t, err, ErrDecrypt)
				return
			}
			require.ErrorContains(t, err, "use ")
		default:
			require.Fail(t, "unknown class")
		}
	})
}

func TestVectorsPartitions(t *testing.T) {
	ctx := context.Background()
	base := readCoreVector(t, filepath.Join("testdata", "vectors", "v1", "partition-base.json"))
	eachCoreVector(t, "partition", partitionVectors, func(t *testing.T, v coreVector) {
		s := newMemStore()
		head, err := base64.StdEncoding.DecodeString(base.Head)
		require.NoError(t, err)
		partition := ID(base.Partition)
		s.heads[partition] = [][]byte{head}
		s.segments[partition] = make(map[ID]*memSegment)
		var segments map[string]string
		require.NoError(t, json.Unmarshal(base.Segments, &segments))
		for name, b64 := range segments {
			id, err := ParseID(name)
			require.NoError(t, err)
			pages, err := base64.StdEncoding.DecodeString(b64)
			require.NoError(t, err)
			s.segments[partition][id] = &memSegment{pages: pages}
		}
		if v.Class == "damaged" {
			s.segments[partition][ID(v.Segment)].pages[v.Flip] ^= 4
		}
		ix, err := Open(ctx, s, base.Key, partition, Options{})
		require.NoError(t, err)
		if v.Class == "damaged" {
			_, err := ix.Search(ctx, Or(Term("code", String("all")), Term("code", String("sparse")), Term("code", String("mod7-1"))), SearchOptions{})
			if err == nil {
				err = ix.Compact(ctx, CompactOptions{Full: true})
			}
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, ID(v.Segment).String())
			require.ErrorIs(t, ix.Verify(ctx), ErrDamaged)
			return
		}
		check := func() {
			for word, want := range v.Queries {
				res, err := ix.Search(ctx, Term("code", String(word)), SearchOptions{})
				require.NoError(t, err)
				require.Equal(t, len(want), res.Total, word)
				for _, h := range res.Hits {
					require.Contains(t, want, h.ID)
				}
			}
			for id, stored := range v.Stored {
				h, err := ix.Get(ctx, id)
				require.NoError(t, err)
				require.Equal(t, stored, string(h.Stored))
			}
			for _, id := range []string{"deleted", "also deleted"} {
				_, err := ix.Get(ctx, id)
				require.ErrorIs(t, err, ErrNotFound)
			}
		}
		require.NoError(t, ix.Verify(ctx))
		check()
		// The tombstone keeps an old revision out, and a compaction finds everything that the other implementation wrote.
		require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{{ID: "deleted", Revision: 5}}}))
		require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
		check()
	})
}
