package sse

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every way to be wrong: the mark ‸ stands at the offset of the error, and the message has these words. Those behind the empty
// entry fit the language but not the schema.
func TestParseQueryErrors(t *testing.T) {
	schema := false
	for _, c := range [][2]string{
		{"‸", `expected a clause such as diagnosis:I10, found the end`},
		{"  ‸", `found the end`},
		{"‸diabetes", `found "diabetes"; say in which field: write its name and a colon in front`},
		{`‸"chest pain"`, `say in which field`},
		{"‸AND age:5", `AND stands between two clauses`},
		{"age:5 AND ‸", `found the end`},
		{"age:5 AND ‸OR age:6", `OR stands between two clauses`},
		{"‸not age:5", `write NOT in capitals`},
		{"NOT ‸", `found the end`},
		{"‸-age:5", `there are no signs for clauses`},
		{"age:5 ‸-note:x", `there are no signs for clauses`},
		{"‸!age:5", `write NOT`},
		{"‸:5", `the name of a field stands in front of the colon`},
		{"‸*", `all documents are *:*`},
		{"*:*‸x", `put a space behind the value`},
		{"‸age", `say in which field`},
		{"‸age>=5", `a comparison is written behind a colon, such as age:>=50`},
		{"‸note=fever", `a comparison is written behind a colon, such as note:fever`},
		{"‸aeg>5", `such as aeg:>=50`},
		{"‸age：5", `the colon behind a name is the one of ASCII`},
		{"‸（age:5)", `it is not the character (, which may be meant`},
		{"‸\ufeffage:5", `the invisible U+FEFF`},
		{"‸\xff", `write the text in UTF-8`},

		{"age:‸", `expected a whole number for field age such as 50, found the end`},
		{"age:5 ‸age:6", `expected AND, OR, NOT or the end, found "age"; put AND or OR between two clauses`},
		{"age:5 ‸(age:6)", `put AND or OR between two clauses`},
		{"age:5 ‸*:*", `put AND or OR between two clauses`},
		{"diagnosis:chest ‸pain", `a value of several words stands in double quotes, or has "\ " for a space`},
		{`diagnosis:chest ‸"pain"`, `a value of several words stands in double quotes`},
		{"diagnosis:(a ‸b)", `expected AND, OR, NOT or ")", found "b"`},
		{"age:5 ‸and age:6", `write AND in capitals`},
		{"age:5 ‸Or age:6", `write OR in capitals`},
		{"age:5 AND ‸not age:6", `write NOT in capitals`},
		{"diagnosis:(not ‸a)", `write NOT in capitals`},
		{"age:5 ‸AND*:*", `put a space behind AND`},
		{"age:5 ‸TO 6", `a range is written in brackets`},
		{"age:5 ‸&& age:6", `write AND or OR`},
		{"age:5 ‸|| age:6", `write AND or OR`},
		{"age:5 ‸! age:6", `write NOT`},
		{"age:5 ‸, age:6", `a list is written with OR`},
		{"note:smith ‸~1", `~ stands right behind the word`},
		{"age:5 AND age:6 ‸OR age:7", `write one of [(age:5 AND age:6) OR ...] and [age:5 AND (age:6 OR ...)]`},
		{"age:5 OR age:6 ‸AND age:7", `write one of [(age:5 OR age:6) AND ...] and [age:5 OR (age:6 AND ...)]`},
		{"age:5 OR age:6 ‸NOT age:7", `write one of [(age:5 OR age:6) NOT ...] and [age:5 OR (age:6 NOT ...)]`},
		{"age:5 NOT age:6 ‸OR age:7", `write one of [(age:5 NOT age:6) OR ...] and [age:5 NOT (age:6 OR ...)]`},
		{"age:5 AND NOT age:6 ‸OR age:7", `write one of [(age:5 AND NOT age:6) OR ...] and [age:5 AND (NOT age:6 OR ...)]`},
		{"diagnosis:(a OR b OR c ‸AND d)", `write one of [(a OR b OR c) AND ...] and [a OR b OR (c AND ...)]`},
		{"(age:5‸", `expected AND, OR, NOT or ")", found the end; close the parenthesis of byte 0`},
		{"age:(5 OR 6‸", `close the parenthesis of byte 4`},
		{"age:5‸)", `this parenthesis was never opened: remove it`},
		{"(‸)", `there is nothing inside the parentheses`},
		{"diagnosis:(‸)", `expected a keyword for field diagnosis such as I10, found ")"`},
		{"diagnosis:(a OR b‸:c)", `a colon stands behind the name of a field; in a value it is written \:`},
		{"diagnosis:a‸:b", `in a value it is written \:`},
		{"diagnosis:a‸^2", `there are no boosts; in a value it is written \^`},
		{"diagnosis:a‸&b", `in a value it is written \&`},
		{"diagnosis:a‸!b", `write NOT; in a value it is written \!`},
		{"diagnosis:a‸,b", `a list is written with OR, such as name:(a OR b); in a value it is written \,`},
		{`diagnosis:a‸"b"`, `double quotes stand around a whole value; a " in it is written \"`},
		{`diagnosis:"a"‸b`, `put a space behind the value`},
		{`diagnosis:"a"‸"b"`, `a " in it is written \"`},
		{"diagnosis:a‸=b", `in a value it is written \=`},
		{"diagnosis:a‸]", `this bracket was never opened`},
		{"diagnosis:‸]", `this bracket was never opened`},
		{"diagnosis:a‸[b", `put a space behind the value`},
		{"diagnosis:‸'a'", `use the double quote "; at the beginning of a value it is written \'`},
		{"diagnosis:‸“a”", `use the double quote "`},
		{"diagnosis:a‸，b", `it is not the character ,, which may be meant; in a value it is written \，`},
		{"diagnosis:‸（a）", `it is not the character (, which may be meant`},
		{"diagnosis:a‸\u3000b", `found the invisible U+3000; leave it out; in a value it is written \u{3000}`},
		{"diagnosis:a‸\x00b", `the invisible U+0000`},
		{"diagnosis:a‸\xffb", `write the text in UTF-8`},
		{"diagnosis:\"a‸\nb\"", `in a value it is written \u{a}`},
		{"diagnosis:\"a‸\xff\"", `write the text in UTF-8`},
		{`diagnosis:"a b‸`, `expected the closing ", found the end; close the value that begins at byte 10`},
		{`diagnosis:"a‸\nb"`, `inside double quotes the escapes are \", \\ and \u{...}`},
		{`diagnosis:"a‸\*b"`, `inside double quotes the escapes are`},
		{`diagnosis:a‸\nb`, `a backslash stands in front of a character that is to have no meaning`},
		{`diagnosis:a‸\5`, `a backslash is written \\`},
		{`diagnosis:a‸\é`, `a backslash is written \\`},
		{`diagnosis:a‸\`, `expected an escape`},
		{`diagnosis:‸\u{110000}`, `one to six hexadecimal digits of a Unicode character`},
		{`diagnosis:‸\u{d800}`, `one to six hexadecimal digits`},
		{`diagnosis:‸\u{}`, `one to six hexadecimal digits`},
		{`diagnosis:‸\u{0000041}`, `one to six hexadecimal digits`},
		{`diagnosis:‸\u0041`, `a backslash is written \\`},
		{`diagnosis:‸\x{ff}`, `values are text in UTF-8`},
		{`diagnosis:"a"‸*`, `wildcards stand in values without quotes; a space there is written "\ "`},
		{`note:"a b"‸~2`, `words in quotes have no distance`},
		{"note:smith~‸3", `expected 1, 2 or nothing, found "3"`},
		{"note:smith~‸0.8", `found "0.8"`},
		{"note:smith~1‸^2", `there are no boosts`},
		{"note:smi*‸~1", `a pattern with * or ? has no distance`},
		{"note:‸~1", `expected a word for field note such as fever, found "~"`},
		{"diagnosis:/dia‸", `expected the closing /, found the end; close the regular expression that begins at byte 10`},
		{`diagnosis:/dia\/‸`, `inside it write \/ for /`},
		{"diagnosis:/dia/‸i", `options stand inside the expression`},
		{"diagnosis:‸/d(ia/", "expected a regular expression, found \"/d(ia/\"; missing closing ) at \"d(ia\": correct it"},
		{"diagnosis:/d‸\nia/", `the invisible U+000A`},
		{"diagnosis:‸regexp(\"*\")", `expected a regular expression`},
		{"diagnosis:‸foo(\"a\")", `expected sounds(, wildcard( or regexp(, or a space behind the value, found "foo("`},
		{"patient:sounds(‸meier)", `write it such as patient:sounds("...")`},
		{`patient:sounds("meier" ‸`, `sounds takes one text in double quotes`},
		{`patient:sounds("meier"‸, "m")`, `sounds takes one text in double quotes`},
		{`patient:sounds("meier")‸x`, `put a space behind the value`},
		{"age:[5‸, 7]", `expected TO with spaces around it, found ","; write [50 TO *], with TO in capitals and * for an open end`},
		{"age:[5 ‸to 7]", `with TO in capitals`},
		{"age:[5‸]", `expected TO with spaces around it`},
		{"age:[5 TO 7‸", `expected ] or }, found the end`},
		{"age:[5 TO 7 ‸8]", `expected ] or }`},
		{"age:[5 TO 7]‸8", `put a space behind the value`},
		{"age:[ ‸TO 7]", `an open end is *`},
		{"age:>‸", `found the end`},
		{"age:>=‸*", `any value at all is age:*`},
		{"age:‸=5", `leave = out: the colon says it, as in age:50; comparisons are >=, <=, > and <`},
		{"age:‸==5", `leave = out`},
		{"age:‸!=5", `write NOT in front of the field, as in NOT age:50`},
		{"", ""},
		{"‸nmae:x", `expected a field of the schema, found "nmae"; did you mean note?`},
		{"‸Diagnoses:x", `found "Diagnoses"; did you mean diagnosis?`},
		{"‸zzzzzz:x", `the schema has diagnosis, age, delta`},
		{"‸_exists_:x", `names of fields are lower-case letters`},
		{"‸" + strings.Repeat("a", 65) + ":x", `names of fields are lower-case letters`},
		{"diagnosis:‸AND", `AND has a meaning of its own: as a value it is written \AND`},
		{"diagnosis:(a OR ‸OR)", `as a value it is written \OR`},
		{"diagnosis:‸TO", `as a value it is written \TO`},
		{`diagnosis:‸""`, `an empty keyword cannot be found`},
		{"diagnosis:‸true", `index a word such as "smoker"`},
		{"diagnosis:" + "‸" + strings.Repeat("x", 1025), `1024 is the limit for keywords`},
		{"note:‸...", `expected a word for field note such as fever, found "..."; there is no word to look for in "..."`},
		{`note:‸"chest pain"`, `write note:chest\ pain for all of its words in any order`},
		{`memo:‸""`, `there is no word to look for`},
		{"age:‸abc", `expected a whole number for field age such as 50, found "abc"; write digits`},
		{"age:‸05", `without leading zeros`},
		{"age:‸-0", `without leading zeros`},
		{"age:‸1.5", `write digits`},
		{"age:‸1e3", `write digits`},
		{"age:‸99999999999999999999", `it does not fit into 64 bits`},
		{"age:‸121", `121 is outside the declared interval, 0 to 120`},
		{"age:(5 OR ‸x)", `found "x"`},
		{"age:‸5*", `fields of type integer have no patterns and no typing errors: look for a whole value or a range, such as age:>=50`},
		{"age:‸5~", `no patterns and no typing errors`},
		{"uid:‸0f*", `fields of type bytes have no patterns and no typing errors: look for a whole value`},
		{"age:‸/5/", `no patterns`},
		{"born:‸2023-02-29", `expected a day for field born such as 2006-01-02, found "2023-02-29"; write year-month-day, a day of the calendar`},
		{"born:‸04.05.1961", `write year-month-day`},
		{"born:‸1961-5-4", `write year-month-day`},
		{"born:‸0000-01-01", `write year-month-day`},
		{"dose:‸1e3", `expected a decimal number for field dose such as 1.25, found "1e3"; write digits with a point`},
		{"dose:‸.5", `write digits with a point`},
		{"dose:‸1.555", `more than 2 digits after the point`},
		{"dose:[0 TO ‸1.555]", `more than 2 digits after the point`},
		{"seen:‸2024-01-01", `expected a time for field seen such as 2006-01-02T15:04:05Z, found "2024-01-01"; write date, T, hours`},
		{"seen:‸2024-01-01T10:00:00.5Z", `whole seconds`},
		{"seen:‸2024-01-01T1:00:00Z", `whole seconds`},
		{"seen:‸2024-01-01T10:00:00", `the offset from UTC`},
		{"seen:‸0001-01-01T00:00:00+01:00", `in UTC it is not in the years 1 to 9999`},
		{"uid:‸0f3", `expected hexadecimal digits for field uid such as 0f3a, found "0f3"; write an even number`},
		{"uid:‸zz", `an even number of hexadecimal digits`},
		{`uid:‸""`, `it takes 1 to 128`},
		{"diagnosis:‸[a TO b]", `fields of type keyword have no order and no ranges`},
		{"note:‸>a", `fields of type text have no order and no ranges`},
		{"age:[7 TO ‸5]", `expected a value from 7 on, found "5"; the range ends before it begins: swap its ends`},
		{"dose:[1.2 TO ‸1.1]", `swap its ends`},
		{"age:‸{5 TO 6}", `there is no value between the ends`},
		{"age:‸[5 TO 5}", `there is no value between the ends`},
		{"delta:‸>9223372036854775807", `there is no value between the ends`},
		{"delta:‸<-9223372036854775808", `there is no value between the ends`},
		{"born:‸>9999-12-31", `there is no value between the ends`},
		{"seen:‸<0001-01-01T00:00:00Z", `there is no value between the ends`},
		{"age:[‸5* TO 7]", `a range has no patterns; an open end is *`},
		{"age:[‸x TO 7]", `found "x"`},
		{"age:>=‸x", `found "x"`},
		{"plain:‸a*", `it cannot be searched by prefix: add a field with Prefix`},
		{"plain:‸a?b", `it cannot be searched with wildcards: add a field with Prefix`},
		{"plain:‸/a/", `it cannot be searched by regular expressions: add a field with Prefix`},
		{"plain:‸*a*", `it cannot be searched with wildcards: add a field with Prefix`},
		{"plain:‸a~", `it cannot be searched with typing errors: add a field with Fuzzy`},
		{"code:‸*a*", `is too short: give at least three characters in a row`},
		{"note:‸sounds(\"a\")", `text fields cannot be searched by sound: add a field of type name`},
		{`diagnosis:‸wildcard("")`, `a pattern is not empty`},
		{`diagnosis:‸wildcard("\\a")`, `has a backslash only in front of *, ? and another backslash`},
		{`diagnosis:‸regexp("")`, `a regular expression says what the whole word looks like`},
		{"diagnosis:‸//", `write one such as /dia.*/`},
	} {
		if c[0] == "" {
			schema = true
			continue
		}
		offset := strings.Index(c[0], "‸")
		text := strings.Replace(c[0], "‸", "", 1)
		_, err := ParseQuery(parseSchema, text)
		var e *SyntaxError
		if assert.ErrorAs(t, err, &e, "%q", text) {
			checkSyntaxError(t, text, err)
			assert.Equal(t, offset, e.Offset, "%q: %v", text, err)
			assert.ErrorContains(t, err, c[1], "%q", text)
			if schema {
				assert.ErrorIs(t, err, ErrSchema, text)
			}
		}
	}
}

const queryVectors = 40 + 70

// Texts, and what they are printed as or where they are wrong, under parseSchema, which docs/spec/sse-query.md repeats.
func TestVectorsQuery(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v1", "query-*.json"))
	require.NoError(t, err)
	require.Len(t, files, queryVectors, "vectors are only ever added, and counted here")
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var v struct {
			Class, Text, Print string
			Offset             int
		}
		require.NoError(t, json.Unmarshal(b, &v))
		q, err := ParseQuery(parseSchema, v.Text)
		switch v.Class {
		case "success":
			require.NoError(t, err, file)
			require.Equal(t, v.Print, q.String(), file)
		case "refused":
			var e *SyntaxError
			require.ErrorAs(t, err, &e, file)
			require.Equal(t, v.Offset, e.Offset, file)
		default:
			require.Fail(t, "unknown class")
		}
	}
}
