package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is published is what the raw files give, and nothing is published without a raw file.
func TestPublishedNumbersHaveARawFile(t *testing.T) {
	want, err := pages("results")
	require.NoError(t, err)
	require.NotEmpty(t, want, "bench/results has no raw file: measure with -o and put one there")
	published, err := filepath.Glob("../docs/bench/*")
	require.NoError(t, err)
	assert.Len(t, published, len(want), "one page for each raw file: go run ./bench docs")
	for _, name := range published {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, string(want[filepath.Base(name)]), string(got), "%s is not what its raw file gives: go run ./bench docs", name)
	}
}

func TestPagesAreMadeFromRawFiles(t *testing.T) {
	dir := t.TempDir()
	results, docs := filepath.Join(dir, "results"), filepath.Join(dir, "docs")
	require.NoError(t, os.Mkdir(results, 0o755))
	assert.ErrorContains(t, writePages(results, docs, &bytes.Buffer{}), "has no raw file")
	raw, err := os.ReadFile("measure/testdata/raw.txt")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(results, "made-up.txt"), raw, 0o600))
	var out bytes.Buffer
	require.NoError(t, writePages(results, docs, &out))
	got, err := os.ReadFile(filepath.Join(docs, "made-up.md"))
	require.NoError(t, err)
	table, err := os.ReadFile("measure/testdata/table.txt")
	require.NoError(t, err)
	assert.Contains(t, string(got), "```text\n"+string(table)+"```\n")
	assert.Contains(t, string(got), "- commit: abc\n- cpu: a: b\n- first\n- second: third\n")
	assert.Contains(t, string(got), "[made-up.txt](../../bench/results/made-up.txt)")

	// Another run of the same suite, on the other back end, is a page of its own.
	other := bytes.ReplaceAll(raw, []byte("commit: abc"), []byte("commit: def"))
	require.NoError(t, os.WriteFile(filepath.Join(results, "made-up-circl.txt"), other, 0o600))
	require.NoError(t, writePages(results, docs, &out))
	again, err := os.ReadFile(filepath.Join(docs, "made-up.md"))
	require.NoError(t, err)
	assert.Equal(t, string(got), string(again))
	second, err := os.ReadFile(filepath.Join(docs, "made-up-circl.md"))
	require.NoError(t, err)
	assert.Contains(t, string(second), "# Benchmarks: made-up-circl\n")
	assert.Contains(t, string(second), "- commit: def\n")

	require.NoError(t, os.WriteFile(filepath.Join(results, "damaged.txt"), append(raw, "more"...), 0o600))
	assert.ErrorContains(t, writePages(results, docs, &out), "damaged.txt")
	require.NoError(t, os.WriteFile(filepath.Join(results, "damaged.txt"), []byte("commit: abc\n"), 0o600))
	assert.ErrorContains(t, writePages(results, docs, &out), "there is no sample in it")
}
