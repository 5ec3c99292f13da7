package abe

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/veilchart/veilchart/internal/pairing"
)

// These tests play a sealer who cheats: he knows sigma, the coins and d, changes rows and masks sigma anew, so that the reader gets
// the right sigma, and ct1 and ct2 are right. Nothing but the check of the rows is left to refuse.

// encrypt is what a reader does who checks exactly: it returns ct1, ct2 and ct3 one after another, and s1, from which the sealer has d.
func (p *fabeoPublic) encrypt(f *formula, c coins) (enc []byte, s1 pairing.Scalar) {
	s := c.draw(f)
	enc, _ = p.encryptSecrets(f, s)
	return enc, s.shared[0]
}

// cheat is an encapsulation before it is changed.
type cheat struct {
	pub   *fabeoPublic
	f     *formula
	pre   []byte
	sigma [keySize]byte
	enc   []byte
	d     pairing.GT
}

func newCheat(t testing.TB, text string) *cheat {
	policy, err := ParsePolicy(text)
	require.NoError(t, err)
	c := &cheat{pub: newFABEOMaster(pairing.ScalarFromInt64(7)).pub, f: policy.formula(), pre: []byte("pre"), sigma: [keySize]byte{1, 2, 3}}
	enc, s1 := c.pub.encrypt(c.f, coins{xof(labelCoins, c.sigma[:], c.pre)})
	c.enc, c.d = enc, c.pub.y.Exp(s1)
	return c
}

// body masks sigma for enc.
func (c *cheat) body(enc []byte) []byte {
	d := c.d.Bytes()
	mask := derive(labelMask, d[:], c.pre, enc)
	body := make([]byte, keySize, keySize+len(enc))
	for i := range mask {
		body[i] = c.sigma[i] ^ mask[i]
	}
	return append(body, enc...)
}

// row is the encoding of ct3[i] in enc.
func (c *cheat) row(enc []byte, i int) []byte {
	return enc[pairing.G2Size*(1+c.f.tau())+pairing.G1Size*i:][:pairing.G1Size]
}

func (c *cheat) point(t testing.TB, i int) pairing.G1 {
	p, err := pairing.NewG1(c.row(c.enc, i))
	require.NoError(t, err)
	return p
}

// refused says that the reader does not accept enc, and that he accepts the honest one, so that it is not for another reason.
func (c *cheat) refused(t testing.TB, why string, change func(enc []byte)) {
	got, err := c.pub.recover(c.pre, c.body(c.enc), c.f, c.d)
	require.NoError(t, err)
	require.Equal(t, c.sigma, got)
	enc := slices.Clone(c.enc)
	change(enc)
	require.NotEqual(t, c.enc, enc, why)
	require.Equal(t, c.sigma, unmask(c.pre, c.body(enc), c.d), "the cheat does not reach the check")
	got, err = c.pub.recover(c.pre, c.body(enc), c.f, c.d)
	require.ErrorIs(t, err, ErrDecrypt, why)
	require.Zero(t, got)
}

func put(to []byte, p pairing.G1) {
	b := p.Bytes()
	copy(to, b[:])
}

// fourRows has tau 2: rows 0 and 2 ask for a, the latter as its second use.
const fourRows = "(a or b) and (a or c)"

// affine is a point of the whole curve y^2 = x^3 + 4, not of the subgroup only: package pairing has no type for it. nil is the identity.
type affine struct{ x, y *big.Int }

