package pairing

import "strings"

// Fixed-base tables. A scalar k is written with 51 odd digits in base 32,
//
//	k = sum d_i 32^i mod r,   d_i in {-31, -29, ..., 29, 31},
//
// and for a base B that is used often, row i holds the 16 odd multiples 32^i B, 3*32^i B, ..., 31*32^i B: a multiplication is 51
// additions and no doubling. A lookup reads all entries of its row and keeps one by masking, the sign is applied by masking, and
// no digit is zero: neither branches nor addresses depend on the scalar.
//
// The digits (M. Hamburg, "Fast and compact elliptic-curve cryptography", IACR ePrint 2012/309, section 3.3): let n = 255 and
// k' = (k + 2^n - 1)/2 mod r, with the bits b_0 to b_(n-1). Then sum (2 b_j - 1) 2^j = 2k' - (2^n - 1) = k mod r. Five
// neighbouring terms of +-1 make one digit.

const (
	digitBits    = 5
	digits       = 51                   // digitBits * digits = 255, the bit length of r
	oddMultiples = 1 << (digitBits - 1) // in a row
)

// digit stands for 2*index + 1, or its negative where negative is all ones.
type digit struct{ negative, index byte }

// mask is all ones for a negative digit, otherwise 0.
func (d digit) mask() uint64 { return uint64(int64(int8(d.negative))) }

// Constants of recode: 1/2 and (2^255 - 1)/2 modulo r.
var (
	half       = ScalarFromInt64(2).Inv()
	halfOfOnes = reduce([]byte("\x7f" + strings.Repeat("\xff", ScalarSize-1))).Mul(half)
)

// recode returns the digits of k, the least significant first. Constant-time.
func recode(k Scalar) (out [digits]digit) {
	b := k.Mul(half).Add(halfOfOnes).littleEndian()
	for i := range out {
		at := i * digitBits
		two := uint16(b[at/8]) | uint16(b[min(at/8+1, ScalarSize-1)])<<8
		d := byte(two>>(at%8)) & (1<<digitBits - 1)
		// The highest of the five terms is the sign. A positive digit has 16 plus the sum of four terms, 2*low - 15; a negative
		// one has the terms of the opposite sign.
		positive := d >> (digitBits - 1) // 0 or 1
		out[i].negative = positive - 1
		out[i].index = (d ^ (positive - 1)) & (oddMultiples - 1)
	}
	return out
}

// rows holds the rows of a table one after another.
type rows[E any] []E

// entry copies the multiple for digit i to out, of which flip are the words that change sign.
func (t rows[E]) entry(out *E, flip []uint64, i int, d digit) {
	pick(out, (*[oddMultiples]E)(t[i*oddMultiples:]), d.index)
	negate(flip, d.mask())
}

// multiples returns the digits * oddMultiples entries of a table for base, row after row. add adds its second operand to the
// first; both stay in one array, so that a back end that takes addresses costs no copies.
func multiples[E any](base E, add func(sum, q *E)) []E {
	out := make([]E, 0, digits*oddMultiples+2)
	scratch := out[:cap(out)][digits*oddMultiples:]
	twice, p := &scratch[0], &scratch[1]
	*p = base // 32^i base
	for range digits {
		*twice = *p
		add(twice, p)
		out = append(out, *p)
		for range oddMultiples - 1 {
			out = append(out, out[len(out)-1])
			add(&out[len(out)-1], twice)
		}
		add(p, &out[len(out)-1]) // 1 + 31
	}
	return out[:len(out):len(out)]
}

// G1Table multiplies one point of G1 often: 78 KiB (117 KiB with circl), and about 870 additions to make. Safe for concurrent use.
type G1Table struct{ t rows[entryG1] }

// NewG1Table prepares p.
func NewG1Table(p G1) *G1Table {
	return &G1Table{entriesG1(multiples(p.p, addToG1))}
}

// Mul returns k p. Constant-time in k.
func (t *G1Table) Mul(k Scalar) G1 {
	acc, e := identityG1(), new(entryG1)
	flip := words(e)[yOfG1:][:yWordsOfG1]
	for i, d := range recode(k) {
		t.t.entry(e, flip, i, d)
		accumulateG1(&acc, e)
	}
	return G1{acc}
}

// G2Table multiplies one point of G2 often: 157 KiB (235 KiB with circl), and about 870 additions to make. Safe for concurrent use.
type G2Table struct{ t rows[entryG2] }

// NewG2Table prepares p.
func NewG2Table(p G2) *G2Table {
	return &G2Table{entriesG2(multiples(p.p, addToG2))}
}

// Mul returns k p. Constant-time in k.
func (t *G2Table) Mul(k Scalar) G2 {
	acc, e := identityG2(), new(entryG2)
	flip := words(e)[yOfG2:][:yWordsOfG2]
	for i, d := range recode(k) {
		t.t.entry(e, flip, i, d)
		accumulateG2(&acc, e)
	}
	return G2{acc}
}

// GTTable raises one element of GT to many powers: 459 KiB, and about 870 multiplications to make. Safe for concurrent use.
type GTTable struct{ t rows[elementGT] }

// NewGTTable prepares x.
func NewGTTable(x GT) *GTTable {
	return &GTTable{multiples(x.e, accumulateGT)}
}

// Exp returns x^k. Constant-time in k.
func (t *GTTable) Exp(k Scalar) GT {
	acc, e := identityGT(), new(elementGT)
	flip := words(e)[oddOfGT:][:oddWordsOfGT]
	for i, d := range recode(k) {
		t.t.entry(e, flip, i, d)
		accumulateGT(&acc, e)
	}
	return GT{acc}
}
