package abe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// onCores calls f with one core, two, and more than there are segments in a batch.
func onCores(t *testing.T, f func(t *testing.T)) {
	for _, cores := range []int{1, 2, atOnce + 1} {
		t.Run(fmt.Sprintf("cores=%d", cores), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			f(t)
		})
	}
}

// testKey and testHead are what the payloads of these tests are sealed with.
var testKey = [keySize]byte{1, 2, 3}

func testHead() []byte {
	head := make([]byte, payloadHead)
	head[0], head[5], head[noncePosition] = payloadHead, 7, 9
	return head
}

func testSegments(t require.TestingT) *segments {
	s, err := newSegments(testKey, testHead(), nil)
	require.NoError(t, err)
	return s
}

// oneByOne seals plaintext as docs/spec/abe.md section 11 says, one segment after the other, and returns the segments.
func oneByOne(t require.TestingT, plaintext []byte) (sealed [][]byte) {
	key, err := segmentKey(testKey, testHead(), nil)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	for number, size := uint32(0), segmentSize-payloadHead-16; ; number, size = number+1, segmentSize-16 {
		nonce := append(bytes.Clone(testHead()[33:40]), 0, 0, 0, 0, 0)
		binary.BigEndian.PutUint32(nonce[7:], number)
		if len(plaintext) <= size {
			nonce[11] = 1
			return append(sealed, gcm.Seal(nil, nonce, plaintext, nil))
		}
		sealed = append(sealed, gcm.Seal(nil, nonce, plaintext[:size], nil))
		plaintext = plaintext[size:]
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// segmentsEnd is how much plaintext there is in the first n segments, if they are full.
func segmentsEnd(n int) int {
	if n == 0 {
		return 0
	}
	return oneSegment + (n-1)*perSegment
}

// batches is more segments than are sealed or opened at once, twice.
const batches = 2*atOnce + 2

// portions is a source that gives at most so many bytes in one Read, in turn, and its error, if it has one, with the last of them or after them.
type portions struct {
	b        []byte
	sizes    []int
	err      error
	together bool
	before   func(given int) // before each Read
	given    int
	reads    int
}

func (p *portions) Read(b []byte) (int, error) {
	if p.before != nil {
		p.before(p.given)
	}
	n := copy(b[:min(len(b), p.sizes[p.reads%len(p.sizes)])], p.b[p.given:])
	p.reads++
	p.given += n
	if p.given == len(p.b) && (p.together || n == 0) {
		return n, p.err
	}
	return n, nil
}

func drawSizes(t *rapid.T) []int {
	return rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1000, 70_000), rapid.IntRange(segmentSize-50, segmentSize+50), rapid.IntRange(100_000, 6*segmentSize)), 1, 5).Draw(t, "portions")
}

