package sse

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Fields holds what a document has in each field of the schema, by name. A field may have several values, and none.
//
//	sse.Fields{
//		"name": {sse.String("Zoë O'Brien")},
//		"code": {sse.String("I10"), sse.String("E11.9")},
//		"born": {sse.Day(time.Date(1961, time.May, 4, 0, 0, 0, 0, time.UTC))},
//		"bmi":  {sse.Dec(314, 1)},
//		"beds": {sse.Int(2)},
//	}
type Fields map[string][]Value

// Value is one value of one field, or the value a query looks for. Make it with String, Int, Dec, ParseDecimal, Day, Instant or
// Raw; the zero Value is refused. Values that mean the same are equal under ==.
type Value struct {
	kind  valueKind
	scale uint8  // of a decimal, as small as it can be
	text  string // of a string or bytes
	n     int64
}

type valueKind uint8

const (
	valueString valueKind = iota + 1
	valueInt
	valueDay
	valueDecimal
	valueInstant
	valueBytes
)

var valueKinds = [...]string{
	0: "the zero sse.Value", valueString: "sse.String", valueInt: "sse.Int", valueDay: "sse.Day", valueDecimal: "sse.Dec",
	valueInstant: "sse.Instant", valueBytes: "sse.Raw",
}

func (k valueKind) String() string { return valueKinds[k] }

// String is a value of a Keyword, Text or Name field: valid UTF-8.
func String(s string) Value { return Value{kind: valueString, text: s} }

// Raw is a value of a Bytes field: 1 to MaxBytes bytes. b is copied.
func Raw(b []byte) Value { return Value{kind: valueBytes, text: string(b)} }

// Int is a value of an Integer field.
func Int(n int64) Value { return Value{kind: valueInt, n: n} }

// Dec is a value of a Decimal field: unscaled divided by ten to the power of scale, exactly. Dec(1250, 2) is 12.50 and equal
// to Dec(125, 1). scale is 0 to 18; with another one the value is refused where it is used.
func Dec(unscaled int64, scale int) Value {
	if scale < 0 || scale > maxDecimal {
		return Value{kind: valueDecimal, scale: math.MaxUint8}
	}
	for ; scale > 0 && unscaled%10 == 0; scale-- {
		unscaled /= 10
	}
	return Value{kind: valueDecimal, n: unscaled, scale: uint8(scale)}
}

// maxDecimal is the most digits after the point of a decimal value: all digits of an int64 but the first.
const maxDecimal = 18

// ParseDecimal reads what people write: an optional sign, digits, and optionally a point and digits, as in "-0.25". There must be a
// digit on both sides of a point. The value is exact; the error, which wraps ErrSchema, says what does not fit into 64 bits and 18
// digits after the point. There is no exponent and no separator of thousands.
func ParseDecimal(text string) (Value, error) {
	refuse := func(why string) (Value, error) {
		return Value{}, fmt.Errorf("sse: the decimal %s %w: %s", String(text).shown(), ErrSchema, why)
	}
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" {
		return refuse("write digits, and digits on both sides of a point")
	}
	fraction = strings.TrimRight(fraction, "0")
	// Negative, so that the least int64 fits.
	n := int64(0)
	for i, c := range []byte(whole + fraction) {
		if c < '0' || c > '9' {
			return refuse("write digits and at most one point, without exponent and separators")
		}
		if n < (math.MinInt64+int64(c-'0'))/10 {
			return refuse("it has more digits than fit into 64 bits")
		}
		n = 10*n - int64(c-'0')
		if i >= len(whole)+maxDecimal {
			return refuse("it has more than 18 digits after the point")
		}
	}
	if !negative {
		if n == math.MinInt64 {
			return refuse("it has more digits than fit into 64 bits")
		}
		n = -n
	}
	return Dec(n, len(fraction)), nil
}

// rescaled is a decimal in units of ten to the power of -scale, which must not be less than its own scale. Where that does not fit, over is 1 or -1,
// the side to which it lies beyond all int64, and n the last number there.
func (v Value) rescaled(scale int) (n int64, over int) {
	power := uint64(1)
	for range scale - int(v.scale) {
		power *= 10
	}
	size := uint64(v.n)
	if v.n < 0 {
		size = -size
	}
	high, size := bits.Mul64(size, power)
	switch {
	case v.n < 0 && (high > 0 || size > 1<<63):
		return math.MinInt64, -1
	case v.n < 0:
		return int64(-size), 0
	case high > 0 || size > math.MaxInt64:
		return math.MaxInt64, 1
	}
	return int64(size), 0
}

// Day is a value of a Date field: the calendar date that t shows in its own time zone. The time of day is not kept.
func Day(t time.Time) Value { return Value{kind: valueDay, n: DayNumber(t)} }

// Instant is a value of a Time field: the second that t lies in, whatever its time zone. Fractions of a second and the time zone are
// not kept.
func Instant(t time.Time) Value { return Value{kind: valueInstant, n: t.Unix()} }

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

// String shows the value for people: the text itself, a decimal number, a date as in 2006-01-02, a point in time as in
// 2006-01-02T15:04:05Z, or bytes in hexadecimal digits.
func (v Value) String() string {
	switch v.kind {
	case valueString:
		return v.text
	case valueInt:
		return strconv.FormatInt(v.n, 10)
	case valueDecimal:
		return v.decimal()
	case valueDay:
		return dayTime(v.n).Format(time.DateOnly)
	case valueInstant:
		return time.Unix(v.n, 0).UTC().Format(time.RFC3339)
	case valueBytes:
		return hex.EncodeToString([]byte(v.text))
	}
	return ""
}

func (v Value) decimal() string {
	if v.scale > maxDecimal {
		return "a decimal whose scale is not 0 to 18"
	}
	digits := strconv.FormatInt(v.n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if missing := int(v.scale) + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if v.scale == 0 {
		return sign + digits
	}
	point := len(digits) - int(v.scale)
	return sign + digits[:point] + "." + digits[point:]
}

// shown is the value in an error message: shortened, and quoted if it is text.
func (v Value) shown() string {
	if v.kind != valueString && v.kind != valueBytes {
		return v.String()
	}
	const most = 40
	if v.kind == valueBytes {
		if len(v.text) > most/2 {
			return hex.EncodeToString([]byte(v.text[:most/2])) + "..."
		}
		return v.String()
	}
	for i := range v.text {
		if i >= most {
			return fmt.Sprintf("%q...", v.text[:i])
		}
	}
	return strconv.Quote(v.text)
}

// takes is the kind of value that a field of the type takes.
func (t Type) takes() valueKind {
	switch t {
	case Integer:
		return valueInt
	case Decimal:
		return valueDecimal
	case Date:
		return valueDay
	case Time:
		return valueInstant
	case Bytes:
		return valueBytes
	}
	return valueString
}
