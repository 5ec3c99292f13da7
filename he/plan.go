package he

import (
	"crypto/sha256"
	"fmt"
	"math/big"

	"github.com/veilchart/veilchart/internal/wire"
)

// QueryKind is what is asked.
type QueryKind uint8

const (
	Count     QueryKind = iota + 1 // rows of the set that have a value
	Sum                            // sum of the values; its answer has the count too, which the offset Min needs
	Mean                           // the same two numbers as Sum
	Histogram                      // rows of the set in each declared bucket
)

// String names the kind.
func (q QueryKind) String() string {
	switch q {
	case Count:
		return "count"
	case Sum:
		return "sum"
	case Mean:
		return "mean"
	case Histogram:
		return "histogram"
	}
	return fmt.Sprintf("unknown query %d", uint8(q))
}

// Query asks about one column.
type Query struct {
	Kind   QueryKind
	Column string  // name in the schema
	Rows   *RowSet // nil: every row
}

// Plan is a query that is proved to have a right answer over one revision of a column. It holds no key: the gateway makes
// it, the computing server evaluates it. It is immutable and safe for concurrent use.
type Plan struct {
	query  Query
	lat    *lattice
	key    KeyID
	schema schema
	column [32]byte // digest of the revision
	tag    [32]byte // its tag, which Decrypt checks
	rows   int64    // public size of the column
	chosen int64    // rows of the set that the column covers
	slots  int
	digest [32]byte
}

// Sensitivity is what differential privacy needs to know, a row of the column being the unit; whoever releases answers
// multiplies by the rows of a patient. Sums are in steps of 1/Scale.
type Sensitivity struct {
	MaxRows int64  // rows of the column: an upper bound of every count, from public sizes
	Lo, Hi  int64  // Min*Scale and Max*Scale
	Range   int64  // Hi - Lo: what one row changes ExposeSum by at most; it changes a count by 1 at most
	Scale   uint32 // steps a unit
	Buckets int    // buckets of a histogram, otherwise 0; one row changes one of them by 1 at most
}

// NewPlan proves that the answer will be right, or says in a *PlanError which inequality fails: the largest possible sum
// stays below T/2, the largest possible noise leaves it readable, and the parameters have 128-bit security. The proof uses
// public sizes only, so a refusal says nothing about the rows. Columns that the query does not name are ignored.
func NewPlan(q Query, columns ...*Column) (*Plan, error) {
	if q.Kind < Count || q.Kind > Histogram {
		return nil, &PlanError{Kind: BadQuery, Column: q.Column}
	}
	c := columnNamed(q.Column, columns)
	if c == nil {
		return nil, &PlanError{Kind: UnknownColumn, Column: q.Column}
	}
	if q.Kind == Histogram && c.schema.buckets() == 0 {
		return nil, &PlanError{Kind: NoHistogram, Column: q.Column}
	}
	p := &Plan{query: q, lat: c.lat, key: c.key, schema: c.schema, column: c.digest, tag: c.tag, rows: c.rows(), slots: c.slots()}
	for _, b := range c.blocks {
		p.chosen += int64(q.Rows.countIn(c, b))
	}
	if err := p.prove(); err != nil {
		return nil, err
	}
	p.digest = p.digestOf()
	return p, nil
}

// columnNamed is the only column of that name, or nil.
func columnNamed(name string, columns []*Column) *Column {
	var found *Column
	for _, c := range columns {
		if c.schema.name == name {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

// countIn is how many of the set's rows are used positions of a block; a nil set has all.
func (r *RowSet) countIn(c *Column, b *block) int {
	if r == nil {
		return c.used(b)
	}
	if m := r.blocks[b.index]; m != nil {
		return m.count(c.used(b))
	}
	return 0
}

// prove checks the three inequalities of docs/spec/he.md, section 6, in their worst case.
func (p *Plan) prove() error {
	fail := func(kind PlanErrorKind, inequality string) error {
		return &PlanError{Kind: kind, Column: p.schema.name, Inequality: inequality}
	}
	if logQ, limit := p.lat.modulus().BitLen(), maxLogQ(p.lat.logN); logQ > limit {
		return fail(Insecure, fmt.Sprintf("log2 Q <= %d at N = 2^%d: log2 Q is %d", limit, p.lat.logN, logQ))
	}
	width := int64(1)
	if p.query.Kind == Sum || p.query.Kind == Mean {
		width = p.schema.width()
	}
	sum := new(big.Int).Mul(big.NewInt(p.rows), big.NewInt(width))
	if half := new(big.Int).SetUint64(p.lat.t / 2); sum.Cmp(half) >= 0 {
		return fail(Overflow, fmt.Sprintf("rows * range < T/2: %d * %d = %d is not below %d", p.rows, width, sum, half))
	}
	if inequality := p.lat.fits(sum, p.slots); inequality != "" {
		return fail(Noise, inequality)
	}
	return nil
}

// digestOf binds an answer to the query, the revision of the column and the row set.
func (p *Plan) digestOf() [32]byte {
	b := append(wire.AppendString(nil, labelPlan), byte(p.lat.profile))
	b = append(b, p.key[:]...)
	b = append(b, p.column[:]...)
	b = append(b, byte(p.query.Kind))
	if p.query.Rows == nil {
		b = append(b, 0)
	} else {
		commitment := p.query.Rows.Commitment()
		b = append(append(b, 1), commitment[:]...)
	}
	return sha256.Sum256(b)
}

// parts are the polynomials that the query needs.
func (p *Plan) parts() []int {
	switch p.query.Kind {
	case Count:
		return []int{partPresence}
	case Histogram:
		parts := make([]int, p.schema.buckets())
		for i := range parts {
			parts[i] = firstBucket + i
		}
		return parts
	}
	return []int{partValue, partPresence}
}

// Query is what was planned.
func (p *Plan) Query() Query { return p.query }

// Sensitivity is what one row can change.
func (p *Plan) Sensitivity() Sensitivity {
	s := Sensitivity{MaxRows: p.rows, Lo: p.schema.lo, Hi: p.schema.hi, Range: p.schema.width(), Scale: p.schema.scale}
	if p.query.Kind == Histogram {
		s.Buckets = p.schema.buckets()
	}
	return s
}
