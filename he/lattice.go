package he

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/tuneinsight/lattigo/v6/ring"
)

// lattice is the adapter: the only file that knows lattigo, and only its ring arithmetic (number-theoretic transform,
// Montgomery products). Encodings, samplers, parameters and their checks are this package's own; docs/decisions/0001 says
// why. A lattice is immutable but for tables built once, and safe for concurrent use.
//
// The formats do not depend on lattigo's choice of a root of unity or of an order of the transform: everything that is
// stored or sent is in coefficient form.
type lattice struct {
	params
	sub   []*ring.SubRing
	tMont []uint64 // T in Montgomery form, by prime
	tInv  []uint64 // T^-1 in Montgomery form, by prime
	q1Inv uint64   // q[1]^-1 mod q[0], Montgomery form

	onesOnce sync.Once
	onesMask poly
}

// poly is a polynomial of degree below N by its residues: poly[j][i] is the coefficient (or point) i modulo q[j].
type poly [][]uint64

func newLattice(p params) (*lattice, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r, err := ring.NewRing(p.n(), p.q)
	if err != nil {
		return nil, fmt.Errorf("he: ring: %w", err)
	}
	l := &lattice{params: p, sub: r.SubRings}
	for _, s := range l.sub {
		l.tMont = append(l.tMont, ring.MForm(p.t%s.Modulus, s.Modulus, s.BRedConstant))
		l.tInv = append(l.tInv, ring.MForm(ring.ModExp(p.t, s.Modulus-2, s.Modulus), s.Modulus, s.BRedConstant))
	}
	s := l.sub[0]
	l.q1Inv = ring.MForm(ring.ModExp(p.q[1]%p.q[0], p.q[0]-2, p.q[0]), p.q[0], s.BRedConstant)
	return l, nil
}

// sumLattice holds constant tables that are built when they are first needed.
var sumLattice = sync.OnceValues(func() (*lattice, error) { return newLattice(sumParams()) })

// latticeOf finds the tables of a profile.
func latticeOf(p Profile) (*lattice, error) {
	if p == ProfileSum {
		return sumLattice()
	}
	return nil, fmt.Errorf("he: profile %v cannot be used: use ProfileSum", p)
}

func (l *lattice) newPoly() poly {
	flat := make([]uint64, len(l.q)*l.n())
	p := make(poly, len(l.q))
	for j := range p {
		p[j] = flat[j*l.n() : (j+1)*l.n() : (j+1)*l.n()]
	}
	return p
}

// ntt, intt and mont work in place.
func (l *lattice) ntt(p poly) {
	for j, s := range l.sub {
		s.NTT(p[j], p[j])
	}
}

func (l *lattice) intt(p poly) {
	for j, s := range l.sub {
		s.INTT(p[j], p[j])
	}
}

func (l *lattice) mont(p poly) {
	for j, s := range l.sub {
		s.MForm(p[j], p[j])
	}
}

// mul sets dst = a*b pointwise, where b is in Montgomery form.
func (l *lattice) mul(dst, a, b poly) {
	for j, s := range l.sub {
		s.MulCoeffsMontgomery(a[j], b[j], dst[j])
	}
}

// mulAdd sets dst += a*b pointwise, where b is in Montgomery form.
func (l *lattice) mulAdd(dst, a, b poly) {
	for j, s := range l.sub {
		s.MulCoeffsMontgomeryThenAdd(a[j], b[j], dst[j])
	}
}

func (l *lattice) add(dst, a poly) {
	for j, s := range l.sub {
		s.Add(dst[j], a[j], dst[j])
	}
}

// signed maps small integers to residues without a branch on their sign.
func (l *lattice) signed(v []int64) poly {
	p := l.newPoly()
	for j, q := range l.q {
		for i, x := range v {
			p[j][i] = uint64(x) + q&uint64(x>>63)
		}
	}
	return p
}

// scaleT sets p[j] = T * p[j], and unscaleT p[j] = T^-1 * p[j].
func (l *lattice) scaleT(p poly) {
	for j, s := range l.sub {
		s.MulScalarMontgomery(p[j], l.tMont[j], p[j])
	}
}

func (l *lattice) unscaleT(p poly) {
	for j, s := range l.sub {
		s.MulScalarMontgomery(p[j], l.tInv[j], p[j])
	}
}

// lower divides one coefficient, given by its residues, by q1 and rounds: (r0 - d)/q1 mod q0 with d = r1 centred mod q1.
func (l *lattice) lower(r0, r1 uint64) uint64 {
	q0, q1 := l.q[0], l.q[1]
	d := r1 // d mod q0, for the centred d in (-q1/2, q1/2]
	if r1 > q1/2 {
		d = q0 - (q1-r1)%q0
	}
	d %= q0
	s := l.sub[0]
	return ring.MRed(ring.CRed(r0+q0-d, q0), l.q1Inv, q0, s.MRedConstant)
}

// innerConst is the constant coefficient of c1*s modulo q[0], where rev is the key as reversed prepares it:
// (c1*s)[0] = c1[0] s[0] - sum_{j>0} c1[j] s[N-j].
func (l *lattice) innerConst(c1, rev []uint64) uint64 {
	s := l.sub[0]
	prod := make([]uint64, l.n())
	s.MulCoeffsMontgomery(c1, rev, prod)
	var acc uint64
	for _, v := range prod {
		acc = ring.CRed(acc+v, s.Modulus)
	}
	return acc
}

// reversed puts s into the order of innerConst, in Montgomery form modulo q[0].
func (l *lattice) reversed(s []int64) []uint64 {
	rev := make([]int64, l.n())
	rev[0] = s[0]
	for j := 1; j < l.n(); j++ {
		rev[j] = -s[l.n()-j]
	}
	r := l.signed(rev)[0]
	l.sub[0].MForm(r, r)
	return r
}

// timesT is T*v mod q[0], centred.
func (l *lattice) timesT(v uint64) int64 {
	q0 := l.q[0]
	w := ring.MRed(v, l.tMont[0], q0, l.sub[0].MRedConstant)
	return centre(w, q0)
}

// centre maps v in [0, q) to (-q/2, q/2].
func centre(v, q uint64) int64 {
	if v > q/2 {
		return int64(v) - int64(q)
	}
	return int64(v)
}

// mulMod is a*b mod m for public or already decrypted numbers: the division is not constant in time.
func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return bits.Rem64(hi, lo, m)
}

// mask is k(X) = sum_{i in S} X^-i over the rows of one block, with X^-i = -X^(N-i), transformed and in Montgomery form.
func (l *lattice) mask(set *bitmap) poly {
	p := l.newPoly()
	n := l.n()
	set.each(func(i int) {
		for j, q := range l.q {
			if i == 0 {
				p[j][0] = 1
			} else {
				p[j][n-i] = q - 1
			}
		}
	})
	l.ntt(p)
	l.mont(p)
	return p
}

// ones is the mask of a whole block.
func (l *lattice) ones() poly {
	l.onesOnce.Do(func() {
		var b bitmap
		for i := range b {
			b[i] = ^uint64(0)
		}
		l.onesMask = l.mask(&b)
	})
	return l.onesMask
}
