package sse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/veilchart/veilchart/internal/wire"
)

// ErrExpired is returned for a segment that the partition, or the store, does not have any more: a compaction replaced it. Ask for new
// row sets, or for a new token.
var ErrExpired = errors.New("the segment was replaced by a compaction")

// RowSet is a set of rows of one segment, such as the answer to a query: what can be given to a party that computes over columns in the order
// of the rows of a segment. It says nothing of what the rows hold; but whoever sees it learns how many documents match, and from several
// of them which queries have documents in common.
type RowSet struct {
	Segment ID
	Size    uint32   // documents of the segment, deleted ones included: they are rows 0 to Size-1
	Rows    []uint32 // ascending, distinct, all below Size; nil if there are none
}

const (
	rowSetVersion = 1
	maxRowSet     = 1 << 18 // bytes of the Roaring form of rows of one segment: 2^20 bits, and a head for each 2^16 of them
)

func (s RowSet) check() error {
	if s.Size > maxRows {
		return fmt.Errorf("sse: a row set of segment %v has size %d, a segment has at most %d rows: take it from Rows", s.Segment, s.Size, maxRows)
	}
	for i, r := range s.Rows {
		if r >= s.Size || i > 0 && r <= s.Rows[i-1] {
			return fmt.Errorf("sse: row %d of a row set of segment %v is out of order, or not below its size %d: sort the rows and drop duplicates", r, s.Segment, s.Size)
		}
	}
	return nil
}

// Bytes is the canonical encoding, docs/spec/sse.md, section Row sets. It fails for rows that do not ascend or are not below Size.
func (s RowSet) Bytes() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	b := wire.AppendHeader(nil, wire.Header{Kind: wire.KindSSERowSet, Version: rowSetVersion})
	b = append(b, s.Segment[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Size)
	return appendRowBytes(b, s.Rows), nil
}

// NewRowSet reads what Bytes wrote, and nothing else.
func NewRowSet(encoding []byte) (RowSet, error) {
	d := wire.NewDecoder(encoding)
	d.About(wire.KindSSERowSet)
	h := d.Header(wire.KindSSERowSet)
	if d.Err() == nil && (h.Version != rowSetVersion || h.Suite != 0) {
		d.Failf("version %d, suite %d: this program reads version %d, suite 0: use a newer one", h.Version, h.Suite, rowSetVersion)
	}
	var s RowSet
	copy(s.Segment[:], d.Raw(len(s.Segment)))
	if s.Size = d.Uint32(); s.Size > maxRows {
		d.Failf("a segment of %d documents", s.Size)
	}
	s.Rows = readRowBytes(d, s.Size)
	if err := d.Finish(); err != nil {
		return RowSet{}, err
	}
	return s, nil
}

// appendRowBytes encodes ascending rows: a length, and the canonical Roaring form, or no bytes for no rows.
func appendRowBytes(b []byte, rows []uint32) []byte {
	if len(rows) == 0 {
		return wire.AppendBytes(b, nil)
	}
	m := roaring.BitmapOf(rows...)
	m.RunOptimize()
	return wire.AppendBytes(b, bitmapBytes(m))
}

// readRowBytes reads rows below size.
func readRowBytes(d *wire.Decoder, size uint32) []uint32 {
	b := d.Bytes(maxRowSet)
	if d.Err() != nil || len(b) == 0 {
		return nil
	}
	m, err := decodeDeleted(b, size) // that is a set in its canonical form too
	if err != nil {
		d.Failf("a set of rows that is empty, out of range or not canonical")
		return nil
	}
	return array(m)
}

// array is the rows, or nil if there are none: one form for each set.
func array(m *roaring.Bitmap) []uint32 {
	if m.IsEmpty() {
		return nil
	}
	return m.ToArray()
}

// Rows finds documents as Search does, and returns for every segment the rows of those that match and are not deleted, in the order of
// the manifest; the rows may be none. The store sees what it sees of a search with CountOnly. Of the options only MaxPages and MaxTerms
// have a meaning, besides CountOnly, which changes nothing; others are ErrSchema. Errors are those of Search.
func (ix *Index) Rows(ctx context.Context, q Query, o SearchOptions) ([]RowSet, error) {
	if o.Limit != 0 || o.After != nil || o.Rank || o.Sort != "" || len(o.Facets) > 0 {
		return nil, fmt.Errorf("sse: Rows with a limit, a cursor, an order or facets %w: it returns all rows that match: leave them out", ErrSchema)
	}
	o.CountOnly = true
	if err := o.check(); err != nil {
		return nil, err
	}
	var sets []RowSet
	err := ix.consistently(ctx, func(st *state) error {
		p, err := compile(st.manifest.schema, st.manifest.profile, &ix.automata, q, o)
		if err != nil {
			return err
		}
		s := &searching{ix: ix, state: st, plan: p, query: q, o: o, meter: meter{limit: o.MaxPages}}
		if err := s.find(ctx); err != nil {
			return err
		}
		sets = make([]RowSet, len(s.parts))
		for i, pt := range s.parts {
			sets[i] = RowSet{pt.id, pt.docs, array(pt.matches(p, true))}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sets, nil
}

// Hits reads the documents of row sets, such as those that somebody found with a Token. Rows that are deleted are left out: live are the sets
// without them, in the same order, and hits the documents of all their rows, one after the other. The store sees the row pages that are
// read, as for a search; with profile Strict all of those of the segments. A segment that was compacted away is ErrExpired, a
// set that does not fit its segment an error too.
func (ix *Index) Hits(ctx context.Context, sets []RowSet) (live []RowSet, hits []Hit, err error) {
	for _, s := range sets {
		if err := s.check(); err != nil {
			return nil, nil, err
		}
	}
	err = ix.consistently(ctx, func(st *state) error {
		var err error
		live, hits, err = ix.hits(ctx, st, sets)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return live, hits, nil
}

func (ix *Index) hits(ctx context.Context, st *state, sets []RowSet) (live []RowSet, hits []Hit, err error) {
	m := &meter{}
	all, err := ix.contents(ctx, m, st, wanted{})
	if err != nil {
		return nil, nil, err
	}
	var parts []*part // of distinct segments
	var picks []pick
	for _, s := range sets {
		i := slices.IndexFunc(all, func(c *content) bool { return c.id == s.Segment })
		if i < 0 {
			return nil, nil, fmt.Errorf("sse: segment %v: %w: find the rows again", s.Segment, ErrExpired)
		}
		c := all[i]
		if c.docs != s.Size {
			return nil, nil, fmt.Errorf("sse: a row set of size %d for segment %v, which has %d documents: it is of another segment", s.Size, s.Segment, c.docs)
		}
		if !slices.ContainsFunc(parts, func(p *part) bool { return p.content == c }) {
			parts = append(parts, &part{content: c})
		}
		out := RowSet{Segment: s.Segment, Size: s.Size}
		for _, r := range s.Rows {
			if !c.gone(r) {
				out.Rows, picks = append(out.Rows, r), append(picks, pick{c, r})
			}
		}
		live = append(live, out)
	}
	rr := rowReader{ix: ix, meter: m}
	if profiles[st.manifest.profile].fixedRows {
		if err := rr.fixed(ctx, parts, picks, 0, ""); err != nil {
			return nil, nil, err
		}
	}
	rows, err := rr.read(ctx, picks)
	if err != nil {
		return nil, nil, err
	}
	hits = make([]Hit, len(rows))
	for i, r := range rows {
		if hits[i], err = r.hit(st.manifest.schema); err != nil {
			return nil, nil, ix.damaged(picks[i].c.id, 0, err)
		}
	}
	return live, hits, nil
}
