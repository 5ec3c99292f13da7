package pairing

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every back end reproduces the files in testdata/vectors/v1. They are never changed, only added to.
var writeVectors = flag.Bool("write-vectors", false, "write the vector files that do not exist")

const vectorFiles = 70

// vector is one case: In and Out are hexadecimal, Out is empty if the input is refused.
type vector struct {
	What    string // g1, g2, gt, scalar: decode; reduce, hash, mul-g1, mul-g2, lincomb, exp, pair: compute
	Comment string
	Outcome string // "success" or "format failure"
	In      []string
	Out     string
}

// compute returns what a back end must make of the inputs.
func (v vector) compute(t *testing.T) (out []byte, err error) {
	var in [][]byte
	for _, s := range v.In {
		in = append(in, unhex(t, s))
	}
	g1 := func(i int) G1 { p, err := NewG1(in[i]); require.NoError(t, err); return p }
	g2 := func(i int) G2 { p, err := NewG2(in[i]); require.NoError(t, err); return p }
	scalar := func(i int) Scalar { x, err := NewScalar(in[i]); require.NoError(t, err); return x }
	bytesOfG1 := func(p G1) []byte { b := p.Bytes(); return b[:] }
	bytesOfG2 := func(p G2) []byte { b := p.Bytes(); return b[:] }
	bytesOfGT := func(x GT) []byte { b := x.Bytes(); return b[:] }
	switch v.What {
	case "g1":
		p, err := NewG1(in[0])
		return bytesOfG1(p), err
	case "g2":
		p, err := NewG2(in[0])
		return bytesOfG2(p), err
	case "gt":
		x, err := NewGT(in[0])
		return bytesOfGT(x), err
	case "scalar":
		x, err := NewScalar(in[0])
		b := x.Bytes()
		return b[:], err
	case "reduce":
		b := ReduceWide((*[WideSize]byte)(in[0])).Bytes()
		return b[:], nil
	case "hash":
		return bytesOfG1(HashToG1(in[0], string(in[1]))), nil
	case "mul-g1":
		require.Equal(t, bytesOfG1(g1(0).Mul(scalar(1))), bytesOfG1(NewG1Table(g1(0)).Mul(scalar(1))))
		return bytesOfG1(g1(0).Mul(scalar(1))), nil
	case "mul-g2":
		require.Equal(t, bytesOfG2(g2(0).Mul(scalar(1))), bytesOfG2(NewG2Table(g2(0)).Mul(scalar(1))))
		return bytesOfG2(g2(0).Mul(scalar(1))), nil
	case "exp":
		x, err := NewGT(in[0])
		require.NoError(t, err)
		require.Equal(t, bytesOfGT(x.Exp(scalar(1))), bytesOfGT(NewGTTable(x).Exp(scalar(1))))
		return bytesOfGT(x.Exp(scalar(1))), nil
	case "lincomb": // points and weights by turns
		var points []G1
		var weights []Weight
		sum := G1Identity()
		for i := 0; i < len(in); i += 2 {
			points, weights = append(points, g1(i)), append(weights, Weight(in[i+1]))
			sum = sum.Add(g1(i).Mul(weights[i/2].Scalar()))
		}
		require.True(t, sum.Equal(G1LinComb(points, weights)))
		return bytesOfG1(G1LinComb(points, weights)), nil
	case "pair":
		return bytesOfGT(PairProduct(Pair{P: g1(0), Q: g2(1)})), nil
	}
	t.Fatalf("what is %q?", v.What)
	return nil, nil
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors", "v1")
	if *writeVectors {
		writeMissing(t, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.Equal(t, vectorFiles, len(files))
	refused := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var v vector
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&v))
			out, err := v.compute(t)
			if err != nil {
				refused++
				require.Equal(t, "format failure", v.Outcome)
				return
			}
			require.Equal(t, "success", v.Outcome)
			require.Equal(t, v.Out, hex.EncodeToString(out))
		})
	}
	require.Greater(t, refused, vectorFiles-refused, "more failing than passing ones")
}

