package he

import (
	"crypto/rand"
	"crypto/subtle"
)

// encrypt makes a fresh ciphertext of m (N coefficients below T): c0 = T^-1*m + e - c1*s mod Q (spec, section 4). The seed
// of c1 is drawn here and nowhere else: two ciphertexts under one seed would show the difference of their messages, so a
// retry comes here again.
func (k *Key) encrypt(m []uint64, at place) *sealed {
	l := k.k.lat
	c := &sealed{}
	rand.Read(c.seed[:])
	as := l.expandUniform(&c.seed, at)
	l.ntt(as)
	l.mul(as, as, k.k.sMont)
	l.intt(as)

	e := sampleError(l.n())
	defer clear(e)
	c.c0 = l.newPoly()
	for j := range c.c0 {
		copy(c.c0[j], m)
	}
	l.unscaleT(c.c0)
	noise := l.signed(e)
	l.add(c.c0, noise)
	for j := range noise {
		clear(noise[j])
	}
	for j, s := range l.sub {
		s.Sub(c.c0[j], as[j], c.c0[j])
	}
	c.digest = l.partDigest(c, at)
	return c
}

// decryptAll recovers m and e from a fresh ciphertext; ok is false if it cannot be one of this key.
func (k *Key) decryptAll(c *sealed, at place) (m []uint64, e []int64, ok bool) {
	l := k.k.lat
	w := l.newPoly()
	l.mul(w, c.expanded(l, at), k.k.sMont)
	l.intt(w)
	l.add(w, c.c0)
	l.scaleT(w)
	m, e, ok = make([]uint64, l.n()), make([]int64, l.n()), true
	t := int64(l.t)
	for i := range m {
		// w = m + T*e with 0 <= m < T and |e| <= eta is below q0/2, so its residue mod q0 is the integer itself, and the one
		// mod q1 must agree.
		v := centre(w[0][i], l.q[0])
		r := v % t
		r += t & (r >> 63)
		m[i], e[i] = uint64(r), (v-r)/t
		ok = ok && e[i] >= -errorBound && e[i] <= errorBound && centre(w[1][i], l.q[1]) == v
	}
	return m, e, ok
}

// Verify checks that c is, to the last bit, a column that this key made: the gateway calls it on what it loads, before it
// trusts an answer computed from it. It does not tell whether c is the newest revision; compare Digest for that.
// The error is ErrDecrypt.
func (k *Key) Verify(c *Column) error {
	if !k.made(c.key, c.digest, c.tag) {
		return ErrDecrypt
	}
	return nil
}

// made reports whether this key made a column with that digest and tag.
func (k *Key) made(id KeyID, digest, tag [32]byte) bool {
	want := k.tag(digest)
	return id == k.k.id && subtle.ConstantTimeCompare(want[:], tag[:]) == 1
}

// open decrypts one block and checks that its parts agree with each other, which holds for whatever extend sealed.
func (k *Key) open(c *Column, b *block) ([]slot, error) {
	slots := make([]slot, c.lat.n())
	sum := make([]uint64, len(slots)) // of the buckets
	for part, p := range b.parts {
		m, _, ok := k.decryptAll(p, c.place(b, part))
		if !ok {
			return nil, ErrDecrypt
		}
		for i, v := range m {
			switch part {
			case partValue:
				slots[i].x = v
				ok = ok && v <= uint64(c.schema.width())
			case partPresence:
				slots[i].present = v == 1
				ok = ok && v <= 1 && (v == 1 || slots[i].x == 0) && (v == 0 || i < c.used(b))
			default:
				sum[i] += v
				ok = ok && v <= 1 && (v == 0 || slots[i].present && c.schema.bucket(slots[i].x) == part-firstBucket)
			}
		}
		if !ok {
			return nil, ErrDecrypt
		}
	}
	for i, v := range sum {
		if c.schema.buckets() > 0 && (v == 1) != slots[i].present {
			return nil, ErrDecrypt
		}
	}
	return slots, nil
}
