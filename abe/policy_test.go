package abe

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCanonicalText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`role=doctor and(dept=cardiology or dept="intensive care")`, `role = doctor and (dept = cardiology or dept = "intensive care")`},
		{"\t a\r\n", "a"},
		{"((a))", "a"},
		{"(a and b) and c", "a and b and c"},
		{"a and (b and (c and d))", "a and b and c and d"},
		{"(a or b) or (c or d)", "a or b or c or d"},
		{"(a or b) and (c or d)", "(a or b) and (c or d)"},
		{"1 of (a, b)", "a or b"},
		{"3 of (a, b, c)", "a and b and c"},
		{"1 of (a)", "a"},
		{"2 of (1 of (a, b), c and d)", "(a or b) and c and d"},
		{"1 of (a or b, c) or d", "a or b or c or d"},
		{"2 of(a,b,c)", "2 of (a, b, c)"},
		{"2 of ((a and b), (c or d), 2 of (e, f, g))", "2 of (a and b, c or d, 2 of (e, f, g))"},
		{"(2 of (a, b, c)) and d or-else", ""},
		{"(2 of (a, b, c)) and d", "2 of (a, b, c) and d"},
		{"a and a", "a and a"},
		{`role = "doctor"`, "role = doctor"},
		{`role = "\u{64}octor"`, "role = doctor"},
		{`role = "\u{00e4}"`, `role = "ä"`},
		{`role = "a\u{000A}b"`, `role = "a\u{a}b"`},
		{"b or a", "b or a"},
		{"notify or order or island or off or android", "notify or order or island or off or android"},
		{"not-here and and-so", "not-here and and-so"},
		{"role = Doctor or role = doctor", "role = Doctor or role = doctor"},
	} {
		p, err := ParsePolicy(c.text)
		if c.want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, c.want, p.String())
	}
}

