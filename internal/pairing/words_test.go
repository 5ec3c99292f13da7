package pairing

import (
	"encoding/binary"
	"math/big"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// words.go reads its operands as 64-bit words: that is right only for types without pointers and padding.
func TestElementsArePlainWords(t *testing.T) {
	var plain func(reflect.Type) bool
	plain = func(ty reflect.Type) bool {
		switch ty.Kind() {
		case reflect.Uint64:
			return true
		case reflect.Array:
			return plain(ty.Elem())
		case reflect.Struct:
			var sum uintptr
			for i := range ty.NumField() {
				if !plain(ty.Field(i).Type) {
					return false
				}
				sum += ty.Field(i).Type.Size()
			}
			return sum == ty.Size()
		}
		return false
	}
	for ty, size := range map[reflect.Type]uintptr{
		reflect.TypeFor[pointG1](): 3 * 48, reflect.TypeFor[pointG2](): 6 * 48, reflect.TypeFor[elementGT](): 12 * 48,
	} {
		require.True(t, plain(ty), ty.String())
		require.Equal(t, size, ty.Size(), ty.String())
	}
	require.True(t, plain(reflect.TypeFor[entryG1]()))
	require.True(t, plain(reflect.TypeFor[entryG2]()))
}

func TestModulusIsP(t *testing.T) {
	got := new(big.Int)
	for i := range modulus {
		got.Or(got, new(big.Int).Lsh(new(big.Int).SetUint64(modulus[i]), uint(64*i)))
	}
	require.Equal(t, modulusHex, got.Text(16))
}

func TestNegateAgreesWithBigIntegers(t *testing.T) {
	p, _ := new(big.Int).SetString(modulusHex, 16)
	number := func(w []uint64) *big.Int {
		var b [48]byte
		for i := range w {
			binary.BigEndian.PutUint64(b[40-8*i:], w[i])
		}
		return new(big.Int).SetBytes(b[:])
	}
	rapid.Check(t, func(t *rapid.T) {
		w := make([]uint64, 12) // two coordinates, the second often zero
		for i := range w {
			w[i] = rapid.Uint64().Draw(t, "word")
			if i%6 == 5 {
				w[i] %= modulus[5]
			}
		}
		if rapid.Bool().Draw(t, "zero") {
			clear(w[6:])
		}
		want := make([]*big.Int, 2)
		for i := range want {
			n := number(w[6*i:][:6])
			want[i] = n.Mod(n.Neg(n), p)
		}
		same := append([]uint64(nil), w...)
		negate(same, 0)
		require.Equal(t, w, same)
		negate(w, ^uint64(0))
		for i := range want {
			require.Zero(t, want[i].Cmp(number(w[6*i:][:6])))
		}
	})
}

func TestPickReturnsEveryEntry(t *testing.T) {
	table := NewG1Table(G1Generator())
	for i := range int64(oddMultiples) {
		e := entriesG1([]pointG1{HashToG1(nil, "stale contents must go").p})[0]
		pick(&e, (*[oddMultiples]entryG1)(table.t), byte(i))
		got := identityG1()
		accumulateG1(&got, &e)
		require.True(t, G1{got}.Equal(G1Generator().Mul(ScalarFromInt64(2*i+1))))
	}
}

// The digits are odd, at most 31 in size, and give back the scalar.
func TestRecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawScalar(t, "k")
		sum, radix := ScalarFromInt64(0), ScalarFromInt64(1)
		for _, d := range recode(k) {
			require.Less(t, d.index, byte(oddMultiples))
			require.Contains(t, []byte{0, 0xff}, d.negative)
			require.Equal(t, d.negative != 0, d.mask() == ^uint64(0))
			require.Equal(t, d.negative == 0, d.mask() == 0)
			term := ScalarFromInt64(2*int64(d.index) + 1).Mul(radix)
			if d.negative != 0 {
				term = term.Neg()
			}
			sum, radix = sum.Add(term), radix.Mul(ScalarFromInt64(1<<digitBits))
		}
		require.True(t, k.Equal(sum))
	})
}
