package abe

import (
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
		require.Equal(t, p.root, again.root)
		require.Equal(t, p.attrs, again.attrs)
		for _, a := range p.attrs {
			require.NoError(t, a.validate())
		}
		if len(canonical) < maxText-8 {
			for _, more := range []string{" x", ")", ",", " and", " or", "\"", "=", " = x = y", " 1", " not", "\x00", "\u00a0", "(", " of", ";", "#"} {
				// After a flag " = x = y" is wrong at its second =, after a value at its first.
				_, err := ParsePolicy(canonical + more)
				require.Error(t, err, "%q", canonical+more)
			}
		}
		everything := func(atom) bool { return true }
		sel, ok := p.formula().satisfy(everything)
		require.True(t, ok, "no policy is beyond all attributes")
		if p.formula().cols() <= 32 {
			require.True(t, reconstructs(denseRows(p, 0), sel))
		}
		_, ok = p.formula().satisfy(func(atom) bool { return false })
		require.False(t, ok, "no policy lets everybody in")
		require.True(t, Explain(p, p.attrs).Granted)
		require.False(t, Explain(p, nil).Granted)
	})
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
