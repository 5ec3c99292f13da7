package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/internal/servers"
)

// writeCorpora makes a folder such as -data names, with few records.
func writeCorpora(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600))
	}
	r := rand.New(rand.NewPCG(1, 2))
	findings := strings.Fields("glucose cholesterol creatinine potassium sodium hemoglobin weight height pressure respiration pain asthma diabetes fracture")
	pick := func() string { return findings[int(float64(len(findings))*r.Float64()*r.Float64())] }
	var resources, notes, dialogue strings.Builder
	dialogue.WriteString("department,title,ask,answer\n")
	parts := []string{"高血压患者", "能吃党参吗", "糖尿病", "会遗传吗", "咳嗽三天", "发烧头痛", "怎样治疗", "需要检查吗"}
	for i := range 60 {
		fmt.Fprintf(&resources, `{"resourceType":"Observation","id":"o%d","code":{"coding":[{"code":"c-%d","display":"%s in %s"}]},"effectiveDateTime":"20%02d-03-%02dT10:00:00Z","valueQuantity":{"value":%d.5}}`+"\n",
			i, i%7, pick(), pick(), i%20, 1+i%28, 10*i)
		text := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "Patient reports %s and %s.\n# Plan\n%s", pick(), pick(), pick()))
		fmt.Fprintf(&notes, `{"resourceType":"DocumentReference","id":"n%d","date":"19%02d-01-02","content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`+"\n", i, 50+i%40, text)
		fmt.Fprintf(&dialogue, "内科,%s%s,%s，%s？,好\n", parts[r.IntN(4)], parts[r.IntN(8)], parts[r.IntN(8)], parts[r.IntN(8)])
	}
	write("synthea-fhir-r4/all.ndjson.gz", resources.String())
	write("synthea-notes/notes.ndjson.gz", notes.String())
	write("zh-medical-dialogue/some.csv.gz", dialogue.String())
	return dir
}

// server starts PostgreSQL, or says why not: then the rows that need it are not expected, and where servers are required the test fails.
func server(t *testing.T) bool {
	t.Helper()
	_, err := database()
	if errors.Is(err, servers.ErrUnavailable) {
		t.Run("PostgreSQL", func(t *testing.T) { servers.Need(t, err) })
		return false
	}
	require.NoError(t, err)
	return true
}

