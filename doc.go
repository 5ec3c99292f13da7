// Package veilchart is the map of the module; it exports nothing.
//
//   - abe: records sealed under attribute-based access policies (CP-ABE)
//   - sse: search over encrypted records
//   - he: counts, sums, means and histograms over encrypted columns
//   - dp: differentially private releases and a budget that cannot be overspent
//   - keymgmt: keys made, wrapped, and destroyed for good
//   - ledger: a Merkle log of what was stored, and a content-addressed store
//
// The six packages do not import each other; a program joins those that it needs. examples/ward joins all of them:
//
//	go run ./examples/ward
//
// SECURITY.md says what is assumed, what leaks and what is not protected. docs/spec holds the formats.
package veilchart
