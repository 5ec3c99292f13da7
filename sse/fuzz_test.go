package sse

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
)

// Every decoder takes any bytes without a panic, and what it takes it writes again byte for byte.

// fullManifest uses every part of the format.
func fullManifest() *manifest {
	return &manifest{
		counter: 9, predecessor: [32]byte{1}, written: 1_700_000_000, profile: Balanced, schema: modelSchema,
		segments: []*segment{
			{id: ID{1}, form: formFull, created: 5, docs: 9, rows: 10, table: 2, shared: 1, own: 5, vocabs: []fieldStream{{3, 77}, {4, 5000}}, terms: 5,
				rowPages: 3, directory: 1, columns: []fieldStream{{0, 4081}, {3, 9}}, root: [32]byte{2}, deleted: deletions{count: 2, inline: canonical(roaring.BitmapOf(3, 4))}},
			{id: ID{5}, form: formFull1, created: 5, docs: 9, rows: 10, table: 2, shared: 1, own: 5, vocabs: []fieldStream{{3, 77}, {4, 5000}}, terms: 5,
				rowPages: 3, directory: 1, root: [32]byte{2}},
			{id: ID{6}, form: formTail1, created: 6, docs: 0, rows: 1, tail: 9, root: [32]byte{3}},
			{id: ID{2}, form: formTail, created: 6, docs: 0, rows: 1, tail: 9, root: [32]byte{3}},
			{id: ID{3}, form: formTail, created: 6, docs: 1, rows: 90_000, tail: 9, root: [32]byte{3}, deleted: deletions{count: 3, object: ID{4}, bytes: 9000, root: [32]byte{5}}},
		},
		retired: []retired{{ID{9}, 8}},
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(fullManifest().encode())
	f.Add((&manifest{counter: 1, profile: Balanced, schema: smallSchema}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for version := 1; version <= manifestVersion; version++ {
			m, err := decodeManifest(b, version)
			if err != nil {
				continue
			}
			for _, s := range m.segments {
				s.pages()
			}
			if version == manifestVersion {
				require.Equal(t, b, m.encode())
				continue
			}
			again, err := decodeManifest(m.encode(), manifestVersion)
			require.NoError(t, err)
			require.Equal(t, m, again, "what was written in format 1 is written on in format 2")
		}
	})
}

// FuzzSealedManifest looks at what stands before the decryption, and at the decryption.
func FuzzSealedManifest(f *testing.F) {
	v := readCoreVector(f, filepath.Join("testdata", "vectors", "v1", "manifest-three.json"))
	f.Add([]byte(v.Blob))
	f.Add([]byte(v.Blob[:60]))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := openManifest(key(v.Key), ID(v.Partition), v.Version, b)
		require.Equal(t, bytes.Equal(b, v.Blob), err == nil, "another encoding opens")
	})
}

func FuzzTail(f *testing.F) {
	docs := []document{
		{row: row{id: "a", revision: 1, stored: []byte("stored")}, postings: testPostings(testTerm("tag", "x"), testTerm("tag", "xyz"))},
		{row: row{id: "b", revision: 2}, tomb: true},
	}
	f.Add(encodeTail(docs, smallSchema), uint32(1), uint32(2))
	f.Add(encodeTail(docs[:1], smallSchema), uint32(1), uint32(1))
	f.Add(encodeTail1(docs), uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, n, rows uint32) {
		docs, err := decodeTail(b, n, rows, smallSchema, 2)
		if err == nil && n <= rows {
			require.Len(t, docs, int(rows))
			require.Equal(t, b, append([]byte{}, encodeTail(docs, smallSchema)...))
			newTail(docs, smallSchema, len(b))
		}
		docs, err = decodeTail(b, n, rows, smallSchema, 1)
		if err == nil && n <= rows {
			require.Len(t, docs, int(rows))
			newTail(docs, smallSchema, len(b))
		}
	})
}

func FuzzTerms(f *testing.F) {
	f.Add(appendTerms(nil, []term{testTerm("tag", "a"), testTerm("tag", "ab"), testTerm("tah", "b")}))
	f.Add([]byte{0, 1, 'a', 1, 1, 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		terms, err := readTerms(b)
		if err == nil {
			require.Equal(t, b, append([]byte{}, appendTerms(nil, terms)...))
			for _, x := range terms {
				x.field()
			}
		}
	})
}

func FuzzRowPage(f *testing.F) {
	plain := make([]byte, pageRoom)
	fillRowPage(plain, 7, []row{{id: "id", revision: 1, stored: []byte("stored")}, {id: "other", revision: 3}})
	f.Add(plain)
	f.Fuzz(func(t *testing.T, b []byte) {
		plain := make([]byte, pageRoom)
		copy(plain, b)
		for format, fill := range map[int]func([]byte, uint32, []row){1: fillRowPage1, 2: fillRowPage} {
			first, rows, err := readRowPage(plain, format)
			if err == nil {
				again := make([]byte, pageRoom)
				fill(again, first, rows)
				require.Equal(t, plain, again)
			}
		}
	})
}

