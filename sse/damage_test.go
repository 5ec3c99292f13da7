package sse

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// everyKind is a partition that has pages of every kind: a long list, a large bitmap of deleted rows, a segment of tombstones,
// and a tail.
func everyKind(t testing.TB, s Store) *Index {
	ctx := context.Background()
	ix := mustCreate(t, s, smallSchema, Options{})
	r := rand.New(rand.NewPCG(3, 4))
	var b Batch
	for i := range 10_000 {
		d := smallDoc(fmt.Sprintf("doc-%d", i), i)
		if r.IntN(2) == 0 {
			d.Fields["tag"] = append(d.Fields["tag"], String("half"))
		}
		b.Put = append(b.Put, d)
	}
	require.NoError(t, ix.Apply(ctx, b))
	b = Batch{}
	for _, i := range r.Perm(10_000)[:4500] {
		b.Delete = append(b.Delete, Deletion{ID: fmt.Sprintf("doc-%d", i)})
	}
	require.NoError(t, ix.Apply(ctx, b))
	require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{smallDoc("tail", 1)}}))
	require.Equal(t, 5501, count(t, ix, Term("tag", String("all"))))
	return ix
}

// pagesOf lists the first and the last page of every region of every segment, by kind.
func pagesOf(st *state) map[pageKind][]Run {
	out := make(map[pageKind][]Run)
	add := func(id ID, kind pageKind, r region) {
		if r.count > 0 {
			out[kind] = append(out[kind], Run{id, r.first, 1}, Run{id, r.first + r.count - 1, 1})
		}
	}
	for _, r := range st.readers {
		if r.deleted.bytes > 0 {
			add(r.deleted.object, kindDeleted, region{0, pagesFor(int(r.deleted.bytes))})
		}
		if r.isTail() {
			add(r.id, kindTail, region{0, r.pages()})
			continue
		}
		if r.docs == 0 {
			continue // only looked up by ID
		}
		add(r.id, kindTable, r.tableRegion())
		add(r.id, kindShared, r.sharedRegion())
		add(r.id, kindList, r.ownRegion())
		for i := range r.vocabs {
			add(r.id, kindVocab, r.vocabRegion(i))
		}
		add(r.id, kindTerms, r.termsRegion())
		add(r.id, kindRows, r.rowRegion())
		add(r.id, kindDirectory, r.directoryRegion())
	}
	return out
}

func TestDamagedPagesAreNamed(t *testing.T) {
	ctx := context.Background()
	d, err := OpenDir(t.TempDir())
	require.NoError(t, err)
	everyKind(t, d)
	st := mustOpen(t, d, Options{}).current()
	kinds := pagesOf(st)
	require.Len(t, kinds, 9, "a kind of page is missing from the test")

	// use reads pages of all kinds, from a cold cache.
	use := func(kind pageKind) error {
		ix := mustOpen(t, d, Options{})
		if kind == kindTerms {
			return ix.Compact(ctx, CompactOptions{Full: true})
		}
		// A cover of everything touches every table and shared page.
		_, err := ix.Search(ctx, And(Range("n", Int(1), Value{}), Or(Prefix("tag", "t"), Term("tag", String("half")))), SearchOptions{})
		if err == nil && (kind == kindTable || kind == kindShared) {
			for i := 0; i < 10_000 && err == nil; i += 1 {
				_, err = ix.Search(ctx, Term("n", Int(int64(i))), SearchOptions{CountOnly: true})
			}
		}
		return err
	}
	r := rand.New(rand.NewPCG(5, 6))
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, p := range kinds[kind] {
			path := d.SegmentPath(ID{1}, p.Segment)
			good, err := os.ReadFile(path)
			require.NoError(t, err)
			at := PageSize * (1 + int(p.First)) // behind the header page
			require.LessOrEqual(t, at+PageSize, len(good))
			other := PageSize
			if p.First == 0 {
				other = at + PageSize // its neighbour, if it has one
			}
			for name, change := range map[string]func([]byte) []byte{
				"bit":  func(b []byte) []byte { b[at+r.IntN(PageSize)] ^= 1 << r.IntN(8); return b },
				"tag":  func(b []byte) []byte { b[at+PageSize-1] ^= 0x80; return b },
				"cut":  func(b []byte) []byte { return b[:at+r.IntN(PageSize)] },
				"zero": func(b []byte) []byte { clear(b[at : at+PageSize]); return b },
				"moved": func(b []byte) []byte {
					if other+PageSize > len(b) {
						b[at] ^= 1
						return b
					}
					copy(b[at:at+PageSize], good[other:])
					return b
				},
			} {
				bad := change(slices.Clone(good))
				require.NoError(t, os.WriteFile(path, bad, 0o600))
				err := use(kind)
				require.ErrorIs(t, err, ErrDamaged, "kind %d page %d %s", kind, p.First, name)
				require.ErrorContains(t, err, filepath.Base(path))
				require.ErrorContains(t, err, "backup")
				err = mustOpen(t, d, Options{}).Verify(ctx)
				require.ErrorIs(t, err, ErrDamaged)
				require.ErrorContains(t, err, filepath.Base(path))
			}
			require.NoError(t, os.WriteFile(path, good, 0o600))
		}
	}
	ix := mustOpen(t, d, Options{})
	require.NoError(t, ix.Verify(ctx))
	require.Equal(t, st.anchor, ix.Anchor(), "a failed compaction changed the partition")
}

