package pairing

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"
	"github.com/cloudflare/circl/ecc/bls12381/ff"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const modulusHex = "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"

const orderHex = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"

func order(t testing.TB) *big.Int {
	r, ok := new(big.Int).SetString(orderHex, 16)
	require.True(t, ok)
	return r
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// drawScalar prefers the corners: 0, 1, -1 and numbers with digits 0 and 15.
func drawScalar(t *rapid.T, name string) Scalar {
	switch rapid.IntRange(0, 4).Draw(t, name+"-kind") {
	case 0:
		return ScalarFromInt64(rapid.Int64Range(-2, 2).Draw(t, name))
	case 1:
		return ScalarFromInt64(1 << rapid.IntRange(0, 62).Draw(t, name)).Neg()
	default:
		return ReduceWide((*[WideSize]byte)(rapid.SliceOfN(rapid.Byte(), WideSize, WideSize).Draw(t, name)))
	}
}

func TestReduceWideAgreesWithBigIntegers(t *testing.T) {
	r := order(t)
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), WideSize, WideSize).Draw(t, "in")
		got := ReduceWide((*[WideSize]byte)(in)).Bytes()
		want := new(big.Int).Mod(new(big.Int).SetBytes(in), r).FillBytes(make([]byte, ScalarSize))
		require.Equal(t, want, got[:])
	})
	all := [WideSize]byte(bytes.Repeat([]byte{0xff}, WideSize))
	got := ReduceWide(&all).Bytes()
	require.Equal(t, new(big.Int).Mod(new(big.Int).SetBytes(all[:]), r).FillBytes(make([]byte, ScalarSize)), got[:])
}

func TestScalarArithmetic(t *testing.T) {
	r := order(t)
	num := func(x Scalar) *big.Int { b := x.Bytes(); return new(big.Int).SetBytes(b[:]) }
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawScalar(t, "x"), drawScalar(t, "y")
		mod := func(n *big.Int) *big.Int { return n.Mod(n, r) }
		require.Zero(t, mod(new(big.Int).Add(num(x), num(y))).Cmp(num(x.Add(y))))
		require.Zero(t, mod(new(big.Int).Sub(num(x), num(y))).Cmp(num(x.Sub(y))))
		require.Zero(t, mod(new(big.Int).Mul(num(x), num(y))).Cmp(num(x.Mul(y))))
		require.Zero(t, mod(new(big.Int).Neg(num(x))).Cmp(num(x.Neg())))
		require.Equal(t, num(x).Sign() == 0, x.IsZero())
		require.Equal(t, !x.IsZero(), x.Mul(x.Inv()).Equal(ScalarFromInt64(1)))
		require.Equal(t, num(x).Cmp(num(y)) == 0, x.Equal(y))
		n := rapid.Int64().Draw(t, "n")
		require.Zero(t, mod(big.NewInt(n)).Cmp(num(ScalarFromInt64(n))))
		b := x.Bytes()
		back, err := NewScalar(b[:])
		if x.IsZero() {
			require.ErrorIs(t, err, ErrScalar)
		} else {
			require.NoError(t, err)
			require.True(t, back.Equal(x))
		}
	})
}

func TestNewScalarRefuses(t *testing.T) {
	r := order(t)
	over := func(n int64) []byte { return new(big.Int).Add(r, big.NewInt(n)).FillBytes(make([]byte, ScalarSize)) }
	_, err := NewScalar(over(-1))
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"empty": nil, "zero": make([]byte, 32), "r": over(0), "r+1": over(1), "all ones": bytes.Repeat([]byte{0xff}, 32),
		"31 bytes": over(-1)[1:], "33 bytes": append([]byte{0}, over(-1)...),
	} {
		_, err := NewScalar(b)
		require.ErrorIs(t, err, ErrScalar, name)
	}
}

func TestRandomScalarsDiffer(t *testing.T) {
	require.False(t, RandomScalar().Equal(RandomScalar())) // false alarm: 2^-255
}

// compressed is the encoding of a point with these coordinates: x, and whether y is the larger one of y and p - y.
func compressed(t testing.TB, x, y string) [G1Size]byte {
	p := new(big.Int).SetBytes(unhex(t, modulusHex))
	out := [G1Size]byte(unhex(t, x))
	out[0] |= 0x80
	if n := new(big.Int).SetBytes(unhex(t, y)); new(big.Int).Lsh(n, 1).Cmp(p) > 0 {
		out[0] |= 0x20
	}
	return out
}

