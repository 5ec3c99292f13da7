package sse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

var tokenQueries = []Query{
	Term("tag", String("t-0")), Term("tag", String("absent")), Term("tag", String("all")), Term("n", Int(5)),
	Range("n", Int(3), Int(100)), And(Term("tag", String("t-2")), Range("n", Int(0), Int(99))), Exists("n"),
}

func mustToken(t testing.TB, ix *Index, queries []Query, segments ...ID) *Token {
	token, err := ix.Token(context.Background(), queries, segments)
	require.NoError(t, err)
	again, err := NewToken(token.ExposeSecret())
	require.NoError(t, err)
	require.Equal(t, token, again)
	return again
}

// What the holder of a token finds is what the issuer finds, once deleted rows are out, and the store sees the same reads.
func TestTokensFindWhatTheIssuerFinds(t *testing.T) {
	ctx := context.Background()
	for _, profile := range []Profile{Fast, Balanced, Strict} {
		s := newMemStore()
		ix := mixed(t, s, Options{Profile: profile})
		token := mustToken(t, ix, tokenQueries)
		require.Equal(t, ID{1}, token.Partition())
		sets, err := token.Rows(ctx, s)
		require.NoError(t, err)
		require.Len(t, sets, len(tokenQueries))
		deleted := 0
		for i, q := range tokenQueries {
			require.Equal(t, q.String(), token.Queries()[i])
			require.Len(t, sets[i], len(token.Segments()))
			want, err := ix.Rows(ctx, q, SearchOptions{})
			require.NoError(t, err)
			live, hits, err := ix.Hits(ctx, sets[i])
			require.NoError(t, err)
			require.Equal(t, want, live, "%v", q)
			res, err := ix.Search(ctx, q, SearchOptions{})
			require.NoError(t, err)
			require.Equal(t, res.Hits, hits)
			for j := range sets[i] {
				deleted += len(sets[i][j].Rows) - len(live[j].Rows)
			}
		}
		require.Positive(t, deleted, "no row was deleted, so that leaving them out was not tried")

		for i, q := range tokenQueries {
			token := mustToken(t, ix, tokenQueries[i:i+1])
			s.reads = nil
			count(t, mustOpen(t, s, Options{}), q)
			want := s.reads[1:] // the first are tails, read whole
			s.reads = nil
			_, err := token.Rows(ctx, s)
			require.NoError(t, err)
			require.Equal(t, want, s.reads, "%v", q)
		}
	}
}

func TestTokensOfOneSegmentAndLater(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mixed(t, s, Options{})
	readers := ix.current().readers
	one := mustToken(t, ix, tokenQueries[:1], readers[1].id)
	require.Equal(t, []ID{readers[1].id}, one.Segments())
	all := mustToken(t, ix, tokenQueries)
	before, err := all.Rows(ctx, s)
	require.NoError(t, err)

	// What is written later is not found, and what is deleted later is still found.
	require.NoError(t, ix.Apply(ctx, batchOf("later", 300)))
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "b-7"}}}))
	after, err := all.Rows(ctx, s)
	require.NoError(t, err)
	require.Equal(t, before, after)

	// The grace period is over at once: the store has lost the segments.
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	for _, token := range []*Token{one, all} {
		_, err = token.Rows(ctx, s)
		require.ErrorIs(t, err, ErrExpired)
		require.ErrorContains(t, err, "new token")
	}
	_, _, err = ix.Hits(ctx, before[0])
	require.ErrorIs(t, err, ErrExpired)
	_, err = ix.Token(ctx, tokenQueries, []ID{readers[0].id})
	require.ErrorIs(t, err, ErrExpired)
}

func TestTokenRefuses(t *testing.T) {
	ctx := context.Background()
	ix := mixed(t, newMemStore(), Options{})
	id := ix.current().readers[0].id
	for _, q := range []Query{Prefix("tag", "t"), Not(Term("tag", String("a"))), Or(Term("tag", String("a")), Term("tag", String("b"))), All(), {}, Term("x", String("a")),
		And(Term("tag", String("a")), Prefix("tag", "t"))} {
		_, err := ix.Token(ctx, []Query{Term("tag", String("a")), q}, nil)
		require.ErrorIs(t, err, ErrSchema, "%v", q)
	}
	_, err := ix.Token(ctx, nil, nil)
	require.ErrorIs(t, err, ErrSchema)
	_, err = ix.Token(ctx, slices.Repeat(tokenQueries[:1], maxTokenQueries+1), nil)
	require.ErrorIs(t, err, ErrSchema)
	_, err = ix.Token(ctx, tokenQueries, []ID{id, id})
	require.ErrorContains(t, err, "twice")
	many := make([]Query, 200)
	for i := range many {
		many[i] = Range("n", Int(int64(i)), Int(1<<20-int64(i)))
	}
	_, err = ix.Token(ctx, many, nil)
	require.ErrorIs(t, err, ErrTooBroad)
}

