package abe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/veilchart/veilchart/internal/wire"
)

// EncryptFrom is Seal for streams: it reads src to its end and writes a whole object to dst. It is the safe one of the two: after an
// error, and if src or dst panics, what dst holds is no object that can be opened to its end. Throw it away. A source that
// ends early without an error cannot be told from a short one. The error has that of src or dst in its chain. Memory: about 2 MiB.
func (p *Params) EncryptFrom(dst io.Writer, src io.Reader, policy *Policy, opts *Options) error {
	w, err := p.Encrypt(dst, policy, opts)
	if err != nil {
		return err
	}
	if _, err := w.ReadFrom(src); err != nil {
		return err
	}
	return w.Close() // not deferred: a panic on the way here must not complete the object
}

// Encrypt is EncryptFrom for those who have no reader: it writes the header to dst and returns a writer for the plaintext. An object
// that was not closed without error cannot be opened to its end. Memory: about 2 MiB.
func (p *Params) Encrypt(dst io.Writer, policy *Policy, opts *Options) (*Writer, error) {
	s, err := p.sealer(policy, opts)
	if err != nil {
		return nil, err
	}
	core, K, err := s.encapsulate()
	if err != nil {
		return nil, err
	}
	head, payloadKey := makeHeader(core, K, "", s.associated, payloadHead)
	first := newHead()
	segments, err := newSegments(payloadKey, first, s.associated)
	if err != nil {
		return nil, err
	}
	w := &Writer{dst: dst, segments: segments}
	if err := w.put(append(head, first...)); err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	w.plaintext = new([perSegment + 1]byte)
	w.ciphertext = make([]byte, 0, segmentSize)
	return w, nil
}

// Writer encrypts what is written to it. Get one from Params.Encrypt. It is not safe for concurrent use.
//
// Call Close only after everything was written, and never defer it: Close says that the plaintext is whole. A deferred Close
// that runs after an error or a panic seals half a record as if it were all of it, and no reader can tell.
type Writer struct {
	dst        io.Writer
	segments   *segments
	number     int64                 // of the segment that is being filled
	plaintext  *[perSegment + 1]byte // a segment, and one byte by which ReadFrom sees that it is not the last one; behind a pointer: see redact.go
	n          int                   // bytes in plaintext, not more than the segment takes
	ciphertext []byte                // dst never sees the memory that plaintext is in
	err        error                 // the first one, so that nothing is completed after it
}

var (
	errClosed   = errors.New("abe: the object is complete: nothing can be added")
	errNoWriter = errors.New("abe: no writer: get one from Params.Encrypt")
	errBroken   = errors.New("abe: the object is incomplete: its destination panicked")
	errCount    = errors.New("abe: the source says that it read more than it was asked for, or less than nothing")
)

// Format prints "redacted" under every verb.
func (*Writer) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// check refuses what Encrypt did not make, and goes on refusing after an error.
func (w *Writer) check() error {
	if w == nil || w.dst == nil {
		return errNoWriter
	}
	return w.err
}

// put writes all of b to dst.
func (w *Writer) put(b []byte) error {
	n, err := w.dst.Write(b)
	if err == nil && n != len(b) {
		return io.ErrShortWrite
	}
	return err
}

// flush seals a segment and writes it to dst. While dst is at it the writer counts as failed: were it used after a panic of dst, a
// nonce would come twice.
func (w *Writer) flush(plaintext []byte, last bool) error {
	if w.number == maxSegments {
		w.err = errTooLong
		return w.err
	}
	w.err = errBroken
	w.ciphertext = w.segments.seal(w.ciphertext[:0], plaintext, w.number, last)
	if err := w.put(w.ciphertext); err != nil {
		w.err = fmt.Errorf("abe: writing the payload: %w", err)
		return w.err
	}
	w.number++
	w.n = 0
	w.err = nil
	return nil
}

// Write encrypts b. After an error of dst the writer stays failed.
func (w *Writer) Write(b []byte) (n int, err error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	for n < len(b) {
		size, rest := limit(w.number), b[n:]
		switch {
		case w.n == size: // not the last one, since there is more
			if err := w.flush(w.plaintext[:size], false); err != nil {
				return n, err
			}
		case w.n == 0 && len(rest) > size:
			if err := w.flush(rest[:size], false); err != nil {
				return n, err
			}
			n += size
		default:
			m := copy(w.plaintext[w.n:size], rest)
			w.n += m
			n += m
		}
	}
	return n, nil
}

// ReadFrom encrypts src to its end and returns how many bytes that were. If src fails, Close refuses from then on. io.Copy calls it,
// but not for a source that has a WriteTo: then the writer does not learn of the failure. Params.EncryptFrom has no such gap.
func (w *Writer) ReadFrom(src io.Reader) (n int64, err error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	for {
		size := limit(w.number)
		room := w.plaintext[w.n : size+1]
		m, err := src.Read(room)
		if m < 0 || m > len(room) {
			w.err = errCount
			return n, w.err
		}
		n += int64(m)
		w.n += m
		if w.n > size {
			next := w.plaintext[size]
			if err := w.flush(w.plaintext[:size], false); err != nil {
				return n, err
			}
			w.plaintext[0], w.n = next, 1
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			w.err = fmt.Errorf("abe: the object is incomplete, its source failed: %w", err)
			return n, w.err
		}
	}
}

