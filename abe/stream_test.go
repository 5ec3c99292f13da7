package abe

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// full is a device with room for n bytes.
type full struct {
	n int
	b bytes.Buffer
}

func (f *full) Write(b []byte) (int, error) {
	m, _ := f.b.Write(b[:min(len(b), f.n-f.b.Len())])
	if m < len(b) {
		return m, errDisk
	}
	return m, nil
}

func streamed(t *testing.T) (a *Authority, k *Key, sealed, plaintext []byte) {
	a = generate(t)
	k = issue(t, a, "a")
	plaintext = bytes.Repeat([]byte("0123456789"), 250_000)
	sealed, err := a.Params().Seal(parsePolicy(t, "a"), plaintext, nil)
	require.NoError(t, err)
	return a, k, sealed, plaintext
}

// A stream that was cut never ends well, wherever it was cut; and once it has failed it stays failed.
func TestCutStreams(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	p := h.Size
	for _, n := range []int{p, p + 1, p + payloadHead - 1, p + payloadHead, p + payloadHead + 1, p + 1000, p + segmentSize - 1, p + segmentSize, p + segmentSize + 1,
		p + 2*segmentSize - 1, p + 2*segmentSize, p + 2*segmentSize + 15, len(sealed) - 16, len(sealed) - 1} {
		r, err := k.Decrypt(bytes.NewReader(sealed[:n]), nil)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(r)
			require.Less(t, len(got), len(plaintext))
			require.True(t, bytes.HasPrefix(plaintext, got), "only what is authentic")
			_, again := r.Read(make([]byte, 1))
			require.Equal(t, err, again, "cut at %d: stays failed", n)
		}
		mathematicsRefuses(t, err, "cut at %d", n)
		_, err = k.Open(sealed[:n], nil)
		mathematicsRefuses(t, err, "cut at %d", n)
	}
	for n := range p {
		_, err := k.Decrypt(bytes.NewReader(sealed[:n]), nil)
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, "truncated")
	}
	// Segments that change places, or are left out.
	first, second := sealed[p:p+segmentSize], sealed[p+segmentSize:p+2*segmentSize]
	for name, b := range map[string][]byte{
		"left out": append(bytes.Clone(sealed[:p+segmentSize]), sealed[p+2*segmentSize:]...),
		"twice":    append(append(bytes.Clone(sealed[:p+2*segmentSize]), second...), sealed[p+2*segmentSize:]...),
		"swapped":  append(append(append(bytes.Clone(sealed[:p]), second...), first...), sealed[p+2*segmentSize:]...),
		"appended": append(bytes.Clone(sealed), 0),
	} {
		_, err := k.Open(b, nil)
		mathematicsRefuses(t, err, name)
		r, err := k.Decrypt(bytes.NewReader(b), nil)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		mathematicsRefuses(t, err, name)
	}
}

func TestStreamsFromSlowAndBrokenSources(t *testing.T) {
	_, k, sealed, plaintext := streamed(t)
	r, err := k.Decrypt(iotest.HalfReader(bytes.NewReader(sealed)), nil)
	require.NoError(t, err)
	got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 1000)))
	require.NoError(t, err)
	require.Equal(t, plaintext[:1000], got)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(plaintext[1000:], rest))
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)

	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, n := range []int{0, 5, 100, h.Size - 1, h.Size, h.Size + 20, h.Size + payloadHead, h.Size + 5000, h.Size + segmentSize + 5} {
		r, err := k.Decrypt(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(errDisk)), nil)
		if err == nil {
			_, err = io.ReadAll(r)
			_, again := r.Read(make([]byte, 1))
			require.Equal(t, err, again)
		}
		require.ErrorIs(t, err, errDisk, "source fails after %d bytes: its error is passed on", n)
		require.NotErrorIs(t, err, ErrDecrypt)
	}
}

