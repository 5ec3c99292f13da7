package sse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store that lies: at one call, or from one call on, it answers with something else than the truth. Every operation is run with every lie at
// every one of its calls. Each time what comes back is what an honest store gives, or a named error.

// liar tells a lie at call number at, and at later ones too if it goes on.
type liar struct {
	*memStore
	lie    lie
	at     int
	goesOn bool
	world  *world

	calls int
	told  bool
	stop  context.CancelFunc
}

// lie changes what calls of one kind do; the others are nil.
type lie struct {
	name string
	// read is given the truth, and may change it.
	read  func(l *liar, runs []Run, pages [][]byte) ([][]byte, error)
	head  func(l *liar, version uint64, blob []byte, latest uint64) ([]byte, uint64, error)
	write func(l *liar, partition, segment ID, pages [][]byte) error
	list  func(l *liar, infos []SegmentInfo) ([]SegmentInfo, error)
	del   func(l *liar, partition, segment ID) error
	swap  func(l *liar, partition ID, version uint64, blob []byte) error
	// destroys says that what the store holds is not what it was told to hold: then what is lost is lost, but not without an error.
	destroys bool
}

// now counts a call and says whether it is lied to.
func (l *liar) now(tells bool) bool {
	l.calls++
	if !tells || l.calls != l.at && (!l.goesOn || l.calls < l.at) {
		return false
	}
	l.told = true
	return true
}

func (l *liar) Read(ctx context.Context, partition ID, runs []Run) ([][]byte, error) {
	lies := l.now(l.lie.read != nil)
	pages, err := l.memStore.Read(ctx, partition, runs)
	if err != nil || !lies {
		return pages, err
	}
	return l.lie.read(l, runs, pages)
}

func (l *liar) Head(ctx context.Context, partition ID, version uint64) ([]byte, uint64, error) {
	lies := l.now(l.lie.head != nil)
	blob, latest, err := l.memStore.Head(ctx, partition, version)
	if err != nil || !lies {
		return blob, latest, err
	}
	return l.lie.head(l, version, blob, latest)
}

func (l *liar) WriteSegment(ctx context.Context, partition, segment ID, pages iter.Seq2[[]byte, error]) error {
	if !l.now(l.lie.write != nil) {
		return l.memStore.WriteSegment(ctx, partition, segment, pages)
	}
	var all [][]byte
	for p, err := range pages {
		if err != nil {
			return err
		}
		all = append(all, slices.Clone(p))
	}
	return l.lie.write(l, partition, segment, all)
}

func (l *liar) Segments(ctx context.Context, partition ID) ([]SegmentInfo, error) {
	lies := l.now(l.lie.list != nil)
	infos, err := l.memStore.Segments(ctx, partition)
	if err != nil || !lies {
		return infos, err
	}
	return l.lie.list(l, infos)
}

func (l *liar) DeleteSegment(ctx context.Context, partition, segment ID) error {
	if !l.now(l.lie.del != nil) {
		return l.memStore.DeleteSegment(ctx, partition, segment)
	}
	return l.lie.del(l, partition, segment)
}

func (l *liar) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	if !l.now(l.lie.swap != nil) {
		return l.memStore.SwapHead(ctx, partition, version, blob)
	}
	return l.lie.swap(l, partition, version, blob)
}

// put writes pages for the liar.
func (l *liar) put(partition, segment ID, pages [][]byte) error {
	return l.memStore.WriteSegment(context.Background(), partition, segment, func(yield func([]byte, error) bool) {
		for _, p := range pages {
			if !yield(p, nil) {
				return
			}
		}
	})
}

// clone is a store with the same in it.
func (m *memStore) clone() *memStore {
	c := newMemStore()
	for p, segments := range m.segments {
		c.segments[p] = maps.Clone(segments)
	}
	for p, heads := range m.heads {
		c.heads[p] = slices.Clone(heads)
	}
	return c
}

