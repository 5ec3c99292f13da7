package abe

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// BenchmarkKEM measures what a caller cannot reach: the key encapsulation alone, and decapsulation from decoded elements without the check of
// Fujisaki and Okamoto against its limit, a bare product of three pairings. The bench module builds these tests and runs it; the names are its.
func BenchmarkKEM(b *testing.B) {
	today := DayOf(time.Now())
	year := Window{First: today - 300, Last: today + 64}
	const warm = 20 // uses of an attribute, after which its table is there
	each := func(op, impl string, measured func(b *testing.B, policy *Policy, key *Key)) {
		for _, n := range []int{1, 5, 10, 50, 100} {
			b.Run(fmt.Sprintf("%s/leaves=%d/impl=%s", op, n, impl), func(b *testing.B) {
				a, err := GenerateAuthority(FABEO, nil)
				require.NoError(b, err)
				policy, attributes := wide(b, n)
				key, err := a.IssueKey(year, attributes...)
				require.NoError(b, err)
				b.ReportAllocs()
				measured(b, policy, key)
			})
		}
	}
	each("kem-seal", "veilchart", func(b *testing.B, policy *Policy, key *Key) {
		s, err := key.Params().sealer(policy, nil)
		require.NoError(b, err)
		for range warm {
			_, _, err := s.encapsulate()
			require.NoError(b, err)
		}
		for b.Loop() {
			_, _, err := s.encapsulate()
			require.NoError(b, err)
		}
	})
	opened := func(b *testing.B, policy *Policy, key *Key) (*header, *formula, []selected) {
		sealed, err := key.Params().Seal(policy, nil, nil)
		require.NoError(b, err)
		for range warm {
			_, err = key.Open(sealed, nil)
			require.NoError(b, err)
		}
		h, err := decodeHeader(sealed)
		require.NoError(b, err)
		f, sel, err := key.admit(h, opening{})
		require.NoError(b, err)
		return h, f, sel
	}
	each("kem-open", "veilchart", func(b *testing.B, policy *Policy, key *Key) {
		h, f, sel := opened(b, policy, key)
		for b.Loop() {
			_, err := key.in().secret.decapsulate(h.pre, h.body, f, sel)
			require.NoError(b, err)
		}
	})
	each("decapsulate", "veilchart", func(b *testing.B, policy *Policy, key *Key) {
		h, f, sel := opened(b, policy, key)
		secret := key.in().secret.(*fabeoKey)
		var e fabeoElements
		require.NoError(b, e.decode(f, h.enc(), sel, false))
		want, err := secret.decapsulate(h.pre, h.body, f, sel)
		require.NoError(b, err)
		var sigma [keySize]byte
		for b.Loop() {
			sigma = unmask(h.pre, h.body, secret.combine(f, &e, sel))
		}
		require.Equal(b, want, sigma)
	})
	each("decapsulate", "limit", func(b *testing.B, _ *Policy, _ *Key) {
		var factors []pairing.Pair
		for i := range 3 {
			k := pairing.ScalarFromInt64(int64(i) + 2)
			factors = append(factors, pairing.Pair{P: pairing.G1Generator().Mul(k), Q: pairing.G2Generator().Mul(k)})
		}
		for b.Loop() {
			pairing.PairProduct(factors...)
		}
	})
}
