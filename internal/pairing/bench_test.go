package pairing

import (
	"fmt"
	"testing"
)

func BenchmarkMul(b *testing.B) {
	k := RandomScalar()
	p, q, e := HashToG1([]byte("p"), "bench"), G2Generator().Mul(k), PairProduct(Pair{P: G1Generator(), Q: G2Generator()})
	t1, t2, tt := NewG1Table(p), NewG2Table(q), NewGTTable(e)
	encoded, encoded2, encodedT := p.Bytes(), q.Bytes(), e.Bytes()
	for name, f := range map[string]func(){
		"G1": func() { p.Mul(k) }, "G2": func() { q.Mul(k) }, "GT": func() { e.Exp(k) },
		"G1Table": func() { t1.Mul(k) }, "G2Table": func() { t2.Mul(k) }, "GTTable": func() { tt.Exp(k) },
		"NewG1Table": func() { NewG1Table(p) }, "NewG2Table": func() { NewG2Table(q) }, "NewGTTable": func() { NewGTTable(e) },
		"AddG1": func() { p.Add(p) }, "BytesG1": func() { p.Bytes() }, "HashToG1": func() { HashToG1(encoded[:], "bench") },
		"NewG1": func() { NewG1(encoded[:]) }, "NewG2": func() { NewG2(encoded2[:]) }, "NewGT": func() { NewGT(encodedT[:]) },
		"BytesGT": func() { e.Bytes() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkPairProduct(b *testing.B) {
	f := Pair{P: HashToG1([]byte("p"), "bench"), Q: G2Generator()}
	for _, n := range []int{1, 2, 3, 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			factors := make([]Pair, n)
			for i := range factors {
				factors[i] = f
			}
			b.ReportAllocs()
			for b.Loop() {
				PairProduct(factors...)
			}
		})
	}
}

// BenchmarkLockstep is the time of n products, and of as many made one by one.
func BenchmarkLockstep(b *testing.B) {
	t1, t2 := NewG1Table(HashToG1([]byte("p"), "bench")), NewG2Table(G2Generator())
	for _, n := range []int{16, 32, 64, 128, 1024} {
		ks := make([]Scalar, n)
		for i := range ks {
			ks[i] = RandomScalar()
		}
		for name, f := range map[string]func(){
			"G1/together": func() { lockstepG1(G1Products{t1, ks}) }, "G2/together": func() { lockstepG2(t2, ks...) },
			"G1/one-by-one": func() {
				for _, k := range ks {
					t1.Mul(k)
				}
			},
			"G2/one-by-one": func() {
				for _, k := range ks {
					t2.Mul(k)
				}
			},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*b.N), "us/product")
			})
		}
	}
}

func BenchmarkSums(b *testing.B) {
	for _, n := range []int{18, 108, 1000} {
		points := make([]G1, n)
		for i := range points {
			points[i] = G1Generator().Mul(RandomScalar())
		}
		encoded, weights := AppendG1s(nil, points), RandomWeights(n)
		for name, f := range map[string]func(){
			"LinComb": func() { G1LinComb(points, weights) }, "Sum": func() { SumG1(points) },
			"AppendG1s": func() { AppendG1s(nil, points) }, "NewG1s": func() { NewG1s(encoded) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
	}
}
