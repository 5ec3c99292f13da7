package abe

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// drawValue draws a value of visible, hidden, combining and ordinary characters.
func drawValue(t *rapid.T) string {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 4).Draw(t, "kind")
		switch kind {
		case 0:
			return rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_.-]{0,20}`).Draw(t, "word")
		case 1:
			return rapid.StringMatching(`[ -~]{1,30}`).Draw(t, "ascii")
		case 2:
			return rapid.SampledFrom([]string{"and", "OR", "Not", "in", "of", "18", "2024-01-01", "-5", "a..b", "ä", "\u202e", "\u00a0", `\`, `"`, `\u{41}`, " "}).Draw(t, "odd")
		}
		return norm.NFC.String(rapid.StringN(1, 40, maxValue/4).Draw(t, "any"))
	}).Filter(func(s string) bool { return s != "" && checkValue(s) == "" }).Draw(t, "value")
}

func drawAttribute(t *rapid.T) Attribute {
	a := Attribute{Name: rapid.StringMatching(`[a-z][a-z0-9_-]{0,9}(\.[a-z0-9_-]{1,9})?`).Filter(func(s string) bool { return checkName(s) == "" }).Draw(t, "name")}
	if rapid.Bool().Draw(t, "flag") {
		return a
	}
	a.Value = drawValue(t)
	return a
}

func TestAttributeRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAttribute(rt)
		require.NoError(rt, a.validate())
		text := a.String()
		b, err := ParseAttribute(text)
		require.NoError(rt, err, text)
		require.Equal(rt, a, b)
		require.Equal(rt, text, b.String())
		for _, r := range text {
			require.True(rt, isVisible(r), "%q", text)
		}
	})
}

