package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/bench/measure"
)

// oneByOne is veilchart without a batch: Seal for each record. The values of batches are those of one record.
const oneByOne = "one-by-one"

// batchPatience is enough for six samples, and so for an interval of 95 %, where a batch takes twelve seconds.
const batchPatience = time.Minute

func (s abeSuite) batchCases() []measure.Case {
	var b *veilchartBed
	var records []abe.Record
	prepare := func(context.Context) error {
		if b != nil {
			return nil
		}
		authority, err := newAuthority()
		if err != nil {
			return err
		}
		for i := range s.records {
			records = append(records, abe.Record{ID: fmt.Sprint(i), Plaintext: record})
		}
		b, err = newVeilchartBed(authority, s.batchLeaves)
		return err
	}
	// A tenth is enough to know what one of many calls costs.
	few := max(1, s.records/10)
	alone := func() error {
		for range few {
			if err := b.seal(); err != nil {
				return err
			}
		}
		return nil
	}
	together := func(seal func() ([][]byte, error)) func() error {
		return func() error {
			objects, err := seal()
			if err == nil && len(objects) != len(records) {
				return errors.New("a batch came back with another number of objects")
			}
			return err
		}
	}
	var list []measure.Case
	for _, kind := range []struct {
		name string
		seal func() ([][]byte, error)
	}{
		{"seal-batch", func() ([][]byte, error) { return b.authority.Params().SealEach(b.policy, records, nil) }},
		{"seal-shared", func() ([][]byte, error) { return b.authority.Params().SealMany(b.policy, records, nil) }},
	} {
		c := measure.Case{Name: fmt.Sprintf("%s/records=%d", kind.name, s.records), Contenders: []measure.Contender{
			measure.TimedEach(measure.Reference, s.records, together(kind.seal)),
			measure.TimedEach(oneByOne, few, alone),
		}, Patience: batchPatience}
		for i := range c.Contenders {
			c.Contenders[i].Prepare = prepare
		}
		list = append(list, c)
	}
	return list
}
