package sse

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// matched is what a segment has of the answer.
type matched struct {
	*part
	rows   *roaring.Bitmap // not to be changed
	scores []uint64        // with Rank, in the order of rows
}

// rowPlace names a row of a state of the partition: the segment by its place in the manifest.
type rowPlace struct {
	part int
	row  uint32
}

// candidate is a document that matches, with what it is ordered by.
type candidate struct {
	rowPlace
	score uint64
	key   sortKey
	has   bool // a key
}

// page chooses the hits that are brought back, and says whether there are more behind them.
func (s *searching) page(matches []matched) (hits []candidate, more bool, err error) {
	if s.o.Rank {
		if err := s.scores(matches); err != nil {
			return nil, false, err
		}
	}
	if !s.o.Rank && s.o.Sort == "" {
		return s.inRowOrder(matches)
	}
	var after *candidate
	if s.after != nil {
		c, err := s.candidateAt(matches, *s.after)
		if err != nil {
			return nil, false, err
		}
		after = &c
	}
	top := best{limit: s.o.Limit, order: order{descending: s.o.Descending}}
	for i := range matches {
		m := &matches[i]
		n := 0
		rows := m.rows.ManyIterator()
		var room [256]uint32
		for have := rows.NextMany(room[:]); have > 0; have = rows.NextMany(room[:]) {
			for _, row := range room[:have] {
				c, err := s.candidate(m, rowPlace{i, row}, n)
				if err != nil {
					return nil, false, err
				}
				n++
				if after == nil || top.order.before(after, &c) {
					top.add(&c)
				}
			}
		}
	}
	return top.sorted(), top.left, nil
}

// inRowOrder takes the hits as they come.
func (s *searching) inRowOrder(matches []matched) (hits []candidate, more bool, err error) {
	for i, m := range matches {
		if s.after != nil && i < s.after.part {
			continue
		}
		rows := m.rows.Iterator()
		if s.after != nil && i == s.after.part {
			rows.AdvanceIfNeeded(s.after.row)
			if rows.HasNext() && rows.PeekNext() == s.after.row {
				rows.Next()
			}
		}
		for rows.HasNext() {
			if s.o.Limit > 0 && len(hits) == s.o.Limit {
				return hits, true, nil
			}
			hits = append(hits, candidate{rowPlace: rowPlace{i, rows.Next()}})
		}
	}
	return hits, false, nil
}

// candidateAt is the hit at a place that a cursor names.
func (s *searching) candidateAt(matches []matched, at rowPlace) (candidate, error) {
	if at.part >= len(matches) || !matches[at.part].rows.Contains(at.row) {
		return candidate{}, fmt.Errorf("sse: %w: it does not name a hit", ErrCursor)
	}
	return s.candidate(&matches[at.part], at, int(matches[at.part].rows.Rank(at.row))-1)
}

// candidate is the n-th row that matches in its segment.
func (s *searching) candidate(m *matched, at rowPlace, n int) (candidate, error) {
	c := candidate{rowPlace: at}
	if s.o.Rank {
		c.score = m.scores[n]
		return c, nil
	}
	var err error
	switch {
	case m.column != nil:
		c.key, c.has = m.column.key(at.row)
	case m.tail != nil:
		if c.key, c.has, err = s.plan.schema.sortKey(s.plan.sorted, m.tail.docs[at.row].values); err != nil {
			return c, s.ix.damaged(m.id, 0, err)
		}
	}
	return c, nil
}

// order says which of two candidates comes first. It is a total order.
type order struct {
	descending bool // keys
}

func (o order) before(a, b *candidate) bool {
	switch {
	case a.score != b.score:
		return a.score > b.score
	case a.has != b.has:
		return a.has
	case a.key.number != b.key.number:
		return a.key.number < b.key.number != o.descending
	case a.key.word != b.key.word:
		return a.key.word < b.key.word != o.descending
	case a.part != b.part:
		return a.part < b.part
	}
	return a.row < b.row
}

// best keeps the first candidates of many: in a heap, whose root is the last of them, once there are as many as the limit.
type best struct {
	limit int
	order order
	heap  []candidate
	left  bool // something did not get in
}

func (t *best) add(c *candidate) {
	switch {
	case t.limit == 0 || len(t.heap) < t.limit:
		t.heap = append(t.heap, *c)
		if t.limit > 0 && len(t.heap) == t.limit {
			for i := len(t.heap)/2 - 1; i >= 0; i-- {
				t.down(i)
			}
		}
		return
	case t.order.before(c, &t.heap[0]):
		t.heap[0] = *c
		t.down(0)
	}
	t.left = true
}

func (t *best) down(i int) {
	for {
		last := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(t.heap) && t.order.before(&t.heap[last], &t.heap[child]) {
				last = child
			}
		}
		if last == i {
			return
		}
		t.heap[i], t.heap[last] = t.heap[last], t.heap[i]
		i = last
	}
}

// sorted is what was kept, the first in front.
func (t *best) sorted() []candidate {
	slices.SortFunc(t.heap, func(a, b candidate) int {
		if t.order.before(&a, &b) {
			return -1
		}
		return 1
	})
	return t.heap
}
