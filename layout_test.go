package veilchart

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/veilchart/veilchart"

// leaves import none of each other. Their sub-packages (adapters, test suites) may import their own leaf.
var leaves = []string{"abe", "sse", "he", "dp", "keymgmt", "ledger"}

// ground may be imported by every package and imports no leaf.
var ground = []string{"internal/wire", "internal/pairing", "internal/vectors"}

// joiners are the trees in which leaves meet.
var joiners = []string{"bench", "examples", "internal/servers"}

// imports maps each folder of the workspace to the packages that its Go files import, tests apart and included.
// It parses the sources itself, so that the test cache sees changes.
func imports(t *testing.T) (shipped, tested map[string][]string) {
	t.Helper()
	shipped, tested = map[string][]string{}, map[string][]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(name))
		into := shipped
		if strings.HasSuffix(name, "_test.go") {
			into = tested
		}
		into[dir] = append(into[dir], "")
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			into[dir] = append(into[dir], p)
		}
		return nil
	})
	require.NoError(t, err)
	return shipped, tested
}

// under reports whether dir is one of the roots or below it, and which.
func under(dir string, roots []string) (string, bool) {
	i := slices.IndexFunc(roots, func(r string) bool { return dir == r || strings.HasPrefix(dir, r+"/") })
	if i < 0 {
		return "", false
	}
	return roots[i], true
}

// forbidden says why the package in dir must not import the package at p of this module, or returns "".
func forbidden(dir, p string) string {
	from, inLeaf := under(dir, leaves)
	to, toLeaf := under(p, leaves)
	_, toGround := under(p, ground)
	_, inGround := under(dir, ground)
	_, inJoiner := under(dir, joiners)
	_, inServers := under(p, []string{"internal/servers"})
	_, fromServers := under(dir, []string{"internal/servers", "bench"})
	switch {
	case inServers && !fromServers:
		return "servers are for tests and bench"
	case inJoiner:
		return ""
	case inGround && !toGround:
		return "the ground floor imports nothing above it"
	case inGround, toGround:
		return ""
	case inLeaf && toLeaf && from != to:
		return "leaves do not import each other"
	case inLeaf && dir == from && p != from:
		return "a leaf does not import its adapters"
	case inLeaf && toLeaf:
		return ""
	case dir == ".":
		return "the root package exports nothing and imports nothing of the module yet"
	}
	return "this folder has no place in the layout"
}

func TestWhoMayImportWhom(t *testing.T) {
	shipped, tested := imports(t)
	require.NotEmpty(t, shipped)
	for dir, list := range shipped {
		for _, p := range list {
			rel, ours := strings.CutPrefix(p, module+"/")
			if ours {
				assert.Empty(t, forbidden(dir, rel), "%s imports %s", dir, p)
			}
		}
	}
	for dir, list := range tested {
		from, inLeaf := under(dir, leaves)
		for _, p := range list {
			rel, ours := strings.CutPrefix(p, module+"/")
			if to, toLeaf := under(rel, leaves); ours && inLeaf && toLeaf {
				assert.Equal(t, from, to, "the tests of %s import %s: leaves meet only in examples and bench", dir, p)
			}
		}
	}
}

// A package named ...test is a test suite for others, and the ground floor's vectors and servers are for tests; every other package ships
// without testing code.
func TestShippedPackagesImportNoTestCode(t *testing.T) {
	shipped, _ := imports(t)
	for dir, list := range shipped {
		if strings.HasSuffix(dir, "test") || dir == "internal/vectors" || dir == "internal/servers" {
			continue
		}
		for _, p := range list {
			assert.NotContains(t, []string{"testing", "testing/quick", "pgregory.net/rapid"}, p, "%s", dir)
			assert.NotContains(t, p, "stretchr/testify", "%s", dir)
			if _, ours := strings.CutPrefix(p, module+"/"); ours {
				assert.False(t, strings.HasSuffix(p, "test"), "%s imports %s", dir, p)
			}
		}
	}
}

// Library packages do not log, exit, read the environment or flags.
func TestLibrariesKeepQuiet(t *testing.T) {
	shipped, _ := imports(t)
	for dir, list := range shipped {
		if _, ok := under(dir, leaves); !ok || strings.HasSuffix(dir, "test") {
			continue
		}
		for _, p := range list {
			assert.NotContains(t, []string{"log", "flag", "math/rand", "math/rand/v2", "unsafe"}, p, "%s", dir)
		}
	}
}

func TestFoldersHaveAPlace(t *testing.T) {
	shipped, tested := imports(t)
	known := append([]string{"."}, slices.Concat(leaves, ground, joiners)...)
	for _, dirs := range []map[string][]string{shipped, tested} {
		for dir := range dirs {
			_, ok := under(dir, known)
			assert.True(t, ok || dir == ".", "%s: a new folder has to earn its place", dir)
			for _, vague := range []string{"pkg", "utils", "util", "common", "types", "errors", "helpers", "helper"} {
				assert.NotEqual(t, vague, path.Base(dir), "%s", dir)
			}
		}
	}
}

// The rules above refuse what they are there to refuse.
func TestForbiddenKnowsTheRules(t *testing.T) {
	for _, c := range []struct {
		dir, imp string
		ok       bool
	}{
		{"abe", "internal/wire", true}, {"abe", "internal/pairing", true}, {"abe", "sse", false}, {"he", "dp", false},
		{"sse/postgres", "sse", true}, {"sse", "sse/postgres", false}, {"sse/postgres", "ledger", false},
		{"examples/ward", "abe", true}, {"bench", "he", true}, {"internal/wire", "abe", false}, {"internal/pairing", "internal/wire", true},
		{".", "abe", false}, {"utils", "abe", false}, {"internal/servers", "ledger/ipfs", true},
		{"sse/postgres", "internal/servers", false}, {"examples/ward", "internal/servers", false}, {"bench", "internal/servers", true},
	} {
		assert.Equal(t, c.ok, forbidden(c.dir, c.imp) == "", "%s importing %s", c.dir, c.imp)
	}
}