// A real run with every measurement. What it measures is not looked at, but that everything is there and is of the right unit; the run itself compares all
// hits.
func TestEverySearchMeasurementRuns(t *testing.T) {
	hasServer := server(t)
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	small := sseSuite{builds: 1, synced: 2}
	status := run(t.Context(), []string{"-suites", "sse", "-docs", "200,300", "-adds", "12", "-data", writeCorpora(t), "-count", "1", "-time", "1ms", "-o", dir},
		[]suite{newABE(), small}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	summary, err := os.ReadFile(filepath.Join(dir, "summary.tsv"))
	require.NoError(t, err)
	got := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(summary)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		require.Len(t, fields, 9, "%q", line)
		assert.Equal(t, "sse", fields[0])
		got[strings.Join(fields[1:4], " ")] = true
	}
	want := map[string]bool{}
	add := func(name, impls, units string) {
		for impl := range strings.FieldsSeq(impls) {
			for unit := range strings.FieldsSeq(units) {
				if impl != "postgres" && !strings.Contains(name, "in-postgres") && !strings.Contains(name, "round-trips") || hasServer {
					want[name+" "+impl+" "+unit] = true
				}
			}
		}
	}
	const timed, onDisk = "sec/op B/op allocs/op", "sec/op docs/s postings/core-s MiB bytes B/doc B/posting"
	for _, docs := range []string{"docs=200", "docs=300"} {
		add("build/"+docs, "veilchart bleve clear", onDisk)
		add("build/"+docs, "postgres", "sec/op bytes")
		add("build-keywords/"+docs, "veilchart bleve clear", onDisk)
		for _, kind := range kinds {
			add("search/kind="+kind+"/"+docs, "veilchart bleve clear", timed)
			if kind != kindFuzzy {
				add("search/kind="+kind+"/"+docs, "postgres", timed)
			}
			add("cost/kind="+kind+"/"+docs, "veilchart", "hits terms rounds pages bytes")
			add("search-cold/kind="+kind+"/"+docs, "veilchart bleve clear", "sec/op")
			for _, class := range classes {
				add("search/kind="+kind+"/class="+class+"/"+docs, "veilchart bleve clear", timed)
			}
		}
	}
	for _, class := range []string{"1-9", "10-99", "100+"} {
		add("lists/rows="+class+"/docs=300", "veilchart roaring", "bytes B/posting")
	}
	add("add/docs=200", "veilchart bleve postgres limit", timed)
	if counts, err := countSyncs(os.Args[0], syncsCommand, "1"); err == nil {
		assert.Positive(t, counts)
		add("add-syncs/docs=200", "veilchart bleve", "fsyncs")
	}
	add("segments-after-adds/adds=12", "veilchart veilchart-grown", "segments")
	for _, kind := range kinds {
		add("search-after-adds/kind="+kind+"/adds=12", "veilchart veilchart-grown", timed)
		add("search-in-postgres/kind="+kind+"/docs=300", "veilchart", timed)
		if kind != kindFuzzy {
			add("search-in-postgres/kind="+kind+"/docs=300", "postgres", timed)
		}
		for _, class := range classes {
			add("round-trips/kind="+kind+"/class="+class+"/docs=300", "veilchart", "trips-row-set trips-with-ids trips-for-head hits")
		}
	}
	for _, s := range []string{"fhir", "notes", "zh"} {
		add("build/data="+s, "veilchart bleve", onDisk)
		for _, kind := range kinds {
			none := s == "zh" && (kind == kindRange || kind == kindPrefix || kind == kindFuzzy)
			if !none {
				add("search/kind="+kind+"/data="+s, "veilchart bleve", timed)
			}
		}
	}
	assert.Equal(t, want, got)
	assert.Contains(t, stderr.String(), "search/kind=range/data=zh:  veilchart skipped (the corpus has no values for it)")
	assert.Regexp(t, `search/kind=term/class=rare +veilchart +sec/op +docs\^`, stdout.String())
}

// Without -data the cases of public corpora say so and nothing fails; a folder without them likewise.
func TestWithoutDataCasesSaySo(t *testing.T) {
	for _, args := range [][]string{nil, {"-data", t.TempDir()}} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append(args, "-suites", "sse", "-docs", "100", "-count", "1", "-time", "1ms", "-run", "data=|^cost/kind=term"), suites(), &stdout, &stderr)
		assert.Equal(t, 0, status, stderr.String())
		for _, s := range sources {
			assert.Regexp(t, "build/data="+s.name+":  veilchart skipped .*"+regexpQuote(s.pattern), stderr.String())
		}
	}
}

func regexpQuote(s string) string { return strings.NewReplacer(".", `\.`, "*", `\*`).Replace(s) }

// wrong answers as another engine does, but for one question.
type wrong struct {
	searcher
	search1 func(found) found
	all1    func([]string) []string
}

func (w wrong) search(ctx context.Context, q question) (found, error) {
	f, err := w.searcher.search(ctx, q)
	return w.search1(f), err
}

func (w wrong) all(ctx context.Context, q question, most int) ([]string, error) {
	ids, err := w.searcher.all(ctx, q, most)
	return w.all1(ids), err
}

// An engine that finds something else fails the run, and no time of it is printed.
func TestWrongHitsAreAnError(t *testing.T) {
	right := func(f found) found { return f }
	whole := func(ids []string) []string { return ids }
	for name, c := range map[string]struct {
		search func(found) found
		all    func([]string) []string
		want   string
	}{
		"right":       {right, whole, ""},
		"one less":    {right, func(ids []string) []string { return ids[1:] }, "is missing"},
		"one more":    {right, func(ids []string) []string { return append(ids, "record-99999999") }, "does not match"},
		"twice":       {right, func(ids []string) []string { return append(ids, ids[len(ids)-1]) }, "another number"},
		"total":       {func(f found) found { f.total++; return f }, whole, "a total of"},
		"page":        {func(f found) found { f.ids = f.ids[1:]; return f }, whole, "on the first page"},
		"twice there": {func(f found) found { f.ids[1] = f.ids[0]; return f }, whole, "comes twice"},
		"other there": {func(f found) found { f.ids[0] = "record-99999999"; return f }, whole, "does not match or"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := newLab()
			require.NoError(t, err)
			defer func() { require.NoError(t, l.close()) }()
			e := clearEngine()
			inner := e.open
			e.open = func(ctx context.Context, dir string, corpus corpus) (searcher, error) {
				s, err := inner(ctx, dir, corpus)
				return wrong{s, c.search, c.all}, err
			}
			var raw, progress bytes.Buffer
			runner := measure.Runner{Count: 1, Target: 1, Raw: &raw, Progress: &progress}
			corpus := zipfCorpus(300)
			_, err = runner.Run(t.Context(), "sse", []measure.Case{l.searchCase("search/kind=term", kindTerm, "", corpus, e)})
			if c.want == "" {
				require.NoError(t, err)
				assert.NotEmpty(t, raw.String())
				return
			}
			assert.ErrorContains(t, err, c.want)
			assert.Empty(t, raw.String())
		})
	}
}

func TestDocumentsAreTheSameEachTime(t *testing.T) {
	for _, c := range []corpus{zipfCorpus(50), keywordCorpus(50, nil)} {
		var first, second []entry
		for _, list := range []*[]entry{&first, &second} {
			for r, err := range c.records {
				require.NoError(t, err)
				*list = append(*list, r)
			}
		}
		require.Len(t, first, 50)
		assert.Equal(t, first, second)
	}
	for r, err := range keywordCorpus(50, nil).records {
		require.NoError(t, err)
		require.Len(t, r.codes, termsEach)
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(r.codes))), termsEach)
		assert.Equal(t, termsEach, r.postings())
	}
	for r := range zipfCorpus(50).records {
		assert.Len(t, strings.Fields(r.text), termsEach)
		assert.Regexp(t, "^[a-z]+$", r.name)
		assert.LessOrEqual(t, r.postings(), termsEach+4)
		assert.LessOrEqual(t, r.number, int64(maxNumber))
	}
}

// The classes of lists part the keywords: their postings are all postings.
func TestClassesOfListsAreAll(t *testing.T) {
	sum, all := 0, 0
	for _, class := range listClasses {
		for r := range keywordCorpus(300, func(rows int) bool { return rows >= class.least && rows <= class.most }).records {
			sum += r.postings()
		}
	}
	for r := range keywordCorpus(300, nil).records {
		all += r.postings()
	}
	assert.Equal(t, 300*termsEach, all)
	assert.Equal(t, all, sum)
}

func TestSpellingIsUnique(t *testing.T) {
	seen := map[string]bool{}
	for i := range vocabulary {
		word := spell(i)
		require.False(t, seen[word], word)
		seen[word] = true
	}
}

// The questions of a class have about the hits that they are to have.
func TestQuestionsHaveTheirHits(t *testing.T) {
	list, err := questions(zipfCorpus(2000))
	require.NoError(t, err)
	for _, kind := range kinds {
		for _, class := range classes {
			some := of(list, kind, class)
			require.Len(t, some, each, "%s %s", kind, class)
			for _, q := range some {
				if kind == kindTerm || kind == kindRange {
					assert.InEpsilon(t, target(class, 2000), len(q.want), 0.3, "%v", q)
				}
				assert.True(t, slices.IsSorted(q.want))
			}
		}
	}
}

