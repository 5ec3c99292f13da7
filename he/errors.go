package he

import (
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// ErrFormat is wrapped by the errors of NewKey, NewColumn and NewAnswer: the bytes are truncated, damaged, of another kind or
// not canonical. Whoever reads files should branch on it, name the file and restore it from a copy.
var ErrFormat = wire.ErrFormat

// ErrDecrypt is wrapped whenever a key does not fit: a wrong key, an altered or foreign column, an answer to another plan.
// There is one error for all of these, so that the outcome of a decryption says nothing about its cause. Do not tell the
// computing server that it happened: see "Not protected" in the package documentation.
var ErrDecrypt = errors.New("he: decryption failed: wrong key, or the object was altered or belongs elsewhere; " +
	"check the key and restore the object from a good copy")

// PlanErrorKind says why a plan was refused.
type PlanErrorKind uint8

// The reasons.
const (
	UnknownColumn PlanErrorKind = iota + 1 // no column of that name among those given, or two of them
	NoHistogram                            // the column was declared without bucket edges
	BadQuery                               // the query names no known kind
	Overflow                               // the largest possible sum reaches T/2
	Noise                                  // the largest possible noise reaches half of the modulus
	Insecure                               // the parameters are below 128-bit security
)

// PlanError is what NewPlan returns when it cannot prove that the answer will be right. Inequality is the one that fails,
// with its numbers, for Overflow, Noise and Insecure; it depends on public sizes only, never on the rows asked for.
type PlanError struct {
	Kind       PlanErrorKind
	Column     string
	Inequality string
}

func (e *PlanError) Error() string {
	switch e.Kind {
	case UnknownColumn:
		return fmt.Sprintf("he: plan: exactly one column named %q is needed: pass the column that the query names", e.Column)
	case NoHistogram:
		return fmt.Sprintf("he: plan: column %q has no buckets: encrypt it with ColumnSchema.Edges to ask for a histogram", e.Column)
	case BadQuery:
		return "he: plan: unknown kind of query: use Count, Sum, Mean or Histogram"
	case Overflow:
		return fmt.Sprintf("he: plan: column %q could overflow, as this does not hold: %s; use a smaller range or scale, or split the column", e.Column, e.Inequality)
	case Noise:
		return fmt.Sprintf("he: plan: the noise of column %q could spoil the answer, as this does not hold: %s; split the column", e.Column, e.Inequality)
	default:
		return fmt.Sprintf("he: parameters refused, as this does not hold: %s", e.Inequality)
	}
}
