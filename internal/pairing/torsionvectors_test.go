package pairing

import (
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Arithmetic on the curves with big integers, for points that the back ends refuse to touch: y^2 = x^3 + 4 and its twist y^2 = x^3 + 4(1+i), both over
// GF(p)(i). Test inputs are public.

type fp2 [2]*big.Int

type field struct{ p *big.Int }

func (f field) el(a, b *big.Int) fp2 { return fp2{new(big.Int).Mod(a, f.p), new(big.Int).Mod(b, f.p)} }
func (f field) add(x, y fp2) fp2 {
	return f.el(new(big.Int).Add(x[0], y[0]), new(big.Int).Add(x[1], y[1]))
}
func (f field) sub(x, y fp2) fp2 {
	return f.el(new(big.Int).Sub(x[0], y[0]), new(big.Int).Sub(x[1], y[1]))
}
func (f field) mul(x, y fp2) fp2 {
	m := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	return f.el(m(x[0], y[0]).Sub(m(x[0], y[0]), m(x[1], y[1])), m(x[0], y[1]).Add(m(x[0], y[1]), m(x[1], y[0])))
}
func (f field) inv(x fp2) fp2 {
	norm := new(big.Int).Add(new(big.Int).Mul(x[0], x[0]), new(big.Int).Mul(x[1], x[1]))
	norm.ModInverse(norm, f.p)
	return f.el(new(big.Int).Mul(x[0], norm), new(big.Int).Neg(new(big.Int).Mul(x[1], norm)))
}
func (f field) equal(x, y fp2) bool { return x[0].Cmp(y[0]) == 0 && x[1].Cmp(y[1]) == 0 }

// root returns a square root of x, or false.
func (f field) root(x fp2) (fp2, bool) {
	half := new(big.Int).Rsh(new(big.Int).Add(f.p, big.NewInt(1)), 1)
	norm := new(big.Int).Add(new(big.Int).Mul(x[0], x[0]), new(big.Int).Mul(x[1], x[1]))
	if norm.ModSqrt(norm.Mod(norm, f.p), f.p) == nil {
		return fp2{}, false
	}
	for _, n := range []*big.Int{norm, new(big.Int).Neg(norm)} {
		a := new(big.Int).Add(x[0], n)
		if a.ModSqrt(a.Mod(a.Mul(a, half), f.p), f.p) == nil { // (x0 + n) / 2
			continue
		}
		y := fp2{a, new(big.Int)}
		if a.Sign() != 0 {
			y = f.el(a, new(big.Int).Mul(new(big.Int).Mul(x[1], half), new(big.Int).ModInverse(a, f.p)))
		}
		if f.equal(f.mul(y, y), x) {
			return y, true
		}
	}
	return fp2{}, false
}

type affine struct{ x, y fp2 } // nil is the identity

func (f field) sum(p, q *affine) *affine {
	if p == nil {
		return q
	}
	if q == nil {
		return p
	}
	var slope fp2
	switch {
	case !f.equal(p.x, q.x):
		slope = f.mul(f.sub(q.y, p.y), f.inv(f.sub(q.x, p.x)))
	case f.equal(p.y, q.y) && (p.y[0].Sign() != 0 || p.y[1].Sign() != 0):
		square := f.mul(p.x, p.x)
		slope = f.mul(f.add(square, f.add(square, square)), f.inv(f.add(p.y, p.y)))
	default:
		return nil
	}
	x := f.sub(f.sub(f.mul(slope, slope), p.x), q.x)
	return &affine{x, f.sub(f.mul(slope, f.sub(p.x, x)), p.y)}
}

func (f field) times(p *affine, n int) (out *affine) {
	for _, bit := range strconv.FormatInt(int64(n), 2) {
		if out = f.sum(out, out); bit == '1' {
			out = f.sum(out, p)
		}
	}
	return out
}

// decode reads a compressed point of the curve, of whatever order.
func (f field) decode(t *testing.T, b []byte) *affine {
	sign := b[0]&0x20 != 0
	b[0] &= 0x1f
	four, zero := big.NewInt(4), new(big.Int)
	x, constant := f.el(new(big.Int).SetBytes(b), zero), fp2{four, zero}
	if len(b) == G2Size {
		x, constant = f.el(new(big.Int).SetBytes(b[48:]), new(big.Int).SetBytes(b[:48])), fp2{four, four}
	}
	y, ok := f.root(f.add(f.mul(x, f.mul(x, x)), constant))
	require.True(t, ok, "not on the curve")
	larger := y[0]
	if y[1].Sign() != 0 {
		larger = y[1]
	}
	if new(big.Int).Lsh(larger, 1).Cmp(f.p) > 0 != sign {
		y = f.sub(fp2{zero, zero}, y)
	}
	return &affine{x, y}
}

// The vectors with torsion are what they say: points of the curve, and of small order, alone or on top of the generator. Otherwise the
// decoders might refuse them for another reason than the subgroup. The primes are the small ones in the cofactors
// 3 * 11^2 * 10177^2 * 859267^2 * 52437899^2 of G1 and 13^2 * 23^2 * 2713 * 11953 * 262069 * (large) of G2.
func TestTorsionVectorsAreOnTheCurve(t *testing.T) {
	f := field{new(big.Int).SetBytes(unhex(t, modulusHex))}
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v1", "*torsion-*.json"))
	require.NoError(t, err)
	require.Len(t, files, 20)
	g1, g2 := G1Generator().Bytes(), G2Generator().Bytes()
	generators := map[string]*affine{"g1": f.decode(t, g1[:]), "g2": f.decode(t, g2[:])}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var v vector
		require.NoError(t, json.Unmarshal(b, &v))
		point := unhex(t, v.In[0])
		p := f.decode(t, point)
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		order, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
		require.NoError(t, err)
		if strings.Contains(name, "generator") {
			g := generators[v.What]
			require.False(t, f.equal(p.x, g.x), name)
			require.Equal(t, f.times(g, order), f.times(p, order), name)
		} else {
			require.Nil(t, f.times(p, order), name)
		}
		if v.What == "g1" {
			_, err = NewG1(unhex(t, v.In[0]))
		} else {
			_, err = NewG2(unhex(t, v.In[0]))
		}
		require.ErrorIs(t, err, ErrPoint, name)
	}
}
