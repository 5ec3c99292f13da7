package servers

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestS3Killed: what was acknowledged is there after the server was killed and started again.
func TestS3Killed(t *testing.T) {
	s := NewS3(t)
	client, bucket := s.Client(t), s.Bucket(t)
	for round := range 3 {
		want := bytes.Repeat([]byte{byte(round)}, 100_000)
		_, err := client.PutObject(t.Context(), bucket, "kept", bytes.NewReader(want), int64(len(want)), minio.PutObjectOptions{})
		require.NoError(t, err)
		require.NoError(t, s.Kill())
		require.NoError(t, s.Start())
		o, err := client.GetObject(t.Context(), bucket, "kept", minio.GetObjectOptions{})
		require.NoError(t, err)
		got, err := io.ReadAll(o)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	}
}

// TestS3Private: nobody else can connect, and who has no key may do nothing.
func TestS3Private(t *testing.T) {
	s := S3(t)
	assert.Same(t, s, S3(t))
	bucket := s.Bucket(t)
	assert.NotEqual(t, bucket, s.Bucket(t))
	info, err := os.Stat(strings.TrimSuffix(s.Socket(), "/s3.sock"))
	require.NoError(t, err)
	assert.Zero(t, info.Mode().Perm()&0o077)
	for _, secret := range []string{"", "wrong"} {
		key := S3AccessKey
		if secret == "" {
			key = ""
		}
		c, err := S3Client(s.Socket(), key, secret)
		require.NoError(t, err)
		_, err = c.StatObject(t.Context(), bucket, "x", minio.StatObjectOptions{})
		require.Error(t, err)
		assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(err).Code)
	}
}
