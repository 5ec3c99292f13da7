package sse

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A field is added while programs write and search that do not know it yet.
func TestAddField(t *testing.T) {
	ctx := context.Background()
	s, ix, other := race(t)
	require.NoError(t, other.Apply(ctx, batchOf("old", 300)))
	city := Field{Name: "city", Type: Keyword, Prefix: true, Stored: true, Sort: true}
	withCity := func(id, city string, revision uint64) Document {
		d := smallDoc(id, 1)
		d.Revision = revision
		d.Fields["city"] = []Value{String(city)}
		return d
	}
	// It is added between the write of a batch under the old schema and its swap.
	s.before = func() { require.NoError(t, other.AddField(ctx, city)) }
	require.NoError(t, ix.Apply(ctx, batchOf("old-schema", 3)))
	require.Nil(t, s.before)
	require.Equal(t, ix.Schema(), other.Schema())
	_, err := ix.Schema().field("city")
	require.NoError(t, err)
	// A third Index has not seen it and is given a document with it.
	late := mustOpen(t, s.memStore, Options{})
	require.NoError(t, other.AddField(ctx, Field{Name: "zone", Type: Integer, Min: 0, Max: 9}))
	d := withCity("new-1", "Oslo", 1)
	d.Fields["zone"] = []Value{Int(4)}
	require.NoError(t, late.Apply(ctx, Batch{Put: []Document{d, withCity("old-7", "Bergen", 2)}, Delete: []Deletion{{ID: "old-8"}}}))
	require.Equal(t, 1, count(t, late, Term("city", String("Oslo"))))
	require.Equal(t, 1, count(t, late, Prefix("city", "B")))
	require.Equal(t, 1, count(t, late, Range("zone", Int(1), Int(5))))
	require.Equal(t, 300+3-1+1, count(t, late, Term("tag", String("all"))))

	require.NoError(t, ix.AddField(ctx, city), "it is there already")
	for _, bad := range []Field{{Name: "city", Type: Text}, {Name: "tag", Type: Keyword}, {Name: "", Type: Keyword}, {Name: "x", Type: Integer, Min: 2, Max: 1}} {
		before := ix.Anchor()
		require.ErrorIs(t, ix.AddField(ctx, bad), ErrSchema)
		require.Equal(t, before, ix.Anchor())
	}
	// Merges of segments of before and after keep both, and so does a rotation.
	newKey := []byte("fedcba9876543210fedcba9876543210")
	for _, o := range []CompactOptions{{}, {Full: true, DeleteNow: true}, {NewKey: newKey}} {
		require.NoError(t, late.Compact(ctx, o))
		require.Equal(t, 1, count(t, late, Term("city", String("Bergen"))))
		require.Equal(t, 303, count(t, late, Term("tag", String("all"))))
		require.NoError(t, late.Verify(ctx))
	}
	re, err := Open(ctx, s, newKey, ID{1}, Options{})
	require.NoError(t, err)
	require.Equal(t, late.Schema(), re.Schema())
	var names []string
	for _, f := range re.Schema().Fields {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"city", "n", "tag", "zone"}, names)
}

// Two that add the same field at once, and two that add different ones.
func TestAddFieldRaces(t *testing.T) {
	ctx := context.Background()
	s, ix, other := race(t)
	a, b := Field{Name: "a", Type: Keyword}, Field{Name: "b", Type: Keyword}
	s.before = func() { require.NoError(t, other.AddField(ctx, a)) }
	require.NoError(t, ix.AddField(ctx, b))
	s.before = func() { require.NoError(t, other.AddField(ctx, Field{Name: "c", Type: Date})) }
	require.NoError(t, ix.AddField(ctx, Field{Name: "c", Type: Date}))
	s.before = func() { require.NoError(t, other.AddField(ctx, Field{Name: "d", Type: Date})) }
	require.ErrorIs(t, ix.AddField(ctx, Field{Name: "d", Type: Keyword}), ErrSchema)
	_, err := other.refresh(ctx)
	require.NoError(t, err)
	require.Equal(t, ix.Schema(), other.Schema())
	require.Len(t, ix.Schema().Fields, 6)
}
