package abe

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader reads a sealed object at any position. Get one from Key.OpenReaderAt or MediatedKey.OpenReaderAt. It is safe for concurrent use if its source is.
//
// Memory: a segment of 1 MiB that is kept, and one for each ReadAt that is under way. Cost: every segment that a ReadAt touches is read and decrypted as
// a whole, 0.4 ms each, unless it is the one that is kept: the last one that was read.
type Reader struct {
	src      io.ReaderAt
	segments *segments
	start    int64 // of the first segment, in src
	end      int64 // of the object, in src
	count    int64 // segments
	size     int64 // plaintext

	spare sync.Pool // of *segment
	mu    sync.RWMutex
	kept  *segment
}

// segment is a buffer for a segment, with its plaintext in front. Behind a pointer: see redact.go.
type segment struct {
	buffer [segmentSize]byte
	number int64
	length int // of the plaintext
}

var errOffset = errors.New("abe: the offset is negative: positions count from the start of the plaintext")

// OpenReaderAt is Open for objects of which only parts are wanted, or that are too large for memory: it reads the header and the last segment
// from src, checks the key, and returns a reader for the plaintext. size is the length of the whole object in src, header included. io.NewSectionReader
// makes an io.ReadSeeker of the reader.
//
// The last segment tells how long the object is: after OpenReaderAt has returned without error, Reader.Size is what was sealed, and an object that
// was cut or made longer was refused. The other segments are authenticated when they are read, each before a byte of it is returned. So
// that an object was opened does not say that all of it is there: a changed segment is found when it is read.
//
// Errors are those of Open, and errors of src, which are passed on. Memory: 1 MiB.
func (k *Key) OpenReaderAt(src io.ReaderAt, size int64, opts *Options) (*Reader, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, fmt.Errorf("abe: an object does not have %d bytes: pass the length of the whole object", size)
	}
	source := &watched{r: io.NewSectionReader(src, 0, size)}
	s, err := k.openStream(source, opts)
	if err != nil {
		return nil, err
	}
	return newReader(src, source.n, size, s)
}

// newReader reads the segments from start to end of src, the last one at once.
func newReader(src io.ReaderAt, start, end int64, s *segments) (*Reader, error) {
	r := &Reader{src: src, segments: s, start: start, end: end, count: 1}
	if body := end - start; body > oneSegment+tagSize {
		r.count += (body - (oneSegment + tagSize) + segmentSize - 1) / segmentSize
	}
	r.size = end - start - r.count*tagSize
	if r.count > maxSegments {
		return nil, ErrDecrypt
	}
	last := new(segment)
	if err := r.load(last, r.count-1); err != nil {
		return nil, err
	}
	r.kept = last
	return r, nil
}

// Size returns the length of the plaintext in bytes.
func (r *Reader) Size() int64 { return r.size }

// Format prints "redacted" under every verb.
func (*Reader) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// ReadAt fills b with the plaintext from offset on, as io.ReaderAt says: fewer bytes come with an error, which is io.EOF at the end. The n bytes that were
// returned are authentic whatever the error is. A failure concerns this call alone: other segments can still be read, and this one again if
// src failed. Errors of src are passed on, a segment that was changed gives ErrDecrypt.
func (r *Reader) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errOffset
	}
	for n < len(b) {
		if offset >= r.size {
			return n, io.EOF
		}
		m, err := r.copy(b[n:], offset)
		n += m
		offset += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// copy copies from the segment in which offset is, which is within the plaintext.
func (r *Reader) copy(b []byte, offset int64) (int, error) {
	number, within := int64(0), offset
	if offset >= oneSegment {
		number = 1 + (offset-oneSegment)/perSegment
		within = (offset - oneSegment) % perSegment
	}
	r.mu.RLock()
	if r.kept.number == number {
		defer r.mu.RUnlock()
		return copy(b, r.kept.buffer[within:r.kept.length]), nil
	}
	r.mu.RUnlock()

	s, ok := r.spare.Get().(*segment)
	if !ok {
		s = new(segment)
	}
	if err := r.load(s, number); err != nil {
		r.spare.Put(s)
		return 0, err
	}
	n := copy(b, s.buffer[within:s.length])
	r.mu.Lock()
	s, r.kept = r.kept, s
	r.mu.Unlock()
	r.spare.Put(s) // nobody copies from it: that needs the lock
	return n, nil
}

// load reads and decrypts a segment.
func (r *Reader) load(s *segment, number int64) error {
	from, to := r.start, r.start+oneSegment+tagSize
	if number > 0 {
		from = to + (number-1)*segmentSize
		to = from + segmentSize
	}
	ciphertext := s.buffer[:min(to, r.end)-from]
	n, err := r.src.ReadAt(ciphertext, from)
	if err != nil && err != io.EOF {
		return fmt.Errorf("abe: reading the payload: %w", err)
	}
	if n != len(ciphertext) {
		return ErrDecrypt // src is shorter than was said
	}
	plaintext, err := r.segments.open(s.buffer[:0], ciphertext, number, number == r.count-1)
	if err != nil {
		return err
	}
	s.number, s.length = number, len(plaintext)
	return nil
}
