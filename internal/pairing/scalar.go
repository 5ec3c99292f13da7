package pairing

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// ScalarSize is the length in bytes of an encoded Scalar: big-endian, below the group order.
const ScalarSize = 32

// WideSize is the number of uniform bytes from which a Scalar is made: 512 bits over a 255-bit order leave a bias below
// 2^-256.
const WideSize = 64

// ErrScalar is returned for bytes that are no canonical non-zero scalar.
var ErrScalar = errors.New("pairing: not a canonical non-zero scalar of 32 bytes")

// Scalar is a number modulo the group order r. The zero value is 0.
type Scalar struct{ s bls12381.Scalar }

// ReduceWide returns the big-endian number in b modulo r. It may be zero, with probability 2^-255 for uniform bytes; who
// needs a non-zero scalar draws again. Constant-time: limb by limb in the Montgomery domain, without math/big.
func ReduceWide(b *[WideSize]byte) Scalar { return reduce(b[:]) }

// reduce evaluates the 64-bit limbs of b, most significant first, by Horner's rule at 2^64.
func reduce(b []byte) Scalar {
	var radix, limb, acc bls12381.Scalar
	radix.SetUint64(1 << 32)
	radix.Sqr(&radix)
	for ; len(b) > 0; b = b[8:] {
		limb.SetUint64(binary.BigEndian.Uint64(b))
		acc.Mul(&acc, &radix)
		acc.Add(&acc, &limb)
	}
	return Scalar{acc}
}

// RandomScalar draws a uniform non-zero scalar from crypto/rand.
func RandomScalar() Scalar {
	for {
		var b [WideSize]byte
		rand.Read(b[:]) // never fails and fills b: it ends the program otherwise
		if x := ReduceWide(&b); !x.IsZero() {
			return x
		}
	}
}

// NewScalar decodes 32 big-endian bytes. It refuses zero and numbers of r and more. Constant-time in the value: reduce,
// encode, compare.
func NewScalar(b []byte) (Scalar, error) {
	if len(b) != ScalarSize {
		return Scalar{}, ErrScalar
	}
	x := reduce(b)
	back := x.Bytes()
	if subtle.ConstantTimeCompare(back[:], b) != 1 || x.IsZero() {
		return Scalar{}, ErrScalar
	}
	return x, nil
}

// ScalarFromInt64 returns n modulo r. Not constant-time in the sign: for public numbers.
func ScalarFromInt64(n int64) Scalar {
	var x Scalar
	if n < 0 {
		x.s.SetUint64(-uint64(n))
		x.s.Neg()
		return x
	}
	x.s.SetUint64(uint64(n))
	return x
}

// Bytes returns the canonical encoding: 32 bytes, big-endian.
func (x Scalar) Bytes() (out [ScalarSize]byte) {
	b, err := x.s.MarshalBinary()
	if err != nil || len(b) != ScalarSize {
		panic("pairing: a scalar did not encode") // circl returns no error here; an assertion, not data
	}
	copy(out[:], b)
	return out
}

// littleEndian is Bytes backwards.
func (x Scalar) littleEndian() [ScalarSize]byte {
	b := x.Bytes()
	slices.Reverse(b[:])
	return b
}

// Add returns x + y.
func (x Scalar) Add(y Scalar) (z Scalar) { z.s.Add(&x.s, &y.s); return z }

// Sub returns x - y.
func (x Scalar) Sub(y Scalar) (z Scalar) { z.s.Sub(&x.s, &y.s); return z }

// Mul returns x * y.
func (x Scalar) Mul(y Scalar) (z Scalar) { z.s.Mul(&x.s, &y.s); return z }

// Neg returns -x.
func (x Scalar) Neg() Scalar { x.s.Neg(); return x }

// Inv returns 1/x, and 0 for 0. Constant-time in x: a power with a public exponent.
func (x Scalar) Inv() (z Scalar) { z.s.Inv(&x.s); return z }

// IsZero says whether x is 0.
func (x Scalar) IsZero() bool { return x.s.IsZero() == 1 }

// Equal says whether x and y are the same, in constant time.
func (x Scalar) Equal(y Scalar) bool { return x.s.IsEqual(&y.s) == 1 }
