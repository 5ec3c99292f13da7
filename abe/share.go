package abe

import (
	"math/big"
	"slices"
)

// groupOrder is r, the order of the groups of BLS12-381. Shares are elements of Z_r.
var groupOrder, _ = new(big.Int).SetString("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001", 16)

// coefficient is a non-zero element of Z_r. It is public: it follows from the policy and from who may read. Nearly all of
// them are 1 or -1, and for those unit saves an exponentiation.
type coefficient struct {
	unit int8     // 1 or -1 if the element is that, otherwise 0
	be   [32]byte // the element from 1 to r-1, big-endian; set for units too
}

// coefficientOne is 1, without the arithmetic of newCoefficient: most weights are 1.
func coefficientOne() coefficient { return coefficient{unit: 1, be: [32]byte{31: 1}} }

func newCoefficient(v *big.Int) (c coefficient) {
	v = new(big.Int).Mod(v, groupOrder)
	switch {
	case v.Cmp(big.NewInt(1)) == 0:
		c.unit = 1
	case new(big.Int).Sub(groupOrder, v).Cmp(big.NewInt(1)) == 0:
		c.unit = -1
	}
	v.FillBytes(c.be[:])
	return c
}

// term is one entry of a row that is not zero.
type term struct {
	col   int
	coeff coefficient
}

// row is one leaf of the policy: row i of the share matrix M with the atom pi(i) and the number rho(i) of the use.
// Its share of a secret s is M_i . (s, v_1, ..., v_cols-1) with random v.
type row struct {
	atom atom
	rho  int    // from 1; two rows of one atom never have the same
	m    []term // entries by ascending column, none zero
}

// rows returns the share matrix, one row per leaf in the order of the text. It is computed once and shared: callers do
// not change it.
func (f *formula) rows() []row {
	rows, _ := f.matrix()
	return rows
}

// cols is the number of columns of the share matrix. Column 0 is the secret.
func (f *formula) cols() int {
	_, cols := f.matrix()
	return cols
}

// tau is the largest rho, from 1 to 16.
func (f *formula) tau() int { return f.most }

// share builds the matrix from the root, which gets the row (1, 0, ..., 0).
//
//   - An or gate gives its row to each kid.
//   - An and gate with row v and n kids adds the columns c_1 to c_n-1 and gives v + c_1, c_2 - c_1, ..., -c_n-1: the sum
//     is v, and any n-1 of them together with v are linearly independent.
//   - A gate with 1 < k < n adds the columns c_1 to c_k-1 and gives kid x = 1..n the row v + x c_1 + ... + x^(k-1) c_k-1
//     (Shamir 1979): any k recover v, and any k-1 are independent of v, as Vandermonde matrices are invertible in Z_r.
//
// A gate adds its own columns and copies v, so entries are 0, 1, -1 or powers of a number up to 256: nesting does not
// make them grow. They are still reduced modulo r, since 256^255 does not fit a machine word.
func (f *formula) share() ([]row, int) {
	rows, cols := make([]row, len(f.atoms)), 1
	one, minus := coefficientOne(), newCoefficient(big.NewInt(-1))
	var build func(n *node, v []term)
	build = func(n *node, v []term) {
		first := cols // the columns of this gate follow all columns in v, so that rows stay sorted
		switch {
		case n.isLeaf():
			rows[n.leaf] = row{atom: f.atoms[n.leaf], rho: f.uses[n.leaf], m: v}
		case n.isOr():
			for _, kid := range n.kids {
				build(kid, v)
			}
		case n.isAnd():
			cols += n.k - 1
			for i, kid := range n.kids {
				var m []term
				if i == 0 {
					m = slices.Clone(v)
				} else {
					m = append(m, term{first + i - 1, minus})
				}
				if i < n.k-1 {
					m = append(m, term{first + i, one})
				}
				build(kid, m)
			}
		default:
			cols += n.k - 1
			for i, kid := range n.kids {
				x, power := big.NewInt(int64(i+1)), big.NewInt(1)
				m := slices.Grow(slices.Clone(v), n.k-1)
				for j := range n.k - 1 {
					power.Mod(power.Mul(power, x), groupOrder)
					m = append(m, term{first + j, newCoefficient(power)})
				}
				build(kid, m)
			}
		}
	}
	build(f.root, []term{{0, one}})
	return rows, cols
}

// lagrange is the coefficient at 0 of the point x among the points at: product of z/(z-x) over the other z.
func lagrange(x int, at []int) *big.Int {
	num, den := big.NewInt(1), big.NewInt(1)
	var t big.Int
	for _, z := range at {
		if z != x {
			num.Mod(num.Mul(num, t.SetInt64(int64(z))), groupOrder)
			den.Mod(den.Mul(den, t.SetInt64(int64(z-x))), groupOrder)
		}
	}
	return num.Mod(num.Mul(num, den.ModInverse(den, groupOrder)), groupOrder)
}
