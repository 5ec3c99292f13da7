package dp

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Each decoder: what it accepts, it encodes to the same bytes.

func FuzzRecord(f *testing.F) {
	f.Add(record{kind: typeVoid, body: make([]byte, nonceSize+tagSize+8)}.bytes())
	f.Add(record{kind: typeOpen, seq: 1 << 63, cost: Cost{1, u128{2, 3}}, body: bytesOf(3, 200)}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && !bytes.Equal(r.bytes(), b) {
			t.Fatal("a record has two encodings")
		}
	})
}

func FuzzReserve(f *testing.F) {
	for _, q := range []Query{countQuery("x"), sumQuery("y"), meanQuery(""), histogramQuery("z")} {
		n, err := q.normalize()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(charge{true, "ann", n}.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCharge(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.append(nil), b) {
			t.Fatal("a reservation has two encodings")
		}
		if _, err := c.question.Plan(); err != nil {
			t.Fatalf("a question that decodes has no plan: %v", err)
		}
	})
}

func FuzzCommit(f *testing.F) {
	f.Add(answer{7, []int64{1, -2}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAnswer(b); err == nil && !bytes.Equal(a.append(nil), b) {
			t.Fatal("an answer has two encodings")
		}
	})
}

func FuzzLimits(f *testing.F) {
	f.Add(Limits{"ward", Cost{rho: 5}, Cost{6, u128{1, 2}}, 11}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := parseLimits(b); err == nil && !bytes.Equal(l.append(nil), b) {
			t.Fatal("limits have two encodings")
		}
	})
}

// FuzzLedgerTail puts bytes behind a good file. They are refused or dropped, never believed.
func FuzzLedgerTail(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "good")
	l, err := Create(bg, path, testKey, Limits{Dataset: "ward", Querier: Cost{rho: 5}, Global: Cost{rho: 5}})
	if err != nil {
		f.Fatal(err)
	}
	head := l.Head()
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 0, 0})
	f.Add(good[headerSize:])
	f.Add(make([]byte, 50))
	f.Fuzz(func(t *testing.T, tail []byte) {
		path := filepath.Join(t.TempDir(), "l")
		if err := os.WriteFile(path, append(bytes.Clone(good), tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(bg, path, testKey, head)
		if err != nil {
			return
		}
		defer l.Close()
		if l.Head() != head || l.size != int64(len(good)) {
			t.Fatal("a record from nowhere was accepted")
		}
	})
}
