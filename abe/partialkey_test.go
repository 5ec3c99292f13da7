package abe

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/pairing"
)

// Rogue partial keys are found in public, named, and nothing is made of them.
func TestRoguePartialKeys(t *testing.T) {
	a := fabeoAuthority(t, "")
	set, issuers := split(t, a, 2, 4)
	r := request(t, set, "a", "b")
	good := partials(t, r, issuers...)
	for _, partial := range good {
		require.NoError(t, set.Verify(r, partial))
	}
	g1, g2 := pairing.G1Generator(), pairing.G2Generator()
	other := partials(t, request(t, set, "a", "b"), issuers...)
	for name, change := range map[string]func(p *partialParts){
		"sk1":                     func(p *partialParts) { p.sk1[1] = p.sk1[1].Add(g1) },
		"sk1 exchanged":           func(p *partialParts) { p.sk1[0], p.sk1[1] = p.sk1[1], p.sk1[0] },
		"sk1 and sk2, cancelling": func(p *partialParts) { p.sk1[0] = p.sk1[0].Add(g1); p.sk2 = p.sk2.Add(g1.Neg()) },
		"sk2":                     func(p *partialParts) { p.sk2 = p.sk2.Add(g1) },
		"sk2 with H_b":            func(p *partialParts) { p.sk2 = p.sk2.Add(set.public.hb()) },
		"sk3":                     func(p *partialParts) { p.sk3 = p.sk3.Add(g2) },
		"component missing":       func(p *partialParts) { p.sk1 = p.sk1[:len(p.sk1)-1] },
		"component more":          func(p *partialParts) { p.sk1 = append(p.sk1, g1) },
		"another request's": func(p *partialParts) {
			p.sk1, p.sk2, p.sk3 = other[2].in().sk1, other[2].in().sk2, g2
			p.sk3 = other[1].in().sk3
		},
		"another request's, by name": func(p *partialParts) { *p = *other[2].in() },
		"another issuer's":           func(p *partialParts) { i := p.issuer; *p = *good[0].in(); p.issuer = i },
		"a share of its own": func(p *partialParts) {
			sk := newFABEOMaster(pairing.RandomScalar()).keyGen(r.atoms())
			p.sk2, p.sk3 = sk.sk2, sk.sk3
			for n, u := range sk.atoms {
				p.sk1[n] = sk.sk1[u]
			}
		},
	} {
		bad := *good[2].in()
		bad.sk1 = slices.Clone(bad.sk1)
		change(&bad)
		hidden := &bad
		partial := &PartialKey{hidden: &hidden}
		var rogue *PartialKeyError
		require.ErrorAs(t, set.Verify(r, partial), &rogue, name)
		require.Equal(t, []int{3}, rogue.Issuers, name)
		for _, list := range [][]*PartialKey{{good[0], partial}, {partial, good[3]}, {good[0], good[1], partial}, {partial}} {
			_, err := set.Combine(r, list...)
			require.ErrorAs(t, err, &rogue, name)
			require.Equal(t, []int{3}, rogue.Issuers, name)
		}
		if len(bad.sk1) == len(r.atoms()) && bad.request == r.id() && name != "another issuer's" { // past the gate: not a key
			require.False(t, combine(set.public, r.atoms(), []*partialParts{good[0].in(), &bad}).consistent(), name)
		}
	}
	one, three := *good[0].in(), *good[2].in()
	one.sk2, three.sk3 = one.sk2.Add(g1), three.sk3.Add(g2)
	hiddenOne, hiddenThree := &one, &three
	_, err := set.Combine(r, &PartialKey{hidden: &hiddenThree}, good[1], &PartialKey{hidden: &hiddenOne})
	var rogue *PartialKeyError
	require.ErrorAs(t, err, &rogue)
	require.Equal(t, []int{1, 3}, rogue.Issuers)
	require.ErrorContains(t, err, "from the issuers 1 3")

	_, err = set.Combine(r, good[0], good[0])
	require.ErrorContains(t, err, "two partial keys of issuer 1")
	_, err = set.Combine(r)
	require.ErrorContains(t, err, "ask more")
	_, err = set.Combine(r, good[0], nil)
	require.ErrorContains(t, err, "no partial key")
	require.ErrorContains(t, set.Verify(r, new(PartialKey)), "no partial key")
	require.ErrorContains(t, new(IssuerSet).Verify(r, good[0]), "no issuer set")
	strangerSet, _ := split(t, a, 2, 4)
	require.ErrorContains(t, strangerSet.Verify(r, good[0]), "other issuers", "a second dealing of the same authority")
	_, err = strangerSet.Combine(r, good...)
	require.ErrorContains(t, err, "other issuers")
}
