package pairing

import (
	"crypto/subtle"
	"unsafe"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// Fixed-base tables: for a base B that is used often, entry [i][d] holds d * 16^i * B for each of the 64 hexadecimal digits
// of a scalar, so that a multiplication is 63 additions and no doubling. A lookup reads all 16 entries of its digit and
// keeps one by masking, so that neither branches nor addresses depend on the scalar.

const digits = 2 * ScalarSize // base-16 digits of a scalar

// element is what circl keeps in a table: plain arrays of 64-bit words without pointers, which the tests check by
// reflection. circl exports no constant-time selection for them, hence the view as words in pick.
type element interface {
	bls12381.G1 | bls12381.G2 | bls12381.Gt
}

type rows[E element] [digits][16]E

// pick copies entry d of row to out in a time that does not depend on d.
func pick[E element](out *E, row *[16]E, d byte) {
	const word = 8
	n := int(unsafe.Sizeof(*out)) / word
	dst := unsafe.Slice((*uint64)(unsafe.Pointer(out)), n)
	clear(dst)
	for j := range row {
		src := unsafe.Slice((*uint64)(unsafe.Pointer(&row[j])), n)
		mask := -uint64(subtle.ConstantTimeByteEq(d, byte(j)))
		for i := range dst {
			dst[i] |= src[i] & mask
		}
	}
}

// digit is the i-th base-16 digit of big-endian k, the least significant first.
func digit(k *[ScalarSize]byte, i int) byte { return k[ScalarSize-1-i/2] >> (4 * (i & 1)) & 15 }

// G1Table multiplies one point of G1 often: 144 KiB, and about a thousand additions to make. Safe for concurrent use.
type G1Table struct{ t *rows[bls12381.G1] }

// NewG1Table prepares p.
func NewG1Table(p G1) *G1Table {
	t := new(rows[bls12381.G1])
	base := p.p
	for i := range t {
		t[i][0].SetIdentity()
		for d := 1; d < 16; d++ {
			t[i][d].Add(&t[i][d-1], &base)
		}
		base.Add(&t[i][15], &base)
	}
	return &G1Table{t}
}

// Mul returns k p. Constant-time in k.
func (t *G1Table) Mul(k Scalar) (out G1) {
	b := k.Bytes()
	var e bls12381.G1
	pick(&out.p, &t.t[0], digit(&b, 0))
	for i := 1; i < digits; i++ {
		pick(&e, &t.t[i], digit(&b, i))
		out.p.Add(&out.p, &e)
	}
	return out
}

// G2Table multiplies one point of G2 often: 288 KiB, and about a thousand additions to make. Safe for concurrent use.
type G2Table struct{ t *rows[bls12381.G2] }

// NewG2Table prepares p.
func NewG2Table(p G2) *G2Table {
	t := new(rows[bls12381.G2])
	base := p.p
	for i := range t {
		t[i][0].SetIdentity()
		for d := 1; d < 16; d++ {
			t[i][d].Add(&t[i][d-1], &base)
		}
		base.Add(&t[i][15], &base)
	}
	return &G2Table{t}
}

// Mul returns k p. Constant-time in k.
func (t *G2Table) Mul(k Scalar) (out G2) {
	b := k.Bytes()
	var e bls12381.G2
	pick(&out.p, &t.t[0], digit(&b, 0))
	for i := 1; i < digits; i++ {
		pick(&e, &t.t[i], digit(&b, i))
		out.p.Add(&out.p, &e)
	}
	return out
}

// GTTable raises one element of GT to many powers: 576 KiB, and about a thousand multiplications to make. Safe for concurrent
// use.
type GTTable struct{ t *rows[bls12381.Gt] }

// NewGTTable prepares x.
func NewGTTable(x GT) *GTTable {
	t := new(rows[bls12381.Gt])
	base := x.e
	for i := range t {
		t[i][0].SetIdentity()
		for d := 1; d < 16; d++ {
			t[i][d].Mul(&t[i][d-1], &base)
		}
		base.Mul(&t[i][15], &base)
	}
	return &GTTable{t}
}

// Exp returns x^k. Constant-time in k.
func (t *GTTable) Exp(k Scalar) (out GT) {
	b := k.Bytes()
	var e bls12381.Gt
	pick(&out.e, &t.t[0], digit(&b, 0))
	for i := 1; i < digits; i++ {
		pick(&e, &t.t[i], digit(&b, i))
		out.e.Mul(&out.e, &e)
	}
	return out
}
