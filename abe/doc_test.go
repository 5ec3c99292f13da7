package abe

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example of the package comment is the one that is compiled and run, with "..." for what is done about errors.
func TestDocHoldsTheExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, code, found := strings.Cut(string(doc), "//\tvocabulary, err")
	require.True(t, found)
	code, _, found = strings.Cut("//\tvocabulary, err"+code, "//\n")
	require.True(t, found)
	shown := strings.ReplaceAll(strings.ReplaceAll(code, "//\t", "\t"), "\t...\n", "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n")
	require.Greater(t, strings.Count(shown, "\n"), 20)
	require.Contains(t, string(source), "func Example() {\n"+shown)
}