// A full disk under the object, at any point: the error comes out, and nothing is completed afterwards.
func TestEncryptToAFullDisk(t *testing.T) {
	a, k, sealed, plaintext := streamed(t)
	policy := parsePolicy(t, "a")
	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, n := range []int{0, 10, h.Size - 1, h.Size, h.Size + 39, h.Size + 40, h.Size + 1000, h.Size + segmentSize, h.Size + segmentSize + 1, len(sealed) - 1} {
		disk := &full{n: n}
		w, err := a.Params().Encrypt(disk, policy, nil)
		if err == nil {
			var copied int64
			copied, err = io.Copy(w, bytes.NewReader(plaintext))
			if err == nil {
				require.Equal(t, int64(len(plaintext)), copied)
			}
			closing := w.Close()
			require.ErrorIs(t, closing, errDisk, "%d bytes of room", n)
			require.Equal(t, closing, w.Close(), "and again")
			if err != nil {
				require.ErrorIs(t, err, errDisk)
				_, err := w.Write([]byte("more"))
				require.ErrorIs(t, err, errDisk)
				require.LessOrEqual(t, disk.b.Len(), n)
			}
		} else {
			require.ErrorIs(t, err, errDisk)
		}
		if r, err := k.Decrypt(&disk.b, nil); err == nil {
			_, err = io.ReadAll(r)
			require.Error(t, err, "what is on the disk is not a whole object")
		}
	}
}

// The source fails in the middle of io.Copy, which asked for its bytes, and a Close follows: no object comes out of it.
func TestCloseAfterAFailedCopy(t *testing.T) {
	a, k, _, _ := streamed(t)
	var dst bytes.Buffer
	w, err := a.Params().Encrypt(&dst, parsePolicy(t, "a"), nil)
	require.NoError(t, err)
	n, err := io.Copy(w, io.MultiReader(bytes.NewReader(make([]byte, 5000)), iotest.ErrReader(errDisk)))
	require.Equal(t, int64(5000), n)
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, w.Close(), errDisk)
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, errDisk)
	_, err = io.Copy(w, bytes.NewReader([]byte("x")))
	require.ErrorIs(t, err, errDisk)
	_, err = k.Open(dst.Bytes(), nil)
	mathematicsRefuses(t, err)
}

