package s3_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

// liar is a service that tells the truth until lie is set: then that answers what it likes.
type liar struct {
	http.RoundTripper
	lie func(r *http.Request) *http.Response
}

func (l *liar) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.lie != nil {
		if answer := l.lie(r); answer != nil {
			return answer, nil
		}
	}
	return l.RoundTripper.RoundTrip(r)
}

// answer is an HTTP answer with a body of the given length, of which there may be less.
func answer(r *http.Request, status int, length int64, body string, header ...string) *http.Response {
	a := &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Etag": {`"x"`}, "Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "Content-Length": {fmt.Sprint(length)}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: length,
	}
	for i := 0; i < len(header); i += 2 {
		a.Header.Set(header[i], header[i+1])
	}
	return a
}

// TestLyingService: what a service says about lengths and ranges is checked before room is made for it, a listing ends, and nobody is sent elsewhere.
func TestLyingService(t *testing.T) {
	t.Parallel()
	server := servers.S3(t)
	l := &liar{RoundTripper: transportTo(server)}
	client, err := servers.S3ClientOver(l, servers.S3AccessKey, servers.S3SecretKey)
	require.NoError(t, err)
	s, p := mustOpen(t, client, s3.Place{Bucket: server.Bucket(t)}), sse.GenerateID()
	id := mustWrite(t, s, p, 5)
	require.NoError(t, s.SwapHead(t.Context(), p, 1, []byte("one")))
	const huge = 1 << 60
	ofSegment := fmt.Sprint(5 * sse.PageSize)
	for what, c := range map[string]struct {
		status int
		length int64
		ranges string
	}{
		"a huge whole":           {http.StatusOK, huge, ""},
		"a whole for a part":     {http.StatusOK, 5 * sse.PageSize, ""},
		"a huge part":            {http.StatusPartialContent, huge, fmt.Sprintf("bytes 4096-%d/%d", int64(huge), int64(huge))},
		"a huge object":          {http.StatusPartialContent, huge, fmt.Sprintf("bytes 4096-8191/%d", int64(huge))},
		"more than the range":    {http.StatusPartialContent, 5000, "bytes 4096-8191/" + ofSegment},
		"less than the range":    {http.StatusPartialContent, 4000, "bytes 4096-8191/" + ofSegment},
		"another range":          {http.StatusPartialContent, 4096, "bytes 0-4095/" + ofSegment},
		"a range before it":      {http.StatusPartialContent, 4096, "bytes -4096-8191/" + ofSegment},
		"a range that overflows": {http.StatusPartialContent, 4096, "bytes 4096-8191/99999999999999999999"},
		"a range after its end":  {http.StatusPartialContent, 4096, "bytes 4096-8191/4096"},
		"no range":               {http.StatusPartialContent, 4096, ""},
		"no numbers":             {http.StatusPartialContent, 4096, "bytes */*"},
		"another unit":           {http.StatusPartialContent, 4096, "pages 4096-8191/" + ofSegment},
		"a range and more":       {http.StatusPartialContent, 4096, "bytes 4096-8191/" + ofSegment + "0x"},
	} {
		l.lie = func(r *http.Request) *http.Response {
			if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
				return nil
			}
			if c.ranges == "" {
				return answer(r, c.status, c.length, "")
			}
			return answer(r, c.status, c.length, "", "Content-Range", c.ranges)
		}
		_, err := s.Read(t.Context(), p, []sse.Run{{Segment: id, First: 1, Count: 1}})
		require.Error(t, err, what)
		require.NotErrorIs(t, err, sse.ErrMissing, what)
		require.NotContains(t, err.Error(), "broke off", what)
		if c.status == http.StatusOK && c.length < huge {
			continue // that is what an answer with a head looks like; what follows would be waited for
		}
		_, _, err = s.Head(t.Context(), p, 1)
		require.Error(t, err, what)
	}

	// Elsewhere is not gone to: no request arrives there, and none carries credentials there.
	l.lie = func(r *http.Request) *http.Response {
		require.Equal(t, "s3.invalid", r.URL.Host)
		return answer(r, http.StatusTemporaryRedirect, 0, "", "Location", "http://elsewhere.invalid/")
	}
	_, err = s.Read(t.Context(), p, []sse.Run{{Segment: id, First: 1, Count: 1}})
	require.Error(t, err)
	_, err = s.Segments(t.Context(), p)
	require.Error(t, err)
	require.Error(t, s.SwapHead(t.Context(), p, 2, []byte("two")))

	// A listing without an end, in parts of a thousand.
	asked, thousand := 0, strings.Repeat(fmt.Sprintf("<Contents><Key>%v/segments/%v</Key><Size>4096</Size></Contents>", p, id), 1000)
	l.lie = func(r *http.Request) *http.Response {
		if !r.URL.Query().Has("list-type") {
			return nil
		}
		asked++
		b := fmt.Sprintf("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>%s</ListBucketResult>", asked, thousand)
		return answer(r, http.StatusOK, int64(len(b)), b)
	}
	_, err = s.Segments(t.Context(), p)
	require.ErrorContains(t, err, "more than 131072 objects")
	require.Equal(t, 132, asked)
	l.lie = nil
	got, err := s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 5}})
	require.NoError(t, err)
	require.True(t, isRun(got[0], 0, 5))
}