// exposed are the keys in a token.
func (t *Token) exposed() (keys []key) {
	for _, s := range t.segments {
		for _, p := range s.pages {
			keys = append(keys, p.key)
		}
		for _, l := range s.lookups {
			keys = append(keys, l.pad, l.key)
		}
	}
	return keys
}

// opener tries to open pages with what a key leads to: as the key of the page, and as each of the keys that keys of pages are derived from.
func opener(k key, partition, segment ID, n uint32, page []byte) bool {
	keys := segmentKeys{partition: partition, segment: segment}
	candidates := []key{k, newPRF(k).number(n), newPRF(derive(k[:], nil, labelPage)).number(n), newPRF(newSegmentKeys(k, partition, segment).page).number(n)}
	for _, c := range candidates {
		for kind := kindTable; kind <= kindColumn; kind++ {
			if _, err := newSealer(&keys).open(slices.Clone(page), n, kind, &c); err == nil {
				return true
			}
		}
	}
	return false
}

type placedPage struct {
	segment ID
	page    uint32
}

// opens is every page of the partition that one of the keys opens, and whether one opens a head.
func opens(s *memStore, keys []key) (pages map[placedPage]bool, head bool) {
	pages = make(map[placedPage]bool)
	partition := ID{1}
	for id, seg := range s.segments[partition] {
		for n := uint32(0); int(n)*PageSize < len(seg.pages); n++ {
			page := seg.pages[n*PageSize:][:PageSize]
			for _, k := range keys {
				if opener(k, partition, id, n, page) {
					pages[placedPage{id, n}] = true
					break
				}
			}
		}
	}
	for i, blob := range s.heads[partition] {
		for _, k := range keys {
			_, err := openManifest(k, partition, uint64(i+1), blob)
			plain := blob[wire.HeaderSize+manifestSalt:]
			_, direct := gcm(k).Open(nil, make([]byte, 12), plain, manifestAAD(blob[:wire.HeaderSize], partition, uint64(i+1)))
			head = head || err == nil || direct == nil
		}
	}
	return pages, head
}

