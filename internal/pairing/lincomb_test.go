package pairing

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawPoints returns points among which identities, equal ones and negatives of each other are frequent.
func drawPoints(t *rapid.T, most int) []G1 {
	points := make([]G1, rapid.IntRange(0, most).Draw(t, "points"))
	for i := range points {
		switch kind := rapid.IntRange(0, 5).Draw(t, "point"); {
		case kind == 0:
			points[i] = G1Identity()
		case kind == 1 && i > 0:
			points[i] = points[i-1]
		case kind == 2 && i > 0:
			points[i] = points[i-1].Neg()
		default:
			points[i] = G1Generator().Mul(drawScalar(t, "k"))
		}
	}
	return points
}

func drawWeight(t *rapid.T) (w Weight) {
	switch rapid.IntRange(0, 4).Draw(t, "weight") {
	case 0:
		w[15] = rapid.Byte().Draw(t, "small")
	case 1:
		w = Weight(bytes.Repeat([]byte{0xff}, len(w)))
	default:
		copy(w[:], rapid.SliceOfN(rapid.Byte(), len(w), len(w)).Draw(t, "w"))
	}
	return w
}

// Several points of every kind, fewer and more than bucketPoints of blst.
func TestSumsAgreeWithOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := drawPoints(t, 50)
		weights := make([]Weight, len(points))
		weighted, plain := G1Identity(), G1Identity()
		var encoded []byte
		for i, p := range points {
			weights[i] = drawWeight(t)
			weighted = weighted.Add(p.Mul(weights[i].Scalar()))
			plain = plain.Add(p)
			b := p.Bytes()
			encoded = append(encoded, b[:]...)
		}
		require.True(t, weighted.Equal(G1LinComb(points, weights)))
		require.Equal(t, weighted.Bytes(), G1LinComb(points, weights).Bytes())
		require.True(t, plain.Equal(SumG1(points)))
		require.Equal(t, encoded, AppendG1s(nil, points))
		require.Equal(t, append([]byte("before"), encoded...), AppendG1s([]byte("before"), points))
	})
}

// More points than one chain takes, and than blst's binding converts on one goroutine.
func TestLinCombOfManyPoints(t *testing.T) {
	points := make([]G1, 800)
	weights := RandomWeights(len(points))
	k, sum, p := ScalarFromInt64(3), ScalarFromInt64(0), G1Generator()
	for i := range points {
		points[i] = p
		sum = sum.Add(k.Mul(weights[i].Scalar()))
		k, p = k.Add(k), p.Add(p)
	}
	want := G1Generator().Mul(sum.Mul(ScalarFromInt64(3).Inv()))
	require.True(t, want.Equal(G1LinComb(points, weights)))
	back, err := NewG1s(AppendG1s(nil, points))
	require.NoError(t, err)
	for i := range back {
		require.True(t, points[i].Equal(back[i]))
	}
}

func TestLinCombOfDifferentLengthsPanics(t *testing.T) {
	require.Panics(t, func() { G1LinComb([]G1{G1Generator()}, nil) })
}

func TestRandomWeightsDiffer(t *testing.T) {
	w := RandomWeights(2) // false alarm: 2^-128 each
	require.NotEqual(t, w[0], w[1])
	require.NotEqual(t, w[0], RandomWeights(1)[0])
	require.Equal(t, append(make([]byte, 16), w[0][:]...), func() []byte { b := w[0].Scalar().Bytes(); return b[:] }())
}

// Each of the 128 bits is seen as 0 and as 1 in 64 draws, but for a chance of 2^-56.
func TestWeightsHave128RandomBits(t *testing.T) {
	var ones, zeros Weight
	for _, w := range RandomWeights(64) {
		for i, b := range w {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	all := Weight(bytes.Repeat([]byte{0xff}, 16))
	require.Equal(t, all, ones)
	require.Equal(t, all, zeros)
}

func TestNewG1sRefuses(t *testing.T) {
	g := G1Generator().Bytes()
	identity := G1Identity().Bytes()
	none, err := NewG1s(nil)
	require.NoError(t, err)
	require.Empty(t, none)
	for name, b := range map[string][]byte{
		"one byte": {0x80}, "short": append(bytes.Clone(g[:]), g[:47]...), "identity first": append(bytes.Clone(identity[:]), g[:]...),
		"identity last": append(bytes.Clone(g[:]), identity[:]...), "order three": append(bytes.Clone(g[:]), orderThree()...),
	} {
		_, err := NewG1s(b)
		require.ErrorIs(t, err, ErrPoint, name)
	}
}

func TestNonAdjacentForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWeight(t)
		sum, radix, last := ScalarFromInt64(0), ScalarFromInt64(1), -nafWidth
		for i, d := range w.naf() {
			if d != 0 {
				require.True(t, d&1 == 1 && -8 < d && d < 8, d)
				require.GreaterOrEqual(t, i-last, nafWidth)
				last = i
			}
			sum, radix = sum.Add(ScalarFromInt64(int64(d)).Mul(radix)), radix.Add(radix)
		}
		require.True(t, sum.Equal(w.Scalar()))
	})
}