var fieldModulus, _ = new(big.Int).SetString("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16)

func decodeAffine(b []byte) *affine {
	b = slices.Clone(b)
	larger := b[0]&0x20 != 0
	b[0] &= 0x1f
	x := new(big.Int).SetBytes(b)
	y := new(big.Int).Exp(x, big.NewInt(3), fieldModulus)
	y.ModSqrt(y.Add(y, big.NewInt(4)), fieldModulus)
	if (new(big.Int).Lsh(y, 1).Cmp(fieldModulus) > 0) != larger {
		y.Sub(fieldModulus, y)
	}
	return &affine{x, y}
}

func (p *affine) bytes() []byte {
	b := p.x.FillBytes(make([]byte, pairing.G1Size))
	b[0] |= 0x80
	if new(big.Int).Lsh(p.y, 1).Cmp(fieldModulus) > 0 {
		b[0] |= 0x20
	}
	return b
}

func (p *affine) neg() *affine { return &affine{p.x, new(big.Int).Sub(fieldModulus, p.y)} }

func (p *affine) add(q *affine) *affine {
	if p == nil || q == nil {
		return map[bool]*affine{true: q, false: p}[p == nil]
	}
	var slope, under big.Int
	if p.x.Cmp(q.x) == 0 {
		if p.y.Cmp(q.y) != 0 {
			return nil
		}
		slope.Mul(big.NewInt(3), slope.Mul(p.x, p.x))
		under.Lsh(p.y, 1)
	} else {
		slope.Sub(q.y, p.y)
		under.Sub(q.x, p.x)
	}
	slope.Mul(&slope, under.ModInverse(under.Mod(&under, fieldModulus), fieldModulus))
	var x, y big.Int
	x.Mod(x.Sub(x.Sub(x.Mul(&slope, &slope), p.x), q.x), fieldModulus)
	y.Mod(y.Sub(y.Mul(&slope, y.Sub(p.x, &x)), p.y), fieldModulus)
	return &affine{&x, &y}
}

func (p *affine) mul(k int64) (out *affine) {
	for bit := 62; bit >= 0; bit-- {
		out = out.add(out)
		if k>>bit&1 == 1 {
			out = out.add(p)
		}
	}
	return out
}

// torsion has a point of each prime order that divides the cofactor of G1, 3 * 11^2 * 10177^2 * 859267^2 * 52437899^2.
var torsion = map[int64]string{
	3:        "a00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
	11:       "b9b3e2c8c6bbf59d3c326b531fc1e639d29200c28624ac604f251a12908c9b7f735318617f625954cc71cdf03229b1ef",
	10177:    "b93b2cc2a8a222518a034a317b5739ccd4a649411687902474b6c8856f35d618539e97dafa1784403ae4bcd37562c234",
	859267:   "9310f8ec33fd928f6e1574118fda4984a98fc50e5a9d7f131f342d969864bf3812fc1fa57714de7d4c72990b03b5cac7",
	52437899: "936e825e6cd75a2167f0c44cfadea0ecc43c0be6a51219b5d2c4ae3bd6c77607ea2e1cc2b828fe316f8237382eab63a6",
}

func torsionPoint(t testing.TB, order int64) *affine {
	b, err := hex.DecodeString(torsion[order])
	require.NoError(t, err)
	p := decodeAffine(b)
	require.Nil(t, p.mul(order))
	return p
}

// Every order, in each row, alone and so that it cancels in the plain sum of two rows or of three. The weighted sum alone would let a point
// of order three pass one time in three, so that each case is tried often.
func TestCheckRefusesTorsion(t *testing.T) {
	c := newCheat(t, fourRows)
	for order := range torsion {
		T := torsionPoint(t, order)
		shift := func(enc []byte, i int, by *affine) { copy(c.row(enc, i), decodeAffine(c.row(enc, i)).add(by).bytes()) }
		for i := range c.f.leaves() {
			for range 8 {
				c.refused(t, fmt.Sprintf("order %d in row %d", order, i), func(enc []byte) { shift(enc, i, T) })
			}
			c.refused(t, fmt.Sprintf("order %d in rows %d and the next, cancelling", order, i), func(enc []byte) {
				shift(enc, i, T)
				shift(enc, (i+1)%c.f.leaves(), T.neg())
			})
			c.refused(t, fmt.Sprintf("order %d, row %d is the point itself", order, i), func(enc []byte) { copy(c.row(enc, i), T.bytes()) })
		}
		c.refused(t, fmt.Sprintf("order %d in three rows, cancelling", order), func(enc []byte) {
			shift(enc, 0, T)
			shift(enc, 1, T)
			shift(enc, 2, T.add(T).neg())
		})
		c.refused(t, fmt.Sprintf("order %d in all rows", order), func(enc []byte) {
			for i := range c.f.leaves() {
				shift(enc, i, T)
			}
		})
	}
}

// Points of the right group in the wrong places: everything that a check of the plain sum would let pass.
func TestCheckRefusesMovedRows(t *testing.T) {
	c := newCheat(t, fourRows)
	n := c.f.leaves()
	x := pairing.HashToG1([]byte("x"), "check test")
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			c.refused(t, fmt.Sprintf("rows %d and %d swapped", i, j), func(enc []byte) {
				put(c.row(enc, i), c.point(t, j))
				put(c.row(enc, j), c.point(t, i))
			})
			c.refused(t, fmt.Sprintf("row %d is row %d", i, j), func(enc []byte) { put(c.row(enc, i), c.point(t, j)) })
			for _, k := range []int64{1, -1, 3} {
				c.refused(t, fmt.Sprintf("row %d moved by %d times row %d", i, k, j), func(enc []byte) {
					put(c.row(enc, i), c.point(t, i).Add(c.point(t, j).Mul(pairing.ScalarFromInt64(k))))
				})
			}
			c.refused(t, fmt.Sprintf("rows %d and %d moved against each other", i, j), func(enc []byte) {
				put(c.row(enc, i), c.point(t, i).Add(x))
				put(c.row(enc, j), c.point(t, j).Add(x.Neg()))
			})
		}
		c.refused(t, fmt.Sprintf("row %d negated", i), func(enc []byte) { put(c.row(enc, i), c.point(t, i).Neg()) })
		c.refused(t, fmt.Sprintf("row %d moved by H_b", i), func(enc []byte) { put(c.row(enc, i), c.point(t, i).Add(c.pub.hb())) })
		c.refused(t, fmt.Sprintf("row %d is the identity", i), func(enc []byte) { put(c.row(enc, i), pairing.G1Identity()) })
	}
	c.refused(t, "all rows doubled", func(enc []byte) {
		for i := range n {
			put(c.row(enc, i), c.point(t, i).Add(c.point(t, i)))
		}
	})
}

