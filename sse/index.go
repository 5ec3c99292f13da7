package sse

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Options of Create and Open. The zero value is good.
type Options struct {
	// Profile is chosen when the partition is made and kept in it; 0 is Balanced. Open ignores it.
	Profile Profile
	// CacheBytes bounds the memory for opened pages; 0 is 64 MiB. Tails, vocabularies and deletions that do not fit are
	// read again each time.
	CacheBytes int
	// Grace is how long segments that a compaction replaced are kept for readers that still use them; 0 is one hour. A write
	// that takes longer than half of it starts over. All programs on one store should agree on it, and on the time of day to
	// within a quarter of it.
	Grace time.Duration
	// Anchor is a state that the caller remembers; Open fails with ErrRollback if the store is behind it. Create ignores it.
	Anchor Anchor
}

const (
	defaultCache = 64 << 20
	defaultGrace = time.Hour
)

// Index is one partition of an encrypted index, open for searching and writing. It is safe for concurrent use, and several
// programs may have the same partition open. It merges segments in the background after writes; Close ends that. An Index that is not
// closed loses nothing.
type Index struct {
	store     Store
	partition ID
	grace     time.Duration
	cache     *cache
	automata  automata

	queue   queue   // batches that wait for a commit
	tending tending // the merge in the background
	writing turn    // held to commit: in this program nobody loses a swap to somebody else. Writers of other programs meet in the store
	merging turn    // held to merge, and to write segments that a rotation would have to take over; taken before writing

	mu     sync.Mutex
	state  *state
	coming *key        // of a rotation, while its swap is under way
	swept  map[ID]bool // retired segments that were deleted, and that the next manifest may forget
}

// turn is a lock that one waits for as long as a context allows.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// state is a manifest that was adopted, with the keys of its segments. It is never changed.
type state struct {
	key      key
	manifest *manifest
	anchor   Anchor
	readers  []*reader // as manifest.segments
}

// reader is a segment with its keys. The embedded segment is that of one manifest, deletions included.
type reader struct {
	*segment
	keys    *segmentKeys
	profile Profile
}

func newIndex(store Store, partition ID, o Options) *Index {
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCache
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	return &Index{
		store: store, partition: partition, grace: o.Grace, cache: newCache(o.CacheBytes),
		writing: make(turn, 1), merging: make(turn, 1), swept: make(map[ID]bool),
	}
}

// Create makes an empty partition with the schema and opens it. key is 32 secret bytes, the partition key: it writes, reads and
// deletes, now and later; it is copied. ErrExists if the store has the partition already, ErrSchema for a schema that
// cannot be used.
func Create(ctx context.Context, store Store, key []byte, partition ID, schema Schema, o Options) (*Index, error) {
	k, err := checkKey(key)
	if err != nil {
		return nil, err
	}
	if err := schema.Validate(); err != nil {
		return nil, err
	}
	if o.Profile == 0 {
		o.Profile = Balanced
	}
	if err := o.Profile.check(); err != nil {
		return nil, err
	}
	ix := newIndex(store, partition, o)
	m := &manifest{counter: 1, written: time.Now().Unix(), profile: o.Profile, schema: Schema{Fields: schema.sorted()}}
	blob := sealManifest(k, partition, m)
	if err := ix.swap(ctx, 1, blob); errors.Is(err, ErrConflict) {
		return nil, fmt.Errorf("sse: partition %v: %w: open it instead", partition, ErrExists)
	} else if err != nil {
		return nil, err
	}
	ix.state = ix.adopt(k, m, anchorOf(m, blob))
	return ix, nil
}

// Open opens a partition that Create made. ErrMissing if there is none, ErrDecrypt for another key, ErrAnalyzer if it was built by
// another version of the analyzer, ErrRollback if the store is behind o.Anchor.
func Open(ctx context.Context, store Store, key []byte, partition ID, o Options) (*Index, error) {
	k, err := checkKey(key)
	if err != nil {
		return nil, err
	}
	ix := newIndex(store, partition, o)
	st, err := ix.load(ctx, k, nil, o.Anchor)
	if err != nil {
		return nil, err
	}
	ix.state = st
	return ix, nil
}

// Anchor is the state of the partition that was seen last.
func (ix *Index) Anchor() Anchor { return ix.current().anchor }

// Schema is the schema that the partition was made with, its fields sorted by name.
func (ix *Index) Schema() Schema { return ix.current().manifest.schema.canonical() }

