package sse

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// genExpression draws regular expressions over few characters, among them such of two and three bytes.
func genExpression(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{"a", "b", "é", "咳", ".", "[a-c]", "[^a]", "(?i:É)", "\\x{54b3}", "^", "$", "", "[à-ü]", "\\pL", "[^\\x00-\\x{10FFFF}]", "(?s:.)"}).Draw(t, "atom")
	}
	x := genExpression(t, depth-1)
	switch rapid.IntRange(0, 7).Draw(t, "op") {
	case 0:
		return "(?:" + x + ")*"
	case 1:
		return "(" + x + ")+?"
	case 2:
		return "(?:" + x + ")?"
	case 3:
		return "(?:" + x + "){1,3}"
	case 4, 5:
		return x + genExpression(t, depth-1)
	case 6:
		return "(?:" + x + "|" + genExpression(t, depth-1) + ")"
	}
	return x
}

// An expression accepts what package regexp matches from the first to the last byte, word by word and in a transducer.
func TestExpressionAgainstRegexp(t *testing.T) {
	words := []string{"a", "b", "ab", "aa", "aab", "abab", "é", "aé", "éa", "咳", "咳嗽", "a咳a", "ba", "bab", "É", "ü", "abcabc", "ccc", "\n", "a\nb"}
	slices.Sort(words)
	fst, err := encodeVocab(words)
	require.NoError(t, err)
	v, err := decodeVocab(fst)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		text := genExpression(t, rapid.IntRange(0, 5).Draw(t, "depth"))
		e, err := newExpression(text)
		require.NoError(t, err, text)
		whole := regexp.MustCompile("\\A(?:" + text + ")\\z")
		var want []string
		for _, w := range words {
			if whole.MatchString(w) {
				want = append(want, w)
			}
		}
		for range 2 { // states are made the first time
			got, err := v.match(e, "", 100)
			require.NoError(t, err)
			require.Equal(t, want, got, "%q in the transducer", text)
			got, err = (&vocabulary{words: words}).match(e, "", 100)
			require.NoError(t, err)
			require.Equal(t, want, got, "%q in the list", text)
		}
		for _, prefix := range []string{"a", "咳", "\xe5"} {
			some, err := v.match(e, prefix, 100)
			require.NoError(t, err)
			require.Equal(t, len(slices.DeleteFunc(slices.Clone(want), func(w string) bool { return !strings.HasPrefix(w, prefix) })), len(some))
		}
	})
}

// An expression that takes too many steps or states is an error, in time that does not depend on the vocabulary.
func TestExpressionsAreBounded(t *testing.T) {
	// After n characters there are 2^n sets of places where the last a may have been.
	e, err := newExpression("(?:a|b)*a(?:a|b){14}")
	require.NoError(t, err)
	var words []string
	for i := range 1 << 15 {
		w := make([]byte, 15)
		for j := range w {
			w[j] = "ab"[i>>j&1]
		}
		words = append(words, string(w))
	}
	slices.Sort(words)
	_, err = (&vocabulary{words: words}).match(e, "", 1<<20)
	require.ErrorIs(t, err, ErrTooBroad)
	require.LessOrEqual(t, len(e.states), maxStates)
	fst, err := encodeVocab(words)
	require.NoError(t, err)
	v, err := decodeVocab(fst)
	require.NoError(t, err)
	e, err = newExpression("(?:a|b)*a(?:a|b){14}")
	require.NoError(t, err)
	_, err = v.match(e, "", 1<<20)
	require.ErrorIs(t, err, ErrTooBroad)
	// Steps count as well, also where there are few states.
	e, err = newExpression("(?:a|b)*")
	require.NoError(t, err)
	e.work = maxSteps - 1000
	_, err = v.match(e, "", 1<<20)
	require.ErrorIs(t, err, ErrTooBroad)

	for _, text := range []string{"a(", `\bx`, `x\B`, "(?m)^a", "(?m)a$", "a{2000}", strings.Repeat("(a{100}b{100}){5}", 20)} {
		_, err := newExpression(text)
		require.Error(t, err, text)
	}
	// What is refused for its length would have been one.
	_, err = syntax.Parse(strings.Repeat("(a{100}b{100}){5}", 20), syntax.Perl)
	require.NoError(t, err)
}
