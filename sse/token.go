package sse

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/veilchart/veilchart/internal/wire"
)

// Token lets a third party, who has no partition key, find the rows of some terms in some segments, and nothing else: not other terms, not in
// later segments, no IDs and nothing stored. It holds the keys of the table pages of the terms and of the shared pages of their lists, and for
// each term the pad of its table entry and the key of its list; of a tail, which has no keys by term, it holds the rows themselves. It does not
// say which rows are deleted.
//
// A token works until a compaction has replaced a segment and the grace period is over. It cannot be taken back before, and has no date
// on it: a date would bind nobody, as keys do not forget. It has no signature either: who changes it on the way changes what it finds. It is a
// secret, prints as "redacted", and is immutable. Get one from Index.Token or NewToken.
type Token struct {
	partition ID
	profile   Profile
	queries   []string
	segments  []tokenSegment
}

// tokenSegment is what a token holds of a segment: keys and lookups of a full one, rows of a tail.
type tokenSegment struct {
	id      ID
	docs    uint32
	tail    bool
	answers []tokenAnswer // of each query

	table, shared, own uint32
	pages              []tokenPage // ascending
	lookups            []tokenLookup
}

type tokenPage struct {
	page uint32 // of the segment
	key  key
}

// tokenLookup is a term, without its name.
type tokenLookup struct {
	print    uint64
	bucket   uint32
	second   uint32 // page of the list among the shared pages, or of a dummy read
	pad, key key
}

// tokenAnswer is a query in a segment: the rows that have one lookup of every clause, or in a tail the rows.
type tokenAnswer struct {
	clauses [][]uint32 // numbers of lookups
	rows    []uint32
}

const (
	tokenVersion = 1
	tokenSuite   = 1 // HMAC-SHA-256, AES-256-GCM, AES-256-CTR

	maxTokenQueries = 1 << 8
	maxTokenQuery   = 1 << 16 // bytes of the text of a query
	maxTokenLookups = 1 << 12 // of a segment
	maxTokenClauses = 1 << 12 // of a query
)