// The keys in a token open the table pages and shared pages that it names, and the pages of the long lists of its terms, and no other page of
// any segment: rows, vocabularies, lists of terms, directories, tails, deletions, later segments, heads. The same attempt with the keys
// that the token does not have opens everything, so that it is no attempt that cannot succeed.
func TestTokenKeysOpenNothingElse(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	r := rand.New(rand.NewPCG(3, 4))
	b := Batch{New: true}
	for i := range 9000 {
		d := smallDoc(fmt.Sprintf("doc-%d", i), i)
		for _, half := range []string{"half", "other"} {
			if r.IntN(2) == 0 {
				d.Fields["tag"] = append(d.Fields["tag"], String(half))
			}
		}
		for _, word := range []string{"tenth", "rare"} {
			if r.IntN(10) == 0 {
				d.Fields["tag"] = append(d.Fields["tag"], String(word))
			}
		}
		b.Put = append(b.Put, d)
	}
	r.Shuffle(len(b.Put), func(i, j int) { b.Put[i], b.Put[j] = b.Put[j], b.Put[i] })
	require.NoError(t, ix.Apply(ctx, b))
	require.NoError(t, ix.Apply(ctx, batchOf("tail", 3)))
	st := ix.current()
	full := st.readers[0]
	require.Greater(t, full.own, uint32(1))

	queries := []Query{Term("tag", String("half")), Term("tag", String("tenth")), Term("n", Int(77)), Term("tag", String("absent"))}
	token := mustToken(t, ix, queries)
	require.NoError(t, ix.Apply(ctx, batchOf("later", 300)))

	// What it must open, from the issuer's side.
	want := make(map[placedPage]bool)
	pt := &part{content: &content{reader: full}}
	for _, text := range []string{"half", "tenth", "absent"} {
		pt.lookups = append(pt.lookups, termLookup(testTerm("tag", text)))
	}
	n, err := smallSchema.queryTerms("n", Int(77))
	require.NoError(t, err)
	pt.lookups = append(pt.lookups, termLookup(n[0]))
	found, err := ix.find(ctx, &meter{}, []*part{pt})
	require.NoError(t, err)
	forms := make(map[uint8]bool)
	for j, e := range found[0].entries {
		forms[e.form] = true
		want[placedPage{full.id, uint32(found[0].places[j].hash % uint64(full.table))}] = true
		switch e.form {
		case entryShared:
			want[placedPage{full.id, full.table + e.page}] = true
		case entryOwn:
			for i := range e.ownPages(Balanced) {
				want[placedPage{full.id, full.ownRegion().first + e.page + i}] = true
			}
		}
	}
	require.Len(t, forms, 4, "absent, in the entry, in a shared page, in pages of its own")
	got, head := opens(s, token.exposed())
	require.Equal(t, want, got)
	require.False(t, head)

	// The attempt itself: with the keys above it opens more.
	for _, k := range []key{full.keys.page, key(testKey)} {
		more, _ := opens(s, []key{k})
		require.Greater(t, len(more), len(want))
	}
	_, head = opens(s, []key{key(testKey)})
	require.True(t, head)

	// In the pages that it opens: no pad and no key of the token uncovers the entry or the list of another term or of an ID.
	others := []lookup{termLookup(testTerm("tag", "other")), termLookup(testTerm("tag", "rare")), termLookup(testTerm("tag", "all")), positionsLookup(testTerm("tag", "half"))}
	for i := range 9000 {
		others = append(others, idLookup(fmt.Sprintf("doc-%d", i)))
	}
	pt.lookups = others
	found, err = ix.find(ctx, &meter{}, []*part{pt})
	require.NoError(t, err)
	sealed := newSealer(full.keys)
	open := func(n uint32, kind pageKind) []byte {
		page := slices.Clone(s.segments[ID{1}][full.id].pages[n*PageSize:][:PageSize])
		plain, err := sealed.open(page, n, kind, nil)
		require.NoError(t, err)
		return plain
	}
	pads := newPRF(full.keys.entry)
	tried, lists := 0, 0
	for j, l := range others {
		page := uint32(found[0].places[j].hash % uint64(full.table))
		body, ok := findInBucket(open(page, kindTable), found[0].places[j].print)
		if !ok {
			continue
		}
		truth := pads.lookup(l).xor(body)
		for _, k := range token.exposed() {
			require.NotEqual(t, truth, k.xor(body)) // by chance once in 2^256
			require.NotEqual(t, truth, newPRF(k).lookup(l).xor(body))
		}
		tried++
		if e := found[0].entries[j]; e.form == entryShared {
			list := open(full.table+e.page, kindShared)[e.offset:][:e.length]
			clear := slices.Clone(list)
			maskList(found[0].keys[j], clear)
			for _, k := range token.exposed() {
				guess := slices.Clone(list)
				maskList(k, guess)
				require.NotEqual(t, clear, guess) // at least 31 bytes
			}
			lists++
		}
	}
	require.Greater(t, tried, 9000)
	require.Positive(t, lists)
}

// A change in what a token holds, or in the pages that it leads to, is an error, but where the token says the rows itself, in its pads and in its
// list keys: a token has no signature.
func TestTokenOfAnotherSegment(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mixed(t, s, Options{})
	token := mustToken(t, ix, tokenQueries)
	readers := ix.current().readers
	for name, change := range map[string]func(*Token){
		"page key":  func(t *Token) { t.segments[0].pages[0].key[3] ^= 1 },
		"segment":   func(t *Token) { t.segments[0].id = readers[1].id },
		"partition": func(t *Token) { t.partition[0] ^= 1 },
		"pad":       func(t *Token) { t.segments[0].lookups[0].pad[0] ^= 8 }, // the form of the entry
	} {
		bad, err := NewToken(token.ExposeSecret())
		require.NoError(t, err)
		change(bad)
		_, err = bad.Rows(ctx, s)
		require.Error(t, err, name)
	}
	pages := s.segments[ID{1}][readers[0].id].pages
	for n := uint32(0); n < readers[0].table; n++ {
		pages[n*PageSize+9] ^= 1
	}
	_, err := token.Rows(ctx, s)
	require.ErrorIs(t, err, ErrDamaged)
}

