package abe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wide is an and of n attributes.
func wide(t testing.TB, n int) (*Policy, []Attribute) {
	var attributes []Attribute
	var parts []string
	for i := range n {
		attributes = append(attributes, Attribute{Name: "group", Value: fmt.Sprintf("g%d", i)})
		parts = append(parts, attributes[i].String())
	}
	policy, err := ParsePolicy(strings.Join(parts, " and "))
	require.NoError(t, err)
	return policy, attributes
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{1, 6, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, _ := GenerateAuthority(FABEO, nil)
			policy, _ := wide(b, n)
			record := make([]byte, 1000)
			b.ReportAllocs()
			for b.Loop() {
				_, err := a.Params().Seal(policy, record, nil)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkSealManyOf100(b *testing.B) {
	a, _ := GenerateAuthority(FABEO, nil)
	policy, _ := wide(b, 6)
	var records []Record
	for i := range 100 {
		records = append(records, Record{ID: fmt.Sprint(i), Plaintext: make([]byte, 1000)})
	}
	for b.Loop() {
		_, err := a.Params().SealMany(policy, records, nil)
		require.NoError(b, err)
	}
}

// BenchmarkSealEachOf100 makes 100 encapsulations together.
func BenchmarkSealEachOf100(b *testing.B) {
	a, _ := GenerateAuthority(FABEO, nil)
	policy, _ := wide(b, 6)
	var records []Record
	for i := range 100 {
		records = append(records, Record{ID: fmt.Sprint(i), Plaintext: make([]byte, 1000)})
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := a.Params().SealEach(policy, records, nil)
		require.NoError(b, err)
	}
}

// BenchmarkOpenParts measures what decapsulation is made of: decode first, then combine beside check.
func BenchmarkOpenParts(b *testing.B) {
	for _, n := range []int{10, 100} {
		a, _ := GenerateAuthority(FABEO, nil)
		policy, attributes := wide(b, n)
		key, err := a.IssueKey(always, attributes...)
		require.NoError(b, err)
		sealed, err := a.Params().Seal(policy, nil, nil)
		require.NoError(b, err)
		h, err := decodeHeader(sealed)
		require.NoError(b, err)
		f, sel, err := key.admit(h, opening{})
		require.NoError(b, err)
		k := key.in().secret.(*fabeoKey)
		var e fabeoElements
		require.NoError(b, e.decode(f, h.enc(), sel, true))
		for _, part := range []struct {
			name string
			f    func()
		}{
			{"decode", func() { require.NoError(b, new(fabeoElements).decode(f, h.enc(), sel, true)) }},
			{"combine", func() { k.combine(f, &e, sel) }},
			{"check", func() { k.pub.checkRows(f, e.ct3) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", part.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					part.f()
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1, 6, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, _ := GenerateAuthority(FABEO, nil)
			policy, attributes := wide(b, n)
			key, err := a.IssueKey(always, attributes...)
			require.NoError(b, err)
			sealed, err := a.Params().Seal(policy, make([]byte, 1000), nil)
			require.NoError(b, err)
			for b.Loop() {
				_, err := key.Open(sealed, nil)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkOpenUses opens policies that ask for one attribute n times: tau is n, and so is the number of elements ct2 that are used.
func BenchmarkOpenUses(b *testing.B) {
	for _, n := range []int{1, 2, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a, _ := GenerateAuthority(FABEO, nil)
			policy, err := ParsePolicy(strings.Repeat("(a or b) and ", n-1) + "(a or b)")
			require.NoError(b, err)
			key, err := a.IssueKey(always, Attribute{Name: "a"})
			require.NoError(b, err)
			sealed, err := a.Params().Seal(policy, make([]byte, 1000), nil)
			require.NoError(b, err)
			for b.Loop() {
				_, err := key.Open(sealed, nil)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkSealManyRecord is the cost of one more record of 1 kB in a call.
func BenchmarkSealManyRecord(b *testing.B) {
	a, _ := GenerateAuthority(FABEO, nil)
	policy, _ := wide(b, 6)
	core, K := encapsulate(b, a.Params(), policy)
	for b.Loop() {
		_, err := sealRecord(core, K, "id", make([]byte, 1000), nil)
		require.NoError(b, err)
	}
}

func BenchmarkIssueKey(b *testing.B) {
	a, _ := GenerateAuthority(FABEO, nil)
	_, attributes := wide(b, 10)
	for b.Loop() {
		_, err := a.IssueKey(always, attributes...)
		require.NoError(b, err)
	}
}

func BenchmarkNewKey(b *testing.B) {
	a, _ := GenerateAuthority(FABEO, nil)
	_, attributes := wide(b, 10)
	key, _ := a.IssueKey(always, attributes...)
	encoding := key.ExposeSecret()
	for b.Loop() {
		_, err := NewKey(encoding)
		require.NoError(b, err)
	}
}
