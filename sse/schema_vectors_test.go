package sse

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// The vectors were computed by a second implementation, written in another language from the specification alone.
const (
	schemaVectors = 38
	termVectors   = 37
	rangeVectors  = 15
)

type vector struct {
	Class    string
	Encoding string
	Fields   []vectorField
	Field    vectorField
	Op       string
	Value    vectorValue
	Lo, Hi   vectorValue
	Terms    []string
}

type vectorField struct {
	Name, Type    string
	Prefix, Fuzzy bool
	Min, Max      int64
}

func (f vectorField) field(t *testing.T) Field {
	types := map[string]Type{"keyword": Keyword, "text": Text, "integer": Integer, "date": Date}
	require.Contains(t, types, f.Type)
	return Field{Name: f.Name, Type: types[f.Type], Min: f.Min, Max: f.Max, Prefix: f.Prefix, Fuzzy: f.Fuzzy}
}

type vectorValue struct {
	String, Bytes, Day *string
	Int                *int64
}

func (v vectorValue) value(t *testing.T) Value {
	switch {
	case v.String != nil:
		return String(*v.String)
	case v.Bytes != nil:
		b, err := hex.DecodeString(*v.Bytes)
		require.NoError(t, err)
		return String(string(b))
	case v.Day != nil:
		d, err := time.Parse(time.DateOnly, *v.Day)
		require.NoError(t, err)
		return Day(d)
	case v.Int != nil:
		return Int(*v.Int)
	}
	return Value{}
}

// eachVector runs test on the vectors with a prefix and requires that there are so many, more of them failing than passing.
func eachVector(t *testing.T, prefix string, count int, test func(t *testing.T, v vector)) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v1", prefix+"-*.json"))
	require.NoError(t, err)
	require.Len(t, files, count, "vectors are only ever added, and counted here")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var v vector
			require.NoError(t, json.Unmarshal(b, &v))
			test(t, v)
		})
	}
}

func TestVectorsSchema(t *testing.T) {
	eachVector(t, "schema", schemaVectors, func(t *testing.T, v vector) {
		b, err := hex.DecodeString(v.Encoding)
		require.NoError(t, err)
		s, err := NewSchema(b)
		switch v.Class {
		case "success":
			require.NoError(t, err)
			var want []Field
			for _, f := range v.Fields {
				want = append(want, f.field(t))
			}
			assert.Equal(t, want, s.Fields)
			assert.Equal(t, b, schemaBytes1(s))
			again, err := NewSchema(s.Bytes())
			require.NoError(t, err)
			assert.Equal(t, s, again, "written again, in version 2")
		case "format":
			assert.ErrorIs(t, err, wire.ErrFormat)
		case "analyzer":
			assert.ErrorIs(t, err, ErrAnalyzer)
		case "schema":
			assert.ErrorIs(t, err, ErrSchema)
		default:
			require.Fail(t, "unknown class")
		}
	})
}

func requireTerms(t *testing.T, v vector, got []term, err error) {
	t.Helper()
	if v.Class == "refused" {
		require.ErrorIs(t, err, ErrSchema)
		require.ErrorContains(t, err, v.Field.Name, "the error names the field")
		return
	}
	require.Equal(t, "success", v.Class)
	require.NoError(t, err)
	texts := []string{}
	for _, g := range got {
		texts = append(texts, hex.EncodeToString([]byte(g)))
	}
	require.Equal(t, v.Terms, texts)
}

func TestVectorsTerms(t *testing.T) {
	eachVector(t, "terms", termVectors, func(t *testing.T, v vector) {
		s := Schema{Fields: []Field{v.Field.field(t)}}
		require.NoError(t, s.Validate())
		var got []term
		var err error
		switch v.Op {
		case "index":
			got, err = s.indexTerms(v.Field.Name, []Value{v.Value.value(t)})
		case "query":
			got, err = s.queryTerms(v.Field.Name, v.Value.value(t))
		default:
			require.Fail(t, "unknown operation")
		}
		requireTerms(t, v, got, err)
	})
}

func TestVectorsRange(t *testing.T) {
	eachVector(t, "range", rangeVectors, func(t *testing.T, v vector) {
		s := Schema{Fields: []Field{v.Field.field(t)}}
		require.NoError(t, s.Validate())
		got, err := s.rangeTerms(v.Field.Name, v.Lo.value(t), v.Hi.value(t))
		requireTerms(t, v, got, err)
	})
}
