package sse

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The oracle by itself, and with fixed seeds, so that it is certain that each kind of query finds something.

func TestOracleByHand(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"糖尿", "尿糖", 1}, {"smith", "smth", 1}, {"ca", "abc", 3}, {"abco", "obca", 2}, {"kitten", "sitting", 3}} {
		require.Equal(t, c.n, oracleDistance(c.a, c.b), c)
		require.Equal(t, c.n, oracleDistance(c.b, c.a), c)
	}
	for _, c := range []struct {
		pattern string
		match   string
		not     string
	}{{"ab", "ab", "abc a"}, {"a*", "a ab abc", "ba"}, {"*b", "b ab", "ba"}, {"a?", "ab aa", "a abc"}, {"*a*c*", "ac bacb abc", "ca"}, {"??", "ab 糖尿", "a abc"}} {
		p := []rune(c.pattern)
		for i := range p {
			switch p[i] {
			case '*':
				p[i] = oracleAny
			case '?':
				p[i] = oracleOne
			}
		}
		for w := range strings.FieldsSeq(c.match) {
			require.True(t, oraclePattern(p, []rune(w)), "%s %s", c.pattern, w)
		}
		for w := range strings.FieldsSeq(c.not) {
			require.False(t, oraclePattern(p, []rune(w)), "%s %s", c.pattern, w)
		}
	}

	items := []oracleItem{{word: "ab"}, {run: []rune("糖尿病")}, {run: []rune("血")}}
	tokens, places := indexedTokens(items)
	require.Equal(t, []oracleToken{{"ab", 0}, {"糖", 1}, {"尿", 2}, {"糖尿", 1}, {"病", 3}, {"尿病", 2}, {"血", 4}}, tokens)
	require.Equal(t, 5, places)
	require.Equal(t, []oracleToken{{"ab", 0}, {"糖尿", 1}, {"尿病", 2}, {"血", 4}}, askedTokens(items))

	f := Field{Name: "note", Type: Text, Rank: true, Words: 2}
	d := oracleDoc{values: map[string][]oracleValue{"note": {{tokens: tokens, places: places}, {tokens: []oracleToken{{"ab", 0}}, places: 1}}}}
	for phrase, want := range map[string]bool{"ab 糖尿病": true, "糖尿病 血": true, "ab 尿病": false, "血 ab": false, "ab ab": false} {
		var items []oracleItem
		for w := range strings.FieldsSeq(phrase) {
			if w == "ab" {
				items = append(items, oracleItem{word: w})
			} else {
				items = append(items, oracleItem{run: []rune(w)})
			}
		}
		require.Equal(t, want, d.hasPhrase(f, askedTokens(items)), phrase)
	}
	require.True(t, d.hasPhrase(f, []oracleToken{{"血", 0}, {"ab", 2}}), "one place is free between values")
	// tf 2, dl 6, W 2: 255 * 2 / (2 + 1.2 (0.25 + 0.75 * 3)) is 102.
	require.Equal(t, []uint64{102, 64, 0}, []uint64{d.impact(f, "ab"), d.impact(f, "糖尿"), d.impact(f, "糖病")})

	for n := range uint64(300) {
		for df := range n + 1 {
			require.InDelta(t, 65536*math.Log2(float64(2*n+2)/float64(2*df+1)), float64(oracleFrequency(n, df))+0.5, 0.502, "rounded down, but for 2^-30 in each square")
		}
	}
	for _, c := range []struct {
		name, text string
		want       bool
	}{{"王小明", "wang xiaoming", true}, {"王小明", "王晓明", true}, {"wang xiaoming", "王小明", true}, {"王小明", "曾小明", false}, {"moskowitz", "moskovitz", true}, {"peters", "peterson", false}} {
		keys := soundsOf(oracleWords(c.name))
		all := true
		for _, set := range askedSounds(oracleWords(c.text)) {
			all = all && slices.ContainsFunc(set, func(k string) bool { return slices.Contains(keys, k) })
		}
		require.Equal(t, c.want, all, c)
	}
}