func (ix *Index) current() *state {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.state
}

// refresh asks the store for the latest manifest: one round.
func (ix *Index) refresh(ctx context.Context) (*state, error) {
	now := ix.current()
	k := now.key
	for {
		st, err := ix.load(ctx, k, now, now.anchor)
		if err == nil {
			return ix.install(st), nil
		}
		if !errors.Is(err, ErrDecrypt) {
			return nil, err
		}
		// This Index may have rotated the key since, or may be about to: then the head is there already, and the state is not yet.
		next := ix.keyAfter(k)
		if next == nil {
			return nil, err
		}
		k = *next
	}
}

// keyAfter is another key than k to try: that of the current state, or the one that a rotation of this Index is bringing in.
func (ix *Index) keyAfter(k key) *key {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	switch {
	case ix.coming != nil && *ix.coming != k:
		return ix.coming
	case ix.coming == nil && ix.state.key != k:
		return &ix.state.key
	}
	return nil
}

// install makes st the current state unless a newer one is installed already. It returns the state to work with.
func (ix *Index) install(st *state) *state {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if st == ix.state || st.anchor.Counter < ix.state.anchor.Counter {
		return st
	}
	ix.state = st
	live := make(map[ID]bool)
	for _, s := range st.manifest.segments {
		live[s.id], live[s.deleted.object] = true, true
	}
	ix.cache.keep(func(id ID) bool { return live[id] })
	if len(ix.swept) > 0 {
		waits := make(map[ID]bool)
		for _, r := range st.manifest.retired {
			if ix.swept[r.id] {
				waits[r.id] = true
			}
		}
		ix.swept = waits
	}
	return st
}

// load reads the latest manifest and checks that it comes after the anchor. It returns old if that is still the latest.
func (ix *Index) load(ctx context.Context, k key, old *state, after Anchor) (*state, error) {
	blob, latest, err := ix.store.Head(ctx, ix.partition, 0)
	if err != nil {
		return nil, fmt.Errorf("sse: reading the head of partition %v: %w", ix.partition, err)
	}
	if latest < after.Counter {
		return nil, fmt.Errorf("sse: partition %v: %w: the store shows head %d, but %d was seen", ix.partition, ErrRollback, latest, after.Counter)
	}
	if latest == 0 {
		return nil, fmt.Errorf("sse: partition %v: %w: create it first, or correct its ID", ix.partition, ErrMissing)
	}
	hash := sha256.Sum256(blob)
	if latest == after.Counter && hash != after.Hash {
		return nil, fmt.Errorf("sse: partition %v: %w: head %d is not the one that was seen", ix.partition, ErrRollback, latest)
	}
	if old != nil && latest == old.anchor.Counter {
		return old, nil
	}
	m, err := ix.openHead(k, latest, blob)
	if err != nil {
		return nil, err
	}
	if after.Counter > 0 && latest > after.Counter {
		if err := ix.chain(ctx, k, m, after); err != nil {
			return nil, err
		}
	}
	return ix.adopt(k, m, Anchor{latest, hash}), nil
}

// openHead names the file in its errors, where there is one.
func (ix *Index) openHead(k key, version uint64, blob []byte) (*manifest, error) {
	m, err := openManifest(k, ix.partition, version, blob)
	if p, ok := ix.store.(pather); ok && err != nil {
		err = fmt.Errorf("%w (in %s)", err, p.HeadPath(ix.partition, version))
	}
	return m, err
}