func TestDamagedHeadIsNamed(t *testing.T) {
	ctx := context.Background()
	d, err := OpenDir(t.TempDir())
	require.NoError(t, err)
	ix := mustCreate(t, d, smallSchema, Options{})
	require.NoError(t, ix.Apply(ctx, batchOf("a", 3)))
	path := d.HeadPath(ID{1}, 2)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 0; i < len(good); i += 97 {
		bad := slices.Clone(good)
		bad[i] ^= 4
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		_, err := Open(ctx, d, testKey, ID{1}, Options{})
		require.Error(t, err)
		require.ErrorContains(t, err, filepath.Base(path))
		_, err = ix.Search(ctx, Term("tag", String("all")), SearchOptions{})
		require.ErrorContains(t, err, filepath.Base(path))
	}
	require.NoError(t, os.WriteFile(path, good, 0o600))
	_, err = Open(ctx, d, make([]byte, KeySize), ID{1}, Options{})
	require.ErrorIs(t, err, ErrDecrypt)
	require.ErrorContains(t, err, filepath.Base(path))
	require.Equal(t, 3, count(t, ix, Term("tag", String("all"))))
}

func TestLostSegmentIsReported(t *testing.T) {
	s := newMemStore()
	everyKind(t, s)
	clear(s.segments[ID{1}])
	_, err := mustOpen(t, s, Options{}).Search(context.Background(), Term("tag", String("half")), SearchOptions{})
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "backup")
}

// A page opens only as what it was written: the partition, the segment, its number and its kind are authenticated.
func TestPagesAreBound(t *testing.T) {
	k := key{1}
	a, b := GenerateID(), GenerateID()
	plain := make([]byte, pageRoom)
	copy(plain, "a page")
	sealed := newSealer(newSegmentKeys(k, a, b)).seal(nil, plain, 7, kindRows, nil)
	open := func(k key, partition, segment ID, n uint32, kind pageKind) error {
		got, err := newSealer(newSegmentKeys(k, partition, segment)).open(slices.Clone(sealed), n, kind, nil)
		if err == nil {
			require.Equal(t, plain, got)
		}
		return err
	}
	require.NoError(t, open(k, a, b, 7, kindRows))
	require.Error(t, open(key{2}, a, b, 7, kindRows))
	require.Error(t, open(k, b, b, 7, kindRows))
	require.Error(t, open(k, a, a, 7, kindRows))
	require.Error(t, open(k, a, b, 8, kindRows))
	require.Error(t, open(k, a, b, 7, kindTable))

	// The same with the right keys, so that only the associated data can tell the difference.
	keys := newSegmentKeys(k, a, b)
	for _, change := range []func(*segmentKeys){
		func(s *segmentKeys) { s.partition = b },
		func(s *segmentKeys) { s.segment = a },
	} {
		other := *keys
		change(&other)
		_, err := newSealer(&other).open(slices.Clone(sealed), 7, kindRows, nil)
		require.Error(t, err)
	}
	s := newSealer(keys)
	right := s.pages.number(7)
	_, err := s.open(slices.Clone(sealed), 7, kindTable, &right)
	require.Error(t, err, "the kind is not authenticated")
	_, err = s.open(slices.Clone(sealed), 8, kindRows, &right)
	require.Error(t, err, "the number is not authenticated")
}

func TestRollbackIsDetected(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	put := func(ix *Index, id string) { require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{smallDoc(id, 1)}})) }
	put(ix, "a")
	old := slices.Clone(s.heads[ID{1}])
	put(ix, "b")
	put(ix, "c")
	seen := ix.Anchor()
	now := s.heads[ID{1}]

	s.heads[ID{1}] = old
	_, err := ix.Search(ctx, Term("tag", String("all")), SearchOptions{})
	require.ErrorIs(t, err, ErrRollback)
	require.ErrorIs(t, ix.Apply(ctx, Batch{Put: []Document{smallDoc("d", 1)}}), ErrRollback)
	_, err = Open(ctx, s, testKey, ID{1}, Options{Anchor: seen})
	require.ErrorIs(t, err, ErrRollback)

	// Another history of the same and of a greater length, written by somebody who has the key and was shown the old head.
	fork := mustOpen(t, s, Options{})
	for i := range 4 {
		put(fork, fmt.Sprint("fork-", i))
		_, err = Open(ctx, s, testKey, ID{1}, Options{Anchor: seen})
		require.ErrorIs(t, err, ErrRollback, "fork of %d", i)
		_, err = ix.Search(ctx, Term("tag", String("all")), SearchOptions{})
		require.ErrorIs(t, err, ErrRollback, "fork of %d", i)
	}

	// A head of the true history in the middle of the other does not help when the heads before it are not kept.
	mixed := slices.Clone(s.heads[ID{1}])
	require.Greater(t, len(mixed), len(now))
	mixed[len(mixed)-2], mixed[len(mixed)-3] = now[len(now)-1], nil
	s.heads[ID{1}] = mixed
	_, err = Open(ctx, s, testKey, ID{1}, Options{Anchor: Anchor{Counter: 1}})
	require.ErrorIs(t, err, ErrRollback)

	s.heads[ID{1}] = now
	put(ix, "d")
	put(ix, "e")
	re, err := Open(ctx, s, testKey, ID{1}, Options{Anchor: seen})
	require.NoError(t, err)
	require.Equal(t, 5, count(t, re, Term("tag", String("all"))))

	s.heads[ID{1}] = nil
	_, err = ix.Search(ctx, Term("tag", String("all")), SearchOptions{})
	require.ErrorIs(t, err, ErrRollback)

	// A head under the number of another does not open.
	s.heads[ID{1}] = slices.Clone(now)
	s.heads[ID{1}][1], s.heads[ID{1}][2] = now[2], now[1]
	s.heads[ID{1}] = s.heads[ID{1}][:2]
	_, err = Open(ctx, s, testKey, ID{1}, Options{})
	require.ErrorIs(t, err, ErrDecrypt)
}