// Every byte of the text counts: what parses is not longer than what was read.
func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		want   string
	}{
		{"NORTH AND doctor", 0, "write names in lower case"},
		{"north AND doctor", 6, "write keywords in lower case"},
		{"age >= eighteen", 7, "only numbers and dates have an order"},
		{`age >= "18"`, 7, "only numbers and dates have an order"},
		{"18 <= age", 0, "names begin with a letter"},
		{"18 <= age <= 65", 0, "names begin with a letter"},
		{"age >= 18 <= 65", 10, "write in lo..hi"},
		{"age => 18", 5, "expected a value, found \">\""},
		{"age >= ", 7, "expected a value, found the end"},
		{"age <> 18", 5, "expected a value, found \">\""},
		{"age >= 18.5", 7, "numbers are integers"},
		{"born = 31.12.1999", 7, "dates are written year first, such as 1999-12-31; any text"},
		{"born in 31.12.1999..1.1.2001", 8, "expected a number or a date, found \"31.12.1999..1.1.2001\"; dates are written year first, such as 1999-12-31"},
		{"born = 1.2", 7, "numbers are integers"},
		{"born > 12/31/1999", 9, "dates are written year first"},
		{"role = 'doctor'", 7, "expected a value, found \"'\"; use the double quote"},
		{"role = _doctor", 7, "expected a value"},
		{"role = (doctor)", 7, "expected a value"},
		{"role 'doctor'", 5, "expected a name, an operator or a parenthesis"},
		{"age < '18'", 6, "expected a number or a date"},
		{"age in [18, 20]", 7, "expected a range or a list, found \"[\"; use parentheses"},
		{"role in ('a', b)", 9, "expected a value"},
		{"role in (a, 'b')", 12, "expected a value"},
		{"role = a and 'b'", 13, "expected a name, an operator or a parenthesis"},
		{"age >= 018", 7, "write the number as 18"},
		{"age >= -0", 7, "write the number as 0"},
		{"age >= +18", 7, "put a value with this character in double quotes"},
		{"age >= 18y", 7, "numbers are integers"},
		{"age >= 1e3", 7, "numbers are integers"},
		{"age >= 0x10", 7, "numbers are integers"},
		{"age >= 1_000", 7, "numbers are integers"},
		{"n = 9223372036854775808", 4, "numbers go from -9223372036854775808 to 9223372036854775807"},
		{"n = -9223372036854775809", 4, "numbers go from -9223372036854775808 to 9223372036854775807"},
		{"age >= - 5", 7, "begin with a letter"},
		{"age >= 18..65", 7, "a range stands after in"},
		{"age in 18", 7, "without spaces in the range"},
		{"age in 18 .. 65", 7, "without spaces in the range"},
		{"age in 65..18", 7, "not above the last"},
		{"age in 18..", 7, "numbers are integers"},
		{"age in 18...65", 7, "numbers are integers"},
		{"age in 18..2024-01-01", 7, "both are dates"},
		{"age in a..b", 7, "a range or a list"},
		{"age in ()", 8, "expected a value"},
		{"age in (18, )", 12, "expected a value"},
		{"age in (18, nineteen)", 12, "the same kind as the first"},
		{`age in (18, "19")`, 12, "the same kind as the first"},
		{"age in (18, 2024-01-01)", 12, "the same kind as the first"},
		{"age in (18 19)", 11, "close the list"},
		{"age in (18", 10, "close the list"},
		{"age in (18..20)", 8, "a range stands after in"},
		{"age in (a or b)", 10, "close the list"},
		{"role in doctor", 8, "a range or a list"},
		{"role not in (doctor)", 5, "not stands in front"},
		{"a not b", 2, "not stands in front"},
		{"a and in (b)", 6, "keyword"},
		{"not", 3, "expected a name"},
		{"not not", 7, "expected a name"},
		{"not and b", 4, "keyword"},
		{"!b", 0, "write the word not"},
		{"a ! b", 2, "write != or the word not"},
		{"role = doctor != nurse", 14, "one name, one operator and one value"},
		{"role = doctor = nurse", 14, "one name, one operator and one value"},
		{"since = 2024-02-30", 8, "days of the calendar"},
		{"since = 2023-02-29", 8, "days of the calendar"},
		{"since = 0000-01-01", 8, "days of the calendar"},
		{"since = 2024-1-01", 8, "days of the calendar"},
		{"since = 10000-01-01", 8, "days of the calendar"},
		{"since = 2024-01-01T00", 8, "days of the calendar"},
		{"since >= 2024-01", 9, "days of the calendar"},
		{"a and b or c", 8, `write one of [(a and b) or ...] and [... and (b or ...)]`},
		{"a or (b and c or d)", 14, `write one of [(b and c) or ...] and [... and (c or ...)]`},
		{"a or b and c", 7, `write one of [(a or b) and ...] and [... or (b and ...)]`},
		{"2 of (a, b or c and d)", 16, `(b or c) and ...`},
		{"a b", 2, `expected "and", "or" or the end, found "b"`},
		{"a)", 1, "never opened"},
		{"(a", 2, "close the parenthesis"},
		{"a, b", 1, "a comma stands only in a list"},
		{"(a, b)", 2, "a list needs a number in front"},
		{"a and", 5, "expected a name, found the end"},
		{"2 of (a, b,)", 11, "expected a name"},
		{"3 of (a, b)", 0, "expected a number from 1 to 2"},
		{"0 of (a, b)", 0, "expected a number from 1 to 2"},
		{"01 of (a, b)", 0, "expected a number from 1 to 2"},
		{"99999999999999999999 of (a, b)", 0, "expected a number from 1 to 2"},
		{"role == doctor", 5, "write one ="},
		{"a && b", 2, `write the word "and"`},
		{"role = 'x'", 7, `use the double quote "`},
		{"role = “x”", 7, `use the double quote "`},
		{"role: x", 4, "write = between a name and its value"},
		{"a # b", 2, "no comments"},
		{"r\u043ele = x", 1, "U+043E; names are lower-case ASCII"},
		{"a\u00a0and b", 1, "the invisible U+00A0"},
		{"\ufeffa", 0, "the invisible U+FEFF"},
		{"role = \"a\u202eb\"", 9, `leave it out, or write \u{202e}`},
		{"role = \"a\u200db\"", 9, `leave it out, or write \u{200d}`},
		{"role = \"a\tb\"", 9, `leave it out, or write \u{9}`},
		{"role = \"a\xffb\"", 9, "UTF-8"},
		{"role = \"e\u0301\"", 7, `normalization form C: "é"`},
		{`role = "e\u{301}"`, 7, "normalization form C"},
		{`role = "a\n"`, 9, "the escapes are"},
		{`role = "\u{}"`, 8, "one to six hexadecimal digits"},
		{`role = "\u{0000041}"`, 8, "one to six hexadecimal digits"},
		{`role = "\u{+41}"`, 8, "one to six hexadecimal digits"},
		{`role = "\u{d800}"`, 8, "one to six hexadecimal digits"},
		{`role = "\u{110000}"`, 8, "one to six hexadecimal digits"},
		{`role = "\u{378}"`, 8, "assigned character"},
		{`role = "a`, 9, "close the value that begins at byte 7"},
		{`role = ""`, 7, "leave out = for a flag"},
		{`role = `, 7, "leave out the operator for a flag"},
		{`"role" = x`, 0, "names have no quotes"},
		{strings.Repeat("a", 65), 0, "from 65 to at most 64 bytes"},
		{"a = " + strings.Repeat("b", 257), 4, "from 257 to at most 256 bytes"},
		{`a = "` + strings.Repeat("ä", 129) + `"`, 4, "from 258 to at most 256 bytes"},
	} {
		p, err := ParsePolicy(c.text)
		var syntax *SyntaxError
		if assert.ErrorAs(t, err, &syntax, "%s is read as %v", c.text, p) {
			assert.Equal(t, c.offset, syntax.Offset, "%s: %v", c.text, err)
			assert.ErrorContains(t, err, c.want)
			assert.NotEmpty(t, syntax.Expected)
			assert.NotEmpty(t, syntax.Found)
		}
	}
}

