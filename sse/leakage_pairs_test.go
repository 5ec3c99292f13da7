package sse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two partitions with different data and the same leakage look the same to the store, up to the names of segments and the numbers of pages within a
// region. Each operation starts from a cold cache and looks up at most one thing in a segment, so that no two pages can meet by chance. The
// number of table pages follows from the keyed hash, and so does, a little, that of shared pages: they are left out of the numbers of pages.

// layouts are the segments that a store was seen to have, with their regions.
type layouts map[ID]*segment

func (m layouts) add(ix *Index) {
	for _, s := range ix.current().manifest.segments {
		m[s.id] = s
	}
}

// canonical names segments and pages by their first use.
func (m layouts) canonical(view []event) (out []string) {
	segments := make(map[ID]int)
	pages := make(map[placedPage]int)
	used := make(map[string]int)
	name := func(id ID) string {
		n, ok := segments[id]
		if !ok {
			n = len(segments)
			segments[id] = n
		}
		return fmt.Sprint("segment ", n)
	}
	for _, e := range view {
		var b strings.Builder
		fmt.Fprint(&b, e.op, " ")
		switch e.op {
		case "head", "swap":
			fmt.Fprint(&b, e.number, " of ", e.size)
		case "write":
			n := e.number
			if s := m[e.segment]; s != nil {
				n -= uint64(s.table + s.shared)
			}
			fmt.Fprint(&b, name(e.segment), " of ", n)
		case "delete":
			fmt.Fprint(&b, name(e.segment))
		}
		for _, r := range e.runs {
			s := m[r.Segment]
			if s == nil || s.isTail() || r.First == 0 && r.Count == s.pages() {
				fmt.Fprint(&b, name(r.Segment), " whole; ")
				continue
			}
			for n := r.First; n < r.First+r.Count; n++ {
				kind, i := (&content{reader: &reader{segment: s}}).kindOf(n)
				region := fmt.Sprint(name(r.Segment), " kind ", kind, " ", i)
				at, ok := pages[placedPage{r.Segment, n}]
				if !ok {
					at = used[region]
					used[region]++
					pages[placedPage{r.Segment, n}] = at
				}
				fmt.Fprint(&b, region, " page ", at, "; ")
			}
		}
		out = append(out, b.String())
	}
	return out
}

// pairDocs are documents of one shape: which says which words they have.
func pairDocs(which, name string, n int) []Document {
	words := map[string][]string{"a": {"asthma", "cough", "fever"}, "b": {"strain", "ulcer", "polyp"}}[which]
	docs := make([]Document, n)
	for i := range docs {
		docs[i] = Document{ID: fmt.Sprintf("%s-%s-%04d", name, which, i), Revision: 1, Stored: []byte(which + " stored"), Fields: Fields{
			"note": {String(words[i%3] + " " + words[i/3%3])},
			"tag":  {String(fmt.Sprintf("%s-%03d", which, i/2))},
			"n":    {Int(int64(map[string]int{"a": i % 7, "b": 999 - i%7}[which]))},
		}}
	}
	return docs
}

func pairWorld(t *testing.T, profile Profile, which string) (*watcher, layouts) {
	ctx := context.Background()
	s := &watcher{memStore: newMemStore()}
	ix := mustCreate(t, s.memStore, leakSchema, Options{Profile: profile})
	for _, b := range []Batch{{Put: pairDocs(which, "one", 300), New: true}, {Put: pairDocs(which, "two", 260), New: true}, {Put: pairDocs(which, "few", 3)},
		{Delete: []Deletion{{ID: "one-" + which + "-0007"}}}} {
		require.NoError(t, ix.Apply(ctx, b))
	}
	ix.Close()
	m := make(layouts)
	m.add(ix)
	return s, m
}

