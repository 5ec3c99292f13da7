package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// queue is where batches wait while the one before them is committed. Those that wait then share a segment and a swap: what is slow about a small
// batch is that the store makes them durable.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	busy    bool // somebody takes from it
}

// request is a batch in the queue.
type request struct {
	ctx   context.Context // for its values
	items []item
	done  chan struct{}
	err   error
	in    *group // once it was taken
}

// group is what is committed together.
type group struct {
	requests []*request
	items    []item
	at       map[string]int // of each ID its item, once there is more than one request
	stop     context.CancelFunc
	left     int // requests whose callers are gone
}

// groupRows is how many changes a group of several batches has at most.
const groupRows = 1 << 12

// submit commits the changes, together with those of others.
func (ix *Index) submit(ctx context.Context, items []item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: context.WithoutCancel(ctx), items: items, done: make(chan struct{})}
	q := &ix.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, r)
	if !q.busy {
		q.busy = true
		go ix.serve()
	}
	q.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	taken, last := q.leave(r)
	switch {
	case !taken:
		return ctx.Err()
	case !last:
		// The others of the group still want it.
		return fmt.Errorf("sse: %w: %w", errUnknown, ctx.Err())
	}
	<-r.done
	if errors.Is(r.err, context.Canceled) && !errors.Is(r.err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), r.err) // a deadline: the group itself was cancelled
	}
	return r.err
}

// leave takes a request away whose caller is gone. It says whether the request is in a group, and whether nobody waits for that any more: then the
// group is cancelled.
func (q *queue) leave(r *request) (taken, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.in == nil {
		q.waiting = slices.DeleteFunc(q.waiting, func(o *request) bool { return o == r })
		return false, false
	}
	if r.in.left++; r.in.left == len(r.in.requests) {
		r.in.stop()
		return true, true
	}
	return true, false
}

// take makes a group of the batches in front, nil if there are none.
func (q *queue) take() (*group, context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return nil, nil
	}
	g := &group{}
	for len(q.waiting) > 0 && g.add(q.waiting[0]) {
		q.waiting = q.waiting[1:]
	}
	ctx, stop := context.WithCancel(g.requests[0].ctx)
	g.stop = stop
	return g, ctx
}

// add takes a batch into the group unless that would make it too large, or what the batch means depends on what the group does.
func (g *group) add(r *request) bool {
	if len(g.requests) == 0 {
		g.items = r.items
	} else if !g.join(r.items) {
		return false
	}
	g.requests = append(g.requests, r)
	r.in = g
	return true
}

// join adds changes behind those that are there.
func (g *group) join(items []item) bool {
	if len(g.items)+len(items) > groupRows {
		return false
	}
	if g.at == nil {
		g.items = slices.Clone(g.items) // the request keeps its own
		g.at = make(map[string]int, len(g.items)+len(items))
		for i := range g.items {
			g.at[g.items[i].id] = i
		}
	}
	for i := range items {
		// Which revision is there, and whether there is one, is known when the group is committed.
		if n, ok := g.at[items[i].id]; ok && (items[i].whatever || items[i].fresh || g.items[n].whatever || g.items[n].fresh) {
			return false
		}
	}
	for i := range items {
		n, ok := g.at[items[i].id]
		if !ok {
			g.at[items[i].id] = len(g.items)
			g.items = append(g.items, items[i])
		} else if beats(items[i].revision, items[i].tomb, g.items[n].row, g.items[n].tomb) {
			g.items[n] = items[i]
		}
	}
	return true
}

// serve commits groups until the queue is empty.
func (ix *Index) serve() {
	for {
		g, ctx := ix.queue.take()
		if g == nil {
			return
		}
		err := ix.write(ctx, g.items)
		if len(g.requests) > 1 && (errors.Is(err, ErrBatch) || errors.Is(err, ErrSchema)) {
			// One of them spoils it for the others, or they are too large together.
			for _, r := range g.requests {
				r.err = ix.write(ctx, r.items)
			}
		} else {
			for _, r := range g.requests {
				r.err = err
			}
		}
		g.stop()
		for _, r := range g.requests {
			close(r.done)
		}
	}
}

// write commits changes, however often others are faster.
func (ix *Index) write(ctx context.Context, items []item) error {
	if err := ix.makeRoom(ctx); err != nil {
		return err
	}
	err := ix.writeNow(ctx, items)
	if err == nil {
		ix.tend(ctx)
	}
	return err
}

func (ix *Index) writeNow(ctx context.Context, items []item) error {
	if err := ix.writing.take(ctx); err != nil {
		return err
	}
	defer ix.writing.give()
	for try := 0; ; try++ {
		err := ix.missing(ctx, ix.attempt(ctx, items))
		// Somebody merged the segments that this attempt relied on, or it took too long: from the start.
		if try == maxTries || !errors.Is(err, errReplaced) && !errors.Is(err, errStale) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}
