package sse

import (
	"context"
	"fmt"
	"slices"
)

// Plan says what a search would cost and show, before it runs.
type Plan struct {
	Least, Most Cost // of a search that finds nothing, and of one that finds as much as there could be
	// View says in sentences what the server would see.
	View []string
}

// Explain says what Search would ask of the store for this query and these options, given what is cached now. It reads the head and nothing
// else. What only the tables and lists tell is not known before they are read, so the cost is an interval. Errors are those that Search
// would return without reading more.
func (ix *Index) Explain(ctx context.Context, q Query, o SearchOptions) (Plan, error) {
	if err := o.check(); err != nil {
		return Plan{}, err
	}
	var out Plan
	err := ix.during(ctx, q, o, func(st *state, _ *rowPlace) error {
		p, err := compile(st.manifest.schema, st.manifest.profile, &ix.automata, q, o)
		if err != nil {
			return err
		}
		e := estimate{plan: p, o: o, substring: p.has(leafSubstring), segments: len(st.readers)}
		for _, r := range st.readers {
			if err := ix.estimate(st, r, &e); err != nil {
				return err
			}
		}
		out = Plan{e.cost(0), e.cost(1), e.view()}
		return nil
	})
	return out, err
}

// interval is the least and the most that a number can be.
type interval [2]int

func (i *interval) add(least, most int) {
	i[0] += least
	i[1] += most
}

// estimate is summed over segments.
type estimate struct {
	plan      *plan
	o         SearchOptions
	substring bool

	segments, full, tails                       int
	terms, table, list, directories, rows       interval
	whole, tailPages, vocabularies, columnPages int
}

// cost is the one end of the interval.
func (e *estimate) cost(end int) Cost {
	c := Cost{Terms: e.terms[end], Segments: e.segments}
	for _, n := range []int{e.whole, e.table[end], e.list[end], e.directories[end], e.rows[end]} {
		c.Pages += n
		c.Rounds += min(n, 1)
	}
	// A substring reads the rows that it compares, and those of the hits follow, with the directories of other segments.
	if end == 1 && e.substring && !e.o.CountOnly && !profiles[e.plan.profile].fixedRows {
		c.Rounds += min(e.rows[1], 1) + min(e.directories[1], 1)
	}
	c.Bytes = int64(c.Pages) * PageSize
	return c
}

func (ix *Index) estimate(st *state, r *reader, e *estimate) error {
	p := e.plan
	numbers := &profiles[p.profile]
	cold := func(w whole) int {
		if ix.cache.get(w.cacheKey()) != nil {
			return 0
		}
		return int(w.at.count)
	}
	if r.deleted.count > 0 && r.deleted.inline == nil {
		e.whole += cold(r.wholeDeleted(st.key))
	}
	if r.isTail() {
		n := cold(r.wholeTail(p.schema))
		e.tails, e.whole, e.tailPages = e.tails+1, e.whole+n, e.tailPages+n
		return nil
	}
	e.full++
	c := &content{reader: r, vocab: make(map[string]*vocabulary)}
	unread := make(map[string]bool) // vocabularies that the segment has and the cache has not
	for i, v := range r.vocabs {
		name := p.schema.fieldName(v.field)
		if !slices.Contains(p.fields, name) {
			continue
		}
		w := r.wholeVocab(i)
		c.vocab[name], _ = ix.cache.get(w.cacheKey()).(*vocabulary)
		unread[name] = c.vocab[name] == nil
		n := cold(w)
		e.whole, e.vocabularies = e.whole+n, e.vocabularies+n
	}
	for i, f := range r.columns {
		if e.o.Sort != "" && f.field == p.sorted {
			n := cold(r.wholeColumn(i))
			e.whole, e.columnPages = e.whole+n, e.columnPages+n
		}
	}
	pt, err := ix.part(c, p, e.o.MaxTerms)
	if err != nil {
		return err
	}
	unknown := 0 // lookups that only a vocabulary that is not cached can tell
	known := pt.lookups
	for i := range p.leaves {
		if l := &p.leaves[i]; l.kind == leafWords && unread[l.field] {
			// The dummies that stand for no word at all need not be those that are looked up in the end.
			unknown += p.profile.cover(e.o.MaxTerms)
			known = slices.DeleteFunc(slices.Clone(known), func(k lookup) bool { return k.domain == domainDummy && k.value[4:] == l.seed })
		}
	}
	buckets := make(map[uint32]bool)
	find := newPRF(r.keys.find)
	misses := 0
	for _, l := range known {
		if ix.cache.get(answerKey(r.id, l)) != nil {
			continue
		}
		b := uint32(placeOf(find.lookup(l)).hash % uint64(r.table))
		if !buckets[b] && ix.cache.get(cacheKey{segment: r.id, kind: kindTable, page: b}) == nil {
			misses++
		}
		buckets[b] = true
	}
	most := len(known) + unknown
	e.terms.add(len(known), most)
	e.table.add(misses, min(misses+unknown, int(r.table)))
	least := 0
	if numbers.everyList {
		least = min(1, len(known))
	}
	e.list.add(least, min(most, int(r.shared))+int(r.own))
	ix.estimateRows(r, e, cold(r.wholeDirectory()))
	return nil
}

