package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/veilchart/veilchart/bench/measure"
)

// abeSuite measures package abe. The policy is the AND of n attributes and the record has 32 bytes.
type abeSuite struct {
	streamBytes int64 // of a stream
	memoryBytes int64 // of the stream whose memory is measured
	records     int   // of a batch
	batchLeaves int
	coldLeaves  []int
	coreLeaves  []int // at which veilchart is also measured on one core
}

func newABE() abeSuite {
	return abeSuite{streamBytes: 512 << 20, memoryBytes: 4 << 30, records: 1000, batchLeaves: 10, coldLeaves: []int{10, 100}, coreLeaves: []int{10, 100}}
}

func (abeSuite) name() string { return "abe" }

func (abeSuite) notes() []string {
	return []string{
		"policy: AND of n attributes; record: 32 bytes; key: those n attributes. Veilchart adds to each header the day of sealing, and to each key a window of a year of such days: its numbers include both.",
		"tkn20 (github.com/cloudflare/circl " + version("github.com/cloudflare/circl") + "): CCA, BLS12-381, parentheses balanced. One core; veilchart may use all, and " + oneCore + " is the same on one.",
		"fame (github.com/fentec-project/gofe " + version("github.com/fentec-project/gofe") + "): not comparable in strength: CPA only, a BN curve of about 100 bits, CBC without a MAC, no encoding (lengths are those of its uncompressed elements).",
		"limit: for decapsulate a bare product of three pairings on the same back end; for streams AES-256-GCM in blocks of 1 MiB.",
		"median and interval (order statistics, 95 % if n >= 6, otherwise the range); ratio: other / veilchart, for rates veilchart / other, median over rounds: bigger is better for veilchart.",
	}
}

// oneCore is veilchart with GOMAXPROCS = 1, as its peers are.
const oneCore = measure.Reference + "-1core"

// implementation is a scheme with an authority.
type implementation struct {
	impl  string
	setup func() error // generates another authority and forgets it
	bed   func(leaves int) (bed, error)
}

// bed is an implementation at one number of leaves. issue and seal keep what they made.
type bed interface {
	issue() error
	seal() error
	open() error            // fails if it does not come to the record
	header() (int, error)   // bytes of the sealed object beyond the record
	keyBytes() (int, error) // bytes of the key
}

// coldBed begins with encodings and text, as a program that was just started does.
type coldBed interface {
	encode() error // the public parameters and the key, not measured
	sealCold() error
	openCold() error
}

// record is what is sealed.
var record = []byte("blood pressure 120/80, pulse 64.")

func compare(plaintext []byte) error {
	if !bytes.Equal(plaintext, record) {
		return errors.New("the opened record is not the sealed one")
	}
	return nil
}

// attributeName is "a0", "a1", and so on: names that the parsers and hashes of all take for what they are.
func attributeName(i int) string { return fmt.Sprintf("a%d", i) }

const attributeValue = "x"

func (s abeSuite) cases(o options) ([]measure.Case, func(), error) {
	var all []implementation
	for _, start := range []func() (implementation, error){newVeilchart, newTKN20, newFAME} {
		i, err := start()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, i)
	}
	beds := map[string]map[int]bed{}
	for _, i := range all {
		beds[i.impl] = map[int]bed{}
		for _, n := range slices.Concat(s.coldLeaves, o.leaves) {
			if beds[i.impl][n] != nil {
				continue
			}
			b, err := i.bed(n)
			if err != nil {
				return nil, nil, fmt.Errorf("%s with %d leaves: %w", i.impl, n, err)
			}
			beds[i.impl][n] = b
		}
	}
	var list []measure.Case
	add := func(name string, contender func(i implementation) (measure.Contender, bool)) {
		c := measure.Case{Name: name}
		for _, i := range all {
			if who, ok := contender(i); ok {
				c.Contenders = append(c.Contenders, who)
			}
		}
		list = append(list, c)
	}
	add("setup", func(i implementation) (measure.Contender, bool) { return measure.Timed(i.impl, i.setup), true })
	for _, kind := range []struct {
		name  string
		needs func(b bed) error
		make  func(impl string, b bed) measure.Contender
		cores bool // may be spread over cores
	}{
		{"issue", nothing, func(impl string, b bed) measure.Contender { return measure.Timed(impl, b.issue) }, true},
		{"seal", nothing, func(impl string, b bed) measure.Contender { return measure.Timed(impl, b.seal) }, true},
		{"open", both, func(impl string, b bed) measure.Contender { return measure.Timed(impl, b.open) }, true},
		{"header", both, func(impl string, b bed) measure.Contender { return measure.Length(impl, b.header) }, false},
		{"key", both, func(impl string, b bed) measure.Contender { return measure.Length(impl, b.keyBytes) }, false},
	} {
		for _, n := range o.leaves {
			add(fmt.Sprintf("%s/leaves=%d", kind.name, n), func(i implementation) (measure.Contender, bool) {
				b := beds[i.impl][n]
				c := kind.make(i.impl, b)
				c.Prepare = func(context.Context) error { return kind.needs(b) }
				return c, true
			})
			if c := &list[len(list)-1]; kind.cores && slices.Contains(s.coreLeaves, n) {
				alone := kind.make(oneCore, beds[measure.Reference][n])
				alone.Prepare, alone.Procs = c.Contenders[0].Prepare, 1
				c.Contenders = append(c.Contenders, alone)
			}
		}
	}
	for _, kind := range []struct {
		name string
		op   func(b coldBed) func() error
	}{
		{"seal-cold", func(b coldBed) func() error { return b.sealCold }},
		{"open-cold", func(b coldBed) func() error { return b.openCold }},
	} {
		for _, n := range s.coldLeaves {
			add(fmt.Sprintf("%s/leaves=%d", kind.name, n), func(i implementation) (measure.Contender, bool) {
				b, ok := beds[i.impl][n].(coldBed)
				if !ok {
					return measure.Contender{}, false
				}
				c := measure.Timed(i.impl, kind.op(b))
				c.Prepare = func(context.Context) error { return errors.Join(both(beds[i.impl][n]), b.encode()) }
				return c, true
			})
		}
	}
	list = append(list, s.batchCases()...)
	list = append(list, s.streamCases()...)
	list = append(list, s.memoryCase())
	kem, done := kemCases(o.leaves)
	return append(list, kem...), done, nil
}

func nothing(bed) error { return nil }

// both issues a key and seals an object, unless open finds them there already.
func both(b bed) error {
	if b.open() == nil {
		return nil
	}
	if err := b.issue(); err != nil {
		return err
	}
	if err := b.seal(); err != nil {
		return err
	}
	return b.open()
}
