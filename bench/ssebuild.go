package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// buildCommand makes this program another one: it builds one index in a process of its own, so that memory and cores are those of the build alone.
const buildCommand = "sse-build"

// built is what the program prints.
type built struct {
	Seconds, CoreSeconds      float64
	Documents, Postings, Peak int64 // Peak: KiB of resident memory
	Bytes                     int64 // on disk
}

// spec names a corpus in one word, for the other process: zipf:1000, keywords:1000 or data:notes:FOLDER.
func spec(text string) (corpus, error) {
	kind, rest, _ := strings.Cut(text, ":")
	if kind == "data" {
		name, folder, _ := strings.Cut(rest, ":")
		for _, s := range sources {
			if s.name == name {
				return openSource(folder, s)
			}
		}
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err == nil && n > 0 && kind == "zipf":
		return zipfCorpus(n), nil
	case err == nil && n > 0 && kind == "keywords":
		return keywordCorpus(n, nil), nil
	}
	return corpus{}, fmt.Errorf("%q is no corpus; give zipf:1000, keywords:1000 or data:notes:FOLDER", text)
}

func engineOf(impl string) (engine, error) {
	for _, e := range engines() {
		if e.impl == impl {
			return e, nil
		}
	}
	return engine{}, fmt.Errorf("there is no engine %q", impl)
}

func buildMain(args []string, stdout, stderr io.Writer) int {
	if len(args) != 3 {
		fmt.Fprintf(stderr, "usage: bench %s ENGINE CORPUS FOLDER\n", buildCommand)
		return 2
	}
	result, err := build(args[0], args[1], args[2])
	if err == nil {
		err = json.NewEncoder(stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", buildCommand, err)
		return 1
	}
	return 0
}

func build(impl, corpusName, dir string) (b built, err error) {
	c, err := spec(corpusName)
	if err != nil {
		return b, err
	}
	e, err := engineOf(impl)
	if err != nil {
		return b, err
	}
	counted := c
	counted.records = func(yield func(entry, error) bool) {
		for r, err := range c.records {
			b.Documents++
			if !yield(r, err) {
				return
			}
		}
	}
	start, busy := time.Now(), coreSeconds()
	if err := e.fill(context.Background(), dir, counted); err != nil {
		return b, err
	}
	b.Seconds, b.CoreSeconds = time.Since(start).Seconds(), coreSeconds()-busy
	if b.Peak, err = peakMemory(); err != nil {
		return b, err
	}
	if b.Bytes, err = folderBytes(dir); err != nil {
		return b, err
	}
	for r, err := range c.records { // not while it is measured
		if err != nil {
			return b, err
		}
		b.Postings += int64(r.postings())
	}
	return b, nil
}

// buildCase builds an index of the corpus with each engine in a process of its own. If keep is not nil, the first that is built is what is searched later.
func (s sseSuite) buildCase(name, corpusName string, l *lab, keep *corpus, all ...engine) measure.Case {
	c := measure.Case{Name: name, Count: s.builds}
	for _, e := range all {
		impl := e.impl
		var bed *searchBed
		if keep != nil {
			bed = l.bed(e, *keep)
		}
		c.Contenders = append(c.Contenders, measure.Contender{Impl: impl,
			Prepare: func(context.Context) error { _, err := spec(corpusName); return err },
			Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
				b, err := buildElsewhere(ctx, impl, corpusName, l.dir, bed)
				return measure.Sample{N: 1, Values: b.values()}, err
			}})
	}
	return c
}

func (b built) values() []measure.Value {
	docs, postings := float64(b.Documents), float64(b.Postings)
	return []measure.Value{
		{Unit: measure.Seconds, X: b.Seconds},
		{Unit: measure.Documents, X: docs / b.Seconds},
		{Unit: measure.Postings, X: postings / b.CoreSeconds},
		{Unit: measure.Mebibytes, X: float64(b.Peak) / 1024},
		{Unit: measure.Bytes, X: float64(b.Bytes)},
		{Unit: "B/doc", X: float64(b.Bytes) / docs},
		{Unit: "B/posting", X: float64(b.Bytes) / postings},
	}
}