// world is a partition with a past, another partition under the same key, and another future of the same past.
type world struct {
	store *memStore // partition 1 as it is, with segments that were replaced, and partition 2
	fork  *memStore
	seen  Anchor
	token *Token
	ask   Cursor
	sets  []RowSet
}

var lieSchema = Schema{Fields: []Field{
	{Name: "name", Type: Name, Fuzzy: true},
	{Name: "note", Type: Text, Language: "en", Prefix: true, Phrase: true, Rank: true},
	{Name: "tag", Type: Keyword, Prefix: true, Facet: true, Substring: true, Stored: true, Sort: true},
	{Name: "n", Type: Integer, Min: 0, Max: 1000, Stored: true, Sort: true},
}}

var lieWords = []string{"asthma", "with", "severe", "cough", "fever", "mild", "rash", "after", "rest"}

func lieDoc(id string, i int) Document {
	return Document{ID: id, Revision: 1, Stored: []byte("stored " + id), Fields: Fields{
		"name": {String([]string{"Anna Meyer", "Jon Smith", "Maria Rossi"}[i%3])},
		"note": {String(strings.Join([]string{lieWords[i%9], lieWords[i/2%9], lieWords[i/5%9], lieWords[i/7%9]}, " "))},
		"tag":  {String(fmt.Sprintf("tag-%d", i%5))},
		"n":    {Int(int64(i % 300))},
	}}
}

func lieBatch(name string, n int) (b Batch) {
	for i := range n {
		b.Put = append(b.Put, lieDoc(fmt.Sprint(name, "-", i), i))
	}
	return b
}

func newWorld(t *testing.T, profile Profile) *world {
	ctx := context.Background()
	s := newMemStore()
	w := &world{store: s}
	other, err := Create(ctx, s, testKey, ID{2}, lieSchema, Options{Profile: profile})
	require.NoError(t, err)
	require.NoError(t, other.Apply(ctx, lieBatch("other", 256)))
	require.NoError(t, other.Apply(ctx, lieBatch("tail", 4)))
	ix := mustCreate(t, s, lieSchema, Options{Profile: profile})
	require.NoError(t, ix.Apply(ctx, lieBatch("old", 256)))
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "old-3"}}}))
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true})) // the replaced segments stay
	require.NoError(t, ix.Apply(ctx, lieBatch("new", 256)))
	require.NoError(t, ix.Apply(ctx, lieBatch("tail", 3)))
	w.fork = s.clone()
	for i := range 2 {
		require.NoError(t, mustOpen(t, w.fork, Options{}).Apply(ctx, Batch{Put: []Document{lieDoc(fmt.Sprint("fork-", i), 1)}}))
	}
	require.NoError(t, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "new-7"}, {ID: "old-8"}}}))
	w.seen = ix.Anchor()
	w.token = mustToken(t, ix, []Query{Term("tag", String("tag-2")), Range("n", Int(5), Int(60))})
	res, err := ix.Search(ctx, Exists("tag"), SearchOptions{Limit: 20})
	require.NoError(t, err)
	w.ask = res.Next
	w.sets, err = ix.Rows(ctx, Term("tag", String("tag-1")), SearchOptions{})
	require.NoError(t, err)
	return w
}

// named are the errors by which a caller knows what a store did.
var named = []error{ErrDamaged, ErrRollback, ErrMissing, ErrDecrypt, ErrExpired, ErrExists, context.Canceled, errBusy, ErrConflict, errUnknown, errReplaced}

func requireNamed(t *testing.T, err error, what string) {
	for _, n := range named {
		if errors.Is(err, n) {
			return
		}
	}
	require.Fail(t, "no name", "%s: %v", what, err)
}

// operation runs on an index that has seen the latest head, with nothing in its cache, and says what there was to be seen of it.
type operation struct {
	name   string
	writes bool
	run    func(ctx context.Context, ix *Index, w *world) (any, error)
}

