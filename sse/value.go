package sse

import (
	"fmt"
	"strconv"
	"time"
)

// Fields holds what a document has in each field of the schema, by name. A field may have several values, and none.
//
//	sse.Fields{
//		"name": {sse.String("Zoë O'Brien")},
//		"code": {sse.String("I10"), sse.String("E11.9")},
//		"born": {sse.Day(time.Date(1961, time.May, 4, 0, 0, 0, 0, time.UTC))},
//		"bmi":  {sse.Int(31)},
//	}
type Fields map[string][]Value

// Value is one value of one field, or the value a query looks for. Make it with String, Int or Day; the zero Value is refused.
type Value struct {
	kind valueKind
	text string
	n    int64
}

type valueKind uint8

const (
	valueString valueKind = iota + 1
	valueInt
	valueDay
)

func (k valueKind) String() string {
	switch k {
	case valueString:
		return "sse.String"
	case valueInt:
		return "sse.Int"
	case valueDay:
		return "sse.Day"
	}
	return "the zero sse.Value"
}

// String is a value of a Keyword or Text field: valid UTF-8.
func String(s string) Value { return Value{kind: valueString, text: s} }

// Int is a value of an Integer field.
func Int(n int64) Value { return Value{kind: valueInt, n: n} }

// Day is a value of a Date field: the calendar date that t shows in its own time zone. The time of day is not kept.
func Day(t time.Time) Value { return Value{kind: valueDay, n: DayNumber(t)} }

// DayNumber is the number of days from 1 January 1970 to the calendar date that t shows in its own time zone, negative
// before it. It is what Field.Min and Field.Max of a Date field count in.
func DayNumber(t time.Time) int64 {
	y, m, d := t.Date()
	// Midnight UTC is a whole number of days from the epoch, so that the division is exact, also below zero.
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay
}

const secondsPerDay = 24 * 60 * 60

// dayTime is the inverse of DayNumber.
func dayTime(day int64) time.Time { return time.Unix(day*secondsPerDay, 0).UTC() }

// String shows the value for people: the text itself, a decimal number, or a date as in 2006-01-02.
func (v Value) String() string {
	switch v.kind {
	case valueString:
		return v.text
	case valueInt:
		return strconv.FormatInt(v.n, 10)
	case valueDay:
		return dayTime(v.n).Format(time.DateOnly)
	}
	return ""
}

// shown is the value in an error message: shortened, and quoted if it is text.
func (v Value) shown() string {
	if v.kind != valueString {
		return v.String()
	}
	const most = 40
	for i := range v.text {
		if i >= most {
			return fmt.Sprintf("%q...", v.text[:i])
		}
	}
	return strconv.Quote(v.text)
}