func oracleWords(name string) (items []oracleItem) {
	for w := range strings.FieldsSeq(name) {
		if w[0] < 0x80 {
			items = append(items, oracleItem{word: w})
		} else {
			items = append(items, oracleItem{run: []rune(w)})
		}
	}
	return items
}

// oracleSchema has a field of each type with all switches, a text of each language, and some without switches.
func oracleSchema() Schema {
	words := func(name string, t Type, language string) Field {
		return Field{Name: name, Type: t, Language: language, Prefix: true, Fuzzy: true, Substring: true, Phrase: true, Rank: true, Words: 5, Stored: true}
	}
	s := Schema{Fields: []Field{
		words("text", Text, ""), words("english", Text, "en"), words("name", Name, ""),
		{Name: "keyword", Type: Keyword, Prefix: true, Fuzzy: true, Substring: true, Stored: true, Sort: true},
		{Name: "facet", Type: Keyword, Facet: true},
		{Name: "german", Type: Text, Language: "de"},
		{Name: "french", Type: Text, Language: "fr", Rank: true},
		{Name: "integer", Type: Integer, Min: -300, Max: 4000, Stored: true, Sort: true},
		{Name: "decimal", Type: Decimal, Scale: 2, Min: -10_00, Max: 99_99, Stored: true, Sort: true},
		{Name: "date", Type: Date, Stored: true, Sort: true},
		{Name: "time", Type: Time, Stored: true, Sort: true},
		{Name: "bytes", Type: Bytes, Stored: true},
		{Name: "several", Type: Integer, Max: 9, Stored: true},
	}}
	return s
}

// TestOracleFinds asks fixed partitions of each profile every kind of query of every field that takes it. Nothing in it is left to chance but
// the names of segments, which no result depends on.
func TestOracleFinds(t *testing.T) {
	const draws = 6
	for profile := Fast; profile <= Strict; profile++ {
		if testing.Short() && profile != Balanced {
			continue
		}
		t.Run(fmt.Sprint(profile), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			w := newOracleRun(t, uint64(profile), oracleSchema(), profile)
			for range 2 { // full segments, tails, replaced and deleted rows
				docs, told := w.sequence("id", 60)
				_, err := w.writer().Load(ctx, docs, LoadOptions{})
				require.NoError(t, err)
				told()
				w.apply(ctx, 20)
				w.fresh(ctx, 10)
			}
			w.fixed(ctx)
			kinds := make(map[string]bool)
			for _, kind := range oracleKinds {
				for _, f := range w.schema.Fields {
					if !kind.fits(f) || kind.name == "all" && len(kinds) > 0 && kinds["all"] {
						continue
					}
					kinds[kind.name] = true
					hits, some := 0, 0
					for range draws {
						n := w.search(ctx, kind.draw(w.r, f, w.known[f.Name]))
						if n > 0 {
							hits++
						}
						if n > 0 && n < w.truth.live() {
							some++
						}
					}
					require.GreaterOrEqual(t, hits, 2, "%s of %s", kind.name, f.Name)
					if kind.name != "all" {
						require.GreaterOrEqual(t, some, 2, "%s of %s", kind.name, f.Name)
					}
				}
			}
			require.Len(t, kinds, 11)
			for _, of := range []string{"rank", "facets", "rows in pages", "rank in pages", "sort by keyword in pages", "sort by integer in pages", "sort by decimal in pages",
				"sort by date in pages", "sort by time in pages"} {
				require.GreaterOrEqual(t, w.found[of], 1, of)
			}
			for range 40 {
				w.search(ctx, drawQuery(w.r, w.schema, w.known, 3))
			}
			w.finish(ctx)
		})
	}
}

