package abe

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
	"pgregory.net/rapid"
)

// tink is the judge of the format.
func tink(t require.TestingT, payloadKey [keySize]byte) *subtle.AESGCMHKDF {
	judge, err := subtle.NewAESGCMHKDF(payloadKey[:], "SHA256", keySize, segmentSize, 0)
	require.NoError(t, err)
	return judge
}

func tinkSeals(t require.TestingT, payloadKey [keySize]byte, plaintext, associated []byte) []byte {
	var sealed bytes.Buffer
	w, err := tink(t, payloadKey).NewEncryptingWriter(&sealed, associated)
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return sealed.Bytes()
}

func tinkOpens(t require.TestingT, payloadKey [keySize]byte, payload, associated []byte) ([]byte, error) {
	r, err := tink(t, payloadKey).NewDecryptingReader(bytes.NewReader(payload), associated)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// borders are lengths of plaintexts around the ends of segments.
var borders = []int{0, 1, 15, 16, 17, 1000, oneSegment - 1, oneSegment, oneSegment + 1, oneSegment + 16, oneSegment + perSegment - 1, oneSegment + perSegment,
	oneSegment + perSegment + 1, oneSegment + 2*perSegment}

// pieces are the sizes in which a stream is written and read.
var pieces = []int{1 << 22, segmentSize, perSegment, oneSegment, 65_537, 300_000}

// Payloads, however they were written, are read by Tink and those of Tink are read here, in every way there is.
func TestPayloadIsTinksFormat(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	policy := parsePolicy(t, "a")
	key, associated := [keySize]byte{1, 2, 3}, []byte("ad")
	random := make([]byte, borders[len(borders)-1])
	rand.Read(random)
	opts := &Options{AssociatedData: associated}
	core, K := encapsulate(t, a.Params(), policy)
	head, payloadKey := makeHeader(core, K, "", associated, 0)
	for i, n := range borders {
		plaintext := random[:n]
		ours, err := appendPayload(nil, key, plaintext, associated)
		require.NoError(t, err)
		require.Len(t, ours, payloadSize(n))
		got, err := tinkOpens(t, key, ours, associated)
		require.NoError(t, err, "%d bytes", n)
		require.True(t, bytes.Equal(plaintext, got))
		_, err = tinkOpens(t, key, ours, nil)
		require.Error(t, err)
		theirs := tinkSeals(t, key, plaintext, associated)
		require.Len(t, theirs, len(ours))
		got, err = openPayload(theirs, key, associated)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, got))

		object := append(bytes.Clone(head), tinkSeals(t, payloadKey, plaintext, associated)...)
		opened(t, k, object, plaintext, opts, pieces[i%len(pieces)])

		for _, whole := range []bool{false, true} { // through the writer
			var stream bytes.Buffer
			w, err := a.Params().Encrypt(&stream, policy, opts)
			require.NoError(t, err)
			if whole {
				m, err := w.ReadFrom(bytes.NewReader(plaintext))
				require.NoError(t, err)
				require.EqualValues(t, n, m)
			} else {
				for rest := plaintext; len(rest) > 0; {
					m, err := w.Write(rest[:min(len(rest), pieces[i%len(pieces)])])
					require.NoError(t, err)
					rest = rest[m:]
				}
			}
			require.NoError(t, w.Close())
			h, err := decodeHeader(stream.Bytes())
			require.NoError(t, err)
			streamKey, err := k.openHeader(h, opening{associated: associated})
			require.NoError(t, err)
			require.Len(t, stream.Bytes()[h.Size:], payloadSize(n))
			got, err = tinkOpens(t, streamKey, stream.Bytes()[h.Size:], associated)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext, got), "%d bytes", n)
		}
	}
}

// opened opens an object in every way.
func opened(t *testing.T, k *Key, object, plaintext []byte, opts *Options, piece int) {
	got, err := k.Open(object, opts)
	require.NoError(t, err)
	require.True(t, bytes.Equal(plaintext, got))
	r, err := k.Decrypt(bytes.NewReader(object), opts)
	require.NoError(t, err)
	got = nil
	b := make([]byte, piece)
	for err == nil {
		var n int
		n, err = r.Read(b)
		got = append(got, b[:n]...)
	}
	require.Equal(t, io.EOF, err)
	require.True(t, bytes.Equal(plaintext, got))
	at, err := k.OpenReaderAt(bytes.NewReader(object), int64(len(object)), opts)
	require.NoError(t, err)
	require.EqualValues(t, len(plaintext), at.Size())
	got, err = io.ReadAll(io.NewSectionReader(at, 0, at.Size()))
	require.NoError(t, err)
	require.True(t, bytes.Equal(plaintext, got))
}

