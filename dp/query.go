package dp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/veilchart/veilchart/internal/wire"
)

// Kind is what a question asks for.
type Kind uint8

// The kinds of question.
const (
	Count     Kind = 1 // rows in the set that have a value
	Sum       Kind = 2 // sum of a column over the set
	Mean      Kind = 3 // mean of a column over the set
	Histogram Kind = 4 // rows of the set in each bucket of a column
)

// String is "count", "sum", "mean" or "histogram".
func (k Kind) String() string {
	if names := [...]string{"", "count", "sum", "mean", "histogram"}; k >= Count && k <= Histogram {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Bounds are the declared range of a column in scaled integers: a value v is stored as round(v*Scale), clamped to [Lo, Hi], less
// Lo. The range Hi-Lo is 1..2^40, Lo and Hi are within 2^50 and Scale is 1..2^40 (0 stands for 1). They must come from knowledge of
// the measurement, not from the data.
type Bounds struct{ Lo, Hi, Scale int64 }

// A Query is one question to one data set. Two queries are the same question if all fields but Confidence are equal; a question
// that was answered is answered again from the ledger with the same numbers.
type Query struct {
	Dataset     string // the ledger's data set
	DataVersion uint64 // public number of the batch of data; a new number is a new question
	// Predicate is the canonical text of the filter, at most 4096 bytes; empty means all rows. It must be a predicate of each
	// patient's own rows: see the package documentation.
	Predicate string
	Kind      Kind
	Column    string       // for Sum, Mean, Histogram; empty for Count
	Bounds    Bounds       // for Sum and Mean; a Histogram may set Scale alone
	Edges     []int64      // for Histogram: n+1 increasing scaled integers for n buckets [e0,e1), ..., [e(n-1),en], n <= 4096
	Unit      Contribution // what one patient can add; enforced by the gateway
	// Exactly one of Rho and Epsilon is set. Rho buys discrete Gaussian noise, 2^-20 <= Rho <= 512, rounded down to 2^-40. Epsilon
	// buys discrete Laplace noise, 2^-10 <= Epsilon <= 32, rounded down to 2^-20.
	Rho, Epsilon float64
	Confidence   float64 // of each interval, 0.5 to 1-1e-9; 0 stands for 0.95
}

const (
	maxName      = 200
	maxPredicate = 4096
	maxBuckets   = maxGroups
	maxRange     = 1 << 40
	maxBound     = 1 << 50
	maxL1        = 1 << 45
	maxScale     = 1 << 40
	epsilonBits  = 20
	minRhoUnits  = 1 << (rhoBits - 20)
	maxQueryRho  = 512
	minEpsilon   = 1.0 / 1024
	maxEpsilon   = 32
)

// checkName refuses what would let two spellings look alike in a log.
func checkName(what, s string, limit int, empty bool) error {
	switch {
	case s == "" && empty:
		return nil
	case s == "":
		return fmt.Errorf("%w: the %s is empty; name it", ErrInvalid, what)
	case len(s) > limit:
		return fmt.Errorf("%w: the %s has %d bytes; use at most %d", ErrInvalid, what, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: the %s is not UTF-8", ErrInvalid, what)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%w: the %s begins or ends with a space; trim it", ErrInvalid, what)
	}
	for i, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: the %s has the unprintable character %U at byte %d; remove it", ErrInvalid, what, r, i)
		}
	}
	return nil
}

// normalize checks the query and fills in what stands for a default, so that equal questions are equal values.
func (q Query) normalize() (Query, error) {
	for _, c := range []error{
		checkName("data set", q.Dataset, maxName, false),
		checkName("predicate", q.Predicate, maxPredicate, true),
		checkName("column", q.Column, maxName, q.Kind == Count),
		q.Unit.check(),
	} {
		if c != nil {
			return q, c
		}
	}
	if q.Bounds.Scale == 0 {
		q.Bounds.Scale = 1
	}
	if q.Bounds.Scale < 1 || q.Bounds.Scale > maxScale {
		return q, fmt.Errorf("%w: the scale is %d; give a number between 1 and 2^40", ErrInvalid, q.Bounds.Scale)
	}
	switch q.Kind {
	case Count:
		if q.Column != "" || len(q.Edges) != 0 || q.Bounds != (Bounds{Scale: 1}) {
			return q, fmt.Errorf("%w: a count has no column, bounds or edges; leave them out, or ask for a sum, mean or histogram", ErrInvalid)
		}
	case Sum, Mean:
		if len(q.Edges) != 0 {
			return q, fmt.Errorf("%w: a %v has no edges; leave them out", ErrInvalid, q.Kind)
		}
		if err := q.Bounds.check(); err != nil {
			return q, err
		}
	case Histogram:
		if q.Bounds.Lo != 0 || q.Bounds.Hi != 0 {
			return q, fmt.Errorf("%w: a histogram has edges instead of bounds; leave Lo and Hi out", ErrInvalid)
		}
		if n := len(q.Edges); n < 2 || n > maxBuckets+1 {
			return q, fmt.Errorf("%w: a histogram has %d edges; give 2 to %d", ErrInvalid, n, maxBuckets+1)
		}
		for i, e := range q.Edges {
			if e < -maxBound || e > maxBound {
				return q, fmt.Errorf("%w: edge %d is %d; stay within 2^50 of zero", ErrInvalid, i, e)
			}
			if i > 0 && e <= q.Edges[i-1] {
				return q, fmt.Errorf("%w: edge %d (%d) is not above edge %d (%d); sort them and drop repeats", ErrInvalid, i, e, i-1, q.Edges[i-1])
			}
		}
		q.Edges = append([]int64(nil), q.Edges...)
		q.Unit.Groups = min(q.Unit.Groups, len(q.Edges)-1) // no more buckets than there are
	default:
		return q, fmt.Errorf("%w: %v is not a kind of question; use Count, Sum, Mean or Histogram", ErrInvalid, q.Kind)
	}
	if q.Kind != Histogram && q.Unit.Groups != 0 {
		return q, fmt.Errorf("%w: a %v has no groups; declare all rows of a patient in Unit.Rows and leave Unit.Groups 0", ErrInvalid, q.Kind)
	}
	if l := uint64(q.Unit.rows()) * uint64(max(1, q.Bounds.Hi-q.Bounds.Lo)); l > maxL1 {
		return q, fmt.Errorf("%w: one patient could change the answer by %d; rows times groups times range must stay below 2^45, so lower the scale, the range or the rows", ErrInvalid, l)
	}
	if q.Confidence == 0 {
		q.Confidence = 0.95
	}
	if !(q.Confidence >= 0.5 && q.Confidence <= 1-1e-9) {
		return q, fmt.Errorf("%w: the confidence is %v; give a number between 0.5 and 1-1e-9, or 0 for 0.95", ErrInvalid, q.Confidence)
	}
	return q, q.checkAccuracy()
}

