package sse

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// Vectors of format 2, written by a second implementation, in another language, from docs/spec/sse.md.
const (
	codecVectors2     = 72
	manifestVectors2  = 24
	partitionVectors2 = 6
)

type vector2 struct {
	Class                                   string
	Key, Partition, Segment, Encoding, Blob hexBytes
	Schema                                  hexBytes
	Codec                                   string
	Aux                                     bool
	Rows, Shared, Own, Count, Docs          uint32
	Version                                 uint64
	Positions                               [][]uint32
	Values                                  []*string
	Head                                    string
	Segments                                json.RawMessage
	Queries                                 map[string][]string
	Postings                                map[string][][3]json.RawMessage
	Columns                                 map[string][2]*string
	Flip                                    int
}

func readVector2(t testing.TB, file string) (v vector2) {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

func eachVector2(t *testing.T, prefix string, count int, test func(t *testing.T, v vector2)) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v2", prefix+"-*.json"))
	require.NoError(t, err)
	require.Len(t, files, count, "vectors are only ever added, and counted here")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { test(t, readVector2(t, file)) })
	}
}

func TestVectors2Codecs(t *testing.T) {
	eachVector2(t, "codec", codecVectors2, func(t *testing.T, v vector2) {
		var err error
		var again []byte
		switch b := []byte(v.Encoding); v.Codec {
		case "entry":
			var e entry
			e, err = decodeEntry([entryBody]byte(b), v.Aux, v.Rows, v.Shared, v.Own, Balanced)
			body := e.encode()
			again = body[:]
		case "impacts":
			err = checkImpacts(b, v.Count)
			again = b
		case "positions":
			var p *positionList
			if p, err = newPositionList(b, v.Count); err == nil {
				for i, want := range v.Positions {
					require.Equal(t, want, p.at(i))
					again = appendPositions(again, want)
				}
			}
		case "rows":
			var first uint32
			var rows []row
			if first, rows, err = readRowPage(b, 2); err == nil {
				again = make([]byte, pageRoom)
				fillRowPage(again, first, rows)
			}
		case "tail":
			schema, serr := NewSchema(v.Schema)
			require.NoError(t, serr)
			var docs []document
			docs, err = decodeTail(b, v.Docs, v.Rows, schema, 2)
			again = encodeTail(docs, schema)
		case "column":
			var c *column
			if c, err = decodeColumn(b, v.Docs); err == nil {
				again = columnAgain(t, c, v.Values)
			}
		default:
			require.Fail(t, "unknown codec")
		}
		if v.Class == "format" {
			require.Error(t, err)
			return
		}
		require.Equal(t, "success", v.Class)
		require.NoError(t, err)
		require.True(t, bytes.Equal(v.Encoding, again))
	})
}

// columnAgain compares a column with the values that it should have and encodes those.
func columnAgain(t *testing.T, c *column, values []*string) []byte {
	keys, has := make([]sortKey, len(values)), make([]bool, len(values))
	for i, v := range values {
		if has[i] = v != nil; has[i] && c.words != nil {
			keys[i].word = *v
		} else if has[i] {
			var err error
			keys[i].number, err = strconv.ParseInt(*v, 10, 64)
			require.NoError(t, err)
		}
		k, ok := c.key(uint32(i))
		require.Equal(t, has[i], ok)
		require.Equal(t, keys[i], k)
	}
	if c.words != nil {
		return encodeWords(keys, has)
	}
	return encodeNumbers(keys, has)
}

