package abe

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func attributes(t *testing.T, texts ...string) []Attribute {
	t.Helper()
	var attrs []Attribute
	for _, s := range texts {
		a, err := ParseAttribute(s)
		require.NoError(t, err)
		attrs = append(attrs, a)
	}
	return attrs
}

func TestExplain(t *testing.T) {
	const ward = `role = doctor and (dept = cardiology or dept = "intensive care")`
	for _, c := range []struct {
		policy string
		held   []string
		want   string
		fewest []string
	}{
		{ward, []string{"role = biller"},
			`refused: needs role = doctor, and one of dept = cardiology or dept = "intensive care"; you have role = biller`,
			[]string{"role = doctor", "dept = cardiology"}},
		{ward, []string{"role = doctor", "on-call"},
			`refused: needs one of dept = cardiology or dept = "intensive care"; you have role = doctor`,
			[]string{"dept = cardiology"}},
		{ward, []string{"dept = cardiology", "role = nurse"},
			`refused: needs role = doctor; you have dept = cardiology and role = nurse`,
			[]string{"role = doctor"}},
		{ward, []string{"on-call"},
			`refused: needs role = doctor, and one of dept = cardiology or dept = "intensive care"; you have nothing that it asks for`,
			[]string{"role = doctor", "dept = cardiology"}},
		{ward, []string{`dept = "intensive care"`, "role = doctor"},
			`granted: role = doctor and dept = "intensive care" are enough`, nil},
		{"on-call", []string{"on-call"}, "granted: on-call is enough", nil},
		{"a and b and c", nil, "refused: needs a, b and c; you have nothing that it asks for", []string{"a", "b", "c"}},
		{"3 of (a, b, c, d)", nil, "refused: needs 3 of a, b, c and d; you have nothing that it asks for", []string{"a", "b", "c"}},
		{"3 of (a, b, c, d)", []string{"b"}, "refused: needs 2 of a, c and d; you have b", []string{"a", "c"}},
		{"3 of (a, b, c, d)", []string{"b", "d"}, "refused: needs one of a or c; you have b and d", []string{"a"}},
		{"3 of (a, b, c, d)", []string{"b", "d", "c", "a"}, "granted: a, b and c are enough", nil},
		{"2 of (a, on-call, dept = er and site = north) or (admin and break-glass)", []string{"on-call", "dept = er"},
			"refused: needs either a, site = north or (admin and break-glass); the fewest that would do: a; you have on-call and dept = er",
			[]string{"a"}},
		{"x and 2 of (a and b, c, d)", nil,
			"refused: needs x, and 2 of (a and b, c, d); the fewest that would do: x, c and d; you have nothing that it asks for",
			[]string{"x", "c", "d"}},
		{"(a or b) and (a or c)", []string{"b"}, "refused: needs one of a or c; you have b", []string{"a"}},
		{"a and (b or a)", nil, "refused: needs a, and one of b or a; you have nothing that it asks for", []string{"a"}},
		{"x and a and (b or a)", []string{"x"}, "refused: needs a, and one of b or a; you have x", []string{"a"}},
		{"a and (b or a)", []string{"a", "b"}, "granted: a is enough", nil},
		{"(a or b) and (c or d) and (b or d)", []string{"a", "b", "c"}, "granted: b and c are enough", nil},
		{`role = "a\u{202e}b"`, []string{`role = "a\u{202e}c"`},
			`refused: needs role = "a\u{202e}b"; you have role = "a\u{202e}c"`, []string{`role = "a\u{202e}b"`}},
	} {
		p, err := ParsePolicy(c.policy)
		require.NoError(t, err)
		e := Explain(p, nil, attributes(t, c.held...))
		assert.Equal(t, c.want, e.String())
		assert.Equal(t, strings.HasPrefix(c.want, "granted"), e.Granted)
		assert.Equal(t, c.fewest, e.Missing, c.policy)
		assert.Equal(t, e.Granted, e.Used != nil)
	}
}

// Attributes that no parser would let through show up as what they are, and many are cut short.
func TestExplainHostileAttributes(t *testing.T) {
	p, err := ParsePolicy("role = doctor")
	require.NoError(t, err)
	e := Explain(p, nil, []Attribute{{Name: "role", Value: "\"\u202edoctor\x1b[31m"}, {Name: "role = doctor"}, {Name: "role", Value: "doctor "}})
	assert.False(t, e.Granted)
	assert.Equal(t, `refused: needs role = doctor; you have role = "\"\u{202e}doctor\u{1b}[31m" and role = "doctor "`, e.String())
	var many []Attribute
	for i := range 40 {
		many = append(many, Attribute{Name: "role", Value: strings.Repeat("x", i+1)})
	}
	assert.True(t, strings.HasSuffix(Explain(p, nil, many).String(), "and 28 more"))
	assert.Equal(t, Explain(p, nil, many[:1]).String(), Explain(p, nil, slices.Repeat(many[:1], 9)).String())
}