func TestResourcesBecomeRecords(t *testing.T) {
	note := base64.StdEncoding.EncodeToString([]byte("No known Allergies."))
	text, err := json.Marshal(map[string]any{
		"resourceType": "Observation", "birthDate": "1961-05-04", "name": []any{map[string]any{"family": "Larue605"}},
		"code":          map[string]any{"coding": []any{map[string]any{"code": "2339-0", "display": "Glucose"}}, "text": "Glucose"},
		"valueQuantity": map[string]any{"value": 81.9, "unit": "mg/dL"},
		"content":       []any{map[string]any{"attachment": map[string]any{"data": note}}},
	})
	require.NoError(t, err)
	var got []entry
	readResources(bytes.NewReader(append(text, "\n{}"...)), func(r entry, err error) bool {
		require.NoError(t, err)
		got = append(got, r)
		return true
	})
	require.Len(t, got, 2)
	assert.Equal(t, entry{codes: []string{"2339-0", "Observation"}, text: "Glucose\nNo known Allergies.", name: "larue", number: 81, day: -3164}, got[0])
	assert.Equal(t, entry{number: -1, day: noDay}, got[1])
	failed := false
	readResources(strings.NewReader(`{"a":`), func(_ entry, err error) bool { failed = err != nil; return true })
	assert.True(t, failed)
}

func TestOtherProgramsSayHowToUseThem(t *testing.T) {
	var stdout, stderr bytes.Buffer
	for _, args := range [][]string{nil, {"veilchart"}, {"veilchart", "zipf:10", "x", "y"}} {
		assert.Equal(t, 2, buildMain(args, &stdout, &stderr), "%q", args)
	}
	for _, args := range [][]string{nil, {"veilchart", "x"}, {"veilchart", "x", "y"}, {"veilchart", "x", "-1"}} {
		assert.Equal(t, 2, addMain(args, &stderr), "%q", args)
	}
	assert.Contains(t, stderr.String(), "usage: bench sse-build ENGINE CORPUS FOLDER")
	assert.Contains(t, stderr.String(), "usage: bench sse-add ENGINE FOLDER RECORDS")
	for _, args := range [][]string{{"veilchart", "zipf", t.TempDir()}, {"veilchart", "zipf:0", t.TempDir()}, {"veilchart", "data:what:x", t.TempDir()}, {"nobody", "zipf:9", t.TempDir()}} {
		assert.Equal(t, 1, buildMain(args, &stdout, &stderr), "%q", args)
	}
	assert.Equal(t, 1, addMain([]string{"veilchart", t.TempDir(), "1"}, &stderr))
	assert.Empty(t, stdout.String())
}

// syncsCommand makes the test binary a program that syncs a file so many times, in several threads.
const syncsCommand = "test-syncs"

func TestSyncsAreCounted(t *testing.T) {
	for _, n := range []int{0, 1, 17} {
		got, err := countSyncs(os.Args[0], syncsCommand, fmt.Sprint(n))
		if err != nil {
			t.Skip(err)
		}
		assert.Equal(t, n, got)
	}
	_, err := countSyncs(os.Args[0], syncsCommand, "none")
	assert.ErrorContains(t, err, "ended with status 1")
}

func syncsMain(args []string) int {
	var n int
	if _, err := fmt.Sscan(args[0], &n); err != nil {
		return 1
	}
	f, err := os.CreateTemp("", "syncs-")
	if err != nil {
		return 1
	}
	defer os.Remove(f.Name())
	done := make(chan error)
	for range n {
		go func() { done <- f.Sync() }()
	}
	for range n {
		if err := <-done; err != nil {
			return 1
		}
	}
	return 0
}

// go test -bench works too, on little data: the same operations under the same names.
func BenchmarkSSE(b *testing.B) {
	o, err := parseOptions([]string{"-docs", "10000"}, suites(), &bytes.Buffer{})
	require.NoError(b, err)
	cases, done, err := newSSE().cases(o)
	require.NoError(b, err)
	defer done()
	for _, c := range cases {
		for _, contender := range c.Contenders {
			if contender.Op == nil {
				continue
			}
			b.Run(c.Name+"/impl="+contender.Impl, func(b *testing.B) { benchmark(b, contender) })
		}
	}
}
