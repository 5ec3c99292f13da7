package dp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write vectors that do not exist yet; those that do are never changed")

const (
	vectorDir   = "testdata/vectors/v1"
	vectorCount = 89 // append-only: this number only grows
)

// vector is one case. Samples and conversions were computed by another program (rational arithmetic on the same tape; 60 digits and a
// golden-section search), not by this package.
type vector struct {
	Name  string `json:"name"`
	Class string `json:"class"` // success, out of range, invalid, format failure, damaged, rollback

	// sample-*: the first samples from the tape SHA-256(tape || counter as 8 bytes).
	Mechanism string  `json:"mechanism,omitempty"`
	Scale     string  `json:"scale,omitempty"`
	Tape      string  `json:"tape,omitempty"`
	Samples   []int64 `json:"samples,omitempty"`

	// account-*: rho-zCDP implies (epsilon, delta).
	Rho     float64 `json:"rho,omitempty"`
	Delta   float64 `json:"delta,omitempty"`
	Epsilon float64 `json:"epsilon,omitempty"`

	// question-*: the encoding, cost (in units of 2^-40) and noise of a query. body-*: an encoding that must be refused.
	Query    *Query   `json:"query,omitempty"`
	Encoding string   `json:"encoding,omitempty"`
	Cost     uint64   `json:"cost,omitempty"`
	Noise    []string `json:"noise,omitempty"`

	// ledger-*: a file, the key, an anchor, and what the file holds.
	Key       string            `json:"key,omitempty"`
	File      string            `json:"file,omitempty"`
	Anchor    *vectorHead       `json:"anchor,omitempty"`
	Head      *vectorHead       `json:"head,omitempty"`
	Remaining map[string]uint64 `json:"remaining,omitempty"`
	Noisy     []int64           `json:"noisy,omitempty"` // the stored answer to Query
}

type vectorHead struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

func (h *vectorHead) head(t *testing.T) Head {
	if h == nil {
		return Head{}
	}
	return Head{h.Seq, hash(unhex(t, h.Hash))}
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func readVectors(t *testing.T) []vector {
	files, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	require.NoError(t, err)
	var out []vector
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		var v vector
		require.NoError(t, d.Decode(&v), f)
		require.Equal(t, strings.TrimSuffix(filepath.Base(f), ".json"), v.Name)
		out = append(out, v)
	}
	return out
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	vectors := readVectors(t)
	require.Equal(t, vectorCount, len(vectors))
	passing := 0
	for _, v := range vectors {
		if v.Class == "success" {
			passing++
		}
		t.Run(v.Name, func(t *testing.T) {
			kind, _, _ := strings.Cut(v.Name, "-")
			check := map[string]func(*testing.T, vector){
				"sample": checkSample, "account": checkAccount, "question": checkQuestion, "body": checkBody, "ledger": checkLedger,
			}[kind]
			require.NotNil(t, check)
			check(t, v)
		})
	}
	require.Greater(t, len(vectors)-passing, passing, "more failing than passing vectors")
}

func checkSample(t *testing.T, v vector) {
	n := Noise{Mechanism: map[string]Mechanism{"Laplace": Laplace, "Gaussian": Gaussian}[v.Mechanism]}
	var ok bool
	n.Scale, ok = new(big.Rat).SetString(v.Scale)
	require.True(t, ok)
	for _, d := range []*sampler{newSampler(n), slow(n)} {
		src := tape(v.Tape)
		if v.Class == "out of range" {
			_, ok := d.draw(src)
			require.False(t, ok)
			continue
		}
		for i, want := range v.Samples {
			got, ok := d.draw(src)
			require.True(t, ok)
			require.Equal(t, want, got, "sample %d, fast %v", i, d.fast)
		}
	}
}

func checkAccount(t *testing.T, v vector) {
	if v.Class == "invalid" {
		_, err := Cost{rho: 1}.Epsilon(v.Delta)
		require.ErrorIs(t, err, ErrInvalid)
		return
	}
	got := epsilonOf(v.Rho, v.Delta)
	require.GreaterOrEqual(t, got, v.Epsilon*(1-1e-12), "a report must not be too small")
	require.InEpsilon(t, v.Epsilon, got, 1e-6)
}

func checkQuestion(t *testing.T, v vector) {
	p, err := v.Query.Plan()
	if v.Class == "invalid" {
		require.ErrorIs(t, err, ErrInvalid)
		return
	}
	require.NoError(t, err)
	require.Equal(t, v.Encoding, hex.EncodeToString(p.query.append(nil)))
	require.Equal(t, Cost{rho: v.Cost}, p.Cost)
	var noise []string
	for _, n := range p.Noise {
		noise = append(noise, n.String())
	}
	require.Equal(t, v.Noise, noise)
}

