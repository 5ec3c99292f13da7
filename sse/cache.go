package sse

import (
	"container/list"
	"sync"
)

// cacheKey names what is cached: an opened page, something decoded from several (then page is the first of them), or the answer to a lookup (then
// kind is 0).
type cacheKey struct {
	segment ID
	kind    pageKind
	page    uint32
	lookup  lookup
}

// cache keeps what was opened, up to a number of bytes, and drops what was used longest ago. Values are never changed once they
// are in it.
type cache struct {
	mu     sync.Mutex
	room   int
	used   int
	recent list.List // of *cached, the latest in front
	items  map[cacheKey]*list.Element
}

type cached struct {
	key   cacheKey
	value any
	size  int
}

func newCache(room int) *cache { return &cache{room: room, items: make(map[cacheKey]*list.Element)} }

func (c *cache) get(k cacheKey) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[k]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).value
}

// cacheOverhead is what an item costs beside its value, about.
const cacheOverhead = 128

func (c *cache) put(k cacheKey, value any, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size += cacheOverhead
	if e := c.items[k]; e != nil || size > c.room {
		return
	}
	c.items[k] = c.recent.PushFront(&cached{k, value, size})
	c.used += size
	for c.used > c.room {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	it := c.recent.Remove(e).(*cached)
	delete(c.items, it.key)
	c.used -= it.size
}

// keep drops everything of segments that the function does not name. It is called when a manifest without them is adopted.
func (c *cache) keep(live func(ID) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.recent.Front(); e != nil; {
		next := e.Next()
		if !live(e.Value.(*cached).key.segment) {
			c.remove(e)
		}
		e = next
	}
}
