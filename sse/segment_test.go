package sse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// auxSchema has every kind of list and of column.
var auxSchema = Schema{Fields: []Field{
	{Name: "note", Type: Text, Rank: true, Phrase: true, Prefix: true},
	{Name: "title", Type: Text, Language: "en", Rank: true},
	{Name: "tag", Type: Keyword, Stored: true, Sort: true, Facet: true},
	{Name: "age", Type: Integer, Min: -500, Max: 500, Stored: true, Sort: true},
	{Name: "plain", Type: Keyword},
}}

func auxDoc(r *rand.Rand, id string) Document {
	d := Document{ID: id, Revision: uint64(1 + r.IntN(1000)), Fields: Fields{}}
	words := func(most int) Value {
		w := make([]string, 1+r.IntN(most))
		for i := range w {
			w[i] = modelWords[int(float64(len(modelWords))*r.Float64()*r.Float64())]
		}
		return String(strings.Join(w, " "))
	}
	if r.IntN(4) > 0 {
		d.Fields["note"] = []Value{words(60), words(3)}
	}
	d.Fields["title"] = []Value{words(5)}
	if r.IntN(3) > 0 {
		d.Fields["tag"] = []Value{String(fmt.Sprintf("tag-%d", r.IntN(40)))}
	}
	if r.IntN(3) > 0 {
		d.Fields["age"] = []Value{Int(r.Int64N(1001) - 500)}
	}
	if r.IntN(2) > 0 {
		d.Fields["plain"] = []Value{String("same"), String(fmt.Sprint(r.IntN(1000)))}
		d.Stored = []byte(id)
	}
	return d
}

// checkPostings compares everything in the index with what analysis says of the documents: by the way of a merge, by that of a search, and the columns.
func checkPostings(t require.TestingT, ix *Index, docs map[string]Document) {
	ctx := context.Background()
	st, err := ix.refresh(ctx)
	require.NoError(t, err)
	schema := st.manifest.schema
	all, err := ix.contents(ctx, &meter{}, st, wanted{})
	require.NoError(t, err)
	found := 0
	for _, c := range all {
		l, err := ix.loadAll(ctx, c)
		require.NoError(t, err)
		got := make([][]posting, len(l.rows))
		collect := func(t require.TestingT, tm term, list *termList) {
			impacts, positions := schema.aux(tm)
			i := 0
			for n := range roaring.Values(list.rows) {
				p := posting{term: tm}
				if impacts {
					p.impact = list.impacts[i]
				}
				if positions {
					p.positions = list.positions.at(i)
				}
				got[n] = append(got[n], p)
				i++
			}
		}
		check := func() {
			for n, r := range l.rows {
				d, ok := docs[r.id]
				if c.gone(uint32(n)) || uint32(n) >= c.docs {
					continue
				}
				require.True(t, ok, "%s is not deleted", r.id)
				want, values, err := schema.index(&d)
				require.NoError(t, err)
				require.ElementsMatch(t, want, got[n], "%s", r.id)
				require.Equal(t, values, r.values)
				require.Equal(t, d.Stored, r.stored)
				got[n] = nil
			}
		}
		for tm, list := range l.lists {
			collect(t, tm, list)
		}
		check()
		// The same by lookups, as a search makes them, and one that is absent.
		got = make([][]posting, len(l.rows))
		pt := &part{content: c}
		var asks [][3]int
		var terms []term
		ask := func(l lookup) int {
			pt.lookups = append(pt.lookups, l)
			return len(pt.lookups) - 1
		}
		for tm := range l.lists {
			terms, asks = append(terms, tm), append(asks, [3]int{ask(termLookup(tm)), -1, -1})
			last := &asks[len(asks)-1]
			impacts, positions := schema.aux(tm)
			if impacts {
				last[1] = ask(impactsLookup(tm))
			}
			if positions {
				last[2] = ask(positionsLookup(tm))
			}
		}
		absent := testTerm("note", "absent")
		none := [3]int{ask(termLookup(absent)), ask(impactsLookup(absent)), ask(positionsLookup(absent))}
		m := &meter{}
		require.NoError(t, ix.lists(ctx, m, []*part{pt}))
		require.LessOrEqual(t, m.Rounds, 2)
		for i, tm := range terms {
			list, err := pt.termList(asks[i][0], asks[i][1], asks[i][2])
			require.NoError(t, err)
			collect(t, tm, list)
		}
		list, err := pt.termList(none[0], none[1], none[2])
		require.NoError(t, err)
		require.Nil(t, list)
		check()
		if c.tail == nil {
			checkColumns(t, ix, c, l)
		}
		found += int(c.live().GetCardinality())
	}
	require.Equal(t, len(docs), found)
}

