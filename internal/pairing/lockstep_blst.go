//go:build cgo && !purego

package pairing

// #include <stddef.h>
// #include <stdint.h>
// void veilchart_pick_each_g1(uint64_t *out, const uint64_t *row, const uint8_t *digits, size_t stride, size_t n);
// void veilchart_pick_each_g2(uint64_t *out, const uint64_t *row, const uint8_t *digits, size_t stride, size_t n);
// int veilchart_add_each_g1(uint64_t *sums, const uint64_t *entries, uint64_t *scratch, size_t n);
// int veilchart_add_each_g2(uint64_t *sums, const uint64_t *entries, uint64_t *scratch, size_t n);
import "C"

import "unsafe"

// lockstepFrom is the number of products from which going together is faster.
const lockstepFrom = 16

var (
	stepsInG1 = steps[entryG1]{
		pick: func(out, row []entryG1, at int, recoded [][digits]digit) {
			C.veilchart_pick_each_g1(address(out), address(row), digitsAt(recoded, at), digitStride, C.size_t(len(out)))
		},
		add: func(sums, entries, scratch []entryG1) bool {
			return C.veilchart_add_each_g1(address(sums), address(entries), address(scratch), C.size_t(len(sums))) == 1
		},
	}
	stepsInG2 = steps[entryG2]{
		pick: func(out, row []entryG2, at int, recoded [][digits]digit) {
			C.veilchart_pick_each_g2(address(out), address(row), digitsAt(recoded, at), digitStride, C.size_t(len(out)))
		},
		add: func(sums, entries, scratch []entryG2) bool {
			return C.veilchart_add_each_g2(address(sums), address(entries), address(scratch), C.size_t(len(sums))) == 1
		},
	}
)

func address[E any](s []E) *C.uint64_t { return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(s))) }

const digitStride = C.size_t(unsafe.Sizeof([digits]digit{}))

func digitsAt(recoded [][digits]digit, at int) *C.uint8_t {
	return (*C.uint8_t)(unsafe.Pointer(&recoded[0][at]))
}