func writeMissing(t *testing.T, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	add := func(name, what, comment string, in ...[]byte) {
		v := vector{What: what, Comment: comment, Outcome: "success"}
		for _, b := range in {
			v.In = append(v.In, hex.EncodeToString(b))
		}
		if out, err := v.compute(t); err != nil {
			v.Outcome = "format failure"
		} else {
			v.Out = hex.EncodeToString(out)
		}
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		file := filepath.Join(dir, name+".json")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			require.NoError(t, os.WriteFile(file, append(b, '\n'), 0o644))
		}
	}
	g1, g2, e := G1Generator().Bytes(), G2Generator().Bytes(), PairProduct(Pair{P: G1Generator(), Q: G2Generator()}).Bytes()
	one := GTIdentity().Bytes()
	order := order(t).Bytes()
	changed := func(b []byte, at int, to ...byte) []byte { b = bytes.Clone(b); copy(b[at:], to); return b }
	modulus := unhex(t, modulusHex)
	k := [WideSize]byte(bytes.Repeat([]byte{0xa5}, WideSize))
	scalar := ReduceWide(&k).Bytes()
	for _, g := range []struct {
		name string
		good []byte
	}{{"g1", g1[:]}, {"g2", g2[:]}} {
		size := len(g.good)
		add(g.name+"-generator", g.name, "the generator", g.good)
		add(g.name+"-negated", g.name, "its negative", changed(g.good, 0, g.good[0]^0x20))
		add(g.name+"-empty", g.name, "no bytes", nil)
		add(g.name+"-short", g.name, "one byte short", g.good[:size-1])
		add(g.name+"-long", g.name, "one byte long", append(bytes.Clone(g.good), 0))
		add(g.name+"-bit-cleared", g.name, "bit of the compressed form missing", changed(g.good, 0, g.good[0]&^0x80))
		add(g.name+"-identity", g.name, "the identity", changed(make([]byte, size), 0, 0xc0))
		add(g.name+"-identity-sign", g.name, "the identity with a sign", changed(make([]byte, size), 0, 0xe0))
		add(g.name+"-identity-x", g.name, "the identity with a coordinate", changed(changed(make([]byte, size), 0, 0xc0), size-1, 1))
		add(g.name+"-modulus", g.name, "a coordinate is p", changed(make([]byte, size), 0, append([]byte{modulus[0] | 0x80}, modulus[1:]...)...))
		add(g.name+"-x-one", g.name, "x is 1", changed(changed(make([]byte, size), 0, 0x80), size-1, 1))
	}
	add("g1-order-three", "g1", "the point (0, 2), of order three", orderThree())
	add("gt-generator", "gt", "e(g1, g2)", e[:])
	add("gt-one", "gt", "1", one[:])
	add("gt-zero", "gt", "0", make([]byte, GTSize))
	add("gt-short", "gt", "one byte short", e[:GTSize-1])
	add("gt-outside", "gt", "outside the subgroup", changed(e[:], GTSize-1, e[GTSize-1]^1))
	add("gt-modulus", "gt", "a coordinate is p", changed(e[:], 0, modulus...))
	add("scalar-ok", "scalar", "a scalar", scalar[:])
	add("scalar-zero", "scalar", "0", make([]byte, ScalarSize))
	add("scalar-order", "scalar", "r", order)
	add("reduce", "reduce", "wide reduction", k[:])
	add("hash", "hash", "RFC 9380, J.9.1, abc", []byte("abc"), []byte("QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"))
	add("mul-g1", "mul-g1", "k g1", g1[:], scalar[:])
	add("mul-g2", "mul-g2", "k g2", g2[:], scalar[:])
	add("exp", "exp", "e(g1, g2)^k", e[:], scalar[:])
	kg1 := G1Generator().Mul(ReduceWide(&k)).Bytes()
	for _, x := range torsion {
		add(fmt.Sprintf("g1-order-%d", x.order), "g1", "a point of the order in the name, which divides the cofactor", unhex(t, x.point))
		add(fmt.Sprintf("g1-shifted-by-order-%d", x.order), "g1", "g1 and a point of the order in the name", unhex(t, x.shiftsG1))
	}
	add("gt-cyclotomic", "gt", "in the cyclotomic subgroup, not of order r", cyclotomic(t))
	w1, w2 := Weight(bytes.Repeat([]byte{0xff}, 16)), Weight(bytes.Repeat([]byte{0x5a}, 16))
	add("lincomb", "lincomb", "w1 g1 + w2 k g1", g1[:], w1[:], kg1[:], w2[:])
	add("pair", "pair", "e(k g1, g2)", kg1[:], g2[:])
}
