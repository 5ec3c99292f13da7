package sse

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/veilchart/veilchart/internal/wire"
)

// mixed is a partition with two full segments, one of them with deletions, and a tail.
func mixed(t testing.TB, s Store, o Options) *Index {
	ctx := context.Background()
	ix := mustCreate(t, s, smallSchema, o)
	require.NoError(t, ix.Apply(ctx, batchOf("a", 700)))
	require.NoError(t, ix.Apply(ctx, batchOf("b", 300)))
	require.NoError(t, ix.Apply(ctx, batchOf("c", 20)))
	var b Batch
	for i := range 40 {
		b.Delete = append(b.Delete, Deletion{ID: fmt.Sprint("a-", 7*i)}) // all of them have the tag t-0
	}
	require.NoError(t, ix.Apply(ctx, b))
	return ix
}

func TestRowsAreThoseOfTheHits(t *testing.T) {
	ctx := context.Background()
	for _, profile := range []Profile{Fast, Balanced, Strict} {
		ix := mixed(t, newMemStore(), Options{Profile: profile})
		for _, q := range []Query{Term("tag", String("t-0")), Range("n", Int(90), Int(350)), Not(Term("tag", String("t-3"))), Prefix("tag", "t"), All(), Term("tag", String("none"))} {
			res, err := ix.Search(ctx, q, SearchOptions{})
			require.NoError(t, err)
			sets, err := ix.Rows(ctx, q, SearchOptions{})
			require.NoError(t, err)
			require.Len(t, sets, len(ix.current().readers), "a segment without a match is left out")
			live, hits, err := ix.Hits(ctx, sets)
			require.NoError(t, err)
			require.Equal(t, sets, live)
			require.Equal(t, res.Hits, hits, "%v", q)
			for i, r := range ix.current().readers {
				require.Equal(t, r.id, sets[i].Segment)
				require.Equal(t, r.docs, sets[i].Size)
			}
		}
	}
}

func TestHitsLeaveOutWhatWasDeletedSince(t *testing.T) {
	ctx := context.Background()
	ix := mixed(t, newMemStore(), Options{})
	sets, err := ix.Rows(ctx, Term("tag", String("t-1")), SearchOptions{})
	require.NoError(t, err)
	_, before, err := ix.Hits(ctx, sets)
	require.NoError(t, err)
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "b-1"}, {ID: "c-8"}}}))
	live, after, err := ix.Hits(ctx, sets)
	require.NoError(t, err)
	require.Equal(t, slices.DeleteFunc(before, func(h Hit) bool { return h.ID == "b-1" || h.ID == "c-8" }), after)
	rows := 0
	for _, s := range live {
		rows += len(s.Rows)
	}
	require.Len(t, after, rows)

	// A set for a segment of another size, and rows that no segment has.
	bad := slices.Clone(sets)
	bad[0].Size++
	_, _, err = ix.Hits(ctx, bad)
	require.ErrorContains(t, err, "another segment")
	for _, rows := range [][]uint32{{700}, {4, 3}, {4, 4}} {
		bad[0] = RowSet{sets[0].Segment, sets[0].Size, rows}
		_, _, err = ix.Hits(ctx, bad)
		require.ErrorContains(t, err, "row set")
		_, err = bad[0].Bytes()
		require.ErrorContains(t, err, "sort the rows")
	}

	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	_, _, err = ix.Hits(ctx, sets)
	require.ErrorIs(t, err, ErrExpired)
	for _, o := range []SearchOptions{{Limit: 1}, {Rank: true}, {Sort: "n"}, {Facets: []string{"tag"}}, {After: Cursor{1}}, {MaxPages: -1}} {
		_, err := ix.Rows(ctx, All(), o)
		require.ErrorIs(t, err, ErrSchema, "%+v", o)
	}
	_, err = ix.Rows(ctx, Term("none", String("x")), SearchOptions{})
	require.ErrorIs(t, err, ErrSchema)
}

// The store sees the same of row sets as of a count.
func TestRowsShowWhatACountShows(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	mixed(t, s, Options{})
	q := And(Term("tag", String("t-0")), Range("n", Int(3), Int(99)))
	s.reads = nil
	count(t, mustOpen(t, s, Options{}), q)
	want := s.reads
	s.reads = nil
	_, err := mustOpen(t, s, Options{}).Rows(ctx, q, SearchOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, want)
	require.Equal(t, want, s.reads)
}

func TestRowSetEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint32Range(0, maxRows).Draw(t, "size")
		s := RowSet{Segment: ID{9}, Size: size}
		if size > 0 {
			m := roaring.New()
			for range rapid.IntRange(0, 5).Draw(t, "runs") {
				from := rapid.Uint32Range(0, size-1).Draw(t, "from")
				m.AddRange(uint64(from), min(uint64(size), uint64(from)+uint64(rapid.IntRange(1, 1<<17).Draw(t, "length"))))
			}
			for _, r := range rapid.SliceOfN(rapid.Uint32Range(0, size-1), 0, 50).Draw(t, "rows") {
				m.Add(r)
			}
			if !m.IsEmpty() {
				s.Rows = m.ToArray()
			}
		}
		b, err := s.Bytes()
		require.NoError(t, err)
		got, err := NewRowSet(b)
		require.NoError(t, err)
		require.Equal(t, s, got)
	})
	// The largest: every second row, so that nothing is in runs.
	s := RowSet{Size: maxRows}
	for i := uint32(0); i < maxRows; i += 2 {
		s.Rows = append(s.Rows, i)
	}
	b, err := s.Bytes()
	require.NoError(t, err)
	require.Less(t, len(b), maxRowSet)
	got, err := NewRowSet(b)
	require.NoError(t, err)
	require.Equal(t, s, got)
	for n := range min(len(b), 64) {
		_, err := NewRowSet(b[:n])
		require.ErrorIs(t, err, wire.ErrFormat)
	}
	_, err = NewRowSet(append(b, 0))
	require.ErrorIs(t, err, wire.ErrFormat)
	_, err = RowSet{Size: maxRows + 1}.Bytes()
	require.Error(t, err)
}

func FuzzRowSet(f *testing.F) {
	for _, s := range []RowSet{{Segment: ID{1}}, {ID{2}, 9, []uint32{0, 3, 8}}, {ID{3}, 90_000, []uint32{5, 6, 7, 8, 70_000}}} {
		b, err := s.Bytes()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := NewRowSet(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		again, err := s.Bytes()
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, again))
	})
}
