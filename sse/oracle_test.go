package sse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The oracle of a partition: a map from ID to the document, deleted ones included.
type oracle map[string]oracleDoc

func (o oracle) put(id string, d oracleDoc) {
	if old, ok := o[id]; !ok || d.revision > old.revision || d.revision == old.revision && d.tomb && !old.tomb {
		o[id] = d
	}
}

func (o oracle) delete(id string, revision uint64) {
	if revision == 0 {
		old, ok := o[id]
		if !ok || old.tomb {
			return
		}
		revision = old.revision
	}
	o.put(id, oracleDoc{revision: revision, tomb: true})
}

// forget drops what a compaction of everything drops: who was deleted, and with which revision.
func (o oracle) forget() {
	maps.DeleteFunc(o, func(_ string, d oracleDoc) bool { return d.tomb })
}

func (o oracle) live() (n int) {
	for _, d := range o {
		if !d.tomb {
			n++
		}
	}
	return n
}

// An oracleRun is a partition, several who write to it, and what the oracle knows of it.
type oracleRun struct {
	t       require.TestingT
	r       *rand.Rand
	store   *memStore
	id      ID
	schema  Schema
	secret  []byte
	writers []*Index
	truth   oracle
	old     []string                 // IDs that the partition began with
	known   map[string][]oracleValue // by field, values that documents have or had
	merging bool                     // in the background, too: then a run may not repeat itself
	fields  int                      // that were added
	found   map[string]int           // by kind of query and of options, how often there were hits
}

// newOracleRun makes a partition, with a drawn schema if there is none.
func newOracleRun(t require.TestingT, seed uint64, schema Schema, profile Profile) *oracleRun {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &oracleRun{t: t, store: newMemStore(), id: ID{1}, schema: schema, secret: bytes.Repeat([]byte{7}, KeySize)}
	if schema.Fields == nil {
		w.schema = drawOracleSchema(r)
	}
	ix, err := Create(context.Background(), w.store, w.secret, w.id, w.schema, Options{Grace: time.Hour, Profile: profile})
	require.NoError(t, err)
	ix.Close() // a run repeats itself only without merges in the background
	w.start(r, ix)
	return w
}

func (w *oracleRun) start(r *rand.Rand, ix *Index) {
	w.r, w.truth, w.known, w.found, w.writers = r, make(oracle), make(map[string][]oracleValue), make(map[string]int), []*Index{ix}
	w.reopen()
}

// reopen begins again, with the anchor of a writer, as other programs would.
func (w *oracleRun) reopen() {
	a := w.writers[0].Anchor()
	for _, ix := range w.writers {
		ix.Close()
	}
	w.writers = nil
	for _, o := range []Options{{Anchor: a}, {CacheBytes: 100_000}, {}} {
		ix, err := Open(context.Background(), w.store, w.secret, w.id, o)
		require.NoError(w.t, err)
		if !w.merging {
			ix.Close()
		}
		w.writers = append(w.writers, ix)
	}
}

func (w *oracleRun) writer() *Index { return w.writers[w.r.IntN(len(w.writers))] }

// drawDoc makes a document. Its values may be asked for from now on.
func (w *oracleRun) drawDoc() oracleDoc {
	d := drawOracleDoc(w.r, w.schema)
	for field, values := range d.values {
		w.known[field] = append(w.known[field], values...)
	}
	return d
}

