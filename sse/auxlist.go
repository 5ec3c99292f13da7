package sse

import (
	"encoding/binary"
	"errors"
)

// Auxiliary lists stand beside the list of rows of a term, in the order of its rows: impacts for ranking, one byte a row, and positions
// for phrases. Terms have those that Schema.aux says. docs/spec/sse.md, section Impacts and positions.

// maxPosition bounds the positions in a document.
const maxPosition = 1 << 31

var errAux = errors.New("its list of impacts or positions does not decode")

// appendPositions appends the positions of a term in one document: how many there are, the first, and each less its predecessor less one.
func appendPositions(b []byte, positions []uint32) []byte {
	return appendDeltas(binary.AppendUvarint(b, uint64(len(positions))), positions)
}

// readPositions reads the positions in one document from the front of b, and says how many bytes they took.
func readPositions(b []byte) (positions []uint32, n int, err error) {
	count, n := shortUvarint(b)
	if n == 0 || count == 0 || count > uint64(len(b)-n) {
		return nil, 0, errAux
	}
	positions, m, err := readDeltas(b[n:], uint32(count), maxPosition)
	if err != nil {
		return nil, 0, errAux
	}
	return positions, n + m, nil
}

// skipPositions says how many bytes the positions in one document take at the front of b, which were checked before.
func skipPositions(b []byte) int {
	count, n := binary.Uvarint(b)
	for ; count > 0; n++ {
		if b[n] < 0x80 {
			count--
		}
	}
	return n
}

// checkImpacts refuses what is no list of the impacts in that many documents.
func checkImpacts(b []byte, count uint32) error {
	if len(b) != int(count) {
		return errAux
	}
	for _, impact := range b {
		if impact == 0 {
			return errAux
		}
	}
	return nil
}

// positionList gives the positions of a term document by document.
type positionList struct {
	bytes  []byte
	starts []uint32 // of each document, and the end
}

// newPositionList checks a list of the positions in that many documents.
func newPositionList(b []byte, count uint32) (*positionList, error) {
	if uint64(len(b)) < 2*uint64(count) || len(b) > maxAux {
		return nil, errAux
	}
	p := &positionList{b, make([]uint32, 1, count+1)}
	at := 0
	for range count {
		_, n, err := readPositions(b[at:])
		if err != nil {
			return nil, err
		}
		at += n
		p.starts = append(p.starts, uint32(at))
	}
	if at != len(b) {
		return nil, errAux
	}
	return p, nil
}

// add puts the positions in one more document behind the others.
func (p *positionList) add(positions []uint32) {
	p.bytes = appendPositions(p.bytes, positions)
	p.starts = append(p.starts, uint32(len(p.bytes)))
}

// at is the positions in the i-th document of the list of rows, ascending.
func (p *positionList) at(i int) []uint32 {
	positions, _, _ := readPositions(p.raw(i)) // checked by newPositionList
	return positions
}

// raw is their encoding.
func (p *positionList) raw(i int) []byte { return p.bytes[p.starts[i]:p.starts[i+1]] }