func checkColumns(t require.TestingT, ix *Index, c *content, l *loaded) {
	schema := ix.current().manifest.schema
	columns := make(map[uint16]*column)
	for i, s := range c.columns {
		values, err := ix.wholes(context.Background(), &meter{}, []whole{c.wholeColumn(i)})
		require.NoError(t, err)
		columns[s.field] = values[0].(*column)
	}
	for _, field := range schema.sortFields() {
		any := false
		for n := range c.docs {
			want, has, err := schema.sortKey(field, l.rows[n].values)
			require.NoError(t, err)
			any = any || has
			if col := columns[field]; col != nil {
				k, ok := col.key(n)
				require.Equal(t, has, ok)
				require.Equal(t, want, k)
			}
		}
		require.Equal(t, any, columns[field] != nil)
	}
}

func TestPostingsSurviveSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		ix, err := Create(ctx, newMemStore(), testKey, ID{1}, auxSchema, Options{})
		require.NoError(t, err)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 5))
		docs := make(map[string]Document)
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			var b Batch
			n := rapid.SampledFrom([]int{1, 2, 30, 300}).Draw(t, "size")
			for _, i := range r.Perm(1000)[:n] {
				id := fmt.Sprintf("id-%d", i)
				d := auxDoc(r, id)
				b.Put = append(b.Put, d)
				if old, ok := docs[id]; !ok || old.Revision < d.Revision {
					docs[id] = d
				}
			}
			require.NoError(t, ix.Apply(ctx, b))
			if rapid.IntRange(0, 3).Draw(t, "compact") == 0 {
				require.NoError(t, ix.Compact(ctx, CompactOptions{Full: rapid.Bool().Draw(t, "full")}))
			}
		}
		checkPostings(t, ix, docs)
		require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
		checkPostings(t, ix, docs)
	})
}

func TestLongAuxiliaryLists(t *testing.T) {
	// Lists of impacts and positions in pages of their own.
	ctx := context.Background()
	ix, err := Create(ctx, newMemStore(), testKey, ID{1}, auxSchema, Options{})
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(6, 6))
	docs := make(map[string]Document)
	var b Batch
	for i := range 6000 {
		d := auxDoc(r, fmt.Sprintf("id-%d", i))
		docs[d.ID] = d
		b.Put = append(b.Put, d)
	}
	require.NoError(t, ix.Apply(ctx, b))
	require.NotZero(t, ix.current().readers[0].own)
	checkPostings(t, ix, docs)
	require.NoError(t, ix.Verify(ctx))
}

func TestPositionLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		want := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.Uint32Range(0, maxPosition-1), 1, 20, rapid.ID), 1, 40).Draw(t, "positions")
		for i := range want {
			want[i] = roaring.BitmapOf(want[i]...).ToArray() // ascending
			b = appendPositions(b, want[i])
		}
		count := uint32(len(want))
		p, err := newPositionList(b, count)
		require.NoError(t, err)
		for i := range want {
			require.Equal(t, want[i], p.at(i))
			require.Equal(t, len(p.raw(i)), skipPositions(p.bytes[p.starts[i]:]))
		}
		_, err = newPositionList(b, count+1)
		require.Error(t, err)
		_, err = newPositionList(b, count-1)
		require.Error(t, err)
		_, err = newPositionList(b[:len(b)-1], count)
		require.Error(t, err)
		_, err = newPositionList(append(b[:len(b):len(b)], 0), count)
		require.Error(t, err)
	})
	for name, b := range map[string][]byte{
		"no positions":  {0},
		"out of range":  {1, 0x80, 0x80, 0x80, 0x80, 0x08},
		"long varint":   {1, 0x80, 0x00},
		"long count":    {0x81, 0x00, 5},
		"overflow":      {2, 0xff, 0xff, 0xff, 0xff, 0x07, 0},
		"huge count":    {0xff, 0xff, 0xff, 0xff, 0x0f, 1},
		"count is cut":  {0x80},
		"nothing there": {},
	} {
		_, err := newPositionList(b, 1)
		require.Error(t, err, name)
	}
	require.NoError(t, checkImpacts([]byte{1, 255}, 2))
	require.Error(t, checkImpacts([]byte{1, 0}, 2))
	require.Error(t, checkImpacts([]byte{1}, 2))
	require.Error(t, checkImpacts([]byte{1, 2, 3}, 2))
}

func TestColumnsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "documents")
		keys, has := make([]sortKey, n), make([]bool, n)
		numbers := rapid.Bool().Draw(t, "numbers")
		some := rapid.SampledFrom([]*rapid.Generator[int64]{rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Just(int64(-1 << 63))}).Draw(t, "kind")
		has[0] = true
		for i := range keys {
			if i > 0 {
				has[i] = rapid.IntRange(0, 4).Draw(t, "has") > 0
			}
			switch {
			case !has[i]:
			case numbers:
				keys[i].number = some.Draw(t, "number")
			default:
				keys[i].word = rapid.StringN(1, 6, -1).Draw(t, "word")
			}
		}
		encode := encodeWords
		if numbers {
			encode = encodeNumbers
		}
		b := encode(keys, has)
		c, err := decodeColumn(b, uint32(n))
		require.NoError(t, err)
		for i := range keys {
			k, ok := c.key(uint32(i))
			require.Equal(t, has[i], ok)
			require.Equal(t, keys[i], k)
		}
		_, err = decodeColumn(append(b[:len(b):len(b)], 0), uint32(n))
		require.Error(t, err)
	})
}

// What a builder is given must be readable: it refuses a posting without the impact or the positions that its term has.
func TestBuilderRefusesHalfPostings(t *testing.T) {
	word := newTerm(Field{Name: "note", Type: Text}, "word")
	for name, p := range map[string]posting{
		"no impact":    {word, 0, []uint32{1}},
		"no positions": {word, 9, nil},
	} {
		b := newBuilder(auxSchema)
		b.add(document{row: row{id: "a", revision: 1}, postings: []posting{{word, 1, []uint32{0}}}})
		b.add(document{row: row{id: "b", revision: 1}, postings: []posting{p}})
		_, err := b.arrange()
		require.ErrorContains(t, err, "note", name)
	}
}

// An auxiliary list that does not belong to the row list is refused, whichever way it differs.
func TestListsOfATermBelongTogether(t *testing.T) {
	good := func() *asked {
		return &asked{lists: []*roaring.Bitmap{roaring.BitmapOf(3, 9), nil, nil}, aux: [][]byte{nil, {7, 8}, {1, 0, 2, 0, 5}}, counts: []uint32{0, 2, 0}}
	}
	l, err := good().termList(0, 1, 2)
	require.NoError(t, err)
	require.Equal(t, []byte{7, 8}, l.impacts)
	require.Equal(t, []uint32{0, 6}, l.positions.at(1))
	for name, change := range map[string]func(a *asked){
		"no rows, but impacts":    func(a *asked) { a.lists[0] = nil },
		"one row more":            func(a *asked) { a.lists[0].Add(4); a.counts[1] = 0 },
		"another number of rows":  func(a *asked) { a.counts[1] = 3 },
		"no impacts":              func(a *asked) { a.aux[1] = nil },
		"no positions":            func(a *asked) { a.aux[2] = nil },
		"positions of one row":    func(a *asked) { a.aux[2] = a.aux[2][:2] },
		"an impact of zero":       func(a *asked) { a.aux[1] = []byte{7, 0} },
		"positions with an end":   func(a *asked) { a.aux[2] = append(a.aux[2], 1, 1) },
		"impacts of another term": func(a *asked) { a.aux[1] = []byte{7, 8, 9} },
	} {
		a := good()
		change(a)
		_, err := a.termList(0, 1, 2)
		require.Error(t, err, name)
	}
}