func lookFor(name string, q Query, o SearchOptions) operation {
	return operation{name: name, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
		res, err := ix.Search(ctx, q, o)
		if err != nil {
			return nil, err
		}
		res.Cost = Cost{}
		return *res, nil
	}}
}

func lyingReads() []operation {
	return []operation{
		lookFor("term", Term("tag", String("tag-2")), SearchOptions{}),
		lookFor("bool", And(Term("tag", String("tag-2")), Not(Term("n", Int(7)))), SearchOptions{Limit: 9}),
		lookFor("range", Range("n", Int(3), Int(44)), SearchOptions{CountOnly: true}),
		lookFor("prefix", Prefix("note", "as"), SearchOptions{Limit: 3}),
		lookFor("fuzzy", Fuzzy("name", "smiht", 1), SearchOptions{Limit: 3}),
		lookFor("wildcard", Wildcard("note", "f?v*"), SearchOptions{Limit: 3}),
		lookFor("regexp", Regexp("tag", "tag-[12]"), SearchOptions{Limit: 3}),
		lookFor("substring", Substring("tag", "g-3"), SearchOptions{Limit: 3}),
		lookFor("phrase", Phrase("note", "severe cough"), SearchOptions{Limit: 3}),
		lookFor("sounds", Sounds("name", "Maier"), SearchOptions{Limit: 3}),
		lookFor("exists", Exists("n"), SearchOptions{Limit: 3}),
		lookFor("all", All(), SearchOptions{Limit: 3}),
		lookFor("ranked", Term("note", String("coughs")), SearchOptions{Rank: true, Limit: 5}),
		lookFor("sorted", Exists("tag"), SearchOptions{Sort: "n", Limit: 5}),
		lookFor("facets", Term("name", String("smith")), SearchOptions{Facets: []string{"tag"}, CountOnly: true}),
		{name: "paged", run: func(ctx context.Context, ix *Index, w *world) (any, error) {
			res, err := ix.Search(ctx, Exists("tag"), SearchOptions{Limit: 20, After: w.ask})
			if err != nil {
				return nil, err
			}
			return res.Hits, nil
		}},
		{name: "get", run: func(ctx context.Context, ix *Index, _ *world) (any, error) { return ix.Get(ctx, "new-20") }},
		{name: "get none", run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			h, err := ix.Get(ctx, "new-7") // deleted
			if errors.Is(err, ErrNotFound) {
				return "none", nil
			}
			return h, err
		}},
		{name: "rows", run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return ix.Rows(ctx, Term("tag", String("tag-1")), SearchOptions{})
		}},
		{name: "hits", run: func(ctx context.Context, ix *Index, w *world) (any, error) {
			_, hits, err := ix.Hits(ctx, w.sets)
			return hits, err
		}},
		{name: "token", run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			token, err := ix.Token(ctx, []Query{Term("tag", String("tag-1"))}, nil)
			if err != nil {
				return nil, err
			}
			return token.ExposeSecret(), nil
		}},
		{name: "use of a token", run: func(ctx context.Context, ix *Index, w *world) (any, error) { return w.token.Rows(ctx, ix.store) }},
		{name: "verify", run: func(ctx context.Context, ix *Index, _ *world) (any, error) { return nil, ix.Verify(ctx) }},
		{name: "stats", run: func(ctx context.Context, ix *Index, _ *world) (any, error) { return ix.Stats(ctx) }},
		{name: "explain", run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return ix.Explain(ctx, Term("tag", String("tag-1")), SearchOptions{})
		}},
		{name: "open", run: func(ctx context.Context, ix *Index, w *world) (any, error) {
			again, err := Open(ctx, ix.store, testKey, ID{1}, Options{Anchor: w.seen})
			if err != nil {
				return nil, err
			}
			return again.Anchor(), nil
		}},
	}
}

var otherKey = []byte("fedcba9876543210fedcba9876543210")

