package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// The user of the S3 server who may do everything. Who can reach the socket has the test's folder, so this is no secret.
const (
	S3AccessKey = "veilchart"
	S3SecretKey = "not-a-secret"
)

// sharedS3 is the S3 server of this test binary.
var sharedS3 = sync.OnceValues(StartS3)

// S3 returns the S3 server of this test binary. The first call starts it; the very first on a machine also builds it, which takes minutes.
func S3(t testing.TB) *S3Server {
	t.Helper()
	s, err := sharedS3()
	Need(t, err)
	return s
}

// NewS3 starts an S3 server for this test alone, which may kill it.
func NewS3(t testing.TB) *S3Server {
	t.Helper()
	s, err := StartS3()
	Need(t, err)
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// S3Client connects to the S3 server at a socket. With no access key it is anonymous.
func S3Client(socket, accessKey, secretKey string) (*minio.Client, error) {
	transport := S3Transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	})
	return S3ClientOver(transport, accessKey, secretKey)
}

// S3Transport is a transport whose connections dial makes, and which leaves as many open as minio-go's own.
func S3Transport(dial func(ctx context.Context) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 16,
		DisableCompression:  true,
	}
}

// S3ClientOver is a client over a transport; the name of the endpoint means nothing.
func S3ClientOver(transport http.RoundTripper, accessKey, secretKey string) (*minio.Client, error) {
	return minio.New("s3.invalid", &minio.Options{
		Creds:        credentials.NewStaticV4(accessKey, secretKey, ""),
		Region:       "us-east-1",
		BucketLookup: minio.BucketLookupPath,
		Transport:    transport,
	})
}

// Client connects as the user who may do everything.
func (s *S3Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	c, err := S3Client(s.Socket(), S3AccessKey, S3SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Bucket makes an empty bucket and returns its name.
func (s *S3Server) Bucket(t testing.TB) string {
	t.Helper()
	name := strings.ToLower("test-" + rand.Text())
	if err := s.Client(t).MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

// answers reports whether the server takes requests.
func (s *S3Server) answers() error {
	c, err := S3Client(s.Socket(), S3AccessKey, S3SecretKey)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.Socket()) // the client would try again for seconds
	if err != nil {
		return err
	}
	_ = conn.Close()
	if _, err := c.ListBuckets(ctx); err != nil {
		return fmt.Errorf("servers: S3: %w", err)
	}
	return nil
}
