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
// ends early without an error cannot be told from a short one. The error has that of src or dst in its chain.
//
// The segments of 1 MiB that src gives in one Read are sealed on all cores, up to four. So a file gets all of them. A pipe or a connection gives less at a time
// and gets one core: no segment waits for the next one before it is written. Memory: about 2 MiB, and for plaintexts of more than 2 MiB as
// much for each core, up to four.
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
	w := newWriter(dst, segments)
	if err := w.put(append(head, first...)); err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	return w, nil
}

func newWriter(dst io.Writer, s *segments) *Writer {
	return &Writer{dst: dst, segments: s, plaintext: new(make([]byte, perSegment+1))}
}

// Writer encrypts what is written to it. Get one from Params.Encrypt. It is not safe for concurrent use.
//
// Call Close only after everything was written, and never defer it: Close says that the plaintext is whole. A deferred Close
// that runs after an error or a panic seals half a record as if it were all of it, and no reader can tell.
type Writer struct {
	dst        io.Writer
	segments   *segments
	number     int64          // of the segment that is being filled
	plaintext  *[]byte        // room for segments, and for the byte by which ReadFrom sees that they are not the last; behind a pointer: see redact.go
	n          int            // bytes in plaintext, between calls not more than a segment takes
	ciphertext [atOnce][]byte // dst never sees the memory that plaintext is in
	err        error          // the first one, so that nothing is completed after it
}