// An empty last segment after a full one is Tink's format too, though nobody writes it. All readers take it, and none takes two.
func TestEmptyLastSegment(t *testing.T) {
	a := generate(t)
	k := issue(t, a, "a")
	plaintext := bytes.Repeat([]byte{5}, oneSegment+perSegment)
	for _, n := range []int{oneSegment, oneSegment + perSegment} {
		core, K := encapsulate(t, a.Params(), parsePolicy(t, "a"))
		object, payloadKey := makeHeader(core, K, "", nil, 0)
		head := newHead()
		s, err := newSegments(payloadKey, head, nil)
		require.NoError(t, err)
		payload := s.seal(head, plaintext[:oneSegment], 0, false)
		number := int64(1)
		if n > oneSegment {
			payload = s.seal(payload, plaintext[oneSegment:n], 1, false)
			number = 2
		}
		once := s.seal(bytes.Clone(payload), nil, number, true)
		got, err := tinkOpens(t, payloadKey, once, nil)
		require.NoError(t, err)
		require.Len(t, got, n)
		opened(t, k, append(bytes.Clone(object), once...), plaintext[:n], nil, 1<<20)

		twice := s.seal(s.seal(bytes.Clone(payload), nil, number, false), nil, number+1, true)
		_, err = tinkOpens(t, payloadKey, twice, nil)
		require.Error(t, err)
		refusedByAll(t, k, append(bytes.Clone(object), twice...))
	}
}

// refusedByAll wants ErrDecrypt from each of the ways to open an object, at the latest when it is read to its end.
func refusedByAll(t require.TestingT, k *Key, object []byte) {
	_, err := k.Open(object, nil)
	require.ErrorIs(t, err, ErrDecrypt)
	r, err := k.Decrypt(bytes.NewReader(object), nil)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	require.ErrorIs(t, err, ErrDecrypt)
	at, err := k.OpenReaderAt(bytes.NewReader(object), int64(len(object)), nil)
	if err == nil {
		_, err = io.ReadAll(io.NewSectionReader(at, 0, at.Size()))
	}
	require.ErrorIs(t, err, ErrDecrypt)
}

// Whatever is done to a payload, cut, lengthened, exchanged or changed, no way to open it takes it.
func TestChangedPayloads(t *testing.T) {
	_, k, sealed, _ := streamed(t)
	h, err := Inspect(sealed)
	require.NoError(t, err)
	body := sealed[h.Size:]
	segment := func(i int) []byte { return body[i*segmentSize : min((i+1)*segmentSize, len(body))] }
	object := func(parts ...[]byte) []byte {
		return append(bytes.Clone(sealed[:h.Size]), bytes.Join(parts, nil)...)
	}
	for name, b := range map[string][]byte{
		"swapped":        object(segment(1), segment(0), segment(2)),
		"last two":       object(segment(0), segment(2), segment(1)),
		"left out":       object(segment(0), segment(2)),
		"first left out": object(segment(1), segment(2)),
		"twice":          object(segment(0), segment(1), segment(1), segment(2)),
		"last one twice": object(segment(0), segment(1), segment(2), segment(2)),
		"appended":       object(body, []byte{0}),
		"much appended":  object(body, make([]byte, 2*segmentSize)),
	} {
		t.Run(name, func(t *testing.T) { refusedByAll(t, k, b) })
	}
	for i := range 3 {
		refusedByAll(t, k, object(body[:i*segmentSize]))
		refusedByAll(t, k, object(body[:i*segmentSize+1]))
		refusedByAll(t, k, object(body[:max(0, i*segmentSize-1)]))
	}
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(sealed)
		position := rapid.IntRange(h.Size, len(b)-1).Draw(t, "position")
		b[position] ^= byte(rapid.IntRange(1, 255).Draw(t, "difference"))
		refusedByAll(t, k, b)
	})
}

