package abe

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLint(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	for policy, want := range map[string][]string{
		"role = doctor and (dept = cardiology or age >= 18)": nil,
		"age >= 0":   {"every key with age that is issued under this vocabulary satisfies age >= 0"},
		"age <= 150": {"every key with age that is issued under this vocabulary satisfies age <= 150"},
		"age <= 151": {"age <= 151: 151 is outside of the range that is declared, age: number 0..150",
			"every key with age that is issued under this vocabulary satisfies age <= 151"},
		"age in (10, 200)":                {"age in (10, 200): 200 is outside of the range that is declared, age: number 0..150"},
		"role in (doctor, nurse, biller)": {"every key with role that is issued under this vocabulary satisfies role in (doctor, nurse, biller)"},
		"age < 18 or age >= 18":           {"every key with age that is issued under this vocabulary satisfies age < 18 or age >= 18"},
		"age < 18 or age > 18":            nil,
		"role = doctor or not role = doctor": {
			"every key with role that is issued under this vocabulary satisfies role = doctor or role != doctor"},
		"dept = cardiology or dept != cardiology": {
			"every key with dept that is issued under this vocabulary satisfies dept = cardiology or dept != cardiology"},
		"age < 18 and age >= 65": {"nobody can satisfy age < 18 and age >= 65: together its parts shut out every value of age"},
		"age < 18 and on-call and role = doctor and not age < 18": {
			"nobody can satisfy age < 18 and on-call and role = doctor and age >= 18: together its parts shut out every value of age"},
		"role = doctor and role = nurse":              {"nobody can satisfy role = doctor and role = nurse: together its parts shut out every value of role"},
		"role = doctor and (role = nurse or on-call)": nil,
		"role = doctor and (role = nurse or role = biller)": {
			"nobody can satisfy role = doctor and (role = nurse or role = biller): together its parts shut out every value of role"},
		"dept = cardiology and dept = psychiatry":  nil,
		"dept = cardiology and dept != cardiology": {"nobody can satisfy dept = cardiology and dept != cardiology: together its parts shut out every value of dept"},
		"dept = cardiology and not dept in (psychiatry, psychiatry, cardiology)": {
			"nobody can satisfy dept = cardiology and not dept in (psychiatry, psychiatry, cardiology): together its parts shut out every value of dept"},
		"on-call or age > 100 and age < 50":   nil, // refused by the parser, see below
		"on-call or (age > 100 and age < 50)": {"nobody can satisfy age > 100 and age < 50: together its parts shut out every value of age"},
		"2 of (on-call, age > 100 and age < 50, role = doctor and role = nurse)": {
			"nobody can satisfy age > 100 and age < 50: together its parts shut out every value of age",
			"nobody can satisfy role = doctor and role = nurse: together its parts shut out every value of role",
			"nobody can satisfy 2 of (on-call, age > 100 and age < 50, role = doctor and role = nurse): too few of its parts are possible"},
		"born < 1950-01-01 and born > 1950-01-01": {"nobody can satisfy born < 1950-01-01 and born > 1950-01-01: together its parts shut out every value of born"},
		"2 of (on-call, on-call, role = doctor)":  {"on-call is asked for more than once in 2 of (on-call, on-call, role = doctor): who has it, has it each time"},
		"on-call and on-call":                     {"on-call is asked for more than once in on-call and on-call: who has it, has it each time"},
		"2 of (role = doctor and on-call, role = doctor and on-call, age > 3)": {
			"role = doctor and on-call is asked for more than once in 2 of (role = doctor and on-call, role = doctor and on-call, age > 3): who has it, has it each time"},
		"rol = doctor or on-call": {"rol is not in the vocabulary: if it was written wrong, no key has it"},
		"role = docter":           {"abe: role = docter cannot be asked for: the vocabulary does not have the value docter; it has role: one of biller, doctor, nurse"},
	} {
		p, err := ParsePolicy(policy)
		if err != nil {
			require.ErrorContains(t, err, "cannot be mixed")
			continue
		}
		assert.Equal(t, want, v.Lint(p), policy)
	}
	assert.Empty(t, (*Vocabulary)(nil).Lint(policyOf(t, "rol = doctor or on-call")), "without a vocabulary no name is unknown")
	assert.Len(t, v.Lint(nil), 1)
	assert.Len(t, v.Lint(policyOf(t, "not on-call")), 1)
}

