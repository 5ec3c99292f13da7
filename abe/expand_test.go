package abe

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func vocabulary(t require.TestingT, text string) *Vocabulary {
	v, err := ParseVocabulary(text)
	require.NoError(t, err)
	return v
}

func policyOf(t require.TestingT, text string) *Policy {
	p, err := ParsePolicy(text)
	require.NoError(t, err, text)
	return p
}

// atomsOf are the atoms of a key for the attributes.
func atomsOf(t require.TestingT, v *Vocabulary, attributes ...Attribute) map[atom]bool {
	items, err := v.items(attributes)
	require.NoError(t, err)
	held := map[atom]bool{}
	for _, item := range items {
		for _, a := range itemAtoms(item) {
			held[a] = true
		}
	}
	return held
}

// opens says whether the rows of p under v span the secret for who holds these atoms.
func opens(t require.TestingT, p *Policy, v *Vocabulary, held map[atom]bool) bool {
	f, err := p.expand(v)
	require.NoError(t, err, p)
	_, ok := f.satisfy(func(a atom) bool { return held[a] })
	return ok
}

const wardVocabulary = `age: number 0..150
born: date 1900-01-01..2100-12-31
dept: many of cardiology, "intensive care", psychiatry
on-call: flag
project: text
role: one of biller, doctor, nurse
`

func TestExpandWard(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	held := atomsOf(t, v, attributes(t, "age = 42", "role = doctor", "dept = cardiology", "on-call", "born = 1984-02-29", "project = heart")...)
	for text, want := range map[string]bool{
		"age >= 18": true, "age > 42": false, "age >= 42": true, "age < 42": false, "age <= 42": true, "age = 42": true, "age != 42": false, "age != 41": true,
		"age in 18..65": true, "age in 0..41": false, "not age in 18..65": false, "age in (1, 42)": true, "age in (41, 43)": false, "not age in (41, 43)": true,
		"age >= 0": true, "age <= 1000": true, "age != 1000": true, "age > -1": true, "not age < 0": true,
		"born < 2000-01-01": true, "born = 1984-02-29": true, "born in 1984-03-01..1999-12-31": false, "not born > 1984-02-28": false,
		"role != nurse": true, "not role = doctor": false, "role in (nurse, doctor)": true, "not role in (nurse, biller)": true, "not role != doctor": true,
		"dept != psychiatry": true, "not dept = cardiology": false, "not dept in (cardiology, psychiatry)": false, `not dept in ("intensive care", psychiatry)`: true,
		"project = heart": true, "project in (lung, heart)": true, "unknown = x": false, "unknown in (x, y) or on-call": true,
		"on-call and not (role = nurse or dept = psychiatry)": true, "not 2 of (role = doctor, age < 18, dept = cardiology)": false,
		"not 2 of (role = doctor, age < 18, dept = psychiatry)": true, "not not on-call": true, "not (not (role = doctor))": true,
	} {
		p := policyOf(t, text)
		require.Equal(t, want, opens(t, p, v, held), text)
		require.Equal(t, want, opens(t, p, p.declarations(v), held), text)
	}
}

// What cannot be expanded is refused, with what to declare or to do.
func TestExpandRefuses(t *testing.T) {
	for _, c := range []struct{ policy, want string }{
		{"height >= 18", "height >= 18 cannot be asked for: height is not declared; declare it in the vocabulary, such as height: number 0..150"},
		{"since < 2024-01-01", "declare it in the vocabulary, such as since: date 1900-01-01..2100-12-31"},
		{"height = 18", "ask for a text in double quotes"},
		{"not site = north", "declare it in the vocabulary, such as site: one of ... or site: many of ..."},
		{"site != north", "cannot be seen in the key"},
		{"project != heart", "cannot be seen in the key"},
		{"not on-call", "that a key holds no flag cannot be seen in the key; declare on-call with values, such as on-call: one of yes, no"},
		{"a and not (b or c)", "not b cannot be asked for"},
		{"on-call = yes", "on-call is declared a flag; ask for it without a value"},
		{"role", "role is declared role: one of biller, doctor, nurse; ask for a value"},
		{"project", "ask for a value"},
		{"age", "compare it with a number"},
		{`age = "18"`, "compare it with a number"},
		{"age = 2024-01-01", "compare it with a number"},
		{"born = 18", "compare it with a date"},
		{"role = 18", "compare it with a text"},
		{"role = docter", "the vocabulary does not have the value docter; it has role: one of biller, doctor, nurse"},
		{"not dept = oncology", "the vocabulary does not have the value oncology"},
		{"age > 150", "age > 150 is never satisfied: age is declared age: number 0..150"},
		{"age < 0", "never satisfied"},
		{"age = 151", "never satisfied"},
		{"age in 151..200", "never satisfied"},
		{"age in (-1, 151)", "never satisfied"},
		{"not age >= 0", "not age >= 0 is never satisfied"},
		{"not age <= 150 or on-call", "never satisfied"},
		{"not born in 1900-01-01..2100-12-31", "never satisfied"},
		{"not role in (doctor, nurse, biller)", "never satisfied"},
	} {
		p := policyOf(t, c.policy)
		v := vocabulary(t, wardVocabulary)
		_, err := p.expand(v)
		assert.ErrorContains(t, err, c.want)
		assert.Equal(t, err, v.Check(p))
		assert.True(t, strings.HasPrefix(err.Error(), "abe: "))
	}
	assert.ErrorContains(t, (*Vocabulary)(nil).Check(nil), "no policy")
	assert.ErrorContains(t, (*Vocabulary)(nil).Check(new(Policy)), "no policy")
	assert.NoError(t, (*Vocabulary)(nil).Check(policyOf(t, "a and b = c")))
}

// Every range of every domain of up to 64 values: the intervals hold exactly the values asked for, and no fewer would do. The
// smallest number is counted on the tree: a node is taken whole if all values below it are asked for.
func TestIntervalsAreExactAndFewest(t *testing.T) {
	p := policyOf(t, "x in 0..1")
	q := &p.predicates[0]
	cases := 0
	for n := int64(2); n <= 64; n++ {
		d := &declaration{name: "x", is: declaredNumber, lo: -3, hi: n - 4}
		width := bitLen(d.lo, d.hi)
		for from := d.lo; from <= d.hi; from++ {
			for to := from; to <= d.hi; to++ {
				asked := func(x int64) bool { return from <= x && x <= to }
				p.values = []string{fmt.Sprint(from), fmt.Sprint(to)}
				for _, q.negated = range []bool{false, true} {
					if q.negated && from == d.lo && to == d.hi {
						continue
					}
					got := 0
					covered := make([]int, n)
					require.NoError(t, p.intervals(d, q, func(l literal) bool {
						got++
						for x := range n {
							if uint64(x)>>(width-int(l.in.level)) == l.in.prefix {
								covered[x]++
							}
						}
						return true
					}))
					var fewest func(level int, prefix int64) int
					fewest = func(level int, prefix int64) int {
						some, all := false, true
						for x := range n {
							if x>>(width-level) == prefix {
								in := asked(x+d.lo) != q.negated
								some, all = some || in, all && in
							}
						}
						switch {
						case !some:
							return 0
						case all:
							return 1
						}
						return fewest(level+1, 2*prefix) + fewest(level+1, 2*prefix+1)
					}
					want := make([]int, n)
					for x := range n {
						if asked(x+d.lo) != q.negated {
							want[x] = 1
						}
					}
					require.Equal(t, want, covered, "%d..%d of %v, negated %v", from, to, d, q.negated)
					require.Equal(t, fewest(0, 0), got, "%d..%d of %v, negated %v", from, to, d, q.negated)
					cases++
				}
			}
		}
	}
	assert.Equal(t, 91_455, cases) // n (n+1) - 1 for n from 2 to 64
}

