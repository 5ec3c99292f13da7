package dp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/veilchart/veilchart/internal/wire"
)

// A Ledger is the durable budget of one data set and the only way to a release. It is safe for concurrent use, and several
// processes may have the same file open on one machine.
type Ledger struct {
	path string
	keys *keyset
	pool *pool

	turn chan struct{} // holds one token; who has it owns everything below
	file storage
	*state
	size    int64 // of the intact records
	last    int64 // where the last record begins
	broken  error // poisoned or closed
	pending map[hash]answer

	headMu sync.Mutex
	head   Head

	flightMu sync.Mutex
	flights  map[hash]chan struct{} // questions being answered by this process
}

// afterwards bounds the wait for another process's lock when a computation is over and its outcome must be written down even
// though the caller's context may have ended.
const afterwards = time.Minute

// Create makes a new ledger file with mode 0600 and opens it. The key is 32 random bytes, kept as carefully as the data: who has
// it can forge a budget, and can read the answers. A file that exists is refused with an error that wraps fs.ErrExist. The limits
// are part of the file and cannot be changed. Limits do not refill: a quota that refills has an unbounded total loss.
func Create(ctx context.Context, path string, key []byte, limits Limits) (*Ledger, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	header := make([]byte, headerSize)
	copy(header, wire.AppendHeader(nil, wire.Header{Kind: wire.KindDPLedger, Version: 1, Suite: 1}))
	_, _ = rand.Read(header[wire.HeaderSize:])
	keys, err := ledgerKeys(key, header)
	if err != nil {
		return nil, err
	}
	first := keys.seal(record{prev: sha256.Sum256(header), kind: typeOpen, millis: now()}, limits.append(nil))
	if err := createDisk(path, append(header, first.bytes()...)); err != nil {
		return nil, err
	}
	return Open(ctx, path, key, Head{})
}

// Open opens a ledger file and checks all of it. A record that was cut short by a crash is removed from the end; whatever else is
// wrong gives an error that wraps ErrDamaged and names the file. If anchor is not zero, the file must hold that very record, or the
// error wraps ErrRollback: an old copy was put back. A file that is absent gives an error that wraps fs.ErrNotExist.
func Open(ctx context.Context, path string, key []byte, anchor Head) (*Ledger, error) {
	return openWith(ctx, path, key, anchor, openDisk, newSource())
}

func openWith(ctx context.Context, path string, key []byte, anchor Head, open func(string) (storage, error), src *source) (*Ledger, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		path: path, pool: newPool(src), file: f, turn: make(chan struct{}, 1),
		pending: make(map[hash]answer), flights: make(map[hash]chan struct{}),
	}
	if err := l.load(ctx, key, anchor); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.turn <- struct{}{}
	return l, nil
}

func ledgerKeys(key, header []byte) (*keyset, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: the ledger key has %d bytes; give %d random bytes", ErrInvalid, len(key), keySize)
	}
	return deriveKeys(key, header[wire.HeaderSize:])
}

// Limits are those the ledger was created with.
func (l *Ledger) Limits() Limits { return l.limits }

// Head is the last record that this process has read or written. Keep it as an anchor after each release: what was spent after
// the last anchor can be forgotten by putting an old copy of the file back, what was spent before cannot.
func (l *Ledger) Head() Head {
	l.headMu.Lock()
	defer l.headMu.Unlock()
	return l.head
}

// Format prints the path and nothing else, under every verb: a ledger holds keys and noise.
func (l *Ledger) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "dp ledger %s", l.path) }

// Close waits for the operation under way, wipes the noise in stock and closes the file. A computation that is still running
// finds the ledger closed; its reservation stays spent.
func (l *Ledger) Close() error {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if errors.Is(l.broken, os.ErrClosed) {
		return nil
	}
	l.broken = fmt.Errorf("dp: %s: %w", l.path, os.ErrClosed)
	l.pool.wipe()
	return l.file.Close()
}

// Budget is what is left.
type Budget struct {
	Querier Cost // of this querier
	Global  Cost // of all queriers together
}

// Remaining reads what is left to a querier. It costs nothing. A querier that never asked anything has its whole limit.
func (l *Ledger) Remaining(ctx context.Context, querier string) (Budget, error) {
	if err := checkName("querier", querier, maxName, false); err != nil {
		return Budget{}, err
	}
	var b Budget
	err := l.exclusive(ctx, func() error {
		b = Budget{l.limits.Querier.left(l.queriers[querier]), l.limits.Global.left(l.global)}
		return nil
	})
	return b, err
}