// No warning is wrong: what is called impossible no key opens, and who satisfies a policy keeps the bounds that lint found in it. The policies drawn
// may be all possible and bound nothing; the fixed ones are held against every key there can be, with the counts that they must have.
func TestLintIsSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		domains, names, v := drawDomains(rt)
		p, err := ParsePolicy(drawWish(rt, domains, names, 2, false).text(domains))
		if err != nil || v.Check(p) != nil {
			return
		}
		s := soundLint(p, v, domains)
		for range 20 {
			held, attributes := drawHoldings(rt, domains, names)
			s.holds(rt, held, attributes)
		}
	})

	// 4 numbers from -5 to -2, 3 values of one, 2 of many, a flag, 3 dates from 2024-02-01: (4+1) (3+1) 2^2 2 (3+1) = 640 keys.
	domains, names, v := namesFor(t, domain{declaredNumber, 4}, domain{declaredOne, 3}, domain{declaredMany, 2}, domain{declaredFlag, 1}, domain{declaredDate, 3})
	for policy, want := range map[string]struct{ opened, bounds int }{
		"n0 < -4 and n0 > -4":                                                              {0, 0},
		"n1 = v0 and n3 and n1 != v0":                                                      {0, 0},
		"n2 = v1 and not n2 in (v0, v1)":                                                   {0, 0},
		"n4 > 2024-02-02 and not n4 = 2024-02-03":                                          {0, 0},
		"2 of (n3, n0 = -5 and n0 = -4, n1 = v0 and n1 = v1)":                              {0, 0},
		"n3 and (n4 = 2024-02-01 or n4 = 2024-02-02) and not n4 in 2024-02-01..2024-02-02": {0, 0},
		"n0 = -5":                          {128, 1},
		"n0 in -4..-3 and n0 != -4":        {128, 1},
		"n0 < -4 or n0 > -3":               {256, 1},
		"n0 < -4 or n3":                    {384, 0},
		"n0 < -4 and n1 in (v0, v2)":       {64, 2},
		"n2 = v0 and n2 != v1 and n3":      {80, 2},
		"n4 >= 2024-02-02 and n2 != v1":    {160, 2},
		"2 of (n0 = -5, n1 = v0, n3)":      {144, 0},
		"n3 or (n0 > -4 and n0 < -4)":      {320, 0},
		"(n0 = -5 or n0 = -4) and n1 = v1": {64, 2},
	} {
		s := soundLint(policyOf(t, policy), v, domains)
		opened := 0
		everyHolding(domains, names, func(held map[string][]int) {
			if s.holds(t, held, attributesFor(domains, names, held)) {
				opened++
			}
		})
		assert.Equal(t, want.opened > 0, s.possible, policy)
		assert.Equal(t, want.opened, opened, policy)
		assert.Len(t, s.bounds, want.bounds, policy)
	}
}

// lintFound is what lint found in a policy: whether somebody can satisfy it, and the bounds that who does keeps.
type lintFound struct {
	p        *Policy
	v        *Vocabulary
	domains  map[string]domain
	bounds   []bound
	possible bool
}

func soundLint(p *Policy, v *Vocabulary, domains map[string]domain) *lintFound {
	v.Lint(p)
	l := &linter{p: p, v: v, said: map[string]bool{}}
	for i := range p.predicates {
		l.texts = append(l.texts, p.literalText(&p.predicates[i]))
	}
	s := &lintFound{p: p, v: v, domains: domains}
	s.bounds, s.possible = l.node(p.tree(p.root, false, func(i int) *node { return &node{leaf: i} }))
	return s
}

// holds checks what was found against one key; opened says whether the key opens.
func (s *lintFound) holds(t require.TestingT, held map[string][]int, attributes []Attribute) (opened bool) {
	if !opens(t, s.p, s.v, atomsOf(t, s.v, attributes...)) {
		return false
	}
	require.True(t, s.possible, "%v with %v", s.p, attributes)
	for _, b := range s.bounds {
		d := s.v.find(b.name)
		values := held[b.name]
		x := int64(0)
		if d.is != declaredMany {
			require.Len(t, values, 1)
			x = d.lo + int64(values[0])
		} else if slices.ContainsFunc(values, func(x int) bool { return s.domains[b.name].literal(x) == b.value }) {
			x = 1
		}
		require.True(t, slices.ContainsFunc(b.allowed, func(s span) bool { return s.from <= x && x <= s.to }), "%v with %v: %v", s.p, attributes, b)
	}
	return true
}
