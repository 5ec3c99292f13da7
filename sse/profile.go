package sse

import (
	"fmt"
	"math/bits"
)

// Profile is a set of numbers that trade speed for leakage; docs/spec/sse.md, section Profiles, is the table.
type Profile uint8

// The profiles.
const (
	// Fast reads what it needs and nothing else: the store sees how many terms a query has in a segment, which of them are there, and
	// how long their lists are.
	Fast Profile = 1
	// Balanced, the default, hides whether a term is there and how long a short list is, and tells the number of terms of a range or
	// a prefix, and the length of a long list, roughly. Which rows are fetched shows.
	Balanced Profile = 2
	// Strict tells less of numbers and lengths, and the rows that are fetched do not show: a search with SearchOptions.Limit reads the same
	// number of row pages in every segment, and one without a limit reads all of them.
	Strict Profile = 3
)

// numbers are what a profile decides.
type numbers struct {
	// A union of terms is filled up with dummies to coverLeast terms, or to coverStep times as many, and so on; 0 is not at all.
	coverLeast, coverStep int
	wideRanges            bool // covers of ranges have the greatest number of terms that a range of the field can need
	everyList             bool // the second read is made for every lookup, and never from the cache
	fixedRows             bool // row pages are a number that follows from the limit
	listPages             func(bytes int) uint32
}

var profiles = [...]numbers{
	Fast:     {listPages: pagesFor},
	Balanced: {coverLeast: 16, coverStep: 2, everyList: true, listPages: func(n int) uint32 { return pagesFor(padme(n)) }},
	Strict: {coverLeast: 64, coverStep: 4, wideRanges: true, everyList: true, fixedRows: true,
		listPages: func(n int) uint32 { return 1 << bits.Len32(pagesFor(n)-1) }},
}

func (p Profile) check() error {
	if p < Fast || p > Strict {
		return fmt.Errorf("sse: there is no profile %d: use Balanced", p)
	}
	return nil
}

// listPages is how many pages a list takes that does not fit into a shared one.
func (p Profile) listPages(bytes int) uint32 { return profiles[p].listPages(bytes) }

// cover is the number of terms that a union of n terms is filled up to.
func (p Profile) cover(n int) int {
	size := profiles[p].coverLeast
	if size == 0 {
		return n
	}
	for size < n {
		size *= profiles[p].coverStep
	}
	return size
}