var (
	errClosed   = errors.New("abe: the object is complete: nothing can be added")
	errNoWriter = errors.New("abe: no writer: get one from Params.Encrypt")
	errBroken   = errors.New("abe: the object is incomplete: its source or its destination panicked")
	errCount    = errors.New("abe: the source says that it read more than it was asked for, or less than nothing")
	errTaken    = errors.New("abe: the destination says that it took more than it was given, or less than nothing")
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

// full appends the segments at the start of b that are full and not the last one, since there is more, up to as many as are sealed at once. There is room
// for one at least.
func (w *Writer) full(segments [][]byte, b []byte) [][]byte {
	for len(segments) < batch() {
		number := w.number + int64(len(segments))
		size := limit(number)
		if len(b) <= size || number == maxSegments && len(segments) > 0 {
			break
		}
		segments = append(segments, b[:size])
		b = b[size:]
	}
	return segments
}

// flush seals segments, each on a core of its own, and writes them to dst in their order. It returns how many bytes of plaintext were written. While
// it is at it the writer counts as failed: were it used after a panic of dst, a nonce would come twice. What was sealed behind a segment that dst
// did not take is lost, and nothing is sealed under its number again: the writer stays failed.
func (w *Writer) flush(segments [][]byte, last bool) (n int, err error) {
	if w.number == maxSegments {
		w.err = errTooLong
		return 0, w.err
	}
	w.err = errBroken
	inParallel(allCores(), len(segments), func(i int) {
		if w.ciphertext[i] == nil {
			w.ciphertext[i] = make([]byte, 0, segmentSize)
		}
		w.ciphertext[i] = w.segments.seal(w.ciphertext[i][:0], segments[i], w.number+int64(i), last)
	})
	for i, plaintext := range segments {
		if err := w.put(w.ciphertext[i]); err != nil {
			w.err = fmt.Errorf("abe: writing the payload: %w", err)
			return n, w.err
		}
		n += len(plaintext)
	}
	w.number += int64(len(segments))
	w.err = nil
	return n, nil
}

// Write encrypts b. After an error of dst the writer stays failed. The segments that are in b as a whole are sealed on all cores.
func (w *Writer) Write(b []byte) (n int, err error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	for {
		plaintext := (*w.plaintext)[:limit(w.number)]
		m := 0
		if w.n > 0 || len(b)-n <= len(plaintext) {
			m = copy(plaintext[w.n:], b[n:])
		}
		n += m
		w.n += m
		if n == len(b) {
			return n, nil
		}
		var segments [][]byte
		if w.n > 0 { // then it is full, and there is more
			segments = append(segments, plaintext)
		}
		written, err := w.flush(w.full(segments, b[n:]), false)
		if written > 0 {
			n += written - w.n // those in plaintext were counted
			w.n = 0
		}
		if err != nil {
			return n, err
		}
	}
}

// ReadFrom encrypts src to its end and returns how many bytes that were. If src fails or panics, Close refuses from then on. io.Copy calls it,
// but not for a source that has a WriteTo: then the writer does not learn of the failure. Params.EncryptFrom has no such gap.
func (w *Writer) ReadFrom(src io.Reader) (n int64, err error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	for {
		w.grow()
		room := (*w.plaintext)[w.n:]
		w.err = errBroken // unless Read returns
		m, err := src.Read(room)
		w.err = nil
		if m < 0 || m > len(room) {
			w.err = errCount
			return n, w.err
		}
		n += int64(m)
		w.n += m
		if err := w.drain(); err != nil {
			return n, err
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

// grow makes room for as many segments as are sealed at once, when the plaintext has turned out to be long.
func (w *Writer) grow() {
	if size := batch()*perSegment + 1; w.number >= longAfter && len(*w.plaintext) < size {
		larger := make([]byte, size)
		copy(larger, (*w.plaintext)[:w.n])
		*w.plaintext = larger
	}
}

// drain seals what is in plaintext, but for a segment that may be the last one.
func (w *Writer) drain() error {
	rest := (*w.plaintext)[:w.n]
	for len(rest) > limit(w.number) {
		written, err := w.flush(w.full(nil, rest), false)
		if err != nil {
			return err
		}
		rest = rest[written:]
	}
	w.n = copy(*w.plaintext, rest)
	return nil
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
	if _, err := w.flush([][]byte{(*w.plaintext)[:w.n]}, true); err != nil {
		return err
	}
	w.err = errClosed
	return nil
}

// Decrypt is Open for streams: it reads the header from src, checks the key and returns a reader for the plaintext. What the
// reader returns is authentic, but the object may have been cut: it is complete only when the reader has returned io.EOF.
// Throw away what was read if it returns another error. A failed Read stays failed. Errors of src are passed on, others have
// ErrDecrypt in their chain.
//
// The reader decrypts a segment of 1 MiB when it has the first byte of the next one, and does not wait for more. The segments that src gives in one Read are
// decrypted on all cores, up to four: a file gets all of them, a pipe or a connection one. io.Copy is the fastest way to read it, by a WriteTo. Memory: about
// 1 MiB, and, after two segments were authenticated, as much for each core, up to four.
func (k *Key) Decrypt(src io.Reader, opts *Options) (io.Reader, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	source := &watched{r: src}
	s, err := k.openStream(source, opts)
	if err != nil {
		return nil, err
	}
	return newDecrypter(source, s), nil
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
	if n < 0 || n > len(b) {
		n, err = 0, errCount
	}
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

// decrypter reads until it has a segment and a byte of the next one, by which it sees that the segment is not the last one, and decrypts in place. It reads
// into all the room that it has: what the source gives at once is decrypted on all cores, and nobody waits for it.
type decrypter struct {
	source   *watched
	segments *segments
	number   int64 // of the next segment
	stock    *stock
	err      error // after the plaintext in stock
}

// stock is what a decrypter has and did not return yet. Behind a pointer: see redact.go.
type stock struct {
	buffer    []byte
	plaintext [][]byte // in buffer, decrypted
	from, to  int      // in buffer, behind plaintext: less than a segment and its next byte
}

func newDecrypter(source *watched, s *segments) *decrypter {
	return &decrypter{source: source, segments: s, stock: &stock{buffer: make([]byte, segmentSize+1)}}
}

// Format prints "redacted" under every verb.
func (*decrypter) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

func (d *decrypter) Read(b []byte) (int, error) {
	for len(d.stock.plaintext) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		if len(b) == 0 {
			return 0, nil
		}
		d.more()
	}
	n := copy(b, d.stock.plaintext[0])
	d.stock.take(n)
	return n, nil
}

// WriteTo spares io.Copy a copy. It waits for no more than Read does before it writes what is there.
func (d *decrypter) WriteTo(dst io.Writer) (n int64, err error) {
	for {
		for len(d.stock.plaintext) > 0 {
			b := d.stock.plaintext[0]
			m, err := dst.Write(b[:len(b):len(b)])
			if m < 0 || m > len(b) {
				return n, errTaken
			}
			n += int64(m)
			d.stock.take(m)
			if err == nil && m < len(b) {
				err = io.ErrShortWrite
			}
			if err != nil {
				return n, err
			}
		}
		if d.err == io.EOF {
			return n, nil
		}
		if d.err != nil {
			return n, d.err
		}
		d.more()
	}
}

// take drops n bytes of the first plaintext.
func (s *stock) take(n int) {
	if n == len(s.plaintext[0]) {
		s.plaintext = s.plaintext[1:]
	} else {
		s.plaintext[0] = s.plaintext[0][n:]
	}
}

// room moves the ciphertext to the start of a buffer for the given number of segments and a byte.
func (s *stock) room(segments int) {
	buffer := s.buffer
	if size := segments*segmentSize + 1; len(buffer) < size {
		buffer = make([]byte, size)
	}
	s.to = copy(buffer, s.buffer[s.from:s.to])
	s.from, s.buffer = 0, buffer
}

// more reads the next segment, and others if they come with it. There is no plaintext left.
func (d *decrypter) more() {
	if d.number == maxSegments {
		d.err = ErrDecrypt
		return
	}
	s := d.stock
	if d.number < longAfter {
		s.room(1) // what was not validated yet gets no more memory
	} else {
		s.room(batch())
	}
	var err error
	for full := limit(d.number) + tagSize; s.to <= full && err == nil; {
		var n int
		n, err = d.source.Read(s.buffer[s.to:])
		s.to += n
	}
	segments, last := s.cut(d.number, err == io.EOF)
	plaintext, failed := make([][]byte, len(segments)), make([]error, len(segments))
	inParallel(allCores(), len(segments), func(i int) {
		b := segments[i]
		plaintext[i], failed[i] = d.segments.open(b[:0], b, d.number+int64(i), last && i == len(segments)-1)
	})
	for i := range segments {
		if d.err = failed[i]; d.err != nil {
			return // what stands behind it is not returned
		}
		if len(plaintext[i]) > 0 {
			s.plaintext = append(s.plaintext, plaintext[i])
		}
		d.number++
	}
	if last {
		d.err = io.EOF
	} else if err != nil && err != io.EOF {
		d.err = d.source.explain()
	}
}

// cut takes the segments from the ciphertext of which the end is known, and says whether the last one of the payload is among them: it ends where the source does.
func (s *stock) cut(number int64, ended bool) (segments [][]byte, last bool) {
	for ; !last && number < maxSegments; number++ {
		rest := s.buffer[s.from:s.to]
		full := limit(number) + tagSize
		if len(rest) <= full {
			if !ended {
				break
			}
			full, last = len(rest), true
		}
		segments = append(segments, rest[:full])
		s.from += full
	}
	return segments, last
}