// chain walks from m back to the anchor, as far as the store keeps heads and the key opens them, and compares hashes. A store that
// dropped the heads in between, older than those that it has to keep, proves nothing and disproves nothing; only anchors that clients compare do.
func (ix *Index) chain(ctx context.Context, k key, m *manifest, after Anchor) error {
	tip := m.counter
	for {
		v := m.counter - 1
		want := m.predecessor
		if v == after.Counter {
			if want != after.Hash {
				return ix.forked(v)
			}
			return nil
		}
		blob, latest, err := ix.store.Head(ctx, ix.partition, v)
		if errors.Is(err, ErrMissing) {
			if max(latest, tip)-v < HeadsKept {
				return fmt.Errorf("sse: partition %v: %w: the store hides head %d, which every store keeps as one of the %d newest", ix.partition, ErrRollback, v, HeadsKept)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("sse: reading head %d of partition %v: %w", v, ix.partition, err)
		}
		if sha256.Sum256(blob) != want {
			return ix.forked(v)
		}
		if m, err = ix.openHead(k, v, blob); errors.Is(err, ErrDecrypt) {
			return nil // it is the one that its successor names, under the key before a rotation
		} else if err != nil {
			return err
		}
	}
}

func (ix *Index) forked(version uint64) error {
	return fmt.Errorf("sse: partition %v: %w: head %d is not in the history of the one that was seen", ix.partition, ErrRollback, version)
}

// adopt derives the keys of segments that are new.
func (ix *Index) adopt(k key, m *manifest, a Anchor) *state {
	st := &state{key: k, manifest: m, anchor: a, readers: make([]*reader, len(m.segments))}
	known := make(map[ID]*segmentKeys)
	ix.mu.Lock()
	if ix.state != nil && ix.state.key == k {
		for _, r := range ix.state.readers {
			known[r.id] = r.keys
		}
	}
	ix.mu.Unlock()
	for i, s := range m.segments {
		keys := known[s.id]
		if keys == nil {
			keys = newSegmentKeys(k, ix.partition, s.id)
		}
		st.readers[i] = &reader{s, keys, m.profile}
	}
	return st
}

// swap stores a head and clears up an unknown outcome: the head of that version is ours if its bytes are.
func (ix *Index) swap(ctx context.Context, version uint64, blob []byte) error {
	err := ix.store.SwapHead(ctx, ix.partition, version, blob)
	if err == nil {
		return nil
	}
	if errors.Is(err, errNotDurable) { // to read it back would prove nothing: a crash may bring the head before it back, and what that names
		return fmt.Errorf("sse: head %d of partition %v: %w: %w", version, ix.partition, errUnknown, err)
	}
	// The caller's context may be what ended the swap; the question whether it took effect is asked all the same, once. It is asked after a
	// conflict too: the other writer may be this one, where something on the way to the store tries again by itself.
	asked, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	there, _, herr := ix.store.Head(asked, ix.partition, version)
	switch {
	case herr == nil && sha256.Sum256(there) == sha256.Sum256(blob):
		return nil
	case errors.Is(err, ErrConflict) && (herr == nil || errors.Is(herr, ErrMissing)):
		return fmt.Errorf("sse: head %d of partition %v: %w", version, ix.partition, err)
	case herr == nil:
		return fmt.Errorf("sse: head %d of partition %v: %w (%w)", version, ix.partition, ErrConflict, err)
	case errors.Is(herr, ErrMissing): // it may still land: a request that was given up can reach an object store later
		return fmt.Errorf("sse: writing head %d of partition %v: %w: %w", version, ix.partition, errUnknown, err)
	}
	return fmt.Errorf("sse: writing head %d of partition %v: %w (%w): %w", version, ix.partition, errUnknown, herr, err)
}

// Stats describes a partition.
type Stats struct {
	Rows     int // live rows
	Deleted  int // rows that were deleted or replaced and wait for a compaction, and tombstones
	Segments int // all segments
	Tails    int // of them tail segments
	Pages    int // of all segments
	Bytes    int64
	Anchor   Anchor
	// MergeError is why the last merge that this Index began in the background failed; nil if it did not. Watch it, and Segments: while merges
	// fail segments pile up, and from some 1,000 on Apply refuses batches with this error.
	MergeError error
}

// Stats counts what the latest manifest lists. It reads the head, and large deletion bitmaps that are not cached.
func (ix *Index) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := ix.consistently(ctx, func(st *state) error {
		s = Stats{Anchor: st.anchor, Segments: len(st.readers), MergeError: ix.tending.failure()}
		all, err := ix.contents(ctx, &meter{}, st, wanted{})
		if err != nil {
			return err
		}
		for _, r := range all {
			live := int(r.live().GetCardinality())
			s.Rows += live
			s.Deleted += int(r.rows) - live
			s.Pages += int(r.pages() + pagesFor(int(r.deleted.bytes)))
			if r.isTail() {
				s.Tails++
			}
		}
		s.Bytes = int64(s.Pages) * PageSize
		return nil
	})
	return s, err
}

// consistently runs f on the latest manifest, and again if a compaction took segments away meanwhile.
func (ix *Index) consistently(ctx context.Context, f func(*state) error) error {
	const tries = 5
	for i := 1; ; i++ {
		st, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		if err = ix.missing(ctx, f(st)); !errors.Is(err, errReplaced) {
			return err
		}
		if i == tries {
			return fmt.Errorf("sse: partition %v: %w", ix.partition, err)
		}
	}
}
