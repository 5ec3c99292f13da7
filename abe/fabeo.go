package abe

import (
	"crypto/rand"
	"crypto/subtle"
	"sync"

	"github.com/veilchart/veilchart/internal/pairing"
	"github.com/veilchart/veilchart/internal/wire"
)

// FABEO ciphertext-policy attribute-based encryption in the letters of Riepel and Wee, "FABEO: Fast Attribute-Based
// Encryption with Optimal Security", CCS 2022, figure 1 (CP-ABE), with H_b for the paper's H(|U|+1) in a hash domain of its own:
//
//	KeyGen(S)  sk1[u] = H(u)^r   sk2 = g1^alpha * H_b^r   sk3 = g2^r
//	Enc(M,pi)  ct1 = g2^s1   ct2[j] = g2^s'[j]   ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]   d = Y^s1
//	Dec        d = e(sk2,ct1) * prod_j e(prod_{rho(i)=j} sk1[pi(i)]^c_i, ct2[j]) / e(prod_i ct3[i]^c_i, sk3)
//
// rho(i) numbers the uses of an attribute, so that no s'[j] serves two rows of one attribute; tau is the largest rho. The
// groups are written additively in the code.

// Domain separation tags of the two hashes to G1, RFC 9380 section 3.1. They differ, so that no attribute, whatever its
// name, hashes to H_b: with one domain for both, the key component of a colliding attribute would be H_b^r, and
// sk2 / H_b^r is the master secret g1^alpha.
const (
	dstAttribute = "VEILCHART-ABE-V01-S01-H-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
	dstBase      = "VEILCHART-ABE-V01-S01-HB-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
)

// fabeoPublic implements public.
type fabeoPublic struct {
	y pairing.GT // Y = e(g1,g2)^alpha

	hb      func() pairing.G1       // H_b
	hbTable func() *pairing.G1Table // for H_b
	g2Table func() *pairing.G2Table // for g2
	yTable  func() *pairing.GTTable // for Y
	hashes  *hashCache              // H(u)
}

func newFABEOPublic(y pairing.GT) *fabeoPublic {
	p := &fabeoPublic{y: y, hashes: newHashCache()}
	p.hb = sync.OnceValue(func() pairing.G1 { return pairing.HashToG1(nil, dstBase) })
	p.hbTable = sync.OnceValue(func() *pairing.G1Table { return pairing.NewG1Table(p.hb()) })
	p.g2Table = sync.OnceValue(func() *pairing.G2Table { return pairing.NewG2Table(pairing.G2Generator()) })
	p.yTable = sync.OnceValue(func() *pairing.GTTable { return pairing.NewGTTable(p.y) })
	return p
}

func decodeFABEOPublic(d *wire.Decoder) public {
	raw := d.Raw(pairing.GTSize)
	if d.Finish() != nil {
		return nil
	}
	y, err := pairing.NewGT(raw)
	if err != nil {
		d.Failf("Y is damaged: %v", err)
		return nil
	}
	return newFABEOPublic(y)
}

func (p *fabeoPublic) append(b []byte) []byte {
	y := p.y.Bytes()
	return append(b, y[:]...)
}

// fabeoMaster implements master.
type fabeoMaster struct {
	alpha pairing.Scalar
	pub   *fabeoPublic
}

func newFABEOMaster(alpha pairing.Scalar) *fabeoMaster {
	y := pairing.PairProduct(pairing.Pair{P: pairing.G1Generator(), Q: pairing.G2Generator()}).Exp(alpha) // Y = e(g1,g2)^alpha
	return &fabeoMaster{alpha, newFABEOPublic(y)}
}

func decodeFABEOMaster(d *wire.Decoder) master {
	raw := d.Raw(pairing.ScalarSize)
	if d.Finish() != nil {
		return nil
	}
	alpha, err := pairing.NewScalar(raw)
	if err != nil {
		d.Failf("the master secret is damaged: restore it from a copy")
		return nil
	}
	return newFABEOMaster(alpha)
}

func (m *fabeoMaster) append(b []byte) []byte {
	alpha := m.alpha.Bytes()
	return append(b, alpha[:]...)
}

func (m *fabeoMaster) public() public { return m.pub }

