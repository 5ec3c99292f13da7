package abe

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// onceAEAD refuses to seal under a nonce twice.
type onceAEAD struct {
	cipher.AEAD
	mu    sync.Mutex
	seen  map[string]bool
	twice bool
}

func (o *onceAEAD) Seal(dst, nonce, plaintext, associated []byte) []byte {
	o.mu.Lock()
	o.twice = o.twice || o.seen[string(nonce)]
	o.seen[string(nonce)] = true
	o.mu.Unlock()
	return o.AEAD.Seal(dst, nonce, plaintext, associated)
}

// breaking is a destination that takes room bytes and then fails or panics, for good.
type breaking struct {
	room   int
	b      bytes.Buffer
	panics bool
}

func (d *breaking) Write(b []byte) (int, error) {
	n, _ := d.b.Write(b[:min(len(b), d.room-d.b.Len())])
	if n == len(b) {
		return n, nil
	}
	if d.panics {
		panic("destination")
	}
	return n, errDisk
}

// A destination that fails or panics in any segment has what stands before it, and the writer says how much that is, stays failed, uses no nonce twice and
// leaves no goroutine behind.
func TestWriterFailsInOrder(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches) - 1000)
	sealed := oneByOne(t, plaintext)
	want := bytes.Join(sealed, nil)
	attempt := func(f func() error) (panicked any, err error) {
		defer func() { panicked = recover() }()
		return nil, f()
	}
	onCores(t, func(t *testing.T) {
		for number := range sealed {
			for _, panics := range []bool{false, true} {
				for _, into := range []int{0, 1, len(sealed[number]) - 1} {
					for way, write := range map[string]func(w *Writer) (int64, error){
						"Write":    func(w *Writer) (int64, error) { n, err := w.Write(plaintext); return int64(n), err },
						"ReadFrom": func(w *Writer) (int64, error) { return w.ReadFrom(bytes.NewReader(plaintext)) },
						"slow": func(w *Writer) (int64, error) {
							return w.ReadFrom(&portions{b: plaintext, sizes: []int{700_001}, err: io.EOF})
						},
					} {
						if testing.Short() && into == 1 {
							continue
						}
						s := testSegments(t)
						once := &onceAEAD{AEAD: s.aead, seen: map[string]bool{}}
						s.aead = once
						dst := &breaking{room: number*segmentSize + into, panics: panics}
						if number > 0 {
							dst.room -= payloadHead
						}
						w := newWriter(dst, s)
						var n int64
						synctest.Test(t, func(t *testing.T) { // ends when the last goroutine of w does, and fails if one waits for ever
							panicked, err := attempt(func() (err error) {
								if n, err = write(w); err == nil {
									err = w.Close()
								}
								return err
							})
							if panics {
								require.Equal(t, "destination", panicked)
							} else {
								require.ErrorIs(t, err, errDisk)
							}
						})
						require.Equal(t, dst.room, dst.b.Len())
						require.True(t, bytes.Equal(want[:dst.room], dst.b.Bytes()), "%s, segment %d", way, number)
						if !panics && way == "Write" && number < len(sealed)-1 {
							require.EqualValues(t, segmentsEnd(number), n, "what was written")
						}
						dst.room, dst.panics = 1<<30, false
						first := w.Close()
						require.Error(t, first)
						for range 2 {
							_, err := w.Write(plaintext)
							require.Equal(t, first, err)
							_, err = w.ReadFrom(bytes.NewReader(plaintext))
							require.Equal(t, first, err)
							require.Equal(t, first, w.Close())
						}
						require.Less(t, dst.b.Len(), len(want), "nothing was added")
						require.False(t, once.twice, "a nonce came twice")
					}
				}
			}
		}
	})
}

// A source that panics or lies leaves a writer that completes nothing, wherever it happens, also if somebody closes it.
func TestWriterAfterItsSourcePanicked(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches))
	onCores(t, func(t *testing.T) {
		for number := range batches {
			for _, n := range []int{segmentsEnd(number), segmentsEnd(number) + 1, segmentsEnd(number) + 5000} {
				s := testSegments(t)
				once := &onceAEAD{AEAD: s.aead, seen: map[string]bool{}}
				s.aead = once
				var dst bytes.Buffer
				w := newWriter(&dst, s)
				synctest.Test(t, func(t *testing.T) {
					require.PanicsWithValue(t, "source", func() {
						_, _ = w.ReadFrom(io.MultiReader(bytes.NewReader(plaintext[:n]), pushing{then: func() error { panic("source") }}))
					})
				})
				require.ErrorIs(t, w.Close(), errBroken)
				_, err := w.Write(plaintext)
				require.ErrorIs(t, err, errBroken)
				_, err = openPayload(append(testHead(), dst.Bytes()...), testKey, nil)
				require.ErrorIs(t, err, ErrDecrypt)
				require.False(t, once.twice, "a nonce came twice")
			}
		}
	})
}

