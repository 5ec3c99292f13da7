package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxLine is the longest line of NDJSON that is read. The longest FHIR resource without attachments is far below it.
const maxLine = 4 << 20

// record is what the ward needs to know of one FHIR R4 resource. The whole resource is in raw.
type record struct {
	line    int
	raw     []byte
	kind    string // resourceType
	id      string
	patient string   // id of the patient that it is about
	codes   []string // codes of every coding: the resource's own, its category, type and reasons
	display string   // what to call it in one line
	text    []string // display names of those codings
	reason  bool     // it states why it took place
	date    time.Time
	name    string // of a Patient
	numbers []number
}

// ref names the resource as FHIR does: Type/id.
func (r *record) ref() string { return r.kind + "/" + r.id }

// number is a measured value of a resource.
type number struct {
	code  string // LOINC
	value float64
	when  time.Time
}

// lineError says which line of the input is no resource that can be stored, and why. The lines around it are not touched by it.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// The parts of FHIR R4 that are read: https://hl7.org/fhir/R4/resourcelist.html. Codings are found wherever they stand.
type (
	concept   struct{ Coding []struct{ Code string } }
	reference struct{ Reference string }
	period    struct{ Start string }
	quantity  struct{ Value *json.Number }
	humanName struct {
		Family string
		Given  []string
	}
	component struct {
		Code          concept
		ValueQuantity *quantity
	}
	resource struct {
		ResourceType string
		ID           string
		Subject      *reference
		Patient      *reference

		EffectiveDateTime, OnsetDateTime, AuthoredOn, OccurrenceDateTime string
		RecordedDate, PerformedDateTime, Started, BirthDate              string
		Period, PerformedPeriod, EffectivePeriod                         period
	}
	observation struct {
		Code          concept
		ValueQuantity *quantity
		Component     []component
	}
)

// parseRecord reads one line. raw is kept.
func parseRecord(line int, raw []byte) (*record, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	var f resource
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("no FHIR resource in JSON: %w", err)
	}
	r := &record{line: line, raw: raw, kind: f.ResourceType, id: f.ID}
	switch {
	case f.ResourceType == "":
		return nil, errors.New("no resourceType")
	case !plain(f.ResourceType) || len(f.ResourceType) > 64:
		return nil, fmt.Errorf("resourceType %.40q is no FHIR name", f.ResourceType)
	case f.ID == "":
		return nil, errors.New("no id")
	case !plain(f.ID) || len(f.ID) > 64:
		return nil, fmt.Errorf("id %.40q is no FHIR id (letters, digits, - and ., at most 64)", f.ID)
	}
	switch {
	case f.ResourceType == "Patient":
		r.patient = f.ID
	case f.Subject != nil:
		r.patient = bareID(f.Subject.Reference)
	case f.Patient != nil:
		r.patient = bareID(f.Patient.Reference)
	}
	if r.patient == "" {
		return nil, errors.New("no patient: neither subject nor patient names one, so no patient's key could seal it")
	}
	if !plain(r.patient) || len(r.patient) > 64 {
		return nil, fmt.Errorf("patient reference %.40q is no FHIR id", r.patient)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("no FHIR resource in JSON: %w", err)
	}
	r.addCodings(tree)
	r.reason = tree["reasonCode"] != nil || tree["reasonReference"] != nil
	for _, text := range []string{
		f.EffectiveDateTime, f.EffectivePeriod.Start, f.OnsetDateTime, f.PerformedDateTime, f.PerformedPeriod.Start, f.AuthoredOn,
		f.OccurrenceDateTime, f.Started, f.Period.Start, f.RecordedDate, f.BirthDate,
	} {
		if text == "" {
			continue
		}
		day, err := fhirDay(text)
		if err != nil {
			return nil, err
		}
		r.date = day
		break
	}
	switch f.ResourceType {
	case "Patient":
		var p struct{ Name []humanName }
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, fmt.Errorf("no FHIR Patient: %w", err)
		}
		if len(p.Name) > 0 {
			r.name = strings.TrimSpace(strings.Join(append(p.Name[0].Given, p.Name[0].Family), " "))
		}
		r.display = r.name
	case "Observation":
		var o observation
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, fmt.Errorf("no FHIR Observation: %w", err)
		}
		for _, c := range append(o.Component, component{o.Code, o.ValueQuantity}) {
			if c.ValueQuantity == nil || c.ValueQuantity.Value == nil || len(c.Code.Coding) == 0 {
				continue
			}
			v, err := c.ValueQuantity.Value.Float64()
			if err != nil {
				return nil, fmt.Errorf("value %s of %s is out of range", *c.ValueQuantity.Value, c.Code.Coding[0].Code)
			}
			r.numbers = append(r.numbers, number{c.Code.Coding[0].Code, v, r.date})
		}
	}
	return r, nil
}

