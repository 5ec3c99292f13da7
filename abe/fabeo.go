package abe

import (
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
	sk1 := make([]pairing.G1, len(atoms))
	inParallel(allCores(), len(atoms), func(i int) { sk1[i] = m.pub.hashes.mul(atoms[i], r) }) // sk1[u] = H(u)^r
	for i, u := range atoms {
		k.sk1[u] = sk1[i]
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
	sk1, failed := make([]pairing.G1, len(atoms)), make([]error, len(atoms))
	inParallel(allCores(), len(atoms), func(i int) { sk1[i], failed[i] = pairing.NewG1(raw[pairing.G1Size*i:][:pairing.G1Size]) })
	for i, u := range atoms {
		if failed[i] != nil {
			d.Failf("the component for an attribute is damaged: get the key from a copy or issued again")
			return nil
		}
		k.sk1[u] = sk1[i]
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
	components := make([]pairing.G1, len(k.atoms))
	for i, u := range k.atoms {
		components[i] = k.sk1[u]
	}
	delta, hashes := pairing.RandomWeights(len(k.atoms)), k.pub.hashes.all(k.atoms)
	var left, right pairing.G1
	inParallel(allCores(), 2, func(i int) {
		if i == 0 {
			left = k.sk2.Add(pairing.G1LinComb(components, delta))
		} else {
			right = k.pub.hb().Add(pairing.G1LinComb(hashes, delta))
		}
	})
	return pairing.PairProduct(
		pairing.Pair{P: left, Q: pairing.G2Generator()},
		pairing.Pair{P: right, Q: k.sk3, Inverse: true},
	).Equal(k.pub.y)
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