// A reader whose destination fails, takes less than it was given, panics or lies goes on after what was taken; one whose source panicked goes on too. One that is abandoned
// anywhere leaves nothing behind.
func TestReaderBetweenBrokenEnds(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches) - 1000)
	sealed := bytes.Join(oneByOne(t, plaintext), nil)
	onCores(t, func(t *testing.T) {
		for _, room := range []int{0, 1, oneSegment, oneSegment + 1, segmentsEnd(3) + 77, segmentsEnd(atOnce+3) - 1, len(plaintext) - 1} {
			for _, panics := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					dst := &breaking{room: room, panics: panics}
					d := newDecrypter(&watched{r: bytes.NewReader(sealed)}, testSegments(t))
					func() {
						defer func() { require.Equal(t, panics, recover() != nil) }()
						n, err := d.WriteTo(dst)
						require.ErrorIs(t, err, errDisk)
						require.EqualValues(t, room, n)
					}()
					if !panics {
						_, err := io.Copy(&dst.b, d)
						require.NoError(t, err)
						require.True(t, bytes.Equal(plaintext, dst.b.Bytes()))
					} // else it is abandoned
				})
			}
			short, d := &short{room}, newDecrypter(&watched{r: bytes.NewReader(sealed)}, testSegments(t))
			n, err := d.WriteTo(short)
			require.ErrorIs(t, err, io.ErrShortWrite)
			require.EqualValues(t, room, n)
			rest, err := io.ReadAll(d)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext[room:], rest))

			failed := false
			source := &portions{b: sealed, sizes: []int{900_000, 3_000_000}, err: io.EOF, before: func(given int) {
				if !failed && given >= room {
					failed = true
					panic("source")
				}
			}}
			d = newDecrypter(&watched{r: source}, testSegments(t))
			var got bytes.Buffer
			require.PanicsWithValue(t, "source", func() { _, _ = d.WriteTo(&got) })
			_, err = d.WriteTo(&got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext, got.Bytes()))
		}
	})
	for _, n := range []int{-1, 5 << 20} {
		d := newDecrypter(&watched{r: lying{n}}, testSegments(t))
		_, err := d.Read(make([]byte, 10))
		require.ErrorIs(t, err, errCount)
		d = newDecrypter(&watched{r: bytes.NewReader(sealed)}, testSegments(t))
		_, err = d.WriteTo(boasting{n})
		require.ErrorIs(t, err, errTaken)
	}
}

// boasting is a destination that claims to have taken n bytes.
type boasting struct{ n int }

func (b boasting) Write([]byte) (int, error) { return b.n, nil }

// However many cores there are, a stream takes room for one segment until two were authenticated, and for atOnce then; a writer as much for plaintext and for ciphertext.
func TestStreamsTakeLittleOnManyCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(64))
	const slack = 256 << 10 // goroutines, nonces, and rounding of large allocations
	plaintext := make([]byte, segmentsEnd(3*atOnce))
	sealed := oneByOne(t, plaintext)
	whole := bytes.Join(sealed, nil)
	for _, c := range []struct {
		size, room int
	}{{segmentSize, 1}, {2*segmentSize - payloadHead, 1}, {3 * segmentSize, 1 + atOnce}, {len(whole), 1 + atOnce}} {
		n := allocated(func() {
			d := newDecrypter(&watched{r: bytes.NewReader(whole[:c.size])}, testSegments(t))
			_, err := d.WriteTo(new(sink))
			require.Equal(t, c.size == len(whole), err == nil)
		})
		require.Less(t, n, uint64(c.room*segmentSize+slack), "%d bytes opened", c.size)
		n = allocated(func() {
			w := newWriter(new(sink), testSegments(t))
			_, err := w.ReadFrom(bytes.NewReader(plaintext[:min(c.size-100, len(plaintext))]))
			require.NoError(t, err)
		})
		sealing := c.room + 1
		if c.room > 1 {
			sealing = c.room + atOnce
		}
		require.Less(t, n, uint64(sealing*segmentSize+slack), "%d bytes sealed", c.size)
	}
}

// What a reader holds does not print.
func TestReadersPrintNoPlaintext(t *testing.T) {
	sealed := bytes.Join(oneByOne(t, bytes.Repeat([]byte("plain"), segmentSize)), nil)
	d := newDecrypter(&watched{r: bytes.NewReader(sealed)}, testSegments(t))
	_, err := io.ReadFull(d, make([]byte, 3*segmentSize))
	require.NoError(t, err)
	require.NotEmpty(t, d.stock.plaintext)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, printed := range []any{d, struct{ r io.Reader }{d}, struct{ d *decrypter }{d}} {
			text := fmt.Sprintf(verb, printed)
			require.Less(t, len(text), 1000, verb)
			require.NotContains(t, text, "plain"+"plain")
			require.NotContains(t, text, fmt.Sprintf("%x", "plain"))
		}
	}
}
