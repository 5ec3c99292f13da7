package abe

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVocabularyText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n\r\n \t\n", ""},
		{"a:flag", "a: flag\n"},
		{"b :\ttext\r\n\r\n a: flag", "a: flag\nb: text\n"},
		{"role: one of nurse,doctor, biller", "role: one of biller, doctor, nurse\n"},
		{`dept: many of "intensive care", "er", "2nd"` + "\n", "dept: many of \"2nd\", er, \"intensive care\"\n"},
		{`dept: many of "\u{e4}", "a\u{202e}b"`, "dept: many of \"a\\u{202e}b\", ä\n"},
		{"age: number -5..150\nborn: date 1900-01-01..2100-12-31", "age: number -5..150\nborn: date 1900-01-01..2100-12-31\n"},
		{"n: number -9223372036854775808..-1", "n: number -9223372036854775808..-1\n"},
		{"d: date 0001-01-01..9999-12-31", "d: date 0001-01-01..9999-12-31\n"},
		{"flag: flag\ntext: text\none: one of one\nmany: many of many\nnumber: number 0..1\ndate: date 1970-01-01..1970-01-02",
			"date: date 1970-01-01..1970-01-02\nflag: flag\nmany: many of many\nnumber: number 0..1\none: one of one\ntext: text\n"},
	} {
		c.want = strings.ReplaceAll(c.want, "ä\n", "\"ä\"\n")
		v, err := ParseVocabulary(c.text)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, v.String())
		again, err := ParseVocabulary(v.String())
		require.NoError(t, err)
		assert.Equal(t, c.want, again.String())
	}
	assert.Empty(t, (*Vocabulary)(nil).String())
}

func TestVocabularyRefuses(t *testing.T) {
	var names, values []string
	for i := range maxNames + 1 {
		names = append(names, fmt.Sprintf("n%d: flag", i))
	}
	for i := range maxValues + 1 {
		values = append(values, fmt.Sprintf("v%d", i))
	}
	for _, c := range []struct {
		text   string
		offset int
		want   string
	}{
		{"a", 1, "put a colon"},
		{"a flag", 2, "put a colon"},
		{"a\n: flag", 1, "put a colon"},
		{": flag", 0, "write = between"},
		{"a: flag: flag", 7, ""},
		{"a: flag b: flag", 8, "the end of the line"},
		{"a: flag,", 7, "the end of the line"},
		{"a: flag # comment", 8, "no comments"},
		{"# comment", 0, "no comments"},
		{"\"a\": flag", 0, "expected a name"},
		{"A: flag", 0, "lower case"},
		{"and: flag", 0, "keyword"},
		{"a: flags", 3, "flag, text, one of, many of, number or date"},
		{"a: Flag", 3, "flag, text, one of, many of, number or date"},
		{"a:", 2, "say what the values of a are"},
		{"a: 5", 3, "say what the values"},
		{"a: one", 6, "expected of"},
		{"a: one of", 9, "a value"},
		{"a: one of b,", 12, "a value"},
		{"a: one of b\n, c", 12, "expected a name"},
		{"a: one of b c", 12, "the end of the line"},
		{"a: one of 1, 2", 10, "put those that look like numbers in double quotes"},
		{"a: one of and", 10, "looks like a keyword"},
		{`a: one of ""`, 10, "no empty value"},
		{"a: flag\nb: one of c, d, c", 8, "remove one of the two c"},
		{`b: many of c, "\u{63}"`, 0, "remove one of the two c"},
		{"a: number", 9, "expected a range of numbers, found the end; write the range, without spaces in it, such as age: number 0..150"},
		{"a: number 5", 10, "a range of numbers"},
		{"a: number 0 .. 5", 10, "without spaces in it"},
		{"a: number (1, 2)", 10, "a range of numbers"},
		{"a: date", 7, "such as born: date 1900-01-01..2100-12-31"},
		{"a: date 1.1.1900..31.12.2000", 8, "dates are written year first"},
		{"a: number 0..150 years", 17, "the end of the line"},
		{"a: number 150..0", 10, "not above the last"},
		{"a: number 1..1", 10, "2 to 9223372036854775808 values"},
		{"a: number 0..1.5", 10, "integers"},
		{"a: number -1..9223372036854775807", 10, "2 to 9223372036854775808 values"},
		{"a: number 1900-01-01..2000-01-01", 10, "a range of numbers"},
		{"a: date 0..5", 8, "a range of dates"},
		{"a: date 2000-01-01..2000-02-30", 8, "calendar"},
		{"a: flag\nb: text\na: flag", 16, "each name once"},
		{"a: text\n\n\n  a: flag", 12, "each name once"},
		{strings.Join(names, "\n"), strings.Index(strings.Join(names, "\n"), "n128:"), "at most 128 names"},
		{"a: one of " + strings.Join(values, ","), strings.Index("a: one of "+strings.Join(values, ","), "v1024"), "at most 1024 values"},
		{strings.Repeat("\n", maxVocabulary+1), maxVocabulary, "at most 65536 bytes"},
		{"a: one of " + strings.Repeat("\"\u00e4\",", 3) + "x\xff", -1, ""},
	} {
		v, err := ParseVocabulary(c.text)
		var e *SyntaxError
		require.ErrorAs(t, err, &e, c.text)
		assert.Nil(t, v)
		if c.offset >= 0 {
			assert.Equal(t, c.offset, e.Offset, "%q: %v", abbreviate(c.text), err)
		}
		assert.ErrorContains(t, err, c.want)
	}
	text := "a: one of"
	for i := range 1000 {
		text += fmt.Sprintf(`,"%03d%s"`, i, strings.Repeat("x", 59))
	}
	_, err := ParseVocabulary(strings.Replace(text, ",", " ", 1))
	assert.ErrorContains(t, err, "66009 bytes in canonical form")
}