// A destination never gets hold of memory that holds plaintext, and a writer whose destination panicked encrypts nothing any more: the
// number of the segment would come twice.
func TestWriterAfterAPanic(t *testing.T) {
	a := generate(t)
	var kept keeping
	w, err := a.Params().Encrypt(&kept, parsePolicy(t, "a"), nil)
	require.NoError(t, err)
	plaintext := bytes.Repeat([]byte("plain"), segmentSize)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	kept.panics = true
	require.Panics(t, func() { _, _ = w.Write(plaintext) })
	kept.panics = false
	for range 2 {
		_, err = w.Write(plaintext)
		require.ErrorIs(t, err, errBroken)
		_, err = w.ReadFrom(bytes.NewReader(plaintext))
		require.ErrorIs(t, err, errBroken)
		require.ErrorIs(t, w.Close(), errBroken)
	}
	for _, b := range kept.all {
		require.False(t, bytes.Contains(b, []byte("plain")))
	}
	require.GreaterOrEqual(t, len(kept.all), 5)
}

// keeping is a destination that keeps the memory it was lent.
type keeping struct {
	all    [][]byte
	panics bool
}

func (k *keeping) Write(b []byte) (int, error) {
	k.all = append(k.all, b[:len(b):len(b)])
	if k.panics {
		panic("destination")
	}
	return len(b), nil
}

// lying is a source that claims to have read n bytes.
type lying struct{ n int }

func (l lying) Read([]byte) (int, error) { return l.n, nil }

// short is a destination that takes a part and says nothing.
type short struct{ left int }

func (s *short) Write(b []byte) (int, error) {
	n := min(len(b), s.left)
	s.left -= n
	return n, nil
}

func TestWriterBetweenBrokenEnds(t *testing.T) {
	a, _, sealed, plaintext := streamed(t)
	policy := parsePolicy(t, "a")
	for _, n := range []int{-1, 2 << 20} {
		w, err := a.Params().Encrypt(io.Discard, policy, nil)
		require.NoError(t, err)
		_, err = w.ReadFrom(lying{n})
		require.ErrorIs(t, err, errCount)
		require.ErrorIs(t, w.Close(), errCount)
	}
	for _, n := range []int{0, 100, len(sealed) - segmentSize, len(sealed) - 1} {
		require.ErrorIs(t, a.Params().EncryptFrom(&short{n}, bytes.NewReader(plaintext), policy, nil), io.ErrShortWrite, "room for %d bytes", n)
	}
	w, err := a.Params().Encrypt(io.Discard, policy, nil)
	require.NoError(t, err)
	w.number = maxSegments
	require.ErrorIs(t, w.Close(), errTooLong)
	_, err = w.Write([]byte{1})
	require.ErrorIs(t, err, errTooLong)
}

// FuzzPayload gives a payload to Tink and to the three readers here, which must agree with it: the bytes alone, or a payload of three segments cut at
// some place with the bytes after it.
func FuzzPayload(f *testing.F) {
	key := [keySize]byte{1}
	whole := tinkSeals(f, key, bytes.Repeat([]byte{7}, oneSegment+perSegment+100), nil)
	small := tinkSeals(f, key, []byte("small"), nil)
	f.Add(small, -1)
	f.Add(small[:len(small)-1], -1)
	f.Add([]byte{}, len(whole))
	f.Add([]byte{0}, len(whole))
	f.Add(whole[segmentSize:segmentSize+100], segmentSize)
	f.Add([]byte("0123456789abcdef"), 2*segmentSize)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		payload := b
		if at >= 0 {
			payload = append(bytes.Clone(whole[:min(at, len(whole))]), b...)
		}
		want, judgement := tinkOpens(t, key, payload, nil)
		agrees := func(got []byte, err error) {
			if judgement != nil {
				require.ErrorIs(t, err, ErrDecrypt)
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		}
		agrees(openPayload(payload, key, nil))
		if len(payload) < payloadHead {
			require.Error(t, judgement)
			return
		}
		s, err := newSegments(key, payload[:payloadHead], nil)
		if err != nil {
			require.Error(t, judgement)
			return
		}
		agrees(io.ReadAll(newDecrypter(&watched{r: bytes.NewReader(payload[payloadHead:])}, s)))
		r, err := newReader(bytes.NewReader(payload), payloadHead, int64(len(payload)), s)
		if err != nil {
			agrees(nil, err)
			return
		}
		agrees(io.ReadAll(io.NewSectionReader(r, 0, r.Size())))
	})
}
