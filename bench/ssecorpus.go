package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/bench/measure"
)

// source is a public corpus in the folder that -data names.
type source struct {
	name    string // after data=
	pattern string // of its files
	what    string
	cjk     bool
	read    func(r io.Reader, yield func(entry, error) bool)
}

var sources = []source{
	{"fhir", "synthea-fhir-r4/all.ndjson.gz", "FHIR R4 resources, one JSON object a line", false, readResources},
	{"notes", "synthea-notes/notes.ndjson.gz", "FHIR DocumentReferences with base64 notes, one JSON object a line", false, readResources},
	{"zh", "zh-medical-dialogue/*.csv.gz", "questions in Chinese: department,title,ask,answer", true, readDialogue},
}

// openSource returns the corpus, or the error of measure.Skip that says what is missing.
func openSource(folder string, s source) (corpus, error) {
	if folder == "" {
		return corpus{}, measure.Skip("no -data folder was given, which would have " + s.pattern)
	}
	files, err := filepath.Glob(filepath.Join(folder, s.pattern))
	if err != nil {
		return corpus{}, err
	}
	if len(files) == 0 {
		return corpus{}, measure.Skip("the -data folder has no " + s.pattern + " (" + s.what + ")")
	}
	return corpus{label: "data=" + s.name, cjk: s.cjk, records: numbered(s.name, func(yield func(entry, error) bool) {
		for _, name := range files {
			going := true
			if err := unzip(name, func(r io.Reader) {
				s.read(r, func(rec entry, err error) bool {
					if err != nil {
						err = fmt.Errorf("%s: %w", s.pattern, err)
					}
					going = yield(rec, err)
					return going
				})
			}); err != nil && going {
				yield(entry{}, err)
				return
			}
			if !going {
				return
			}
		}
	})}, nil
}

// numbered gives records IDs of one form: those of the files may come twice.
func numbered(name string, records iter.Seq2[entry, error]) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		n := 0
		for r, err := range records {
			r.id = fmt.Sprintf("%s-%08d", name, n)
			if n++; !yield(r, err) {
				return
			}
		}
	}
}

func unzip(name string, read func(io.Reader)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	read(z)
	return nil
}

// readResources makes a record of each resource: its codes, the texts that people read, the first date and quantity in it, and as a name that of
// the person, or a word of the text.
func readResources(r io.Reader, yield func(entry, error) bool) {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	for {
		var resource map[string]any
		if err := decoder.Decode(&resource); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			yield(entry{}, err)
			return
		}
		v := visitor{entry: entry{number: -1, day: noDay}}
		if kind, ok := resource["resourceType"].(string); ok {
			v.codes = append(v.codes, kind)
		}
		v.visit("", resource)
		slices.Sort(v.codes)
		v.codes = slices.Compact(v.codes)
		v.text = strings.Join(v.texts, "\n")
		for _, word := range strings.FieldsFunc(strings.ToLower(v.text), func(r rune) bool { return r < 'a' || r > 'z' }) {
			if v.name == "" && len(word) > 3 {
				v.name = word
			}
		}
		if !yield(v.entry, nil) {
			return
		}
	}
}

type visitor struct {
	entry
	texts []string
}

func (v *visitor) visit(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		if key == "valueQuantity" {
			if n, ok := value["value"].(json.Number); ok && v.number < 0 {
				if x, err := strconv.ParseFloat(string(n), 64); err == nil && x >= 0 && x <= maxNumber {
					v.number = int64(x)
				}
			}
		}
		if note, ok := value["data"].(string); ok && key == "attachment" {
			if b, err := base64.StdEncoding.DecodeString(note); err == nil {
				v.texts = append(v.texts, string(b))
			}
		}
		for _, inner := range slices.Sorted(maps.Keys(value)) {
			v.visit(inner, value[inner])
		}
	case []any:
		for _, inner := range value {
			v.visit(key, inner)
		}
	case string:
		v.string(key, value)
	}
}

func (v *visitor) string(key, value string) {
	switch {
	case key == "code" && len(value) <= 64:
		v.codes = append(v.codes, value)
	case key == "display" || key == "text":
		if !slices.Contains(v.texts, value) {
			v.texts = append(v.texts, value)
		}
	case key == "family":
		name := strings.TrimRight(strings.ToLower(value), "0123456789")
		if v.name == "" && simple(name) {
			v.name = name
		}
	case v.day == noDay && len(value) >= 10 && (strings.HasPrefix(value, "19") || strings.HasPrefix(value, "20")):
		if t, err := time.Parse(time.DateOnly, value[:10]); err == nil {
			v.day = t.Unix() / (24 * 60 * 60)
		}
	}
}

// readDialogue makes a record of each question.
func readDialogue(r io.Reader, yield func(entry, error) bool) {
	rows := csv.NewReader(r)
	rows.LazyQuotes, rows.FieldsPerRecord = true, -1
	for line := 0; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(entry{}, err)
			return
		}
		if line == 0 || len(row) < 3 {
			continue
		}
		rec := entry{codes: []string{cmp.Or(row[0], "none")}, text: row[1] + "\n" + row[2], number: -1, day: noDay}
		if !yield(rec, nil) {
			return
		}
	}
}
