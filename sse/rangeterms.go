package sse

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A value of an integer, decimal, date or time field is indexed under one term per level of a ladder: itself, the block of 16 neighbours
// that it lies in, the block of 256, and so on. A range is then the union of few blocks. Dates climb by day, month, year and
// 16, 256, 4096 years, because people ask for months and years. This is the classic dyadic cover (Faber et al., "Rich queries on
// encrypted data: beyond exact matches", ESORICS 2015, on range queries) with 16 branches in place of two.
// docs/spec/sse-analysis.md, section Ranges.

// Bounds of every Date field, as DayNumbers: 0001-01-01 and 9999-12-31.
const (
	minDay int64 = -719162
	maxDay int64 = 2932896
)

// Bounds of every Time field, as Unix seconds: from the first to the last second of these days.
const (
	minSecond = minDay * secondsPerDay
	maxSecond = maxDay*secondsPerDay + secondsPerDay - 1
)

// A ladder is the hierarchy of blocks over the declared interval of a field. Positions are unsigned, so that the widest
// interval, -2^63 to 2^63-1, fits without overflow.
type ladder struct {
	base        int64  // value at position 0
	first, last uint64 // declared interval, as positions
	levels      int
	calendar    bool
}

// topBlocks is the most blocks that the highest level has. One level more would make a term that most documents share and
// save a query at most this many terms.
const topBlocks = 16

// ladder builds the hierarchy of a field. Decimals and times climb like integers: they count in their last digit and in seconds.
func (f Field) ladder() ladder {
	lo, hi := f.bounds()
	l := ladder{base: lo, calendar: f.Type == Date}
	if l.calendar {
		l.base = minDay
	}
	l.first, l.last = l.position(lo), l.position(hi)
	for l.levels = 1; l.blocks(l.levels-1) > topBlocks; l.levels++ {
	}
	return l
}

// position of a value of the declared interval. The difference is right modulo 2^64, and fits.
func (l ladder) position(v int64) uint64 { return uint64(v) - uint64(l.base) }

// blocks is the number of blocks of a level that meet the declared interval; at level 0 of the widest interval, which has 2^64,
// it is 0 less one short of that.
func (l ladder) blocks(level int) uint64 {
	n := l.block(level, l.last) - l.block(level, l.first)
	if n == 1<<64-1 {
		return n
	}
	return n + 1
}

// Levels of the calendar. Level calendarYear+k has blocks of 16^k years; those of level calendarYear+1 begin in the years
// 0, 16, 32 and so on.
const (
	calendarDay = iota
	calendarMonth
	calendarYear
)

// block is the number of the block of the level that holds the position.
func (l ladder) block(level int, pos uint64) uint64 {
	if !l.calendar {
		return pos >> (4 * level)
	}
	if level == calendarDay {
		return pos
	}
	y, m, _ := dayTime(l.base + int64(pos)).Date()
	if level == calendarMonth {
		return uint64(12*(y-1)) + uint64(m-1)
	}
	return uint64(y) >> (4 * (level - calendarYear))
}

// extent is the first and the last position of a block, cut to the declared interval.
func (l ladder) extent(level int, block uint64) (first, last uint64) {
	switch {
	case !l.calendar:
		first = block << (4 * level)
		last = first | (1<<(4*level) - 1)
	case level == calendarDay:
		first, last = block, block
	case level == calendarMonth:
		y, m := int(block/12)+1, time.Month(block%12)+1
		first = l.day(y, m)
		last = l.day(y, m+1) - 1
	default:
		shift := 4 * (level - calendarYear)
		first = l.day(max(int(block<<shift), 1), time.January)
		last = l.day(int((block+1)<<shift), time.January) - 1
	}
	return max(first, l.first), min(last, l.last)
}

// day is the position of the first day of a month.
func (l ladder) day(year int, month time.Month) uint64 {
	return l.position(DayNumber(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)))
}

// A node is a block of a level.
type node struct {
	level int
	block uint64
}

// nodes are the blocks that hold the position, one per level, from the smallest.
func (l ladder) nodes(pos uint64) []node {
	nodes := make([]node, l.levels)
	for i := range nodes {
		nodes[i] = node{i, l.block(i, pos)}
	}
	return nodes
}

// cover is the smallest set of blocks whose union, within the declared interval, is lo to hi, both included. They are
// disjoint. It is smallest because a block is taken exactly if it lies in the range and its parent does not.
func (l ladder) cover(lo, hi uint64) []node {
	var nodes []node
	var descend func(level int, from, to uint64)
	descend = func(level int, from, to uint64) {
		// Counting down from n keeps the loop right where to is the greatest number.
		b := l.block(level, from)
		for n := l.block(level, to) - b; ; n-- {
			first, last := l.extent(level, b)
			if lo <= first && last <= hi {
				nodes = append(nodes, node{level, b})
			} else {
				descend(level-1, max(first, lo), min(last, hi))
			}
			if n == 0 {
				return
			}
			b++
		}
	}
	descend(l.levels-1, lo, hi)
	return nodes
}