// Token makes a token for queries in segments of the latest state, or in all segments if there are none given. A query may be Term, Range, Sounds
// or Exists, or And of those: what is found by terms that are known beforehand. Others are ErrSchema. Who has the token can find the rows
// of every single term of a query: of each word of a text, of each interval of a range. The store sees the table pages of the terms, as in a
// search. A segment that is not in the partition is ErrExpired.
//
// Give the token to the third party alone, over a channel that nobody else reads or changes. Log its queries and segments, never the token.
func (ix *Index) Token(ctx context.Context, queries []Query, segments []ID) (*Token, error) {
	if len(queries) == 0 || len(queries) > maxTokenQueries {
		return nil, fmt.Errorf("sse: a token for %d queries %w: ask for 1 to %d", len(queries), ErrSchema, maxTokenQueries)
	}
	var t *Token
	err := ix.consistently(ctx, func(st *state) error {
		var err error
		t, err = ix.token(ctx, st, queries, segments)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (ix *Index) token(ctx context.Context, st *state, queries []Query, segments []ID) (*Token, error) {
	profile := st.manifest.profile
	t := &Token{partition: ix.partition, profile: profile}
	// One plan for all queries, so that a lookup that two have in common stands once in the token.
	p, err := compile(st.manifest.schema, profile, &ix.automata, Query{op: opAnd, sub: queries}, SearchOptions{})
	if err != nil {
		return nil, err
	}
	leaves := make([][]int, len(queries))
	for i, q := range queries {
		if len(q.String()) > maxTokenQuery {
			return nil, fmt.Errorf("sse: a query of %d bytes for a token %w: %d are the limit: split it", len(q.String()), ErrSchema, maxTokenQuery)
		}
		if leaves[i], err = p.conjunction(q, p.root.sub[i], nil); err != nil {
			return nil, err
		}
		t.queries = append(t.queries, q.String())
	}
	for i, id := range segments {
		if st.manifest.find(id) == nil {
			return nil, fmt.Errorf("sse: segment %v is not in partition %v: %w: take its ID from Rows", id, ix.partition, ErrExpired)
		}
		if slices.Contains(segments[:i], id) {
			return nil, fmt.Errorf("sse: segment %v stands twice in what a token is asked for: name it once", id)
		}
	}
	m := &meter{limit: defaultMaxPages}
	all, err := ix.contents(ctx, m, st, wanted{})
	if err != nil {
		return nil, err
	}
	var full []*part
	for _, c := range all {
		if len(segments) > 0 && !slices.Contains(segments, c.id) {
			continue
		}
		pt, err := ix.part(c, p, defaultMaxTerms)
		if err != nil {
			return nil, err
		}
		s := tokenSegment{id: c.id, docs: c.docs, tail: c.tail != nil, table: c.table, shared: c.shared, own: c.own, answers: make([]tokenAnswer, len(queries))}
		if len(pt.lookups) > maxTokenLookups {
			return nil, fmt.Errorf("sse: %w: %d terms for a token, %d are the limit: ask for several tokens", ErrTooBroad, len(pt.lookups), maxTokenLookups)
		}
		if !s.tail {
			full = append(full, pt)
		}
		for i := range queries {
			for _, leaf := range leaves[i] {
				var clause []uint32
				for _, n := range pt.leaves[leaf].lookups {
					clause = append(clause, uint32(n))
				}
				s.answers[i].clauses = append(s.answers[i].clauses, clause)
			}
		}
		if s.tail {
			if err := ix.lists(ctx, m, []*part{pt}); err != nil { // from memory
				return nil, err
			}
			for i := range s.answers {
				s.answers[i] = tokenAnswer{rows: s.answers[i].evaluate(pt.lists)}
			}
		}
		t.segments = append(t.segments, s)
	}
	found, err := ix.find(ctx, m, full)
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range t.segments {
		if s := &t.segments[i]; !s.tail {
			s.fill(full[n], found[n])
			n++
		}
	}
	return t, nil
}

// conjunction are the leaves of a clause that is a conjunction of unions of terms.
func (p *plan) conjunction(q Query, c clause, leaves []int) ([]int, error) {
	switch {
	case c.op == opAnd:
		for _, s := range c.sub {
			var err error
			if leaves, err = p.conjunction(q, s, leaves); err != nil {
				return nil, err
			}
		}
		if len(leaves) > maxTokenClauses {
			return nil, fmt.Errorf("sse: %w: a query of more than %d parts for a token: split it", ErrTooBroad, maxTokenClauses)
		}
		return leaves, nil
	case c.op == 0 && (p.leaves[c.leaf].kind == leafTerms || p.leaves[c.leaf].kind == leafExists):
		return append(leaves, c.leaf), nil
	}
	return nil, fmt.Errorf("sse: the query %v for a token %w: it is not found by terms that are known beforehand: ask for Term, Range, Sounds, Exists, or And of those", q, ErrSchema)
}

// fill puts in the lookups of a full segment, and the keys of the pages that they need.
func (s *tokenSegment) fill(pt *part, f finding) {
	pad, list, page := newPRF(pt.keys.entry), newPRF(pt.keys.list), newPRF(pt.keys.page)
	need := func(n uint32) {
		s.pages = append(s.pages, tokenPage{page: n})
	}
	for j, l := range pt.lookups {
		t := tokenLookup{
			print: f.places[j].print, bucket: uint32(f.places[j].hash % uint64(s.table)), second: uint32(f.places[j].order % uint64(s.shared)),
			pad: pad.lookup(l), key: list.lookup(l),
		}
		need(t.bucket)
		if e := f.entries[j]; e.form == entryShared {
			t.second = e.page
			need(s.table + e.page)
		}
		s.lookups = append(s.lookups, t)
	}
	slices.SortFunc(s.pages, func(a, b tokenPage) int { return int(int64(a.page) - int64(b.page)) })
	s.pages = slices.Compact(s.pages)
	for i := range s.pages {
		s.pages[i].key = page.number(s.pages[i].page)
	}
}

// evaluate finds the rows, given those of each lookup; nil stands for none.
func (a *tokenAnswer) evaluate(lists []*roaring.Bitmap) []uint32 {
	var out *roaring.Bitmap // of at least one clause
	for _, clause := range a.clauses {
		rows := roaring.New()
		for _, n := range clause {
			if lists[n] != nil {
				rows.Or(lists[n])
			}
		}
		if out == nil {
			out = rows
		} else {
			out.And(rows)
		}
	}
	return array(out)
}

// Partition is the partition that the token is for.
func (t *Token) Partition() ID { return t.partition }

// Queries are the queries that the token answers, in the notation of ParseQuery, as whoever made it says.
func (t *Token) Queries() []string { return slices.Clone(t.queries) }

// Segments are the segments that the token is for, in the order of the manifest.
func (t *Token) Segments() []ID {
	ids := make([]ID, len(t.segments))
	for i := range t.segments {
		ids[i] = t.segments[i].id
	}
	return ids
}

// The forms of a segment in a token.
const (
	tokenPages = 1
	tokenRows  = 2
)

// ExposeSecret is the canonical encoding, docs/spec/sse.md, section Delegation, and a copy. NewToken reads it.
func (t *Token) ExposeSecret() []byte {
	u32 := binary.BigEndian.AppendUint32
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSEToken, Version: tokenVersion, Suite: tokenSuite})
	b = append(append(b, t.partition[:]...), uint8(t.profile))
	b = u32(b, uint32(len(t.queries)))
	for _, q := range t.queries {
		b = wire.AppendString(b, q)
	}
	b = u32(b, uint32(len(t.segments)))
	for i := range t.segments {
		s := &t.segments[i]
		b = append(b, s.id[:]...)
		b = u32(b, s.docs)
		if s.tail {
			b = append(b, tokenRows)
			for _, a := range s.answers {
				b = appendRowBytes(b, a.rows)
			}
			continue
		}
		b = append(b, tokenPages)
		for _, n := range []uint32{s.table, s.shared, s.own, uint32(len(s.pages))} {
			b = u32(b, n)
		}
		for _, p := range s.pages {
			b = append(u32(b, p.page), p.key[:]...)
		}
		b = u32(b, uint32(len(s.lookups)))
		for _, l := range s.lookups {
			b = u32(u32(binary.BigEndian.AppendUint64(b, l.print), l.bucket), l.second)
			b = append(append(b, l.pad[:]...), l.key[:]...)
		}
		for _, a := range s.answers {
			b = u32(b, uint32(len(a.clauses)))
			for _, c := range a.clauses {
				b = u32(b, uint32(len(c)))
				for _, n := range c {
					b = u32(b, n)
				}
			}
		}
	}
	return b
}

// NewToken reads what ExposeSecret wrote, and nothing else. Whether the keys are right is seen when they are used.
func NewToken(encoding []byte) (*Token, error) {
	d := wire.NewDecoder(encoding)
	d.About(wire.KindSSEToken)
	h := d.Header(wire.KindSSEToken)
	if d.Err() == nil && (h.Version != tokenVersion || h.Suite != tokenSuite) {
		d.Failf("version %d, suite %d: this program reads version %d, suite %d: use a newer one", h.Version, h.Suite, tokenVersion, tokenSuite)
	}
	t := &Token{}
	copy(t.partition[:], d.Raw(len(t.partition)))
	if t.profile = Profile(d.Uint8()); d.Err() == nil && t.profile.check() != nil {
		d.Failf("there is no profile %d", t.profile)
	}
	n := d.Len(maxTokenQueries, 4)
	if n == 0 {
		d.Failf("a token for no query")
	}
	for range n {
		t.queries = append(t.queries, d.String(maxTokenQuery))
	}
	seen := make(map[ID]bool)
	for range d.Len(maxSegments, 16+4+1) {
		s := readTokenSegment(d, n)
		if d.Err() != nil {
			break
		}
		if seen[s.id] {
			d.Failf("segment %v stands twice", s.id)
		}
		seen[s.id] = true
		t.segments = append(t.segments, s)
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return t, nil
}

func readTokenSegment(d *wire.Decoder, queries int) (s tokenSegment) {
	copy(s.id[:], d.Raw(len(s.id)))
	if s.docs = d.Uint32(); s.docs > maxRows {
		d.Failf("a segment of %d documents", s.docs)
	}
	form := d.Uint8()
	s.tail = form == tokenRows
	s.answers = make([]tokenAnswer, queries)
	switch {
	case d.Err() != nil:
		return s
	case s.tail:
		for i := range s.answers {
			s.answers[i].rows = readRowBytes(d, s.docs)
		}
		return s
	case form != tokenPages:
		d.Failf("a segment of form %d: this program reads forms 1 and 2", form)
		return s
	}
	s.table, s.shared, s.own = d.Uint32(), d.Uint32(), d.Uint32()
	if d.Err() == nil && (s.table == 0 || s.shared == 0 || uint64(s.table)+uint64(s.shared)+uint64(s.own) > maxPages) {
		d.Failf("a segment with %d buckets, %d shared pages, %d pages of long lists", s.table, s.shared, s.own)
		return s
	}
	for range d.Len(2*maxTokenLookups, 4+len(key{})) {
		p := tokenPage{page: d.Uint32()}
		copy(p.key[:], d.Raw(len(p.key)))
		if n := len(s.pages); d.Err() == nil && (p.page >= s.table+s.shared || n > 0 && p.page <= s.pages[n-1].page) {
			d.Failf("the key of page %d is out of order or range", p.page)
		}
		s.pages = append(s.pages, p)
	}
	for range d.Len(maxTokenLookups, 8+4+4+2*len(key{})) {
		l := tokenLookup{print: d.Uint64(), bucket: d.Uint32(), second: d.Uint32()}
		copy(l.pad[:], d.Raw(len(l.pad)))
		copy(l.key[:], d.Raw(len(l.key)))
		if d.Err() == nil && (l.second >= s.shared || l.bucket >= s.table || s.pageKey(l.bucket) == nil) {
			d.Failf("a term in bucket %d, its list in page %d: out of range, or without a key", l.bucket, l.second)
		}
		s.lookups = append(s.lookups, l)
	}
	for i := range s.answers {
		n := d.Len(maxTokenClauses, 4)
		if d.Err() == nil && n == 0 {
			d.Failf("a query without a part")
		}
		for range n {
			var clause []uint32
			for range d.Len(maxTokenLookups, 4) {
				l := d.Uint32()
				if d.Err() == nil && int(l) >= len(s.lookups) {
					d.Failf("term %d of %d", l, len(s.lookups))
				}
				clause = append(clause, l)
			}
			s.answers[i].clauses = append(s.answers[i].clauses, clause)
		}
	}
	return s
}

// pageKey is the key of a page, or nil.
func (s *tokenSegment) pageKey(page uint32) *key {
	i, ok := slices.BinarySearchFunc(s.pages, page, func(p tokenPage, n uint32) int { return int(int64(p.page) - int64(n)) })
	if !ok {
		return nil
	}
	return &s.pages[i].key
}

const redacted = "redacted"

// Format prints "redacted" under every verb.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs "redacted".
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives "redacted", in JSON too. It cannot be read back: ExposeSecret is the encoding.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }
