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

// wish is a policy as the test knows it: a gate over kids, or one question about a name.
type wish struct {
	not  bool
	k    int
	kids []*wish

	name string
	op   string
	ints []int // for numbers and dates
}

// random vocabularies: what each name is, and its values. Dates are days after 2024-02-01.
type domain struct {
	is   meaning
	size int // values 0 to size-1
}

func (d domain) literal(x int) string {
	switch d.is {
	case declaredNumber:
		return fmt.Sprint(x - 5)
	case declaredDate:
		return formatOrdinal(Date, 19_754+int64(x))
	}
	return fmt.Sprintf("v%d", x)
}

func drawDomains(t *rapid.T) (map[string]domain, []string, *Vocabulary) {
	domains, text := map[string]domain{}, ""
	var names []string
	for i := range rapid.IntRange(1, 5).Draw(t, "names") {
		name := fmt.Sprintf("n%d", i)
		d := domain{is: rapid.SampledFrom([]meaning{declaredOne, declaredMany, declaredNumber, declaredDate, declaredText, declaredFlag, undeclared}).Draw(t, "meaning")}
		d.size = rapid.IntRange(2, 40).Draw(t, "size")
		switch d.is {
		case declaredOne, declaredMany:
			d.size = min(d.size, 6)
			var values []string
			for x := range d.size {
				values = append(values, d.literal(x))
			}
			text += fmt.Sprintf("%s: %s of %s\n", name, meaningTexts[d.is], strings.Join(values, ", "))
		case declaredNumber, declaredDate:
			text += fmt.Sprintf("%s: %s %s..%s\n", name, meaningTexts[d.is], d.literal(0), d.literal(d.size-1))
		case declaredFlag, declaredText:
			text += fmt.Sprintf("%s: %s\n", name, meaningTexts[d.is])
		}
		domains[name] = d
		names = append(names, name)
	}
	return domains, names, vocabulary(t, text)
}

// drawHoldings gives each name its values, none for some.
func drawHoldings(t *rapid.T, domains map[string]domain, names []string) (map[string][]int, []Attribute) {
	held := map[string][]int{}
	attributes := []Attribute{{Name: "holder"}}
	for _, name := range names {
		d := domains[name]
		n := 1
		if d.is == declaredMany || d.is == declaredText || d.is == undeclared {
			n = rapid.IntRange(0, 3).Draw(t, "values")
		} else if rapid.IntRange(0, 5).Draw(t, "none") == 0 {
			n = 0
		}
		for range n {
			x := rapid.IntRange(0, d.size-1).Draw(t, "value")
			if slices.Contains(held[name], x) {
				continue
			}
			held[name] = append(held[name], x)
			a := Attribute{Name: name, Value: d.literal(x), Kind: d.is.ordinal()}
			if d.is == declaredFlag {
				a.Value = ""
			}
			attributes = append(attributes, a)
		}
	}
	return held, attributes
}

func drawWish(t *rapid.T, domains map[string]domain, names []string, depth int, negated bool) *wish {
	w := &wish{not: rapid.IntRange(0, 3).Draw(t, "not") == 0}
	negated = negated != w.not
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "gate") > 0 {
		n := rapid.IntRange(1, 4).Draw(t, "kids")
		w.k = rapid.IntRange(1, n).Draw(t, "k")
		for range n {
			w.kids = append(w.kids, drawWish(t, domains, names, depth-1, negated))
		}
		return w
	}
	w.name = rapid.SampledFrom(names).Draw(t, "name")
	d := domains[w.name]
	ops := []string{"=", "in"}
	switch d.is {
	case declaredNumber, declaredDate:
		ops = []string{"=", "!=", "<", "<=", ">", ">=", "in", ".."}
	case declaredOne, declaredMany:
		ops = []string{"=", "!=", "in"}
	case declaredFlag:
		ops = []string{""}
	}
	if (d.is == declaredFlag || d.is == declaredText || d.is == undeclared) && negated {
		w.not = !w.not
	}
	w.op = rapid.SampledFrom(ops).Draw(t, "op")
	n := map[string]int{"": 0, "in": rapid.IntRange(1, 3).Draw(t, "list"), "..": 2}
	count, ok := n[w.op]
	if !ok {
		count = 1
	}
	for range count {
		x := rapid.IntRange(0, d.size-1).Draw(t, "literal")
		if d.is == declaredNumber || d.is == declaredDate {
			x = rapid.IntRange(-1, d.size).Draw(t, "literal")
		}
		w.ints = append(w.ints, x)
	}
	if w.op == ".." {
		slices.Sort(w.ints)
	}
	return w
}