// batch makes changes of n documents whose IDs begin so, and a function that tells the oracle. The changes of one document are of one kind.
func (w *oracleRun) batch(prefix string, n int) (b Batch, apply func()) {
	var changes []func()
	seen := make(map[string]bool)
	for range n {
		id := fmt.Sprintf("%s-%d", prefix, w.r.IntN(150))
		if len(w.old) > 0 && prefix == "id" && w.r.IntN(2) == 0 {
			id = w.old[w.r.IntN(len(w.old))]
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		if w.r.IntN(6) == 0 {
			revision := uint64(w.r.IntN(5))
			b.Delete = append(b.Delete, Deletion{id, revision})
			changes = append(changes, func() { w.truth.delete(id, revision) })
		} else {
			d := w.drawDoc()
			b.Put = append(b.Put, d.document(id))
			changes = append(changes, func() { w.truth.put(id, d) })
		}
	}
	return b, func() {
		for _, c := range changes {
			c()
		}
	}
}

func (w *oracleRun) size() int { return []int{1, 1, 2, 20, 260}[w.r.IntN(5)] }

// apply writes a batch, sometimes twice.
func (w *oracleRun) apply(ctx context.Context, n int) {
	b, told := w.batch("id", n)
	for range 1 + w.r.IntN(2) {
		require.NoError(w.t, w.writer().Apply(ctx, b))
	}
	told()
}

// fresh writes documents that are asserted to be new.
func (w *oracleRun) fresh(ctx context.Context, n int) {
	b := Batch{New: true}
	for range n {
		id, d := fmt.Sprintf("new-%x", w.r.Uint64()), w.drawDoc()
		b.Put = append(b.Put, d.document(id))
		w.truth.put(id, d)
	}
	require.NoError(w.t, w.writer().Apply(ctx, b))
}

// together lets all writers write at once, each its own documents, some of them several batches.
func (w *oracleRun) together(ctx context.Context) {
	var wait sync.WaitGroup
	errs := make([]error, 2*len(w.writers))
	for i := range errs {
		ix := w.writers[i%len(w.writers)]
		prefix, n := fmt.Sprint("together", i), w.size()
		if w.r.IntN(3) == 0 {
			docs, told := w.sequence(prefix, n)
			wait.Go(func() { _, errs[i] = ix.Load(ctx, docs, LoadOptions{}) })
			told()
			continue
		}
		b, told := w.batch(prefix, min(n, 20))
		wait.Go(func() { errs[i] = ix.Apply(ctx, b) })
		told()
	}
	wait.Wait()
	require.NoError(w.t, errors.Join(errs...))
}

// errSequence ends a sequence of documents that cannot be read to its end.
var errSequence = errors.New("the sequence ends")

// sequence is documents as Load takes them, some of them several times, and a function that tells the oracle.
func (w *oracleRun) sequence(prefix string, n int) (docs iter.Seq2[Document, error], apply func()) {
	var ids []string
	var list []oracleDoc
	for range n {
		ids = append(ids, fmt.Sprintf("%s-%d", prefix, w.r.IntN(150)))
		list = append(list, w.drawDoc())
	}
	return func(yield func(Document, error) bool) {
			for i, d := range list {
				if !yield(d.document(ids[i]), nil) {
					return
				}
			}
		}, func() {
			for i, d := range list {
				w.truth.put(ids[i], d)
			}
		}
}

// load puts a sequence of documents, after it failed to.
func (w *oracleRun) load(ctx context.Context) {
	docs, told := w.sequence("id", w.size())
	if w.r.IntN(2) == 0 {
		done, err := w.writer().Load(ctx, func(yield func(Document, error) bool) {
			for d := range docs {
				if !yield(d, nil) {
					return
				}
			}
			yield(Document{}, errSequence)
		}, LoadOptions{})
		require.ErrorIs(w.t, err, errSequence)
		require.Zero(w.t, done, "all of it fits into one segment")
	} else if err := w.broken(ctx, func(ctx context.Context, ix *Index) error {
		_, err := ix.Load(ctx, docs, LoadOptions{})
		return err
	}); err != nil {
		w.reopen()
	}
	read := 0
	for range docs {
		read++
	}
	done, err := w.writer().Load(ctx, docs, LoadOptions{})
	require.NoError(w.t, err)
	require.Equal(w.t, read, done)
	told()
}

// addField widens the schema; documents that are there have nothing in the field.
func (w *oracleRun) addField(ctx context.Context) {
	if len(w.schema.Fields) > 8 {
		return
	}
	types := []Type{Keyword, Text, Integer, Date, Name, Bytes, Decimal, Time}
	w.fields++
	f := drawOracleField(w.r, fmt.Sprint("added", w.r.IntN(1000), "-", w.fields), types[w.r.IntN(len(types))])
	ix := w.writer()
	require.NoError(w.t, ix.AddField(ctx, f))
	w.schema = ix.Schema()
}

// broken does something while the store ends to work from a drawn call on, or the caller gives up there. If that fails, the program has ended
// with it and others go on.
func (w *oracleRun) broken(ctx context.Context, do func(context.Context, *Index) error) error {
	ix := w.writer()
	for _, other := range w.writers { // what merges in the background is no part of it
		other.Close()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	want := errDisk
	if w.r.IntN(2) == 0 {
		want = context.Canceled
	}
	left := w.r.IntN(12)
	w.store.swapLost = w.r.IntN(2) == 0
	w.store.fail = func(string) error {
		if left--; left >= 0 {
			return nil
		}
		if want == errDisk {
			return errDisk
		}
		cancel()
		return nil // the next call sees the context
	}
	err := do(ctx, ix)
	w.store.fail, w.store.swapLost = nil, false
	if w.merging {
		w.reopen()
	}
	if err != nil {
		require.ErrorIs(w.t, err, want)
	}
	return err
}

// brokenApply lets a batch fail in the middle; another writer writes it again.
func (w *oracleRun) brokenApply(ctx context.Context) {
	b, told := w.batch("id", w.size())
	if err := w.broken(ctx, func(ctx context.Context, ix *Index) error { return ix.Apply(ctx, b) }); err != nil {
		w.reopen()
		require.NoError(w.t, w.writer().Apply(ctx, b))
	}
	told()
}

// brokenSearch lets a search fail in the middle: it fails, and does not answer with less.
func (w *oracleRun) brokenSearch(ctx context.Context) {
	q := drawQuery(w.r, w.schema, w.known, 1)
	if q.exists && w.hasForm(ctx, formFull1) {
		return
	}
	var res *Result
	err := w.broken(ctx, func(ctx context.Context, ix *Index) (err error) {
		res, err = ix.Search(ctx, q.query, SearchOptions{})
		return err
	})
	if err == nil {
		require.Equal(w.t, w.matches(q), idsOf(res.Hits))
	}
}

func (w *oracleRun) compactOptions() (o CompactOptions) {
	o = CompactOptions{DeleteNow: w.r.IntN(2) == 0, Full: w.r.IntN(2) == 0}
	if w.r.IntN(5) == 0 {
		o.NewKey = bytes.Repeat([]byte{byte(w.r.Uint32())}, KeySize)
	}
	return o
}

func (w *oracleRun) compact(ctx context.Context, o CompactOptions) {
	require.NoError(w.t, w.writer().Compact(ctx, o))
	if o.NewKey != nil {
		if !bytes.Equal(o.NewKey, w.secret) {
			_, err := Open(ctx, w.store, w.secret, w.id, Options{})
			require.ErrorIs(w.t, err, ErrDecrypt)
		}
		w.secret = o.NewKey
		w.reopen()
	}
	if o.NewKey != nil || o.Full {
		w.truth.forget()
	}
}

// brokenCompact lets a compaction or a rotation fail in the middle. It took place or it did not; which deletions are forgotten is
// known after a full one.
func (w *oracleRun) brokenCompact(ctx context.Context) {
	o := w.compactOptions()
	err := w.broken(ctx, func(ctx context.Context, ix *Index) error { return ix.Compact(ctx, o) })
	if o.NewKey != nil {
		if _, err := Open(ctx, w.store, o.NewKey, w.id, Options{}); err == nil {
			w.secret = o.NewKey
		} else {
			require.ErrorIs(w.t, err, ErrDecrypt)
		}
	}
	w.reopen()
	if err != nil {
		w.search(ctx, oracleQuery{query: All(), match: func(oracleDoc) bool { return true }})
	}
	if o.NewKey != nil || o.Full {
		w.compact(ctx, CompactOptions{Full: true})
	}
}

func (w *oracleRun) get(ctx context.Context) {
	id := fmt.Sprintf("id-%d", w.r.IntN(150))
	h, err := w.writer().Get(ctx, id)
	if d, ok := w.truth[id]; ok && !d.tomb {
		require.NoError(w.t, err)
		require.Equal(w.t, d.hit(w.schema, id), h)
	} else {
		require.ErrorIs(w.t, err, ErrNotFound)
	}
}

// step does one of the things that happen to a partition.
func (w *oracleRun) step(ctx context.Context, n int) {
	switch n {
	case 0, 1, 2:
		w.apply(ctx, w.size())
	case 3:
		w.fresh(ctx, w.size())
	case 4:
		w.together(ctx)
	case 5:
		w.brokenApply(ctx)
	case 6:
		w.compact(ctx, w.compactOptions())
	case 7:
		w.reopen()
	case 8:
		w.get(ctx)
		w.brokenSearch(ctx)
	case 9:
		w.brokenCompact(ctx)
	case 10:
		w.load(ctx)
	case 11:
		w.addField(ctx)
	}
}

// finish checks what holds at the end whatever was done.
func (w *oracleRun) finish(ctx context.Context) {
	for _, ix := range w.writers {
		ix.Close()
	}
	w.search(ctx, oracleQuery{query: All(), match: func(oracleDoc) bool { return true }})
	require.NoError(w.t, w.writer().Verify(ctx))
	st, err := w.writer().Stats(ctx)
	require.NoError(w.t, err)
	require.Equal(w.t, w.truth.live(), st.Rows)
	require.NoError(w.t, st.MergeError)
	// Calls that meet may each leave a tail more than there should be; the writes after them take those over.
	require.LessOrEqual(w.t, st.Tails, maxTails+2*len(w.writers))
}

func TestIndexAgainstOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		profile := Profile(rapid.IntRange(1, 3).Draw(t, "profile"))
		w := newOracleRun(t, rapid.Uint64().Draw(t, "seed"), Schema{}, profile)
		w.merging = rapid.IntRange(0, 3).Draw(t, "merging") == 0
		w.reopen()
		for range rapid.IntRange(3, 9).Draw(t, "steps") {
			w.step(ctx, rapid.IntRange(0, 11).Draw(t, "step"))
			for range 3 {
				w.search(ctx, drawQuery(w.r, w.schema, w.known, 2))
			}
		}
		w.finish(ctx)
	})
}
