package abe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever parses has a canonical text that parses to the same policy, holds nothing invisible, and allows nothing after
// it: text that follows is an error, never dropped. Errors point into the text.
func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{
		`role = doctor and (dept = cardiology or dept = "intensive care")`,
		`2 of (role = doctor, role = nurse, on-call)`,
		`clearance >= 3 and not dept = psychiatry`, `age in 18..65`, `NORTH AND doctor`, `a and b or c`, `x = "\u{202e}\"\\"`,
		strings.Repeat("(", 32) + "a" + strings.Repeat(")", 32),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			checkSyntaxError(t, text, err)
			return
		}
		canonical := p.String()
		require.LessOrEqual(t, len(canonical), maxText)
		for _, r := range canonical {
			require.True(t, isVisible(r))
		}
		again, err := ParsePolicy(canonical)
		require.NoError(t, err)
		require.Equal(t, canonical, again.String())
		requireSamePolicy(t, p, again)
		if len(canonical) < maxText-8 {
			for _, more := range []string{" x", ")", ",", " and", " or", "\"", "=", " = x = y", " 1", " not", "\x00", "\u00a0", "(", " of", ";", "#"} {
				// After a flag " = x = y" is wrong at its second =, after a value at its first.
				_, err := ParsePolicy(canonical + more)
				require.Error(t, err, "%q", canonical+more)
			}
		}
		v := declareFor(p)
		require.False(t, Explain(p, v, nil).Granted)
		f, err := p.expand(v)
		if p.plain() {
			require.NoError(t, err)
			require.Equal(t, f.atoms, p.formula().atoms)
			require.Equal(t, f.root, p.formula().root)
		}
		if err != nil {
			return
		}
		leaves, tau, err := p.size(v)
		require.NoError(t, err)
		require.Equal(t, []int{f.leaves(), f.tau()}, []int{leaves, tau})
		part := p.declarations(v)
		decoded, err := decodeDeclarations(p, part.String())
		require.NoError(t, err)
		same, err := p.expand(decoded)
		require.NoError(t, err)
		require.Equal(t, f.atoms, same.atoms)
		require.Equal(t, f.root, same.root)
		everything := func(atom) bool { return true }
		sel, ok := f.satisfy(everything)
		require.True(t, ok, "no policy is beyond all atoms")
		if p.plain() && f.leaves() <= 32 {
			require.True(t, reconstructs(denseRows(p, 0), sel))
		}
		_, ok = f.satisfy(func(atom) bool { return false })
		require.False(t, ok, "no policy lets everybody in")
	})
}

// declareFor makes a vocabulary under which p can mean something: names are what the first of their predicates needs.
func declareFor(p *Policy) *Vocabulary {
	lines := map[string]string{}
	values := map[string][]string{}
	for i := range p.predicates {
		q := &p.predicates[i]
		switch {
		case q.kind == Number:
			lines[q.name] = "number -1000..1000"
		case q.kind == Date:
			lines[q.name] = "date 1900-01-01..2100-12-31"
		case q.negative() && lines[q.name] == "":
			lines[q.name] = []string{"one of other", "many of other"}[len(lines)%2]
		}
		if q.kind == Text {
			values[q.name] = append(values[q.name], p.valuesOf(q)...)
		}
	}
	text := ""
	for name, line := range lines {
		text += name + ": " + line
		if strings.HasSuffix(line, "other") {
			slices.Sort(values[name])
			for _, value := range slices.Compact(values[name]) {
				if value != "other" {
					text += string(appendLiteral([]byte(", "), Text, value))
				}
			}
		}
		text += "\n"
	}
	v, err := ParseVocabulary(text)
	if err != nil {
		return nil // a limit
	}
	return v
}

// requireSamePolicy compares trees, not how they are stored.
func requireSamePolicy(t require.TestingT, p, q *Policy) {
	require.Equal(t, p.shape(p.root), q.shape(q.root))
	require.Equal(t, p.predicates, q.predicates)
	require.Equal(t, p.values, q.values)
}

// shape writes every gate with its numbers.
func (p *Policy) shape(e int16) string {
	x := &p.exprs[e]
	s := fmt.Sprint(x.not, x.k, x.n)
	if x.isLeaf() {
		return fmt.Sprint(s, " ", p.literalText(&p.predicates[x.predicate]))
	}
	for kid := range p.kids(x) {
		s += " (" + p.shape(kid) + ")"
	}
	return s
}

// An attribute's text has one form, and it is a policy of one leaf.
func FuzzParseAttribute(f *testing.F) {
	for _, text := range []string{`role = doctor`, `on-call`, `dept = "intensive care"`, `d = "\u{feff}"`, `age = 18`, `a and b`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAttribute(text)
		if err != nil {
			checkSyntaxError(t, text, err)
			return
		}
		require.NoError(t, a.validate())
		b, err := ParseAttribute(a.String())
		require.NoError(t, err)
		require.Equal(t, a, b)
		p, err := ParsePolicy(text)
		require.NoError(t, err)
		require.Equal(t, a.String(), p.String())
	})
}

func checkSyntaxError(t *testing.T, text string, err error) {
	t.Helper()
	var e *SyntaxError
	require.ErrorAs(t, err, &e)
	require.GreaterOrEqual(t, e.Offset, 0)
	require.LessOrEqual(t, e.Offset, len(text))
	require.NotEmpty(t, e.Found)
	require.NotEmpty(t, e.Expected)
	require.Less(t, len(e.Error()), 2000)
	for _, r := range e.Error() {
		require.True(t, isVisible(r), "%q", e.Error())
	}
}
