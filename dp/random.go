package dp

import (
	"crypto/rand"
	"math/big"
	"math/bits"
)

// source hands out random bytes for the samplers. It asks the operating system for a block at a time and wipes each byte
// as it leaves, so that a later reader of this memory cannot rebuild noise that was already used.
type source struct {
	buf  [1024]byte
	off  int
	fill func([]byte) // fills the whole slice; tests put a fixed tape here
}

func newSource() *source {
	// crypto/rand.Read never returns an error: it ends the process if the system has no randomness.
	return newTape(func(b []byte) { _, _ = rand.Read(b) })
}

func newTape(fill func([]byte)) *source {
	s := &source{fill: fill}
	s.off = len(s.buf)
	return s
}

func (s *source) byte() byte {
	if s.off == len(s.buf) {
		s.fill(s.buf[:])
		s.off = 0
	}
	b := s.buf[s.off]
	s.buf[s.off] = 0
	s.off++
	return b
}

// wipe forgets what is left in the buffer.
func (s *source) wipe() {
	clear(s.buf[:])
	s.off = len(s.buf)
}

// u128 is an unsigned number of 128 bits.
type u128 struct{ hi, lo uint64 }

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) sub(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return u128{hi, lo}
}

// add returns the sum and whether it overflowed.
func (a u128) add(b u128) (u128, bool) {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, carry := bits.Add64(a.hi, b.hi, carry)
	return u128{hi, lo}, carry != 0
}

func (a u128) bitLen() int {
	if a.hi != 0 {
		return 64 + bits.Len64(a.hi)
	}
	return bits.Len64(a.lo)
}

func (a u128) big() *big.Int {
	v := new(big.Int).SetUint64(a.hi)
	return v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(a.lo))
}

// uniform draws evenly from 0..n-1, n >= 1. It reads the bytes that n-1 needs, most significant first, drops the bits above,
// and starts again if the number is not below n. All three versions read the same bytes for the same n: that is what lets a
// test compare the fast samplers with the math/big ones on one tape.
func (s *source) uniform(n uint64) uint64 {
	width := bits.Len64(n - 1)
	for {
		v := uint64(0)
		for range (width + 7) / 8 {
			v = v<<8 | uint64(s.byte())
		}
		if v &= 1<<width - 1; v < n {
			return v
		}
	}
}

func (s *source) uniform128(n u128) u128 {
	if n.hi == 0 {
		return u128{0, s.uniform(n.lo)}
	}
	width := n.sub(u128{0, 1}).bitLen()
	for {
		v := u128{}
		for range (width + 7) / 8 {
			v = u128{v.hi<<8 | v.lo>>56, v.lo<<8 | uint64(s.byte())}
		}
		if width <= 64 {
			v.hi = 0
		} else {
			v.hi &= 1<<(width-64) - 1
		}
		if v.less(n) {
			return v
		}
	}
}

func (s *source) uniformBig(n *big.Int) *big.Int {
	width := new(big.Int).Sub(n, one).BitLen()
	b := make([]byte, (width+7)/8)
	v := new(big.Int)
	for {
		for i := range b {
			b[i] = s.byte()
		}
		if r := width % 8; r != 0 {
			b[0] &= 1<<r - 1
		}
		if v.SetBytes(b).Cmp(n) < 0 {
			clear(b)
			return v
		}
	}
}

var one = big.NewInt(1)
