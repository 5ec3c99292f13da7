package sse

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawInterval draws bounds of an integer field, often at the ends of int64 and often narrow.
func drawInterval(r *rapid.T) Field {
	edge := rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64})
	value := rapid.OneOf(rapid.Int64(), edge, rapid.Int64Range(-300, 300))
	a, b := value.Draw(r, "a"), value.Draw(r, "b")
	f := Field{Name: "n", Type: Integer, Min: min(a, b), Max: max(a, b)}
	if f.validate() != nil {
		f.Min, f.Max = -5, 5
	}
	return f
}

// drawDates draws the interval of a date field.
func drawDates(r *rapid.T) Field {
	value := rapid.OneOf(rapid.Int64Range(minDay, maxDay), rapid.SampledFrom([]int64{minDay, maxDay, -1, 0, 1}), rapid.Int64Range(-800, 800))
	a, b := value.Draw(r, "a"), value.Draw(r, "b")
	f := Field{Name: "d", Type: Date, Min: min(a, b), Max: max(a, b)}
	if f.validate() != nil {
		f.Min, f.Max = 0, 0
	}
	return f
}

// drawIn draws a value of the interval, often at an end or near another value.
func drawIn(r *rapid.T, f Field, near int64, label string) int64 {
	lo, hi := f.bounds()
	v := rapid.OneOf(rapid.Int64Range(lo, hi), rapid.SampledFrom([]int64{lo, hi}), rapid.Custom(func(r *rapid.T) int64 {
		d := rapid.Int64Range(-20, 20).Draw(r, "d")
		if d < 0 && near < lo-d || d > 0 && near > hi-d {
			return near
		}
		return near + d
	})).Draw(r, label)
	return min(max(v, lo), hi)
}

// TestRangeMatchesExactly: a value has exactly one term of the cover if it lies in the range, and none otherwise.
func TestRangeMatchesExactly(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := drawInterval(r)
		if rapid.Bool().Draw(r, "date") {
			f = drawDates(r)
		}
		s := Schema{Fields: []Field{f}}
		lo, hi := f.bounds()
		a := drawIn(r, f, lo, "from")
		b := drawIn(r, f, a, "to")
		a, b = min(a, b), max(a, b)
		cover, err := s.rangeTerms(f.Name, f.value(a), f.value(b))
		require.NoError(r, err)
		most, err := s.coverMax(f.Name)
		require.NoError(r, err)
		require.LessOrEqual(r, len(cover), most)
		require.NotEmpty(r, cover)

		values := []int64{lo, hi, a, b, drawIn(r, f, a, "v"), drawIn(r, f, b, "w")}
		if a > lo {
			values = append(values, a-1)
		}
		if b < hi {
			values = append(values, b+1)
		}
		if a < b {
			values = append(values, a+1, b-1)
		}
		for _, v := range values {
			terms, err := s.indexTerms(f.Name, []Value{f.value(v)})
			require.NoError(r, err)
			shared := 0
			for _, t := range terms {
				if slices.Contains(cover, t) {
					shared++
				}
			}
			want := 0
			if a <= v && v <= b {
				want = 1
			}
			require.Equal(r, want, shared, "value %v, range %v to %v of %v to %v", f.value(v), f.value(a), f.value(b), f.value(lo), f.value(hi))

			exact, err := s.queryTerms(f.Name, f.value(v))
			require.NoError(r, err)
			require.Equal(r, terms[:1], exact, "the term of the value itself")
		}
	})
}

// TestRangeSmallest compares covers of a small interval with the smallest union of blocks that a dynamic programme finds among all.
func TestRangeSmallest(t *testing.T) {
	for _, f := range []Field{
		{Name: "n", Type: Integer, Min: -7, Max: 292},
		{Name: "n", Type: Integer, Min: 0, Max: 15},
		{Name: "n", Type: Integer, Min: 0, Max: 16},
		{Name: "d", Type: Date, Min: DayNumber(date(2019, 12, 20)), Max: DayNumber(date(2021, 3, 3))},
	} {
		require.NoError(t, f.validate())
		l := f.ladder()
		span := int(l.last - l.first + 1)
		// blocks that begin at a position, as their ends
		var ends = make([][]int, span)
		for level := range l.levels {
			for b := l.block(level, l.first); b <= l.block(level, l.last); b++ {
				first, last := l.extent(level, b)
				ends[first-l.first] = append(ends[first-l.first], int(last-l.first)+1)
			}
		}
		most := 0
		for a := range span {
			least := make([]int, span+1) // blocks needed from a to here
			for i := range least {
				least[i] = math.MaxInt32
			}
			least[a] = 0
			for i := a; i < span; i++ {
				for _, end := range ends[i] {
					least[end] = min(least[end], least[i]+1)
				}
			}
			for b := a; b < span; b++ {
				got := l.cover(l.first+uint64(a), l.first+uint64(b))
				require.Len(t, got, least[b+1], "%d to %d of %v", a, b, f)
				most = max(most, len(got))
			}
		}
		require.LessOrEqual(t, most, l.coverMax())
		require.LessOrEqual(t, int(l.blocks(l.levels-1)), topBlocks)
	}
}

