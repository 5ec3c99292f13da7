package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseRecord(t *testing.T) {
	r, err := parseRecord(7, []byte(`{"resourceType":"Observation","id":"o1","subject":{"reference":"urn:uuid:p-1"},
		"meta":{"tag":[{"system":"https://x","code":"synthea"}]},
		"category":[{"coding":[{"code":"vital-signs","display":"vital-signs"}]}],
		"code":{"coding":[{"system":"http://loinc.org","code":"55284-4","display":"Blood Pressure"}]},
		"effectiveDateTime":"2011-10-14T23:37:54-05:00",
		"component":[{"code":{"coding":[{"code":"8480-6","display":"Systolic"}]},"valueQuantity":{"value":121.6,"unit":"mmHg","code":"mm[Hg]","system":"http://unitsofmeasure.org"}}]}`))
	require.NoError(t, err)
	assert.Equal(t, "Observation/o1", r.ref())
	assert.Equal(t, "p-1", r.patient)
	assert.Equal(t, "Blood Pressure", r.display, "the resource's own code names it")
	assert.Equal(t, []string{"55284-4", "vital-signs", "8480-6"}, r.codes, "no tags, no units")
	assert.Equal(t, "2011-10-14", r.date.Format("2006-01-02"), "the day as it was written down")
	require.Len(t, r.numbers, 1)
	assert.Equal(t, number{"8480-6", 121.6, r.date}, r.numbers[0])

	p, err := parseRecord(1, []byte(`{"resourceType":"Patient","id":"p-1","birthDate":"1956","name":[{"family":"Koepp","given":["Abdul","K"]}]}`))
	require.NoError(t, err)
	assert.Equal(t, "Abdul K Koepp", p.name)
	assert.Equal(t, "p-1", p.patient)
	assert.Equal(t, "1956-01-01", p.date.Format("2006-01-02"))
}

func TestParseRecordRefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"no JSON":              {`resourceType: Patient`, "no FHIR resource in JSON"},
		"cut":                  {`{"resourceType":"Patient","id":"p`, "no FHIR resource in JSON"},
		"a list":               {`[1,2]`, "no FHIR resource in JSON"},
		"null":                 {`null`, "no resourceType"},
		"no type":              {`{"id":"x"}`, "no resourceType"},
		"no id":                {`{"resourceType":"Patient"}`, "no id"},
		"id with a slash":      {`{"resourceType":"Patient","id":"../../etc/passwd"}`, "no FHIR id"},
		"type with blanks":     {`{"resourceType":"Pat ient","id":"x"}`, "no FHIR name"},
		"no patient":           {`{"resourceType":"Observation","id":"x"}`, "no patient"},
		"patient with a blank": {`{"resourceType":"Observation","id":"x","subject":{"reference":"Patient/a b"}}`, "no FHIR id"},
		"date":                 {`{"resourceType":"Patient","id":"x","birthDate":"1956-13-40"}`, "no FHIR date"},
		"date in words":        {`{"resourceType":"Patient","id":"x","birthDate":"yesterday"}`, "no FHIR date"},
		"number":               {`{"resourceType":"Observation","id":"x","subject":{"reference":"p"},"code":{"coding":[{"code":"c"}]},"valueQuantity":{"value":1e999}}`, "1e999"},
		"name":                 {`{"resourceType":"Patient","id":"x","name":"Koepp"}`, "no FHIR Patient"},
		"not UTF-8":            {"{\"resourceType\":\"Patient\",\"id\":\"x\",\"gender\":\"\xff\"}", "not UTF-8"},
	} {
		_, err := parseRecord(1, []byte(c.in))
		assert.ErrorContains(t, err, c.want, name)
	}
}

