package sse

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example of the package comment is the one that is compiled and run.
func TestDocHoldsTheExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	var shown []string
	for line := range strings.Lines(string(doc)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			shown = append(shown, "\t"+code)
		}
	}
	require.Greater(t, len(shown), 20)
	require.Contains(t, string(example), strings.Join(shown, ""))
}
