package abe

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// dishonestSeal is a sealer who knows sigma and s1 and follows the protocol in everything but enc: change edits ct1 | ct2 | ct3,
// and pre, mask, C0, K and the tail are made to fit the result. With change nil the object is honest.
func dishonestSeal(t testing.TB, params *Params, p *Policy, sigma [keySize]byte, change func(enc []byte)) []byte {
	sealer, err := params.sealer(p, &Options{Day: testDay})
	require.NoError(t, err)
	pub, pre := fabeoPublicOf(params), sealer.appendPre(nil, nil)
	enc, s1 := pub.encrypt(sealer.formula, coins{xof(labelCoins, sigma[:], pre)})
	if change != nil {
		honest := bytes.Clone(enc)
		change(enc)
		require.NotEqual(t, honest, enc)
	}
	d := pub.y.Exp(s1).Bytes()
	mask := derive(labelMask, d[:], pre, enc)
	core := bytes.Clone(pre)
	for i := range sigma {
		core = append(core, sigma[i]^mask[i])
	}
	core = append(core, enc...)
	sealed, err := sealRecord(core, sharedKey(sigma, nil, nil, core), "", []byte("x"), nil)
	require.NoError(t, err)
	return sealed
}

const dishonestPolicy = "(a or b) and (a or c)" // two elements ct2, of which a key for b and c uses the first, with rows 1 and 3

// dishonestCases replace exactly one element of an honest enc under dishonestPolicy.
func dishonestCases() map[string]func(enc []byte) {
	const ct2, ct3 = pairing.G2Size, 3 * pairing.G2Size
	g1, g2 := pairing.G1Generator().Bytes(), pairing.G2Generator().Bytes()
	row := func(enc []byte, i int) []byte { return enc[ct3+i*pairing.G1Size:][:pairing.G1Size] }
	return map[string]func(enc []byte){
		"ct2-unused":             func(enc []byte) { copy(enc[ct2+pairing.G2Size:], g2[:]) },
		"row-unused-first":       func(enc []byte) { copy(row(enc, 0), g1[:]) },
		"row-unused-inner":       func(enc []byte) { copy(row(enc, 2), g1[:]) },
		"row-unused-negated":     func(enc []byte) { row(enc, 0)[0] ^= 0x20 },
		"row-unused-order-three": func(enc []byte) { copy(row(enc, 2), plusOrderThree(row(enc, 2))) },
		"row-used-order-three":   func(enc []byte) { copy(row(enc, 3), plusOrderThree(row(enc, 3))) },
		"row-unused-garbage":     func(enc []byte) { copy(row(enc, 0), bytes.Repeat([]byte{0xff}, pairing.G1Size)) },
	}
}

// A sealer can make an object that some who are entitled open and others do not, by spoiling what the first do not use. The
// comparison of the whole of enc refuses it for all, and nothing else does: the mask, C0, K and the tail fit.
func TestDishonestSealer(t *testing.T) {
	a := generate(t)
	params, p, sigma := a.Params(), parsePolicy(t, dishonestPolicy), [keySize]byte{9}
	k := issue(t, a, "b", "c")
	f := p.onDay(testDay)
	sel, ok := f.satisfy(k.has)
	require.True(t, ok)
	require.Equal(t, []int{1, 3, 4}, []int{sel[0].row, sel[1].row, sel[2].row}, "b, c and the day")

	got, err := k.Open(dishonestSeal(t, params, p, sigma, nil), nil)
	require.NoError(t, err, "the sealer is honest but for the change")
	require.Equal(t, "x", string(got))
	for name, change := range dishonestCases() {
		sealed := dishonestSeal(t, params, p, sigma, change)
		_, err := k.Open(sealed, nil)
		mathematicsRefuses(t, err, name)

		// Without the comparison it would open: d gives sigma, and sigma the payload key.
		h, err := decodeHeader(sealed)
		require.NoError(t, err)
		honest, err := decodeHeader(dishonestSeal(t, params, p, sigma, nil))
		require.NoError(t, err)
		d, err := fabeoOf(k).decrypt(f, honest.enc(), sel) // what the pairings give; the row that is used and outside the subgroup would add 1
		require.NoError(t, err)
		require.Equal(t, sigma, unmask(h.pre, h.body, d), name)
		_, err = unwrap(h, sharedKey(sigma, nil, nil, h.core), nil)
		require.NoError(t, err, name)
		_, err = fabeoPublicOf(params).recover(h.pre, h.body, f, d)
		require.ErrorIs(t, err, ErrDecrypt, "%s: with the right d", name)
		if name != "row-used-order-three" {
			same, err := fabeoOf(k).decrypt(f, h.enc(), sel)
			require.NoError(t, err)
			require.True(t, same.Equal(d), "%s: the pairings see nothing", name)
		}
	}
}

// A sealer who does not follow the coins is refused, although the pairings give the right d: the check of Fujisaki and Okamoto.
func TestDishonestEncapsulation(t *testing.T) {
	l := newBare()
	pub, k := l.pub(), l.key(flagAtom("a"))
	f := parsePolicy(t, "a or b").formula()
	sel, ok := f.satisfy(k.has)
	require.True(t, ok)
	pre := []byte("what stands before")
	sigma := [keySize]byte{1}
	enc, s1 := pub.encrypt(f, coins{xof(labelCoins, []byte("other coins"), pre)})
	d := pub.y.Exp(s1).Bytes()
	mask := derive(labelMask, d[:], pre, enc)
	var body []byte
	for i := range sigma {
		body = append(body, sigma[i]^mask[i])
	}
	body = append(body, enc...)
	got, err := k.decrypt(f, enc, sel)
	require.NoError(t, err)
	require.Equal(t, d, got.Bytes(), "the pairings see nothing wrong")
	_, err = k.decapsulate(pre, body, f, sel)
	require.ErrorIs(t, err, ErrDecrypt)
	_, err = k.decapsulate(pre, pub.encapsulateSigma(pre, f, sigma), f, sel)
	require.NoError(t, err, "with its coins it opens")
}

// plusOrderThree adds (0, 2) to a compressed point of y^2 = x^3 + 4.
func plusOrderThree(b []byte) []byte {
	q, _ := new(big.Int).SetString("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16)
	mod := func(n *big.Int) *big.Int { return n.Mod(n, q) }
	compressed := bytes.Clone(b)
	big1 := compressed[0]&0x20 != 0
	compressed[0] &= 0x1f
	x := new(big.Int).SetBytes(compressed)
	root := func(x *big.Int) *big.Int {
		return new(big.Int).ModSqrt(mod(new(big.Int).Add(new(big.Int).Exp(x, big.NewInt(3), q), big.NewInt(4))), q)
	}
	isBig := func(y *big.Int) bool { return new(big.Int).Lsh(y, 1).Cmp(q) > 0 }
	y := root(x)
	if isBig(y) != big1 {
		y.Sub(q, y)
	}
	slope := mod(new(big.Int).Mul(new(big.Int).Sub(y, big.NewInt(2)), new(big.Int).ModInverse(x, q)))
	sx := mod(new(big.Int).Sub(new(big.Int).Mul(slope, slope), x)) // x3 = slope^2 - x - 0
	sy := mod(new(big.Int).Sub(new(big.Int).Mul(slope, new(big.Int).Neg(sx)), big.NewInt(2)))
	out := sx.FillBytes(make([]byte, len(b)))
	out[0] |= 0x80
	if isBig(sy) {
		out[0] |= 0x20
	}
	return out
}
