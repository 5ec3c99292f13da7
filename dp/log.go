package dp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/veilchart/veilchart/internal/wire"
)

// This file reads and writes the ledger file. Everything in it runs with the turn and the file lock held.

// exclusive runs f as the only user of the file, after reading what other processes have added.
func (l *Ledger) exclusive(ctx context.Context, f func() error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	if l.broken != nil {
		return l.broken
	}
	if err := l.file.Lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.file.Unlock()) }()
	if err := l.refresh(Head{}); err != nil {
		return err
	}
	return f()
}

// load reads the whole file for the first time.
func (l *Ledger) load(ctx context.Context, key []byte, anchor Head) (err error) {
	if err := l.file.Lock(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.file.Unlock()) }()
	header := make([]byte, headerSize)
	if _, err := l.file.ReadAt(header, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return l.damaged(0, "it is shorter than the header of a ledger")
		}
		return err
	}
	d := wire.NewDecoder(header)
	h := d.Header(wire.KindDPLedger)
	if err := d.Err(); err != nil {
		return l.damaged(0, err.Error())
	}
	if h.Version != 1 || h.Suite != 1 {
		return l.damaged(0, fmt.Sprintf("its format is version %d, suite %d; this software reads version 1, suite 1", h.Version, h.Suite))
	}
	if l.keys, err = ledgerKeys(key, header); err != nil {
		return err
	}
	l.state = newState(sha256.Sum256(header))
	l.size = headerSize
	return l.refresh(anchor)
}

func (l *Ledger) damaged(at int64, what string) error {
	return fmt.Errorf("%w: %s, record %d at byte %d: %s; check the key, otherwise keep this file for inspection, put the newest intact copy in its place and open that with the last anchor",
		ErrDamaged, l.path, l.next0(), at, what)
}

func (l *Ledger) next0() uint64 {
	if l.state == nil {
		return 0
	}
	return l.next
}

// refresh reads the records that are new since the last call and drops one that a crash cut short.
func (l *Ledger) refresh(anchor Head) error {
	size, err := l.file.Size()
	if err != nil {
		return err
	}
	if size < l.size {
		return fmt.Errorf("%w: %s has %d bytes, this process has read %d; an old copy was put back, or it was cut: restore it, then open it with the last anchor", ErrRollback, l.path, size, l.size)
	}
	if err := l.unchanged(); err != nil {
		return err
	}
	rest := bufio.NewReaderSize(io.NewSectionReader(l.file, l.size, size-l.size), 64<<10)
	torn := false
	for l.size < size {
		b, err := l.readRecord(rest, size-l.size)
		if torn = errors.Is(err, errTorn); torn {
			break
		}
		if err != nil {
			return err
		}
		if l.next == anchor.Seq+1 && anchor != (Head{}) && l.prev != anchor.Hash {
			return l.behind(anchor)
		}
		l.last = l.size
		l.size += int64(len(b))
	}
	if anchor != (Head{}) && l.next <= anchor.Seq {
		return l.behind(anchor)
	}
	if l.next == 0 {
		return l.damaged(l.size, "it has no opening record")
	}
	if torn {
		// Nobody has acted on it: a record is acted on only after its fsync.
		if err := l.file.Truncate(l.size); err != nil {
			return fmt.Errorf("dp: %s: removing a record that was cut short by a crash: %w", l.path, err)
		}
	}
	l.publish()
	return nil
}

func (l *Ledger) behind(anchor Head) error {
	return fmt.Errorf("%w: %s has no record %d with the anchored hash; an old copy or another file was put in its place: restore the newest copy, for what it forgot was spent", ErrRollback, l.path, anchor.Seq)
}

// unchanged makes sure that the last record this process knows is still there.
func (l *Ledger) unchanged() error {
	if l.last == 0 {
		return nil
	}
	b := make([]byte, l.size-l.last)
	if _, err := l.file.ReadAt(b, l.last); err != nil {
		return err
	}
	if sha256.Sum256(b) != l.prev {
		return fmt.Errorf("%w: %s was rewritten while it was open; restore it, then open it with the last anchor", ErrRollback, l.path)
	}
	return nil
}