func lyingWrites() []operation {
	return []operation{
		{name: "tail", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Apply(ctx, Batch{Put: []Document{lieDoc("added", 3), {ID: "new-9", Revision: 2}}})
		}},
		{name: "full", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Apply(ctx, lieBatch("more", 256))
		}},
		{name: "delete", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "old-1"}, {ID: "tail-1"}, {ID: "none"}}})
		}},
		{name: "tiers", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Compact(ctx, CompactOptions{})
		}},
		{name: "compact", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true})
		}},
		{name: "rotate", writes: true, run: func(ctx context.Context, ix *Index, _ *world) (any, error) {
			return nil, ix.Compact(ctx, CompactOptions{NewKey: otherKey})
		}},
	}
}

// tell runs one operation with one lie. It says whether the lie was told, and how many calls there were.
func (w *world) tell(t *testing.T, op operation, told lie, at int, goesOn bool) (got any, l *liar, err error) {
	l = &liar{memStore: w.store.clone(), lie: told, at: at, goesOn: goesOn, world: w}
	l.calls = -1 // opening is the truth
	ix, err := Open(context.Background(), l, testKey, ID{1}, Options{})
	require.NoError(t, err)
	require.Zero(t, l.calls)
	ix.Close() // calls of merges in the background would come in another order each time
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.stop = cancel
	got, err = op.run(ctx, ix, w)
	if op.writes {
		got = ix
	}
	return got, l, err
}

// eachLie calls test for every lie at every call of the operation.
func (w *world) eachLie(t *testing.T, op operation, test func(what string, got any, err error, l *liar)) (count int) {
	_, honest, err := w.tell(t, op, lie{}, 0, false)
	require.NoError(t, err, op.name)
	require.Positive(t, honest.calls, op.name)
	for i, told := range lies {
		for at := 1; at <= honest.calls; at++ {
			if testing.Short() && op.writes && (at+i)%3 != 0 {
				continue // a third of them
			}
			for _, goesOn := range []bool{false, true} {
				if goesOn && (op.writes && (told.swap != nil || told.write != nil || told.list != nil || told.del != nil) || (op.writes || at > 1) && testing.Short()) {
					continue // a store can keep a writer busy for ever
				}
				got, l, err := w.tell(t, op, told, at, goesOn)
				if l.told {
					count++
					test(fmt.Sprintf("%s, %s, call %d of %d, on and on: %v", op.name, told.name, at, honest.calls, goesOn), got, err, l)
				}
			}
		}
	}
	return count
}

// A lie to a reader changes nothing, or is an error with a name.
func TestReadersOfALyingStore(t *testing.T) {
	for _, profile := range []Profile{Balanced, Fast, Strict} {
		w := newWorld(t, profile)
		told, refused := 0, 0
		for _, op := range lyingReads() {
			want, _, err := w.tell(t, op, lie{}, 0, false)
			require.NoError(t, err, op.name)
			if op.name == "token" {
				again, _, _ := w.tell(t, op, lie{}, 0, false)
				require.Equal(t, want, again)
			}
			told += w.eachLie(t, op, func(what string, got any, err error, _ *liar) {
				if err != nil {
					refused++
					requireNamed(t, err, what)
					return
				}
				require.Equal(t, want, got, what)
			})
		}
		require.Greater(t, told, 500)
		require.Greater(t, refused, told/2, "most lies are about what is needed")
		if testing.Short() {
			return
		}
	}
}

// shows is everything that is to be seen of a partition.
func shows(ix *Index) (map[string]Hit, error) {
	ctx := context.Background()
	if err := ix.Verify(ctx); err != nil {
		return nil, err
	}
	res, err := ix.Search(ctx, All(), SearchOptions{})
	if err != nil {
		return nil, err
	}
	hits := make(map[string]Hit)
	for _, h := range res.Hits {
		if _, ok := hits[h.ID]; ok {
			return nil, fmt.Errorf("%q is there twice", h.ID)
		}
		hits[h.ID] = h
	}
	// Lists and rows say the same.
	for _, q := range []Query{Exists("tag"), Range("n", Int(0), Int(1000)), Regexp("tag", ".*")} {
		n := 0
		for _, h := range hits {
			if h.Values != nil {
				n++
			}
		}
		if res, err = ix.Search(ctx, q, SearchOptions{CountOnly: true}); err != nil {
			return nil, err
		}
		if res.Total != n {
			return nil, fmt.Errorf("%v finds %d of %d", q, res.Total, n)
		}
	}
	return hits, nil
}