// Other encodings of the right points, and other points of G2.
func TestCheckRefusesOtherEncodings(t *testing.T) {
	c := newCheat(t, fourRows)
	for i := range c.f.leaves() {
		for bit := range 3 {
			c.refused(t, fmt.Sprintf("row %d, flag %d", i, bit), func(enc []byte) { c.row(enc, i)[0] ^= 0x80 >> bit })
		}
		// x + p is below 2^381 for one x in five.
		if x := decodeAffine(c.row(c.enc, i)).x; new(big.Int).Add(x, fieldModulus).BitLen() <= 381 {
			c.refused(t, fmt.Sprintf("row %d, x + p", i), func(enc []byte) {
				flags := enc[pairing.G2Size*(1+c.f.tau())+pairing.G1Size*i] & 0xe0
				new(big.Int).Add(x, fieldModulus).FillBytes(c.row(enc, i))
				c.row(enc, i)[0] |= flags
			})
		}
	}
	for j := range 1 + c.f.tau() {
		at := func(enc []byte) []byte { return enc[pairing.G2Size*j:][:pairing.G2Size] }
		p, err := pairing.NewG2(at(c.enc))
		require.NoError(t, err)
		for why, q := range map[string]pairing.G2{"negated": p.Neg(), "moved": p.Add(pairing.G2Generator()), "the identity": pairing.G2Identity()} {
			c.refused(t, fmt.Sprintf("element %d of G2 %s", j, why), func(enc []byte) { b := q.Bytes(); copy(at(enc), b[:]) })
		}
	}
}

// Bodies that are shorter or longer than the formula's are refused, whoever let them through.
func TestDecapsulateRefusesOtherLengths(t *testing.T) {
	m := newFABEOMaster(pairing.ScalarFromInt64(11))
	key := m.keyGen([]atom{Attribute{Name: "a"}.atom()})
	policy, err := ParsePolicy(fourRows)
	require.NoError(t, err)
	f := policy.formula()
	sel, ok := f.satisfy(key.has)
	require.True(t, ok)
	body := m.pub.encapsulateSigma(nil, f, [keySize]byte{})
	for _, n := range []int{0, 1, keySize - 1, keySize, keySize + 1, keySize + pairing.G2Size, len(body) - 1, len(body) + 1, 2 * len(body)} {
		other := append(slices.Clone(body), body...)[:n]
		_, err := key.decapsulate(nil, other, f, sel)
		require.Equal(t, ErrDecrypt, err, n)
		_, err = m.pub.recover(nil, other, f, m.pub.y)
		require.Equal(t, ErrDecrypt, err, n)
		if n >= keySize {
			_, err = key.decrypt(f, other[keySize:], sel)
			require.Error(t, err, n)
		}
	}
}

