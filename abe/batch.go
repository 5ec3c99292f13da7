package abe

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/pairing"
)

// SealEach seals records under one policy, each with an encapsulation of its own, and returns one object for each, in order. It is Seal for every
// record, with the record's ID and associated data, and faster: what belongs to the policy is worked out once, encapsulations are made together and on
// all cores. The objects have no secret in common: who opens one can open another only because of its policy. opts may be nil; associated data stand in
// the records. For the records of one patient SealMany is much faster still.
//
// Cost: from some dozens of records on about half the work of Seal for each, and no core waits for another; about 100 KiB of memory for each leaf of the policy.
func (p *Params) SealEach(policy *Policy, records []Record, opts *Options) ([][]byte, error) {
	s, err := p.recordSealer(policy, records, opts)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	heads := make([]head, len(records))
	inParallel(allCores(), len(heads), func(i int) { heads[i] = s.head() })
	pres := make([][]byte, len(heads))
	for i := range heads {
		pres[i] = heads[i].pre
	}
	bodies, sigmas, err := encapsulateEach(s.public, pres, s.formula)
	if err != nil {
		return nil, err
	}
	sealed, failed := make([][]byte, len(records)), make([]error, len(records))
	inParallel(allCores(), len(records), func(i int) {
		core, K := s.join(heads[i], bodies[i], sigmas[i])
		sealed[i], failed[i] = sealRecord(core, K, records[i].ID, records[i].Plaintext, records[i].AssociatedData)
	})
	for i, err := range failed {
		if err != nil {
			return nil, fmt.Errorf("abe: record %q: %w", records[i].ID, err)
		}
	}
	return sealed, nil
}

// encapsulateEach is p.encapsulate for each of pres. A suite that has a faster way has a method of this name.
func encapsulateEach(p public, pres [][]byte, f *formula) (bodies [][]byte, sigmas [][keySize]byte, err error) {
	if fast, ok := p.(interface {
		encapsulateEach(pres [][]byte, f *formula) ([][]byte, [][keySize]byte)
	}); ok && len(pres) > 1 {
		bodies, sigmas = fast.encapsulateEach(pres, f)
		return bodies, sigmas, nil
	}
	bodies, sigmas = make([][]byte, len(pres)), make([][keySize]byte, len(pres))
	failed := make([]error, len(pres))
	inParallel(allCores(), len(pres), func(i int) { bodies[i], sigmas[i], failed[i] = p.encapsulate(pres[i], f) })
	return bodies, sigmas, errors.Join(failed...)
}

const (
	batchTableAfter = 32   // uses of an atom in a batch that pay for a table
	batchTables     = 256  // of about 100 KiB each
	batchProducts   = 1024 // made together: more gain little
)

// encapsulateEach makes encapsulations that share tables for the atoms of f and the inversions of their additions, and no secrets.
func (p *fabeoPublic) encapsulateEach(pres [][]byte, f *formula) (bodies [][]byte, sigmas [][keySize]byte) {
	bodies, sigmas = make([][]byte, len(pres)), make([][keySize]byte, len(pres))
	tables := p.batchTables(f, len(pres))
	cores := allCores()
	most := max(1, batchProducts/(2*f.leaves()))
	parts := min((len(pres)+cores*most-1)/(cores*most)*cores, len(pres)) // as many for each core
	inParallel(cores, parts, func(part int) {
		from, to := part*len(pres)/parts, (part+1)*len(pres)/parts
		p.encapsulateTogether(pres[from:to], f, tables, bodies[from:to], sigmas[from:to])
	})
	return bodies, sigmas
}

// batchTables makes a table for each atom that so many encapsulations pay for.
func (p *fabeoPublic) batchTables(f *formula, times int) map[atom]*pairing.G1Table {
	uses := make(map[atom]int, f.names)
	var worth []atom
	for _, u := range f.atoms {
		if uses[u] += times; uses[u] >= batchTableAfter && uses[u]-times < batchTableAfter && len(worth) < batchTables {
			worth = append(worth, u)
		}
	}
	made := make([]*pairing.G1Table, len(worth))
	inParallel(allCores(), len(worth), func(i int) { made[i] = p.hashes.table(worth[i]) })
	tables := make(map[atom]*pairing.G1Table, len(worth))
	for i, u := range worth {
		tables[u] = made[i]
	}
	return tables
}

// encapsulateTogether fills bodies and sigmas, on the calling goroutine.
func (p *fabeoPublic) encapsulateTogether(pres [][]byte, f *formula, tables map[atom]*pairing.G1Table, bodies [][]byte, sigmas [][keySize]byte) {
	rows := f.rows()
	first := sameShares(rows)
	secrets := make([]fabeoSecrets, len(pres))
	in2 := make([]pairing.Scalar, 0, len(pres)*(1+f.tau()))
	for n, pre := range pres {
		rand.Read(sigmas[n][:])
		secrets[n] = coins{xof(labelCoins, sigmas[n][:], pre)}.draw(f)
		in2 = append(append(in2, secrets[n].shared[0]), secrets[n].uses[1:]...)
	}
	made2 := p.g2Table().MulEach(in2) // ct1 = g2^s1, ct2[j] = g2^s'[j]
	each := func(k func(s fabeoSecrets) pairing.Scalar) []pairing.Scalar {
		ks := make([]pairing.Scalar, len(secrets))
		for n, s := range secrets {
			ks[n] = k(s)
		}
		return ks
	}
	var products []pairing.G1Products
	for i, row := range rows {
		if first[i] == i {
			products = append(products, pairing.G1Products{Table: p.hbTable(), Ks: each(func(s fabeoSecrets) pairing.Scalar { return row.share(s.shared) })}) // H_b^(M_i (s1,v))
		}
		if t, ok := tables[row.atom]; ok {
			products = append(products, pairing.G1Products{Table: t, Ks: each(func(s fabeoSecrets) pairing.Scalar { return s.uses[row.rho] })}) // H(pi(i))^s'[rho(i)]
		}
	}
	made := pairing.MulG1Tables(products)
	take := func() (x []pairing.G1) { x, made = made[:len(pres)], made[len(pres):]; return x }
	ct3 := make([]pairing.G1, len(pres)*len(rows)) // record by record
	shares := make([][]pairing.G1, len(rows))
	for i, row := range rows {
		if first[i] == i {
			shares[i] = take()
		}
		var hashes []pairing.G1
		if _, ok := tables[row.atom]; ok {
			hashes = take()
		}
		for n, share := range shares[first[i]] {
			var hash pairing.G1
			if hashes != nil {
				hash = hashes[n]
			} else {
				hash = p.hashes.mul(row.atom, secrets[n].uses[row.rho])
			}
			ct3[n*len(rows)+i] = share.Add(hash) // ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]
		}
	}
	encoded := pairing.AppendG1s(nil, ct3)
	for n, pre := range pres {
		size := pairing.G1Size * len(rows)
		enc := make([]byte, 0, fabeoBodySize(f.leaves(), f.tau())-keySize)
		for _, x := range made2[n*(1+f.tau()):][:1+f.tau()] {
			b := x.Bytes()
			enc = append(enc, b[:]...)
		}
		enc = append(enc, encoded[n*size:][:size]...)
		d := p.yTable().Exp(secrets[n].shared[0]) // d = Y^s1
		bodies[n] = mask(pre, enc, d, sigmas[n])
	}
}