func TestGroupLaws(t *testing.T) {
	g1, g2 := G1Generator(), G2Generator()
	require.True(t, g1.Add(g1.Neg()).IsIdentity())
	require.True(t, g2.Add(g2.Neg()).IsIdentity())
	require.True(t, g1.Mul(ScalarFromInt64(0)).Equal(G1Identity()))
	require.True(t, g2.Mul(ScalarFromInt64(0)).Equal(G2Identity()))
	require.True(t, g1.Mul(ScalarFromInt64(-1)).Equal(g1.Neg()))
	require.True(t, g2.Mul(ScalarFromInt64(-1)).Equal(g2.Neg()))
	require.False(t, g1.Equal(G1Identity()))
	e := PairProduct(Pair{P: g1, Q: g2})
	require.False(t, e.IsIdentity())
	require.True(t, e.Mul(e.Inv()).IsIdentity())
	require.True(t, GTIdentity().Equal(e.Exp(ScalarFromInt64(0))))
}

func TestPairingIsBilinearAndTablesAgree(t *testing.T) {
	p, q := HashToG1([]byte("p"), "test"), G2Generator().Mul(ScalarFromInt64(77))
	e := PairProduct(Pair{P: p, Q: q})
	t1, t2, tt := NewG1Table(p), NewG2Table(q), NewGTTable(e)
	check := func(t require.TestingT, a, b Scalar) {
		ap, bq := p.Mul(a), q.Mul(b)
		require.True(t, ap.Equal(t1.Mul(a)))
		require.True(t, bq.Equal(t2.Mul(b)))
		require.Equal(t, ap.Bytes(), t1.Mul(a).Bytes())
		ab := e.Exp(a.Mul(b))
		require.True(t, ab.Equal(tt.Exp(a.Mul(b))))
		require.True(t, ab.Equal(PairProduct(Pair{P: ap, Q: bq})), "e(aP,bQ) = e(P,Q)^ab")
		require.True(t, PairProduct(Pair{P: ap, Q: bq}, Pair{P: p, Q: q.Mul(a.Mul(b)), Inverse: true}).IsIdentity())
		require.True(t, p.Mul(a).Add(p.Mul(b)).Equal(p.Mul(a.Add(b))))
	}
	for _, n := range []int64{0, 1, -1, 15, 16, 1 << 62} {
		check(t, ScalarFromInt64(n), ScalarFromInt64(3))
	}
	for range 5 {
		check(t, RandomScalar(), RandomScalar())
	}
}

func TestPairProductCorners(t *testing.T) {
	require.True(t, PairProduct().IsIdentity())
	g1, g2 := G1Generator(), G2Generator()
	e := PairProduct(Pair{P: g1, Q: g2})
	require.True(t, PairProduct(Pair{P: G1Identity(), Q: g2}, Pair{P: g1, Q: G2Identity()}, Pair{P: g1, Q: g2}).Equal(e))
	require.True(t, PairProduct(Pair{P: g1.Add(g1.Neg()), Q: g2}).IsIdentity(), "an identity reached by addition")
	require.True(t, PairProduct(Pair{P: g1, Q: g2, Inverse: true}).Equal(e.Inv()))
}

// The point (0, 2) has order 3: the cofactor of G1 is divisible by 3.
func orderThree() []byte { b := make([]byte, G1Size); b[0] = 0x80; return b }

// smallX returns encodings with the x-coordinates 0 to 63: well-formed, but no points of the subgroup.
func smallX(size int) (out [][]byte) {
	for i := range byte(64) {
		b := make([]byte, size)
		b[0], b[size-1] = 0x80, i
		out = append(out, b)
	}
	return out
}

