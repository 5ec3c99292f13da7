package sse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the store sees is compared with what docs/spec/sse.md, section What the server learns, says that it learns. A simulator, which has
// the leakage and no data and no keys, makes the view of a store; the real view must be the same. What the simulator draws at random, the buckets
// and dummy pages of lookups that it has not met, it is given from the real generator, which is a PRF on distinct inputs: so the two
// views are equal without exception, also where buckets collide, and no run fails by chance.

// event is what a store sees of a call: no bytes of pages and heads.
type event struct {
	op      string
	runs    []Run
	segment ID
	number  uint64 // version of a head; pages of a segment
	size    int    // of a head
}

// watcher keeps what it sees.
type watcher struct {
	*memStore
	view []event
}

func (w *watcher) see(e event) { w.view = append(w.view, e) }

func (w *watcher) Read(ctx context.Context, p ID, runs []Run) ([][]byte, error) {
	w.see(event{op: "read", runs: slices.Clone(runs)})
	return w.memStore.Read(ctx, p, runs)
}

func (w *watcher) WriteSegment(ctx context.Context, p, s ID, pages iter.Seq2[[]byte, error]) error {
	err := w.memStore.WriteSegment(ctx, p, s, pages)
	w.see(event{op: "write", segment: s, number: uint64(len(w.segments[p][s].pages) / PageSize)})
	return err
}

func (w *watcher) Segments(ctx context.Context, p ID) ([]SegmentInfo, error) {
	w.see(event{op: "list"})
	return w.memStore.Segments(ctx, p)
}

func (w *watcher) DeleteSegment(ctx context.Context, p, s ID) error {
	w.see(event{op: "delete", segment: s})
	return w.memStore.DeleteSegment(ctx, p, s)
}

func (w *watcher) Head(ctx context.Context, p ID, version uint64) ([]byte, uint64, error) {
	blob, latest, err := w.memStore.Head(ctx, p, version)
	w.see(event{op: "head", number: version, size: len(blob)})
	return blob, latest, err
}

func (w *watcher) SwapHead(ctx context.Context, p ID, version uint64, blob []byte) error {
	w.see(event{op: "swap", number: version, size: len(blob)})
	return w.memStore.SwapHead(ctx, p, version, blob)
}

// declared are the numbers of a profile as the specification has them.
type declared struct {
	least, step int  // covers
	wide        bool // ranges have the greatest cover of their field
	second      bool // the second read is made for every lookup and never from the cache
	fixed       bool // the number of row pages follows from the limit
	pages       func(bytes int) int
}

func ceilPages(n int) int { return (n + 4079) / 4080 }

var declaredProfiles = map[Profile]declared{
	Fast: {pages: ceilPages},
	Balanced: {least: 16, step: 2, second: true, pages: func(n int) int {
		e := math.Floor(math.Log2(float64(n)))
		unit := 1 << int(e-(math.Floor(math.Log2(e))+1))
		return ceilPages((n + unit - 1) / unit * unit)
	}},
	Strict: {least: 64, step: 4, wide: true, second: true, fixed: true, pages: func(n int) int {
		pages := 1
		for pages < ceilPages(n) {
			pages *= 2
		}
		return pages
	}},
}

// cover is the number of lookups of a union of n terms.
func (d declared) cover(n int) int {
	size := d.least
	for size > 0 && size < n {
		size *= d.step
	}
	return max(size, n)
}

// leakage is what the specification says that a store learns of a search, and nothing else. Lookups and lists of them have numbers that say
// whether two are the same one, and nothing of what they are.
type leakage struct {
	head     int   // length
	whole    []Run // streams that are read whole: tails, deletions, vocabularies, a column
	segments []segmentLeakage
	compared bool // a substring: row pages are read twice
}

type segmentLeakage struct {
	id                     ID
	table                  uint32 // pages; the shared ones follow
	firstRow               uint32 // page
	directory              Run
	lookups                []lookupLeakage
	comparedRows, hitsRows []uint32 // row pages, counted in the region
}

// lookupLeakage: of which two are equal, and the run of a list of its own, or with profile Fast of any list. For the others the simulator draws.
type lookupLeakage struct {
	handle int
	own    *Run
	none   bool // Fast: there is no second read
}

// tape gives what the simulator would draw for a lookup: its bucket, and the shared page of its second read.
type tape func(segment ID, handle int) (bucket, second uint32)

// simulator makes the view of a store from leakage.
type simulator struct {
	declared
	tape   tape
	cached map[Run]bool // pages, and streams, that the client keeps
}

