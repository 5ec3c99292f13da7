package sse

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// tending is the merge that an Index may have running in the background. Apply and Load begin it when there is something to do, and nothing
// runs between. docs/decisions/0012-sse-background-merges.md.
type tending struct {
	mu     sync.Mutex
	closed bool
	done   chan struct{} // of the one that runs; nil if none does
	stop   context.CancelFunc
	err    error // of the last one
	failed int   // how often it failed without a success between
	again  time.Time
}

// The number of segments at which writers wait for merges, and at which they do not write while merges fail.
const (
	crowded     = 256
	overcrowded = maxSegments / 4
)

// failure is why the last merge failed.
func (t *tending) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// tend begins a merge in the background if there is something to merge or to delete, and none runs. After a failure it waits a while. It
// returns a channel that is closed when there is none any more.
func (ix *Index) tend(ctx context.Context) <-chan struct{} {
	t := &ix.tending
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done != nil {
		return t.done
	}
	m := ix.current().manifest
	if t.closed || time.Now().Before(t.again) || ripe(m, background) == nil && len(ix.expired(m)) == 0 {
		return nil
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	t.done, t.stop = done, stop
	go func() {
		defer close(done)
		defer stop()
		err := ix.tidy(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done = nil
		switch {
		case err == nil:
			t.err, t.failed = nil, 0
		case ctx.Err() == nil: // otherwise Close ended it
			t.err = err
			t.again = time.Now().Add(min(time.Second<<min(t.failed, 6), time.Minute))
			t.failed++
		}
	}()
	return done
}

// tidy merges what is ripe and deletes what no reader wants any more.
func (ix *Index) tidy(ctx context.Context) error {
	if err := ix.merging.take(ctx); err != nil {
		return err
	}
	defer ix.merging.give()
	if err := ix.tiers(ctx, background, CompactOptions{}); err != nil {
		return err
	}
	for _, id := range ix.expired(ix.current().manifest) {
		if err := ix.take(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// makeRoom is called before a batch is written. It waits for merges if there are many segments, and refuses if there are very many and merges fail.
func (ix *Index) makeRoom(ctx context.Context) error {
	m := ix.current().manifest
	if len(m.segments) < crowded || ripe(m, background) == nil {
		return nil
	}
	if done := ix.tend(ctx); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if n := len(ix.current().manifest.segments); n >= overcrowded {
		if err := ix.tending.failure(); err != nil {
			return fmt.Errorf("sse: nothing was changed: partition %v has %d segments and merging them fails: %w", ix.partition, n, err)
		}
	}
	return nil
}

// Close ends the merge that may be running in the background, waits for it, and lets none begin again. What it had not finished another Index does, or
// Compact. Everything else can be used on.
func (ix *Index) Close() {
	t := &ix.tending
	t.mu.Lock()
	t.closed = true
	done := t.done
	if done != nil {
		t.stop()
	}
	t.mu.Unlock()
	if done != nil {
		<-done
	}
}
