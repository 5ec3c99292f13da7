package abe

import (
	"container/list"
	"sync"

	"github.com/veilchart/veilchart/internal/pairing"
)

// Sizes of the caches of one Params. A table has about 100 KiB.
const (
	cachedPoints = 1024
	cachedTables = 128
	tableAfter   = 16                // uses of an atom after which a table is made: by then about as much was spent without one
	tableIdle    = 16 * cachedTables // uses of any atoms after which a table that was not used gives way
)

// hashCache keeps H(u) for the atoms used last, and fixed-base tables for the busy ones. What it does depends on
// atoms of policies and keys only, not on secrets.
type hashCache struct {
	mu     sync.Mutex
	points lru[*cachedPoint]
	tables lru[*cachedTable]
	clock  int // uses of all atoms
}

type cachedTable struct {
	*pairing.G1Table
	used int // clock of the last use
}

type cachedPoint struct {
	h    pairing.G1
	uses int
}

func newHashCache() *hashCache {
	return &hashCache{points: lru[*cachedPoint]{max: cachedPoints}, tables: lru[*cachedTable]{max: cachedTables}}
}

// point returns H(u).
func (c *hashCache) point(u atom) pairing.G1 {
	c.mu.Lock()
	e, ok := c.points.get(u)
	c.mu.Unlock()
	if ok {
		return e.h
	}
	e = &cachedPoint{h: pairing.HashToG1([]byte(u), dstAttribute)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.points.put(u, e)
	return e.h
}

// all returns H(u) for each atom, in order.
func (c *hashCache) all(atoms []atom) []pairing.G1 {
	out := make([]pairing.G1, len(atoms))
	var missing []int
	c.mu.Lock()
	for i, u := range atoms {
		if e, ok := c.points.get(u); ok {
			out[i] = e.h
		} else {
			missing = append(missing, i)
		}
	}
	c.mu.Unlock()
	inParallel(allCores(), len(missing), func(i int) { out[missing[i]] = c.point(atoms[missing[i]]) })
	return out
}

// mul returns H(u)^k. Constant-time in k.
func (c *hashCache) mul(u atom, k pairing.Scalar) pairing.G1 {
	h := c.point(u)
	c.mu.Lock()
	c.clock++
	table, ok := c.tables.get(u)
	build := false
	if ok {
		table.used = c.clock
	} else if e, known := c.points.get(u); known {
		if e.uses++; e.uses >= tableAfter {
			e.uses = 0
			build = c.room()
		}
	}
	c.mu.Unlock()
	switch {
	case ok:
		return table.Mul(k)
	case build:
		return c.table(u).Mul(k)
	}
	return h.Mul(k)
}

// room says whether a table may be added. Where more atoms are busy than tables fit, the first ones keep theirs: tables that push each other out
// would cost more than they save. The lock is held.
func (c *hashCache) room() bool {
	oldest, ok := c.tables.oldest()
	return !ok || len(c.tables.entries) < c.tables.max || c.clock-oldest.used > tableIdle
}

// table returns the table for H(u), a new one if there is none, and keeps it if there is room.
func (c *hashCache) table(u atom) *pairing.G1Table {
	c.mu.Lock()
	table, ok := c.tables.get(u)
	c.mu.Unlock()
	if ok {
		return table.G1Table
	}
	made := pairing.NewG1Table(c.point(u))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room() {
		c.tables.put(u, &cachedTable{made, c.clock})
	}
	return made
}

// lru keeps the max entries that were asked for last. The zero value with a max is empty. Not safe for concurrent use.
type lru[V any] struct {
	max     int
	order   list.List // of lruEntry[V], the latest in front
	entries map[atom]*list.Element
}

type lruEntry[V any] struct {
	key   atom
	value V
}

func (l *lru[V]) get(u atom) (v V, ok bool) {
	e, ok := l.entries[u]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(lruEntry[V]).value, true
}

func (l *lru[V]) oldest() (v V, ok bool) {
	if last := l.order.Back(); last != nil {
		return last.Value.(lruEntry[V]).value, true
	}
	return v, false
}

func (l *lru[V]) put(u atom, v V) {
	if e, ok := l.entries[u]; ok {
		e.Value = lruEntry[V]{u, v}
		l.order.MoveToFront(e)
		return
	}
	if l.entries == nil {
		l.entries = make(map[atom]*list.Element)
	}
	if len(l.entries) == l.max {
		last := l.order.Back()
		delete(l.entries, l.order.Remove(last).(lruEntry[V]).key)
	}
	l.entries[u] = l.order.PushFront(lruEntry[V]{u, v})
}