// Limits hold exactly, before work that grows with the text, and no text overflows the stack.
func TestLimits(t *testing.T) {
	or := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("a%d", i))
		}
		return strings.Join(names, " or ")
	}
	parens := func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) }
	uses := func(n int) string { return strings.Repeat("a or ", n-1) + "a" }
	long := func(n int) string { return strings.Repeat(" ", n-1) + "a" }
	for _, c := range []struct {
		make  func(int) string
		limit int
		want  string
	}{
		{or, 256, "at most 256 attributes"},
		{parens, 32, "at most 32 parentheses"},
		{uses, 16, "use 17 of a"},
		{long, 4096, "at most 4096 bytes"},
		{func(n int) string { return "b = " + strings.Repeat("c", n) }, 256, "at most 256 bytes"},
		{func(n int) string { return strings.Repeat("c", n) + " = b" }, 64, "at most 64 bytes"},
	} {
		p, err := ParsePolicy(c.make(c.limit))
		if assert.NoError(t, err) {
			again, err := ParsePolicy(p.String())
			require.NoError(t, err)
			assert.Equal(t, p.String(), again.String())
		}
		_, err = ParsePolicy(c.make(c.limit + 1))
		assert.ErrorContains(t, err, c.want)
	}
	for _, unit := range []string{"(", ")", "2 of (", "a and (", "not ", "\"", "a=", ",", "1 of (1 of (", `\u{`, "a and "} {
		for _, n := range []int{680, 1 << 20} {
			_, err := ParsePolicy(strings.Repeat(unit, n))
			assert.Error(t, err)
		}
	}
}

