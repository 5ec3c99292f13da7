package abe

import (
	"strconv"
	"strings"
	"time"
)

// Numbers and dates are compared as int64: a date as days since 1970-01-01 in the Gregorian calendar.

// The days that a date can be: 0001-01-01 to 9999-12-31.
const (
	firstDate = -719162
	lastDate  = 2932896
)

// looksLikeDate tells a date from a number, before either is checked.
func looksLikeDate(s string) bool {
	return len(s) > 1 && strings.IndexByte(s[1:], '-') >= 0
}

// parseOrdinal reads a number or a date in its one form. fix says what to do if there is none.
func parseOrdinal(kind Kind, s string) (x int64, fix string) {
	if kind == Date {
		return parseDate(s)
	}
	return parseNumber(s)
}

func parseNumber(s string) (int64, string) {
	x, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == "" && s != "" && s != "-":
		return 0, "numbers go from -9223372036854775808 to 9223372036854775807"
	case err != nil && strings.Count(s, ".") == 2 && strings.Trim(s, "0123456789.") == "" && !strings.Contains(s, ".."):
		return 0, "dates are written year first, such as 1999-12-31"
	case err != nil:
		return 0, "numbers are integers, such as 18 or -5"
	case strconv.FormatInt(x, 10) != s:
		return 0, "write the number as " + strconv.FormatInt(x, 10)
	}
	return x, ""
}

func parseDate(s string) (int64, string) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 || t.Format(time.DateOnly) != s {
		return 0, "dates are days of the calendar from 0001-01-01 to 9999-12-31, such as 1990-01-31"
	}
	return t.Unix() / (24 * 60 * 60), "" // exact: midnight, also before 1970
}

func formatOrdinal(kind Kind, x int64) string { return string(appendOrdinal(nil, kind, x)) }

func appendOrdinal(b []byte, kind Kind, x int64) []byte {
	if kind == Date {
		return time.Unix(x*24*60*60, 0).UTC().AppendFormat(b, time.DateOnly)
	}
	return strconv.AppendInt(b, x, 10)
}
