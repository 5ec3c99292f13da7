package he

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors in testdata/vectors/v1 are append-only: what was ever sealed stays readable. A case is a JSON file; it names
// an object in the folder base and what is done to it. -write-vectors makes base objects and cases that do not exist yet.
var writeVectors = flag.Bool("write-vectors", false, "add vectors that are missing")

const vectorCount = 39 // successes: 8

type vector struct {
	About    string  `json:"about"`
	Object   string  `json:"object"`             // key, column or answer
	Base     string  `json:"base"`               // file in the folder base
	Key      string  `json:"key"`                // key file in the folder base
	Patch    []patch `json:"patch,omitempty"`    // bytes that are replaced
	Truncate int     `json:"truncate,omitempty"` // bytes cut off at the end
	Append   string  `json:"append,omitempty"`   // hex
	Fix      bool    `json:"fix,omitempty"`      // the unkeyed hash is made to fit again
	Query    *struct {
		Kind   QueryKind `json:"kind"`
		Rows   []uint32  `json:"rows"` // null: every row
		Salt   string    `json:"salt,omitempty"`
		Column string    `json:"column"` // base file of the column that an answer is about
	} `json:"query,omitempty"`
	Expect  string  `json:"expect"` // success, format or decrypt
	Count   int64   `json:"count,omitempty"`
	Sum     int64   `json:"sum,omitempty"`
	Buckets []int64 `json:"buckets,omitempty"`
}

type patch struct {
	At  int    `json:"at"` // from the end if negative
	Hex string `json:"hex"`
}

func vectorDir(parts ...string) string {
	return filepath.Join(append([]string{"testdata", "vectors", "v1"}, parts...)...)
}

func (v *vector) bytes() ([]byte, error) {
	b, err := os.ReadFile(vectorDir("base", v.Base))
	if err != nil {
		return nil, err
	}
	for _, p := range v.Patch {
		at := p.At
		if at < 0 {
			at += len(b)
		}
		data, err := hex.DecodeString(p.Hex)
		if err != nil {
			return nil, err
		}
		copy(b[at:], data)
	}
	b = b[:len(b)-v.Truncate]
	tail, err := hex.DecodeString(v.Append)
	b = append(b, tail...)
	if v.Fix && v.Object == "column" {
		b, _ = reseal(b)
	}
	if v.Fix && v.Object == "answer" {
		b = resum(b)
	}
	return b, err
}

// run does with the object what its reader would do.
func (v *vector) run(t *testing.T) (*UnreleasedResult, error) {
	b, err := v.bytes()
	require.NoError(t, err)
	if v.Object == "key" {
		_, err = NewKey(b)
		return nil, err
	}
	secret, err := os.ReadFile(vectorDir("base", v.Key))
	require.NoError(t, err)
	k, err := NewKey(secret)
	require.NoError(t, err)
	var set *RowSet
	if v.Query.Rows != nil {
		set = NewRowSet(v.Query.Rows...)
		if v.Query.Salt != "" {
			_, err = hex.Decode(set.salt[:], []byte(v.Query.Salt))
			require.NoError(t, err)
		}
	}
	file := b
	if v.Object == "answer" {
		file, err = os.ReadFile(vectorDir("base", v.Query.Column))
		require.NoError(t, err)
	}
	c, err := NewColumn(file)
	if err != nil {
		return nil, err
	}
	if err := k.Verify(c); err != nil {
		return nil, err
	}
	p, err := NewPlan(Query{v.Query.Kind, c.schema.name, set}, c)
	require.NoError(t, err)
	var a *Answer
	if v.Object == "answer" {
		a, err = NewAnswer(b)
	} else {
		a, err = Evaluate(t.Context(), p, c)
	}
	if err != nil {
		return nil, err
	}
	return k.Decrypt(p, a)
}

