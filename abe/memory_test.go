package abe

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allocated returns the bytes that f allocates in one run, whatever is freed in between.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	least := uint64(1 << 62)
	for range 3 { // other goroutines may allocate meanwhile
		runtime.GC()
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// repeated joins up to 256 texts, as many as a policy holds.
func repeated(separator string, text func(i int) string) string {
	var parts []string
	for i := range maxLeaves {
		parts = append(parts, text(i))
	}
	for len(strings.Join(parts, separator)) > maxText {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, separator)
}

// hostilePolicies are texts that cost much.
func hostilePolicies() map[string]string {
	nested := "x0"
	for i := 1; i <= maxDepth; i++ {
		nested = fmt.Sprintf("(%s or y%d or z%d)", nested, i, i)
	}
	return map[string]string{
		"flags":       repeated(" or ", func(i int) string { return fmt.Sprintf("a%d", i) }),
		"lists":       "2 of (" + repeated(", ", func(i int) string { return fmt.Sprintf("a%d", i) }) + ")",
		"nested":      nested,
		"values":      repeated(" or ", func(i int) string { return fmt.Sprintf("a = x%d", i) }),
		"ranges":      repeated(" or ", func(i int) string { return fmt.Sprintf("a in %d..%d", i%10, 10+i%10) }),
		"comparisons": repeated(" and ", func(i int) string { return fmt.Sprintf("n%d > %d", i%maxNames, i) }),
		"escapes":     repeated(" or ", func(i int) string { return fmt.Sprintf(`a = "\"%d"`, i) }),
		"not escaped": repeated(" or ", func(i int) string { return fmt.Sprintf(`a="\u{61}%d"`, i) }),
		"list":        "a in (" + repeated(",", func(i int) string { return fmt.Sprintf("x%d", i) }) + ")",
		"not":         repeated(" or ", func(i int) string { return fmt.Sprintf("not a%d=x", i%100) }),
		"not not":     repeated(" and ", func(i int) string { return "not not a" + fmt.Sprint(i) }),
		"not or":      repeated(" and ", func(i int) string { return fmt.Sprintf("not(a%d or b%d)", i, i) }),
		"long value":  `a = "` + strings.Repeat(`\"`, maxValue) + `" or b = "` + strings.Repeat(`ä`, maxValue/2) + `"`,
		"no policy":   strings.Repeat("or and , ", maxText/9),
	}
}

// What a header can make us allocate before anything in it was checked: a policy, its declarations and the count of its leaves.
func TestPolicyMemory(t *testing.T) {
	for name, text := range hostilePolicies() {
		require.LessOrEqual(t, len(text), maxText, name)
		var p *Policy
		var err error
		n := allocated(func() { p, err = ParsePolicy(text) })
		t.Logf("%s: %d bytes of text, %d allocated, %v", name, len(text), n, err)
		assert.Less(t, n, uint64(40<<10), name)
		if err == nil {
			v := declareFor(p)
			n = allocated(func() { _, _, err = p.size(v) })
			t.Logf("%s: %d allocated for the size, %v", name, n, err)
			assert.Less(t, n, uint64(12<<10), name)
		}
	}
	for name, text := range hostileVocabularies() {
		var v *Vocabulary
		var err error
		n := allocated(func() { v, err = ParseVocabulary(text) })
		require.NoError(t, err, name)
		canonical := v.String()
		again := allocated(func() { v, err = ParseVocabulary(canonical) })
		require.NoError(t, err)
		t.Logf("%s: %d bytes of text, %d allocated; canonical %d and %d", name, len(text), n, len(canonical), again)
		assert.Less(t, again, uint64(28<<10), name)
		assert.Less(t, n, uint64(28<<10+5*len(canonical)), name)
	}
}

func hostileVocabularies() map[string]string {
	var numbers, many, long []string
	for i := range maxNames {
		numbers = append(numbers, fmt.Sprintf("n%03d: number 0..%d\n", i, i+1))
	}
	for i := range maxValues {
		many = append(many, fmt.Sprintf("v%04d", i))
		long = append(long, fmt.Sprintf(`"%04d %s"`, i, strings.Repeat("x", 50)))
	}
	backwards := slices.Clone(many)
	slices.Reverse(backwards)
	return map[string]string{
		"numbers":   strings.Join(numbers, ""),
		"values":    "a: one of " + strings.Join(many, ", ") + "\n",
		"backwards": "a: many of " + strings.Join(backwards, ",") + "\n",
		"long":      "a: one of " + strings.Join(long, ", ") + "\n",
		"blank":     strings.Repeat("\n", maxVocabulary-8) + "a: flag",
	}
}

// Twice the text costs twice the tokens and about twice the memory; and the lexer passes every byte once.
func TestParsePolicyIsLinear(t *testing.T) {
	for _, unit := range []string{"a# or ", "((a#)) or ", "not a# and ", "a# in (b, c, d) or ", `a# = "\"" or `, "a# > 1 or ", "2 of (a#, b#, c#) and ",
		"(a# or b#) and ", "(a# and b#) and ", "2 of (a#, (b# or c# or not (d# or e#))) or "} {
		text := func(n int) string {
			s := ""
			for i := range n {
				s += strings.ReplaceAll(unit, "#", fmt.Sprint(100+i))
			}
			return s + "z"
		}
		tokens := func(text string) (tokens int) {
			l := lexer{text: text}
			for before := -1; ; tokens++ {
				tok, err := l.next()
				require.NoError(t, err)
				if tok.kind == tokenEnd {
					return tokens
				}
				require.Greater(t, l.off, before, "no progress")
				before = l.off
			}
		}
		const n = 24
		policyOf(t, text(2*n))
		assert.Equal(t, 2*(tokens(text(n))-1), tokens(text(2*n))-1)
		once, twice := allocated(func() { ParsePolicy(text(n)) })-allocated(func() { text(n) }), allocated(func() { ParsePolicy(text(2 * n)) })-allocated(func() { text(2 * n) })
		assert.LessOrEqual(t, twice, 2*once+1024, unit)
	}
}
