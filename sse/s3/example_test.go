package s3_test

import (
	"context"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/s3"
)

func Example() {
	var accessKey, secretKey string // from where the program keeps secrets
	var schema sse.Schema
	key := make([]byte, sse.KeySize) // from a key manager

	ctx := context.Background()
	client, err := minio.New("s3.eu-central-1.amazonaws.com", &minio.Options{
		Creds:  credentials.NewStaticV4(accessKey, secretKey, ""),
		Region: "eu-central-1", // else the client asks for it first
		Secure: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	store, err := s3.Open(ctx, client, s3.Place{Bucket: "ward-7", Prefix: "index/"})
	if err != nil {
		log.Fatal(err)
	}
	ix, err := sse.Create(ctx, store, key, sse.GenerateID(), schema, sse.Options{})
	if err != nil {
		log.Fatal(err)
	}
	_ = ix // as in package sse
}

// The example of the package comment is the one that is compiled. It needs an account, so TestIndex runs the same calls elsewhere.
func TestDocHoldsTheExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	text, _, _ := strings.Cut(string(doc), "// Everything that")
	var shown []string
	for line := range strings.Lines(text) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			shown = append(shown, "\t"+code)
		}
	}
	require.Greater(t, len(shown), 10)
	require.Contains(t, string(example), strings.Join(shown, ""))
}
