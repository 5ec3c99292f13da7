package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// results are the files of a run. Without a directory samples go nowhere and only the table is printed.
type results struct {
	dir  string
	raw  io.Writer
	file *os.File
}

// openResults makes the directory and a raw file of its own for this run: no raw file is ever overwritten.
func openResults(dir string, settings []measure.Setting) (*results, error) {
	if dir == "" {
		return &results{raw: io.Discard}, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("-o: %w; give a directory that can be written", err)
	}
	name := filepath.Join(dir, "raw-"+time.Now().UTC().Format("20060102T150405Z")+".txt")
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("raw results: %w; wait a second, or give another directory", err)
	}
	if err := measure.WriteSettings(file, settings); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &results{dir: dir, raw: file, file: file}, nil
}

// finish prints the table, closes the raw file and replaces the summary and the table. Without a sample it leaves those of an earlier run.
func (r *results) finish(settings []measure.Setting, lines []measure.Line, stdout io.Writer) error {
	var err error
	if r.file != nil {
		err = r.file.Close()
	}
	if len(lines) == 0 {
		return err
	}
	rows := measure.Summarize(lines)
	var summary, table bytes.Buffer
	err = errors.Join(err, measure.WriteSummary(&summary, rows), writeTable(&table, settings, rows))
	if _, writeErr := stdout.Write(table.Bytes()); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	if r.dir != "" {
		err = errors.Join(err, replace(filepath.Join(r.dir, "summary.tsv"), summary.Bytes()), replace(filepath.Join(r.dir, "table.txt"), table.Bytes()))
	}
	return err
}

// noteKey marks the settings that are sentences for the reader. They are in the raw file too, so that the table can be made from it alone.
const noteKey = "note"

// growths are fitted over these parameters.
func growths(rows []measure.Row) []measure.Growth {
	return append(measure.Growths(rows, "leaves", 3), measure.Growths(rows, "docs", 2)...)
}

func writeTable(w io.Writer, settings []measure.Setting, rows []measure.Row) error {
	for _, s := range settings {
		if s.Key == noteKey {
			fmt.Fprintf(w, "\n%s\n", s.Value)
		} else {
			fmt.Fprintf(w, "%s: %s\n", s.Key, s.Value)
		}
	}
	fmt.Fprintln(w)
	return measure.WriteTable(w, rows, growths(rows))
}

// replace writes a file under another name and renames it, so that a reader finds the old one or the new one.
func replace(name string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
