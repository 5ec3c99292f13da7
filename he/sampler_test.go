package he

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// chiSquareLimit bounds the statistic with a false alarm below 1e-10: Laurent and Massart's tail P(X >= d + 2 sqrt(d x) + 2x)
// <= exp(-x) with x = 24.
func chiSquareLimit(d int) float64 { return float64(d) + 2*math.Sqrt(float64(d)*24) + 48 }

func TestErrorsAreCentredBinomial(t *testing.T) {
	const draws = 1 << 20
	count := map[int64]int{}
	for _, e := range sampleError(draws) {
		require.LessOrEqual(t, max(e, -e), int64(errorBound))
		count[e]++
	}
	// P(e) = C(42, 21+e) / 2^42; cells below 100 expected draws are put together.
	chi, cells, restWant, restGot := 0.0, 0, 0.0, 0
	for e := int64(-errorBound); e <= errorBound; e++ {
		binomial, _ := new(big.Float).SetInt(new(big.Int).Binomial(2*errorBound, errorBound+e)).Float64()
		want := draws * binomial / math.Exp2(2*errorBound)
		if want < 100 {
			restWant, restGot = restWant+want, restGot+count[e]
			continue
		}
		chi += (float64(count[e]) - want) * (float64(count[e]) - want) / want
		cells++
	}
	chi += (float64(restGot) - restWant) * (float64(restGot) - restWant) / restWant
	require.Less(t, chi, chiSquareLimit(cells)) // cells + 1 cells, one constraint; false alarm below 1e-10
}

func TestSecretsAreUniformTernary(t *testing.T) {
	const n = 1 << 20
	var count [3]float64
	for _, v := range expandSecret(ProfileSum, []byte("a seed"), n) {
		count[v+1]++ // panics on any other value
	}
	chi := 0.0
	for _, c := range count {
		chi += (c - n/3.0) * (c - n/3.0) / (n / 3.0)
	}
	require.Less(t, chi, chiSquareLimit(2)) // one fixed seed: it cannot fail by chance from one run to the next
	require.NotEqual(t, expandSecret(ProfileSum, []byte("a seed"), 64), expandSecret(ProfileSum, []byte("b seed"), 64))
	require.NotEqual(t, expandSecret(ProfileSum, []byte("a seed"), 64), expandSecret(ProfileWide, []byte("a seed"), 64))
}

func TestUniformIsBelowThePrimesAndSpread(t *testing.T) {
	l, err := sumLattice()
	require.NoError(t, err)
	var top [2][16]float64
	const polys = 16
	for i := range polys {
		p := l.expandUniform(&[seedSize]byte{byte(i)}, place{profile: ProfileSum, column: "x", version: 1})
		for j, q := range l.q {
			for _, v := range p[j] {
				require.Less(t, v, q)
				top[j][v>>49]++
			}
		}
	}
	for j := range top {
		chi, want := 0.0, float64(polys*l.n())/16
		for _, c := range top[j] {
			chi += (c - want) * (c - want) / want
		}
		require.Less(t, chi, chiSquareLimit(15)) // fixed seeds
	}
}

// Everything in the place, and the prime, must change the stream.
func TestUniformDependsOnEveryPartOfItsPlace(t *testing.T) {
	l, err := sumLattice()
	require.NoError(t, err)
	base := place{ProfileSum, KeyID{1}, "bmi", 1, 2, 3}
	other := []place{
		{ProfileWide, KeyID{1}, "bmi", 1, 2, 3}, {ProfileSum, KeyID{2}, "bmi", 1, 2, 3}, {ProfileSum, KeyID{1}, "bmj", 1, 2, 3},
		{ProfileSum, KeyID{1}, "bm", 1, 2, 3}, {ProfileSum, KeyID{1}, "bmi", 0, 2, 3}, {ProfileSum, KeyID{1}, "bmi", 1, 3, 3},
		{ProfileSum, KeyID{1}, "bmi", 1, 2, 4},
	}
	seed := [seedSize]byte{9}
	want := l.expandUniform(&seed, base)
	require.Equal(t, want, l.expandUniform(&seed, base))
	for _, p := range other {
		got := l.expandUniform(&seed, p)
		require.NotEqual(t, want[0], got[0], "%+v", p)
		require.NotEqual(t, want[1], got[1], "%+v", p)
	}
	require.NotEqual(t, want[0], want[1])
	require.NotEqual(t, want[0], l.expandUniform(&[seedSize]byte{8}, base)[0])
}

// The specification says what the code does: labels and parameters.
func TestSpecificationHasTheLabelsAndPrimes(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "spec", "he.md"))
	require.NoError(t, err)
	p := sumParams()
	for _, label := range []string{labelKeyID, labelMAC, labelSeed, labelSecret, labelUniform, labelPart, labelColumn, labelTag, labelRows, labelPlan, labelAnswer} {
		require.Contains(t, string(b), "`"+label+"`")
	}
	for _, n := range []uint64{p.q[0], p.q[1], p.t} {
		require.Contains(t, string(b), fmt.Sprintf("%#x", n))
	}
}

// The streams are part of the format: frozen. The values come from a second implementation of the specification.
func TestDerivationsAreFrozen(t *testing.T) {
	var want struct {
		KeyID, Uniform0, Uniform1 string
		Secret                    []int64
	}
	b, err := os.ReadFile(filepath.Join("testdata", "derivations.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &want))
	var master [32]byte
	for i := range master {
		master[i] = byte(i)
	}
	k, err := newKey(ProfileSum, master)
	require.NoError(t, err)
	require.Equal(t, want.KeyID, k.ID().String())
	require.Equal(t, want.Secret, expandSecret(ProfileSum, master[:], 64))
	p := k.k.lat.expandUniform(&master, place{ProfileSum, k.ID(), "bmi", partPresence, 2, 3})
	first := func(v []uint64) string {
		b := k.k.lat.appendPoly(nil, poly{v[:8]})
		return hex.EncodeToString(b)
	}
	require.Equal(t, want.Uniform0, first(p[0]))
	require.Equal(t, want.Uniform1, first(p[1]))
}
