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

// No warning is wrong: what is called impossible no key opens, and who satisfies a policy keeps the bounds that lint found in it.
func TestLintIsSound(t *testing.T) {
	impossible, bounded := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		domains, names, v := drawDomains(rt)
		p, err := ParsePolicy(drawWish(rt, domains, names, 2, false).text(domains))
		if err != nil || v.Check(p) != nil {
			return
		}
		v.Lint(p)
		l := &linter{p: p, v: v, said: map[string]bool{}}
		for i := range p.predicates {
			l.texts = append(l.texts, p.literalText(&p.predicates[i]))
		}
		bounds, possible := l.node(p.tree(p.root, false, func(i int) *node { return &node{leaf: i} }))
		if !possible {
			impossible++
		}
		for range 20 {
			held, attributes := drawHoldings(rt, domains, names)
			if !opens(rt, p, v, atomsOf(rt, v, attributes...)) {
				continue
			}
			require.True(rt, possible, "%v with %v", p, attributes)
			for _, b := range bounds {
				bounded++
				d := v.find(b.name)
				values := held[b.name]
				switch d.is {
				case declaredMany:
					x := int64(0)
					if slices.ContainsFunc(values, func(x int) bool { return domains[b.name].literal(x) == b.value }) {
						x = 1
					}
					require.True(rt, slices.ContainsFunc(b.allowed, func(s span) bool { return s.from <= x && x <= s.to }), "%v with %v: %v", p, attributes, b)
				default:
					require.Len(rt, values, 1)
					x := d.lo + int64(values[0])
					require.True(rt, slices.ContainsFunc(b.allowed, func(s span) bool { return s.from <= x && x <= s.to }), "%v with %v: %v", p, attributes, b)
				}
			}
		}
	})
	if !testing.Short() {
		assert.Positive(t, impossible)
		assert.Greater(t, bounded, 20)
	}
}