// coverMax is the greatest number of blocks in a cover: everything between two top blocks, and below each of the two, on every
// level, all children of a partly covered block but one.
func (l ladder) coverMax() int {
	top := int(l.blocks(l.levels - 1))
	sides := 0
	for level := range l.levels - 1 {
		children := 16
		if l.calendar && level == calendarDay {
			children = 31
		} else if l.calendar && level == calendarMonth {
			children = 12
		}
		sides += 2 * (children - 1)
	}
	return max(top, max(top-2, 0)+sides)
}

// term of a node, in the field f.
func (n node) term(f Field) term { return newTerm(f, n.payload()) }

func (n node) payload() string {
	return string(binary.BigEndian.AppendUint64([]byte{uint8(n.level)}, n.block))
}

// rangeTerms gives terms of which a document has exactly one if one of its values in the field is lo to hi, both included. (With
// two values in the range it may have two.) Bounds outside the declared interval are moved to its ends, as no value lies
// beyond them, and the zero Value is an open end. There are no terms if nothing is left: then no document matches.
func (s Schema) rangeTerms(field string, lo, hi Value) ([]term, error) {
	f, err := s.field(field)
	if err != nil {
		return nil, err
	}
	if err := f.ranged(); err != nil {
		return nil, err
	}
	least, most := f.bounds()
	from, to := least, most
	before, behind := 0, 0 // 1 or -1 if an end lies beyond all int64, above or below
	if lo != (Value{}) {
		if from, before, err = f.units(lo); err != nil {
			return nil, err
		}
	}
	if hi != (Value{}) {
		if to, behind, err = f.units(hi); err != nil {
			return nil, err
		}
	}
	if lo != (Value{}) && hi != (Value{}) && (before > behind || before == behind && from > to) {
		return nil, f.refuse("the range begins at %s and ends before it, at %s: swap the bounds", lo.shown(), hi.shown())
	}
	if before > 0 || behind < 0 || to < least || from > most {
		return nil, nil
	}
	l := f.ladder()
	nodes := l.cover(l.position(max(from, least)), l.position(min(to, most)))
	terms := make([]term, len(nodes))
	for i, n := range nodes {
		terms[i] = n.term(f)
	}
	return terms, nil
}

// coverMax is the greatest number of terms that rangeTerms gives for the field.
func (s Schema) coverMax(field string) (int, error) {
	f, err := s.field(field)
	if err != nil {
		return 0, err
	}
	if err := f.ranged(); err != nil {
		return 0, err
	}
	return f.ladder().coverMax(), nil
}

func (f Field) ranged() error {
	if !f.Type.ranged() {
		return f.refuse("%v fields have no ranges: ask integer, decimal, date and time fields", f.Type)
	}
	return nil
}

// units is a value as the whole number that the field counts in, which need not lie in the declared interval. over is 1 or -1 if it
// lies beyond all int64 on that side.
func (f Field) units(v Value) (n int64, over int, err error) {
	if err := f.takes(v); err != nil {
		return 0, 0, err
	}
	if f.Type != Decimal {
		return v.n, 0, nil
	}
	if int(v.scale) > f.Scale {
		return 0, 0, f.refuse("%s has more than %d digits after the point: round it, or build the index with a greater Scale", v.shown(), f.Scale)
	}
	n, over = v.rescaled(f.Scale)
	return n, over, nil
}

// number is a value as the whole number that the field counts in, which must lie in the declared interval.
func (f Field) number(v Value) (int64, error) {
	n, over, err := f.units(v)
	if err != nil {
		return 0, err
	}
	lo, hi := f.bounds()
	if over != 0 || n < lo || n > hi {
		return 0, f.refuse("%s is outside the declared interval, %s to %s: correct the value, or build the index with wider bounds",
			v.shown(), f.value(lo).shown(), f.value(hi).shown())
	}
	return n, nil
}

// value is the inverse of number.
func (f Field) value(n int64) Value {
	if f.Type == Decimal {
		return Dec(n, f.Scale)
	}
	return Value{kind: f.Type.takes(), n: n}
}

func (f Field) takes(v Value) error {
	if want := f.Type.takes(); v.kind != want {
		got := v.kind.String()
		if v.kind != 0 {
			got = fmt.Sprintf("%s(%s)", got, v.shown())
		}
		return f.refuse("a field of type %v takes %v, not %s", f.Type, want, got)
	}
	return nil
}
