package sse

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/internal/wire"
)

// The vectors of schemas of version 2, of stored values and of documents were computed by a second implementation, written in another language
// from the specification alone; it was told the stems and readings, which libraries give. The vectors of stems and readings hold what these give.
const (
	schemaVectors2 = 47
	valuesVectors  = 23
	indexVectors   = 27
	stemVectors    = 14
)

type analysisVector struct {
	Class    string
	Encoding string
	Fields   []fieldVector
	Field    fieldVector
	Values   json.RawMessage
	Postings []struct {
		Term      string
		Impact    uint8
		Positions []uint32
	}
	Language string
	Words    map[string]string
}

type fieldVector struct {
	Name, Type, Language                                        string
	Number                                                      uint16
	Min, Max                                                    int64
	Scale, Words                                                int
	Prefix, Fuzzy, Substring, Phrase, Rank, Facet, Stored, Sort bool
}

func (v fieldVector) field() Field {
	f := Field{Name: v.Name, Type: Type(slices.Index(typeNames[:], v.Type)), Min: v.Min, Max: v.Max, Scale: v.Scale, Language: v.Language, Words: v.Words}
	f.Prefix, f.Fuzzy, f.Substring, f.Phrase, f.Rank, f.Facet, f.Stored, f.Sort = v.Prefix, v.Fuzzy, v.Substring, v.Phrase, v.Rank, v.Facet, v.Stored, v.Sort
	return f
}

// parse reads what Value.String writes.
func (f Field) parse(t *testing.T, text string) Value {
	var v Value
	var err error
	switch f.Type {
	case Integer:
		v.n, err = strconv.ParseInt(text, 10, 64)
		v.kind = valueInt
	case Decimal:
		v, err = ParseDecimal(text)
	case Date:
		var d time.Time
		d, err = time.Parse(time.DateOnly, text)
		v = Day(d)
	case Time:
		var d time.Time
		d, err = time.Parse(time.RFC3339, text)
		v = Instant(d)
	case Bytes:
		var b []byte
		b, err = hex.DecodeString(text)
		v = Raw(b)
	default:
		v = String(text)
	}
	require.NoError(t, err)
	return v
}

func eachAnalysisVector(t *testing.T, prefix string, count int, test func(t *testing.T, v analysisVector)) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "v2", prefix+"-*.json"))
	require.NoError(t, err)
	require.Len(t, files, count, "vectors are only ever added, and counted here")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var v analysisVector
			require.NoError(t, json.Unmarshal(b, &v))
			test(t, v)
		})
	}
}

func TestVectorsSchema2(t *testing.T) {
	eachAnalysisVector(t, "schema", schemaVectors2, func(t *testing.T, v analysisVector) {
		b, err := hex.DecodeString(v.Encoding)
		require.NoError(t, err)
		s, err := NewSchema(b)
		switch v.Class {
		case "success":
			require.NoError(t, err)
			require.Len(t, s.Fields, len(v.Fields))
			for i, f := range v.Fields {
				assert.Equal(t, f.field(), s.Fields[i])
				n, ok := s.number(f.Name)
				assert.True(t, ok)
				assert.Equal(t, f.Number, n)
			}
			assert.Equal(t, b, s.Bytes())
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

func TestVectorsValues(t *testing.T) {
	eachAnalysisVector(t, "values", valuesVectors, func(t *testing.T, v analysisVector) {
		var s Schema
		for _, f := range v.Fields {
			s.Fields = append(s.Fields, f.field())
		}
		require.NoError(t, s.Validate())
		b, err := hex.DecodeString(v.Encoding)
		require.NoError(t, err)
		got, err := decodeValues(s, b)
		if v.Class != "success" {
			require.Equal(t, "format", v.Class)
			require.ErrorIs(t, err, errValues)
			return
		}
		require.NoError(t, err)
		texts := make(map[string][]string)
		for name, values := range got {
			for _, value := range values {
				texts[name] = append(texts[name], value.String())
			}
		}
		var want map[string][]string
		require.NoError(t, json.Unmarshal(v.Values, &want))
		require.Equal(t, want, texts)
		again, err := s.encodeValues(got)
		require.NoError(t, err)
		require.Equal(t, v.Encoding, hex.EncodeToString(again))
	})
}

func TestVectorsIndex(t *testing.T) {
	eachAnalysisVector(t, "index", indexVectors, func(t *testing.T, v analysisVector) {
		f := v.Field.field()
		s := Schema{Fields: []Field{f}}
		require.NoError(t, s.Validate())
		var texts []string
		require.NoError(t, json.Unmarshal(v.Values, &texts))
		var values []Value
		for _, text := range texts {
			values = append(values, f.parse(t, text))
		}
		got, _, err := s.index(&Document{Fields: Fields{f.Name: values}})
		if v.Class != "success" {
			require.Equal(t, "refused", v.Class)
			require.ErrorIs(t, err, ErrSchema)
			require.ErrorContains(t, err, f.Name)
			return
		}
		require.NoError(t, err)
		var want []posting
		for _, p := range v.Postings {
			b, err := hex.DecodeString(p.Term)
			require.NoError(t, err)
			want = append(want, posting{term(b), p.Impact, p.Positions})
		}
		require.Equal(t, want, got)
	})
}

// TestVectorsStems holds what the stemmers and the table of readings give: an index would lose documents if another version gave anything else.
func TestVectorsStems(t *testing.T) {
	eachAnalysisVector(t, "stems", stemVectors, func(t *testing.T, v analysisVector) {
		require.NotEmpty(t, v.Words)
		for word, want := range v.Words {
			if v.Language == "han" {
				assert.Equal(t, want, strings.Join(readings(word), ","), word)
			} else {
				assert.Equal(t, want, stem(v.Language, word), word)
			}
		}
	})
}
