package he

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
)

// Evaluate computes the encrypted answer to a plan. It needs no key and runs where the columns are stored. The column that
// was planned must be among those given, in the same revision. It uses all cores and stops between blocks when ctx ends.
//
// For each part and block it computes the constant coefficient of m(X)*k(X), where k(X) is the sum of X^-i over the rows
// asked for. Blocks that are asked for as a whole are added up first and multiplied once.
func Evaluate(ctx context.Context, p *Plan, columns ...*Column) (*Answer, error) {
	c := columnNamed(p.schema.name, columns)
	if c == nil {
		return nil, &PlanError{Kind: UnknownColumn, Column: p.schema.name}
	}
	if c.digest != p.column {
		return nil, fmt.Errorf("he: column %q is not the revision that was planned: plan the query again", p.schema.name)
	}
	parts := p.parts()
	var (
		mu    sync.Mutex
		total []accumulator
	)
	// Each chunk of blocks has accumulators of its own; sums modulo a prime do not depend on the order.
	const chunk = 16
	err := parallel((len(c.blocks)+chunk-1)/chunk, func(i int) error {
		acc := newAccumulators(p.lat, len(parts))
		for _, b := range c.blocks[i*chunk : min((i+1)*chunk, len(c.blocks))] {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("he: evaluation stopped: %w", err)
			}
			p.addBlock(acc, c, b, parts)
		}
		for j := range acc {
			acc[j].closeWhole(p.lat)
		}
		mu.Lock()
		defer mu.Unlock()
		if total == nil {
			total = acc
			return nil
		}
		for j := range total {
			total[j].merge(p.lat, &acc[j])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if total == nil { // a column without blocks: the answer is an encryption of 0 that everyone can read
		total = newAccumulators(p.lat, len(parts))
	}
	a := &Answer{lat: p.lat, key: p.key, plan: p.digest, numbers: make([]number, len(parts))}
	for j := range total {
		a.numbers[j] = total[j].finish(p.lat)
	}
	return a, nil
}

// accumulator is the masked inner product of one part: the constant coefficient of c0*k and all of c1*k.
type accumulator struct {
	c0    []uint64 // by prime
	c1    poly     // transformed
	whole poly     // sum of c1 over blocks that are asked for as a whole, transformed; nil if there are none
}

func newAccumulators(l *lattice, n int) []accumulator {
	acc := make([]accumulator, n)
	for j := range acc {
		acc[j] = accumulator{c0: make([]uint64, len(l.q)), c1: l.newPoly()}
	}
	return acc
}

func (p *Plan) addBlock(acc []accumulator, c *Column, b *block, parts []int) {
	chosen := p.query.Rows.countIn(c, b)
	if chosen == 0 {
		return
	}
	// Positions above used hold zeros, so a set with all used rows is as good as the whole block.
	whole := chosen == c.used(b)
	var mask poly
	if !whole {
		mask = p.query.Rows.mask(p.lat, b.index)
	}
	for j, part := range parts {
		s := b.parts[part]
		c1 := s.expanded(p.lat, c.place(b, part))
		if whole {
			acc[j].addConst(p.lat, s.c0, nil)
			if acc[j].whole == nil {
				acc[j].whole = p.lat.newPoly()
			}
			p.lat.add(acc[j].whole, c1)
		} else {
			acc[j].addConst(p.lat, s.c0, p.query.Rows.blocks[b.index])
			p.lat.mulAdd(acc[j].c1, c1, mask)
		}
	}
}

// addConst adds (c0*k)[0], which is the sum of c0[i] over the marked rows, as X^i * X^-i = 1. A nil set marks all.
func (a *accumulator) addConst(l *lattice, c0 poly, set *bitmap) {
	for j, q := range l.q {
		hi, lo := uint64(0), a.c0[j]
		add := func(v uint64) {
			var carry uint64
			lo, carry = bits.Add64(lo, v, 0)
			hi += carry
		}
		if set == nil {
			for _, v := range c0[j] {
				add(v)
			}
		} else {
			set.each(func(i int) { add(c0[j][i]) })
		}
		a.c0[j] = bits.Rem64(hi, lo, q)
	}
}

func (a *accumulator) closeWhole(l *lattice) {
	if a.whole != nil {
		l.mulAdd(a.c1, a.whole, l.ones())
		a.whole = nil
	}
}

func (a *accumulator) merge(l *lattice, b *accumulator) {
	for j, q := range l.q {
		a.c0[j] = (a.c0[j] + b.c0[j]) % q
	}
	l.add(a.c1, b.c1)
}

// finish goes back to coefficients and lowers the modulus to q[0].
func (a *accumulator) finish(l *lattice) number {
	l.intt(a.c1)
	out := number{c0: l.lower(a.c0[0], a.c0[1]), c1: make([]uint64, l.n())}
	for i := range out.c1 {
		out.c1[i] = l.lower(a.c1[0][i], a.c1[1][i])
	}
	return out
}
