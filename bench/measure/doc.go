// Package measure is the core of the benchmarks: it measures implementations in turn, keeps every sample in Go's benchmark format, and
// summarizes samples by medians, intervals and ratios. It knows nothing of what is measured.
//
// All numbers of a summary are computed from the lines of the raw file and from nothing else, so that a reader of the file comes to the
// same numbers.
package measure

// Reference is the implementation that the others are compared with.
const Reference = "veilchart"
