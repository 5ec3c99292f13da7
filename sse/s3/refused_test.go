package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

func put(t *testing.T, c *minio.Client, bucket, key string, b []byte) {
	t.Helper()
	_, err := c.PutObject(t.Context(), bucket, key, bytes.NewReader(b), int64(len(b)),
		minio.PutObjectOptions{DisableContentSha256: true}) // in chunks: the server trips over an empty one
	require.NoError(t, err)
}

func TestPlaces(t *testing.T) {
	server := servers.S3(t)
	client, bucket := server.Client(t), server.Bucket(t)
	for _, prefix := range []string{"x", "/", "/x/", "x//", "x//y/", "./", "x/../", "../x/", "\xff/", strings.Repeat("x", 512) + "/", "x/ /y"} {
		_, err := s3.Open(t.Context(), client, s3.Place{Bucket: bucket, Prefix: prefix})
		assert.ErrorContains(t, err, "prefix", "%q", prefix)
	}
	_, err := s3.Open(t.Context(), client, s3.Place{})
	assert.ErrorContains(t, err, "Bucket")
	_, err = s3.Open(t.Context(), nil, s3.Place{Bucket: bucket})
	assert.ErrorContains(t, err, "no client")
	for o := range client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		assert.Fail(t, "an object was made", "%v %v", o.Key, o.Err)
	}

	// Stores beside each other do not see each other.
	p, id := sse.GenerateID(), sse.GenerateID()
	places := []string{"", "a/", "a b+c%2f/", "ab/", "ärzte/ß/"}
	for i := 1; i < len(places); i++ {
		s := mustOpen(t, client, s3.Place{Bucket: bucket, Prefix: "sub/" + places[i]})
		require.NoError(t, s.WriteSegment(t.Context(), p, id, pages(uint32(i))))
		require.NoError(t, s.SwapHead(t.Context(), p, 1, []byte(places[i])))
		assert.Equal(t, "s3://"+bucket+"/sub/"+places[i]+p.String()+"/segments/"+id.String(), s.SegmentPath(p, id))
		assert.Equal(t, "s3://"+bucket+"/sub/"+places[i]+p.String()+"/heads/00000000000000000001", s.HeadPath(p, 1))
		for _, path := range []string{s.SegmentPath(p, id), s.HeadPath(p, 1)} {
			_, err := client.StatObject(t.Context(), bucket, strings.TrimPrefix(path, "s3://"+bucket+"/"), minio.StatObjectOptions{})
			assert.NoError(t, err, path)
		}
	}
	for i := 1; i < len(places); i++ {
		s := mustOpen(t, client, s3.Place{Bucket: bucket, Prefix: "sub/" + places[i]})
		infos, err := s.Segments(t.Context(), p)
		require.NoError(t, err)
		require.Len(t, infos, 1)
		assert.EqualValues(t, i, infos[0].Pages)
		blob, _, err := s.Head(t.Context(), p, 0)
		require.NoError(t, err)
		assert.Equal(t, places[i], string(blob))
	}
	_, err = s3.Open(t.Context(), client, s3.Place{Bucket: bucket})
	assert.ErrorContains(t, err, "no store.vcht")
	_, err = s3.Open(t.Context(), client, s3.Place{Bucket: bucket, Prefix: "sub/"})
	assert.ErrorContains(t, err, "no store.vcht", "a store above other stores would take their objects for its own")
}

func TestMarkers(t *testing.T) {
	server := servers.S3(t)
	client, bucket := server.Client(t), server.Bucket(t)
	mustOpen(t, client, s3.Place{Bucket: bucket, Prefix: "good/"})
	o, err := client.GetObject(t.Context(), bucket, "good/store.vcht", minio.GetObjectOptions{})
	require.NoError(t, err)
	good, err := io.ReadAll(o)
	require.NoError(t, err)
	require.Len(t, good, 8)
	for i := range len(good) {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			put(t, client, bucket, "bad/store.vcht", bad)
			_, err := s3.Open(t.Context(), client, s3.Place{Bucket: bucket, Prefix: "bad/"})
			assert.Error(t, err, "byte %d", i)
		}
	}
	for _, bad := range [][]byte{{}, good[:7], append(bytes.Clone(good), 0), make([]byte, 1<<20)} {
		put(t, client, bucket, "bad/store.vcht", bad)
		_, err := s3.Open(t.Context(), client, s3.Place{Bucket: bucket, Prefix: "bad/"})
		assert.ErrorIs(t, err, sse.ErrDamaged, "%d bytes", len(bad))
	}
	// A folder of sse.Dir that was copied to a bucket is not taken for this kind of store.
	dir, err := sse.OpenDir(t.TempDir())
	require.NoError(t, err)
	_ = dir
	old := bytes.Clone(good)
	old[5]--
	put(t, client, bucket, "bad/store.vcht", old)
	_, err = s3.Open(t.Context(), client, s3.Place{Bucket: bucket, Prefix: "bad/"})
	assert.Error(t, err)
}