func TestPairsWithEqualLeakageLookTheSame(t *testing.T) {
	type op func(ctx context.Context, ix *Index, which string) error
	search := func(a, b Query, o SearchOptions) op {
		return func(ctx context.Context, ix *Index, which string) error {
			res, err := ix.Search(ctx, map[string]Query{"a": a, "b": b}[which], o)
			if err == nil && which == "a" && res.Total == 0 {
				return errors.New("nothing was found")
			}
			return err
		}
	}
	get := func(id string, want error) op {
		return func(ctx context.Context, ix *Index, which string) error {
			_, err := ix.Get(ctx, fmt.Sprintf(id, which))
			if !errors.Is(err, want) {
				return fmt.Errorf("%w instead of %w", err, want)
			}
			return nil
		}
	}
	apply := func(batch func(which string) Batch) op {
		return func(ctx context.Context, ix *Index, which string) error { return ix.Apply(ctx, batch(which)) }
	}
	compact := func(o CompactOptions) op {
		return func(ctx context.Context, ix *Index, _ string) error { return ix.Compact(ctx, o) }
	}
	one := SearchOptions{Limit: 1}
	counted := SearchOptions{CountOnly: true}
	operations := []struct {
		name string
		op   op
		fast bool // Fast promises it too
	}{
		{"other terms", search(Term("tag", String("a-004")), Term("tag", String("b-004")), counted), true},
		{"a term in an entry, and one in a list", search(Term("tag", String("a-004")), Term("n", Int(995)), counted), false},
		{"a term in a list, and none", search(Term("n", Int(3)), Term("n", Int(500)), counted), false},
		{"other hits", search(Term("tag", String("a-001")), Term("tag", String("b-100")), one), false},
		{"all", search(All(), All(), one), true},
		{"exists", search(Exists("n"), Exists("tag"), counted), true},
		{"get", get("one-%s-0040", nil), true},
		{"get none", get("none-%s", ErrNotFound), true},
		{"add", apply(func(w string) Batch { return Batch{Put: pairDocs(w, "new", 1)} }), true},
		{"add without a look", apply(func(w string) Batch { return Batch{Put: pairDocs(w, "new", 5), New: true} }), true},
		{"update", apply(func(w string) Batch {
			d := pairDocs(w, "two", 80)[map[string]int{"a": 3, "b": 70}[w]]
			d.Revision = 2
			return Batch{Put: []Document{d}}
		}), true},
		{"delete", apply(func(w string) Batch {
			return Batch{Delete: []Deletion{{ID: map[string]string{"a": "one-a-0001", "b": "one-b-0200"}[w]}}}
		}), true},
		{"delete none", apply(func(w string) Batch { return Batch{Delete: []Deletion{{ID: "none" + w, Revision: 4}}} }), true},
		{"bulk", apply(func(w string) Batch { return Batch{Put: pairDocs(w, "bulk", 300), New: true} }), true},
		{"compact", compact(CompactOptions{}), true},
		{"compact all", compact(CompactOptions{Full: true, DeleteNow: true}), true},
		{"rotate", compact(CompactOptions{NewKey: otherKey}), true},
	}
	for _, profile := range []Profile{Fast, Balanced, Strict} {
		for _, o := range operations {
			views := make(map[string][]string)
			for _, which := range []string{"a", "b"} {
				s, m := pairWorld(t, profile, which)
				ix, err := Open(context.Background(), s, testKey, ID{1}, Options{})
				require.NoError(t, err)
				ix.Close()
				s.view = nil
				require.NoError(t, o.op(context.Background(), ix, which), o.name)
				m.add(ix)
				views[which] = m.canonical(s.view)
			}
			require.NotEmpty(t, views["a"])
			switch {
			case profile != Fast || o.fast:
				require.Equal(t, views["a"], views["b"], "%s, profile %d", o.name, profile)
			case strings.Contains(o.name, "a term in a list, and none"):
				require.NotEqual(t, views["a"], views["b"], "Fast shows it: so the comparison can fail")
			}
		}
	}
}