// unindexed are the parts of a resource whose codes say nothing about the patient's health.
var unindexed = map[string]bool{"meta": true, "extension": true, "identifier": true, "contact": true, "maritalStatus": true, "communication": true}

// addCodings collects codes and display names from every Coding and CodeableConcept below v, nearest to the top first.
func (r *record) addCodings(v map[string]any) {
	code, _ := v["code"].(string)
	display, _ := v["display"].(string)
	if system, _ := v["system"].(string); code != "" && len(code) <= 64 && system != "http://unitsofmeasure.org" && !slices.Contains(r.codes, code) {
		r.codes = append(r.codes, code)
	}
	r.addText(display)
	if text, ok := v["text"].(string); ok {
		r.addText(text)
	}
	// The code of the resource itself comes before its category and the rest, so that it gives the one-line name.
	keys := slices.SortedFunc(maps.Keys(v), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, key := range keys {
		if unindexed[key] {
			continue
		}
		switch child := v[key].(type) {
		case map[string]any:
			r.addCodings(child)
		case []any:
			for _, c := range child {
				if m, ok := c.(map[string]any); ok {
					r.addCodings(m)
				}
			}
		}
	}
}

// rank puts the parts that name a resource first.
func rank(key string) int {
	return slices.Index([]string{"category", "description", "type", "vaccineCode", "medicationCodeableConcept", "code"}, key) * -1
}

func (r *record) addText(s string) {
	if s == "" || len(s) > 512 || slices.Contains(r.text, s) {
		return
	}
	if r.display == "" {
		r.display = s
	}
	r.text = append(r.text, s)
}

// plain reports whether s has the characters of a FHIR id, and at least one.
func plain(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.')
	}) < 0
}

// bareID takes the id out of "Patient/ID", "urn:uuid:ID" or an address that ends so.
func bareID(ref string) string {
	return ref[strings.LastIndexAny(ref, "/:")+1:]
}

// fhirDay reads the day of a FHIR date or dateTime as it stands, in the time zone that it was written in. A missing month or
// day is the first.
func fhirDay(s string) (time.Time, error) {
	for _, c := range []struct {
		n      int
		layout string
	}{{10, "2006-01-02"}, {7, "2006-01"}, {4, "2006"}} {
		if len(s) == c.n || len(s) > 10 && c.n == 10 && s[10] == 'T' {
			day, err := time.Parse(c.layout, s[:c.n])
			if err != nil {
				break
			}
			return day, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no FHIR date", s)
}

// readRecords yields the records of NDJSON, plain or gzip. A line that is no record comes as a *lineError and the next ones follow;
// any other error ends the sequence.
func readRecords(in io.Reader) iter.Seq2[*record, error] {
	return func(yield func(*record, error) bool) {
		br := bufio.NewReaderSize(in, 1<<16)
		if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
			zr, err := gzip.NewReader(br)
			if err != nil {
				yield(nil, fmt.Errorf("the records are no gzip file: %w", err))
				return
			}
			br = bufio.NewReaderSize(zr, 1<<16)
		}
		seen := map[string]int{}
		for n := 1; ; n++ {
			raw, long, err := readLine(br)
			if err != nil && err != io.EOF {
				yield(nil, fmt.Errorf("reading the records after line %d: %w", n-1, err))
				return
			}
			if err == io.EOF && len(raw) == 0 && !long {
				return
			}
			if raw = bytes.TrimSpace(raw); len(raw) > 0 || long {
				var r *record
				var bad error
				if long {
					bad = fmt.Errorf("longer than %d bytes", maxLine)
				} else if r, bad = parseRecord(n, raw); bad == nil {
					if first, dup := seen[r.ref()]; dup {
						bad = fmt.Errorf("%s was on line %d already", r.ref(), first)
					}
				}
				if bad != nil {
					if !yield(nil, &lineError{n, bad}) {
						return
					}
				} else {
					seen[r.ref()] = n
					if !yield(r, nil) {
						return
					}
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// readLine reads to the next line feed. Of a line over maxLine it keeps nothing and reports long.
func readLine(br *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			if len(line) > maxLine {
				line, long = nil, true
			}
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}
