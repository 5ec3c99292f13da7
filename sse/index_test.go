package sse

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

func TestCreateAndOpenRefuse(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	_, err := Create(ctx, s, testKey[:31], ID{1}, smallSchema, Options{})
	require.ErrorContains(t, err, "32")
	_, err = Create(ctx, s, testKey, ID{1}, Schema{}, Options{})
	require.ErrorIs(t, err, ErrSchema)
	for _, p := range []Profile{4, 77} {
		_, err = Create(ctx, s, testKey, ID{1}, smallSchema, Options{Profile: p})
		require.ErrorContains(t, err, "use Balanced")
	}
	_, err = Open(ctx, s, testKey, ID{1}, Options{})
	require.ErrorIs(t, err, ErrMissing)
	mustCreate(t, s, smallSchema, Options{})
	_, err = Create(ctx, s, testKey, ID{1}, smallSchema, Options{})
	require.ErrorIs(t, err, ErrExists)
	_, err = Open(ctx, s, bytes.Repeat([]byte{1}, KeySize), ID{1}, Options{})
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = Open(ctx, s, nil, ID{1}, Options{})
	require.ErrorContains(t, err, "32")
	ix := mustOpen(t, s, Options{})
	require.Equal(t, smallSchema.canonical(), ix.Schema())
}

// resealed seals any plaintext as the first head of the partition, with the right key.
func resealed(s *memStore, plain []byte) {
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSEManifest, Version: manifestVersion, Suite: manifestSuite})
	salt := make([]byte, manifestSalt)
	_, _ = rand.Read(salt)
	b = append(b, salt...)
	blob := gcm(manifestKey(key(testKey), ID{1}, salt)).Seal(b, make([]byte, 12), plain, manifestAAD(b[:wire.HeaderSize], ID{1}, 1))
	s.heads[ID{1}] = [][]byte{blob}
}

func TestAnotherAnalyzerIsRefused(t *testing.T) {
	s := newMemStore()
	m := &manifest{counter: 1, profile: Balanced, schema: smallSchema}
	plain := m.encode()
	schema := smallSchema.Bytes()
	at := bytes.Index(plain, schema)
	require.Positive(t, at)
	resealed(s, plain)
	mustOpen(t, s, Options{})
	binary.BigEndian.PutUint16(plain[at+wire.HeaderSize:], analyzerVersion+1)
	resealed(s, plain)
	_, err := Open(context.Background(), s, testKey, ID{1}, Options{})
	require.ErrorIs(t, err, ErrAnalyzer)
}

func TestBatchesThatAreRefused(t *testing.T) {
	ctx := context.Background()
	ix := mustCreate(t, newMemStore(), smallSchema, Options{})
	before := ix.Anchor()
	for name, b := range map[string]Batch{
		"no id":            {Put: []Document{{Revision: 1}}},
		"long id":          {Put: []Document{{ID: strings.Repeat("x", MaxID+1), Revision: 1}}},
		"no revision":      {Put: []Document{{ID: "a"}}},
		"stored":           {Put: []Document{{ID: "a", Revision: 1, Stored: make([]byte, MaxStored+1)}}},
		"twice":            {Put: []Document{{ID: "a", Revision: 1}, {ID: "a", Revision: 1}}},
		"put and whatever": {Put: []Document{{ID: "a", Revision: 1}}, Delete: []Deletion{{ID: "a"}}},
		"deletion id":      {Delete: []Deletion{{}}},
		"many":             {Delete: make([]Deletion, MaxBatch+1)},
	} {
		require.ErrorIs(t, ix.Apply(ctx, b), ErrBatch, name)
	}
	for name, f := range map[string]Fields{
		"field": {"nope": {String("x")}},
		"type":  {"tag": {Int(1)}},
		"range": {"n": {Int(-1)}},
	} {
		err := ix.Apply(ctx, Batch{Put: []Document{{ID: "doc-9", Revision: 1, Fields: f}}})
		require.ErrorIs(t, err, ErrSchema, name)
		require.ErrorContains(t, err, "doc-9")
	}
	require.NoError(t, ix.Apply(ctx, Batch{}))
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "absent"}}}))
	require.Equal(t, before, ix.Anchor(), "a batch without effect wrote a head")
	// In one batch, too, the higher revision wins, whatever the order.
	require.NoError(t, ix.Apply(ctx, Batch{
		Put:    []Document{{ID: "a", Revision: 3}, {ID: "a", Revision: 2}, {ID: "b", Revision: 2}, {ID: "c", Revision: 9}},
		Delete: []Deletion{{ID: "b", Revision: 2}, {ID: "c", Revision: 8}},
	}))
	h, err := ix.Get(ctx, "a")
	require.NoError(t, err)
	require.EqualValues(t, 3, h.Revision)
	_, err = ix.Get(ctx, "b")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = ix.Get(ctx, "c")
	require.NoError(t, err)
	require.Equal(t, 2, count(t, ix, Not(Term("tag", String("x")))))
}

