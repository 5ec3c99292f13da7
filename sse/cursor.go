package sse

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/internal/wire"
)

// Cursor leads from one page of hits to the next. It can be kept and sent, has no secrets in it but the number of a row and the counter
// of a head, and works as long as the store keeps that head and the segments that it names: HeadsKept changes of the partition, and the
// grace period behind a compaction. A cursor made by nobody with the partition key is refused.
type Cursor []byte

// ErrCursor is returned for a cursor of another query or other options, of another key, and for one whose state of the partition is
// not kept any more. Begin again with the first page.
var ErrCursor = errors.New("the cursor leads nowhere: begin again with the first page")

// The encoding is in docs/spec/sse.md, section Paging.
const (
	cursorVersion = 1
	cursorSuite   = 1 // HMAC-SHA-256
	cursorSize    = wire.HeaderSize + 8 + 32 + 4 + 4 + sha256.Size

	labelCursor = "veilchart sse v1 cursor"
)

// cursorContent is what a cursor says.
type cursorContent struct {
	anchor Anchor
	last   rowPlace // the last hit of the page
	tag    [sha256.Size]byte
}

func (c cursorContent) encode() Cursor {
	b := wire.AppendHeader(make([]byte, 0, cursorSize), wire.Header{Kind: wire.KindSSECursor, Version: cursorVersion, Suite: cursorSuite})
	b = binary.BigEndian.AppendUint64(b, c.anchor.Counter)
	b = append(b, c.anchor.Hash[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.last.part))
	b = binary.BigEndian.AppendUint32(b, c.last.row)
	return append(b, c.tag[:]...)
}

func decodeCursor(b []byte) (c cursorContent, err error) {
	d := wire.NewDecoder(b)
	h := d.Header(wire.KindSSECursor)
	if d.Err() == nil && (h.Version != cursorVersion || h.Suite != cursorSuite) {
		d.Failf("cursor of version %d, suite %d: this program reads version %d, suite %d", h.Version, h.Suite, cursorVersion, cursorSuite)
	}
	c.anchor.Counter = d.Uint64()
	copy(c.anchor.Hash[:], d.Raw(len(c.anchor.Hash)))
	part, row := d.Uint32(), d.Uint32()
	if d.Err() == nil && (c.anchor.Counter == 0 || part >= maxSegments || row >= maxRows) {
		d.Failf("row %d of segment %d in head %d", row, part, c.anchor.Counter)
	}
	c.last = rowPlace{int(part), row}
	copy(c.tag[:], d.Raw(len(c.tag)))
	if err := d.Finish(); err != nil {
		return cursorContent{}, fmt.Errorf("sse: %w (%w)", ErrCursor, err)
	}
	return c, nil
}

// sign is the tag of the cursor for a query and what decides the order of its hits. It binds both, and does not tell the query to
// who has no key.
func (c cursorContent) sign(k key, partition ID, q Query, o SearchOptions) (tag [sha256.Size]byte) {
	sub := derive(k[:], nil, labelCursor+string(partition[:]))
	mac := hmac.New(sha256.New, sub[:])
	c.tag = tag
	b := wire.AppendBytes(nil, c.encode())
	b = wire.AppendString(b, q.String())
	b = wire.AppendString(b, o.Sort)
	flags := byte(0)
	if o.Rank {
		flags |= 1
	}
	if o.Descending {
		flags |= 2
	}
	mac.Write(append(b, flags))
	mac.Sum(tag[:0])
	return tag
}

// cursor leads to what follows a hit.
func (ix *Index) cursor(st *state, q Query, o SearchOptions, last rowPlace) Cursor {
	c := cursorContent{anchor: st.anchor, last: last}
	c.tag = c.sign(st.key, ix.partition, q, o)
	return c.encode()
}

// resume is the state of the partition that o.After was made for, and the last hit of that page.
func (ix *Index) resume(ctx context.Context, q Query, o SearchOptions) (*state, rowPlace, error) {
	c, err := decodeCursor(o.After)
	if err != nil {
		return nil, rowPlace{}, err
	}
	now := ix.current()
	if tag := c.sign(now.key, ix.partition, q, o); !hmac.Equal(tag[:], c.tag[:]) {
		return nil, rowPlace{}, fmt.Errorf("sse: %w (it belongs to another query, other options or another key)", ErrCursor)
	}
	if c.anchor == now.anchor {
		return now, c.last, nil
	}
	blob, _, err := ix.store.Head(ctx, ix.partition, c.anchor.Counter)
	switch {
	case errors.Is(err, ErrMissing):
		return nil, rowPlace{}, fmt.Errorf("sse: %w (%w)", ErrCursor, err)
	case err != nil:
		return nil, rowPlace{}, fmt.Errorf("sse: reading head %d of partition %v: %w", c.anchor.Counter, ix.partition, err)
	case sha256.Sum256(blob) != c.anchor.Hash:
		return nil, rowPlace{}, ix.forked(c.anchor.Counter)
	}
	m, err := ix.openHead(now.key, c.anchor.Counter, blob)
	if err != nil {
		return nil, rowPlace{}, err
	}
	return ix.adopt(now.key, m, c.anchor), c.last, nil
}
