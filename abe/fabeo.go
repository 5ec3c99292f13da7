package abe

import "github.com/veilchart/veilchart/internal/pairing"

// FABEO ciphertext-policy attribute-based encryption in the letters of Riepel and Wee, "FABEO: Fast Attribute-Based
// Encryption with Optimal Security", CCS 2022, figure 1 (CP-ABE), with H_b for the paper's H(|U|+1) in a hash domain of its own:
//
//	KeyGen(S)  sk1[u] = H(u)^r   sk2 = g1^alpha * H_b^r   sk3 = g2^r
//	Enc(M,pi)  ct1 = g2^s1   ct2[j] = g2^s'[j]   ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]   d = Y^s1
//	Dec        d = e(sk2,ct1) * prod_j e(prod_{rho(i)=j} sk1[pi(i)]^c_i, ct2[j]) / e(prod_i ct3[i]^c_i, sk3)
//
// rho(i) numbers the uses of an attribute, so that no s'[j] serves two rows of one attribute; tau is the largest rho. The
// groups are written additively in the code.

// keyGen makes a key for attributes that are sorted and different.
func (a *Authority) keyGen(attributes []Attribute) *Key {
	p := a.in().params
	r := pairing.RandomScalar()
	parts := &keyParts{params: p, attributes: attributes, sk1: make(map[atom]pairing.G1, len(attributes))}
	for _, u := range attributes {
		parts.sk1[u.atom()] = p.hashes.point(u.atom()).Mul(r) // sk1[u] = H(u)^r
	}
	parts.sk2 = pairing.G1Generator().Mul(a.in().alpha).Add(p.hbTable().Mul(r)) // sk2 = g1^alpha * H_b^r
	parts.sk3 = p.g2Table().Mul(r)                                              // sk3 = g2^r
	return keyOf(parts)
}

// encSize is the length of ct1, ct2 and ct3 for the formula: an element ct3 for each leaf. It does without the share matrix, which a
// large "k of" makes large, so that a header costs its reader nothing before the friendly checks.
func encSize(f *formula) int {
	return pairing.G2Size*(1+f.tau()) + pairing.G1Size*f.leaves()
}

// encrypt returns ct1, ct2 and ct3 one after another, and s1, from which the sealer has d. The coins give s1, s'[1] to
// s'[tau] and v in this order.
func (p *Params) encrypt(f *formula, c coins) (enc []byte, s1 pairing.Scalar) {
	enc = make([]byte, 0, encSize(f))
	secrets := make([]pairing.Scalar, f.cols()) // (s1, v)
	s := make([]pairing.Scalar, f.tau()+1)      // s'[j], from 1
	secrets[0] = c.scalar()
	for j := 1; j < len(s); j++ {
		s[j] = c.scalar()
	}
	for k := 1; k < len(secrets); k++ {
		secrets[k] = c.scalar()
	}
	g2 := p.g2Table()
	ct1 := g2.Mul(secrets[0]).Bytes() // ct1 = g2^s1
	enc = append(enc, ct1[:]...)
	for _, sj := range s[1:] {
		ct2 := g2.Mul(sj).Bytes() // ct2[j] = g2^s'[j]
		enc = append(enc, ct2[:]...)
	}
	hb := p.hbTable()
	for _, row := range f.rows() {
		share := hb.Mul(row.share(secrets))
		ct3 := share.Add(p.hashes.mul(row.atom, s[row.rho])).Bytes() // ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]
		enc = append(enc, ct3[:]...)
	}
	return enc, secrets[0]
}

// decrypt returns d from the rows in sel. Only the elements that it uses are decoded, each strictly: on the curve, in the
// subgroup, not the identity.
func (k *Key) decrypt(f *formula, enc []byte, sel []selected) (pairing.GT, error) {
	ct1, err := pairing.NewG2(enc[:pairing.G2Size])
	if err != nil {
		return pairing.GT{}, err
	}
	ct2 := enc[pairing.G2Size:]
	ct3 := ct2[pairing.G2Size*f.tau():]
	rows := f.rows()

	left := make([]pairing.G1, f.tau()+1) // by j: prod_{rho(i)=j} sk1[pi(i)]^c_i
	used := make([]bool, f.tau()+1)
	right := pairing.G1Identity() // prod_i ct3[i]^c_i
	for _, c := range sel {
		row := rows[c.row]
		ct3i, err := pairing.NewG1(ct3[pairing.G1Size*c.row:][:pairing.G1Size])
		if err != nil {
			return pairing.GT{}, err
		}
		right = right.Add(c.coeff.mul(ct3i))
		sk1 := c.coeff.mul(k.in().sk1[row.atom])
		if used[row.rho] {
			sk1 = sk1.Add(left[row.rho])
		}
		left[row.rho], used[row.rho] = sk1, true
	}
	factors := []pairing.Pair{{P: k.in().sk2, Q: ct1}, {P: right, Q: k.in().sk3, Inverse: true}}
	for j := 1; j < len(left); j++ {
		if !used[j] {
			continue
		}
		ct2j, err := pairing.NewG2(ct2[pairing.G2Size*(j-1):][:pairing.G2Size])
		if err != nil {
			return pairing.GT{}, err
		}
		factors = append(factors, pairing.Pair{P: left[j], Q: ct2j})
	}
	return pairing.PairProduct(factors...), nil
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
