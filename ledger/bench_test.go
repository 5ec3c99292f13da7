package ledger

import (
	"bytes"
	"testing"
)

// wardRecords is the number of records of the example ward.
const wardRecords = 30465

// BenchmarkLogWard appends a ward's leaves in batches of 2,000, durably.
func BenchmarkLogWard(b *testing.B) {
	leaves := testLeaves(0, wardRecords)
	for b.Loop() {
		l := newLog(b, b.TempDir(), testSigner(b))
		l.disk.lazy = false
		for at := 0; at < len(leaves); at += 2000 {
			if _, err := l.Append(b.Context(), leaves[at:min(at+2000, len(leaves))]...); err != nil {
				b.Fatal(err)
			}
		}
		l.Close()
	}
}

// BenchmarkProveAndVerify makes and checks one inclusion proof in a ward's log.
func BenchmarkProveAndVerify(b *testing.B) {
	l := newLog(b, b.TempDir(), testSigner(b), wardRecords)
	head := l.Checkpoint()
	signed := head.Bytes()
	i := int64(0)
	for b.Loop() {
		i = (i + 7919) % wardRecords
		p, err := l.ProveInclusion(b.Context(), i, head)
		if err != nil {
			b.Fatal(err)
		}
		if err := VerifyInclusion(signed, l.Verifier(), testLeaf(i), i, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyLog checks every file of a ward's log.
func BenchmarkVerifyLog(b *testing.B) {
	l := newLog(b, b.TempDir(), testSigner(b), wardRecords)
	for b.Loop() {
		if err := l.Verify(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBlobsWard stores a ward's records of 2 kB in batches of 2,000, durably.
func BenchmarkBlobsWard(b *testing.B) {
	data := make([]byte, 2000)
	for b.Loop() {
		s := newBlobs(b, b.TempDir())
		batch := s.Batch()
		for i := range wardRecords {
			copy(data, testLeaf(int64(i)))
			if _, _, err := batch.Put(b.Context(), bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
			if i%2000 == 1999 || i == wardRecords-1 {
				if err := batch.Commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
		batch.Discard()
		s.Close()
	}
}

// BenchmarkBlobsStream stores and reads one blob of 64 MiB.
func BenchmarkBlobsStream(b *testing.B) {
	s := newBlobs(b, b.TempDir())
	data := patternBytes(b, 64<<20)
	b.SetBytes(64 << 20)
	for b.Loop() {
		c := putBytes(b, s, data)
		if err := s.verifyOne(b.Context(), c, make([]byte, chunkSize)); err != nil {
			b.Fatal(err)
		}
	}
}