func TestDecodersRefuse(t *testing.T) {
	g1, g2 := G1Generator().Bytes(), G2Generator().Bytes()
	e := PairProduct(Pair{P: G1Generator(), Q: G2Generator()})
	gt := e.Bytes()
	one := GTIdentity().Bytes()
	with := func(b []byte, f func(b []byte)) []byte { b = bytes.Clone(b); f(b); return b }
	p := unhex(t, modulusHex)
	xp1 := with(p, func(b []byte) { b[0] |= 0x80 })
	inf1, inf2 := make([]byte, G1Size), make([]byte, G2Size)
	inf1[0], inf2[0] = 0xc0, 0xc0

	for name, b := range map[string][]byte{
		"empty": nil, "short": g1[:47], "long": append(bytes.Clone(g1[:]), 0), "uncompressed": bls12381.G1Generator().Bytes(),
		"bit cleared": with(g1[:], func(b []byte) { b[0] &^= 0x80 }), "identity": inf1, "identity with sign": with(inf1, func(b []byte) { b[0] |= 0x20 }),
		"identity with x": with(inf1, func(b []byte) { b[47] = 1 }), "x is p": xp1, "order three": orderThree(),
		"order three, other sign": with(orderThree(), func(b []byte) { b[0] |= 0x20 }),
	} {
		_, err := NewG1(b)
		require.ErrorIs(t, err, ErrPoint, name)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": g2[:95], "long": append(bytes.Clone(g2[:]), 0), "uncompressed": bls12381.G2Generator().Bytes(),
		"bit cleared": with(g2[:], func(b []byte) { b[0] &^= 0x80 }), "identity": inf2, "identity with sign": with(inf2, func(b []byte) { b[0] |= 0x20 }),
		"identity with x": with(inf2, func(b []byte) { b[95] = 1 }),
		"x1 is p":         append(bytes.Clone(xp1), make([]byte, 48)...), "x0 is p": with(g2[:], func(b []byte) { copy(b[48:], p) }),
	} {
		_, err := NewG2(b)
		require.ErrorIs(t, err, ErrPoint, name)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": gt[:575], "long": append(bytes.Clone(gt[:]), 0), "one": one[:], "zero": make([]byte, GTSize),
		"coordinate is p": with(gt[:], func(b []byte) { copy(b, p) }), "outside the subgroup": with(gt[:], func(b []byte) { b[575] ^= 1 }),
		"minus one": with(one[:], func(b []byte) {
			minus := new(big.Int).Sub(new(big.Int).SetBytes(p), big.NewInt(1)).FillBytes(make([]byte, 48))
			copy(b[GTSize-48:], minus)
		}),
	} {
		_, err := NewGT(b)
		require.ErrorIs(t, err, ErrTarget, name)
	}
	_, err := NewGT(gt[:])
	require.NoError(t, err)
	// Small x: half are not on the curve, the others outside the subgroup (a small x hits it with probability 2^-125).
	for _, b := range smallX(G1Size) {
		_, err := NewG1(b)
		require.ErrorIs(t, err, ErrPoint)
	}
	for _, b := range smallX(G2Size) {
		_, err := NewG2(b)
		require.ErrorIs(t, err, ErrPoint)
	}
}

// cyclotomic returns the encoding of an element whose order divides p^4 - p^2 + 1 and is not r.
func cyclotomic(t testing.TB) []byte {
	var f ff.Fp12
	f[0].SetOne()
	f[1].SetOne()
	var g ff.Cyclo6
	ff.EasyExponentiation(&g, &f) // f^((p^6-1)(p^2+1))
	b, err := (ff.Fp12)(g).MarshalBinary()
	require.NoError(t, err)
	return b
}

func TestNewGTRefusesTheCyclotomicSubgroup(t *testing.T) {
	_, err := NewGT(cyclotomic(t))
	require.ErrorIs(t, err, ErrTarget)
}

func TestNewG1RefusesTorsion(t *testing.T) {
	g1 := G1Generator().Bytes()
	for _, x := range torsion {
		for _, s := range []string{x.point, x.shiftsG1} {
			b := unhex(t, s)
			_, err := NewG1(b)
			require.ErrorIs(t, err, ErrPoint, x.order)
			_, err = NewG1s(append(bytes.Clone(g1[:]), b...))
			require.ErrorIs(t, err, ErrPoint, x.order)
			b[0] ^= 0x20 // the negative
			_, err = NewG1(b)
			require.ErrorIs(t, err, ErrPoint, x.order)
		}
	}
}

func FuzzDecode(f *testing.F) {
	g1, g2, k := G1Generator().Bytes(), G2Generator().Bytes(), ScalarFromInt64(5).Bytes()
	gt := PairProduct(Pair{P: G1Generator(), Q: G2Generator()}).Bytes()
	for _, b := range [][]byte{g1[:], g2[:], k[:], gt[:], orderThree()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// What decodes has exactly these bytes, and the right order.
		if p, err := NewG1(b); err == nil {
			out := p.Bytes()
			require.Equal(t, b, out[:])
			require.True(t, p.Mul(ScalarFromInt64(-1)).Add(p).IsIdentity())
		}
		if p, err := NewG2(b); err == nil {
			out := p.Bytes()
			require.Equal(t, b, out[:])
			require.True(t, p.Mul(ScalarFromInt64(-1)).Add(p).IsIdentity())
		}
		if x, err := NewGT(b); err == nil {
			out := x.Bytes()
			require.Equal(t, b, out[:])
		}
		if x, err := NewScalar(b); err == nil {
			out := x.Bytes()
			require.Equal(t, b, out[:])
		}
	})
}