// A malformed line is reported with its number and counted, and the lines around it are read.
func TestMalformedLinesAreReportedAndTheRestIsRead(t *testing.T) {
	good := `{"resourceType":"Patient","id":"a"}`
	in := strings.Join([]string{good, "", "{broken", `{"resourceType":"Patient","id":"b"}`, good, strings.Repeat("x", maxLine+5), `{"resourceType":"Patient","id":"c"}`}, "\n")
	var refs []string
	var bad []string
	for r, err := range readRecords(strings.NewReader(in)) {
		if err != nil {
			var l *lineError
			require.True(t, errors.As(err, &l), "%v", err)
			bad = append(bad, err.Error())
			continue
		}
		refs = append(refs, r.ref())
	}
	assert.Equal(t, []string{"Patient/a", "Patient/b", "Patient/c"}, refs)
	require.Len(t, bad, 3)
	assert.Regexp(t, "^line 3: no FHIR resource", bad[0])
	assert.Equal(t, "line 5: Patient/a was on line 1 already", bad[1])
	assert.Regexp(t, "^line 6: longer than", bad[2])
}

func TestTruncatedGzipIsAnErrorNotAnEnd(t *testing.T) {
	_, err := readWard(wardRecords[:len(wardRecords)/2])
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "after line")

	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err = w.Write([]byte("not a record\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = readWard(z.Bytes())
	require.ErrorContains(t, err, "no line is a record")
}

// Records with a code that the law protects are strict, whatever their type; nothing else is.
func TestClassify(t *testing.T) {
	w, err := whole()
	require.NoError(t, err)
	assert.Empty(t, w.malformed)
	assert.Len(t, w.records, 30465)
	assert.Len(t, w.patients, 147)
	counts := map[string]int{}
	for _, r := range w.records {
		c := classify(r)
		counts[c.name]++
		protected := false
		for _, code := range r.codes {
			protected = protected || psychiatric[code] || infectious[code]
		}
		assert.Equal(t, protected, c == classPsychiatry || c == classInfection, "%s %s", r.ref(), r.display)
	}
	assert.Len(t, counts, len(classes), "every class has records: %v", counts)
	// A word that points to such a condition does not stand in a record that is not strict, unless it means something else.
	harmless := []string{"abuse-deterrent", "alcohol-free diet"}
	for _, r := range w.records {
		if classify(r) == classPsychiatry || classify(r) == classInfection {
			continue
		}
		text := strings.ToLower(strings.Join(r.text, " | "))
		for _, h := range harmless {
			text = strings.ReplaceAll(text, h, "")
		}
		for _, word := range []string{
			"depress", "psych", "mental health", "suicid", "alzheimer", "dement", "attention deficit", "anxiety", "posttraumatic", "cognitive",
			"abuse", "alcohol", "overdose", "addict", "detox", "hiv", "immunodeficiency", "aids", "chlamydia", "gonorr", "syphilis", "hepatitis b surface", "hepatitis c",
		} {
			assert.NotContains(t, text, word, "%s is under %s", r.ref(), classify(r).name)
		}
	}
	for _, r := range w.records {
		if classify(r) == classEncounter {
			assert.False(t, r.reason, "%s tells a diagnosis to who may read encounters", r.ref())
		}
	}
}

func TestBatchesKeepPatientsWhole(t *testing.T) {
	w, err := whole()
	require.NoError(t, err)
	seen := map[string]int{}
	total := 0
	for i, b := range w.batches() {
		total += len(b.records)
		for _, p := range b.patients {
			_, twice := seen[p]
			assert.False(t, twice, "patient %s is in batches %d and %d", p, seen[p], i)
			seen[p] = i
		}
		assert.Less(t, len(b.records), batchRecords+2000)
	}
	assert.Equal(t, len(w.records), total)
	assert.Len(t, seen, len(w.patients))
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","id":"a","birthDate":"1956-08-03","name":[{"family":"K","given":["A"]}]}`))
	f.Add([]byte(`{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/a"},"code":{"coding":[{"code":"8480-6"}]},"valueQuantity":{"value":1}}`))
	f.Add([]byte(`{"resourceType":"Condition","id":"c","patient":{"reference":"a"},"category":["food"],"code":{"text":"x"}}`))
	f.Add([]byte(`{"resourceType":"Patient","id":"a","name":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(1, b)
		if err != nil {
			return
		}
		if !plain(r.id) || !plain(r.kind) || !plain(r.patient) {
			t.Fatalf("%q gives names that are no FHIR names: %q %q %q", b, r.kind, r.id, r.patient)
		}
		again, err := parseRecord(2, r.raw)
		if err != nil || again.ref() != r.ref() || classify(again) != classify(r) {
			t.Fatalf("%q is read differently the second time: %v", b, err)
		}
	})
}
