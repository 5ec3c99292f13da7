package abe

import (
	"errors"
	"fmt"
	"time"
)

// Day is a sealing day: days since 1970-01-01 in UTC. It prints, and is read and written as text and in JSON, as 2006-01-02.
type Day uint16

// LastDay is the last day that can be sealed on, 2149-06-06.
const LastDay Day = 1<<16 - 1

const (
	dayLayout  = "2006-01-02"
	daySeconds = 24 * 60 * 60
)

// DayOf returns the day of t in UTC. Times before 1970-01-02 give that day, 1, and times after LastDay give LastDay. It never gives 0, which
// means today in Options.Day: a date that is missing, the zero time, is not taken for it.
func DayOf(t time.Time) Day {
	return Day(min(max(t.Unix()/daySeconds, 1), int64(LastDay)))
}

// String is the date, such as 2027-01-31.
func (d Day) String() string { return time.Unix(int64(d)*daySeconds, 0).UTC().Format(dayLayout) }

// MarshalText returns String. The error is always nil.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a date such as 2027-01-31, from 1970-01-01 to 2149-06-06.
func (d *Day) UnmarshalText(text []byte) error {
	t, err := time.Parse(dayLayout, string(text))
	day := Day(t.Unix() / daySeconds) // wraps round where there is no such day
	if err != nil || day.String() != string(text) {
		return fmt.Errorf("abe: %.20q is no sealing day: write a date from 1970-01-01 to %v, such as 2027-01-31", text, LastDay)
	}
	*d = day
	return nil
}

// Window is the sealing days whose objects a key opens, both ends included: Window{First: 0, Last: LastDay} is all of them. A First that
// is left out is 0, and the key reads the whole past. A key that
// is to read the history of a record begins at or before its oldest object. Its end stops the key from opening what is sealed later, by
// mathematics and not by a check; it does not stop it from opening what was sealed inside, however much later it is tried. The sealer
// chooses the day: one who antedates an object seals for keys that have ended.
type Window struct{ First, Last Day }

// Contains says whether day is in w.
func (w Window) Contains(day Day) bool { return w.First <= day && day <= w.Last }

// String is both days, such as 2026-01-01..2026-12-31.
func (w Window) String() string { return w.First.String() + ".." + w.Last.String() }

func (w Window) check() error {
	switch {
	case w == Window{}:
		return fmt.Errorf("abe: the window is empty: say from which sealing day to which the key reads; Window{First: 0, Last: LastDay} is all of time")
	case w.First > w.Last:
		return fmt.Errorf("abe: the window %v ends before it begins: give the earlier day first", w)
	}
	return nil
}

// The number of a day is eight digits to the base 4, the most significant first. An object asks for one of the eight prefixes of its
// day; a key has the prefixes that together cover its window and nothing else. docs/spec/abe.md section 5.

// atoms are the prefixes that cover w, by level and then by prefix. There are 44 at most, 4 for all of time, and for a year 12 on average.
func (w Window) atoms() []atom { return windowAtoms(uint16(w.First), uint16(w.Last)) }

// withDay returns f and one of the prefixes of day.
func (f *formula) withDay(day Day) *formula { return f.withAnyOf(dayAtoms(uint16(day))) }

// today is the sealing day by the clock.
func today() (Day, error) {
	now := time.Now()
	if day := DayOf(now); day > 1 && day < LastDay {
		return day, nil
	}
	return 0, errors.New("abe: the clock says " + now.UTC().Format(dayLayout) + ": set it, or give the sealing day in Options.Day")
}