func TestVectors(t *testing.T) {
	if *writeVectors {
		makeVectors(t)
	}
	files, err := filepath.Glob(vectorDir("*.json"))
	require.NoError(t, err)
	require.Len(t, files, vectorCount)
	failing := 0
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			var v vector
			require.NoError(t, json.Unmarshal(b, &v))
			r, err := v.run(t)
			switch v.Expect {
			case "success":
				require.NoError(t, err)
				if r != nil {
					require.Equal(t, v.Count, r.ExposeCount())
					require.Equal(t, v.Sum, r.ExposeSum())
					require.Equal(t, v.Buckets, r.ExposeBuckets())
				}
				return
			case "format":
				require.ErrorIs(t, err, ErrFormat)
			case "decrypt":
				require.Equal(t, ErrDecrypt, err)
			default:
				t.Fatalf("unknown outcome %q", v.Expect)
			}
			failing++
		})
	}
	require.Greater(t, failing, vectorCount/2)
}

// vectorBases are the sealed objects: made once, never again.
func vectorBases(t *testing.T) {
	write := func(name string, b []byte) {
		path := vectorDir("base", name)
		if _, err := os.Stat(path); err == nil {
			return
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
	if _, err := os.Stat(vectorDir("base", "key.bin")); err == nil {
		return
	}
	var master [32]byte
	for i := range master {
		master[i] = byte(i)
	}
	k, err := newKey(ProfileSum, master)
	require.NoError(t, err)
	write("key.bin", k.ExposeSecret())
	write("other-key.bin", newTestKey(t).ExposeSecret())
	s := ColumnSchema{Name: "bmi", Min: 10, Max: 60, Scale: 10, Edges: []float64{10, 25, 60}}
	c, err := k.EncryptColumn(s, []Value{{4096, 22.5}, {4097, 31.2}, {4099, 27}, {8191, 99}})
	require.NoError(t, err)
	write("column.bin", c.Bytes())
	for name, kind := range map[string]QueryKind{"count.bin": Count, "mean.bin": Mean, "histogram.bin": Histogram} {
		set := NewRowSet(4096, 4097, 4098, 8191)
		set.salt = [32]byte{}
		p, err := NewPlan(Query{kind, "bmi", set}, c)
		require.NoError(t, err)
		a, err := Evaluate(t.Context(), p, c)
		require.NoError(t, err)
		write(name, a.Bytes())
	}
}

func makeVectors(t *testing.T) {
	vectorBases(t)
	add := func(name, about, object, base, expect string, more string) {
		text := fmt.Sprintf(`{"about":%q,"object":%q,"base":%q,"key":"key.bin","expect":%q%s}`, about, object, base, expect, more)
		var v vector
		require.NoError(t, json.Unmarshal([]byte(text), &v), text)
		path := vectorDir(name + ".json")
		if _, err := os.Stat(path); err == nil {
			return
		}
		b, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o644))
	}
	zeros := strings.Repeat("0", 64)
	query := func(kind int, rows string) string {
		return fmt.Sprintf(`,"query":{"kind":%d,"rows":%s,"salt":"%s","column":"column.bin"}`, kind, rows, zeros)
	}
	const some = "[4096,4097,4098,8191]"
	key := func(name, about, expect, more string) { add("key-"+name, about, "key", "key.bin", expect, more) }
	key("good", "the key of all vectors", "success", "")
	key("flipped-secret", "one bit of the master is another", "format", `,"patch":[{"at":8,"hex":"01"}]`)
	key("flipped-id", "one bit of the identifier is another", "format", `,"patch":[{"at":-1,"hex":"ff"}]`)
	key("truncated", "the last byte is missing", "format", `,"truncate":1`)
	key("trailing", "a byte follows", "format", `,"append":"00"`)
	key("wide", "the reserved profile", "format", `,"patch":[{"at":7,"hex":"02"}]`)
	key("empty", "no bytes", "format", `,"truncate":56`)

	column := func(name, about, expect, more string) {
		add("column-"+name, about, "column", "column.bin", expect, more)
	}
	column("mean-all", "mean over every row", "success", query(3, "null")+`,"count":4,"sum":1007`)
	column("mean-some", "mean over four rows, one without a value", "success", query(3, some)+`,"count":3,"sum":837`)
	column("count-edge", "count of the last row of a block", "success", query(1, "[8191]")+`,"count":1`)
	column("histogram", "histogram over every row", "success", query(4, "null")+`,"count":4,"buckets":[1,3]`)
	all := query(3, "null")
	column("flipped-c0", "three bytes of c0 are others", "format", all+`,"patch":[{"at":1000,"hex":"1f"},{"at":1001,"hex":"ab"},{"at":1002,"hex":"cd"}]`)
	column("forged-seed", "a seed is another, the digest fits", "decrypt", all+`,"patch":[{"at":120,"hex":"0011223344"}],"fix":true`)
	column("forged-c0", "a coefficient is another, the digest fits", "decrypt", all+`,"patch":[{"at":-100,"hex":"00"},{"at":-99,"hex":"00"},{"at":-98,"hex":"01"}],"fix":true`)
	column("forged-name", "the name is another, the digest fits", "decrypt", all+`,"patch":[{"at":28,"hex":"626d6a"}],"fix":true`)
	column("forged-bounds", "lo is another, the digest and the edges fit", "decrypt", all+`,"patch":[{"at":31,"hex":"0000000000000063"},{"at":56,"hex":"0000000000000063"}],"fix":true`)
	column("forged-tag", "the tag is another", "decrypt", all+`,"patch":[{"at":-1,"hex":"00"},{"at":-2,"hex":"00"}]`)
	column("wrong-digest", "the digest is another", "format", all+`,"patch":[{"at":-64,"hex":"0000"}]`)
	column("coefficient-too-large", "a coefficient of 2^64-1", "format", all+`,"patch":[{"at":-72,"hex":"ffffffffffffffff"}],"fix":true`)
	column("truncated", "the last byte is missing", "format", all+`,"truncate":1`)
	column("half", "cut in the middle", "format", all+`,"truncate":131072`)
	column("trailing", "a byte follows", "format", all+`,"append":"00"`)
	column("foreign-kind", "the kind of an answer", "format", all+`,"patch":[{"at":5,"hex":"03"}],"fix":true`)
	column("future-version", "format version 2", "format", all+`,"patch":[{"at":6,"hex":"02"}],"fix":true`)
	column("blocks-2-31", "announces 2^31 blocks", "format", all+`,"patch":[{"at":88,"hex":"80000000"}],"fix":true`)
	column("edges-fall", "edges do not ascend", "format", all+`,"patch":[{"at":64,"hex":"0000000000000001"}],"fix":true`)
	add("column-other-key", "read with another key", "column", "column.bin", "decrypt", strings.Replace(all, `,"query"`, `,"key":"other-key.bin","query"`, 1))

	add("answer-count", "count over four rows", "answer", "count.bin", "success", query(1, some)+`,"count":3`)
	add("answer-mean", "mean over four rows", "answer", "mean.bin", "success", query(3, some)+`,"count":3,"sum":837`)
	add("answer-histogram", "histogram over four rows", "answer", "histogram.bin", "success", query(4, some)+`,"count":3,"buckets":[1,2]`)
	mean := query(3, some)
	add("answer-other-rows", "the plan has one row more", "answer", "mean.bin", "decrypt", query(3, "[4096,4097,4098,4099,8191]"))
	add("answer-other-kind", "the plan is a sum", "answer", "mean.bin", "decrypt", query(2, some))
	add("answer-flipped", "two bytes are others", "answer", "mean.bin", "format", mean+`,"patch":[{"at":500,"hex":"0000"}]`)
	add("answer-random-c0", "c0 is another, the checksum fits", "answer", "mean.bin", "decrypt", mean+`,"patch":[{"at":60,"hex":"123456789abc"}],"fix":true`)
	add("answer-other-plan", "the plan digest is another, the checksum fits", "answer", "mean.bin", "decrypt", mean+`,"patch":[{"at":24,"hex":"0000"}],"fix":true`)
	add("answer-other-key-id", "the key identifier is another, the checksum fits", "answer", "mean.bin", "decrypt", mean+`,"patch":[{"at":8,"hex":"0000"}],"fix":true`)
	add("answer-coefficient-too-large", "c0 is 2^53-1", "answer", "mean.bin", "format", mean+`,"patch":[{"at":60,"hex":"ffffffffffffff"}],"fix":true`)
	add("answer-filling", "a filling bit is set", "answer", "count.bin", "format", query(1, some)+`,"patch":[{"at":-33,"hex":"ff"}],"fix":true`)
	add("answer-truncated", "the last byte is missing", "answer", "mean.bin", "format", mean+`,"truncate":1`)
}