// At the ends of 64 bits nothing overflows.
func TestIntervalsAtTheEnds(t *testing.T) {
	lowest, highest := int64(math.MinInt64), int64(math.MaxInt64)
	for _, c := range []struct {
		lo, hi int64
		policy string
		values map[int64]bool
	}{
		{lowest, -1, "x < -9223372036854775807", map[int64]bool{lowest: true, lowest + 1: false, -1: false}},
		{lowest, -1, "x <= -9223372036854775808", map[int64]bool{lowest: true, lowest + 1: false}},
		{lowest, -1, "x > -9223372036854775808", map[int64]bool{lowest: false, lowest + 1: true, -1: true}},
		{lowest, -1, "x != -9223372036854775808", map[int64]bool{lowest: false, lowest + 1: true, -1: true}},
		{lowest, -1, "not x in (-9223372036854775808, -1)", map[int64]bool{lowest: false, lowest + 1: true, -2: true, -1: false}},
		{lowest, -1, "x in (-9223372036854775808, -9223372036854775808)", map[int64]bool{lowest: true, lowest + 1: false}},
		{0, highest, "x >= 9223372036854775807", map[int64]bool{highest: true, highest - 1: false, 0: false}},
		{0, highest, "x < 9223372036854775807", map[int64]bool{highest: false, highest - 1: true, 0: true}},
		{0, highest, "x >= -9223372036854775808", map[int64]bool{highest: true, 0: true}},
		{0, highest, "not x = 9223372036854775807", map[int64]bool{highest: false, highest - 1: true, 0: true}},
		{0, highest, "x in 1..9223372036854775806", map[int64]bool{0: false, 1: true, highest - 1: true, highest: false}},
		{-5, highest - 5, "x <= -5 or x > 9223372036854775800", map[int64]bool{-5: true, -4: false, highest - 7: false, highest - 6: true}},
	} {
		v := vocabulary(t, fmt.Sprintf("x: number %d..%d", c.lo, c.hi))
		for value, want := range c.values {
			held := atomsOf(t, v, Attribute{Name: "x", Value: fmt.Sprint(value), Kind: Number})
			assert.Len(t, held, 64)
			assert.Equal(t, want, opens(t, policyOf(t, c.policy), v, held), "%s with %d", c.policy, value)
		}
	}
	for _, text := range []string{"x > 9223372036854775807", "x < -9223372036854775808"} {
		assert.ErrorContains(t, vocabulary(t, "x: number -5..5").Check(policyOf(t, text)), "never satisfied")
	}
	assert.ErrorContains(t, vocabulary(t, "x: date 0001-01-01..9999-12-31").Check(policyOf(t, "x > 9999-12-31")), "never satisfied")
}

// Expansion against the plain evaluation of what was asked, on random vocabularies, keys and policies; under the declarations of a
// header the same formula comes out, and Explain says the same.
func TestExpandAgainstEvaluation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		domains, names, v := drawDomains(rt)
		w := drawWish(rt, domains, names, 3, false)
		p, err := ParsePolicy(w.text(domains))
		if err != nil {
			require.ErrorContains(rt, err, "at most")
			return
		}
		f := expandedTwice(rt, p, v)
		if f == nil {
			return
		}
		for range 8 {
			held, attributes := drawHoldings(rt, domains, names)
			requireEvaluation(rt, f, p, v, attributes, w.holds(domains, held, false))
		}
	})

	// How many of the drawn policies can be satisfied, and by how many keys, is chance. These are held against each of the 5*4*4*2 keys there can be.
	domains, names, v := namesFor(t, domain{declaredNumber, 4}, domain{declaredOne, 3}, domain{declaredMany, 2}, domain{declaredFlag, 1})
	number, one, many, flag := &wish{name: "n0", op: "<", ints: []int{2}}, &wish{name: "n1", op: "=", ints: []int{1}}, &wish{name: "n2", op: "in", ints: []int{0, 1}}, &wish{name: "n3"}
	not := func(w wish) *wish { w.not = true; return &w }
	for _, c := range []struct {
		wish    *wish
		granted int
	}{
		{number, 64}, {one, 40}, {many, 120}, {flag, 80},
		{not(*number), 64}, {not(*one), 80}, {not(*many), 40},
		{&wish{k: 2, kids: []*wish{number, one}}, 16},
		{&wish{k: 1, kids: []*wish{number, not(*one)}}, 64 + 80 - 32},
		{&wish{k: 2, kids: []*wish{number, one, flag}}, 16 + 32 + 20 - 2*8},
		{&wish{not: true, k: 2, kids: []*wish{number, one}}, 64 + 80 - 32},
		{&wish{not: true, k: 2, kids: []*wish{number, not(*one), many}}, 16 + 16 + 10 - 2*4},
		{&wish{k: 3, kids: []*wish{number, not(*number), flag}}, 0},
	} {
		p := policyOf(t, c.wish.text(domains))
		f := expandedTwice(t, p, v)
		require.NotNil(t, f, p)
		granted, keys := 0, 0
		everyHolding(domains, names, func(held map[string][]int) {
			want := c.wish.holds(domains, held, false)
			requireEvaluation(t, f, p, v, attributesFor(domains, names, held), want)
			if keys++; want {
				granted++
			}
		})
		assert.Equal(t, []int{c.granted, 160}, []int{granted, keys}, p)
	}
}

