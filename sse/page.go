package sse

import (
	"encoding/binary"
	"errors"
)

// pageKind says what a page holds. It is part of the associated data, so that a page of one kind never passes for another.
type pageKind uint8

// The kinds. docs/spec/sse.md, section Pages. Numbers are never reused. 9 and 10 were kept for positions and impacts, which lie in pages
// of kindShared and kindList.
const (
	kindTable     pageKind = 1  // one bucket of the term table
	kindShared    pageKind = 2  // short lists of many terms
	kindList      pageKind = 3  // part of one long list
	kindVocab     pageKind = 4  // part of the vocabulary of a field
	kindTerms     pageKind = 5  // part of the list of terms, for compaction
	kindRows      pageKind = 6  // IDs, revisions and stored values
	kindDirectory pageKind = 7  // first row of every row page
	kindTail      pageKind = 8  // part of a tail segment
	kindDeleted   pageKind = 11 // part of a bitmap of deleted rows
	kindColumn    pageKind = 12 // part of the column of a field
)

const (
	tagSize = 16
	// pageRoom is the number of bytes a page holds before it is sealed.
	pageRoom = PageSize - tagSize
)

var errPage = errors.New("it was changed after it was written, or belongs elsewhere")

// sealer seals and opens the pages of one segment. It is for one goroutine.
type sealer struct {
	keys  *segmentKeys
	pages *prf
	aad   [16 + 16 + 4 + 1]byte
}

func newSealer(k *segmentKeys) *sealer {
	s := &sealer{keys: k, pages: newPRF(k.page)}
	copy(s.aad[0:], k.partition[:])
	copy(s.aad[16:], k.segment[:])
	return s
}

func (s *sealer) prepare(n uint32, kind pageKind) (nonce [12]byte) {
	binary.BigEndian.PutUint32(s.aad[32:], n)
	s.aad[36] = byte(kind)
	binary.BigEndian.PutUint32(nonce[8:], n)
	return nonce
}

// seal appends the sealed page to dst. plain has pageRoom bytes. list is the key of a page of kindList; the others have a key
// of their own each.
func (s *sealer) seal(dst, plain []byte, n uint32, kind pageKind, list *key) []byte {
	nonce := s.prepare(n, kind)
	return gcm(s.pageKey(n, list)).Seal(dst, nonce[:], plain, s.aad[:])
}

// open returns the pageRoom bytes of a page, in place of the sealed ones.
func (s *sealer) open(sealed []byte, n uint32, kind pageKind, list *key) ([]byte, error) {
	if len(sealed) != PageSize {
		return nil, errPage
	}
	nonce := s.prepare(n, kind)
	plain, err := gcm(s.pageKey(n, list)).Open(sealed[:0], nonce[:], sealed, s.aad[:])
	if err != nil {
		return nil, errPage
	}
	return plain, nil
}

func (s *sealer) pageKey(n uint32, list *key) key {
	if list != nil {
		return *list
	}
	return s.pages.number(n)
}

// pagesFor is the number of pages that n bytes fill.
func pagesFor(n int) uint32 { return uint32((n + pageRoom - 1) / pageRoom) }