func buildElsewhere(ctx context.Context, impl, corpusName, temp string, keep *searchBed) (b built, err error) {
	dir, err := os.MkdirTemp(temp, "build-")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := os.Executable()
	if err != nil {
		return b, err
	}
	out, err := exec.CommandContext(ctx, program, buildCommand, impl, corpusName, dir).Output()
	if err != nil {
		return b, childError(err)
	}
	if keep != nil {
		err = keep.adopt(dir)
	}
	return b, errors.Join(err, json.Unmarshal(out, &b))
}

// postgresBuild is the build of a table and its indexes by a server that runs: its memory and cores are not this program's.
func (s sseSuite) postgresBuild(c corpus) measure.Contender {
	e := postgresEngine()
	n := 0
	return measure.Contender{Impl: e.impl,
		Prepare: func(context.Context) error { _, err := databaseConfig(); return err },
		Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
			n++
			table := fmt.Sprintf("build-%d-%s", n, c.label)
			start := time.Now()
			if err := e.fill(ctx, table, c); err != nil {
				return measure.Sample{}, err
			}
			elapsed := time.Since(start).Seconds()
			p, err := openPostgres(ctx, table)
			if err != nil {
				return measure.Sample{}, err
			}
			var bytes float64
			err = p.conn.QueryRow(ctx, "SELECT pg_total_relation_size($1::regclass)::float8", p.table).Scan(&bytes)
			if err == nil {
				_, err = p.conn.Exec(ctx, "DROP TABLE "+p.table)
			}
			return measure.Sample{N: 1, Values: []measure.Value{{Unit: measure.Seconds, X: elapsed}, {Unit: measure.Bytes, X: bytes}}},
				errors.Join(err, p.close())
		}}
}

// The classes of lists by their number of rows.
var listClasses = []struct {
	name        string
	least, most int
}{{"1-9", 1, 9}, {"10-99", 10, 99}, {"100+", 100, 1 << 40}}

// listCases say how many bytes the lists of a class take: an index that has these lists only, less one that has the documents and no list. Tables,
// padding and the room that pages do not use count. The limit is what Roaring writes of the same lists, in the clear and without a dictionary.
func (s sseSuite) listCases(n int, temp string) (list []measure.Case) {
	bare := -1.0
	for _, class := range listClasses {
		keep := func(rows int) bool { return rows >= class.least && rows <= class.most }
		values := func(bytes, postings float64) measure.Sample {
			return measure.Sample{N: 1, Values: []measure.Value{{Unit: measure.Bytes, X: bytes}, {Unit: "B/posting", X: bytes / postings}}}
		}
		var postings, inClear float64
		list = append(list, measure.Case{Name: fmt.Sprintf("lists/rows=%s/docs=%d", class.name, n), Contenders: []measure.Contender{
			{Impl: measure.Reference, Once: true,
				Prepare: func(context.Context) error {
					var err error
					postings, inClear, err = roaringBytes(keywordCorpus(n, keep))
					return err
				},
				Sample: func(ctx context.Context, _ time.Duration) (measure.Sample, error) {
					if bare < 0 {
						size, err := veilchartBytes(ctx, temp, keywordCorpus(n, func(int) bool { return false }))
						if err != nil {
							return measure.Sample{}, err
						}
						bare = size
					}
					size, err := veilchartBytes(ctx, temp, keywordCorpus(n, keep))
					return values(size-bare, postings), err
				}},
			{Impl: "roaring", Once: true, Sample: func(context.Context, time.Duration) (measure.Sample, error) {
				return values(inClear, postings), nil
			}},
		}})
	}
	return list
}

func veilchartBytes(ctx context.Context, temp string, c corpus) (size float64, err error) {
	dir, err := os.MkdirTemp(temp, "lists-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := veilchartSearch().fill(ctx, dir, c); err != nil {
		return 0, err
	}
	n, err := folderBytes(filepath.Join(dir))
	return float64(n), err
}

func roaringBytes(c corpus) (postings, bytes float64, err error) {
	lists := map[string][]uint32{}
	row := uint32(0)
	for r, err := range c.records {
		if err != nil {
			return 0, 0, err
		}
		for _, code := range r.codes {
			lists[code] = append(lists[code], row)
			postings++
		}
		row++
	}
	for _, rows := range lists {
		bytes += float64(roaringSize(rows))
	}
	return postings, bytes, nil
}