// Explain agrees with satisfy; what it says is used is enough, what it says is missing is enough and
// was not held; neither can lose a member.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree := drawTree(rt, 20, 4)
		n := tree.leaves()
		if n > 60 {
			rt.Skip("too large for a bit set")
		}
		pattern := distinct(n)
		if rapid.Bool().Draw(rt, "reuse") {
			pattern = drawPattern(rt, n)
		}
		p, err := ParsePolicy(tree.text(pattern))
		require.NoError(rt, err)
		set := uint(rapid.Uint64().Draw(rt, "set"))
		var held []Attribute
		for i := range 60 {
			if set>>i&1 == 1 {
				held = append(held, patternAttribute(i))
			}
		}
		enough := func(attrs []Attribute) bool {
			_, ok := p.formula().satisfy(func(a atom) bool {
				return slices.ContainsFunc(attrs, func(u Attribute) bool { return u.atom() == a })
			})
			return ok
		}
		e := Explain(p, nil, held)
		require.Equal(rt, tree.holds(pattern, set&(1<<60-1)), e.Granted)
		require.Equal(rt, enough(held), e.Granted)
		if e.Granted {
			require.True(rt, enough(e.Used))
			for i, a := range e.Used {
				require.Contains(rt, held, a)
				require.False(rt, enough(slices.Concat(e.Used[:i], e.Used[i+1:])), "%v without %v", e, a)
			}
			require.Empty(rt, e.Missing)
			return
		}
		require.NotEmpty(rt, e.Missing)
		missing := attributes(t, e.Missing...)
		require.True(rt, enough(slices.Concat(held, missing)), "%v", e)
		for i, a := range missing {
			require.NotContains(rt, held, a)
			require.False(rt, enough(slices.Concat(held, missing[:i], missing[i+1:])), "%v without %v", e, a)
		}
	})
}

// Comparisons, negations and enumerations in plain words.
func TestExplainComparisons(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	for _, c := range []struct {
		policy string
		held   []string
		want   string
		fewest []string
	}{
		{"age >= 18", []string{"age = 12"}, "refused: needs age >= 18; you have age = 12", []string{"age >= 18"}},
		{"age >= 18", []string{"on-call"}, "refused: needs age >= 18; you have nothing that it asks for", []string{"age >= 18"}},
		{"age >= 18", []string{"age = 18"}, "granted: age = 18 is enough", nil},
		{"age >= 18 and age <= 65 and age != 40", []string{"age = 41"}, "granted: age = 41 is enough", nil},
		{"age >= 18 and age <= 65", []string{"age = 70"}, "refused: needs age <= 65; you have age = 70", []string{"age <= 65"}},
		{"not age >= 18", []string{"age = 20"}, "refused: needs age < 18; you have age = 20", []string{"age < 18"}},
		{"not (age < 18 or born > 2000-01-01)", nil, "refused: needs age >= 18 and born <= 2000-01-01; you have nothing that it asks for",
			[]string{"age >= 18", "born <= 2000-01-01"}},
		{"not age in 18..65", []string{"age = 20"}, "refused: needs not age in 18..65; you have age = 20", []string{"not age in 18..65"}},
		{"role != doctor", []string{"role = doctor"}, "refused: needs role != doctor; you have role = doctor", []string{"role != doctor"}},
		{"role != doctor", []string{"role = nurse"}, "granted: role = nurse is enough", nil},
		{"not role != doctor", []string{"role = nurse"}, "refused: needs role = doctor; you have role = nurse", []string{"role = doctor"}},
		{"dept != psychiatry", []string{"dept = psychiatry"}, "refused: needs dept != psychiatry; you have dept = psychiatry", []string{"dept != psychiatry"}},
		{"dept != psychiatry", []string{"dept = cardiology"}, "granted: dept != psychiatry is enough", nil},
		{"not dept in (psychiatry, cardiology) and on-call", []string{"on-call"}, "granted: dept != psychiatry, dept != cardiology and on-call are enough", nil},
		{"role in (doctor, nurse) or project in (x, y)", []string{"project = y"}, "granted: project = y is enough", nil},
		{"2 of (age >= 18, role = doctor, on-call)", []string{"age = 20"}, "refused: needs one of role = doctor or on-call; you have age = 20", []string{"role = doctor"}},
		{"role = doctor and not 2 of (on-call = x, a, b)", nil,
			"refused: not a cannot be asked for: that a key holds no flag cannot be seen in the key; declare a with values, such as a: one of yes, no, and ask for one of them", nil},
	} {
		p := policyOf(t, c.policy)
		var key []Attribute
		if c.held != nil {
			items, err := v.items(attributes(t, c.held...))
			require.NoError(t, err)
			for _, item := range items {
				key = append(key, itemAttribute(item))
			}
		}
		e := Explain(p, v, key)
		if strings.Contains(c.want, "cannot be asked for") {
			assert.False(t, e.Granted)
			assert.Contains(t, e.String(), "cannot be asked for")
			continue
		}
		assert.Equal(t, c.want, e.String())
		assert.Equal(t, strings.HasPrefix(c.want, "granted"), e.Granted)
		assert.Equal(t, c.fewest, e.Missing, c.policy)
	}
	// A key from before a value was known has no word of the authority about it.
	assert.Equal(t, "refused: needs dept != psychiatry; you have dept = cardiology", Explain(policyOf(t, "dept != psychiatry"), v, attributes(t, "dept = cardiology")).String())
	// A number that is none, or of another name, or a text, satisfies nothing.
	for _, a := range []Attribute{{Name: "age", Value: "20"}, {Name: "age", Value: "x20", Kind: Number}, {Name: "age", Value: "1990-01-01", Kind: Date}, {Name: "temp", Value: "20", Kind: Number},
		{Name: "age", Value: "200", Kind: Number}, {Name: "age", Value: "20", Kind: Not}, {Name: "age", Value: "20", Kind: 9}} {
		assert.False(t, Explain(policyOf(t, "age >= 18"), v, []Attribute{a}).Granted, "%v", a)
	}
	assert.True(t, Explain(policyOf(t, "age >= 18"), v, []Attribute{{Name: "age", Value: "20", Kind: Number}}).Granted)
}