func TestQueriesThatAreRefused(t *testing.T) {
	ctx := context.Background()
	ix := mustCreate(t, newMemStore(), smallSchema, Options{})
	deep := Term("tag", String("x"))
	for range maxDepth {
		deep = Not(deep)
	}
	for want, qs := range map[error][]Query{
		ErrSchema: {
			{}, And(), Or(), Not(Query{}), Term("nope", String("x")), Term("tag", Int(1)), Term("tag", Value{}), Range("tag", String("a"), String("b")),
			Range("n", Int(2), Int(1)), Range("n", String("1"), Value{}), Prefix("n", "1"), Prefix("tag", ""), Fuzzy("tag", "x", 1),
		},
		ErrTooBroad: {deep, And(slices.Repeat([]Query{Term("tag", String("x"))}, maxClauses)...)},
	} {
		for _, q := range qs {
			_, err := ix.Search(ctx, q, SearchOptions{})
			require.ErrorIs(t, err, want)
			_, err = ix.Explain(ctx, q, SearchOptions{})
			require.ErrorIs(t, err, want)
		}
	}
	fuzzy := mustCreate(t, newMemStore(), modelSchema, Options{})
	for _, q := range []Query{Fuzzy("ward", "x", 0), Fuzzy("ward", "x", 3), Fuzzy("note", "...", 1)} {
		_, err := fuzzy.Search(ctx, q, SearchOptions{})
		require.ErrorIs(t, err, ErrSchema)
	}
	_, err := ix.Search(ctx, Term("tag", String("x")), SearchOptions{Limit: -1})
	require.Error(t, err)
}

func TestLimits(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, modelSchema, Options{})
	var b Batch
	for i := range 600 {
		b.Put = append(b.Put, Document{ID: fmt.Sprintf("%03d", i), Revision: 1, Fields: Fields{"note": {String(fmt.Sprintf("word%03d same", i))}}})
	}
	require.NoError(t, ix.Apply(ctx, b))
	_, err := ix.Search(ctx, Prefix("note", "word"), SearchOptions{MaxTerms: 599})
	require.ErrorIs(t, err, ErrTooBroad)
	res, err := ix.Search(ctx, Prefix("note", "word"), SearchOptions{MaxTerms: 600})
	require.NoError(t, err)
	require.Equal(t, 600, res.Total)
	_, err = mustOpen(t, s, Options{}).Search(ctx, Term("note", String("same")), SearchOptions{MaxPages: 1})
	require.ErrorIs(t, err, ErrTooBroad)

	// The limit cuts the hits, not the total; in one segment they come in the order of writing.
	res, err = ix.Search(ctx, Term("note", String("same")), SearchOptions{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, 600, res.Total)
	require.Equal(t, []Hit{{ID: "000", Revision: 1}, {ID: "001", Revision: 1}}, res.Hits)
	res, err = ix.Search(ctx, Term("note", String("same")), SearchOptions{CountOnly: true})
	require.NoError(t, err)
	require.Equal(t, 600, res.Total)
	require.Empty(t, res.Hits)
}

// A batch that claims to be new and is not leaves two rows of an ID; the next change, or a merge, drops the older one.
func TestFalseClaimOfNewIsRepaired(t *testing.T) {
	ctx := context.Background()
	ix := mustCreate(t, newMemStore(), smallSchema, Options{})
	b := batchOf("a", 300)
	require.NoError(t, ix.Apply(ctx, b))
	for i := range b.Put {
		b.Put[i].Revision = 2
	}
	b.New = true
	require.NoError(t, ix.Apply(ctx, b))
	require.Equal(t, 600, count(t, ix, Term("tag", String("all"))))
	h, err := ix.Get(ctx, "a-5")
	require.NoError(t, err)
	require.EqualValues(t, 2, h.Revision)
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "a-5"}}}))
	require.Equal(t, 598, count(t, ix, Term("tag", String("all"))))
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	require.Equal(t, 299, count(t, ix, Term("tag", String("all"))))
	h, err = ix.Get(ctx, "a-6")
	require.NoError(t, err)
	require.EqualValues(t, 2, h.Revision)
}

// settle waits until an Index has nothing to merge in the background.
func settle(t testing.TB, ix *Index) {
	for done := ix.tend(t.Context()); done != nil; done = ix.tend(t.Context()) {
		<-done
	}
}

// Segments are merged as they come, so that their number grows with the logarithm of the rows.
func TestSegmentsStayFew(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix, err := Create(ctx, s, testKey, ID{1}, smallSchema, Options{})
	require.NoError(t, err)
	for i := range 60 {
		require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprint(i), tailRows)))
	}
	settle(t, ix)
	ix.Close()
	st, err := ix.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, 60*tailRows, st.Rows)
	require.NoError(t, st.MergeError)
	require.LessOrEqual(t, st.Segments, 6, "log2 of 60")
	require.NoError(t, ix.Verify(ctx))
	var last, total int
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, Progress: func(d, n int) { require.GreaterOrEqual(t, d, last); last, total = d, n }}))
	require.Equal(t, 60*tailRows, total)
	require.Equal(t, total, last)
	st, err = ix.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, st.Segments)
}