// Close writes the last segment, which completes the object, and does not close dst. Check its error. After an error it returns that
// error and leaves the object incomplete; after a success it does nothing.
func (w *Writer) Close() error {
	if err := w.check(); err != nil {
		if err == errClosed {
			return nil
		}
		return err
	}
	if err := w.flush(w.plaintext[:w.n], true); err != nil {
		return err
	}
	w.err = errClosed
	return nil
}

// Decrypt is Open for streams: it reads the header from src, checks the key and returns a reader for the plaintext. What the
// reader returns is authentic, but the object may have been cut: it is complete only when the reader has returned io.EOF.
// Throw away what was read if it returns another error. A failed Read stays failed. Errors of src are passed on, others have
// ErrDecrypt in their chain. Memory: about 1 MiB.
func (k *Key) Decrypt(src io.Reader, opts *Options) (io.Reader, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	source := &watched{r: src}
	s, err := k.openStream(source, opts)
	if err != nil {
		return nil, err
	}
	return &decrypter{source: source, segments: s, buffer: new([segmentSize + 1]byte)}, nil
}

// openStream reads the header and the head of the payload from src, and nothing after them.
func (k *Key) openStream(src *watched, opts *Options) (*segments, error) {
	o, err := opts.opening()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	payloadKey, err := k.openHeader(h, o)
	if err != nil {
		return nil, err
	}
	head := make([]byte, payloadHead)
	if _, err := io.ReadFull(src, head); err != nil {
		return nil, src.explain()
	}
	return newSegments(payloadKey, head, o.associated)
}

// readHeader reads a header and nothing after it.
func readHeader(src *watched) (*header, error) {
	var b []byte
	more := func(n int) error {
		b = append(b, make([]byte, n)...)
		if _, err := io.ReadFull(src, b[len(b)-n:]); err != nil {
			if src.err != nil {
				return fmt.Errorf("abe: reading the header: %w", src.err)
			}
			return fmt.Errorf("%w at byte %d: truncated: the stream ends within the header", ErrFormat, src.n)
		}
		return nil
	}
	if err := more(fixedSize); err != nil {
		return nil, err
	}
	d := wire.NewDecoder(b)
	_, _, size := coreSize(d)
	if err := d.Err(); err != nil {
		return nil, err
	}
	if err := more(size + 4); err != nil {
		return nil, err
	}
	id := binary.BigEndian.Uint32(b[len(b)-4:])
	if id > maxRecordID {
		return nil, fmt.Errorf("%w at byte %d: length %d of the record id is over the limit of %d", ErrFormat, len(b)-4, id, maxRecordID)
	}
	if err := more(int(id) + closingSize); err != nil {
		return nil, err
	}
	return decodeHeader(b)
}

// watched remembers an error of the source that is not its end.
type watched struct {
	r   io.Reader
	n   int64
	err error
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.n += int64(n)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// explain is the error for a failure while reading: the source's, if it had one.
func (w *watched) explain() error {
	if w.err != nil {
		return fmt.Errorf("abe: reading the payload: %w", w.err)
	}
	return ErrDecrypt
}

// decrypter reads a segment and one byte more, by which it sees whether the segment is the last one, and decrypts in place.
type decrypter struct {
	source   *watched
	segments *segments
	number   int64                  // of the next segment
	buffer   *[segmentSize + 1]byte // behind a pointer: see redact.go
	from, to int                    // the plaintext in buffer that was not returned yet
	next     byte                   // the first byte of the next segment, which was read already, unless number is 0
	err      error                  // after that plaintext
}

func (d *decrypter) Read(b []byte) (int, error) {
	for d.from == d.to {
		if d.err != nil {
			return 0, d.err
		}
		if len(b) == 0 {
			return 0, nil
		}
		d.segment()
	}
	n := copy(b, d.buffer[d.from:d.to])
	d.from += n
	return n, nil
}

// segment reads the next segment.
func (d *decrypter) segment() {
	if d.number == maxSegments {
		d.err = ErrDecrypt
		return
	}
	size, ahead := limit(d.number)+tagSize, 0
	if d.number > 0 {
		d.buffer[0], ahead = d.next, 1
	}
	n, err := io.ReadFull(d.source, d.buffer[ahead:size+1])
	if d.source.err != nil {
		d.err = d.source.explain()
		return
	}
	last := err != nil
	n += ahead
	if !last {
		n, d.next = size, d.buffer[size]
	}
	plaintext, err := d.segments.open(d.buffer[:0], d.buffer[:n], d.number, last)
	d.from, d.to, d.err = 0, len(plaintext), err
	if last && err == nil {
		d.err = io.EOF
	}
	d.number++
}