// oldDoc is a document that the partition of format 1 has. A note without words has no terms there, so that it counts as no value.
func (w *oracleRun) oldDoc(d modelDoc) oracleDoc {
	doc := oracleDoc{revision: d.revision, tomb: d.tomb, stored: d.stored}
	if d.tomb {
		return doc
	}
	doc.values = map[string][]oracleValue{
		"ward": {keywordValue(w.r, piecesOf(d.ward))},
		"code": {keywordValue(w.r, piecesOf("code-"+d.ward)), keywordValue(w.r, piecesOf("all"))},
		"age":  {{n: d.age}}, "day": {{n: d.day}},
	}
	var items []oracleItem
	for _, word := range d.note {
		items = append(items, oracleItem{word: word})
	}
	if len(items) > 0 {
		doc.values["note"] = []oracleValue{textValue(w.r, Field{Type: Text}, items)}
	}
	for field, values := range doc.values {
		w.known[field] = append(w.known[field], values...)
	}
	return doc
}

// fixed asks what chance hardly asks: names by another script and by the second of two codes, and phrases of which a document has all words
// in other places.
func (w *oracleRun) fixed(ctx context.Context) {
	text, err := w.schema.field("text")
	require.NoError(w.t, err)
	name, err := w.schema.field("name")
	require.NoError(w.t, err)
	for i, values := range [][]string{{"abcoabco boob acac"}, {"abcoabco", "boob acac"}, {"boob abcoabco acac"}, {"abcoabco a boob acac"}, {"abcoabco boob a acac"}, {"糖糖糖糖 血高血高血"}, {"糖糖糖糖", "血高血高血"}} {
		w.put(ctx, fmt.Sprint("text-", i), text, values)
	}
	for i, values := range [][]string{{"王小明"}, {"wang xiaoming"}, {"xiaoming"}, {"keng"}, {"ming", "小王"}} {
		w.put(ctx, fmt.Sprint("name-", i), name, values)
	}
	for _, phrase := range []string{"abcoabco boob", "boob acac", "abcoabco boob acac", "abcoabco a boob", "糖糖糖糖 血高血高血", "血高血高血"} {
		require.Positive(w.t, w.search(ctx, phraseQuery(w.r, text, oracleWords(phrase))), phrase)
	}
	for _, sounds := range []string{"王小明", "小明", "wang xiaoming", "ceng", "keng", "xiaoming", "王明"} {
		require.Positive(w.t, w.search(ctx, soundsQuery(w.r, name, oracleWords(sounds))), sounds)
	}
}

// put writes a document with these values in one field.
func (w *oracleRun) put(ctx context.Context, id string, f Field, values []string) {
	d := oracleDoc{revision: 1, values: make(map[string][]oracleValue)}
	for _, v := range values {
		d.values[f.Name] = append(d.values[f.Name], textValue(w.r, f, oracleWords(v)))
	}
	require.NoError(w.t, w.writer().Apply(ctx, Batch{Put: []Document{d.document(id)}}))
	w.truth.put(id, d)
}

// TestFormat1AgainstOracle writes on a partition of format 1 in all ways.
func TestFormat1AgainstOracle(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	seeds := 6
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		store, ix, docs := openFormat1(t)
		w := &oracleRun{t: t, store: store, id: ix.partition, schema: ix.Schema(), secret: bytes.Repeat([]byte{0x31}, KeySize)}
		w.start(rand.New(rand.NewPCG(uint64(seed), 2)), ix)
		for _, id := range slices.Sorted(maps.Keys(docs)) {
			w.truth[id] = w.oldDoc(docs[id])
			w.old = append(w.old, id)
		}
		found := 0
		for i := range 8 {
			for range 6 {
				found += w.search(ctx, drawQuery(w.r, w.schema, w.known, 2))
			}
			if i < 7 {
				w.step(ctx, w.r.IntN(12))
			}
		}
		require.Positive(t, found)
		w.compact(ctx, CompactOptions{Full: true})
		require.False(t, w.hasForm(ctx, formFull1) || w.hasForm(ctx, formTail1))
		for _, f := range w.schema.Fields {
			w.search(ctx, drawExists(w.r, f, nil))
		}
		w.finish(ctx)
	}
}