// Whatever the number of cores, and however the plaintext comes, the payload is the one that is made one segment after the other, and it is opened.
func TestStreamsAreTheSameOnAllCores(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches) + 1)
	counts := []int{0, 1, 2, 3, atOnce, atOnce + 1, atOnce + 2, batches}
	if testing.Short() {
		counts = []int{0, 1, 2, atOnce + 2}
	}
	for _, count := range counts {
		for _, n := range []int{segmentsEnd(count) - 1, segmentsEnd(count), segmentsEnd(count) + 1} {
			if n < 0 {
				continue
			}
			plaintext := plaintext[:n]
			want := bytes.Join(oneByOne(t, plaintext), nil)
			onCores(t, func(t *testing.T) {
				for way, write := range map[string]func(w *Writer) error{
					"at once": func(w *Writer) error { _, err := w.Write(plaintext); return err },
					"in megabytes": func(w *Writer) (err error) {
						for piece := range slices.Chunk(plaintext, 1<<20) {
							_, e := w.Write(piece)
							err = errors.Join(err, e)
						}
						return err
					},
					"in pieces that are longer and longer": func(w *Writer) (err error) {
						for size, rest := 100_000, plaintext; len(rest) > 0 && err == nil; size = 2*size + 7 {
							var m int
							m, err = w.Write(rest[:min(size, len(rest))])
							rest = rest[m:]
						}
						return err
					},
					"from a buffer": func(w *Writer) error { _, err := w.ReadFrom(bytes.NewReader(plaintext)); return err },
					"in halves":     func(w *Writer) error { _, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(plaintext))); return err },
					"end with data": func(w *Writer) error {
						_, err := w.ReadFrom(iotest.DataErrReader(bytes.NewReader(plaintext)))
						return err
					},
					"in odd portions": func(w *Writer) error {
						_, err := w.ReadFrom(&portions{b: plaintext, sizes: []int{1_500_000, 9}, err: io.EOF})
						return err
					},
					"from two sources": func(w *Writer) error {
						for _, part := range [][]byte{plaintext[:n/3], plaintext[n/3:]} {
							if m, err := w.ReadFrom(bytes.NewReader(part)); err != nil || m != int64(len(part)) {
								return fmt.Errorf("%d bytes read, %w", m, err)
							}
						}
						return nil
					},
				} {
					var got bytes.Buffer
					w := newWriter(&got, testSegments(t))
					require.NoError(t, write(w), way)
					require.NoError(t, w.Close(), way)
					require.True(t, bytes.Equal(want, got.Bytes()), "%d bytes, %s", n, way)
				}
				got, err := openPayload(append(testHead(), want...), testKey, nil)
				require.NoError(t, err)
				require.True(t, bytes.Equal(plaintext, got))
				sealed, err := appendPayload([]byte("before"), testKey, plaintext, nil)
				require.NoError(t, err)
				require.Len(t, sealed, 6+payloadSize(n))
				got, err = tinkOpens(t, testKey, sealed[6:], nil)
				require.NoError(t, err)
				require.True(t, bytes.Equal(plaintext, got), "appendPayload, %d bytes", n)
				for way, source := range map[string]io.Reader{
					"from a buffer": bytes.NewReader(want), "in halves": iotest.HalfReader(bytes.NewReader(want)), "end with data": iotest.DataErrReader(bytes.NewReader(want)),
					"in odd portions": &portions{b: want, sizes: []int{1_500_000, 9}, err: io.EOF},
				} {
					got, err = io.ReadAll(newDecrypter(&watched{r: source}, testSegments(t)))
					require.NoError(t, err)
					require.True(t, bytes.Equal(plaintext, got), "%d bytes, %s", n, way)
				}
				var copied bytes.Buffer
				_, err = io.Copy(&copied, newDecrypter(&watched{r: bytes.NewReader(want)}, testSegments(t)))
				require.NoError(t, err)
				require.True(t, bytes.Equal(plaintext, copied.Bytes()))
			})
		}
	}
}

// Whichever segment is changed, and wherever the source fails, the plaintext before that is returned, nothing of what follows, and the first error in the order of
// the stream: what was opened on another core does not come out.
func TestStreamsFailInOrder(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches) - 1000)
	sealed := oneByOne(t, plaintext)
	count := len(sealed)
	whole := bytes.Join(sealed, nil)
	check := func(t *rapid.T) {
		changed := rapid.IntRange(0, count).Draw(t, "changed segment, or none")
		body := bytes.Clone(whole)
		if changed < count {
			from, to := bounds(int64(changed), int64(len(body)), tagSize)
			body[rapid.Int64Range(from, to-1).Draw(t, "at")] ^= 4
		}
		p := &portions{b: body, sizes: drawSizes(t), err: io.EOF, together: rapid.Bool().Draw(t, "error with data")}
		good, want := changed, ErrDecrypt
		if changed == count {
			want = nil
		}
		if rapid.Bool().Draw(t, "fails") {
			p.b, p.err = body[:rapid.IntRange(0, len(body)).Draw(t, "fails at")], errDisk
			known := 0 // segments whose next byte was given
			for known < count-1 && len(p.b) > (known+1)*segmentSize-payloadHead {
				known++
			}
			if known <= changed {
				good, want = known, errDisk
			}
		}
		expected := plaintext[:min(segmentsEnd(good), len(plaintext))]

		d := newDecrypter(&watched{r: p}, testSegments(t))
		var got bytes.Buffer
		var err error
		switch rapid.SampledFrom([]string{"WriteTo", "Read", "both"}).Draw(t, "way") {
		case "WriteTo":
			var n int64
			n, err = d.WriteTo(&got)
			require.EqualValues(t, got.Len(), n)
		case "Read":
			_, err = io.Copy(&got, struct{ io.Reader }{d})
		case "both":
			_, err = io.CopyN(&got, struct{ io.Reader }{d}, int64(rapid.IntRange(1, len(plaintext)).Draw(t, "first")))
			if err == nil {
				_, err = d.WriteTo(&got)
			}
		}
		require.Equal(t, len(expected), got.Len())
		require.True(t, bytes.Equal(expected, got.Bytes()))
		require.ErrorIs(t, err, want)
		for range 2 { // stays as it is
			n, again := d.Read(make([]byte, 10))
			require.Zero(t, n)
			m, into := d.WriteTo(io.Discard)
			require.Zero(t, m)
			if want == nil {
				require.Equal(t, io.EOF, again)
				require.NoError(t, into)
			} else {
				require.Equal(t, err, again)
				require.Equal(t, err, into)
			}
		}

		if p.err == io.EOF { // in memory it is all or nothing
			b, err := openPayload(append(testHead(), body...), testKey, nil)
			require.ErrorIs(t, err, want)
			require.Equal(t, want == nil, len(b) > 0)
		}
	}
	onCores(t, func(t *testing.T) { rapid.Check(t, check) })
}