var errTorn = errors.New("torn")

// readRecord reads, verifies and applies one record, of which at most left bytes can be there. errTorn says that a crash left an
// incomplete record: the file ends inside it; or nothing but zeros follows; or it ends the file and the place of its MAC is
// all zero, which is what a file system shows for blocks that were never written. Anything else wrong is damage.
func (l *Ledger) readRecord(r *bufio.Reader, left int64) ([]byte, error) {
	head, err := r.Peek(int(min(8, left)))
	if err != nil {
		return nil, err
	}
	if zero(head) {
		n, err := leadingZeros(r)
		if err != nil {
			return nil, err
		}
		if n == left {
			return nil, errTorn
		}
		return nil, l.damaged(l.size, "its length is zero")
	}
	if len(head) < 8 {
		return nil, errTorn
	}
	size, ok := recordSize(head)
	if !ok {
		return nil, l.damaged(l.size, "its length is wrong")
	}
	b := make([]byte, min(size, left))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if size > left {
		expect := record{seq: l.next, prev: l.prev}.prefix()[8 : 8+8+hashSize]
		if have := b[8:]; string(have[:min(len(have), len(expect))]) != string(expect[:min(len(have), len(expect))]) {
			return nil, l.damaged(l.size, "it is cut short and does not follow the record before it")
		}
		return nil, errTorn
	}
	rec, err := parseRecord(b)
	var plain []byte
	if err == nil {
		plain, err = l.keys.check(rec)
	}
	switch {
	case err != nil && size == left && zero(b[len(b)-hashSize:]):
		return nil, errTorn
	case err != nil:
		return nil, l.damaged(l.size, err.Error())
	case rec.seq != l.next || rec.prev != l.prev:
		return nil, l.damaged(l.size, "it does not follow the record before it")
	}
	if err := l.apply(rec, plain, sha256.Sum256(b)); err != nil {
		return nil, l.damaged(l.size, err.Error())
	}
	return b, nil
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

func leadingZeros(r *bufio.Reader) (n int64, err error) {
	for {
		b, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF) || err == nil && b != 0:
			return n, nil
		case err != nil:
			return n, err
		}
		n++
	}
}

// write appends a record, syncs it, and only then lets it count. A failed write leaves the file as it was. After a failed sync
// nobody knows what the disk holds, so the ledger is poisoned; the record is cut off again, which is allowed since nothing has
// been done on the strength of it.
func (l *Ledger) write(r record, body []byte) error {
	r.seq, r.prev, r.millis = l.next, l.prev, now()
	r = l.keys.seal(r, body)
	b := r.bytes()
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		err = fmt.Errorf("dp: %s: writing a record: %w; make room or repair the disk", l.path, err)
		if cut := l.file.Truncate(l.size); cut != nil {
			return l.poison(errors.Join(err, cut))
		}
		return err
	}
	if err := l.file.Sync(); err != nil {
		err = fmt.Errorf("dp: %s: fsync: %w", l.path, err)
		return l.poison(errors.Join(err, l.file.Truncate(l.size)))
	}
	if err := l.apply(r, body, sha256.Sum256(b)); err != nil {
		return l.poison(fmt.Errorf("dp: %s: a record that this process wrote is not acceptable: %w", l.path, err))
	}
	l.last = l.size
	l.size += int64(len(b))
	l.publish()
	return nil
}

func (l *Ledger) poison(cause error) error {
	l.broken = fmt.Errorf("%w: check the disk and open %s anew; the cause: %w", ErrPoisoned, l.path, cause)
	return l.broken
}

func (l *Ledger) publish() {
	l.headMu.Lock()
	l.head = Head{l.next - 1, l.prev}
	l.headMu.Unlock()
}