func FuzzDirectory(f *testing.F) {
	plain := make([]byte, pageRoom)
	fillDirectoryPage(plain, []uint32{0, 5, 9})
	f.Add(plain, uint32(3), uint32(10))
	f.Fuzz(func(t *testing.T, b []byte, pages, rows uint32) {
		plain := make([]byte, pageRoom)
		copy(plain, b)
		firsts, err := readDirectory(plain, pages, rows)
		if err == nil {
			again := make([]byte, pageRoom)
			fillDirectoryPage(again, firsts)
			require.Equal(t, plain, again)
			for r := range min(rows, 1000) {
				if pages > 0 {
					require.Less(t, rowPageOf(firsts, r), pages)
				}
			}
		}
	})
}

func FuzzBucket(f *testing.F) {
	plain := make([]byte, pageRoom)
	fillBucket(plain, []tableSlot{{place: place{print: 3}}, {place: place{print: 9}, body: [32]byte{4}}}, []uint32{0, 1})
	f.Add(plain, uint64(9))
	f.Fuzz(func(t *testing.T, b []byte, print uint64) {
		plain := make([]byte, pageRoom)
		copy(plain, b)
		if checkBucket(plain) == nil {
			findInBucket(plain, print)
		}
	})
}

func FuzzEntry(f *testing.F) {
	e := entry{form: entryInline, count: 3, rows: []uint32{1, 2, 900}}.encode()
	f.Add(e[:])
	e = entry{form: entryOwn, count: 900, page: 3, length: 5000}.encode()
	f.Add(e[:])
	e = entry{form: entryAux, aux: []byte{2, 0, 4}}.encode()
	f.Add(e[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var body [entryBody]byte
		copy(body[:], b)
		for _, aux := range []bool{false, true} {
			e, err := decodeEntry(body, aux, 1000, 10, 10, Balanced)
			if err == nil {
				require.Equal(t, body, e.encode())
				require.False(t, aux && e.form == entryInline || !aux && e.form == entryAux)
			}
		}
	})
}

func FuzzRowList(f *testing.F) {
	f.Add(encodeList([]uint32{1, 5, 100}), uint32(3), uint32(1000))
	dense := make([]uint32, 0, 900)
	for i := range uint32(900) {
		dense = append(dense, i)
	}
	f.Add(encodeList(dense), uint32(900), uint32(1000))
	f.Add(bitmapBytes(canonical(roaring.BitmapOf(dense...))), uint32(900), uint32(1000))
	f.Fuzz(func(t *testing.T, b []byte, count, limit uint32) {
		m, err := decodeList(b, count, limit)
		if err == nil {
			rows := m.ToArray()
			require.Len(t, rows, int(count))
			if len(rows) > 0 {
				again, err := decodeList(encodeList(rows), count, limit)
				require.NoError(t, err)
				require.True(t, m.Equals(again))
			}
		}
		if m, err := decodeDeleted(b, limit); err == nil {
			require.Equal(t, b, bitmapBytes(canonical(m)))
		}
	})
}

func FuzzColumn(f *testing.F) {
	f.Add(encodeNumbers([]sortKey{{number: -7}, {}, {number: 900}}, []bool{true, false, true}), uint32(3))
	f.Add(encodeWords([]sortKey{{word: "b"}, {}, {word: "a"}, {word: "b"}}, []bool{true, false, true, true}), uint32(4))
	f.Fuzz(func(t *testing.T, b []byte, docs uint32) {
		if docs > 1<<12 {
			return // the manifest bounds it
		}
		c, err := decodeColumn(b, docs)
		if err != nil {
			return
		}
		keys, has := make([]sortKey, docs), make([]bool, docs)
		for i := range keys {
			keys[i], has[i] = c.key(uint32(i))
		}
		encode := encodeNumbers
		if c.words != nil {
			encode = encodeWords
		}
		require.Equal(t, b, encode(keys, has))
	})
}

func FuzzPositions(f *testing.F) {
	f.Add(appendPositions(appendPositions(nil, []uint32{0, 1, 900}), []uint32{5}), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		p, err := newPositionList(b, count)
		if err != nil {
			return
		}
		again := []byte{}
		for i := range int(count) {
			again = appendPositions(again, p.at(i))
		}
		require.True(t, bytes.Equal(b, again))
	})
}

// FuzzTailAux is FuzzTail with a schema whose terms have impacts and positions.
func FuzzTailAux(f *testing.F) {
	word := newTerm(Field{Name: "note", Type: Text}, "word")
	docs := []document{
		{row: row{id: "a", revision: 1, stored: []byte("stored"), values: []byte{1, 2}}, postings: []posting{{word, 7, []uint32{0, 9}}, {term: testTerm("tag", "x")}}},
		{row: row{id: "b", revision: 2}, tomb: true},
	}
	f.Add(encodeTail(docs, auxSchema), uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, n, rows uint32) {
		docs, err := decodeTail(b, n, rows, auxSchema, 2)
		if err == nil && n <= rows {
			require.True(t, bytes.Equal(b, encodeTail(docs, auxSchema)))
			newTail(docs, auxSchema, len(b))
		}
	})
}
