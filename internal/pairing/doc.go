// Package pairing holds the few group operations that abe needs over the pairing-friendly curve BLS12-381.
//
// Three groups of prime order r: G1 and G2 (written additively) and GT (written multiplicatively), with the pairing
// e: G1 x G2 -> GT. Values are immutable: every operation returns a new one, and no value holds a pointer.
//
// Decoding is strict: one form (compressed, big-endian, the form of the BLS signature drafts and of circl), its exact
// length, coordinates below p, on the curve, in the subgroup of order r, and never the identity: no place in abe may hold
// the identity. Scalars are made by wide reduction or decoded canonically, are never zero where they come from outside, and
// never pass through math/big.
//
// The arithmetic is blst's where cgo is on, and circl's, in pure Go, where it is off or the build tag purego is set; Backend says
// which. Files named after a library hold what differs. Both give the bytes of testdata/vectors. README.md says what is
// constant-time and who reviewed it.
package pairing
