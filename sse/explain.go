package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Plan says what a query would cost and show, before it runs.
type Plan struct {
	Least, Most Cost // of a search that brings back no hits, and of one that brings back all
	// View says in sentences what the server would see.
	View []string
}

// Explain says what Search would ask of the store for this query, given what is cached now. It reads the head and nothing else. The
// lengths of lists are not known before the tables are read, so the cost is an interval.
func (ix *Index) Explain(ctx context.Context, q Query) (Plan, error) {
	p, err := compile(ix.current().manifest.schema, q)
	if err != nil {
		return Plan{}, err
	}
	st, err := ix.refresh(ctx)
	if err != nil {
		return Plan{}, err
	}
	var e estimate
	for _, r := range st.readers {
		if err := ix.estimate(st, r, p, &e); err != nil {
			return Plan{}, err
		}
	}
	least := Cost{Terms: e.terms[0], Segments: len(st.readers), Pages: e.whole + e.table[0] + e.list[0]}
	most := Cost{Terms: e.terms[1], Segments: len(st.readers), Pages: e.whole + e.table[1] + e.list[1] + e.rows}
	for _, n := range []int{e.whole, e.table[0], e.list[0]} {
		least.Rounds += min(n, 1)
	}
	for _, n := range []int{e.whole, e.table[1], e.list[1], e.directories, e.rows} {
		most.Rounds += min(n, 1)
	}
	least.Bytes, most.Bytes = int64(least.Pages)*PageSize, int64(most.Pages)*PageSize
	return Plan{least, most, e.view(p)}, nil
}

// estimate is summed over segments. Of two numbers the first is the least.
type estimate struct {
	full, tails             int
	terms, table, list      [2]int
	whole, directories      int
	rows                    int
	tailPages, vocabularies int
}

func (ix *Index) estimate(st *state, r *reader, p *plan, e *estimate) error {
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
	for i, v := range r.vocabs {
		name := p.schema.fieldName(v.field)
		if !slices.Contains(p.fields, name) {
			continue
		}
		w := r.wholeVocab(i)
		c.vocab[name], _ = ix.cache.get(w.cacheKey()).(*vocabulary)
		n := cold(w)
		e.whole, e.vocabularies = e.whole+n, e.vocabularies+n
	}
	pt, err := ix.part(c, p, defaultMaxTerms)
	unknown := 0 // terms that only a vocabulary that is not cached can tell
	for i, l := range p.leaves {
		if l.field != "" && c.vocab[l.field] == nil && hasVocab(r, p.schema, l.field) {
			unknown += coverSize(defaultMaxTerms) - len(pt.leaves[i])
		}
	}
	if errors.Is(err, ErrTooBroad) {
		unknown, err = defaultMaxTerms, nil
		pt = &part{content: c}
	}
	if err != nil {
		return err
	}
	buckets := make(map[uint32]bool)
	find := newPRF(r.keys.find)
	for _, l := range pt.lookups {
		b := uint32(placeOf(find.lookup(l)).hash % uint64(r.table))
		buckets[b] = buckets[b] || ix.cache.get(cacheKey{r.id, kindTable, b}) == nil
	}
	known := 0
	for _, miss := range buckets {
		if miss {
			known++
		}
	}
	most := len(pt.lookups) + unknown
	e.terms[0], e.terms[1] = e.terms[0]+len(pt.lookups), e.terms[1]+most
	e.table[0], e.table[1] = e.table[0]+known, e.table[1]+min(known+unknown, int(r.table))
	e.list[0], e.list[1] = e.list[0]+min(1, len(pt.lookups)), e.list[1]+min(most, int(r.shared))+int(r.own)
	d := cold(r.wholeDirectory())
	e.directories += d
	e.rows += d + int(r.rowPages)
	return nil
}

func hasVocab(r *reader, schema Schema, name string) bool {
	return slices.ContainsFunc(r.vocabs, func(v fieldStream) bool { return schema.fieldName(v.field) == name })
}

func (e *estimate) view(p *plan) []string {
	v := []string{fmt.Sprintf("the head is read, and a query follows in %d full segments and %d tails", e.full, e.tails)}
	if e.tailPages > 0 {
		v = append(v, fmt.Sprintf("%d pages of tails are read whole, whatever is asked", e.tailPages))
	}
	if e.vocabularies > 0 {
		v = append(v, fmt.Sprintf("%d pages of vocabularies are read whole: the field shows by their place, and that the query is a prefix or fuzzy one", e.vocabularies))
	}
	if e.full > 0 {
		v = append(v,
			fmt.Sprintf("%d to %d table pages: which, not the terms; the same term asked again in the same segment reads the same pages", e.table[0], e.table[1]),
			fmt.Sprintf("%d to %d list pages: the lengths of long lists, rounded; of the others nothing", e.list[0], e.list[1]),
			fmt.Sprintf("if hits are brought back, which of up to %d row pages hold them and are not cached", e.rows-e.directories))
	}
	return v
}
