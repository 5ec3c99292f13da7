package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// TestMain lets this test program play the process that is killed: see crash_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv("LEDGER_TEST_ROLE"); role != "" {
		if err := play(role, os.Getenv("LEDGER_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play writes a line to standard output for everything that it was told is durable.
func play(role, dir string) error {
	ctx := context.Background()
	seed := sha256.Sum256([]byte("veilchart ledger test key"))
	s, err := NewSigner(testName, seed[:])
	if err != nil {
		return err
	}
	say := func(text string) { os.Stdout.WriteString(text + "\n") }
	switch role {
	case "append":
		l, err := OpenLog(ctx, dir, s, nil)
		if err != nil {
			return err
		}
		say("open")
		for n := l.Checkpoint().Size; ; {
			more := n + 1 + n%71
			if _, err := l.Append(ctx, testLeaves(n, more)...); err != nil {
				return err
			}
			n = more
			say(strconv.FormatInt(n, 10))
		}
	case "hold":
		if _, err := OpenLog(ctx, dir, s, nil); err != nil {
			return err
		}
		say("open")
		select {}
	case "batch":
		b, err := OpenBlobs(dir)
		if err != nil {
			return err
		}
		say("open")
		for i := int64(0); ; i++ {
			batch := b.Batch()
			for j := range int64(60) {
				data := patternBytes2(i*60 + j)
				c, _, err := batch.Put(ctx, bytes.NewReader(data))
				if err != nil {
					return err
				}
				if i == 0 && j == 0 {
					say("first " + c.String())
				}
			}
			if err := batch.Commit(ctx); err != nil {
				return err
			}
			say(strconv.FormatInt((i+1)*60, 10))
		}
	}
	return fmt.Errorf("unknown role %q", role)
}

// patternBytes2 is the blob number i of the crash test: small ones, and now and then one of several chunks.
func patternBytes2(i int64) []byte {
	data := testLeaf(i)
	if i%50 == 7 {
		data = append(data, make([]byte, chunkSize+1)...)
	}
	return data
}
