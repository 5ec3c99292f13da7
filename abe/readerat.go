package abe

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader reads a sealed object at any position. Get one from Key.OpenReaderAt or MediatedKey.OpenReaderAt. It is safe for concurrent use if its source is.
//
// Memory: a segment of 1 MiB that is kept, and for each ReadAt that is under way one, or, if it touches several, one for each core up to four. Cost: every
// segment that a ReadAt touches is read and decrypted as a whole, 0.4 ms each, unless it is the one that is kept: the last one that was read. The segments of
// one ReadAt are read one after the other and decrypted on all cores: ask for several megabytes at once if you want them fast.
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
	length int // of the plaintext, and of the ciphertext before it was decrypted
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
	r := &Reader{src: src, segments: s, start: start, end: end, count: countSegments(end-start, tagSize)}
	r.size = end - start - r.count*tagSize
	if r.count > maxSegments {
		return nil, ErrDecrypt
	}
	last := new(segment)
	if err := r.load(last, r.count-1); err != nil {
		return nil, err
	}
	if err := r.open(last); err != nil {
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
		m := r.copyKept(b[n:], offset)
		if m == 0 {
			m, err = r.copyLoaded(b[n:], offset)
		}
		n += m
		offset += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// segmentAt says in which segment a byte of the plaintext is, and where in it.
func segmentAt(offset int64) (number int64, within int) {
	if offset < oneSegment {
		return 0, int(offset)
	}
	return 1 + (offset-oneSegment)/perSegment, int((offset - oneSegment) % perSegment)
}

// copyKept copies from the segment that is kept, if offset is in it.
func (r *Reader) copyKept(b []byte, offset int64) int {
	number, within := segmentAt(offset)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.kept.number != number {
		return 0
	}
	return copy(b, r.kept.buffer[within:r.kept.length])
}

// copyLoaded copies from the segment in which offset is, which is within the plaintext, and from those after it that b has room for, up to as many as are opened
// at once. It keeps the last one that is good.
func (r *Reader) copyLoaded(b []byte, offset int64) (n int, err error) {
	first, within := segmentAt(offset)
	last, _ := segmentAt(min(offset+int64(len(b)), r.size) - 1)
	var loaded []*segment
	defer func() {
		for _, s := range loaded {
			r.spare.Put(s) // nobody copies from it: that needs the lock
		}
	}()
	for number := first; number <= last && len(loaded) < batch() && err == nil; number++ {
		s, ok := r.spare.Get().(*segment)
		if !ok {
			s = new(segment)
		}
		loaded = append(loaded, s)
		err = r.load(s, number)
	}
	whole := loaded
	if err != nil {
		whole = loaded[:len(loaded)-1]
	}
	failed := make([]error, len(whole))
	inParallel(allCores(), len(whole), func(i int) { failed[i] = r.open(whole[i]) })
	good := 0
	for ; good < len(whole) && failed[good] == nil; good++ {
		n += copy(b[n:], whole[good].buffer[within:whole[good].length])
		within = 0
	}
	if good < len(whole) {
		err = failed[good] // what stands behind it is not copied
	}
	if good > 0 {
		r.mu.Lock()
		loaded[good-1], r.kept = r.kept, loaded[good-1]
		r.mu.Unlock()
	}
	return n, err
}

// load reads a segment.
func (r *Reader) load(s *segment, number int64) error {
	from, to := bounds(number, r.end-r.start, tagSize)
	s.number, s.length = number, int(to-from)
	n, err := r.src.ReadAt(s.buffer[:s.length], r.start+from)
	if err != nil && err != io.EOF {
		return fmt.Errorf("abe: reading the payload: %w", err)
	}
	if n != s.length {
		return ErrDecrypt // src is shorter than was said
	}
	return nil
}

// open decrypts a segment that was loaded.
func (r *Reader) open(s *segment) error {
	plaintext, err := r.segments.open(s.buffer[:0], s.buffer[:s.length], s.number, s.number == r.count-1)
	s.length = len(plaintext)
	return err
}