func TestTokensPrintAsRedacted(t *testing.T) {
	token := mustToken(t, mixed(t, newMemStore(), Options{}), tokenQueries)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		require.Equal(t, "redacted", fmt.Sprintf(verb, token))
		require.Equal(t, "redacted", fmt.Sprintf(verb, *token))
	}
	b, err := json.Marshal(map[string]any{"p": token, "v": *token})
	require.NoError(t, err)
	require.JSONEq(t, `{"p":"redacted","v":"redacted"}`, string(b))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "value", *token)
	require.Contains(t, log.String(), "token=redacted value=redacted")
}

func TestTokenEncodingIsStrict(t *testing.T) {
	token := mustToken(t, mixed(t, newMemStore(), Options{}), tokenQueries[:2])
	b := token.ExposeSecret()
	for n := range b {
		_, err := NewToken(b[:n])
		require.ErrorIs(t, err, wire.ErrFormat, "cut to %d bytes", n)
	}
	_, err := NewToken(append(slices.Clone(b), 0))
	require.ErrorIs(t, err, wire.ErrFormat)
	for name, change := range map[string]func(*Token){
		"no query":        func(t *Token) { t.queries = nil; t.segments = nil },
		"docs":            func(t *Token) { t.segments[0].docs = maxRows + 1 },
		"twice":           func(t *Token) { t.segments = append(t.segments, t.segments[0]) },
		"profile":         func(t *Token) { t.profile = 77 },
		"no table":        func(t *Token) { t.segments[0].table = 0 },
		"no shared pages": func(t *Token) { t.segments[0].shared = 0 },
		"too many pages":  func(t *Token) { t.segments[0].own = maxPages },
		"order of keys":   func(t *Token) { p := t.segments[0].pages; p[0], p[1] = p[1], p[0] },
		"key of a long list": func(t *Token) {
			p := t.segments[0].pages
			p[len(p)-1].page = t.segments[0].table + t.segments[0].shared
		},
		"bucket without key": func(t *Token) { t.segments[0].pages = t.segments[0].pages[:0] },
		"second page":        func(t *Token) { t.segments[0].lookups[0].second = t.segments[0].shared },
		"term":               func(t *Token) { t.segments[0].answers[0].clauses[0][0] = 99 },
		"no part":            func(t *Token) { t.segments[0].answers[0].clauses = nil },
		"row of a tail": func(t *Token) {
			i := slices.IndexFunc(t.segments, func(s tokenSegment) bool { return s.tail })
			t.segments[i].answers[0].rows = []uint32{t.segments[i].docs}
		},
	} {
		bad, err := NewToken(b)
		require.NoError(t, err)
		change(bad)
		_, err = NewToken(bad.ExposeSecret())
		require.ErrorIs(t, err, wire.ErrFormat, name)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(mustToken(f, mixed(f, newMemStore(), Options{}), tokenQueries[:2]).ExposeSecret())
	small := &Token{profile: Balanced, queries: []string{"q"}, segments: []tokenSegment{
		{id: ID{1}, docs: 9, table: 3, shared: 2, own: 1, pages: []tokenPage{{page: 2}, {page: 4}}, lookups: []tokenLookup{{bucket: 2, second: 1}},
			answers: []tokenAnswer{{clauses: [][]uint32{{0, 0}, nil}}}},
		{id: ID{2}, docs: 9, tail: true, answers: []tokenAnswer{{rows: []uint32{0, 4}}}},
	}}
	f.Add(small.ExposeSecret())
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := NewToken(b)
		if err != nil {
			require.ErrorIs(t, err, wire.ErrFormat)
			return
		}
		require.True(t, bytes.Equal(b, token.ExposeSecret()))
		// Whatever it says, reading with it ends.
		_, err = token.Rows(context.Background(), newMemStore())
		if err != nil && !errors.Is(err, ErrTooBroad) {
			require.ErrorIs(t, err, ErrExpired)
		}
	})
}
