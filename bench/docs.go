package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/veilchart/veilchart/bench/measure"
)

// docsCommand makes the pages of docs/bench from the raw files in bench/results, which are all that they are made from.
const docsCommand = "docs"

func docsMain(stdout, stderr io.Writer) int {
	root, err := moduleDir(context.Background())
	if err == nil {
		err = writePages(filepath.Join(root, "bench", "results"), filepath.Join(root, "docs", "bench"), stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench %s: %v\n", docsCommand, childError(err))
		return 1
	}
	return 0
}

func writePages(results, docs string, stdout io.Writer) error {
	list, err := pages(results)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("%s has no raw file: measure with -o and put one there", results)
	}
	if err := os.MkdirAll(docs, 0o755); err != nil {
		return err
	}
	for name, content := range list {
		if err := replace(filepath.Join(docs, name), content); err != nil {
			return err
		}
		fmt.Fprintln(stdout, filepath.Join(docs, name))
	}
	return nil
}

// pages returns a page for each raw file: abe.md for abe.txt.
func pages(results string) (map[string][]byte, error) {
	names, err := filepath.Glob(filepath.Join(results, "*.txt"))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		content, err := page(filepath.Base(name), raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".txt")+".md"] = content
	}
	return out, nil
}

// page is a table of a raw file with the head of the file above it.
func page(name string, raw []byte) ([]byte, error) {
	settings, lines, err := measure.ReadRaw(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, errors.New("there is no sample in it")
	}
	var b bytes.Buffer
	title := strings.TrimSuffix(name, ".txt")
	fmt.Fprintf(&b, "# Benchmarks: %s\n\nMade by `go run ./bench %s` from [%s](../../bench/results/%s) and from nothing else. What is measured and what is not comparable is\n"+
		"in [bench/README.md](../../bench/README.md).\n\n", title, docsCommand, name, name)
	for _, s := range settings {
		if s.Key == noteKey {
			fmt.Fprintf(&b, "- %s\n", s.Value)
		} else {
			fmt.Fprintf(&b, "- %s: %s\n", s.Key, s.Value)
		}
	}
	b.WriteString("\n```text\n")
	rows := measure.Summarize(lines)
	if err := measure.WriteTable(&b, rows, growths(rows)); err != nil {
		return nil, err
	}
	b.WriteString("```\n")
	return b.Bytes(), nil
}
