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
// Cost: from some dozens of records on about a third less work than Seal for each with ten leaves, half with a hundred, and no core waits for another; about
// 100 KiB of memory for each leaf of the policy.
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
	size := max(1, min(batchProducts/(2*f.leaves()), (len(pres)+cores-1)/cores))
	inParallel(cores, (len(pres)+size-1)/size, func(part int) {
		from := part * size
		to := min(from+size, len(pres))
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
	first, hb := sameShares(rows), p.hbTable()
	secrets := make([]fabeoSecrets, len(pres))
	var products []pairing.G1Product
	for n, pre := range pres {
		rand.Read(sigmas[n][:])
		s := coins{xof(labelCoins, sigmas[n][:], pre)}.draw(f)
		secrets[n] = s
		for i, row := range rows {
			if first[i] == i {
				products = append(products, pairing.G1Product{Table: hb, K: row.share(s.shared)}) // H_b^(M_i (s1,v))
			}
			if t, ok := tables[row.atom]; ok {
				products = append(products, pairing.G1Product{Table: t, K: s.uses[row.rho]}) // H(pi(i))^s'[rho(i)]
			}
		}
	}
	made := pairing.MulG1Tables(products)
	take := func() (x pairing.G1) { x, made = made[0], made[1:]; return x }
	ct3 := make([]pairing.G1, 0, len(pres)*len(rows))
	shares := make([]pairing.G1, len(rows))
	for n := range pres {
		for i, row := range rows {
			if first[i] == i {
				shares[i] = take()
			}
			var hash pairing.G1
			if _, ok := tables[row.atom]; ok {
				hash = take()
			} else {
				hash = p.hashes.mul(row.atom, secrets[n].uses[row.rho])
			}
			ct3 = append(ct3, shares[first[i]].Add(hash)) // ct3[i] = H_b^(M_i (s1,v)) * H(pi(i))^s'[rho(i)]
		}
	}
	encoded := pairing.AppendG1s(nil, ct3)
	for n, pre := range pres {
		size := pairing.G1Size * len(rows)
		enc := make([]byte, 0, fabeoBodySize(f.leaves(), f.tau())-keySize)
		for j := range 1 + f.tau() {
			b := p.inG2(secrets[n], j)
			enc = append(enc, b[:]...)
		}
		enc = append(enc, encoded[n*size:][:size]...)
		d := p.yTable().Exp(secrets[n].shared[0]) // d = Y^s1
		bodies[n] = mask(pre, enc, d, sigmas[n])
	}
}
