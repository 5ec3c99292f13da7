package abe

import (
	"crypto/subtle"

	"github.com/veilchart/veilchart/internal/pairing"
)

// fabeoElements are decoded parts of ct1, ct2 and ct3, each strictly: canonical, on the curve, in the subgroup, not the identity. What
// was not asked for is the zero value.
type fabeoElements struct {
	ct1 pairing.G2
	ct2 []pairing.G2 // by j, from 1
	ct3 []pairing.G1 // by row
}

// decode decodes what sel needs for d, and with everyRow the whole of ct3. enc of another length than f's is refused here and not only by the
// decoder of headers, which may have had a reason to let it pass.
func (e *fabeoElements) decode(f *formula, enc []byte, sel []selected, everyRow bool) error {
	if keySize+len(enc) != fabeoBodySize(f.leaves(), f.tau()) {
		return ErrDecrypt
	}
	rows, tau := f.rows(), f.tau()
	raw2 := enc[:pairing.G2Size*(1+tau)] // ct1 at 0, then ct2
	raw3 := enc[len(raw2):]
	e.ct2, e.ct3 = make([]pairing.G2, tau+1), make([]pairing.G1, len(rows))
	wanted2, wanted3 := make([]bool, tau+1), make([]bool, len(rows))
	wanted2[0] = len(sel) > 0
	for _, c := range sel {
		wanted3[c.row], wanted2[rows[c.row].rho] = true, true
	}
	failed := make([]error, 1+tau+len(rows))
	inParallel(allCores(), len(failed), func(i int) {
		if i <= tau {
			if wanted2[i] {
				e.ct2[i], failed[i] = pairing.NewG2(raw2[pairing.G2Size*i:][:pairing.G2Size])
			}
			return
		}
		if j := i - tau - 1; everyRow || wanted3[j] {
			e.ct3[j], failed[i] = pairing.NewG1(raw3[pairing.G1Size*j:][:pairing.G1Size])
		}
	})
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	e.ct1 = e.ct2[0]
	return nil
}

// decrypt returns d from the rows in sel. Only the elements that it uses are decoded.
func (k *fabeoKey) decrypt(f *formula, enc []byte, sel []selected) (pairing.GT, error) {
	var e fabeoElements
	if err := e.decode(f, enc, sel, false); err != nil {
		return pairing.GT{}, err
	}
	return k.combine(f, &e, sel), nil
}

// combine returns d from decoded elements: distinct values of rho in sel plus two Miller loops, and one final exponentiation.
func (k *fabeoKey) combine(f *formula, e *fabeoElements, sel []selected) pairing.GT {
	rows := f.rows()
	left := make([][]pairing.G1, f.tau()+1) // by j: factors of prod_{rho(i)=j} sk1[pi(i)]^c_i
	right := make([]pairing.G1, 0, len(sel))
	for _, c := range sel {
		row := rows[c.row]
		right = append(right, c.coeff.mul(e.ct3[c.row]))
		left[row.rho] = append(left[row.rho], c.coeff.mul(k.sk1[row.atom]))
	}
	factors := []pairing.Pair{
		{P: k.sk2, Q: e.ct1},
		{P: pairing.SumG1(right), Q: k.sk3, Inverse: true}, // prod_i ct3[i]^c_i
	}
	for j, factor := range left {
		if len(factor) > 0 {
			factors = append(factors, pairing.Pair{P: pairing.SumG1(factor), Q: e.ct2[j]})
		}
	}
	return pairing.PairProduct(factors...)
}

// decapsulate returns sigma from rows that satisfy f. Whatever sel is, sigma comes out only if the whole of ct1 to ct3
// is what the sealer with this sigma would have made: see check.go. The sums of the check need no sigma and are made beside d.
func (k *fabeoKey) decapsulate(pre, body []byte, f *formula, sel []selected) (sigma [keySize]byte, err error) {
	var e fabeoElements
	if len(body) < keySize || e.decode(f, body[keySize:], sel, true) != nil {
		return sigma, ErrDecrypt
	}
	var d pairing.GT
	var check *rowCheck
	inParallel(allCores(), 2, func(i int) {
		if i == 0 {
			d = k.combine(f, &e, sel)
		} else {
			check = k.pub.checkRows(f, e.ct3)
		}
	})
	return k.pub.finish(pre, body, f, d, check)
}

// recover returns sigma from d, however d was come by, with the same check.
func (p *fabeoPublic) recover(pre, body []byte, f *formula, d pairing.GT) (sigma [keySize]byte, err error) {
	var e fabeoElements
	if len(body) < keySize || e.decode(f, body[keySize:], nil, true) != nil {
		return sigma, ErrDecrypt
	}
	return p.finish(pre, body, f, d, p.checkRows(f, e.ct3))
}

// finish is the check of Fujisaki and Okamoto. It compares ct1 and ct2 byte for byte with those of sigma's coins, and ct3 by the equation of
// check, whose rows were decoded one by one.
func (p *fabeoPublic) finish(pre, body []byte, f *formula, d pairing.GT, check *rowCheck) (sigma [keySize]byte, err error) {
	sigma = unmask(pre, body, d)
	s := coins{xof(labelCoins, sigma[:], pre)}.draw(f)
	same := make([]int, 1+len(s.uses))
	inParallel(allCores(), len(same), func(i int) {
		if i == len(s.uses) {
			if check.holds(p, f, s) {
				same[i] = 1
			}
			return
		}
		want := p.inG2(s, i)
		same[i] = subtle.ConstantTimeCompare(want[:], body[keySize+pairing.G2Size*i:][:pairing.G2Size])
	})
	for _, ok := range same {
		if ok != 1 {
			return [keySize]byte{}, ErrDecrypt
		}
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
