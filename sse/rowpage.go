package sse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
)

// Limits of a row.
const (
	MaxID     = 128  // bytes of an ID
	MaxStored = 3584 // bytes of Document.Stored and of the encoded values of stored fields together
)

// A row page holds consecutive rows; a row never straddles two. docs/spec/sse.md, section Row pages.
const (
	rowPageHead = 4 + 2        // first row, number of rows
	rowHead     = 1 + 8 + 2    // length of the ID, revision, length of what is stored; then in format 2 the length of the values
	directoryOf = pageRoom / 4 // row pages that one directory page covers
)

var errRows = errors.New("its rows do not decode")

func (r row) size() int { return rowHead + len(r.id) + len(r.stored) + 2 + len(r.values) }

func (r row) append(b []byte) []byte {
	b = append(b, uint8(len(r.id)))
	b = append(b, r.id...)
	b = binary.BigEndian.AppendUint64(b, r.revision)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.stored)))
	b = append(b, r.stored...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.values)))
	return append(b, r.values...)
}

// readRow reads one row of that version of the format from the front of b and returns what follows it. What is stored, and the
// values, are slices of b. In format 1 there are no values.
func readRow(b []byte, format int) (r row, rest []byte, err error) {
	if len(b) < 1 || b[0] == 0 || b[0] > MaxID || len(b) < rowHead+int(b[0]) {
		return row{}, nil, errRows
	}
	n := int(b[0])
	r.id = string(b[1 : 1+n])
	b = b[1+n:]
	r.revision = binary.BigEndian.Uint64(b)
	m := int(binary.BigEndian.Uint16(b[8:]))
	b = b[10:]
	if m > MaxStored || m > len(b) || r.revision == 0 {
		return row{}, nil, errRows
	}
	if m > 0 {
		r.stored = b[:m:m]
	}
	if b = b[m:]; format == 1 {
		return r, b, nil
	}
	if len(b) < 2 {
		return row{}, nil, errRows
	}
	n = int(binary.BigEndian.Uint16(b))
	if b = b[2:]; n+m > MaxStored || n > len(b) {
		return row{}, nil, errRows
	}
	if n > 0 {
		r.values = b[:n:n]
	}
	return r, b[n:], nil
}

// checkID refuses an ID that cannot be stored.
func checkID(id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("sse: %w: an ID has 1 to %d bytes, this one %d: use a shorter name, such as a hash", ErrBatch, MaxID, len(id))
	}
	return nil
}

// packRows cuts the rows into pages and returns the first row of each.
func packRows(rows []row) (firsts []uint32) {
	used := pageRoom
	for i := range rows {
		if n := rows[i].size(); used+n > pageRoom {
			firsts = append(firsts, uint32(i))
			used = rowPageHead + n
		} else {
			used += n
		}
	}
	return firsts
}

// fillRowPage writes rows, which begin with row number first and fit, into a page.
func fillRowPage(plain []byte, first uint32, rows []row) {
	clear(plain)
	b := binary.BigEndian.AppendUint32(plain[:0], first)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rows)))
	for i := range rows {
		b = rows[i].append(b)
	}
}

// readRowPage reads what fillRowPage wrote, or a page of format 1.
func readRowPage(plain []byte, format int) (first uint32, rows []row, err error) {
	first = binary.BigEndian.Uint32(plain)
	n := int(binary.BigEndian.Uint16(plain[4:]))
	rest := plain[rowPageHead:]
	if n == 0 || n > len(rest)/rowHead {
		return 0, nil, errRows
	}
	rows = make([]row, n)
	for i := range rows {
		if rows[i], rest, err = readRow(rest, format); err != nil {
			return 0, nil, err
		}
	}
	if !allZero(rest) {
		return 0, nil, errRows
	}
	return first, rows, nil
}

// fillDirectoryPage writes the first rows of at most directoryOf row pages.
func fillDirectoryPage(plain []byte, firsts []uint32) {
	clear(plain)
	for i, f := range firsts {
		binary.BigEndian.PutUint32(plain[4*i:], f)
	}
}

// readDirectory reads the first rows of that many row pages from whole directory pages.
func readDirectory(plain []byte, pages, rows uint32) ([]uint32, error) {
	if uint64(len(plain)) < 4*uint64(pages) || !allZero(plain[4*pages:]) {
		return nil, errRows
	}
	firsts := make([]uint32, pages)
	for i := range firsts {
		firsts[i] = binary.BigEndian.Uint32(plain[4*i:])
		if i == 0 && firsts[0] != 0 || i > 0 && firsts[i] <= firsts[i-1] || firsts[i] >= rows {
			return nil, errRows
		}
	}
	return firsts, nil
}

// rowPageOf is the page, counted within the region, that holds the row.
func rowPageOf(firsts []uint32, row uint32) uint32 {
	return uint32(sort.Search(len(firsts), func(i int) bool { return firsts[i] > row }) - 1)
}