// openAny opens a partition that may have been rotated.
func openAny(s Store) (*Index, error) {
	ix, err := Open(context.Background(), s, testKey, ID{1}, Options{})
	if errors.Is(err, ErrDecrypt) {
		return Open(context.Background(), s, otherKey, ID{1}, Options{})
	}
	return ix, err
}

// A lie to a writer leaves the partition as it was or as it should be, for everybody; where the store destroyed something of it, whoever
// misses that gets an error with a name. No error to the writer means that the change is there, or that the writer itself finds that it is not.
func TestWritersToALyingStore(t *testing.T) {
	w := newWorld(t, Balanced)
	ix, err := openAny(w.store.clone())
	require.NoError(t, err)
	before, err := shows(ix)
	require.NoError(t, err)
	for _, op := range lyingWrites() {
		_, l, err := w.tell(t, op, lie{}, 0, false)
		require.NoError(t, err)
		ix, err := openAny(l.memStore)
		require.NoError(t, err)
		after, err := shows(ix)
		require.NoError(t, err)
		told := w.eachLie(t, op, func(what string, got any, err error, l *liar) {
			if err != nil {
				requireNamed(t, err, what)
			}
			// The writer, when the store has stopped lying.
			writer := got.(*Index)
			writer.store = l.memStore
			seen, serr := shows(writer)
			if serr != nil {
				requireNamed(t, serr, what)
			} else if err == nil {
				require.Equal(t, after, seen, what)
			}
			// Somebody else.
			other, oerr := openAny(l.memStore)
			if oerr != nil {
				require.True(t, l.lie.destroys, "%s: %v", what, oerr)
				requireNamed(t, oerr, what)
				return
			}
			there, oerr := shows(other)
			switch {
			case oerr != nil:
				require.True(t, l.lie.destroys, "%s: %v", what, oerr)
				requireNamed(t, oerr, what)
			case err == nil && !l.lie.destroys:
				require.Equal(t, after, there, what)
			default:
				require.True(t, equalHits(before, there) || equalHits(after, there), what)
			}
		})
		require.Greater(t, told, 20, op.name)
	}
}

func equalHits(a, b map[string]Hit) bool {
	return maps.EqualFunc(a, b, func(x, y Hit) bool { return x.Revision == y.Revision && string(x.Stored) == string(y.Stored) })
}

// An object with many deletions is replaced by an older one, by that of another segment, by one of another partition: the root in the manifest
// tells. Without it every deleted row would come back.
func TestOldDeletionsAreNotReplayed(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	b := Batch{New: true}
	for i := range 10_000 {
		b.Put = append(b.Put, smallDoc(fmt.Sprint("doc-", i), i))
	}
	require.NoError(t, ix.Apply(ctx, b))
	remove := rand.New(rand.NewPCG(1, 2)).Perm(10_000)
	var old []*memSegment
	for _, part := range [][]int{remove[:4500], remove[4500:4700]} {
		b = Batch{}
		for _, i := range part {
			b.Delete = append(b.Delete, Deletion{ID: fmt.Sprint("doc-", i)})
		}
		require.NoError(t, ix.Apply(ctx, b))
		old = append(old, s.segments[ID{1}][ix.current().readers[0].deleted.object])
	}
	object := ix.current().readers[0].deleted.object
	require.NotEqual(t, ID{}, object)
	require.Equal(t, 5300, count(t, mustOpen(t, s, Options{}), Term("tag", String("all"))))
	for _, pages := range []*memSegment{old[0], s.segments[ID{1}][ix.current().readers[0].id]} {
		s.segments[ID{1}][object] = pages
		for _, f := range []func(ix *Index) error{
			func(ix *Index) error { _, err := ix.Search(ctx, All(), SearchOptions{Limit: 1}); return err },
			func(ix *Index) error { return ix.Verify(ctx) },
			func(ix *Index) error { return ix.Compact(ctx, CompactOptions{Full: true}) },
			func(ix *Index) error { return ix.Apply(ctx, Batch{Delete: []Deletion{{ID: "doc-1"}, {ID: "doc-2"}}}) },
		} {
			require.ErrorIs(t, f(mustOpen(t, s, Options{})), ErrDamaged)
		}
	}
	s.segments[ID{1}][object] = old[1]
	require.NoError(t, mustOpen(t, s, Options{}).Verify(ctx))
}

