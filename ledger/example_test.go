package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/veilchart/veilchart/ledger"
)

func Example() {
	dir, err := os.MkdirTemp("", "ledger")
	check(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	ciphertext := strings.NewReader("stands for a sealed record")

	// The store: a blob, and a leaf that says so.
	signer, err := ledger.GenerateSigner("ward.example.org/log")
	check(err)
	log, err := ledger.OpenLog(ctx, filepath.Join(dir, "log"), signer, nil)
	check(err)
	defer log.Close()
	blobs, err := ledger.OpenBlobs(filepath.Join(dir, "blobs"))
	check(err)
	defer blobs.Close()

	cid, _, err := blobs.Put(ctx, ciphertext)
	check(err)
	index, err := log.Append(ctx, cid.Bytes())
	check(err)

	// The evidence.
	head := log.Checkpoint()
	proof, err := log.ProveInclusion(ctx, index, head)
	check(err)

	// The auditor, anywhere: needs the public key and no store.
	verifier, err := ledger.ParseVerifier(signer.Verifier().String())
	check(err)
	check(ledger.VerifyInclusion(head.Bytes(), verifier, cid.Bytes(), index, proof))
	fmt.Println("leaf", index, "of", head.Size, "is", cid)

	// One flipped bit is found when the blob is read, and named.
	check(os.WriteFile(blobs.File(cid), []byte("Stands for a sealed record"), 0o600))
	r, err := blobs.Get(ctx, cid)
	check(err)
	defer r.Close()
	_, err = io.ReadAll(r)
	fmt.Println(strings.Contains(err.Error(), blobs.File(cid)), errors.As(err, new(*ledger.DamageError)))
	// Output:
	// leaf 0 of 1 is bafkreic723t5xonbtetnovsru2giwct4g2yjfewlir5w4yfql5glpovtoq
	// true true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
