package abe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/veilchart/veilchart/internal/wire"
)

// Encrypt is Seal for streams: it writes the header to dst and returns a writer for the plaintext. Close completes the object;
// its error must be checked, and it does not close dst. An object that was not closed without error cannot be opened to its
// end.
//
// The writer has a ReadFrom, so that io.Copy tells it when the source failed: Close then refuses, and a deferred Close cannot
// turn half a record into a whole one. Who calls Write and gives up calls no Close. Memory: about 2 MiB.
func (p *Params) Encrypt(dst io.Writer, policy *Policy, opts *Options) (io.WriteCloser, error) {
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, err
	}
	core, K := p.encapsulate(policy, companion)
	head, payloadKey := makeHeader(core, K, "", 0)
	if _, err := dst.Write(head); err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	w, err := tink(payloadKey).NewEncryptingWriter(dst, associated)
	if err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	return &encrypter{w: w}, nil
}

// encrypter remembers its first error, so that nothing is completed after it.
type encrypter struct {
	w   io.WriteCloser
	err error
}

var errClosed = errors.New("abe: the object is complete: nothing can be added")

func (e *encrypter) Write(b []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(b)
	if err != nil {
		e.err = fmt.Errorf("abe: writing the payload: %w", err)
	}
	return n, e.err
}

// ReadFrom copies src and remembers its failure.
func (e *encrypter) ReadFrom(src io.Reader) (n int64, err error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err = io.Copy(writerOnly{e}, src)
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("abe: the object is incomplete, its source failed: %w", err)
	}
	return n, err
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// Close writes the last segment. After an error it returns that error and leaves the object incomplete.
func (e *encrypter) Close() error {
	if e.err != nil {
		if e.err == errClosed {
			return nil
		}
		return e.err
	}
	if err := e.w.Close(); err != nil {
		e.err = fmt.Errorf("abe: completing the object: %w", err)
		return e.err
	}
	e.err = errClosed
	return nil
}

// Decrypt is Open for streams: it reads the header from src, checks the key and returns a reader for the plaintext. What the
// reader returns is authentic, but the object may have been cut: it is complete only when the reader has returned io.EOF.
// Throw away what was read if it returns another error. A failed Read stays failed. Errors of src are passed on, others have
// ErrDecrypt in their chain. Memory: about 2 MiB.
func (k *Key) Decrypt(src io.Reader, opts *Options) (io.Reader, error) {
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	source := &watched{r: src}
	h, err := readHeader(source)
	if err != nil {
		return nil, err
	}
	payloadKey, err := k.openHeader(h, companion)
	if err != nil {
		return nil, err
	}
	r, err := tink(payloadKey).NewDecryptingReader(source, associated)
	if err != nil {
		return nil, source.explain()
	}
	return &decrypter{r: r, source: source}, nil
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
	size := coreSize(d)
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

// decrypter makes errors of Tink's reader permanent: after a bad last segment that reader reports the end.
type decrypter struct {
	r      io.Reader
	source *watched
	err    error
}

func (d *decrypter) Read(b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.r.Read(b)
	if err == io.EOF {
		d.err = io.EOF
	} else if err != nil {
		d.err = d.source.explain()
	}
	return n, d.err
}