// TestRangeCoverMax: the documented maximum is reached where the interval is made of whole blocks.
func TestRangeCoverMax(t *testing.T) {
	for _, c := range []struct {
		f      Field
		levels int
		most   int
	}{
		{Field{Name: "n", Type: Integer, Min: 0, Max: 15}, 1, 16},
		{Field{Name: "n", Type: Integer, Min: -10, Max: 245}, 2, 14 + 30},
		{Field{Name: "n", Type: Integer, Min: 0, Max: 65535}, 4, 14 + 3*30},
		{Field{Name: "n", Type: Integer, Min: math.MinInt64, Max: math.MaxInt64}, 16, 14 + 15*30},
	} {
		l := c.f.ladder()
		assert.Equal(t, c.levels, l.levels)
		assert.Equal(t, c.most, l.coverMax())
		if c.levels > 1 {
			assert.Len(t, l.cover(l.first+1, l.last-1), c.most)
		}
		assert.Len(t, l.cover(l.first, l.last), 16, "everything is the top blocks")
	}
	day := Field{Name: "d", Type: Date}
	l := day.ladder()
	assert.Equal(t, 6, l.levels)
	assert.Len(t, l.cover(l.first, l.last), 3)
	one := func(lo, hi Value) int {
		terms, err := (Schema{Fields: []Field{day}}).rangeTerms("d", lo, hi)
		require.NoError(t, err)
		return len(terms)
	}
	assert.Equal(t, 1, one(Day(date(2024, 2, 1)), Day(date(2024, 2, 29))), "a month")
	assert.Equal(t, 1, one(Day(date(2023, 1, 1)), Day(date(2023, 12, 31))), "a year")
	assert.Equal(t, 1, one(Day(date(2000, 1, 1)), Day(date(2015, 12, 31))), "sixteen years")
	assert.Equal(t, 1+2, one(Day(date(2019, 12, 31)), Day(date(2021, 12, 31))))
}

func TestRangeBounds(t *testing.T) {
	s := wardSchema(t)
	terms := func(lo, hi Value) []term {
		got, err := s.rangeTerms("bmi", lo, hi)
		require.NoError(t, err)
		return got
	}
	assert.Equal(t, terms(Int(30), Int(255)), terms(Int(30), Int(math.MaxInt64)), "moved to the end")
	assert.Equal(t, terms(Int(30), Int(255)), terms(Int(30), Value{}))
	assert.Equal(t, terms(Int(0), Int(30)), terms(Int(math.MinInt64), Int(30)))
	assert.Equal(t, terms(Int(0), Int(30)), terms(Value{}, Int(30)))
	assert.Equal(t, terms(Int(0), Int(255)), terms(Value{}, Value{}))
	assert.Empty(t, terms(Int(256), Int(300)))
	assert.Empty(t, terms(Int(-9), Int(-1)))
	assert.Empty(t, terms(Int(300), Value{}))
	assert.Empty(t, terms(Value{}, Int(-1)))

	for _, c := range []struct {
		field  string
		lo, hi Value
		want   []string
	}{
		{"bmi", Int(31), Int(30), []string{`"bmi"`, "31", "30", "swap"}},
		{"bmi", Int(300), Int(-300), []string{"swap"}},
		{"bmi", Day(date(2000, 1, 1)), Int(30), []string{`"bmi"`, "sse.Int", "sse.Day(2000-01-01)"}},
		{"born", Int(3), Value{}, []string{`"born"`, "sse.Day", "sse.Int(3)"}},
		{"name", String("a"), String("b"), []string{`"name"`, "no ranges"}},
		{"weight", Int(1), Int(2), []string{`"weight"`, "name, note, code"}},
	} {
		_, err := s.rangeTerms(c.field, c.lo, c.hi)
		require.ErrorIs(t, err, ErrSchema)
		for _, want := range c.want {
			assert.ErrorContains(t, err, want)
		}
	}
	_, err := s.coverMax("name")
	assert.ErrorIs(t, err, ErrSchema)
	_, err = s.coverMax("none")
	assert.ErrorIs(t, err, ErrSchema)
}

func TestDayNumber(t *testing.T) {
	assert.EqualValues(t, minDay, DayNumber(date(1, 1, 1)))
	assert.EqualValues(t, maxDay, DayNumber(date(9999, 12, 31)))
	assert.EqualValues(t, 0, DayNumber(date(1970, 1, 1)))
	assert.EqualValues(t, -1, DayNumber(date(1969, 12, 31)))
	for day := minDay; day <= maxDay; day += 97 {
		require.Equal(t, day, DayNumber(dayTime(day)))
	}
	late := date(2024, 3, 1).Add(-1)
	assert.Equal(t, "2024-02-29", Day(late).String())
	assert.Equal(t, Day(date(2024, 2, 29)), Day(late))
}
