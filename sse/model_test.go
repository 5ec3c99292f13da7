package sse

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The model: a map. What a search finds is decided here without terms, tables or automata.

type modelDoc struct {
	revision uint64
	tomb     bool
	ward     string
	note     []string // words
	age      int64
	day      int64
	stored   []byte
}

var modelSchema = Schema{Fields: []Field{
	{Name: "ward", Type: Keyword, Prefix: true, Fuzzy: true},
	{Name: "note", Type: Text, Prefix: true, Fuzzy: true},
	{Name: "age", Type: Integer, Min: 0, Max: 120},
	{Name: "day", Type: Date, Min: 0, Max: 20000},
	{Name: "code", Type: Keyword},
}}

var modelWords = strings.Fields("asthma asthmatic angina anaemia diabetes diabetic cough cold fever fervor rash rush pain paint panic ache")
var modelWards = strings.Fields("north south east west northwest northeast cardiology cardiac")

func (d modelDoc) document(id string) Document {
	return Document{ID: id, Revision: d.revision, Stored: d.stored, Fields: Fields{
		"ward": {String(d.ward)},
		"note": {String(strings.ToUpper(strings.Join(d.note, ", ")))},
		"age":  {Int(d.age)},
		"day":  {Day(time.Unix(d.day*86400, 0).UTC())},
		"code": {String("code-" + d.ward), String("all")},
	}}
}

func genDoc(r *rand.Rand) modelDoc {
	d := modelDoc{revision: uint64(1 + r.IntN(6)), ward: modelWards[r.IntN(len(modelWards))], age: r.Int64N(121), day: r.Int64N(20001)}
	for range r.IntN(4) {
		d.note = append(d.note, modelWords[r.IntN(len(modelWords))])
	}
	if n := r.IntN(300); n > 20 {
		d.stored = bytes.Repeat([]byte{byte(n)}, n)
	}
	return d
}

type model map[string]modelDoc

func (m model) put(id string, d modelDoc) {
	if old, ok := m[id]; !ok || d.revision > old.revision || d.revision == old.revision && d.tomb && !old.tomb {
		m[id] = d
	}
}

func (m model) delete(id string, revision uint64) {
	if revision == 0 {
		old, ok := m[id]
		if !ok || old.tomb {
			return
		}
		revision = old.revision
	}
	m.put(id, modelDoc{revision: revision, tomb: true})
}

// modelQuery is a query and what it means.
type modelQuery struct {
	q     Query
	match func(modelDoc) bool
}

func genQuery(t *rapid.T, depth int) modelQuery {
	kinds := 8
	if depth > 0 {
		kinds = 11
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		w := rapid.SampledFrom(modelWards).Draw(t, "ward")
		return modelQuery{Term("ward", String(w)), func(d modelDoc) bool { return d.ward == w }}
	case 1:
		w := rapid.SliceOfN(rapid.SampledFrom(append([]string{"absent"}, modelWords...)), 1, 2).Draw(t, "words")
		return modelQuery{Term("note", String(strings.Join(w, " "))), func(d modelDoc) bool {
			for _, x := range w {
				if !slices.Contains(d.note, x) {
					return false
				}
			}
			return true
		}}
	case 2:
		n := rapid.Int64Range(0, 120).Draw(t, "age")
		return modelQuery{Term("age", Int(n)), func(d modelDoc) bool { return d.age == n }}
	case 3:
		lo := rapid.Int64Range(-5, 130).Draw(t, "lo")
		hi := rapid.Int64Range(lo, 140).Draw(t, "hi")
		return modelQuery{Range("age", Int(lo), Int(hi)), func(d modelDoc) bool { return lo <= d.age && d.age <= hi }}
	case 4:
		lo := rapid.Int64Range(0, 20000).Draw(t, "from")
		return modelQuery{Range("day", Day(time.Unix(lo*86400, 0).UTC()), Value{}), func(d modelDoc) bool { return lo <= d.day }}
	case 5:
		f := rapid.SampledFrom([]string{"ward", "note"}).Draw(t, "field")
		w := rapid.SampledFrom([]string{"a", "as", "asthma", "north", "card", "dia", "f", "pai", "zz", "cardiology"}).Draw(t, "prefix")
		return modelQuery{Prefix(f, w), func(d modelDoc) bool { return d.any(f, func(x string) bool { return strings.HasPrefix(x, w) }) }}
	case 6, 7:
		f := rapid.SampledFrom([]string{"ward", "note"}).Draw(t, "field")
		w := rapid.SampledFrom([]string{"norht", "asthm", "pian", "rush", "crdiac", "feevr", "xx", "diabetics", "wesst"}).Draw(t, "word")
		n := rapid.IntRange(1, 2).Draw(t, "distance")
		return modelQuery{Fuzzy(f, w, n), func(d modelDoc) bool { return d.any(f, func(x string) bool { return edits(x, w) <= n }) }}
	case 8:
		a := genQuery(t, depth-1)
		return modelQuery{Not(a.q), func(d modelDoc) bool { return !a.match(d) }}
	case 9:
		a, b := genQuery(t, depth-1), genQuery(t, depth-1)
		return modelQuery{And(a.q, b.q), func(d modelDoc) bool { return a.match(d) && b.match(d) }}
	default:
		a, b := genQuery(t, depth-1), genQuery(t, depth-1)
		return modelQuery{Or(a.q, b.q), func(d modelDoc) bool { return a.match(d) || b.match(d) }}
	}
}

func (d modelDoc) any(field string, f func(string) bool) bool {
	if field == "ward" {
		return f(d.ward)
	}
	return slices.ContainsFunc(d.note, f)
}

// edits is the optimal string alignment distance.
func edits(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// checkSearch compares one search with the model, hits included.
func checkSearch(t require.TestingT, ix *Index, m model, q modelQuery) {
	res, err := ix.Search(context.Background(), q.q, SearchOptions{})
	require.NoError(t, err, "%v", q.q)
	want := make(map[string]modelDoc)
	for id, d := range m {
		if !d.tomb && q.match(d) {
			want[id] = d
		}
	}
	require.Equal(t, len(want), res.Total, "%v", q.q)
	require.Len(t, res.Hits, len(want))
	for _, h := range res.Hits {
		d, ok := want[h.ID]
		require.True(t, ok, "%v finds %s", q.q, h.ID)
		require.Equal(t, d.revision, h.Revision)
		require.Equal(t, d.stored, h.Stored)
		delete(want, h.ID)
	}
}