func checkBody(t *testing.T, v vector) {
	b := unhex(t, v.Encoding)
	require.Equal(t, "format failure", v.Class)
	_, kind, _ := strings.Cut(v.Name, "-")
	kind, _, _ = strings.Cut(kind, "-")
	var err error
	switch kind {
	case "reserve":
		_, err = parseCharge(b)
	case "commit":
		_, err = parseAnswer(b)
	case "void":
		_, err = parseVoid(b)
	case "open":
		_, err = parseLimits(b)
	case "record":
		_, err = parseRecord(b)
	default:
		t.Fatal(kind)
	}
	require.Error(t, err)
}

func checkLedger(t *testing.T, v vector) {
	path := filepath.Join(t.TempDir(), "ledger")
	require.NoError(t, os.WriteFile(path, unhex(t, v.File), 0o600))
	l, err := Open(bg, path, unhex(t, v.Key), v.Anchor.head(t))
	switch v.Class {
	case "damaged":
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, path)
		return
	case "rollback":
		require.ErrorIs(t, err, ErrRollback)
		require.ErrorContains(t, err, path)
		return
	}
	require.Equal(t, "success", v.Class)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, v.Head.head(t), l.Head())
	for querier, rho := range v.Remaining {
		b, err := l.Remaining(bg, querier)
		require.NoError(t, err)
		require.Equal(t, Cost{rho: rho}, b.Querier)
	}
	if v.Query != nil {
		r, err := l.Release(bg, "ann", *v.Query, never(t))
		require.NoError(t, err)
		require.Equal(t, v.Noisy, r.Noisy)
	}
}

// writeVectors makes the vectors that this package can make itself. The samples and conversions that succeed come from elsewhere.
func writeVectors(t *testing.T) {
	put := func(v vector) {
		path := filepath.Join(vectorDir, v.Name+".json")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, os.ErrExist) {
			return
		}
		require.NoError(t, err)
		b, err := json.MarshalIndent(v, "", " ")
		require.NoError(t, err)
		_, err = f.Write(append(b, '\n'))
		require.NoError(t, errors.Join(err, f.Close()))
	}
	for name, delta := range map[string]float64{"zero": 0, "negative": -1e-6, "one": 1, "tiny": 1e-31} {
		put(vector{Name: "account-delta-" + name, Class: "invalid", Delta: delta})
	}
	for name, q := range map[string]Query{"count": countQuery("a = b"), "sum": sumQuery("ü"), "mean": meanQuery(""), "histogram": histogramQuery("x")} {
		p, err := q.Plan()
		require.NoError(t, err)
		v := vector{Name: "question-" + name, Class: "success", Query: &q, Encoding: hex.EncodeToString(p.query.append(nil)), Cost: p.Cost.rho}
		for _, n := range p.Noise {
			v.Noise = append(v.Noise, n.String())
		}
		put(v)
	}
	for name, spoil := range map[string]func(q *Query){
		"no-rows": func(q *Query) { q.Unit.Rows = 0 }, "no-accuracy": func(q *Query) { q.Rho = 0 }, "both": func(q *Query) { q.Epsilon = 1 },
		"negative-rho": func(q *Query) { q.Rho = -1 }, "huge-rho": func(q *Query) { q.Rho = 1e9 }, "swapped": func(q *Query) { q.Bounds.Lo = 700 },
		"overflow": func(q *Query) { q.Bounds.Lo, q.Bounds.Hi = -1<<63, 1<<63-1 }, "newline": func(q *Query) { q.Predicate = "a\nb" },
		"kind": func(q *Query) { q.Kind = 7 }, "groups": func(q *Query) { q.Unit.Groups = 3 }, "edges": func(q *Query) { q.Edges = []int64{1, 2} },
		"confidence": func(q *Query) { q.Confidence = 1 }, "column": func(q *Query) { q.Column = "" }, "data-set": func(q *Query) { q.Dataset = " x" },
	} {
		q := sumQuery("a")
		spoil(&q)
		put(vector{Name: "question-bad-" + name, Class: "invalid", Query: &q})
	}
	q, err := countQuery("x").normalize()
	require.NoError(t, err)
	reserve := charge{false, "ann", q}.append(nil)
	with := func(b []byte, at int, v byte) []byte { b = bytes.Clone(b); b[at] = v; return b }
	commit := answer{1, []int64{5}}.append(nil)
	rec := record{kind: typeVoid, body: make([]byte, nonceSize+tagSize+8)}.bytes()
	for name, b := range map[string][]byte{
		"reserve-empty": nil, "reserve-trailing": append(bytes.Clone(reserve), 0), "reserve-cut": reserve[:len(reserve)-1],
		"reserve-hit-2": with(reserve, 0, 2), "reserve-no-querier": append(make([]byte, 5), reserve[8:]...),
		"reserve-mechanism-3": with(reserve, len(reserve)-9, 3), "reserve-rows-0": with(reserve, len(reserve)-14, 0),
		"commit-kind": with(commit, 5, 1), "commit-version": with(commit, 6, 2), "commit-suite": with(commit, 7, 1),
		"commit-count": with(commit, 19, 2), "commit-huge": with(commit, 16, 0xff), "commit-trailing": append(bytes.Clone(commit), 1),
		"void-short": {1, 2, 3}, "void-trailing": make([]byte, 9), "open-empty": nil,
		"record-length": with(rec, 3, rec[3]+1), "record-complement": with(rec, 7, rec[7]+1), "record-type": with(rec, 48, 9),
		"record-body": with(rec, prefixSize-1, 9), "record-cut": rec[:len(rec)-1],
	} {
		put(vector{Name: "body-" + name, Class: "format failure", Encoding: hex.EncodeToString(b)})
	}
	writeLedgerVectors(t, put)
}

