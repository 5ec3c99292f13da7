package sse

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testTerm(field, word string) term {
	return newTerm(Field{Name: field, Type: Keyword}, word)
}

func testPostings(terms ...term) []posting {
	p := make([]posting, len(terms))
	for i, t := range terms {
		p[i].term = t
	}
	return p
}

func TestRowListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := uint32(rapid.IntRange(1, 200_000).Draw(t, "limit"))
		dense := rapid.IntRange(1, 100).Draw(t, "dense")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var rows []uint32
		for n := range limit {
			if r.IntN(100) < dense && (dense != 3 || len(rows) < 20) {
				rows = append(rows, n)
			}
		}
		if len(rows) == 0 {
			return
		}
		b := encodeList(rows)
		m, err := decodeList(b, uint32(len(rows)), limit)
		require.NoError(t, err)
		require.Equal(t, rows, m.ToArray())
		require.LessOrEqual(t, len(b), 1+3*len(rows)+8*1024)

		_, err = decodeList(b, uint32(len(rows))+1, limit)
		require.Error(t, err)
		_, err = decodeList(b, uint32(len(rows)), rows[len(rows)-1])
		require.Error(t, err)
		_, err = decodeList(b[:len(b)-1], uint32(len(rows)), limit)
		require.Error(t, err)
		_, err = decodeList(append(slices.Clone(b), 0), uint32(len(rows)), limit)
		require.Error(t, err)

		deleted := bitmapBytes(canonical(m))
		again, err := decodeDeleted(deleted, limit)
		require.NoError(t, err)
		require.True(t, again.Equals(m))
	})
}

func TestDeletedRowsAreCanonical(t *testing.T) {
	// The same set as a run and as an array: only the shorter is taken.
	m := roaring.New()
	for i := range uint32(100) {
		m.Add(i)
	}
	_, err := decodeDeleted(bitmapBytes(m), 1000)
	require.Error(t, err)
	m.RunOptimize()
	_, err = decodeDeleted(bitmapBytes(m), 1000)
	require.NoError(t, err)
	_, err = decodeDeleted(bitmapBytes(roaring.New()), 1000)
	require.Error(t, err)
}

func TestPadme(t *testing.T) {
	for _, c := range [][2]int{{0, 0}, {1, 1}, {2, 2}, {9, 10}, {15, 16}, {4081, 4096}, {4095, 4096}, {4097, 4352}, {100_000, 100_352}, {1 << 20, 1 << 20}, {1<<20 + 1, 1<<20 + 1<<15}} {
		require.Equal(t, c[1], padme(c[0]), "%d", c[0])
	}
	seen := make(map[int]bool)
	for n := 1; n < 100_000; n++ {
		p := padme(n)
		require.GreaterOrEqual(t, p, n)
		require.LessOrEqual(t, 100*(p-n), 12*n)
		require.Equal(t, p, padme(p), "padding again changes nothing")
		require.GreaterOrEqual(t, p, padme(n-1))
		seen[p] = true
	}
	require.Less(t, len(seen), 300)
}

func TestEntryRoundTrip(t *testing.T) {
	const rows, shared, own = 5000, 70, 90
	for _, e := range []entry{
		{form: entryInline, count: 1, rows: []uint32{0}},
		{form: entryInline, count: 3, rows: []uint32{1, 2, 4999}},
		{form: entryShared, count: 33, page: 69, offset: 4000, length: 80},
		{form: entryShared, count: 5000, page: 0, offset: 0, length: 4079},
		{form: entryOwn, count: 5000, page: 0, length: 4080},
		{form: entryOwn, count: 5000, page: 79, length: 10 * 4080},
	} {
		got, err := decodeEntry(e.encode(), false, rows, shared, own, Balanced)
		require.NoError(t, err, "%+v", e)
		require.Equal(t, e, got)
	}
	for name, e := range map[string]entry{
		"no rows":        {form: entryInline},
		"row over":       {form: entryInline, count: 1, rows: []uint32{rows}},
		"count over":     {form: entryShared, count: rows + 1, length: 9},
		"page over":      {form: entryShared, count: 1, page: shared, length: 9},
		"straddles":      {form: entryShared, count: 1, offset: 4000, length: 81},
		"short own":      {form: entryOwn, count: 9, length: 4079},
		"own over":       {form: entryOwn, count: 9, page: 89, length: 4081},
		"own overflows":  {form: entryOwn, count: 9, page: 1<<32 - 1, length: 4081},
		"form 0":         {form: 0, count: 1},
		"form 4":         {form: 4, count: 1},
		"long, overflow": {form: entryOwn, count: 9, page: 0, length: 1<<32 - 1},
	} {
		_, err := decodeEntry(e.encode(), false, rows, shared, own, Balanced)
		require.Error(t, err, name)
	}
}