// The same at arbitrary positions: in one ReadAt over many segments, what stands before the first one that cannot be read or is changed is returned.
func TestReadAtFailsInOrder(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches) - 1000)
	whole := append(testHead(), bytes.Join(oneByOne(t, plaintext), nil)...)
	size := int64(len(whole))
	const others = batches - 1 // the last segment is read at once
	check := func(t *rapid.T) {
		body := bytes.Clone(whole)
		changed := rapid.IntRange(0, others).Draw(t, "changed segment, or none")
		if changed < others {
			body[changed*segmentSize+payloadHead+rapid.IntRange(0, 1000).Draw(t, "at")] ^= 4
		}
		src := &flaky{b: body}
		r, err := newReader(src, payloadHead, size, testSegments(t))
		require.NoError(t, err)
		failing := rapid.IntRange(0, others).Draw(t, "failing segment, or none")
		if failing < others {
			src.from, src.err = int64(failing*segmentSize+payloadHead+5000), errDisk
			src.to = src.from + 1
		}
		offset := rapid.IntRange(0, len(plaintext)-1).Draw(t, "offset")
		length := rapid.IntRange(1, len(plaintext)).Draw(t, "length")
		expected, want := plaintext[offset:min(offset+length, len(plaintext))], error(nil)
		if offset+length > len(plaintext) {
			want = io.EOF
		}
		first, _ := segmentAt(int64(offset))
		for number := int(first); segmentsEnd(number) < offset+len(expected) && number < others; number++ {
			if number != changed && number != failing {
				continue
			}
			if want = ErrDecrypt; number == failing {
				want = errDisk
			}
			expected = plaintext[offset:max(offset, segmentsEnd(number))]
			break
		}
		for range 2 {
			got := make([]byte, length)
			n, err := r.ReadAt(got, int64(offset))
			require.Equal(t, len(expected), n)
			require.ErrorIs(t, err, want)
			require.True(t, bytes.Equal(expected, got[:n]))
			require.Equal(t, make([]byte, length-n), got[n:], "no byte behind it comes out")
		}
	}
	onCores(t, func(t *testing.T) { rapid.Check(t, check) })
}

// Nobody waits for input: before a Read that may block, all that the input before it allows was returned, or written.
func TestStreamsDoNotWait(t *testing.T) {
	plaintext := randomBytes(segmentsEnd(batches))
	sealed := bytes.Join(oneByOne(t, plaintext), nil)
	check := func(t *rapid.T) {
		sizes := drawSizes(t)
		var got bytes.Buffer
		held := func(given, segment int) int { // segments of which the next byte was given
			n := 0
			for n < batches && given > segmentsEnd(n+1)+(n+1)*segment {
				n++
			}
			return n
		}
		source := func(b []byte, arrived func(given int)) *portions {
			return &portions{b: b, sizes: sizes, err: io.EOF, before: func(given int) {
				if given < len(b) {
					arrived(given)
				}
			}}
		}
		opened := source(sealed, func(given int) {
			require.GreaterOrEqual(t, got.Len(), segmentsEnd(held(given, tagSize)), "%d bytes were given", given)
		})
		d := newDecrypter(&watched{r: opened}, testSegments(t))
		if rapid.Bool().Draw(t, "WriteTo") {
			_, err := d.WriteTo(&got)
			require.NoError(t, err)
		} else {
			_, err := io.Copy(&got, struct{ io.Reader }{d})
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(plaintext, got.Bytes()))

		got.Reset()
		w := newWriter(&got, testSegments(t))
		_, err := w.ReadFrom(source(plaintext, func(given int) {
			n := held(given, 0)
			require.Equal(t, segmentsEnd(n)+n*tagSize, got.Len(), "%d bytes were given", given)
		}))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.True(t, bytes.Equal(sealed, got.Bytes()))
	}
	onCores(t, func(t *testing.T) { rapid.Check(t, check) })
}
