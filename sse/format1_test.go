package sse

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Format 1 is read, and never written again. Tests write it to check that its decoders take one encoding only.

func (r row) append1(b []byte) []byte {
	b = append(b, uint8(len(r.id)))
	b = append(b, r.id...)
	b = binary.BigEndian.AppendUint64(b, r.revision)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.stored)))
	return append(b, r.stored...)
}

// encodeTail1 leaves out the postings that decodeTail adds.
func encodeTail1(docs []document) []byte {
	var b []byte
	for i := range docs {
		b = docs[i].append1(b)
		if docs[i].tomb {
			continue
		}
		var terms []term
		for _, t := range docs[i].terms() {
			if _, tag, _, _ := t.split(); tag != tagExists {
				terms = append(terms, t)
			}
		}
		list := appendTerms(nil, terms)
		b = binary.AppendUvarint(b, uint64(len(list)))
		b = append(b, list...)
	}
	return b
}

func fillRowPage1(plain []byte, first uint32, rows []row) {
	clear(plain)
	b := binary.BigEndian.AppendUint32(plain[:0], first)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rows)))
	for i := range rows {
		b = rows[i].append1(b)
	}
}

// openFormat1 opens a partition that the first version of this package wrote: a full segment and three tails, with updates and deletions. It
// lies in testdata/v1, the documents beside it.
func openFormat1(t *testing.T) (*memStore, *Index, model) {
	dir := filepath.Join("testdata", "v1")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return b
	}
	s := newMemStore()
	partition := ID{1, 1}
	s.heads[partition] = [][]byte{nil, nil, nil, nil, read("head")} // older heads are gone
	s.segments[partition] = make(map[ID]*memSegment)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		if id, err := ParseID(f.Name()); err == nil {
			s.segments[partition][id] = &memSegment{pages: read(f.Name()), created: time.Now()}
		}
	}
	require.Len(t, s.segments[partition], 4)
	var docs map[string]struct {
		Revision uint64
		Tomb     bool
		Ward     string
		Note     []string
		Age, Day int64
		Stored   []byte
	}
	require.NoError(t, json.Unmarshal(read("documents.json"), &docs))
	m := make(model)
	for id, d := range docs {
		m[id] = modelDoc{d.Revision, d.Tomb, d.Ward, d.Note, d.Age, d.Day, d.Stored}
	}
	ix, err := Open(context.Background(), s, bytes.Repeat([]byte{0x31}, KeySize), partition, Options{})
	require.NoError(t, err)
	return s, ix, m
}

// forms counts the segments by form.
func forms(ix *Index) map[uint8]int {
	n := make(map[uint8]int)
	for _, s := range ix.current().manifest.segments {
		n[s.form]++
	}
	return n
}

func checkSome(t *testing.T, ix *Index, m model) {
	for seed := range 40 {
		q := rapid.Custom(func(t *rapid.T) modelQuery { return genQuery(t, 2) }).Example(seed)
		checkSearch(t, ix, m, q)
	}
	checkSearch(t, ix, m, modelQuery{Not(Term("note", String("nowhere"))), func(modelDoc) bool { return true }})
	require.NoError(t, ix.Verify(context.Background()))
}

func TestFormat1IsReadAndWrittenOn(t *testing.T) {
	ctx := context.Background()
	_, ix, m := openFormat1(t)
	require.Equal(t, map[uint8]int{formFull1: 1, formTail1: 3}, forms(ix))
	checkSome(t, ix, m)

	// A tail of format 2 beside them: updates of rows in both old forms, a deletion, new rows.
	r := rand.New(rand.NewPCG(9, 9))
	apply := func(ids ...string) {
		var b Batch
		for _, id := range ids {
			d := genDoc(r)
			d.revision += 100
			m.put(id, d)
			b.Put = append(b.Put, d.document(id))
		}
		m.delete("full-77", 0)
		b.Delete = []Deletion{{ID: "full-77"}}
		require.NoError(t, ix.Apply(ctx, b))
	}
	apply("full-5", "tail-1-4", "new-1")
	require.Equal(t, map[uint8]int{formFull1: 1, formTail1: 3, formTail: 1}, forms(ix))
	checkSome(t, ix, m)
	// The head is of version 2 now, and opens again.
	again, err := Open(ctx, ix.store, bytes.Repeat([]byte{0x31}, KeySize), ix.partition, Options{Anchor: ix.Anchor()})
	require.NoError(t, err)
	checkSome(t, again, m)

	// Tails of both formats are folded into one of format 2.
	for i := range maxTails {
		apply(fmt.Sprintf("new-2-%d", i))
	}
	require.Zero(t, forms(ix)[formTail1])
	checkSome(t, ix, m)

	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true}))
	require.Equal(t, map[uint8]int{formFull: 1}, forms(ix))
	for id, d := range m {
		if d.tomb {
			delete(m, id)
		}
	}
	checkSome(t, ix, m)
	checkExists(t, ix, m)
}

// checkExists compares the lists that Exists reads with the model. Segments of format 1 have none, so a merge makes them.
func checkExists(t *testing.T, ix *Index, m model) {
	ctx := context.Background()
	all, err := ix.contents(ctx, &meter{}, ix.current(), wanted{})
	require.NoError(t, err)
	for field, has := range map[string]func(modelDoc) bool{
		// An empty text is a value, but has no term from which a merge could tell: it counts for documents written in format 2.
		"note": func(d modelDoc) bool { return len(d.note) > 0 || d.revision > 100 },
		"ward": func(modelDoc) bool { return true },
		"age":  func(modelDoc) bool { return true },
	} {
		found := make(map[string]bool)
		for _, c := range all {
			l, err := ix.loadAll(ctx, c)
			require.NoError(t, err)
			for n := range roaring.Values(l.lists[(Field{Name: field}).term(tagExists, "")].rows) {
				if !c.gone(n) {
					found[l.rows[n].id] = true
				}
			}
		}
		for id, d := range m {
			require.Equal(t, has(d), found[id], "%s of %s", field, id)
		}
		require.LessOrEqual(t, len(found), len(m))
	}
}