// unconditional is a service that ignores conditions: the real one, with the condition taken out of the request. That needs a client
// that does not sign, so the bucket lets everybody in.
type unconditional struct{ http.RoundTripper }

func (u unconditional) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("If-None-Match")
	return u.RoundTripper.RoundTrip(r)
}

// open lets everybody do the actions on a bucket.
func openBucket(t *testing.T, server *servers.S3Server, bucket string, onObjects ...string) {
	t.Helper()
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::%s"]},
		{"Effect":"Allow","Principal":"*","Action":["%s"],"Resource":["arn:aws:s3:::%s/*"]}]}`, bucket, strings.Join(onObjects, `","`), bucket)
	require.NoError(t, server.Client(t).SetBucketPolicy(t.Context(), bucket, policy))
}

func transportTo(server *servers.S3Server) http.RoundTripper {
	return servers.S3Transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", server.Socket())
	})
}

func TestUnconditional(t *testing.T) {
	server := servers.S3(t)
	bucket := server.Bucket(t)
	openBucket(t, server, bucket, "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
	lax, err := servers.S3ClientOver(unconditional{transportTo(server)}, "", "")
	require.NoError(t, err)
	strict, err := servers.S3ClientOver(transportTo(server), "", "")
	require.NoError(t, err)
	for range 2 { // a new place, and one that is there
		_, err = s3.Open(t.Context(), lax, s3.Place{Bucket: bucket, Prefix: "x/"})
		require.ErrorIs(t, err, s3.ErrUnconditional)
	}
	mustOpen(t, strict, s3.Place{Bucket: bucket, Prefix: "y/"}) // it is the condition and nothing else
	_, err = s3.Open(t.Context(), lax, s3.Place{Bucket: bucket, Prefix: "y/"})
	require.ErrorIs(t, err, s3.ErrUnconditional)
}

// TestReadOnly: who may only read gets a store to read from.
func TestReadOnly(t *testing.T) {
	server := servers.S3(t)
	bucket := server.Bucket(t)
	at := s3.Place{Bucket: bucket}
	s, p := mustOpen(t, server.Client(t), at), sse.GenerateID()
	id := mustWrite(t, s, p, 5)
	require.NoError(t, s.SwapHead(t.Context(), p, 1, []byte("one")))

	nobody, err := servers.S3Client(server.Socket(), "", "")
	require.NoError(t, err)
	_, err = s3.Open(t.Context(), nobody, at)
	require.ErrorContains(t, err, "give them the actions")

	openBucket(t, server, bucket, "s3:GetObject")
	r := mustOpen(t, nobody, at)
	got, err := r.Read(t.Context(), p, []sse.Run{{Segment: id, First: 1, Count: 3}})
	require.NoError(t, err)
	assert.True(t, isRun(got[0], 1, 3))
	blob, _, err := r.Head(t.Context(), p, 0)
	require.NoError(t, err)
	assert.Equal(t, "one", string(blob))
	infos, err := r.Segments(t.Context(), p)
	require.NoError(t, err)
	assert.Len(t, infos, 1)
	for _, err := range []error{ // said by the store: the service was asked once, when it was opened
		r.WriteSegment(t.Context(), p, sse.GenerateID(), pages(1)), r.SwapHead(t.Context(), p, 2, nil), r.DeleteSegment(t.Context(), p, id),
	} {
		assert.ErrorContains(t, err, "may not write")
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	server := servers.S3(t)
	bucket := server.Bucket(t)
	try := func(key, secret, bucket string) error {
		c, err := servers.S3Client(server.Socket(), key, secret)
		require.NoError(t, err)
		_, err = s3.Open(t.Context(), c, s3.Place{Bucket: bucket})
		return err
	}
	require.NoError(t, try(servers.S3AccessKey, servers.S3SecretKey, bucket))
	assert.ErrorContains(t, try(servers.S3AccessKey, "wrong", bucket), "the secret key is wrong")
	assert.ErrorContains(t, try("unknown", "wrong", bucket), "correct the credentials")
	assert.ErrorContains(t, try(servers.S3AccessKey, servers.S3SecretKey, "no-such-bucket"), "there is no such bucket")

	gone, err := servers.S3ClientOver(servers.S3Transport(func(context.Context) (net.Conn, error) { return nil, errors.New("no route") }), "a", "b")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = s3.Open(ctx, gone, s3.Place{Bucket: bucket})
	assert.ErrorContains(t, err, "see that the service runs")
	assert.ErrorContains(t, err, "no route")

	// A bubble of synctest lives in the year 2000, and so signs its requests.
	synctest.Test(t, func(t *testing.T) {
		transport := servers.S3Transport(func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", server.Socket())
		})
		transport.DisableKeepAlives = true
		c, err := servers.S3ClientOver(transport, servers.S3AccessKey, servers.S3SecretKey)
		require.NoError(t, err)
		_, err = s3.Open(t.Context(), c, s3.Place{Bucket: bucket})
		assert.ErrorContains(t, err, "set the clock")
	})
}

// TestForeignObjects: what is not the store's is left alone, and what is damaged is named.
func TestForeignObjects(t *testing.T) {
	server := servers.S3(t)
	client, bucket := server.Client(t), server.Bucket(t)
	s, p := mustOpen(t, client, s3.Place{Bucket: bucket}), sse.GenerateID()
	id := mustWrite(t, s, p, 5)
	for v := uint64(1); v <= 3; v++ {
		require.NoError(t, s.SwapHead(t.Context(), p, v, []byte{byte(v)}))
	}
	for _, name := range []string{
		"/segments/x", "/segments/" + strings.ToUpper(sse.GenerateID().String()), "/segments/" + id.String() + ".bak", "/segments/sub/" + id.String(),
		"/heads/4", "/heads/00000000000000000000", "/heads/00000000000000000007.tmp", "/heads/+0000000000000000007", "/heads/000000000000000000008", "/other",
	} {
		put(t, client, bucket, p.String()+name, []byte("foreign"))
	}
	infos, err := s.Segments(t.Context(), p)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, id, infos[0].ID)
	_, latest, err := s.Head(t.Context(), p, 0)
	require.NoError(t, err)
	require.EqualValues(t, 3, latest)
	require.NoError(t, s.SwapHead(t.Context(), p, 4, nil))

	for _, size := range []int{0, 1, sse.PageSize - 1, 5*sse.PageSize + 1} {
		bad := sse.GenerateID()
		put(t, client, bucket, p.String()+"/segments/"+bad.String(), make([]byte, size))
		_, err := s.Segments(t.Context(), p)
		assert.ErrorIs(t, err, sse.ErrDamaged, "%d bytes", size)
		assert.ErrorContains(t, err, s.SegmentPath(p, bad))
		for _, r := range []sse.Run{{Segment: bad, Count: 1}, {Segment: bad, Count: 0}, {Segment: bad, First: 4, Count: 1}} {
			_, err = s.Read(t.Context(), p, []sse.Run{r})
			assert.Error(t, err, "%d bytes, %v", size, r)
			assert.NotErrorIs(t, err, sse.ErrMissing)
		}
		require.NoError(t, s.DeleteSegment(t.Context(), p, bad))
	}
	put(t, client, bucket, p.String()+"/segments/"+id.String(), make([]byte, 3*sse.PageSize)) // truncated to whole pages
	_, err = s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 5}})
	assert.ErrorContains(t, err, "has 3 pages")
	put(t, client, bucket, p.String()+"/heads/00000000000000000005", make([]byte, sse.MaxHead+1))
	_, _, err = s.Head(t.Context(), p, 0)
	assert.ErrorIs(t, err, sse.ErrDamaged)
}

// TestStaleWriter: a writer that slept while its version came, grew old and was removed finds the name free, and still loses.
func TestStaleWriter(t *testing.T) {
	server := servers.S3(t)
	at := s3.Place{Bucket: server.Bucket(t)}
	awake, asleep, p := mustOpen(t, server.Client(t), at), mustOpen(t, server.Client(t), at), sse.GenerateID()
	require.NoError(t, awake.SwapHead(t.Context(), p, 1, []byte("1")))
	_, latest, err := asleep.Head(t.Context(), p, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, latest)
	const last = sse.HeadsKept + 6
	for v := uint64(2); v <= last; v++ {
		require.NoError(t, awake.SwapHead(t.Context(), p, v, []byte("2")))
	}
	_, err = server.Client(t).StatObject(t.Context(), at.Bucket, p.String()+"/heads/00000000000000000002", minio.StatObjectOptions{})
	require.Equal(t, minio.NoSuchKey, minio.ToErrorResponse(err).Code, "the name is free")
	require.Error(t, asleep.SwapHead(t.Context(), p, 2, []byte("late")))
	for _, s := range []*s3.Store{awake, asleep, mustOpen(t, server.Client(t), at)} {
		blob, latest, err := s.Head(t.Context(), p, 0)
		require.NoError(t, err)
		require.EqualValues(t, last, latest)
		require.Equal(t, "2", string(blob))
		_, _, err = s.Head(t.Context(), p, 2)
		require.ErrorIs(t, err, sse.ErrMissing)
	}
	require.ErrorIs(t, asleep.SwapHead(t.Context(), p, 3, []byte("late")), sse.ErrConflict)

	// Also if it may not remove what it wrote: otherwise who reads the head back would take its rows for stored.
	openBucket(t, server, at.Bucket, "s3:GetObject", "s3:PutObject")
	nobody, err := servers.S3Client(server.Socket(), "", "")
	require.NoError(t, err)
	unable := mustOpen(t, nobody, at)
	put(t, server.Client(t), at.Bucket, p.String()+"/heads/00000000000000000001", []byte("put there so that it gets so far"))
	require.ErrorContains(t, unable.SwapHead(t.Context(), p, 2, []byte("late")), "too late")
	_, err = server.Client(t).StatObject(t.Context(), at.Bucket, p.String()+"/heads/00000000000000000002", minio.StatObjectOptions{})
	require.NoError(t, err, "it is there")
	for _, s := range []*s3.Store{awake, unable} {
		_, latest, err := s.Head(t.Context(), p, 2)
		require.ErrorIs(t, err, sse.ErrMissing)
		require.EqualValues(t, last, latest)
	}
	// Old heads that somebody could not remove go with a later swap.
	for _, v := range []string{"3", "4"} {
		put(t, server.Client(t), at.Bucket, p.String()+"/heads/0000000000000000000"+v, []byte("left"))
	}
	require.NoError(t, awake.SwapHead(t.Context(), p, last+1, nil))
	n := 0
	for o := range server.Client(t).ListObjectsIter(t.Context(), at.Bucket, minio.ListObjectsOptions{Prefix: p.String() + "/heads/", Recursive: true}) {
		require.NoError(t, o.Err)
		n++
	}
	require.Equal(t, sse.HeadsKept, n)
}

// TestVersionsAreRemoved: in a bucket with versions a deleted segment leaves no version behind.
func TestVersionsAreRemoved(t *testing.T) {
	server := servers.S3(t)
	client, bucket := server.Client(t), server.Bucket(t)
	require.NoError(t, client.EnableVersioning(t.Context(), bucket))
	s, p := mustOpen(t, client, s3.Place{Bucket: bucket}), sse.GenerateID()
	for _, count := range []uint32{3, 2100} {
		id := mustWrite(t, s, p, count)
		list := func() (n int) {
			for o := range client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: p.String(), Recursive: true, WithVersions: true}) {
				require.NoError(t, o.Err)
				n++
			}
			return n
		}
		require.Equal(t, 1, list())
		require.NoError(t, s.DeleteSegment(t.Context(), p, id))
		require.Zero(t, list())
	}
}

// beforeHead does something before the next HEAD request is sent.
type beforeHead struct {
	http.RoundTripper
	do func()
}

func (b *beforeHead) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := b.do; r.Method == http.MethodHead && f != nil {
		b.do = nil
		f()
	}
	return b.RoundTripper.RoundTrip(r)
}

// TestGoneMeanwhile: an object that was in the way, and is gone when its owner is asked for, may have been one's own. So the answer
// is neither that it exists nor that another won.
func TestGoneMeanwhile(t *testing.T) {
	server := servers.S3(t)
	at, p := s3.Place{Bucket: server.Bucket(t)}, sse.GenerateID()
	near := mustOpen(t, server.Client(t), at)
	hook := &beforeHead{RoundTripper: transportTo(server)}
	client, err := servers.S3ClientOver(hook, servers.S3AccessKey, servers.S3SecretKey)
	require.NoError(t, err)
	s := mustOpen(t, client, at)
	remove := func(path string) func() {
		return func() {
			require.NoError(t, server.Client(t).RemoveObject(t.Context(), at.Bucket, strings.TrimPrefix(path, "s3://"+at.Bucket+"/"), minio.RemoveObjectOptions{}))
		}
	}
	id := mustWrite(t, near, p, 3)
	hook.do = remove(s.SegmentPath(p, id))
	err = s.WriteSegment(t.Context(), p, id, pages(3))
	require.ErrorContains(t, err, "not known")
	require.NotErrorIs(t, err, sse.ErrExists)
	require.Nil(t, hook.do)
	require.NoError(t, near.SwapHead(t.Context(), p, 1, nil))
	hook.do = remove(s.HeadPath(p, 1))
	err = s.SwapHead(t.Context(), p, 1, nil)
	require.ErrorContains(t, err, "not known")
	require.NotErrorIs(t, err, sse.ErrConflict)
	require.Nil(t, hook.do)
}