func TestAttributeText(t *testing.T) {
	for _, c := range []struct {
		a    Attribute
		text string
	}{
		{Attribute{Name: "on-call"}, "on-call"},
		{Attribute{Name: "role", Value: "doctor"}, "role = doctor"},
		{Attribute{Name: "role", Value: "Doctor"}, "role = Doctor"},
		{Attribute{Name: "dept", Value: "intensive care"}, `dept = "intensive care"`},
		{Attribute{Name: "age", Value: "18"}, `age = "18"`},
		{Attribute{Name: "since", Value: "2024-01-01"}, `since = "2024-01-01"`},
		{Attribute{Name: "role", Value: "and"}, `role = "and"`},
		{Attribute{Name: "role", Value: "AND"}, `role = "AND"`},
		{Attribute{Name: "role", Value: "a..b"}, `role = "a..b"`},
		{Attribute{Name: "role", Value: `a"b\`}, `role = "a\"b\\"`},
		{Attribute{Name: "role", Value: "Ärztin"}, `role = "Ärztin"`},
		{Attribute{Name: "role", Value: "a\u202eb\x00"}, `role = "a\u{202e}b\u{0}"`},
		{Attribute{Name: "x.y_z-1", Value: "E11.9"}, "x.y_z-1 = E11.9"},
	} {
		assert.Equal(t, c.text, c.a.String())
		got, err := ParseAttribute(c.text)
		require.NoError(t, err)
		assert.Equal(t, c.a, got)
		assert.NoError(t, c.a.validate())
	}
}

// Attributes written as Go literals are checked as strictly as parsed ones.
func TestInvalidAttributes(t *testing.T) {
	for _, c := range []struct {
		a   Attribute
		fix string
	}{
		{Attribute{}, "give a name"},
		{Attribute{Name: "Role", Value: "x"}, "lower case"},
		{Attribute{Name: "and", Value: "x"}, "keyword"},
		{Attribute{Name: "not"}, "keyword"},
		{Attribute{Name: "a b", Value: "x"}, "lower-case ASCII"},
		{Attribute{Name: "r\u043ele", Value: "x"}, "lower-case ASCII"},
		{Attribute{Name: "2fa"}, "begin with a letter"},
		{Attribute{Name: "_a"}, "begin with a letter"},
		{Attribute{Name: "a..b"}, "two dots"},
		{Attribute{Name: "a = b"}, "lower-case ASCII"},
		{Attribute{Name: strings.Repeat("a", 65)}, "at most 64"},
		{Attribute{Name: "role", Value: strings.Repeat("a", 257)}, "at most 256"},
		{Attribute{Name: "role", Value: "\ufffd"}, "U+FFFD"},
		{Attribute{Name: "role", Value: "\xff"}, "UTF-8"},
		{Attribute{Name: "role", Value: "\xed\xa0\x80"}, "UTF-8"},
		{Attribute{Name: "role", Value: "e\u0301"}, "form C"},
		{Attribute{Name: "role", Value: "\u212b"}, "form C"}, // the sign of the unit, which looks like the letter
		{Attribute{Name: "role", Value: "\u0301"}, "combining mark"},
		{Attribute{Name: "role", Value: "\u0378"}, "U+0378"},
		{Attribute{Name: "role", Value: "\ufdd0"}, "U+FDD0"},
		{Attribute{Name: "role", Value: "\U0010ffff"}, "U+10FFFF"},
	} {
		assert.ErrorContains(t, c.a.validate(), c.fix)
		b, err := ParseAttribute(c.a.String())
		assert.Error(t, err, "%q is read as %v", c.a.String(), b)
	}
	assert.Equal(t, `role = "\u{301}e"`, Attribute{Name: "role", Value: "\u0301e"}.String(), "the mark does not sit on the quote")
	assert.NoError(t, Attribute{Name: strings.Repeat("a", 64), Value: strings.Repeat("b", 256)}.validate())
}

// A string of a policy is not an attribute, and an attribute ends where its text ends.
func TestParseAttributeRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "a b", "a and b", "(a)", "a = b)", "a = b, c", "1 of (a, b)", "not a", "a != 3", "a != 2024-01-01", "a >= 3", "a in 3..4", "a in (b)", "not a = b", "a = \"\"", "a != \"\"", "a =", "a !=", "= b", "a in b",
	} {
		a, err := ParseAttribute(text)
		var syntax *SyntaxError
		assert.ErrorAs(t, err, &syntax, text)
		assert.Zero(t, a)
	}
}

func TestEncodeAttribute(t *testing.T) {
	for _, c := range []struct {
		a    Attribute
		want string
	}{
		{Attribute{Name: "on-call"}, "0101" + "00000007" + "6f6e2d63616c6c"},
		{Attribute{Name: "role", Value: "rn"}, "0102" + "00000004" + "726f6c65" + "00000002" + "726e"},
		{Attribute{Name: "d", Value: "ä"}, "0102" + "00000001" + "64" + "00000002" + "c3a4"},
	} {
		assert.Equal(t, c.want, hex.EncodeToString(c.a.encode()))
	}
}

// Different attributes have different encodings, and no encoding is the beginning of another: pairs that string joining
// mixes up among them.
func TestEncodeIsInjective(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawAttribute(rt), drawAttribute(rt)
		if rapid.Bool().Draw(rt, "move the border") && len(a.Value) > 1 {
			b = Attribute{Name: a.Name + a.Value[:1], Value: a.Value[1:]}
		}
		require.Equal(rt, a == b, string(a.encode()) == string(b.encode()))
		if a != b {
			require.False(rt, strings.HasPrefix(string(a.encode()), string(b.encode())))
		}
	})
	assert.NotEqual(t, Attribute{Name: "a"}.encode(), Attribute{Name: "a", Value: "\x00"}.encode())
	assert.NotEqual(t, Attribute{Name: "ab", Value: "c"}.encode(), Attribute{Name: "a", Value: "bc"}.encode())
}

// No control, format or space character of the running Unicode version can stand unseen in a canonical text, and none of
// the hidden ones is refused when it is escaped. Both Unicode tables in use know the same characters: otherwise one
// would call normal what the other does not know.
func TestHiddenCharacters(t *testing.T) {
	assert.Equal(t, unicode.Version, norm.Version)
	count := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		invisible := unicode.In(r, unicode.C, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
		if r != ' ' && invisible && isVisible(r) {
			t.Errorf("U+%04X is invisible and would be printed raw", r)
		}
		if isVisible(r) && (unicode.In(r, unicode.Bidi_Control) || !unicode.IsGraphic(r)) {
			t.Errorf("U+%04X is printed raw", r)
		}
		if unicode.Is(hidden, r) {
			count++
			if !isAssigned(r) || isVisible(r) {
				t.Errorf("U+%04X is hidden", r)
			}
		}
		if unicode.In(r, unicode.Cs, unicode.Noncharacter_Code_Point) && isAssigned(r) {
			t.Errorf("U+%04X is no character", r)
		}
	}
	assert.Equal(t, 137_991, count)
}