func TestCloseTwiceAndWriteAfterClose(t *testing.T) {
	a, k, _, _ := streamed(t)
	var dst bytes.Buffer
	w, err := a.Params().Encrypt(&dst, parsePolicy(t, "a"), nil)
	require.NoError(t, err)
	_, err = io.Copy(w, bytes.NewReader([]byte("hello")))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	size := dst.Len()
	require.NoError(t, w.Close())
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, errClosed)
	require.Equal(t, size, dst.Len())
	got, err := k.Open(dst.Bytes(), nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

// pushing is a source with a WriteTo of its own, like a decompressor. It writes half and then fails, panics or stops.
type pushing struct {
	io.Reader
	then func() error
}

func (p pushing) WriteTo(dst io.Writer) (int64, error) {
	n, err := dst.Write([]byte("first half"))
	if err != nil {
		return int64(n), err
	}
	return int64(n), p.then()
}

func (p pushing) Read(b []byte) (int, error) {
	n := copy(b, "first half")
	return n, p.then()
}

// panicking is a destination that panics after n bytes.
type panicking struct {
	bytes.Buffer
	n int
}

func (p *panicking) Write(b []byte) (int, error) {
	if p.Len()+len(b) > p.n {
		panic("destination")
	}
	return p.Buffer.Write(b)
}

// EncryptFrom completes nothing after an error or a panic, of the source or of the destination, whatever methods the source has.
func TestEncryptFromCompletesOnlyWhatIsWhole(t *testing.T) {
	a, k, sealed, plaintext := streamed(t)
	policy := parsePolicy(t, "a")
	refused := func(t *testing.T, object []byte) {
		r, err := k.Decrypt(bytes.NewReader(object), nil)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		require.Error(t, err)
		_, err = k.Open(object, nil)
		require.Error(t, err)
	}
	fails := func() error { return errDisk }
	panics := func() error { panic("source") }
	for name, src := range map[string]io.Reader{
		"fails":                     pushing{then: fails},
		"fails later":               io.MultiReader(bytes.NewReader(plaintext), pushing{then: fails}),
		"ends where it should not":  io.MultiReader(bytes.NewReader(plaintext), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"fails without any success": iotest.ErrReader(errDisk),
	} {
		var dst bytes.Buffer
		err := a.Params().EncryptFrom(&dst, src, policy, nil)
		require.Error(t, err, name)
		require.True(t, errors.Is(err, errDisk) || errors.Is(err, io.ErrUnexpectedEOF), "%s: %v", name, err)
		refused(t, dst.Bytes())
	}
	for name, src := range map[string]io.Reader{"panics": pushing{then: panics}, "panics later": io.MultiReader(bytes.NewReader(plaintext), pushing{then: panics})} {
		var dst bytes.Buffer
		require.PanicsWithValue(t, "source", func() { _ = a.Params().EncryptFrom(&dst, src, policy, nil) }, name)
		refused(t, dst.Bytes())
	}
	h, err := Inspect(sealed)
	require.NoError(t, err)
	for _, n := range []int{0, h.Size, h.Size + payloadHead, h.Size + segmentSize, len(sealed) - 1} {
		dst := &panicking{n: n}
		require.PanicsWithValue(t, "destination", func() { _ = a.Params().EncryptFrom(dst, bytes.NewReader(plaintext), policy, nil) })
		refused(t, dst.Bytes())
		disk := &full{n: n}
		require.ErrorIs(t, a.Params().EncryptFrom(disk, bytes.NewReader(plaintext), policy, nil), errDisk)
		refused(t, disk.b.Bytes())
	}

	// A whole source gives a whole object, without its WriteTo: that one would add "first half" and nothing after it.
	var dst bytes.Buffer
	require.NoError(t, a.Params().EncryptFrom(&dst, struct {
		io.Reader
		io.WriterTo
	}{bytes.NewReader(plaintext), pushing{then: func() error { return nil }}}, policy, &Options{AssociatedData: []byte("ad")}))
	got, err := k.Open(dst.Bytes(), &Options{AssociatedData: []byte("ad")})
	require.NoError(t, err)
	require.True(t, bytes.Equal(plaintext, got))
	require.ErrorContains(t, a.Params().EncryptFrom(&dst, bytes.NewReader(nil), nil, nil), "no policy")
}

// Why a Close must not be deferred: this is what Writer's documentation warns of, and the reason for EncryptFrom.
func TestDeferredCloseCompletesHalfARecord(t *testing.T) {
	a, k, _, _ := streamed(t)
	for name, then := range map[string]func() error{"fails": func() error { return errDisk }, "panics": func() error { panic("source") }} {
		var dst bytes.Buffer
		func() {
			defer func() { _ = recover() }()
			w, err := a.Params().Encrypt(&dst, parsePolicy(t, "a"), nil)
			require.NoError(t, err)
			defer w.Close()
			_, err = io.Copy(w, pushing{then: then})
			require.ErrorIs(t, err, errDisk)
		}()
		got, err := k.Open(dst.Bytes(), nil)
		require.NoError(t, err, name)
		require.Equal(t, "first half", string(got), "if this fails the writer has learnt to know better: tell its readers")
	}
}

func TestZeroWriter(t *testing.T) {
	for _, w := range []*Writer{nil, new(Writer)} {
		_, err := w.Write([]byte("x"))
		require.ErrorIs(t, err, errNoWriter)
		_, err = w.ReadFrom(bytes.NewReader(nil))
		require.ErrorIs(t, err, errNoWriter)
		require.ErrorIs(t, w.Close(), errNoWriter)
	}
}