func TestBucketsNeverOverflow(t *testing.T) {
	for _, n := range []int{1, 50, 101, 102, 5000, 50_000} {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		slots := make([]tableSlot, n)
		for i := range slots {
			slots[i] = tableSlot{place: place{r.Uint64(), r.Uint64(), 0}}
		}
		count := buckets(slots)
		order, first := byBucket(slots, count)
		require.Len(t, order, n)
		require.Less(t, int(count), n/50+2, "the table is too empty")
		plain := make([]byte, pageRoom)
		for i := range slots {
			slots[i].body[0] = byte(i)
		}
		for b := range count {
			bucket := order[first[b]:first[b+1]]
			fillBucket(plain, slots, bucket)
			require.NoError(t, checkBucket(plain))
			for _, k := range bucket {
				require.Equal(t, uint64(b), slots[k].place.hash%uint64(count))
				body, ok := findInBucket(plain, slots[k].place.print)
				require.True(t, ok)
				require.Equal(t, byte(k), body[0])
				_, ok = findInBucket(plain, slots[k].place.print+1)
				require.False(t, ok)
			}
		}
	}
	same := tableSlot{place: place{7, 8, 9}}
	order, _ := byBucket([]tableSlot{same, {place: place{1, 2, 3}}, same}, 1)
	require.Nil(t, order, "two terms that cannot be told apart")
}

func TestRowPagesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "rows")
		rows := make([]row, n)
		for i := range rows {
			rows[i] = row{id: strings.Repeat("i", 1+i%MaxID), revision: uint64(1 + i)}
			k := rapid.SampledFrom([]int{0, 1, 200, MaxStored}).Draw(t, "stored")
			if k > 0 {
				rows[i].stored = bytes.Repeat([]byte{byte(i)}, k)
			}
			if m := rapid.SampledFrom([]int{0, 7, MaxStored}).Draw(t, "values"); m > 0 && k+m <= MaxStored {
				rows[i].values = bytes.Repeat([]byte{byte(m)}, m)
			}
		}
		firsts := packRows(rows)
		var got []row
		for i, f := range firsts {
			end := n
			if i+1 < len(firsts) {
				end = int(firsts[i+1])
			}
			plain := make([]byte, pageRoom)
			fillRowPage(plain, f, rows[f:end])
			first, some, err := readRowPage(plain, 2)
			require.NoError(t, err)
			require.Equal(t, f, first)
			for k := range some {
				require.Equal(t, uint32(i), rowPageOf(firsts, f+uint32(k)))
			}
			got = append(got, some...)
		}
		require.Equal(t, rows, got)
		plain := make([]byte, pageRoom*int((len(firsts)+directoryOf-1)/directoryOf))
		fillDirectoryPage(plain, firsts)
		back, err := readDirectory(plain, uint32(len(firsts)), uint32(n))
		require.NoError(t, err)
		require.Equal(t, firsts, back)
	})
	// A large ID and a large stored value fit into a page together.
	require.LessOrEqual(t, rowPageHead+row{id: strings.Repeat("i", MaxID), stored: make([]byte, MaxStored)}.size(), pageRoom)
}

func TestVocabulariesAgree(t *testing.T) {
	words := []string{"a", "ab", "abc", "b", "straße", "東京", "zz\xf4\x8f\xbf\xbf"}
	slices.Sort(words)
	b, err := encodeVocab(words)
	require.NoError(t, err)
	full, err := decodeVocab(b)
	require.NoError(t, err)
	tail := &vocabulary{words: words}
	var a automata
	for _, v := range []*vocabulary{full, tail} {
		all, err := v.all()
		require.NoError(t, err)
		require.Equal(t, words, all)
		got, err := v.match(nil, "ab", 10)
		require.NoError(t, err)
		require.Equal(t, []string{"ab", "abc"}, got)
		got, err = v.match(nil, "zz\xf4\x8f\xbf\xbf", 10)
		require.NoError(t, err)
		require.Len(t, got, 1)
		dfa, err := a.build("東亰", 1)
		require.NoError(t, err)
		got, err = v.match(dfa, "", 10)
		require.NoError(t, err)
		require.Equal(t, []string{"東京"}, got, "edits count characters, not bytes")
		_, err = v.match(nil, "a", 2)
		require.ErrorIs(t, err, errManyWords)
	}
	_, err = a.build(strings.Repeat("long", 1000), 2)
	require.ErrorIs(t, err, ErrTooBroad)
	for i := range len(b) {
		_, _ = decodeVocab(b[:i]) // an error or not, but no panic
	}
	require.Nil(t, after("\xff\xff"))
	require.Equal(t, []byte("b"), after("a\xff"))
}

// Lengths of lists, IDs and segments that share a fingerprint: the builder asks for other keys.
func TestCollisionTakesAnotherSegment(t *testing.T) {
	// The same ID twice stands for two terms with one fingerprint.
	for _, twice := range []bool{false, true} {
		b := newBuilder(smallSchema)
		b.add(document{row: row{id: "x", revision: 1}, postings: testPostings(testTerm("tag", "a"))})
		if twice {
			b.add(document{row: row{id: "x", revision: 2}})
		}
		a, err := b.arrange()
		require.NoError(t, err)
		d, err := a.layout(newSegmentKeys(key{1}, ID{1}, ID{2}), Balanced)
		require.NoError(t, err)
		require.Equal(t, twice, d == nil)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	k := key(testKey)
	for _, v := range []string{"%v", "%s", "%+v", "%#v", "%q", "%d", "%x"} {
		s := fmt.Sprintf(v, k)
		require.NotContains(t, s, "30 31", v)
		require.NotContains(t, s, "3031", v)
		require.NotContains(t, s, "0123", v)
		require.NotContains(t, s, "48 49", v)
		s = fmt.Sprintf(v, newSegmentKeys(k, ID{}, ID{}))
		require.NotContains(t, s, fmt.Sprintf("%d", newSegmentKeys(k, ID{}, ID{}).find[3:6]))
	}
}
