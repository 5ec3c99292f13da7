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
	if err := p.check(); err != nil {
		return nil, err
	}
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, err
	}
	core, K := p.encapsulate(policy, companion)
	head, payloadKey := makeHeader(core, K, "", associated, 0)
	if _, err := dst.Write(head); err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	w, err := tink(payloadKey).NewEncryptingWriter(dst, associated)
	if err != nil {
		return nil, fmt.Errorf("abe: writing the header: %w", err)
	}
	return &Writer{w: w}, nil
}

// Writer encrypts what is written to it. Get one from Params.Encrypt. It is not safe for concurrent use.
//
// Call Close only after everything was written, and never defer it: Close says that the plaintext is whole. A deferred Close
// that runs after an error or a panic seals half a record as if it were all of it, and no reader can tell.
type Writer struct {
	w   io.WriteCloser
	err error // the first one, so that nothing is completed after it
}

var (
	errClosed   = errors.New("abe: the object is complete: nothing can be added")
	errNoWriter = errors.New("abe: no writer: get one from Params.Encrypt")
)

// check refuses what Encrypt did not make, and goes on refusing after an error.
func (w *Writer) check() error {
	if w == nil || w.w == nil {
		return errNoWriter
	}
	return w.err
}

// Write encrypts b. After an error of dst the writer stays failed.
func (w *Writer) Write(b []byte) (int, error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	n, err := w.w.Write(b)
	if err != nil {
		w.err = fmt.Errorf("abe: writing the payload: %w", err)
	}
	return n, w.err
}

// ReadFrom encrypts src to its end and returns how many bytes that were. If src fails, Close refuses from then on. io.Copy calls it,
// but not for a source that has a WriteTo: then the writer does not learn of the failure. Params.EncryptFrom has no such gap.
func (w *Writer) ReadFrom(src io.Reader) (n int64, err error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	n, err = io.Copy(writerOnly{w}, readerOnly{src})
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("abe: the object is incomplete, its source failed: %w", err)
	}
	return n, w.err
}

// writerOnly hides ReadFrom from io.Copy, readerOnly hides WriteTo: a source writes nothing by itself, its bytes are asked for.
type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// Close writes the last segment, which completes the object, and does not close dst. Check its error. After an error it returns that
// error and leaves the object incomplete; after a success it does nothing.
func (w *Writer) Close() error {
	if err := w.check(); err != nil {
		if err == errClosed {
			return nil
		}
		return err
	}
	if err := w.w.Close(); err != nil {
		w.err = fmt.Errorf("abe: completing the object: %w", err)
		return w.err
	}
	w.err = errClosed
	return nil
}

// Decrypt is Open for streams: it reads the header from src, checks the key and returns a reader for the plaintext. What the
// reader returns is authentic, but the object may have been cut: it is complete only when the reader has returned io.EOF.
// Throw away what was read if it returns another error. A failed Read stays failed. Errors of src are passed on, others have
// ErrDecrypt in their chain. Memory: about 2 MiB.
func (k *Key) Decrypt(src io.Reader, opts *Options) (io.Reader, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	associated, companion, err := opts.parts()
	if err != nil {
		return nil, err
	}
	source := &watched{r: src}
	h, err := readHeader(source)
	if err != nil {
		return nil, err
	}
	payloadKey, err := k.openHeader(h, companion, associated)
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
