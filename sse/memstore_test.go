package sse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// memStore is a Store in memory. It records what the server sees, and can be made to fail.
type memStore struct {
	mu       sync.Mutex
	segments map[ID]map[ID]*memSegment
	heads    map[ID][][]byte

	reads [][]Run
	// fail is asked before every operation; swapLost says that a swap takes effect although fail ends it.
	fail     func(op string) error
	swapLost bool
}

type memSegment struct {
	pages   []byte
	created time.Time
}

func newMemStore() *memStore {
	return &memStore{segments: make(map[ID]map[ID]*memSegment), heads: make(map[ID][][]byte)}
}

func (m *memStore) begin(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.fail != nil {
		return m.fail(op)
	}
	return nil
}

func (m *memStore) Read(ctx context.Context, partition ID, runs []Run) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "read"); err != nil {
		return nil, err
	}
	m.reads = append(m.reads, slices.Clone(runs))
	var out [][]byte
	for _, r := range runs {
		s := m.segments[partition][r.Segment]
		if s == nil {
			return nil, fmt.Errorf("segment %v: %w", r.Segment, ErrMissing)
		}
		from, to := int(r.First)*PageSize, int(r.First+r.Count)*PageSize
		if to > len(s.pages) {
			return nil, fmt.Errorf("segment %v: %w", r.Segment, ErrDamaged)
		}
		out = append(out, slices.Clone(s.pages[from:to]))
	}
	return out, nil
}

func (m *memStore) WriteSegment(ctx context.Context, partition, segment ID, pages iter.Seq2[[]byte, error]) error {
	var b []byte
	for p, err := range pages {
		if err != nil {
			return err
		}
		if len(p) != PageSize {
			return errors.New("a page of another size")
		}
		b = append(b, p...)
		if err := m.begin(ctx, "page"); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "write"); err != nil {
		return err
	}
	if m.segments[partition] == nil {
		m.segments[partition] = make(map[ID]*memSegment)
	}
	if m.segments[partition][segment] != nil {
		return ErrExists
	}
	m.segments[partition][segment] = &memSegment{b, time.Now()}
	return nil
}

func (m *memStore) Segments(ctx context.Context, partition ID) (out []SegmentInfo, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "list"); err != nil {
		return nil, err
	}
	for id, s := range m.segments[partition] {
		out = append(out, SegmentInfo{id, uint32(len(s.pages) / PageSize), s.created})
	}
	return out, nil
}

func (m *memStore) DeleteSegment(ctx context.Context, partition, segment ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "delete"); err != nil {
		return err
	}
	if m.segments[partition][segment] == nil {
		return ErrMissing
	}
	delete(m.segments[partition], segment)
	return nil
}

func (m *memStore) Head(ctx context.Context, partition ID, version uint64) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, "head"); err != nil {
		return nil, 0, err
	}
	heads := m.heads[partition]
	latest := uint64(len(heads))
	if version == 0 {
		version = latest
	}
	if latest == 0 {
		if version == 0 {
			return nil, 0, nil
		}
		return nil, 0, ErrMissing
	}
	if version > latest || heads[version-1] == nil {
		return nil, latest, ErrMissing
	}
	return slices.Clone(heads[version-1]), latest, nil
}

func (m *memStore) SwapHead(ctx context.Context, partition ID, version uint64, blob []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.begin(ctx, "swap")
	if err != nil && !m.swapLost {
		return err
	}
	if version != uint64(len(m.heads[partition]))+1 {
		return ErrConflict
	}
	m.heads[partition] = append(m.heads[partition], slices.Clone(blob))
	return err
}
