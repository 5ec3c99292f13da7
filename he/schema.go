package he

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/veilchart/veilchart/internal/wire"
)

// OutOfRange says what EncryptColumn does with a value outside [Min, Max], after rounding to the scale.
type OutOfRange uint8

const (
	Clamp            OutOfRange = iota // move it to the nearer bound
	DropOutOfRange                     // treat it as missing
	RefuseOutOfRange                   // fail and say which row
)

// Limits of a schema.
const (
	maxName    = 64
	maxScale   = 1_000_000_000
	maxBuckets = 64
	maxSteps   = 1 << 40          // |Min*Scale| and |Max*Scale|
	maxWidth   = 0xfffffdc001 / 2 // (Max-Min)*Scale: T/2 rounded down, so that x' is a message and one row can be summed
)

// ColumnSchema declares a numeric column. Stored is x' = clamp(round(x*Scale)) - Min*Scale, a whole number from 0 to
// (Max-Min)*Scale, besides a presence bit; both are 0 for a row that has no value. The schema is public: it is in the file.
type ColumnSchema struct {
	Name       string     // 1 to 64 printable ASCII characters
	Min, Max   float64    // bounds in natural units, whole multiples of 1/Scale, Min < Max, at most 2^40 steps from 0 and 2^39 apart
	Scale      uint32     // steps a unit, 1 to 10^9: 10 keeps one decimal
	Edges      []float64  // bucket edges for Histogram or none: ascending, from Min to Max, whole multiples of 1/Scale, at most 65
	OutOfRange OutOfRange // Clamp unless said otherwise
}

// Value is one row's value. Row is a stable position that the caller assigned and never reuses; positions should be dense,
// since each started block of 4,096 costs the same. A missing value is not listed.
type Value struct {
	Row uint32
	X   float64 // natural units; not a NaN and not infinite
}

// schema is a checked ColumnSchema in steps of 1/scale.
type schema struct {
	name   string
	lo, hi int64
	scale  uint32
	edges  []int64
	policy OutOfRange
}

func newSchema(c ColumnSchema) (schema, error) {
	s := schema{name: c.Name, scale: c.Scale, policy: c.OutOfRange}
	var err error
	steps := func(what string, v float64) int64 {
		r := math.Round(v * float64(c.Scale))
		// A thousandth of a step is far above float64 rounding below 2^40 steps and far below a real difference.
		if !(math.Abs(r) <= maxSteps) || math.Abs(v*float64(c.Scale)-r) > 1e-3 {
			if err == nil {
				err = fmt.Errorf("%s is %v: give a whole multiple of 1/Scale with at most 2^40 steps from 0", what, v)
			}
			return 0
		}
		return int64(r)
	}
	s.lo, s.hi = steps("Min", c.Min), steps("Max", c.Max)
	for _, e := range c.Edges {
		s.edges = append(s.edges, steps("an edge", e))
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return schema{}, fmt.Errorf("he: schema of column %q: %w", c.Name, err)
	}
	return s, nil
}

// check holds for schemas that people write and for those read from files.
func (s schema) check() error {
	switch {
	case s.name == "" || len(s.name) > maxName || strings.ContainsFunc(s.name, func(r rune) bool { return r < 0x20 || r > 0x7e }):
		return fmt.Errorf("the name must be 1 to %d printable ASCII characters", maxName)
	case s.scale == 0 || s.scale > maxScale:
		return fmt.Errorf("scale is %d: use 1 to %d", s.scale, maxScale)
	case s.lo < -maxSteps || s.hi > maxSteps || s.lo >= s.hi:
		return fmt.Errorf("bounds are %d and %d steps: Min must be below Max, both within 2^40 steps of 0", s.lo, s.hi)
	case s.hi-s.lo > maxWidth:
		return fmt.Errorf("the range is %d steps: at most T/2 = %d fit; use a smaller range or scale", s.hi-s.lo, int64(maxWidth))
	case s.policy > RefuseOutOfRange:
		return fmt.Errorf("policy for values out of range is %d: use Clamp, DropOutOfRange or RefuseOutOfRange", s.policy)
	}
	if n := len(s.edges); n != 0 {
		if n < 2 || n > maxBuckets+1 || s.edges[0] != s.lo || s.edges[n-1] != s.hi {
			return fmt.Errorf("edges must be 2 to %d values from Min to Max", maxBuckets+1)
		}
		for i := 1; i < n; i++ {
			if s.edges[i-1] >= s.edges[i] {
				return fmt.Errorf("edges must ascend by at least 1/Scale: edge %d does not", i)
			}
		}
	}
	return nil
}

func (s schema) public() ColumnSchema {
	unit := func(v int64) float64 { return float64(v) / float64(s.scale) }
	c := ColumnSchema{Name: s.name, Min: unit(s.lo), Max: unit(s.hi), Scale: s.scale, OutOfRange: s.policy}
	for _, e := range s.edges {
		c.Edges = append(c.Edges, unit(e))
	}
	return c
}

// width is the largest x'.
func (s schema) width() int64 { return s.hi - s.lo }

func (s schema) buckets() int { return max(0, len(s.edges)-1) }

// parts is the number of polynomials a block: x', presence, then one for each bucket.
func (s schema) parts() int { return firstBucket + s.buckets() }

const (
	partValue    = 0
	partPresence = 1
	firstBucket  = 2
)

// step is x' for a value; ok is false if it counts as missing.
func (s schema) step(v Value) (x uint64, ok bool, err error) {
	if math.IsNaN(v.X) || math.IsInf(v.X, 0) {
		return 0, false, fmt.Errorf("he: column %q: row %d is %v: leave a missing value out", s.name, v.Row, v.X)
	}
	// The comparison is between floats, since a huge value has no int64.
	r := math.Round(v.X * float64(s.scale))
	if r < float64(s.lo) || r > float64(s.hi) {
		switch s.policy {
		case DropOutOfRange:
			return 0, false, nil
		case RefuseOutOfRange:
			c := s.public()
			return 0, false, fmt.Errorf("he: column %q: row %d is outside [%v, %v]: correct it or choose another policy", s.name, v.Row, c.Min, c.Max)
		}
		r = min(max(r, float64(s.lo)), float64(s.hi))
	}
	return uint64(int64(r) - s.lo), true, nil
}

// bucket is the index of the bucket of x': [e_j, e_j+1), the last one closed.
func (s schema) bucket(x uint64) int {
	v := int64(x) + s.lo
	i, found := slices.BinarySearch(s.edges, v)
	if !found {
		i--
	}
	return min(i, s.buckets()-1)
}

func (s schema) append(b []byte) []byte {
	b = wire.AppendString(b, s.name)
	b = binary.BigEndian.AppendUint64(b, uint64(s.lo))
	b = binary.BigEndian.AppendUint64(b, uint64(s.hi))
	b = binary.BigEndian.AppendUint32(b, s.scale)
	b = append(b, byte(s.policy))
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.edges)))
	for _, e := range s.edges {
		b = binary.BigEndian.AppendUint64(b, uint64(e))
	}
	return b
}

func decodeSchema(d *wire.Decoder) schema {
	s := schema{name: d.String(maxName), lo: int64(d.Uint64()), hi: int64(d.Uint64()), scale: d.Uint32(), policy: OutOfRange(d.Uint8())}
	for range d.Len(maxBuckets+1, 8) {
		s.edges = append(s.edges, int64(d.Uint64()))
	}
	if d.Err() == nil {
		if err := s.check(); err != nil {
			d.Failf("schema: %v", err)
		}
	}
	return s
}