// What cannot be seen: a store that shows two clients two histories, each of them true up to the fork. Each client is content. When they compare
// anchors, they see it: of one number there are two hashes, and no history has both.
func TestForksShowWhenAnchorsAreCompared(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	mustCreate(t, s, smallSchema, Options{})
	s2 := s.clone()
	a, b := mustOpen(t, s, Options{}), mustOpen(t, s2, Options{})
	require.Equal(t, a.Anchor(), b.Anchor())
	for i := range 3 {
		require.NoError(t, a.Apply(ctx, batchOf(fmt.Sprint("a", i), 1)))
		require.NoError(t, b.Apply(ctx, batchOf(fmt.Sprint("b", i), 1)))
		require.NoError(t, a.Verify(ctx))
		require.NoError(t, b.Verify(ctx))
		require.Equal(t, a.Anchor().Counter, b.Anchor().Counter)
		require.NotEqual(t, a.Anchor().Hash, b.Anchor().Hash)
	}
	// Anchors of different numbers: the later client opens with the earlier anchor, and walks back.
	require.NoError(t, b.Apply(ctx, batchOf("b", 1)))
	_, err := Open(ctx, s2, testKey, ID{1}, Options{Anchor: a.Anchor()})
	require.ErrorIs(t, err, ErrRollback)
	// A client that is moved from one history to the other sees it as well.
	a.store = s2
	_, err = a.Search(ctx, All(), SearchOptions{})
	require.ErrorIs(t, err, ErrRollback)
}

// A store that has dropped heads proves nothing and disproves nothing, so one that hides a fork behind dropped heads is believed; but a store
// that drops one of the HeadsKept newest is not. Somebody who has kept the anchors of both histories sees it in any case.
func TestDroppedHeads(t *testing.T) {
	ctx := context.Background()
	s := newMemStore()
	ix := mustCreate(t, s, smallSchema, Options{})
	fork := s.clone()
	require.NoError(t, ix.Apply(ctx, batchOf("a", 1)))
	seen := ix.Anchor()
	other := mustOpen(t, fork, Options{})
	var anchors []Anchor
	for i := range HeadsKept + 3 {
		require.NoError(t, other.Apply(ctx, batchOf(fmt.Sprint("b", i), 1)))
		anchors = append(anchors, other.Anchor())
	}
	heads := slices.Clone(fork.heads[ID{1}])
	for n := range 5 {
		latest := len(heads) - n
		fork.heads[ID{1}] = slices.Clone(heads[:latest])
		for i := range 3 { // the fork is at number 2
			fork.heads[ID{1}][i] = nil
		}
		_, err := Open(ctx, fork, testKey, ID{1}, Options{Anchor: seen})
		if latest-3 < HeadsKept {
			require.ErrorIs(t, err, ErrRollback, "%d heads", latest)
		} else {
			require.NoError(t, err, "%d heads: what cannot be seen", latest)
		}
	}
	require.Equal(t, seen.Counter, anchors[0].Counter)
	require.NotEqual(t, seen, anchors[0])
}
