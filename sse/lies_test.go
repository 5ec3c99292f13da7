package sse

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// The lies of the store in lyingstore_test.go.

var errBusy = errors.New("the store is busy")

var lies = []lie{
	{name: "a bit in the first page", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { return flip(p, 0), nil }},
	{name: "a bit in the last page", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { return flip(p, len(p)-1), nil }},
	{name: "zeros", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { clear(p[len(p)-1]); return p, nil }},
	{name: "a byte less", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) {
		i := len(p) - 1
		p[i] = p[i][:max(len(p[i])-1, 0)]
		return p, nil
	}},
	{name: "a page less", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) {
		p[0] = p[0][:max(len(p[0])-PageSize, 0)]
		return p, nil
	}},
	{name: "a byte more", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { p[0] = append(p[0], 0); return p, nil }},
	{name: "a page more", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) {
		p[0] = append(p[0], make([]byte, PageSize)...)
		return p, nil
	}},
	{name: "a run less", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { return p[:len(p)-1], nil }},
	{name: "a run twice", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) { return append(p, p[0]), nil }},
	{name: "nothing", read: func(*liar, []Run, [][]byte) ([][]byte, error) { return nil, nil }},
	{name: "the first page again", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) {
		var first []byte
		for _, b := range p {
			for at := 0; at < len(b); at += PageSize {
				if first == nil {
					first = slices.Clone(b[:PageSize])
				}
				copy(b[at:], first)
			}
		}
		return p, nil
	}},
	{name: "pages the other way round", read: func(_ *liar, _ []Run, p [][]byte) ([][]byte, error) {
		var all [][]byte
		for _, b := range p {
			for at := 0; at < len(b); at += PageSize {
				all = append(all, slices.Clone(b[at:at+PageSize]))
			}
		}
		for _, b := range p {
			for at := 0; at < len(b); at += PageSize {
				copy(b[at:], all[len(all)-1])
				all = all[:len(all)-1]
			}
		}
		return p, nil
	}},
	{name: "the neighbour", read: func(l *liar, runs []Run, p [][]byte) ([][]byte, error) {
		return l.elsewhere(runs, p, ID{1}, func(_ ID, n, pages int) int { return (n + 1) % pages })
	}},
	{name: "the other end of the segment", read: func(l *liar, runs []Run, p [][]byte) ([][]byte, error) {
		return l.elsewhere(runs, p, ID{1}, func(_ ID, n, pages int) int { return pages - 1 - n })
	}},
	{name: "another segment, in turn", read: func(l *liar, runs []Run, p [][]byte) ([][]byte, error) { return l.others(runs, p, ID{1}) }},
	{name: "another partition", read: func(l *liar, runs []Run, p [][]byte) ([][]byte, error) { return l.others(runs, p, ID{2}) }},
	{name: "missing", read: func(*liar, []Run, [][]byte) ([][]byte, error) { return nil, ErrMissing }},
	{name: "waits too long", read: func(l *liar, _ []Run, _ [][]byte) ([][]byte, error) { l.stop(); return nil, context.Canceled },
		head: func(l *liar, _ uint64, _ []byte, _ uint64) ([]byte, uint64, error) {
			l.stop()
			return nil, 0, context.Canceled
		}},
	{name: "busy", read: func(*liar, []Run, [][]byte) ([][]byte, error) { return nil, errBusy },
		head:  func(*liar, uint64, []byte, uint64) ([]byte, uint64, error) { return nil, 0, errBusy },
		list:  func(*liar, []SegmentInfo) ([]SegmentInfo, error) { return nil, errBusy },
		write: func(*liar, ID, ID, [][]byte) error { return errBusy },
		del:   func(*liar, ID, ID) error { return errBusy },
		swap:  func(*liar, ID, uint64, []byte) error { return errBusy }},

	{name: "no head", head: func(*liar, uint64, []byte, uint64) ([]byte, uint64, error) { return nil, 0, nil }},
	{name: "no blob", head: func(_ *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) { return nil, latest, nil }},
	{name: "the head is missing", head: func(_ *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) {
		return nil, latest, ErrMissing
	}},
	{name: "the head before", head: func(l *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) {
		return l.heads[ID{1}][latest-2], latest - 1, nil
	}},
	{name: "the head before under this number", head: func(l *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) {
		return l.heads[ID{1}][latest-2], latest, nil
	}},
	{name: "the first head", head: func(l *liar, _ uint64, _ []byte, _ uint64) ([]byte, uint64, error) {
		return l.heads[ID{1}][0], 1, nil
	}},
	{name: "a later number", head: func(_ *liar, _ uint64, b []byte, latest uint64) ([]byte, uint64, error) { return b, latest + 1, nil }},
	{name: "the last number", head: func(_ *liar, _ uint64, b []byte, _ uint64) ([]byte, uint64, error) { return b, 1<<64 - 1, nil }},
	{name: "the head of another partition", head: func(l *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) {
		return l.heads[ID{2}][0], latest, nil
	}},
	{name: "a fork of this number", head: func(l *liar, _ uint64, _ []byte, latest uint64) ([]byte, uint64, error) {
		return l.world.fork.heads[ID{1}][l.world.seen.Counter-1], l.world.seen.Counter, nil
	}},
	{name: "a fork one further", head: func(l *liar, version uint64, _ []byte, _ uint64) ([]byte, uint64, error) {
		n := l.world.seen.Counter + 1
		if version == 0 {
			version = n
		}
		return l.world.fork.heads[ID{1}][min(version, n)-1], n, nil
	}},
	{name: "a bit in the head", head: func(_ *liar, _ uint64, b []byte, latest uint64) ([]byte, uint64, error) {
		return flip([][]byte{b}, 0)[0], latest, nil
	}},
	{name: "half a head", head: func(_ *liar, _ uint64, b []byte, latest uint64) ([]byte, uint64, error) {
		return b[:len(b)/2], latest, nil
	}},
	{name: "more than a head", head: func(_ *liar, _ uint64, b []byte, latest uint64) ([]byte, uint64, error) {
		return append(b, 0), latest, nil
	}},

	{name: "a hidden segment", list: func(_ *liar, infos []SegmentInfo) ([]SegmentInfo, error) { return infos[1:], nil }},
	{name: "no segments", list: func(*liar, []SegmentInfo) ([]SegmentInfo, error) { return nil, nil }},
	{name: "all segments are ancient", list: func(_ *liar, infos []SegmentInfo) ([]SegmentInfo, error) {
		for i := range infos {
			infos[i].Created = time.Unix(0, 0)
		}
		return infos, nil
	}},
	{name: "segments that are none", list: func(l *liar, infos []SegmentInfo) ([]SegmentInfo, error) {
		for id := range l.segments[ID{2}] {
			infos = append(infos, SegmentInfo{ID: id, Pages: 1 << 31})
		}
		return append(infos, infos...), nil
	}},

	{name: "writes nothing", destroys: true, write: func(*liar, ID, ID, [][]byte) error { return nil }},
	{name: "writes a bit wrong", destroys: true, write: func(l *liar, p, s ID, pages [][]byte) error { return l.put(p, s, flip(pages, len(pages)/2)) }},
	{name: "writes a page less", destroys: true, write: func(l *liar, p, s ID, pages [][]byte) error { return l.put(p, s, pages[:len(pages)-1]) }},
	{name: "writes elsewhere", destroys: true, write: func(l *liar, _, s ID, pages [][]byte) error { return l.put(ID{3}, s, pages) }},
	{name: "writes, and says it did not", write: func(l *liar, p, s ID, pages [][]byte) error { return errors.Join(l.put(p, s, pages), errBusy) }},
	{name: "says that it is there", write: func(*liar, ID, ID, [][]byte) error { return ErrExists }},

	{name: "deletes nothing", del: func(*liar, ID, ID) error { return nil }},
	{name: "says that it was deleted before", del: func(*liar, ID, ID) error { return ErrMissing }},
	{name: "deletes another", destroys: true, del: func(l *liar, p, s ID) error {
		for id := range l.segments[p] {
			if id != s {
				delete(l.segments[p], id)
			}
		}
		return nil
	}},

	{name: "swaps nothing", destroys: true, swap: func(*liar, ID, uint64, []byte) error { return nil }},
	{name: "swaps, and says that another did", swap: func(l *liar, p ID, v uint64, b []byte) error {
		return errors.Join(l.memStore.SwapHead(context.Background(), p, v, b), ErrConflict)
	}},
	{name: "says that another swapped", swap: func(*liar, ID, uint64, []byte) error { return ErrConflict }},
	{name: "swaps, and says it does not know", swap: func(l *liar, p ID, v uint64, b []byte) error {
		return errors.Join(l.memStore.SwapHead(context.Background(), p, v, b), errBusy)
	}},
	{name: "swaps a bit wrong", destroys: true, swap: func(l *liar, p ID, v uint64, b []byte) error {
		return l.memStore.SwapHead(context.Background(), p, v, flip([][]byte{slices.Clone(b)}, 0)[0])
	}},
	{name: "swaps another partition", destroys: true, swap: func(l *liar, _ ID, _ uint64, b []byte) error {
		return l.memStore.SwapHead(context.Background(), ID{2}, uint64(len(l.heads[ID{2}])+1), b)
	}},
}