// The server sees the same pages whether a term is there or not, and the same pages again for the same term, but never from the
// cache; what Explain announces holds.
func TestServersView(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	everyKind(t, s)
	ix := mustOpen(t, s, Options{})
	run := func(q Query, o SearchOptions) (*Result, [][]Run) {
		plan, err := ix.Explain(ctx, q, o)
		require.NoError(t, err)
		s.reads = nil
		res, err := ix.Search(ctx, q, o)
		require.NoError(t, err)
		pages := 0
		for _, r := range s.reads {
			for _, x := range r {
				pages += int(x.Count)
			}
		}
		require.Equal(t, pages, res.Cost.Pages)
		require.Equal(t, len(s.reads), res.Cost.Rounds)
		require.EqualValues(t, pages*PageSize, res.Cost.Bytes)
		require.LessOrEqual(t, plan.Least.Pages, pages, "%v", q)
		require.GreaterOrEqual(t, plan.Most.Pages, pages, "%v", q)
		require.LessOrEqual(t, plan.Least.Rounds, len(s.reads))
		require.GreaterOrEqual(t, plan.Most.Rounds, len(s.reads))
		require.LessOrEqual(t, plan.Least.Terms, res.Cost.Terms)
		require.GreaterOrEqual(t, plan.Most.Terms, res.Cost.Terms)
		require.NotEmpty(t, plan.View)
		return res, s.reads
	}
	countOnly := SearchOptions{CountOnly: true}
	run(Term("tag", String("warm up")), countOnly) // the tail and the deletions are cached from here on
	for _, tag := range []string{"t-1", "absent", "all", "half", "also absent"} {
		_, first := run(Term("tag", String(tag)), countOnly)
		_, again := run(Term("tag", String(tag)), countOnly)
		require.Len(t, again, 1, "%s: the table pages are cached, the list pages are read again", tag)
		require.Equal(t, first[len(first)-1], again[0], "%s: other pages the second time", tag)
		for _, r := range again[0] {
			require.Positive(t, r.Count)
		}
	}
	// An absent term and one whose rows stand in the entry cannot be told apart: one shared page per segment.
	for _, q := range []Query{Term("tag", String("nothing")), Term("n", Int(17))} {
		_, reads := run(q, countOnly)
		last := reads[len(reads)-1]
		require.Len(t, last, 2)
		for _, r := range last {
			require.EqualValues(t, 1, r.Count)
			seg := ix.current().manifest.find(r.Segment)
			require.Less(t, r.First-seg.sharedRegion().first, seg.shared)
		}
	}
	// A cover has 16 terms or twice that, however wide the range.
	for _, hi := range []int64{1, 2, 9, 15, 31, 300} {
		res, _ := run(Range("n", Int(1), Int(hi)), countOnly)
		require.Contains(t, []int{2 * 16, 2 * 32, 2 * 64}, res.Cost.Terms)
	}
	run(And(Prefix("tag", "t-"), Not(Term("tag", String("half")))), SearchOptions{})
	run(Prefix("tag", "t"), SearchOptions{Limit: 3})
}

func TestUnknownOutcomeOfASwap(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	s.swapLost = true
	s.fail = func(op string) error {
		if op == "swap" {
			return errDisk
		}
		return nil
	}
	require.NoError(t, ix.Apply(ctx, batchOf("a", 2)), "the head is there")
	broken := false
	s.fail = func(op string) error {
		if broken = broken || op == "swap"; broken {
			return errDisk
		}
		return nil
	}
	err := ix.Apply(ctx, batchOf("b", 2))
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "not known")
	s.fail = nil
	require.NoError(t, ix.Apply(ctx, batchOf("b", 2)))
	require.Equal(t, 4, count(t, ix, Term("tag", String("all"))))
}

func TestCacheIsBounded(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	everyKind(t, s)
	ix := mustOpen(t, s, Options{CacheBytes: 20 * PageSize})
	for i := range 200 {
		_, err := ix.Search(ctx, Term("n", Int(int64(i*50))), SearchOptions{})
		require.NoError(t, err)
		require.LessOrEqual(t, ix.cache.used, 20*PageSize)
	}
	sum := 0
	for e := ix.cache.recent.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*cached).size
	}
	require.Equal(t, sum, ix.cache.used)
	require.Equal(t, ix.cache.recent.Len(), len(ix.cache.items))
}

func TestHeadsOfManyMonthsExpire(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{Grace: time.Second})
	for i := range 40 {
		require.NoError(t, ix.Apply(ctx, batchOf(fmt.Sprint(i), 1)))
	}
	time.Sleep(2100 * time.Millisecond) // retirement counts in whole seconds
	require.NoError(t, ix.tidy(ctx))
	require.NoError(t, ix.Apply(ctx, batchOf("x", 1)))
	require.LessOrEqual(t, len(ix.current().manifest.retired), maxTails, "tails that were folded stay for ever")
	require.LessOrEqual(t, len(s.segments[ID{1}]), 2*maxTails)
	require.Equal(t, 41, count(t, ix, Term("tag", String("all"))))
}
