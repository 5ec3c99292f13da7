package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/veilchart/veilchart/bench/measure"
)

// sseSuite measures package sse: building, searching, adding, and what it takes on disk.
type sseSuite struct {
	builds int // samples of a build
	synced int // records whose syncs are counted
}

func newSSE() sseSuite { return sseSuite{builds: 3, synced: 50} }

func (sseSuite) name() string { return "sse" }

func (sseSuite) notes() []string {
	return []string{
		"documents: 40 words by Zipf's law (exponent 1.1 over 2^17), a code, a name, a number and a day; seeded. Searches bring back the total and the IDs of 10 hits. Values of search/ are the mean of 12 queries " +
			"that find 20, 1 % and 10 % of the documents; page cache and the engine's own caches warm. All hits are compared with the right ones before any time is taken.",
		"veilchart: profile Balanced, directory store. bleve (" + bleveModule + " " + version(bleveModule) + "): in the clear, scorch on disk, merged into one segment before searches, scores off but for ranked (BM25), no stored " +
			"values, positions or doc values. postgres: in the clear, GIN and B-trees, settings as they come; ranked is ts_rank; no fuzzy.",
		"clear: what the same engine could do without encryption: Roaring lists and IDs read by pread from plain files, the dictionary in memory.",
		"lists: bytes of an index with lists of these lengths only, less those of one without; roaring is the sum of Roaring's bytes for the same lists, without a dictionary. add: durable; limit is one page in a file, " +
			"synced, renamed, and the folder synced. search-in-postgres: veilchart's pages in PostgreSQL on the same machine. round-trips: the most of the queries.",
		"median and interval (order statistics, 95 % if n >= 6, otherwise the range); ratio: other / veilchart, for rates veilchart / other, median over rounds: bigger is better for veilchart.",
	}
}

// engines are all that build indexes in processes of their own.
func engines() []engine { return []engine{veilchartSearch(), bleveEngine(), clearEngine()} }

// middleSize is the most documents that lists are built apart of, and that veilchart's pages are put into PostgreSQL of.
const middleSize = 100_000

func (s sseSuite) cases(o options) ([]measure.Case, func(), error) {
	l, err := newLab()
	if err != nil {
		return nil, nil, err
	}
	var list []measure.Case
	own := engines()
	all := append(slices.Clone(own), postgresEngine())
	for _, n := range o.docs {
		c := zipfCorpus(n)
		build := s.buildCase("build/"+c.label, fmt.Sprintf("zipf:%d", n), l, &c, own...)
		build.Contenders = append(build.Contenders, s.postgresBuild(c))
		list = append(list, build, s.buildCase("build-keywords/"+c.label, fmt.Sprintf("keywords:%d", n), l, nil, own...))
		for _, kind := range kinds {
			list = append(list, l.searchCase("search/kind="+kind+"/"+c.label, kind, "", c, all...), l.costCase("cost/kind="+kind+"/"+c.label, kind, c))
		}
		for _, class := range classes {
			for _, kind := range kinds {
				list = append(list, l.searchCase("search/kind="+kind+"/class="+class+"/"+c.label, kind, class, c, own...))
			}
		}
		for _, kind := range kinds {
			list = append(list, l.coldCase("search-cold/kind="+kind+"/"+c.label, kind, c, own...))
		}
	}
	least, most := o.docs[0], o.docs[len(o.docs)-1]
	for _, n := range o.docs {
		if n <= middleSize {
			most = n
		}
	}
	list = append(list, s.listCases(most, l.dir)...)
	list = append(list, s.addCase(least, l), s.syncsCase(least, l))
	list = append(list, s.afterAddsCases(least, o.adds, l)...)
	list = append(list, s.storeCases(zipfCorpus(most), l)...)
	list = append(list, s.dataCases(o.data, l)...)
	return list, func() { err = errors.Join(err, l.close()) }, nil
}

// dataCases are those of public corpora: bleve cuts their texts into the words that veilchart does, the others do not.
func (s sseSuite) dataCases(folder string, l *lab) (list []measure.Case) {
	for _, from := range sources {
		c, err := openSource(folder, from)
		if err != nil { // the case says so
			c.label = "data=" + from.name
		}
		two := []engine{veilchartSearch(), bleveEngine()}
		var keep *corpus
		if err == nil {
			keep = &c
		}
		list = append(list, s.buildCase("build/"+c.label, "data:"+from.name+":"+folder, l, keep, two...))
		if err != nil {
			continue
		}
		for _, kind := range kinds {
			list = append(list, l.searchCase("search/kind="+kind+"/"+c.label, kind, "", c, two...))
		}
	}
	return list
}
