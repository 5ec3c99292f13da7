package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kinds of queries, and classes by how many documents they find.
const (
	kindTerm   = "term"
	kindBool   = "bool"
	kindRange  = "range"
	kindPrefix = "prefix"
	kindFuzzy  = "fuzzy"
	kindRanked = "ranked"

	classRare     = "rare"
	classMiddle   = "middle"
	classFrequent = "frequent"
)

var (
	kinds   = []string{kindTerm, kindBool, kindRange, kindPrefix, kindFuzzy, kindRanked}
	classes = []string{classRare, classMiddle, classFrequent}
)

const (
	rareHits  = 20 // whatever the number of documents: growth is that of these
	each      = 4  // questions of a kind and class
	firstPage = 10 // hits that are brought back
)

// target is how many hits a question of the class should have.
func target(class string, docs int) int {
	switch class {
	case classMiddle:
		return max(1, docs/100)
	case classFrequent:
		return max(1, docs/10)
	}
	return rareHits
}

// question is a query before any engine has seen it.
type question struct {
	kind, class string
	// Words of the text. Bool: the first, one of the next two at least, and not the last. Ranked: at least one of them.
	words     []string
	field     string // range: number or day
	low, high int64
	text      string // of the name: prefix, fuzzy
	edits     int
	want      []string // IDs in order, if the corpus tells
}

func (q question) String() string {
	switch q.kind {
	case kindRange:
		return fmt.Sprintf("%s %s %d..%d", q.kind, q.field, q.low, q.high)
	case kindPrefix:
		return q.kind + " " + q.text
	case kindFuzzy:
		return fmt.Sprintf("%s %s~%d", q.kind, q.text, q.edits)
	}
	return q.kind + " " + strings.Join(q.words, " ")
}

// matches tells it from the record alone. The text is cut at blanks.
func (q question) matches(r entry, words map[string]bool) bool {
	switch q.kind {
	case kindTerm:
		return words[q.words[0]]
	case kindBool:
		return words[q.words[0]] && (words[q.words[1]] || words[q.words[2]]) && !words[q.words[3]]
	case kindRanked:
		return slices.ContainsFunc(q.words, func(w string) bool { return words[w] })
	case kindRange:
		v := r.number
		if q.field == fieldDay {
			v = r.day
		}
		return v >= q.low && v <= q.high
	case kindPrefix:
		return strings.HasPrefix(r.name, q.text)
	case kindFuzzy:
		return r.name != "" && distance(r.name, q.text, q.edits) <= q.edits
	}
	return false
}

// distance is the number of edits from a to b, two neighbours that changed places being one (optimal string alignment), or any number above
// limit if it is above limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		now[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			now[j+1] = min(last[j]+change, last[j+1]+1, now[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// survey is what questions are chosen by.
type survey struct {
	docs          int
	words, names  map[string]int // documents by word
	prefixes      map[string]int
	numbers, days []int64 // of all documents, in order
}

func newSurvey(c corpus) (*survey, error) {
	s := &survey{words: map[string]int{}, names: map[string]int{}, prefixes: map[string]int{}}
	for r, err := range c.records {
		if err != nil {
			return nil, err
		}
		s.docs++
		for _, w := range c.wordsOf(r.text) {
			s.words[w]++
		}
		if r.name != "" {
			s.names[r.name]++
			for n := 1; n <= min(6, len(r.name)); n++ {
				s.prefixes[r.name[:n]]++
			}
		}
		if r.number >= 0 {
			s.numbers = append(s.numbers, r.number)
		}
		if r.day != noDay {
			s.days = append(s.days, r.day)
		}
	}
	slices.Sort(s.numbers)
	slices.Sort(s.days)
	return s, nil
}