func (b Bounds) check() error {
	if b.Lo < -maxBound || b.Lo > maxBound || b.Hi < -maxBound || b.Hi > maxBound {
		return fmt.Errorf("%w: the bounds are %d and %d; stay within 2^50 of zero", ErrInvalid, b.Lo, b.Hi)
	}
	if r := b.Hi - b.Lo; r < 1 || r > maxRange {
		return fmt.Errorf("%w: the range from %d to %d is %d; it must be between 1 and 2^40", ErrInvalid, b.Lo, b.Hi, r)
	}
	return nil
}

func (q Query) checkAccuracy() error {
	switch {
	case q.Rho != 0 && q.Epsilon != 0:
		return fmt.Errorf("%w: both Rho and Epsilon are set; Rho buys Gaussian noise, Epsilon Laplace noise: choose one", ErrInvalid)
	case q.Rho == 0 && q.Epsilon == 0:
		return fmt.Errorf("%w: neither Rho nor Epsilon is set; choose how much to spend", ErrInvalid)
	case q.Rho != 0 && !(q.Rho >= float64(minRhoUnits)/rhoOne && q.Rho <= maxQueryRho):
		return fmt.Errorf("%w: Rho is %v; give a number between 2^-20 and %d", ErrInvalid, q.Rho, maxQueryRho)
	case q.Epsilon != 0 && !(q.Epsilon >= minEpsilon && q.Epsilon <= maxEpsilon):
		return fmt.Errorf("%w: Epsilon is %v; give a number between 2^-10 and %d", ErrInvalid, q.Epsilon, maxEpsilon)
	}
	return nil
}

// accuracy is the mechanism and its integer parameter: rho in units of 2^-40, or epsilon in units of 2^-20, rounded down.
func (q Query) accuracy() (Mechanism, uint64) {
	if q.Rho != 0 {
		return Gaussian, uint64(math.Ldexp(q.Rho, rhoBits))
	}
	return Laplace, uint64(math.Ldexp(q.Epsilon, epsilonBits))
}

// append adds the canonical encoding of a normalized query (docs/spec/dp.md, "Question").
func (q Query) append(b []byte) []byte {
	b = wire.AppendString(b, q.Dataset)
	b = binary.BigEndian.AppendUint64(b, q.DataVersion)
	b = wire.AppendString(b, q.Predicate)
	b = append(b, byte(q.Kind))
	b = wire.AppendString(b, q.Column)
	for _, v := range []int64{q.Bounds.Lo, q.Bounds.Hi, q.Bounds.Scale} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(q.Edges)))
	for _, e := range q.Edges {
		b = binary.BigEndian.AppendUint64(b, uint64(e))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(q.Unit.Rows))
	b = binary.BigEndian.AppendUint32(b, uint32(q.Unit.Groups))
	m, v := q.accuracy()
	b = append(b, byte(m))
	return binary.BigEndian.AppendUint64(b, v)
}

// readQuery is the inverse of append. What it returns is normalized, or the decoder has an error.
func readQuery(d *wire.Decoder) Query {
	var q Query
	q.Dataset = d.String(maxName)
	q.DataVersion = d.Uint64()
	q.Predicate = d.String(maxPredicate)
	q.Kind = Kind(d.Uint8())
	q.Column = d.String(maxName)
	q.Bounds = Bounds{int64(d.Uint64()), int64(d.Uint64()), int64(d.Uint64())}
	if n := d.Len(maxBuckets+1, 8); n > 0 {
		q.Edges = make([]int64, n)
		for i := range q.Edges {
			q.Edges[i] = int64(d.Uint64())
		}
	}
	q.Unit = Contribution{int(d.Uint32()), int(d.Uint32())}
	m, v := Mechanism(d.Uint8()), d.Uint64()
	switch {
	case m == Gaussian && v <= maxQueryRho*rhoOne:
		q.Rho = math.Ldexp(float64(v), -rhoBits)
	case m == Laplace && v <= maxEpsilon<<epsilonBits:
		q.Epsilon = math.Ldexp(float64(v), -epsilonBits)
	default:
		d.Failf("unknown mechanism %d or parameter %d out of range", uint8(m), v)
	}
	if d.Err() != nil {
		return Query{}
	}
	n, err := q.normalize()
	if err != nil {
		d.Failf("%v", err)
	} else if n.Bounds != q.Bounds || n.Unit != q.Unit {
		d.Failf("the question is not in its canonical form")
	}
	return n
}