// A key of another declared range fits nothing that the header asks of the name, and the refusal says so. Explain alone, which sees values, grants.
func TestExplainAnotherRange(t *testing.T) {
	p := policyOf(t, "age >= 18 and role = doctor")
	sealed := p.declarations(vocabulary(t, "age: number 0..200"))
	items, err := vocabulary(t, "age: number 0..150").items(attributes(t, "age = 30", "role = doctor"))
	require.NoError(t, err)
	require.True(t, Explain(p, sealed, attributes(t, "age = 30", "role = doctor")).Granted)
	e := explainKey(p, sealed, items)
	assert.False(t, e.Granted)
	assert.Empty(t, e.Used)
	assert.Equal(t, []string{"age >= 18"}, e.Missing)
	assert.Equal(t, "refused: needs age >= 18; you have role = doctor and age = 30; age = 30 was issued under age: number 0..150, and the object was sealed under age: number 0..200: "+
		"ask the authority which range is the right one, and for a key or an object of it", e.String())
	assert.NotContains(t, (&DeniedError{Kind: DeniedPolicy, Explanation: e}).Error(), "refused")

	same := p.declarations(vocabulary(t, "age: number 0..150"))
	assert.True(t, explainKey(p, same, items).Granted)
	low := policyOf(t, "age < 18 or role = nurse")
	assert.Equal(t, "refused: needs one of age < 18 or role = nurse; you have role = doctor and age = 30", explainKey(low, same, items).String(), "as Explain says")
	assert.True(t, explainKey(policyOf(t, "age >= 18 or role = doctor"), sealed, items).Granted, "by the role")
}

// The same with a key and an object: params of another vocabulary under the id of the key's authority.
func TestAnotherRangeIsRefusedInWords(t *testing.T) {
	a := generate(t)
	small, err := a.WithVocabulary(vocabulary(t, "age: number 0..150"))
	require.NoError(t, err)
	large, err := a.WithVocabulary(vocabulary(t, "age: number 0..200"))
	require.NoError(t, err)
	sealed, err := large.Params().Seal(policyOf(t, "age >= 18"), []byte("x"), nil)
	require.NoError(t, err)
	k, err := small.IssueKey(always, attributes(t, "age = 30")...)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	d := denied(t, err, DeniedPolicy)
	require.False(t, d.Explanation.Granted)
	require.ErrorContains(t, err, "abe: this key does not satisfy the policy: needs age >= 18; you have age = 30; age = 30 was issued under age: number 0..150, and the object was sealed under")
	k, err = large.IssueKey(always, attributes(t, "age = 30")...)
	require.NoError(t, err)
	_, err = k.Open(sealed, nil)
	require.NoError(t, err)
}