// questions chooses those of all kinds and classes that the corpus has values for, and finds out what they should find where it can be told.
func questions(c corpus) ([]question, error) {
	s, err := newSurvey(c)
	if err != nil {
		return nil, err
	}
	var list []question
	for _, class := range classes {
		want := target(class, s.docs)
		some := nearest(s.words, want, each)
		third, tenth := nearest(s.words, s.docs/3, each), nearest(s.words, s.docs/10, each)
		for i := range each {
			if len(some) == each {
				list = append(list, question{kind: kindTerm, class: class, words: some[i : i+1]},
					question{kind: kindBool, class: class, words: []string{some[i], third[i], third[(i+1)%each], tenth[(i+2)%each]}},
					question{kind: kindRanked, class: class, words: some[i:min(each, i+1+i%2)]})
			}
			field, values := fieldNumber, s.numbers
			if i%2 == 1 {
				field, values = fieldDay, s.days
			}
			if n := min(want, len(values)); n > 0 {
				from := (len(values) - n) * (i + 1) / (each + 1)
				list = append(list, question{kind: kindRange, class: class, field: field, low: values[from], high: values[from+n-1]})
			}
		}
		for _, p := range nearest(s.prefixes, want, each) {
			list = append(list, question{kind: kindPrefix, class: class, text: p})
		}
		for edits := 1; edits <= 2; edits++ {
			for _, name := range s.near(want, edits, each/2) {
				list = append(list, question{kind: kindFuzzy, class: class, text: name, edits: edits})
			}
		}
	}
	if c.truth {
		return list, tell(c, list)
	}
	return list, nil
}

// near are names that have about so many hits with so many edits.
func (s *survey) near(want, edits, count int) []string {
	hits := map[string]int{}
	for _, name := range append(nearest(s.names, want, 10), nearest(s.names, want/(3*edits), 10)...) {
		for other, n := range s.names {
			if distance(name, other, edits) <= edits {
				hits[name] += n
			}
		}
	}
	return nearest(hits, want, count)
}

// tell finds out what each question should find, by looking at every record.
func tell(c corpus, list []question) error {
	for r, err := range c.records {
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for w := range strings.FieldsSeq(r.text) {
			has[w] = true
		}
		for i := range list {
			if list[i].matches(r, has) {
				list[i].want = append(list[i].want, r.id)
			}
		}
	}
	for i := range list {
		slices.Sort(list[i].want)
		if list[i].want == nil {
			list[i].want = []string{}
		}
	}
	return nil
}

// found is the answer of an engine: how many documents, and the IDs of the first of them.
type found struct {
	total int
	ids   []string
}

// check compares an answer with what all IDs are.
func (q question) check(f found, all []string) error {
	if f.total != len(all) {
		return fmt.Errorf("%v: a total of %d, where %d documents match", q, f.total, len(all))
	}
	if n := min(firstPage, len(all)); len(f.ids) != n {
		return fmt.Errorf("%v: %d hits on the first page, %d are asked for", q, len(f.ids), n)
	}
	ids := slices.Sorted(slices.Values(f.ids))
	for i, id := range ids {
		if _, ok := slices.BinarySearch(all, id); !ok || i > 0 && ids[i-1] == id {
			return fmt.Errorf("%v: the hit %q does not match or comes twice", q, id)
		}
	}
	return nil
}

// same compares sorted IDs.
func (q question) same(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	for _, id := range got {
		if _, ok := slices.BinarySearch(want, id); !ok {
			return fmt.Errorf("%v: %d hits where %d are right; %q is among them and does not match", q, len(got), len(want), id)
		}
	}
	for _, id := range want {
		if _, ok := slices.BinarySearch(got, id); !ok {
			return fmt.Errorf("%v: %d hits where %d are right; %q is missing", q, len(got), len(want), id)
		}
	}
	return errors.New("the same hits in another number")
}

// of are the questions of a kind, and of a class if it is not empty.
func of(list []question, kind, class string) (out []question) {
	for _, q := range list {
		if q.kind == kind && (class == "" || q.class == class) {
			out = append(out, q)
		}
	}
	return out
}
