package sse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
	t       *rapid.T
	r       *rand.Rand
	store   *memStore
	schema  Schema
	secret  []byte
	writers []*Index
	truth   oracle
}

func newOracleRun(t *rapid.T) *oracleRun {
	w := &oracleRun{t: t, r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), store: newMemStore(), secret: bytes.Repeat([]byte{7}, KeySize), truth: make(oracle)}
	w.schema = drawOracleSchema(w.r)
	ix, err := Create(context.Background(), w.store, w.secret, ID{1}, w.schema, Options{Grace: time.Hour})
	require.NoError(t, err)
	ix.Close() // a run repeats itself only without merges in the background
	w.writers = []*Index{ix}
	w.reopen()
	return w
}

// reopen begins again, with the anchor of a writer, as other programs would.
func (w *oracleRun) reopen() {
	a := w.writers[0].Anchor()
	w.writers = nil
	for _, o := range []Options{{Anchor: a}, {CacheBytes: 100_000}, {}} {
		ix, err := Open(context.Background(), w.store, w.secret, ID{1}, o)
		require.NoError(w.t, err)
		ix.Close()
		w.writers = append(w.writers, ix)
	}
}

func (w *oracleRun) writer() *Index { return w.writers[w.r.IntN(len(w.writers))] }

// batch makes changes of n documents whose IDs begin so, and a function that tells the oracle. The changes of one document are of one kind.
func (w *oracleRun) batch(prefix string, n int) (b Batch, apply func()) {
	var changes []func()
	seen := make(map[string]bool)
	for range n {
		id := fmt.Sprintf("%s-%d", prefix, w.r.IntN(150))
		if seen[id] {
			continue
		}
		seen[id] = true
		if w.r.IntN(6) == 0 {
			revision := uint64(w.r.IntN(5))
			b.Delete = append(b.Delete, Deletion{id, revision})
			changes = append(changes, func() { w.truth.delete(id, revision) })
		} else {
			d := drawOracleDoc(w.r, w.schema)
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

func (w *oracleRun) size() int { return []int{1, 1, 2, 20, 300}[w.r.IntN(5)] }

// apply writes a batch, sometimes twice.
func (w *oracleRun) apply(ctx context.Context) {
	b, told := w.batch("id", w.size())
	for range 1 + w.r.IntN(2) {
		require.NoError(w.t, w.writer().Apply(ctx, b))
	}
	told()
}

// fresh writes documents that are asserted to be new.
func (w *oracleRun) fresh(ctx context.Context) {
	b := Batch{New: true}
	for range w.size() {
		id, d := fmt.Sprintf("new-%x", w.r.Uint64()), drawOracleDoc(w.r, w.schema)
		b.Put = append(b.Put, d.document(id))
		w.truth.put(id, d)
	}
	require.NoError(w.t, w.writer().Apply(ctx, b))
}

// together lets all writers write at once, each its own documents.
func (w *oracleRun) together(ctx context.Context) {
	var wait sync.WaitGroup
	errs := make([]error, len(w.writers))
	for i, ix := range w.writers {
		b, told := w.batch(fmt.Sprint("together", i), w.size())
		told()
		wait.Go(func() { errs[i] = ix.Apply(ctx, b) })
	}
	wait.Wait()
	require.NoError(w.t, errors.Join(errs...))
}

// broken lets the store fail in the middle of a batch, and the program with it; another one writes the batch again.
func (w *oracleRun) broken(ctx context.Context) {
	b, told := w.batch("id", w.size())
	left := w.r.IntN(6)
	w.store.swapLost = w.r.IntN(2) == 0
	w.store.fail = func(string) error {
		if left--; left < 0 {
			return errDisk
		}
		return nil
	}
	err := w.writer().Apply(ctx, b)
	w.store.fail, w.store.swapLost = nil, false
	if err != nil {
		require.ErrorIs(w.t, err, errDisk)
		w.reopen()
		require.NoError(w.t, w.writer().Apply(ctx, b))
	}
	told()
}

func (w *oracleRun) compact(ctx context.Context) {
	o := CompactOptions{DeleteNow: w.r.IntN(2) == 0, Full: w.r.IntN(2) == 0}
	if w.r.IntN(5) == 0 {
		o.NewKey = bytes.Repeat([]byte{byte(w.r.Uint32())}, KeySize)
	}
	require.NoError(w.t, w.writer().Compact(ctx, o))
	if o.NewKey != nil {
		if !bytes.Equal(o.NewKey, w.secret) {
			_, err := Open(ctx, w.store, w.secret, ID{1}, Options{})
			require.ErrorIs(w.t, err, ErrDecrypt)
		}
		w.secret = o.NewKey
		w.reopen()
	}
	if o.NewKey != nil || o.Full {
		w.truth.forget()
	}
}

func (w *oracleRun) get(ctx context.Context) {
	id := fmt.Sprintf("id-%d", w.r.IntN(150))
	h, err := w.writer().Get(ctx, id)
	if d, ok := w.truth[id]; ok && !d.tomb {
		require.NoError(w.t, err)
		require.Equal(w.t, []any{id, d.revision, d.stored}, []any{h.ID, h.Revision, h.Stored})
	} else {
		require.ErrorIs(w.t, err, ErrNotFound)
	}
}

// search compares one search with the oracle: the hits, the count alone, and a part of the hits. The query goes through its text, as
// people write it.
func (w *oracleRun) search(ctx context.Context, q oracleQuery) {
	parsed, err := ParseQuery(w.schema, q.query.String())
	require.NoError(w.t, err)
	require.Equal(w.t, q.query, parsed)
	ix := w.writer()
	res, err := ix.Search(ctx, parsed, SearchOptions{})
	require.NoError(w.t, err, "%v", parsed)
	var want, got []string
	for id, d := range w.truth {
		if !d.tomb && q.match(d) {
			want = append(want, id)
		}
	}
	for _, h := range res.Hits {
		got = append(got, h.ID)
		d := w.truth[h.ID]
		require.Equal(w.t, []any{d.revision, d.stored}, []any{h.Revision, h.Stored}, h.ID)
	}
	slices.Sort(want)
	require.Equal(w.t, want, slices.Sorted(slices.Values(got)), "%v", parsed)
	require.Equal(w.t, len(want), res.Total)

	counted, err := ix.Search(ctx, parsed, SearchOptions{CountOnly: true})
	require.NoError(w.t, err)
	require.Equal(w.t, len(want), counted.Total)
	require.Empty(w.t, counted.Hits)
	limit := 1 + w.r.IntN(20)
	part, err := w.writer().Search(ctx, parsed, SearchOptions{Limit: limit})
	require.NoError(w.t, err)
	require.Equal(w.t, len(want), part.Total)
	require.Equal(w.t, res.Hits[:min(limit, len(want))], part.Hits)
}

func TestIndexAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		w := newOracleRun(t)
		for range rapid.IntRange(3, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2:
				w.apply(ctx)
			case 3:
				w.fresh(ctx)
			case 4:
				w.together(ctx)
			case 5:
				w.broken(ctx)
			case 6:
				w.compact(ctx)
			case 7:
				w.reopen()
			case 8, 9:
				w.get(ctx)
			}
			for range 3 {
				w.search(ctx, drawQuery(w.r, w.schema, 2))
			}
		}
		nothing := Term(w.schema.Fields[0].Name, drawOracleValue(w.r, w.schema.Fields[0]).value)
		w.search(ctx, oracleQuery{Or(nothing, Not(nothing)), func(oracleDoc) bool { return true }})
		require.NoError(t, w.writer().Verify(ctx))
		st, err := w.writer().Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, w.truth.live(), st.Rows)
		require.LessOrEqual(t, st.Tails, maxTails)
	})
}