func TestVectors2Manifests(t *testing.T) {
	eachVector2(t, "manifest", manifestVectors2, func(t *testing.T, v vector2) {
		m, err := openManifest(key(v.Key), ID(v.Partition), v.Version, v.Blob)
		switch v.Class {
		case "success":
			require.NoError(t, err)
			var n int
			require.NoError(t, json.Unmarshal(v.Segments, &n))
			require.Len(t, m.segments, n)
			// The plaintext is the one encoding of what it says.
			plain, err := gcm(manifestKey(key(v.Key), ID(v.Partition), v.Blob[wire.HeaderSize:][:manifestSalt])).Open(nil, make([]byte, 12),
				v.Blob[wire.HeaderSize+manifestSalt:], manifestAAD(v.Blob[:wire.HeaderSize], ID(v.Partition), v.Version))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, m.encode()))
		case "format":
			require.ErrorIs(t, err, wire.ErrFormat)
		case "other":
			require.ErrorContains(t, err, "use a newer one")
		default:
			require.Fail(t, "unknown class")
		}
	})
}

func TestVectors2Partitions(t *testing.T) {
	ctx := context.Background()
	base := readVector2(t, filepath.Join("testdata", "vectors", "v2", "partition-base.json"))
	eachVector2(t, "partition", partitionVectors2, func(t *testing.T, v vector2) {
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
			err := ix.Compact(ctx, CompactOptions{Full: true})
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, ID(v.Segment).String())
			require.ErrorIs(t, ix.Verify(ctx), ErrDamaged)
			return
		}
		require.NoError(t, ix.Verify(ctx))
		checkVector2(t, ix, v)
		require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
		checkVector2(t, ix, v)
	})
}

// checkVector2 compares hits, postings and columns with what the other implementation says.
func checkVector2(t *testing.T, ix *Index, v vector2) {
	ctx := context.Background()
	for text, want := range v.Queries {
		field, word, _ := strings.Cut(text, ":")
		q := Term(field, String(word))
		if n, err := strconv.Atoi(word); err == nil {
			q = Term(field, Int(int64(n)))
		}
		res, err := ix.Search(ctx, q, SearchOptions{})
		require.NoError(t, err)
		require.Equal(t, len(want), res.Total, text)
		for _, h := range res.Hits {
			require.Contains(t, want, h.ID)
		}
	}
	all, err := ix.contents(ctx, &meter{}, ix.current(), wanted{})
	require.NoError(t, err)
	seen := 0
	for _, c := range all {
		l, err := ix.loadAll(ctx, c)
		require.NoError(t, err)
		got := make(map[string]map[term]posting)
		for tm, list := range l.lists {
			i := 0
			for n := range roaring.Values(list.rows) {
				id := l.rows[n].id
				if got[id] == nil {
					got[id] = make(map[term]posting)
				}
				p := posting{term: tm}
				if list.impacts != nil {
					p.impact, p.positions = list.impacts[i], list.positions.at(i)
				}
				got[id][tm] = p
				i++
			}
		}
		for id := range got {
			if want, ok := v.Postings[id]; ok {
				seen++
				require.Equal(t, vectorPostings(t, want), got[id], id)
			}
		}
		for i := range c.columns {
			values, err := ix.wholes(ctx, &meter{}, []whole{c.wholeColumn(i)})
			require.NoError(t, err)
			for n := range c.docs {
				k, ok := values[0].(*column).key(n)
				want := v.Columns[l.rows[n].id][i]
				require.Equal(t, want != nil, ok)
				if ok && i == 0 {
					require.Equal(t, *want, strconv.FormatInt(k.number, 10))
				} else if ok {
					require.Equal(t, *want, k.word)
				}
			}
		}
	}
	require.Equal(t, len(v.Postings), seen)
}

func vectorPostings(t *testing.T, want [][3]json.RawMessage) map[term]posting {
	postings := make(map[term]posting)
	for _, w := range want {
		var text string
		var p posting
		require.NoError(t, json.Unmarshal(w[0], &text))
		b, err := hex.DecodeString(text)
		require.NoError(t, err)
		p.term = term(b)
		require.NoError(t, json.Unmarshal(w[1], &p.impact))
		require.NoError(t, json.Unmarshal(w[2], &p.positions))
		postings[p.term] = p
	}
	return postings
}
