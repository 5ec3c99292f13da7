package s3_test

import (
	"context"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
	"github.com/veilchart/veilchart/sse/ssetest"
)

func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = 20 * time.Millisecond // the pauses between the client's attempts begin shorter: much here fails on purpose
	os.Exit(m.Run())
}

func mustOpen(t *testing.T, client *minio.Client, at s3.Place) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), client, at)
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	server := servers.S3(t)
	ssetest.Run(t, func(t *testing.T) sse.Store {
		return mustOpen(t, server.Client(t), s3.Place{Bucket: server.Bucket(t), Prefix: "ward/index/"})
	})
}

func TestStoreVersions(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the same suite once more")
	}
	server := servers.S3(t)
	ssetest.Run(t, func(t *testing.T) sse.Store {
		switch name := path.Base(t.Name()); name {
		case "BadPages", "ManyRuns", "Large", "Cancelled":
			t.Skip("it is TestStore's: versions make no difference")
		}
		bucket := server.Bucket(t)
		require.NoError(t, server.Client(t).EnableVersioning(t.Context(), bucket))
		return mustOpen(t, server.Client(t), s3.Place{Bucket: bucket})
	})
}

func TestStoreProcesses(t *testing.T) {
	t.Parallel()
	ssetest.RunProcesses(t, func(t *testing.T) string {
		server := servers.S3(t)
		return server.Socket() + "|" + server.Bucket(t)
	}, func(address string) (sse.Store, error) {
		socket, bucket, _ := strings.Cut(address, "|")
		client, err := servers.S3Client(socket, servers.S3AccessKey, servers.S3SecretKey)
		if err != nil {
			return nil, err
		}
		return s3.Open(context.Background(), client, s3.Place{Bucket: bucket})
	})
}