// Who knows the weights passes the equation. So they are drawn for each check, after the rows are fixed.
func TestCheckStandsOnItsWeights(t *testing.T) {
	c := newCheat(t, fourRows)
	s := coins{xof(labelCoins, c.sigma[:], c.pre)}.draw(c.f)
	var ct3 []pairing.G1
	for i := range c.f.leaves() {
		ct3 = append(ct3, c.point(t, i))
	}
	first, second := c.pub.checkRows(c.f, ct3), c.pub.checkRows(c.f, ct3)
	require.True(t, first.holds(c.pub, c.f, s))
	for i := range first.weights {
		for j := range second.weights {
			require.NotEqual(t, first.weights[i], second.weights[j]) // false alarm: 2^-128
			if i != j {
				require.NotEqual(t, first.weights[i], first.weights[j])
			}
		}
	}
	x := pairing.HashToG1([]byte("x"), "check test")
	forged := slices.Clone(ct3)
	forged[0] = ct3[0].Add(x.Mul(first.weights[1].Scalar()))
	forged[1] = ct3[1].Add(x.Mul(first.weights[0].Scalar()).Neg())
	known := *first
	known.sum = pairing.G1LinComb(forged, known.weights)
	require.True(t, known.holds(c.pub, c.f, s))
	require.False(t, c.pub.checkRows(c.f, forged).holds(c.pub, c.f, s))
}

// The check accepts what making ct1 to ct3 anew gives, byte for byte, and nothing else, for policies of every shape, with keys.
func TestCheckAgreesWithReencryption(t *testing.T) {
	m := newFABEOMaster(pairing.ScalarFromInt64(11))
	key := m.keyGen([]atom{Attribute{Name: "a"}.atom(), Attribute{Name: "b"}.atom(), Attribute{Name: "c"}.atom()})
	policies := []string{"a", "a or d", "a and b", fourRows, "2 of (a, b, c)", "2 of (a, d, c) or e", "(a or d) and (a or e) and (a or f)", "3 of (a, b, c, d) and (a or b)"}
	rapid.Check(t, func(t *rapid.T) {
		policy, err := ParsePolicy(rapid.SampledFrom(policies).Draw(t, "policy"))
		require.NoError(t, err)
		f := policy.formula()
		sel, ok := f.satisfy(key.has)
		require.True(t, ok)
		pre := rapid.SliceOf(rapid.Byte()).Draw(t, "pre")
		sigma := [keySize]byte(rapid.SliceOfN(rapid.Byte(), keySize, keySize).Draw(t, "sigma"))
		body := m.pub.encapsulateSigma(pre, f, sigma)
		if rapid.Bool().Draw(t, "change") {
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if rapid.Bool().Draw(t, "move") {
			rows := body[len(body)-pairing.G1Size*f.leaves():]
			i := rapid.IntRange(0, f.leaves()-1).Draw(t, "row")
			put(rows[pairing.G1Size*i:], pairing.G1Generator())
		}
		accepted := false
		if d, err := key.decrypt(f, body[keySize:], sel); err == nil {
			guess := unmask(pre, body, d)
			enc, _ := m.pub.encrypt(f, coins{xof(labelCoins, guess[:], pre)})
			accepted = string(enc) == string(body[keySize:])
			got, err := m.pub.recover(pre, body, f, d)
			require.Equal(t, accepted, err == nil)
			if accepted {
				require.Equal(t, guess, got)
			}
		}
		got, err := key.decapsulate(pre, body, f, sel)
		require.Equal(t, accepted, err == nil)
		if accepted {
			require.Equal(t, sigma, got)
		} else {
			require.Equal(t, ErrDecrypt, err)
			require.Zero(t, got)
		}
	})
}