// What parses has one canonical text, which is all visible and parses to the same; nothing may follow a line.
func FuzzParseVocabulary(f *testing.F) {
	for _, text := range []string{wardVocabulary, "a: flag\nb: one of c, d\n", "a: number -5..5\r\n", "born : date 1900-01-01..2100-12-31", `x: many of "\u{202e}", "ä"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVocabulary(text)
		if err != nil {
			checkSyntaxError(t, text, err)
			return
		}
		canonical := v.String()
		require.LessOrEqual(t, len(canonical), maxVocabulary)
		for _, r := range canonical {
			require.True(t, r == '\n' || isVisible(r))
		}
		again, err := ParseVocabulary(canonical)
		require.NoError(t, err)
		require.Equal(t, canonical, again.String())
		require.True(t, again.isCanonical(canonical))
		require.Len(t, again.declarations, len(v.declarations))
		require.NoError(t, v.extends(v))
		for i := range v.declarations {
			a, b := v.declarations[i], again.declarations[i]
			a.off, b.off = 0, 0
			require.Equal(t, a, b)
			require.NotEqual(t, undeclared, v.find(a.name).is)
		}
		if canonical != "" && len(canonical) < maxVocabulary-8 {
			for _, more := range []string{" x", ",", ":", " 5", "\x00", " of", ";"} {
				_, err := ParseVocabulary(strings.TrimSuffix(canonical, "\n") + more)
				require.Error(t, err, more)
			}
		}
	})
}

// The authority refuses what would make comparison or negation dishonest.
func TestItemsRefuse(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	for _, c := range []struct {
		held []string
		want string
	}{
		{[]string{"age = 10", "age = 70"}, "attributes age = 10 and age = 70 cannot be issued together: a key has one value of what is declared age: number 0..150"},
		{[]string{"age = 10", "on-call", "age = 10"}, "age = 10 is given twice"},
		{[]string{"born = 1990-01-31", "born = 1990-02-01"}, "one value"},
		{[]string{"role = doctor", "dept = cardiology", "role = nurse"}, "attributes role = doctor and role = nurse cannot be issued together"},
		{[]string{"dept = oncology"}, "the vocabulary does not have this value"},
		{[]string{"role = docter"}, "the vocabulary does not have this value; it has role: one of biller, doctor, nurse"},
		{[]string{"role"}, "give it with a value"},
		{[]string{"project"}, "give it with a value"},
		{[]string{"on-call = yes"}, "give it without a value"},
		{[]string{"age = 151"}, "outside of the range that is declared, age: number 0..150"},
		{[]string{"age = -1"}, "outside of the range"},
		{[]string{"age = \"18\""}, "age is declared age: number 0..150; set Kind to Number, or use ParseAttribute(`age = 18`)"},
		{[]string{"age = \"018\""}, "give a number"},
		{[]string{"born = \"1990-01-31\""}, "set Kind to Date, or use ParseAttribute(`born = 1990-01-31`)"},
		{[]string{"on-call = 5"}, "give it without a value, of kind Text"},
		{[]string{"age = 1990-01-31"}, "give a number"},
		{[]string{"age"}, "give a number"},
		{[]string{"born = 18"}, "give a date"},
		{[]string{"born = 1899-12-31"}, "outside of the range"},
		{[]string{"role = 5"}, "give a text: set Kind to Text, or put the value in double quotes for ParseAttribute"},
		{[]string{"height = 180"}, "height is not declared; declare it in the vocabulary, such as height: number 0..150"},
		{[]string{"since = 2024-01-01"}, "such as since: date"},
		{[]string{"dept != psychiatry"}, "the authority itself adds"},
		{[]string{"site != north"}, "the authority itself adds"},
		{[]string{"site = north", "site"}, "as a flag"},
		{[]string{"site", "site = north"}, "as a flag"},
		{nil, "at least one attribute"},
	} {
		items, err := v.items(attributes(t, c.held...))
		assert.ErrorContains(t, err, c.want, c.held)
		assert.Empty(t, items)
	}
	_, err := v.items([]Attribute{{Name: "a", Value: "x", Kind: Not + 1}})
	assert.ErrorContains(t, err, "the kinds are")
	for _, value := range []string{"018", "+18", "-0", "", "1e3", "18 ", "0x12", "９"} {
		_, err := v.items([]Attribute{{Name: "age", Value: value, Kind: Number}})
		assert.ErrorContains(t, err, "cannot be used", value)
		_, err = ParseAttribute(Attribute{Name: "age", Value: value, Kind: Number}.String())
		assert.Error(t, err, value)
	}
	many := "dept: many of "
	for i := range maxItems {
		many += fmt.Sprintf("v%d, ", i)
	}
	_, err = vocabulary(t, strings.TrimSuffix(many, ", ")).items(attributes(t, "on-call"))
	assert.ErrorContains(t, err, "over the limit of 1024")
}

// A key with two values of a number passes tests that nobody should pass: that is why the authority refuses it. The lock itself would open.
func TestTwoAgesWouldPass(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	p := policyOf(t, "age >= 18 and age <= 65")
	both := atomsOf(t, v, attributes(t, "age = 10")...)
	assert.False(t, opens(t, p, v, both))
	for a := range atomsOf(t, v, attributes(t, "age = 70")...) {
		both[a] = true
	}
	assert.True(t, opens(t, p, v, both), "10 and 70 in one key")
	_, err := v.items(attributes(t, "age = 10", "age = 70"))
	assert.Error(t, err)
}

// Old keys and headers under a vocabulary that grew: negation fails closed where it has to.
func TestGrownVocabulary(t *testing.T) {
	old := vocabulary(t, "dept: many of cardiology, psychiatry\nrole: one of doctor, nurse\n")
	grown := vocabulary(t, "age: number 0..150\ndept: many of cardiology, oncology, psychiatry\nlevel: many of a, b\non-call: flag\nrole: one of doctor, nurse, student\n")
	require.NoError(t, grown.extends(old))
	oldKey := atomsOf(t, old, attributes(t, "dept = cardiology", "role = nurse")...)
	newKey := atomsOf(t, grown, attributes(t, "dept = cardiology", "role = nurse")...)
	student := atomsOf(t, grown, attributes(t, "dept = oncology", "role = student")...)

	notOncology := policyOf(t, "dept != oncology")
	assert.False(t, opens(t, notOncology, grown, oldKey), "a key from before oncology was known has not been issued the right to say so")
	assert.True(t, opens(t, notOncology, grown, newKey))
	assert.False(t, opens(t, notOncology, grown, student))
	assert.True(t, opens(t, policyOf(t, "dept != psychiatry"), grown, oldKey))

	notDoctor := policyOf(t, "role != doctor")
	assert.True(t, opens(t, notDoctor, grown, oldKey))
	assert.True(t, opens(t, notDoctor, grown, student))
	assert.False(t, opens(t, notDoctor, notDoctor.declarations(old), student), "a header from before students were known shuts them out")
	assert.True(t, opens(t, notDoctor, notDoctor.declarations(old), newKey))
}

// Changes after which old keys would pass where they must not, or could not be told from others, are refused, and what they would open is shown.
func TestExtends(t *testing.T) {
	old := vocabulary(t, wardVocabulary)
	for _, c := range []struct{ from, to, want string }{
		{"on-call: flag", "on-call: flag\nward: many of a, b\nheight: number 0..3\nsince: date 2000-01-01..2001-01-01\nx: flag\ny: text", ""},
		{"biller, ", "biller, student, ", ""},
		{"cardiology, ", "cardiology, oncology, ", ""},
		{"on-call: flag\n", "", "on-call cannot be removed"},
		{"role: one", "role: many", "role was declared one and cannot become many"},
		{"dept: many", "dept: one", "dept was declared many and cannot become one"},
		{"project: text", "project: one of a", "project was declared text and cannot become one"},
		{"project: text", "project: flag", "project was declared text"},
		{"number 0..150", "number 0..151", "age was declared age: number 0..150 and cannot get another range"},
		{"number 0..150", "number 1..150", "cannot get another range"},
		{"number 0..150", "date 1970-01-01..1970-05-31", "cannot become date"},
		{"date 1900-01-01", "date 1899-01-01", "cannot get another range"},
		{"biller, ", "", "role cannot lose its value biller"},
		{"cardiology, ", "", "dept cannot lose its value cardiology"},
		{"on-call: flag", "on-call: flag\nrank: one of a, b", "rank cannot be declared one now"},
	} {
		require.Contains(t, wardVocabulary, c.from)
		v := vocabulary(t, strings.Replace(wardVocabulary, c.from, c.to, 1))
		if c.want == "" {
			assert.NoError(t, v.extends(old))
		} else {
			assert.ErrorContains(t, v.extends(old), c.want)
		}
	}
	assert.NoError(t, (*Vocabulary)(nil).extends(nil))
	assert.ErrorContains(t, (*Vocabulary)(nil).extends(old), "cannot be removed")
	assert.ErrorContains(t, old.extends(nil), "role cannot be declared one now")
	assert.NoError(t, vocabulary(t, "age: number 0..150\ndept: many of a, b\n").extends(nil))

	// Why: a key with two roles, from when role was many or not declared, passes "not doctor" although its holder is one.
	p := policyOf(t, "role != doctor")
	for _, before := range []*Vocabulary{nil, vocabulary(t, "role: many of biller, doctor, nurse\n"), vocabulary(t, "role: text\n")} {
		both := atomsOf(t, before, attributes(t, "role = doctor", "role = nurse")...)
		assert.True(t, opens(t, p, old, both))
		assert.Error(t, old.extends(before))
	}
	// And under many, which may follow at any time, it does not.
	many := vocabulary(t, "role: many of biller, doctor, nurse\n")
	assert.False(t, opens(t, p, many, atomsOf(t, nil, attributes(t, "role = doctor", "role = nurse")...)))
	assert.NoError(t, many.extends(nil))
}

// A header's declarations are what its policy needs, in canonical form, and nothing else.
func TestDecodeDeclarations(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	for policy, want := range map[string]string{
		"role = doctor and on-call and dept in (cardiology, psychiatry) and project = x": "",
		"age >= 18 or role = doctor":               "age: number 0..150\n",
		"born < 2000-01-01 and age < 3":            "age: number 0..150\nborn: date 1900-01-01..2100-12-31\n",
		"role != doctor":                           "role: one of biller, doctor, nurse\n",
		"not (role = doctor or dept = psychiatry)": "dept: many of psychiatry\nrole: one of biller, doctor, nurse\n",
		"dept = cardiology and dept != psychiatry": "dept: many of cardiology, psychiatry\n",
		"not role != doctor":                       "",
		"not not role = doctor":                    "",
	} {
		p := policyOf(t, policy)
		assert.Equal(t, want, p.declarations(v).String(), policy)
		got, err := decodeDeclarations(p, want)
		require.NoError(t, err)
		assert.Equal(t, want, got.String())
		again, err := ParseVocabulary(want)
		require.NoError(t, err)
		assert.Equal(t, want, p.declarations(again).String())
		for _, bad := range []string{want + "\n", " " + want, want + "x: flag\n", "a: number 0..3\n" + want, strings.TrimSuffix(want, "\n") + " ", strings.Replace(want, ": ", ":", 1) + "\n", want + want} {
			if bad == want {
				continue
			}
			_, err := decodeDeclarations(p, bad)
			assert.Error(t, err, "%s: %q", policy, bad)
		}
	}
	for policy, bad := range map[string]string{
		"dept != psychiatry":           "dept: many of cardiology, psychiatry\n",
		"role = doctor":                "role: one of doctor\n",
		"on-call":                      "on-call: flag\n",
		"project = x":                  "project: text\n",
		"dept = cardiology or age > 3": "age: number 0..150\ndept: many of cardiology\n",
	} {
		_, err := decodeDeclarations(policyOf(t, policy), bad)
		assert.ErrorContains(t, err, "more of")
	}
	_, err := decodeDeclarations(policyOf(t, "age > 3"), strings.Repeat("\n", maxVocabulary+1))
	assert.ErrorContains(t, err, "over the limit")
}

// A vocabulary and a suite are texts in JSON, alone and in a header, and are read back.
func TestVocabularyAndSuiteInJSON(t *testing.T) {
	for _, text := range []string{wardVocabulary, "", "dept: many of \"intensive  care\", er\n"} {
		v := vocabulary(t, text)
		out, err := json.Marshal(v)
		require.NoError(t, err)
		want, err := json.Marshal(v.String())
		require.NoError(t, err)
		assert.Equal(t, string(want), string(out))
		again := new(Vocabulary)
		require.NoError(t, json.Unmarshal(out, again))
		assert.Equal(t, v.String(), again.String())
		assert.Equal(t, v.find("dept").values, again.find("dept").values)
	}
	kept := vocabulary(t, "a: flag")
	var syntax *SyntaxError
	require.ErrorAs(t, json.Unmarshal([]byte(`"a: flag\nb: number"`), kept), &syntax)
	assert.Equal(t, 17, syntax.Offset)
	assert.Equal(t, "a: flag\n", kept.String(), "as it was")

	v := vocabulary(t, wardVocabulary)
	for suite, name := range map[Suite]string{FABEO: `"FABEO"`, TKN20: `"TKN20"`} {
		header := Header{Suite: suite, Policy: policyOf(t, "age >= 18"), Vocabulary: policyOf(t, "age >= 18").declarations(v)}
		out, err := json.Marshal(header)
		require.NoError(t, err)
		assert.Contains(t, string(out), `"Suite":`+name)
		assert.Contains(t, string(out), `"Vocabulary":"age: number 0..150\n"`)
		var again Header
		require.NoError(t, json.Unmarshal(out, &again))
		assert.Equal(t, suite, again.Suite)
		assert.NoError(t, again.Vocabulary.Check(again.Policy))
	}
	suite := TKN20
	for _, bad := range []string{`"fabeo"`, `""`, `"unknown suite 3"`, `1`} {
		assert.Error(t, json.Unmarshal([]byte(bad), &suite), bad)
		assert.Equal(t, TKN20, suite)
	}
}
