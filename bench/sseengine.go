package main

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// Fields, by the same names in every engine.
const (
	fieldCode   = "code"
	fieldText   = "text"
	fieldName   = "name"
	fieldNumber = "number"
	fieldDay    = "day"
)

// engine makes and opens indexes in folders of their own.
type engine struct {
	impl string
	// fill makes an index of the records in the empty folder dir, durably.
	fill func(ctx context.Context, dir string, c corpus) error
	open func(ctx context.Context, dir string, c corpus) (searcher, error)
	// fits says whether the engine can answer questions of the kind over the corpus with the same hits.
	fits func(kind string, c corpus) bool
}

// searcher answers questions.
type searcher interface {
	// search brings back the total and the IDs of the first page.
	search(ctx context.Context, q question) (found, error)
	// all are the IDs of the documents that match, sorted; of more than most it may leave some out. It is not measured.
	all(ctx context.Context, q question, most int) ([]string, error)
	close() error
}

// anything is what fits an engine without gaps.
func anything(string, corpus) bool { return true }

// batches cuts records into batches of some.
func batches(records iter.Seq2[entry, error], size int, put func([]entry) error) error {
	some := make([]entry, 0, size)
	for r, err := range records {
		if err != nil {
			return err
		}
		if some = append(some, r); len(some) == size {
			if err := put(some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	if len(some) == 0 {
		return nil
	}
	return put(some)
}

// folderBytes is the size of the files below a folder.
func folderBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed in the background
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