// flip changes a bit in the middle of run i, if there is something in it.
func flip(pages [][]byte, i int) [][]byte {
	if n := len(pages[i]); n > 0 {
		pages[i][n/2] ^= 0x10
	}
	return pages
}

// elsewhere gives other pages of the same segment.
func (l *liar) elsewhere(runs []Run, pages [][]byte, partition ID, at func(id ID, n, pages int) int) ([][]byte, error) {
	for i, r := range runs {
		b := l.segments[partition][r.Segment].pages
		for n := range int(r.Count) {
			copy(pages[i][n*PageSize:(n+1)*PageSize], b[at(r.Segment, int(r.First)+n, len(b)/PageSize)*PageSize:])
		}
	}
	return pages, nil
}

// others gives the same pages of another segment, which may be one that was replaced.
func (l *liar) others(runs []Run, pages [][]byte, partition ID) ([][]byte, error) {
	ids := slices.SortedFunc(maps.Keys(l.segments[partition]), func(a, b ID) int { return strings.Compare(string(a[:]), string(b[:])) })
	for i, r := range runs {
		at := slices.Index(ids, r.Segment)
		b := l.segments[partition][ids[(at+1)%len(ids)]].pages
		for n := range int(r.Count) {
			copy(pages[i][n*PageSize:(n+1)*PageSize], b[(int(r.First)+n)*PageSize%len(b):])
		}
	}
	return pages, nil
}
