package abe

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDay(t *testing.T) {
	for text, day := range map[string]Day{"1970-01-01": 0, "1970-01-02": 1, "2026-11-21": 20778, "2149-06-06": LastDay} {
		require.Equal(t, text, day.String())
		out, err := json.Marshal(day)
		require.NoError(t, err)
		require.Equal(t, `"`+text+`"`, string(out))
		var back Day
		require.NoError(t, json.Unmarshal(out, &back))
		require.Equal(t, day, back)
	}
	for _, bad := range []string{"", "1969-12-31", "2149-06-07", "2026-02-30", "2026-1-1", "21.11.2026", "2026-11-21T00:00:00Z", " 2026-11-21", "+026-11-21"} {
		day := Day(7)
		require.ErrorContains(t, day.UnmarshalText([]byte(bad)), "such as 2027-01-31", bad)
		require.Equal(t, Day(7), day)
	}
	require.Equal(t, Day(1), DayOf(time.Date(1970, 1, 2, 23, 59, 59, 0, time.UTC)))
	require.Equal(t, Day(1), DayOf(time.Date(1970, 1, 3, 0, 30, 0, 0, time.FixedZone("", 3600))), "in UTC it is the day before")
	for _, missing := range []time.Time{{}, time.Unix(0, 0), time.Date(1950, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(1970, 1, 1, 23, 59, 59, 0, time.UTC)} {
		require.Equal(t, Day(1), DayOf(missing), "never 0, which is today in Options.Day")
	}
	require.Equal(t, LastDay, DayOf(time.Date(2500, 1, 2, 0, 0, 0, 0, time.UTC)))
	day, err := today()
	require.NoError(t, err)
	require.InDelta(t, time.Now().Unix()/86400, int(day), 1)
}

func TestWindowCheck(t *testing.T) {
	require.ErrorContains(t, Window{}.check(), "all of time")
	require.ErrorContains(t, Window{2, 1}.check(), "earlier day first")
	for _, w := range []Window{{0, LastDay}, {1, 1}, {0, 1}, {LastDay, LastDay}} {
		require.NoError(t, w.check())
	}
	require.Equal(t, "1970-01-02..2149-06-06", Window{1, LastDay}.String())
}

// meets says whether a key for w has an atom that an object of day asks for.
func (w Window) meets(day Day) bool {
	cover := w.atoms()
	return slices.ContainsFunc(dayAtoms(uint16(day)), func(u atom) bool { return slices.Contains(cover, u) })
}

// The cover meets a day if and only if the day is in the window: for every day around the ends and for others, drawn.
func TestWindowCoversItsDaysAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.Custom(func(t *rapid.T) Day {
			if rapid.Bool().Draw(t, "round") { // ends of many zeros or threes
				return Day(rapid.IntRange(0, 63).Draw(t, "digits")<<rapid.IntRange(0, 10).Draw(t, "shift") + rapid.IntRange(-1, 1).Draw(t, "off"))
			}
			return Day(rapid.Uint16().Draw(t, "day"))
		})
		a, b, c := day.Draw(t, "a"), day.Draw(t, "b"), day.Draw(t, "c")
		w := Window{min(a, b), max(a, b)}
		for _, d := range []Day{a, b, c, a - 1, a + 1, b - 1, b + 1, 0, LastDay} {
			require.Equal(t, w.Contains(d), w.meets(d), "%v and %v", w, d)
		}
		cover := w.atoms()
		require.LessOrEqual(t, len(cover), 44)
		require.True(t, slices.IsSorted(cover))
		require.Len(t, slices.Compact(slices.Clone(cover)), len(cover))
	})
}

// Every day of a few windows, and the sizes that the documentation states.
func TestWindowSizes(t *testing.T) {
	require.Len(t, Window{0, LastDay}.atoms(), 4)
	require.Len(t, Window{1, LastDay - 1}.atoms(), 44)
	require.Equal(t, []atom{"\x01\x06\x08\x00\x07"}, Window{7, 7}.atoms())
	require.Equal(t, []atom{"\x01\x06\x01\x00\x00", "\x01\x06\x02\x00\x01", "\x01\x06\x03\x00\x05", "\x01\x06\x04\x00\x15", "\x01\x06\x05\x00\x55", "\x01\x06\x06\x01\x55", "\x01\x06\x07\x05\x55", "\x01\x06\x08\x15\x56"}, dayAtoms(0x1556))
	for _, w := range []Window{{0, LastDay}, {1, LastDay - 1}, {20454, 20818}, {16383, 16384}, {5, 5}} {
		held := map[atom]bool{}
		for _, u := range w.atoms() {
			held[u] = true
		}
		for d := range int(LastDay) + 1 {
			meets := slices.ContainsFunc(dayAtoms(uint16(d)), func(u atom) bool { return held[u] })
			require.Equal(t, w.Contains(Day(d)), meets)
		}
	}
	sum, most := 0, 0
	for first := range 4096 {
		n := len(Window{Day(first), Day(first + 364)}.atoms())
		sum, most = sum+n, max(most, n)
	}
	require.Equal(t, "12 on average, 20 at most", fmt.Sprintf("%.0f on average, %d at most", float64(sum)/4096, most))
}

// The day is one more part of an and, whatever the policy is, and its leaves come last.
func TestFormulaWithDay(t *testing.T) {
	const day = 20778
	for text, parts := range map[string]int{"a": 2, "a and b": 3, "a or b": 2, "2 of (a, b, c)": 2, "a and (b or c) and d": 4} {
		p := parsePolicy(t, text)
		f := p.formula().withDay(day)
		require.True(t, f.root.isAnd(), text)
		require.Len(t, f.root.kids, parts, text)
		require.Equal(t, p.formula().leaves()+dayDigits, f.leaves())
		require.Equal(t, dayAtoms(uint16(day)), f.atoms[p.formula().leaves():])
		require.Equal(t, p.formula().tau(), f.tau())
		for i, u := range dayAtoms(uint16(day)) {
			require.Equal(t, u, f.rows()[p.formula().leaves()+i].atom)
			everything := func(v atom) bool { return slices.Contains(p.formula().atoms, v) || v == u }
			_, ok := f.satisfy(everything)
			require.True(t, ok)
		}
		_, ok := f.satisfy(func(v atom) bool { return slices.Contains(p.formula().atoms, v) })
		require.False(t, ok, "without the day")
		_, ok = f.satisfy(func(v atom) bool { return slices.Contains(dayAtoms(uint16(day)), v) })
		require.False(t, ok, "with the day alone")
	}
}

// A date that is missing is sealed as the first day there is, and not as today.
func TestMissingDateIsNotToday(t *testing.T) {
	a := generate(t)
	sealed, err := a.Params().Seal(parsePolicy(t, "a"), nil, &Options{Day: DayOf(time.Time{})})
	require.NoError(t, err)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	require.Equal(t, "1970-01-02", h.Day.String())
}