func writeLedgerVectors(t *testing.T, put func(vector)) {
	if _, err := os.Stat(filepath.Join(vectorDir, "ledger-whole.json")); err == nil {
		return
	}
	content, starts, h := whole(t)
	key := hex.EncodeToString(testKey)
	q := countQuery("x")
	head := &vectorHead{h.Seq, hex.EncodeToString(h.Hash[:])}
	path := filepath.Join(t.TempDir(), "l")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	l := open(t, path)
	remaining := map[string]uint64{}
	for _, who := range []string{"ann", "bob", "carol"} {
		b, err := l.Remaining(bg, who)
		require.NoError(t, err)
		remaining[who] = b.Querier.rho
	}
	r, err := l.Release(bg, "ann", q, never(t))
	require.NoError(t, err)
	f := hex.EncodeToString
	put(vector{Name: "ledger-whole", Class: "success", Key: key, File: f(content), Head: head, Anchor: head, Remaining: remaining, Query: &q, Noisy: r.Noisy})
	torn := append(bytes.Clone(content), content[starts[1]:starts[1]+100]...)
	copy(torn[len(content)+8:], record{seq: uint64(len(starts)), prev: h.Hash}.prefix()[8:48])
	put(vector{Name: "ledger-torn", Class: "success", Key: key, File: f(torn), Head: head, Remaining: remaining, Query: &q, Noisy: r.Noisy})
	put(vector{Name: "ledger-zero-tail", Class: "success", Key: key, File: f(append(bytes.Clone(content), make([]byte, 40)...)), Head: head})
	flip := func(at int) []byte { b := bytes.Clone(content); b[at] ^= 1; return b }
	last := starts[len(starts)-1]
	for name, b := range map[string][]byte{
		"empty": nil, "header-only": content[:headerSize], "magic": flip(0), "kind": flip(5), "version": flip(6), "suite": flip(7), "id": flip(20),
		"no-open-record": append(bytes.Clone(content[:headerSize]), content[starts[1]:]...), "length": flip(starts[2] + 3), "sequence": flip(starts[2] + 15),
		"previous": flip(starts[2] + 20), "type": flip(starts[2] + 48), "cost": flip(starts[1] + 88), "time": flip(starts[1] + 112),
		"body": flip(starts[3] - hashSize - 1), "mac": flip(len(content) - 1), "last-length": flip(last + 3),
		"left-out": append(bytes.Clone(content[:starts[2]]), content[starts[3]:]...), "torn-in-the-middle": append(bytes.Clone(content[:starts[2]+50]), content[starts[3]:]...),
		"torn-not-following": append(bytes.Clone(content), content[starts[1]:starts[1]+100]...),
	} {
		put(vector{Name: "ledger-bad-" + name, Class: "damaged", Key: key, File: f(b)})
	}
	put(vector{Name: "ledger-bad-key", Class: "damaged", Key: hex.EncodeToString(bytesOf(2, keySize)), File: f(content)})
	put(vector{Name: "ledger-behind", Class: "rollback", Key: key, File: f(content[:last]), Anchor: head})
	put(vector{Name: "ledger-other", Class: "rollback", Key: key, File: f(content), Anchor: &vectorHead{h.Seq, hex.EncodeToString(make([]byte, 31)) + "01"}})
	put(vector{Name: "ledger-ahead", Class: "rollback", Key: key, File: f(content), Anchor: &vectorHead{h.Seq + 5, head.Hash}})
}