func (w *wish) text(domains map[string]domain) string {
	not := ""
	if w.not {
		not = "not "
	}
	if w.kids != nil {
		var parts []string
		for _, kid := range w.kids {
			parts = append(parts, kid.text(domains))
		}
		return fmt.Sprintf("%s(%d of (%s))", not, w.k, strings.Join(parts, ", "))
	}
	var values []string
	for _, x := range w.ints {
		values = append(values, domains[w.name].literal(x))
	}
	switch w.op {
	case "":
		return not + w.name
	case "..":
		return not + w.name + " in " + strings.Join(values, "..")
	case "in":
		return not + w.name + " in (" + strings.Join(values, ",") + ")"
	}
	return not + w.name + w.op + values[0]
}

// holds evaluates w with plain numbers. Below an odd number of nots, it asks for the opposite of each leaf, and a key that has no value of a
// number, a date or a name declared one satisfies neither a leaf nor its opposite.
func (w *wish) holds(domains map[string]domain, held map[string][]int, negated bool) bool {
	negated = negated != w.not
	if w.kids != nil {
		n, k := 0, w.k
		if negated {
			k = len(w.kids) - w.k + 1
		}
		for _, kid := range w.kids {
			if kid.holds(domains, held, negated) {
				n++
			}
		}
		return n >= k
	}
	asks := func(x int) bool {
		a := w.ints
		switch w.op {
		case "=":
			return x == a[0]
		case "!=":
			return x != a[0]
		case "<":
			return x < a[0]
		case "<=":
			return x <= a[0]
		case ">":
			return x > a[0]
		case ">=":
			return x >= a[0]
		case "..":
			return a[0] <= x && x <= a[1]
		case "in":
			return slices.Contains(a, x)
		}
		return true
	}
	if domains[w.name].is == declaredMany {
		positive := slices.ContainsFunc(held[w.name], func(x int) bool { return slices.Contains(w.ints, x) })
		return positive != (negated != (w.op == "!="))
	}
	return slices.ContainsFunc(held[w.name], func(x int) bool { return asks(x) != negated })
}

// Expansion against the plain evaluation of what was asked, on random vocabularies, keys and policies; under the declarations of a
// header the same formula comes out, and Explain says the same.
func TestExpandAgainstEvaluation(t *testing.T) {
	granted, refused, impossible := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		domains, names, v := drawDomains(rt)
		w := drawWish(rt, domains, names, 3, false)
		p, err := ParsePolicy(w.text(domains))
		if err != nil {
			require.ErrorContains(rt, err, "at most")
			return
		}
		f, err := p.expand(v)
		if err != nil && !strings.Contains(err.Error(), "never satisfied") {
			require.ErrorContains(rt, err, "the limit is")
			return
		}
		leaves, tau, sizeErr := p.size(v)
		require.Equal(rt, err, sizeErr)
		if err == nil {
			require.Equal(rt, []int{f.leaves(), f.tau()}, []int{leaves, tau})
			part, err := decodeDeclarations(p, p.declarations(v).String())
			require.NoError(rt, err)
			again, err := p.expand(part)
			require.NoError(rt, err)
			require.Equal(rt, f.atoms, again.atoms)
			require.Equal(rt, f.root, again.root)
		}
		for range 8 {
			held, attributes := drawHoldings(rt, domains, names)
			want := w.holds(domains, held, false)
			if err != nil {
				impossible++ // some leaf is never satisfied; the others may make up for it
				continue
			}
			atoms := atomsOf(rt, v, attributes...)
			_, ok := f.satisfy(func(a atom) bool { return atoms[a] })
			require.Equal(rt, want, ok, "%v with %v", p, attributes)
			if want {
				granted++
			} else {
				refused++
			}
			requireExplained(rt, p, v, attributes, want)
		}
	})
	if !testing.Short() {
		assert.Greater(t, granted, 20)
		assert.Greater(t, refused, 20)
	}
	t.Logf("%d granted, %d refused, %d with an impossible part", granted, refused, impossible)
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
