package sse

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// bm25 is the formula in floating point.
func bm25(tf, dl, words float64) float64 {
	const k1, b = 1.2, 0.75
	return tf * (k1 + 1) / (tf + k1*(1-b+b*dl/words))
}

func TestImpact(t *testing.T) {
	count := rapid.OneOf(rapid.Uint32Range(1, 300), rapid.Uint32Range(1, maxPlaces))
	rapid.Check(t, func(r *rapid.T) {
		tf, dl := count.Draw(r, "tf"), count.Draw(r, "dl")
		dl = max(tf, dl)
		words := rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(1, maxWords)).Draw(r, "words")
		got := impact(tf, dl, words)
		want := max(1, 255*bm25(float64(tf), float64(dl), float64(words))/2.2)
		require.InDelta(r, want, float64(got), 0.5+1e-9, "rounded to the nearest")
		require.LessOrEqual(r, got, impact(tf+1, dl+1, words), "one more of the word weighs no less")
		require.GreaterOrEqual(r, got, impact(tf, dl+1, words), "a longer document weighs no more")
	})
	for _, c := range []struct {
		tf, dl uint32
		words  int
		want   uint8
	}{
		{1, 64, 64, 116}, // 255 / 2.2 = 115.9
		{1, 1, 64, 194},
		{1, math.MaxUint32, 1, 1},
		{math.MaxUint32, math.MaxUint32, maxWords, 255},
		{math.MaxUint32, 1, maxWords, 255},
		{2, 2, 1, 124}, // 510 / 4.1 = 124.4
		{1, 1, 3, 159}, // 255 / 1.6 = 159.375
	} {
		assert.Equal(t, c.want, impact(c.tf, c.dl, c.words), "%+v", c)
	}
	assert.EqualValues(t, 255, impact(1000, 1000, maxWords))
}

func TestImpactsOfDocuments(t *testing.T) {
	s := Schema{Fields: []Field{{Name: "a", Type: Text, Rank: true, Words: 4}, {Name: "b", Type: Text, Rank: true, Phrase: true, Language: "en", Words: 4}}}
	require.NoError(t, s.Validate())
	text := []Value{String("pain and pains"), String("高血压")}
	d := indexDocument(t, s, Fields{"a": text, "b": text})
	a, b := s.Fields[0], s.Fields[1]
	assert.Equal(t, impact(1, 6, 4), d.postings[newTerm(a, "pain")].impact, "six words and characters")
	assert.Equal(t, impact(2, 6, 4), d.postings[b.term(tagStem, "pain")].impact, "two forms of a stem")
	assert.Zero(t, d.postings[newTerm(b, "pain")].impact, "exact words have positions there")
	assert.Equal(t, []uint32{2}, d.postings[newTerm(b, "pains")].positions)
	assert.Equal(t, []uint32{4}, d.postings[newTerm(b, "高血")].positions, "a place is free between values")
	assert.Equal(t, impact(1, 6, 4), d.postings[newTerm(a, "高血")].impact)
}
