package veilchart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The Go block of the README is what a newcomer copies: it is compiled, run, and must open what it sealed.
func TestReadmeExampleRuns(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 1, "the README has one block of Go")
	program := "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"time\"\n\n\t\"" + module + "/abe\"\n)\n\n" +
		"func main() {\n\tif err := readme(); err != nil {\n\t\tfmt.Println(err)\n\t\tos.Exit(1)\n\t}\n}\n\n" +
		"func readme() error {\n" + blocks[0][1] + "\tfmt.Println(string(record))\n\treturn err\n}\n"
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	out, err := exec.Command("go", "run", file).CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, program)
	assert.Equal(t, "blood pressure 120/80\n", string(out))
}

// Every file and folder that the README, SECURITY and the documents link to is there.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("docs/*/*.md")
	require.NoError(t, err)
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	seen := 0
	for _, page := range append(pages, "README.md", "SECURITY.md", "CHANGELOG.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			_, err := os.Stat(filepath.Join(filepath.Dir(page), m[1]))
			assert.NoError(t, err, "%s links to %s", page, m[1])
		}
	}
	assert.Greater(t, seen, 10)
}

// The commands that the README gives are the ones that exist.
func TestReadmeCommandsExist(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	ci, err := os.ReadFile(".ci/run")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "\n    go run ./examples/ward\n")
	assert.Contains(t, string(readme), "\n    make test\n")
	assert.Regexp(t, `(?m)^test: ; bash \.ci/test$`, string(makefile))
	assert.Contains(t, string(ci), "make test")
	_, err = os.Stat("examples/ward/main.go")
	assert.NoError(t, err)
}