// expandedTwice expands p under v and under the declarations of a header. It returns nil for what is over a limit or has a leaf that nobody
// satisfies; the others may make up for it, but it is refused.
func expandedTwice(t require.TestingT, p *Policy, v *Vocabulary) *formula {
	f, err := p.expand(v)
	leaves, tau, sizeErr := p.size(v)
	require.Equal(t, err, sizeErr)
	if err != nil {
		require.Regexp(t, "never satisfied|the limit is", err.Error())
		return nil
	}
	require.Equal(t, []int{f.leaves(), f.tau()}, []int{leaves, tau})
	part, err := decodeDeclarations(p, p.declarations(v).String())
	require.NoError(t, err)
	again, err := p.expand(part)
	require.NoError(t, err)
	require.Equal(t, f.atoms, again.atoms)
	require.Equal(t, f.root, again.root)
	return f
}

func requireEvaluation(t require.TestingT, f *formula, p *Policy, v *Vocabulary, attributes []Attribute, want bool) {
	atoms := atomsOf(t, v, attributes...)
	_, ok := f.satisfy(func(a atom) bool { return atoms[a] })
	require.Equal(t, want, ok, "%v with %v", p, attributes)
	requireExplained(t, p, v, attributes, want)
}

// requireExplained checks that Explain agrees, that what it says is used is enough and what it says is missing was not held, none of it too much.
func requireExplained(t require.TestingT, p *Policy, v *Vocabulary, attributes []Attribute, granted bool) {
	items, err := v.items(attributes)
	require.NoError(t, err)
	var key []Attribute
	for _, item := range items {
		key = append(key, itemAttribute(item))
	}
	e := Explain(p, v, key)
	require.Equal(t, granted, e.Granted, "%v: %v", p, e)
	if !granted {
		require.NotEmpty(t, e.Missing)
		require.Empty(t, e.Used)
		for _, text := range e.Missing {
			require.False(t, Explain(policyOf(t, text), v, key).Granted, "%v: %s is held", p, text)
		}
		return
	}
	require.Empty(t, e.Missing)
	require.True(t, Explain(p, v, e.Used).Granted, "%v: %v", p, e)
	for i, a := range e.Used {
		require.Contains(t, key, a)
		require.False(t, Explain(p, v, slices.Concat(e.Used[:i], e.Used[i+1:])).Granted, "%v: %v without %v", p, e, a)
	}
}

// Limits after expansion: on the edge, and one over it.
func TestExpandLimits(t *testing.T) {
	values := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprintf("v%d", i))
		}
		return strings.Join(s, ", ")
	}
	v := vocabulary(t, "x: one of "+values(1024))
	leaves, tau, err := policyOf(t, "x != v0 or a").size(v)
	require.NoError(t, err)
	assert.Equal(t, []int{1024, 1}, []int{leaves, tau})
	for _, text := range []string{"x != v0 or a or b", "x != v0 or x != v1", "not (x = v0 and not x = v1) or x != v3"} {
		_, _, err = policyOf(t, text).size(v)
		assert.ErrorContains(t, err, "more than 1024 leaves", text)
		_, err = policyOf(t, text).expand(v)
		assert.ErrorContains(t, err, "more than 1024 leaves", text)
	}

	// Sixteen uses of one atom that only the expansion shows, and the seventeenth.
	v = vocabulary(t, "age: number 0..127\nrole: one of a, b, c\ndept: many of a, b")
	for _, leaf := range []string{"age >= 64", "not age < 64", "role != a", "dept != a", "not dept in (a, b)", "age in 64..100"} {
		gates := func(n int) string {
			var s []string
			for i := range n {
				s = append(s, fmt.Sprintf("(%s and f%d)", leaf, i))
			}
			return strings.Join(s, " or ")
		}
		_, tau, err := policyOf(t, gates(16)).size(v)
		require.NoError(t, err)
		assert.Equal(t, 16, tau, leaf)
		_, _, err = policyOf(t, gates(17)).size(v)
		assert.ErrorContains(t, err, "17 times", leaf)
	}
	// Different leaves that share an interval or a value count together.
	for policy, want := range map[string]int{
		"age >= 64 and age in 64..127 and not age < 64": 3, "role = b or role != a or not role in (a, c)": 3, "dept = a or dept != a": 1,
		"age = 5 or age in (5, 7) or age in 4..5": 2, "role = b and site = b and role and site": 0, "site = b and site = b and site and x = b": 2,
	} {
		p := policyOf(t, policy)
		f, err := p.expand(v)
		if want == 0 {
			assert.Error(t, err)
			continue
		}
		require.NoError(t, err)
		_, tau, err := p.size(v)
		require.NoError(t, err)
		assert.Equal(t, []int{want, want}, []int{tau, f.tau()}, policy)
	}
}