// Release answers a question with noise. In this order:
//
//  1. The question is checked and priced. If it was answered before, by any process, the same numbers come back: free to a querier
//     who has paid for them, else charged to this querier but not to the cap over all.
//  2. The charge is written and synced to disk. If it does not fit, the error is a *BudgetError and nothing is spent.
//  3. compute is called, once, to get the exact values. An error from it voids the charge, since no noise and no message exists
//     yet; with an error that wraps ErrKeepSpent, with values outside the declared bounds, or if it panics, the charge stays. Its
//     errors must depend on public things only, and must not be shown to the querier: they are neither noisy nor charged.
//  4. Noise is added; the answer is sealed, written and synced; then it is returned.
//
// A crash between 2 and 4 leaves the charge spent. If the answer cannot be written, it is not returned; this process keeps it, and
// asking again writes and returns it without a new charge. If ctx ends while compute runs, what compute returns decides.
//
// Two callers with the same question wait for each other within a process. Across processes both may be charged, and both get
// the answer that was written first.
func (l *Ledger) Release(ctx context.Context, querier string, q Query, compute func(context.Context) (Exact, error)) (Release, error) {
	plan, err := q.Plan()
	if err != nil {
		return Release{}, err
	}
	if err := checkName("querier", querier, maxName, false); err != nil {
		return Release{}, err
	}
	if compute == nil {
		return Release{}, fmt.Errorf("%w: no function to compute the exact values", ErrInvalid)
	}
	if plan.query.Dataset != l.limits.Dataset {
		return Release{}, fmt.Errorf("%w: the question is about %q, this ledger is for %q; open the ledger of that data set", ErrInvalid, plan.query.Dataset, l.limits.Dataset)
	}
	key := l.keys.question(plan.query)
	leave, err := l.enter(ctx, key)
	if err != nil {
		return Release{}, err
	}
	defer leave()

	var reserved uint64
	var release Release
	found := false
	err = l.exclusive(ctx, func() error {
		if err := l.settle(key); err != nil {
			return err
		}
		_, found = l.answers[key]
		var charged Cost
		if !found || l.paid[chargeKey{key, querier}] == 0 {
			if err := l.affords(querier, plan.Cost, found); err != nil {
				return err
			}
			reserved = l.next
			charged = plan.Cost
			body := charge{found, querier, plan.query}.append(nil)
			if err := l.write(record{kind: typeReserve, query: key, cost: charged}, body); err != nil {
				return err
			}
		}
		if found {
			release = l.answered(plan, key)
			release.Cached, release.Charged = true, charged
		}
		return nil
	})
	if err != nil || found {
		return release, err
	}

	noisy, err := l.compute(ctx, plan, key, reserved, compute)
	if err != nil {
		return Release{}, err
	}
	<-l.turn
	l.pending[key] = answer{reserved, noisy}
	l.turn <- struct{}{}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	err = l.exclusive(ctx, func() error {
		_, other := l.answers[key]
		if err := l.settle(key); err != nil {
			return err
		}
		release = l.answered(plan, key)
		release.Cached, release.Charged = other, plan.Cost
		return nil
	})
	if err != nil {
		return Release{}, fmt.Errorf("the answer could not be stored and is not shown; remove the cause and ask this ledger again while it is open, it will not be charged anew: %w", err)
	}
	return release, nil
}

// compute draws the noise, calls the caller's function and puts the two together. If the function fails, the charge is voided.
func (l *Ledger) compute(ctx context.Context, plan Plan, key hash, reserved uint64, f func(context.Context) (Exact, error)) ([]int64, error) {
	noise, err := plan.draw(l.pool)
	var exact Exact
	if err == nil {
		exact, err = f(ctx)
	}
	if err == nil {
		v, err := plan.vector(exact)
		if err != nil {
			return nil, err
		}
		return noisy(v, noise), nil
	}
	clear(noise)
	if errors.Is(err, ErrKeepSpent) {
		return nil, fmt.Errorf("dp: computing the exact values: %w", err)
	}
	err = fmt.Errorf("dp: computing the exact values, nothing was spent: %w", err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	voidErr := l.exclusive(ctx, func() error {
		return l.write(record{kind: typeVoid, query: key}, appendVoid(nil, reserved))
	})
	if voidErr != nil {
		err = fmt.Errorf("dp: computing the exact values: %w; and the charge stays, for it could not be voided: %w", errors.Unwrap(err), voidErr)
	}
	return nil, err
}

// settle writes the pending answer to a question, if there is one and nobody else has answered.
func (l *Ledger) settle(key hash) error {
	a, ok := l.pending[key]
	if !ok {
		return nil
	}
	if _, answered := l.answers[key]; !answered {
		if err := l.write(record{kind: typeCommit, query: key}, a.append(nil)); err != nil {
			return err
		}
	}
	delete(l.pending, key)
	return nil
}

// answered finishes a stored answer.
func (l *Ledger) answered(plan Plan, key hash) Release {
	a := l.answers[key]
	r := plan.finish(a.noisy, plan.query.Confidence, l.limits.SuppressBelow)
	r.Seq = a.seq
	return r
}

// enter waits until no other goroutine of this process is answering the same question.
func (l *Ledger) enter(ctx context.Context, key hash) (leave func(), err error) {
	for {
		l.flightMu.Lock()
		other, busy := l.flights[key]
		if !busy {
			own := make(chan struct{})
			l.flights[key] = own
			l.flightMu.Unlock()
			return func() {
				l.flightMu.Lock()
				delete(l.flights, key)
				l.flightMu.Unlock()
				close(own)
			}, nil
		}
		l.flightMu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func now() uint64 { return uint64(max(0, time.Now().UnixMilli())) }
