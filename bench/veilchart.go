package main

import (
	"strings"
	"time"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/internal/pairing"
)

// backend is what computes veilchart's groups.
const backend = pairing.Backend

// newVeilchart is package abe with its default suite.
func newVeilchart() (implementation, error) {
	authority, err := newAuthority()
	return implementation{
		impl: measure.Reference,
		setup: func() error {
			_, err := newAuthority()
			return err
		},
		bed: func(leaves int) (bed, error) { return newVeilchartBed(authority, leaves) },
	}, err
}

func newAuthority() (*abe.Authority, error) { return abe.GenerateAuthority(abe.FABEO, nil) }

type veilchartBed struct {
	authority  *abe.Authority
	text       string
	policy     *abe.Policy
	attributes []abe.Attribute
	key        *abe.Key
	object     []byte

	publicBytes, secretBytes []byte
}

func newVeilchartBed(authority *abe.Authority, leaves int) (*veilchartBed, error) {
	b := &veilchartBed{authority: authority}
	var parts []string
	for i := range leaves {
		b.attributes = append(b.attributes, attribute(attributeName(i)))
		parts = append(parts, b.attributes[i].String())
	}
	b.text = strings.Join(parts, " and ")
	var err error
	b.policy, err = abe.ParsePolicy(b.text)
	return b, err
}

func attribute(name string) abe.Attribute {
	return abe.Attribute{Name: name, Value: attributeValue}
}

// year is a window of a year. It does not end today, so that a run may go on past midnight.
func year() abe.Window {
	today := abe.DayOf(time.Now())
	return abe.Window{First: today - 300, Last: today + 64}
}

func (b *veilchartBed) issue() (err error) {
	b.key, err = b.authority.IssueKey(year(), b.attributes...)
	return err
}

func (b *veilchartBed) seal() (err error) {
	b.object, err = b.authority.Params().Seal(b.policy, record, nil)
	return err
}

func (b *veilchartBed) open() error {
	if b.key == nil || b.object == nil {
		return errNotMade
	}
	plaintext, err := b.key.Open(b.object, nil)
	if err != nil {
		return err
	}
	return compare(plaintext)
}

func (b *veilchartBed) header() (int, error) { return len(b.object) - len(record), nil }

func (b *veilchartBed) keyBytes() (int, error) { return len(b.key.ExposeSecret()), nil }

func (b *veilchartBed) encode() error {
	b.publicBytes, b.secretBytes = b.authority.Params().Bytes(), b.key.ExposeSecret()
	return nil
}

func (b *veilchartBed) sealCold() error {
	params, err := abe.NewParams(b.publicBytes)
	if err != nil {
		return err
	}
	policy, err := abe.ParsePolicy(b.text)
	if err != nil {
		return err
	}
	_, err = params.Seal(policy, record, nil)
	return err
}

func (b *veilchartBed) openCold() error {
	key, err := abe.NewKey(b.secretBytes)
	if err != nil {
		return err
	}
	plaintext, err := key.Open(b.object, nil)
	if err != nil {
		return err
	}
	return compare(plaintext)
}