func (m *fabeoMaster) issue(atoms []atom) (secret, error) { return m.keyGen(atoms), nil }

// keyGen makes a key for different atoms.
func (m *fabeoMaster) keyGen(atoms []atom) *fabeoKey {
	return m.keyGenWith(atoms, pairing.RandomScalar())
}

// keyGenWith is keyGen with r given. No r may serve two sets of atoms.
func (m *fabeoMaster) keyGenWith(atoms []atom, r pairing.Scalar) *fabeoKey {
	k := &fabeoKey{pub: m.pub, atoms: atoms, sk1: make(map[atom]pairing.G1, len(atoms))}
	for _, u := range atoms {
		k.sk1[u] = m.pub.hashes.point(u).Mul(r) // sk1[u] = H(u)^r
	}
	k.sk2 = pairing.G1Generator().Mul(m.alpha).Add(m.pub.hbTable().Mul(r)) // sk2 = g1^alpha * H_b^r
	k.sk3 = m.pub.g2Table().Mul(r)                                         // sk3 = g2^r
	return k
}

// fabeoKey implements secret.
type fabeoKey struct {
	pub   *fabeoPublic
	atoms []atom // all different, in the order of the encoding
	sk1   map[atom]pairing.G1
	sk2   pairing.G1
	sk3   pairing.G2
}

// fabeoKeySize is the length of sk1, sk2 and sk3.
func fabeoKeySize(atoms int) int { return pairing.G1Size*(atoms+1) + pairing.G2Size }

// decodeFABEOKey decodes what append wrote: raw has fabeoKeySize(len(atoms)) bytes.
func decodeFABEOKey(d *wire.Decoder, pub *fabeoPublic, atoms []atom, raw []byte) *fabeoKey {
	k := &fabeoKey{pub: pub, atoms: atoms, sk1: make(map[atom]pairing.G1, len(atoms))}
	for i, u := range atoms {
		sk1, err := pairing.NewG1(raw[pairing.G1Size*i:][:pairing.G1Size])
		if err != nil {
			d.Failf("the component for an attribute is damaged: get the key from a copy or issued again")
			return nil
		}
		k.sk1[u] = sk1
	}
	raw = raw[pairing.G1Size*len(atoms):]
	var err2, err3 error
	k.sk2, err2 = pairing.NewG1(raw[:pairing.G1Size])
	k.sk3, err3 = pairing.NewG2(raw[pairing.G1Size:])
	if err2 != nil || err3 != nil {
		d.Failf("a component of the key is damaged: get the key from a copy or issued again")
		return nil
	}
	return k
}

func (k *fabeoKey) append(b []byte) []byte {
	for _, u := range k.atoms {
		sk1 := k.sk1[u].Bytes()
		b = append(b, sk1[:]...)
	}
	return k.appendRest(b)
}

// appendRest appends sk2 and sk3.
func (k *fabeoKey) appendRest(b []byte) []byte {
	sk2, sk3 := k.sk2.Bytes(), k.sk3.Bytes()
	return append(append(b, sk2[:]...), sk3[:]...)
}

func (k *fabeoKey) has(u atom) bool { _, ok := k.sk1[u]; return ok }

// consistent says whether e(sk2,g2) = Y * e(H_b,sk3) and, for every u, e(sk1[u],g2) = e(H(u),sk3). All equations are checked
// as one, each of the latter to the power of a fresh random 128-bit delta[u]; all points are in the groups of prime order
// by decoding, so that a wrong key passes with probability 2^-128 at most (Bellare, Garay and Rabin, Eurocrypt 1998).
func (k *fabeoKey) consistent() bool {
	left, right := k.sk2, k.pub.hb()
	for _, u := range k.atoms {
		delta := randomDelta()
		left = left.Add(k.sk1[u].Mul(delta))
		right = right.Add(k.pub.hashes.point(u).Mul(delta))
	}
	return pairing.PairProduct(
		pairing.Pair{P: left, Q: pairing.G2Generator()},
		pairing.Pair{P: right, Q: k.sk3, Inverse: true},
	).Equal(k.pub.y)
}

// deltaSize is the number of random bytes in a weight of consistent: a wrong key passes with probability 2^-(8 deltaSize).
const deltaSize = 16