// estimateRows adds the pages of rows and their directory.
func (ix *Index) estimateRows(r *reader, e *estimate, directory int) {
	all := int(r.rowPages)
	hits := fixedPages(r.segment, e.o.Limit)
	switch {
	case e.o.CountOnly && !e.substring:
	case profiles[e.plan.profile].fixedRows:
		n := hits
		if e.substring {
			n = all
		}
		e.directories.add(directory, directory)
		e.rows.add(n, n)
	case e.substring:
		e.directories.add(0, directory)
		e.rows.add(0, all)
	default:
		e.directories.add(0, directory)
		e.rows.add(0, hits)
	}
}

func (e *estimate) view() []string {
	numbers := &profiles[e.plan.profile]
	v := []string{fmt.Sprintf("the head is read, and a query follows in %d full segments and %d tails", e.full, e.tails)}
	say := func(format string, args ...any) { v = append(v, fmt.Sprintf(format, args...)) }
	if e.tailPages > 0 {
		say("%d pages of tails are read whole, whatever is asked", e.tailPages)
	}
	if e.vocabularies > 0 {
		say("%d pages of vocabularies are read whole: by their place the field shows, and that words of it are looked for or counted", e.vocabularies)
	}
	if e.columnPages > 0 {
		say("%d pages of columns are read whole: by their place it shows which field the hits are sorted by", e.columnPages)
	}
	if e.full == 0 {
		return v
	}
	say("%d to %d table pages: which, not the terms; the same term asked again in the same segment reads the same pages", e.table[0], e.table[1])
	if numbers.everyList {
		say("%d to %d list pages: the lengths of long lists, rounded; of the others nothing", e.list[0], e.list[1])
	} else {
		say("%d to %d list pages: of each term whether it is there, and how long its list is, unless it was read before", e.list[0], e.list[1])
	}
	if e.plan.has(leafPhrase) || len(e.plan.scored) > 0 {
		say("of words in a row their positions are read beside their rows, of words that hits are ranked by their weights: so the pages show how many such words there are")
	}
	if e.substring && !numbers.fixedRows {
		say("which of up to %d row pages hold documents that may have the part of a value: these are compared", e.rows[1])
	}
	switch {
	case e.o.CountOnly && !e.substring:
	case numbers.fixedRows:
		say("%d row pages, a number that follows from the limit alone; some hold the hits, and which do does not show", e.rows[1])
	case !e.o.CountOnly:
		say("if there are hits, which of up to %d row pages hold them and are not cached", e.rows[1])
	}
	return v
}

func (p *plan) has(kind leafKind) bool {
	return slices.ContainsFunc(p.leaves, func(l leaf) bool { return l.kind == kind })
}