// A text within the limit whose canonical form is over it could not be read back, so it is refused.
func TestCanonicalFormWithinLimit(t *testing.T) {
	var leaves []string
	for i := range 250 {
		leaves = append(leaves, fmt.Sprintf("name%03d=val%04d", i, i)) // 15 bytes, 17 in canonical form, and " or "
	}
	for n := range len(leaves) {
		text := strings.Join(leaves[:n+1], " or ")
		p, err := ParsePolicy(text)
		if 21*(n+1)-4 <= 4096 {
			require.NoError(t, err)
			require.Len(t, p.String(), 21*(n+1)-4)
		} else {
			require.ErrorContains(t, err, "at most 4096")
		}
	}
	for n, want := range map[int]bool{18: true, 19: false} { // 194 times 21 bytes, "n = " and n bytes
		p, err := ParsePolicy(strings.Join(leaves[:194], " or ") + " or " + "n=" + strings.Repeat("x", n))
		assert.Equal(t, want, err == nil, "%v", err)
		if err == nil {
			assert.Len(t, p.String(), 4096)
		}
	}
}

// The round trip of the canonical text, for random trees with random attributes.
func TestPolicyRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := drawPolicyText(rt, 4)
		p, err := ParsePolicy(text)
		if err != nil {
			require.ErrorContains(rt, err, "at most", text) // only limits can stop it
			return
		}
		again, err := ParsePolicy(p.String())
		require.NoError(rt, err)
		require.Equal(rt, p.String(), again.String())
		require.Equal(rt, p.formula().rows(), again.formula().rows())
		require.Equal(rt, p.formula().cols(), again.formula().cols())
		requireSamePolicy(rt, p, again)
	})
}

// drawPolicyText writes a policy with needless parentheses, spaces and gates.
func drawPolicyText(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{" ", "  ", "\n", "\t "}).Draw(t, "space")
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		s := drawAttribute(t).String()
		if rapid.Bool().Draw(t, "parentheses") {
			s = "(" + space + s + ")"
		}
		return s
	}
	n := rapid.IntRange(1, 4).Draw(t, "kids")
	var parts []string
	for range n {
		parts = append(parts, "("+drawPolicyText(t, depth-1)+space+")")
	}
	switch rapid.IntRange(0, 2).Draw(t, "gate") {
	case 0:
		return strings.Join(parts, space+"and ")
	case 1:
		return strings.Join(parts, " or"+space)
	}
	return fmt.Sprintf("%d%sof(%s)", rapid.IntRange(1, n).Draw(t, "k"), space, strings.Join(parts, ","+space))
}

// Canonicalisation does not change who may read: normal form against the plain evaluation of what was written.
func TestNormalFormKeepsMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		root := drawTree(rt, 20, 4)
		n := root.leaves()
		if n > 60 {
			rt.Skip("too large for a bit set")
		}
		pattern := drawPattern(rt, n)
		var write func(t *tree, pattern []int) string
		write = func(t *tree, pattern []int) string { // every gate as "k of" with parentheses
			if t.k == 0 {
				return "((" + patternAttribute(pattern[0]).String() + "))"
			}
			var parts []string
			for _, kid := range t.kids {
				leaves := kid.leaves()
				parts = append(parts, write(kid, pattern[:leaves]))
				pattern = pattern[leaves:]
			}
			return fmt.Sprintf("%d of (%s)", t.k, strings.Join(parts, ", "))
		}
		p, err := ParsePolicy(write(root, pattern))
		require.NoError(rt, err)
		for range 8 {
			set := uint(rapid.Uint64().Draw(rt, "set"))
			_, ok := p.formula().satisfy(haveSet(set))
			require.Equal(rt, root.holds(pattern, set), ok)
		}
	})
}

// One policy may be used from many goroutines.
func TestPolicyIsShared(t *testing.T) {
	p, err := ParsePolicy("2 of (a, b, c) and d")
	require.NoError(t, err)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			_, ok := p.formula().satisfy(func(a atom) bool { return a != Attribute{Name: "b"}.atom() })
			assert.True(t, ok)
			assert.Len(t, p.formula().rows(), 4)
			assert.Equal(t, 3, p.formula().cols())
			assert.True(t, Explain(p, nil, []Attribute{{Name: "a"}, {Name: "c"}, {Name: "d"}}).Granted)
		})
	}
	wait.Wait()
}