func randomDelta() pairing.Scalar {
	var wide [pairing.WideSize]byte
	rand.Read(wide[pairing.WideSize-deltaSize:])
	return pairing.ReduceWide(&wide)
}

// The body of a sealed object is C0 | ct1 | ct2 | ct3, by the transformation of Fujisaki and Okamoto (Journal of
// Cryptology 26, 2013), in the letters of docs/spec/abe.md section 4:
//
//	coins = XOF("r", sigma, pre)      C0 = sigma xor KDF("d", d, pre, ct1..ct3)

func (p *fabeoPublic) bodySize(f *formula) (int, error) {
	return fabeoBodySize(f.leaves(), f.tau()), nil
}

// fabeoBodySize is the length of C0, ct1, ct2 and ct3: an element ct3 for each leaf. It does without the share matrix, which a
// large "k of" makes large, so that a header costs its reader nothing before the friendly checks.
func fabeoBodySize(leaves, tau int) int {
	return keySize + pairing.G2Size*(1+tau) + pairing.G1Size*leaves
}

func (p *fabeoPublic) encapsulate(pre []byte, f *formula) (body []byte, sigma [keySize]byte, err error) {
	rand.Read(sigma[:])
	return p.encapsulateSigma(pre, f, sigma), sigma, nil
}

// encapsulateSigma is deterministic.
func (p *fabeoPublic) encapsulateSigma(pre []byte, f *formula, sigma [keySize]byte) (body []byte) {
	enc, s1 := p.encrypt(f, coins{xof(labelCoins, sigma[:], pre)})
	d := p.yTable().Exp(s1).Bytes() // d = Y^s1
	mask := derive(labelMask, d[:], pre, enc)
	body = make([]byte, 0, keySize+len(enc))
	for i := range sigma {
		body = append(body, sigma[i]^mask[i])
	}
	return append(body, enc...)
}

// decapsulate returns sigma from rows that satisfy f. Whatever sel is, sigma comes out only if the whole of ct1 to ct3
// is, byte for byte, what the sealer with this sigma would have made: see recover.
func (k *fabeoKey) decapsulate(pre, body []byte, f *formula, sel []selected) (sigma [keySize]byte, err error) {
	d, err := k.decrypt(f, body[keySize:], sel)
	if err != nil {
		return sigma, ErrDecrypt
	}
	return k.pub.recover(pre, body, f, d)
}

// recover returns sigma from d, however d was come by. It is the check of Fujisaki and Okamoto, by re-encryption: all of ct1 to ct3 is
// compared. That covers rows that were not used for d, their canonical form and their subgroup with them.
func (p *fabeoPublic) recover(pre, body []byte, f *formula, d pairing.GT) (sigma [keySize]byte, err error) {
	sigma = unmask(pre, body, d)
	enc, _ := p.encrypt(f, coins{xof(labelCoins, sigma[:], pre)})
	if subtle.ConstantTimeCompare(enc, body[keySize:]) != 1 {
		return [keySize]byte{}, ErrDecrypt
	}
	return sigma, nil
}

// unmask returns sigma, or 32 bytes of no meaning if d is not the one of the body.
func unmask(pre, body []byte, d pairing.GT) (sigma [keySize]byte) {
	encoded := d.Bytes()
	sigma = derive(labelMask, encoded[:], pre, body[keySize:])
	subtle.XORBytes(sigma[:], sigma[:], body[:keySize])
	return sigma
}

// encrypt returns ct1, ct2 and ct3 one after another, and s1, from which the sealer has d. The coins give s1, s'[1] to
// s'[tau] and v in this order.
func (p *fabeoPublic) encrypt(f *formula, c coins) (enc []byte, s1 pairing.Scalar) {
	enc = make([]byte, 0, fabeoBodySize(f.leaves(), f.tau())-keySize)
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
func (k *fabeoKey) decrypt(f *formula, enc []byte, sel []selected) (pairing.GT, error) {
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
		sk1 := c.coeff.mul(k.sk1[row.atom])
		if used[row.rho] {
			sk1 = sk1.Add(left[row.rho])
		}
		left[row.rho], used[row.rho] = sk1, true
	}
	factors := []pairing.Pair{{P: k.sk2, Q: ct1}, {P: right, Q: k.sk3, Inverse: true}}
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
