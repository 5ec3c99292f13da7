package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Rows finds the rows of every query of the token: of each query, in the order of Queries, one set for each segment of the token. They
// include rows that were deleted, before or after the token was made; Index.Hits, of who made the token, leaves those out and knows the
// documents. It reads the store in two rounds and sees no more than the store and the token say: the store sees what it sees of a search for
// the same terms. Nothing is kept between calls.
//
// ErrExpired if a segment is not in the store any more, ErrDamaged for pages that are not what they were, or not what the token is for, and
// ErrTooBroad for lists of more than 16,384 pages together.
func (t *Token) Rows(ctx context.Context, store Store) ([][]RowSet, error) {
	ix := newIndex(store, t.partition, Options{})
	found, err := t.entries(ctx, ix)
	if err != nil {
		return nil, err
	}
	lists, err := t.lists(ctx, ix, found)
	if err != nil {
		return nil, err
	}
	sets := make([][]RowSet, len(t.queries))
	for i := range sets {
		sets[i] = make([]RowSet, len(t.segments))
		for j := range t.segments {
			s := &t.segments[j]
			set := RowSet{Segment: s.id, Size: s.docs, Rows: slices.Clone(s.answers[i].rows)}
			if !s.tail {
				set.Rows = s.answers[i].evaluate(lists[j])
			}
			sets[i][j] = set
		}
	}
	return sets, nil
}

var errToken = errors.New("the token has no key for it: the token is of another segment, or was changed")

// reader is the segment as far as the token knows it.
func (t *Token) reader(s *tokenSegment) *reader {
	return &reader{
		&segment{id: s.id, form: formFull, docs: s.docs, rows: s.docs, table: s.table, shared: s.shared, own: s.own},
		&segmentKeys{partition: t.partition, segment: s.id}, t.profile,
	}
}

// entries reads the table pages: of each lookup of each segment its entry, of form 0 if it is absent.
func (t *Token) entries(ctx context.Context, ix *Index) ([][]entry, error) {
	found := make([][]entry, len(t.segments))
	readers := make([]*reader, len(t.segments))
	var wants []pageWant
	for i := range t.segments {
		s := &t.segments[i]
		found[i], readers[i] = make([]entry, len(s.lookups)), t.reader(s)
		for _, l := range s.lookups {
			wants = append(wants, pageWant{readers[i], kindTable, l.bucket, s.pageKey(l.bucket)})
		}
	}
	pages, err := t.fetch(ctx, ix, wants)
	if err != nil {
		return nil, err
	}
	for i := range t.segments {
		s := &t.segments[i]
		for j, l := range s.lookups {
			plain := pages[pageKey{readers[i], l.bucket}]
			if err := checkBucket(plain); err != nil {
				return nil, ix.damaged(s.id, l.bucket, err)
			}
			body, ok := findInBucket(plain, l.print)
			if !ok {
				continue
			}
			if found[i][j], err = decodeEntry(l.pad.xor(body), false, s.docs, s.shared, s.own, t.profile); err != nil {
				return nil, ix.damaged(s.id, l.bucket, err)
			}
		}
	}
	return found, nil
}

// lists makes the second round, with dummies where the profile wants them, as Index.lists does.
func (t *Token) lists(ctx context.Context, ix *Index, found [][]entry) ([][]*roaring.Bitmap, error) {
	readers := make([]*reader, len(t.segments))
	var wants []pageWant
	for i := range t.segments {
		s := &t.segments[i]
		readers[i] = t.reader(s)
		shared, own := readers[i].sharedRegion().first, readers[i].ownRegion().first
		list, dummies := make(map[uint32]bool), make(map[uint32]bool)
		for j := range s.lookups {
			l := &s.lookups[j]
			switch e := found[i][j]; e.form {
			case entryShared:
				k := s.pageKey(shared + e.page)
				if k == nil {
					return nil, ix.damaged(s.id, shared+e.page, errToken)
				}
				list[shared+e.page] = true
				wants = append(wants, pageWant{readers[i], kindShared, shared + e.page, k})
			case entryOwn:
				for n := range e.ownPages(t.profile) {
					wants = append(wants, pageWant{readers[i], kindList, own + e.page + n, &l.key})
				}
			default:
				dummies[shared+l.second] = profiles[t.profile].everyList
			}
		}
		for page, read := range dummies {
			if read && !list[page] {
				wants = append(wants, pageWant{r: readers[i], page: page})
			}
		}
	}
	pages, err := t.fetch(ctx, ix, wants)
	if err != nil {
		return nil, err
	}
	lists := make([][]*roaring.Bitmap, len(t.segments))
	for i := range t.segments {
		s := &t.segments[i]
		lists[i] = make([]*roaring.Bitmap, len(s.lookups))
		for j, e := range found[i] {
			var list []byte
			page := readers[i].ownRegion().first + e.page
			switch e.form {
			case 0:
				continue
			case entryInline:
				lists[i][j] = roaring.BitmapOf(e.rows...)
				continue
			case entryShared:
				page = readers[i].sharedRegion().first + e.page
				list = slices.Clone(pages[pageKey{readers[i], page}][e.offset:][:e.length])
				maskList(s.lookups[j].key, list)
			case entryOwn:
				for n := range pagesFor(int(e.length)) {
					list = append(list, pages[pageKey{readers[i], page + n}]...)
				}
				list = list[:e.length]
			}
			if lists[i][j], err = decodeList(list, e.count, s.docs); err != nil {
				return nil, ix.damaged(s.id, page, err)
			}
		}
	}
	return lists, nil
}

// fetch reads pages in one round, and opens those of a kind.
func (t *Token) fetch(ctx context.Context, ix *Index, wants []pageWant) (map[pageKey][]byte, error) {
	pages := make(map[pageKey][]byte)
	err := ix.fetch(ctx, &meter{limit: defaultMaxPages}, wants, func(w pageWant, plain []byte) error {
		pages[pageKey{w.r, w.page}] = plain
		return nil
	})
	switch {
	case errors.Is(err, ErrMissing):
		return nil, fmt.Errorf("sse: %w: ask for a new token (%w)", ErrExpired, err)
	case errors.Is(err, ErrTooBroad):
		return nil, fmt.Errorf("sse: the token leads to more than %d pages: %w: ask for tokens for fewer terms or segments", defaultMaxPages, ErrTooBroad)
	}
	return pages, err
}
