package abe

import (
	"crypto/rand"
	"crypto/subtle"

	"github.com/veilchart/veilchart/internal/pairing"
)

// fabeoSecrets is what an encryption draws.
type fabeoSecrets struct {
	shared []pairing.Scalar // (s1, v)
	uses   []pairing.Scalar // s'[j], from 1
}

// draw gives s1, s'[1] to s'[tau] and v in this order.
func (c coins) draw(f *formula) fabeoSecrets {
	s := fabeoSecrets{shared: make([]pairing.Scalar, f.cols()), uses: make([]pairing.Scalar, f.tau()+1)}
	s.shared[0] = c.scalar()
	for j := 1; j < len(s.uses); j++ {
		s.uses[j] = c.scalar()
	}
	for k := 1; k < len(s.shared); k++ {
		s.shared[k] = c.scalar()
	}
	return s
}

func (p *fabeoPublic) encapsulate(pre []byte, f *formula) (body []byte, sigma [keySize]byte, err error) {
	rand.Read(sigma[:])
	return p.encapsulateSigma(pre, f, sigma), sigma, nil
}

// encapsulateSigma is deterministic.
func (p *fabeoPublic) encapsulateSigma(pre []byte, f *formula, sigma [keySize]byte) (body []byte) {
	enc, d := p.encryptSecrets(f, coins{xof(labelCoins, sigma[:], pre)}.draw(f))
	return mask(pre, enc, d, sigma)
}

// mask returns C0 = sigma xor KDF("d", d, pre, ct1..ct3) and enc.
func mask(pre, enc []byte, d pairing.GT, sigma [keySize]byte) (body []byte) {
	encoded := d.Bytes()
	c0 := derive(labelMask, encoded[:], pre, enc)
	subtle.XORBytes(c0[:], c0[:], sigma[:])
	return append(append(make([]byte, 0, keySize+len(enc)), c0[:]...), enc...)
}

// encryptSecrets returns ct1, ct2 and ct3 one after another, and d.
func (p *fabeoPublic) encryptSecrets(f *formula, s fabeoSecrets) (enc []byte, d pairing.GT) {
	rows := f.rows()
	first := sameShares(rows)
	hb := p.hbTable()
	in2 := make([][pairing.G2Size]byte, 1+f.tau()) // ct1, then ct2
	shares, ct3 := make([]pairing.G1, len(rows)), make([]pairing.G1, len(rows))
	inParallel(allCores(), 1+len(in2)+2*len(rows), func(i int) { // the dear ones first
		if i == 0 {
			d = p.yTable().Exp(s.shared[0]) // d = Y^s1
			return
		}
		if i--; i < len(in2) {
			in2[i] = p.inG2(s, i)
			return
		}
		if i -= len(in2); i < len(rows) {
			ct3[i] = p.hashes.mul(rows[i].atom, s.uses[rows[i].rho]) // H(pi(i))^s'[rho(i)]
			return
		}
		if i -= len(rows); first[i] == i {
			shares[i] = hb.Mul(rows[i].share(s.shared)) // H_b^(M_i (s1,v))
		}
	})
	for i := range ct3 {
		ct3[i] = shares[first[i]].Add(ct3[i]) // ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]
	}
	enc = make([]byte, 0, fabeoBodySize(f.leaves(), f.tau())-keySize)
	for i := range in2 {
		enc = append(enc, in2[i][:]...)
	}
	return pairing.AppendG1s(enc, ct3), d
}

// sameShares returns for each row the first one with the same share, often itself: the kids of an "or" have one row, and one slice, among them.
func sameShares(rows []row) []int {
	known, first := make(map[*term]int, len(rows)), make([]int, len(rows))
	for i, r := range rows {
		j, ok := known[&r.m[0]]
		if !ok || len(rows[j].m) != len(r.m) {
			j = i
			known[&r.m[0]] = i
		}
		first[i] = j
	}
	return first
}

// inG2 returns ct1 for 0, and ct2[j] for j.
func (p *fabeoPublic) inG2(s fabeoSecrets, j int) [pairing.G2Size]byte {
	x := s.shared[0] // ct1 = g2^s1
	if j > 0 {
		x = s.uses[j] // ct2[j] = g2^s'[j]
	}
	return p.g2Table().Mul(x).Bytes()
}

// share returns M_i (s1, v). Constant-time in the secrets; the matrix is public.
func (r row) share(secrets []pairing.Scalar) (sum pairing.Scalar) {
	for _, t := range r.m {
		switch x := secrets[t.col]; t.coeff.unit {
		case 1:
			sum = sum.Add(x)
		case -1:
			sum = sum.Sub(x)
		default:
			sum = sum.Add(x.Mul(t.coeff.scalar()))
		}
	}
	return sum
}

func (c coefficient) scalar() pairing.Scalar {
	var wide [pairing.WideSize]byte
	copy(wide[pairing.WideSize-len(c.be):], c.be[:])
	return pairing.ReduceWide(&wide)
}

// mul returns p^c, without an exponentiation for 1 and -1.
func (c coefficient) mul(p pairing.G1) pairing.G1 {
	switch c.unit {
	case 1:
		return p
	case -1:
		return p.Neg()
	}
	return p.Mul(c.scalar())
}