type pageRead struct {
	segment int // place in the order of the manifest
	id      ID
	page    uint32
}

// round is one read of pages: in the order of segments and pages, each once, neighbours in one run.
func round(pages []pageRead) []event {
	if len(pages) == 0 {
		return nil
	}
	slices.SortFunc(pages, func(a, b pageRead) int { return cmp.Or(a.segment-b.segment, int(int64(a.page)-int64(b.page))) })
	var runs []Run
	for i, p := range pages {
		switch last := len(runs) - 1; {
		case i > 0 && p == pages[i-1]:
		case i > 0 && runs[last].Segment == p.id && runs[last].First+runs[last].Count == p.page:
			runs[last].Count++
		default:
			runs = append(runs, Run{p.id, p.page, 1})
		}
	}
	return []event{{op: "read", runs: runs}}
}

// cold leaves out what is cached, and caches the rest.
func (s *simulator) cold(r Run) bool {
	was := s.cached[r]
	s.cached[r] = true
	return !was
}

func (s *simulator) streams(list []Run) []event {
	var runs []Run
	for _, r := range list {
		if s.cold(r) {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	return []event{{op: "read", runs: runs}}
}

func (s *simulator) search(l *leakage) (view []event) {
	view = append(view, event{op: "head", size: l.head})
	view = append(view, s.streams(l.whole)...)
	var table, second []pageRead
	for i, g := range l.segments {
		for _, k := range g.lookups {
			bucket, shared := s.tape(g.id, k.handle)
			if s.cold(Run{g.id, bucket, 1}) {
				table = append(table, pageRead{i, g.id, bucket})
			}
			switch {
			case k.own != nil:
				for n := range k.own.Count {
					second = append(second, pageRead{i, g.id, k.own.First + n})
				}
			case !k.none:
				second = append(second, pageRead{i, g.id, g.table + shared})
			}
		}
	}
	if !s.second {
		second = slices.DeleteFunc(second, func(p pageRead) bool { return s.cached[Run{p.id, p.page, 1}] })
		for _, p := range second {
			s.cached[Run{p.id, p.page, 1}] = true
		}
	}
	view = append(view, round(table)...)
	view = append(view, round(second)...)
	if l.compared {
		view = append(view, s.rows(l, func(g segmentLeakage) []uint32 { return g.comparedRows })...)
	}
	if !l.compared || !s.fixed {
		view = append(view, s.rows(l, func(g segmentLeakage) []uint32 { return g.hitsRows })...)
	}
	return view
}

func (s *simulator) rows(l *leakage, of func(segmentLeakage) []uint32) (view []event) {
	var directories []Run
	var pages []pageRead
	for i, g := range l.segments {
		if len(of(g)) > 0 {
			directories = append(directories, g.directory)
		}
		for _, n := range of(g) {
			if s.fixed || s.cold(Run{g.id, g.firstRow + n, 1}) {
				pages = append(pages, pageRead{i, g.id, g.firstRow + n})
			}
		}
	}
	return append(s.streams(directories), round(pages)...)
}

// observed is a search, with the numbers that the specification gives for its lookups in a segment.
type observed struct {
	name    string
	q       Query
	o       SearchOptions
	lookups func(d declared, docs []Document) int
	// whole: fields of vocabularies, and the sorted field.
	vocabularies []string
}

var leakSchema = Schema{Fields: []Field{
	{Name: "name", Type: Name},
	{Name: "note", Type: Text, Language: "en", Prefix: true, Fuzzy: true, Phrase: true, Rank: true},
	{Name: "tag", Type: Keyword, Prefix: true, Facet: true, Substring: true, Stored: true, Sort: true},
	{Name: "n", Type: Integer, Min: 0, Max: 1000, Stored: true, Sort: true},
}}

// leakDocs has lists of every length: long ones, short ones, single rows.
func leakDocs(name string, n int) []Document {
	r := rand.New(rand.NewPCG(uint64(n), 9))
	docs := make([]Document, n)
	for i := range docs {
		docs[i] = lieDoc(fmt.Sprint(name, "-", i), i)
		if r.IntN(2) == 0 {
			docs[i].Fields["note"] = []Value{String("half " + lieWords[i%9])}
		}
	}
	return docs
}

// wordsWith counts the words of a field in documents that match.
func wordsWith(docs []Document, field string, match func(string) bool) int {
	words := make(map[string]bool)
	for _, d := range docs {
		for _, v := range d.Fields[field] {
			for _, w := range strings.Fields(v.String()) {
				if match(w) {
					words[w] = true
				}
			}
		}
	}
	return len(words)
}

func fixedLookups(n int) func(declared, []Document) int {
	return func(declared, []Document) int { return n }
}

func observations(t testing.TB) []observed {
	rangeOf := func(lo, hi int64) func(declared, []Document) int {
		return func(d declared, _ []Document) int {
			terms, err := leakSchema.rangeTerms("n", Int(lo), Int(hi))
			require.NoError(t, err)
			if d.wide {
				most, err := leakSchema.coverMax("n")
				require.NoError(t, err)
				return most
			}
			return d.cover(len(terms))
		}
	}
	words := func(field string, more int, match func(string) bool) func(declared, []Document) int {
		return func(d declared, docs []Document) int { return d.cover(wordsWith(docs, field, match)) + more }
	}
	sounds := func(d declared, _ []Document) int {
		sets, err := leakSchema.soundTerms("name", "Maier")
		require.NoError(t, err)
		return d.cover(len(sets[0]))
	}
	grams := func(declared, []Document) int {
		terms, _, err := leakSchema.substringTerms("tag", "ag-3")
		require.NoError(t, err)
		return len(terms)
	}
	some := SearchOptions{Limit: 7}
	return []observed{
		{"term", Term("tag", String("tag-2")), some, fixedLookups(1), nil},
		{"long term", Term("note", String("half")), SearchOptions{CountOnly: true}, fixedLookups(1), nil},
		{"absent term", Term("tag", String("tag-77")), some, fixedLookups(1), nil},
		{"the same term again", Term("tag", String("tag-2")), SearchOptions{CountOnly: true}, fixedLookups(1), nil},
		{"two words", Term("note", String("half fever")), some, fixedLookups(2), nil},
		{"bool", And(Term("tag", String("tag-1")), Not(Term("n", Int(5)))), some, fixedLookups(2), nil},
		{"range", Range("n", Int(3), Int(900)), some, rangeOf(3, 900), nil},
		{"narrow range", Range("n", Int(3), Int(4)), some, rangeOf(3, 4), nil},
		{"prefix", Prefix("note", "a"), some, words("note", 0, func(w string) bool { return w[0] == 'a' }), []string{"note"}},
		{"prefix of nothing", Prefix("note", "zz"), some, words("note", 0, func(string) bool { return false }), []string{"note"}},
		{"fuzzy", Fuzzy("note", "fevre", 1), some, words("note", 0, func(w string) bool { return w == "fever" }), []string{"note"}},
		{"wildcard", Wildcard("note", "*s*"), some, words("note", 0, func(w string) bool { return strings.Contains(w, "s") }), []string{"note"}},
		{"regexp", Regexp("tag", "tag-[0-2]"), some, words("tag", 0, func(w string) bool { return w < "tag-3" }), []string{"tag"}},
		{"substring", Substring("tag", "ag-3"), some, grams, nil},
		{"phrase", Phrase("note", "half cough"), some, fixedLookups(4), nil},
		{"sounds", Sounds("name", "Maier"), some, sounds, nil},
		{"exists", Exists("n"), some, fixedLookups(1), nil},
		{"all", All(), some, fixedLookups(0), nil},
		{"all of them", Term("tag", String("tag-4")), SearchOptions{}, fixedLookups(1), nil},
		{"ranked", Term("note", String("coughs")), SearchOptions{Rank: true, Limit: 5}, fixedLookups(2), nil},
		{"sorted", Exists("tag"), SearchOptions{Sort: "n", Limit: 5}, fixedLookups(1), nil},
		{"facets", Term("n", Int(9)), SearchOptions{Facets: []string{"tag"}, CountOnly: true}, words("tag", 1, func(string) bool { return true }), []string{"tag"}},
	}
}

// leakWorld is a partition under observation.
type leakWorld struct {
	store   *watcher
	profile Profile
	inner   *Index // sees everything, and is not seen
	docs    map[ID][]Document
	handles map[string]int // of lookups, by segment
	behind  []lookup
}

func newLeakWorld(t testing.TB, profile Profile) *leakWorld {
	ctx := context.Background()
	w := &leakWorld{store: &watcher{memStore: newMemStore()}, profile: profile, docs: make(map[ID][]Document), handles: make(map[string]int)}
	w.inner = mustCreate(t, w.store.memStore, leakSchema, Options{Profile: profile})
	for _, docs := range [][]Document{leakDocs("a", 9000), leakDocs("b", 300), leakDocs("t", 3)} {
		require.NoError(t, w.inner.Apply(ctx, Batch{Put: docs, New: true}))
		readers := w.inner.current().readers
		w.docs[readers[len(readers)-1].id] = docs
	}
	var b Batch
	for _, i := range rand.New(rand.NewPCG(4, 5)).Perm(9000)[:4500] { // in an object of its own
		b.Delete = append(b.Delete, Deletion{ID: fmt.Sprint("a-", i), Revision: 1})
	}
	require.NoError(t, w.inner.Apply(ctx, b))
	require.NotEqual(t, ID{}, w.inner.current().readers[0].deleted.object)
	w.inner.Close()
	return w
}

func (w *leakWorld) handle(segment ID, l lookup) int {
	name := segment.String() + fmt.Sprint(l.domain) + l.value
	n, ok := w.handles[name]
	if !ok {
		n = len(w.behind)
		w.handles[name] = n
		w.behind = append(w.behind, l)
	}
	return n
}

// leak computes the leakage of a search. It has the key and the documents; what it gives is what the specification allows.
func (w *leakWorld) leak(ob observed) (*leakage, error) {
	ctx := context.Background()
	d := declaredProfiles[w.profile]
	st := w.inner.current()
	l := &leakage{head: len(w.store.heads[ID{1}][st.anchor.Counter-1]), compared: ob.q.op == opSubstring}
	p, err := compile(leakSchema, w.profile, &w.inner.automata, ob.q, ob.o)
	if err != nil {
		return nil, err
	}
	all, err := w.inner.contents(ctx, &meter{}, st, wanted{vocabularies: p.fields})
	if err != nil {
		return nil, err
	}
	res, err := w.inner.Search(ctx, ob.q, ob.o)
	if err != nil {
		return nil, err
	}
	stream := func(id ID, r region) { l.whole = append(l.whole, Run{id, r.first, r.count}) }
	for _, c := range all {
		if c.deleted.bytes > 0 {
			stream(c.deleted.object, region{0, pagesFor(int(c.deleted.bytes))})
		}
		if c.tail != nil {
			stream(c.id, region{0, c.pages()})
			continue
		}
		for i, v := range c.vocabs {
			if slices.Contains(ob.vocabularies, leakSchema.fieldName(v.field)) {
				stream(c.id, c.vocabRegion(i))
			}
		}
		for i, v := range c.columns {
			if ob.o.Sort != "" && leakSchema.fieldName(v.field) == ob.o.Sort {
				stream(c.id, c.columnRegion(i))
			}
		}
		at := c.directoryRegion()
		g := segmentLeakage{id: c.id, table: c.table, firstRow: c.rowRegion().first, directory: Run{c.id, at.first, at.count}}
		pt, err := w.inner.part(c, p, defaultMaxTerms)
		if err != nil {
			return nil, err
		}
		if want := ob.lookups(d, w.docs[c.id]); len(pt.lookups) != want {
			return nil, fmt.Errorf("%s: %d lookups in a segment, the specification says %d", ob.name, len(pt.lookups), want)
		}
		found, err := w.inner.find(ctx, &meter{}, []*part{pt})
		if err != nil {
			return nil, err
		}
		for j, e := range found[0].entries {
			k := lookupLeakage{handle: w.handle(c.id, pt.lookups[j])}
			switch {
			case e.form == entryOwn:
				k.own = &Run{c.id, c.ownRegion().first + e.page, uint32(d.pages(int(e.length)))}
			case e.form == entryShared:
			default:
				k.none = !d.second
			}
			g.lookups = append(g.lookups, k)
		}
		if err := w.rowPages(ctx, &g, c, ob, res, d); err != nil {
			return nil, err
		}
		l.segments = append(l.segments, g)
	}
	return l, nil
}

// rowPages fills in the row pages: with profile Strict their number follows from the limit, and which they are is leaked where they are not all.
func (w *leakWorld) rowPages(ctx context.Context, g *segmentLeakage, c *content, ob observed, res *Result, d declared) error {
	values, err := w.inner.wholes(ctx, &meter{}, []whole{c.wholeDirectory()})
	if err != nil {
		return err
	}
	row := make(map[string]uint32)
	for i, doc := range w.docs[c.id] {
		row[doc.ID] = uint32(i)
	}
	pages := func(ids []string) (out []uint32) {
		for _, id := range ids {
			if r, ok := row[id]; ok {
				out = append(out, rowPageOf(values[0].([]uint32), r))
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	var hits, may []string
	for _, h := range res.Hits {
		hits = append(hits, h.ID)
	}
	for i, doc := range w.docs[c.id] {
		if !c.gone(uint32(i)) && ob.q.op == opSubstring && strings.Contains(doc.Fields["tag"][0].String(), "ag-3") {
			may = append(may, doc.ID)
		}
	}
	g.hitsRows, g.comparedRows = pages(hits), pages(may)
	if !d.fixed {
		return nil
	}
	every := make([]uint32, c.rowPages)
	for i := range every {
		every[i] = uint32(i)
	}
	g.comparedRows = every
	switch n := min(ob.o.Limit, int(c.rowPages)); {
	case ob.o.CountOnly:
		g.hitsRows = nil
	case ob.o.Limit == 0:
		g.hitsRows = every
	default:
		for _, i := range drawn(c.keys, int(c.rowPages), ob.q.String()+"\x00") {
			if len(g.hitsRows) < n && !slices.Contains(g.hitsRows, uint32(i)) {
				g.hitsRows = append(g.hitsRows, uint32(i))
			}
		}
	}
	return nil
}

// draw is the tape: the real PRF stands in for the simulator's dice.
func (w *leakWorld) draw(segment ID, handle int) (bucket, second uint32) {
	for _, r := range w.inner.current().readers {
		if r.id != segment {
			continue
		}
		pt := &part{content: &content{reader: r}, asked: asked{lookups: w.behind[handle : handle+1]}}
		found, err := w.inner.find(context.Background(), &meter{}, []*part{pt})
		if err != nil {
			panic(err)
		}
		p := found[0].places[0]
		// Where a list lies in a shared page, the page follows from the same order; see the specification on how evenly.
		if e := found[0].entries[0]; e.form == entryShared {
			return uint32(p.hash % uint64(r.table)), e.page
		}
		return uint32(p.hash % uint64(r.table)), uint32(p.order % uint64(r.shared))
	}
	panic("no such segment")
}

// compare runs all observations twice, from a cold cache to a warm one, and returns the first difference between the two views.
func (w *leakWorld) compare(t testing.TB) error {
	watched, err := Open(context.Background(), w.store, testKey, ID{1}, Options{})
	require.NoError(t, err)
	watched.Close()
	s := &simulator{declared: declaredProfiles[w.profile], tape: w.draw, cached: make(map[Run]bool)}
	for again := range 2 {
		for _, ob := range observations(t) {
			l, err := w.leak(ob)
			if err != nil {
				return err
			}
			w.store.view = nil
			_, err = watched.Search(context.Background(), ob.q, ob.o)
			require.NoError(t, err)
			if want := s.search(l); !reflect.DeepEqual(want, w.store.view) {
				return fmt.Errorf("%s, profile %d, time %d: simulated %v, real %v", ob.name, w.profile, again, want, w.store.view)
			}
		}
	}
	return nil
}

func TestSearchesShowWhatIsDeclared(t *testing.T) {
	for _, profile := range []Profile{Fast, Balanced, Strict} {
		w := newLeakWorld(t, profile)
		require.NoError(t, w.compare(t))
		if profile == Fast {
			continue
		}
		// Profiles that tell more are found out, each of them: so the comparison is one that can fail.
		honest := profiles[profile]
		for name, leaky := range map[string]func(*numbers){
			"no dummy read":      func(n *numbers) { n.everyList = false },
			"no cover":           func(n *numbers) { n.coverLeast = 0 },
			"smaller steps":      func(n *numbers) { n.coverLeast = 1; n.coverStep = 2 },
			"rows of hits alone": func(n *numbers) { n.fixedRows = false },
			"narrow ranges":      func(n *numbers) { n.wideRanges = false },
		} {
			n := honest
			leaky(&n)
			if n.fixedRows == honest.fixedRows && n.wideRanges == honest.wideRanges && n.everyList == honest.everyList && n.coverLeast == honest.coverLeast {
				continue // this profile does not promise it
			}
			profiles[profile] = n
			err := w.compare(t)
			profiles[profile] = honest
			require.Error(t, err, "%s in profile %d was not noticed", name, profile)
		}
		require.NoError(t, w.compare(t))
		if profile == Strict { // lists that tell their length, by a page more
			n := honest
			n.listPages = func(bytes int) uint32 { return pagesFor(bytes) + 1 }
			profiles[profile] = n
			err := newLeakWorld(t, profile).compare(t)
			profiles[profile] = honest
			require.ErrorContains(t, err, "long term")
		}
	}
}
