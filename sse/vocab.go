package sse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/blevesearch/vellum"
	"github.com/blevesearch/vellum/levenshtein"
)

var errVocab = errors.New("its vocabulary does not decode")

// encodeVocab builds the finite state transducer of a field's words, which are sorted and distinct.
func encodeVocab(words []string) ([]byte, error) {
	var out bytes.Buffer
	// A small registry: it finds nearly all common suffixes of a segment's vocabulary, and a large one costs more to set up
	// than the rest of a small segment.
	b, err := vellum.New(&out, &vellum.BuilderOpts{Encoder: 1, RegistryTableSize: 1000, RegistryMRUSize: 2})
	if err != nil {
		return nil, fmt.Errorf("sse: vocabulary: %w", err)
	}
	for _, w := range words {
		if err := b.Insert([]byte(w), 0); err != nil {
			return nil, fmt.Errorf("sse: vocabulary: %w", err)
		}
	}
	if err := b.Close(); err != nil {
		return nil, fmt.Errorf("sse: vocabulary: %w", err)
	}
	return out.Bytes(), nil
}

// vocabulary is what prefix and fuzzy queries walk through: a transducer for full segments, the words of a tail.
type vocabulary struct {
	fst   *vellum.FST
	words []string // sorted; of a tail
}

func decodeVocab(b []byte) (v *vocabulary, err error) {
	defer guardVocab(&err)
	fst, err := vellum.Load(b)
	if err != nil {
		return nil, errVocab
	}
	return &vocabulary{fst: fst}, nil
}

// guardVocab turns a panic of vellum, which trusts its bytes, into an error. The bytes are authentic, so only a faulty writer
// could cause one.
func guardVocab(err *error) {
	if recover() != nil {
		*err = errVocab
	}
}

// errManyWords ends an expansion at the limit.
var errManyWords = errors.New("too many words")

// match returns the words that begin with prefix and that the automaton accepts, if it is not nil: at most limit.
func (v *vocabulary) match(a vellum.Automaton, prefix string, limit int) (words []string, err error) {
	defer guardVocab(&err)
	e, _ := a.(*expression)
	if v.fst == nil {
		from, _ := slices.BinarySearch(v.words, prefix)
		for _, w := range v.words[from:] {
			if !strings.HasPrefix(w, prefix) {
				break
			}
			if a != nil && !accepts(a, w) {
				continue
			}
			if len(words) == limit {
				return nil, errManyWords
			}
			words = append(words, w)
		}
		if e != nil && e.tired {
			return nil, errTired
		}
		return words, nil
	}
	if a == nil {
		a = &vellum.AlwaysMatch{}
	}
	it, err := v.fst.Search(a, []byte(prefix), after(prefix))
	for ; err == nil; err = it.Next() {
		w, _ := it.Current()
		if len(words) == limit {
			return nil, errManyWords
		}
		words = append(words, string(w))
	}
	if !errors.Is(err, vellum.ErrIteratorDone) {
		return nil, errVocab
	}
	if e != nil && e.tired {
		return nil, errTired
	}
	return words, nil
}

// accepts runs an automaton over a word. (vellum.AutomatonContains takes the state 1 for a dead one, which it need not be.)
func accepts(a vellum.Automaton, word string) bool {
	s := a.Start()
	for i := range len(word) {
		if !a.CanMatch(s) {
			return false
		}
		s = a.Accept(s, word[i])
	}
	return a.CanMatch(s) && a.IsMatch(s)
}

// all returns every word.
func (v *vocabulary) all() ([]string, error) { return v.match(nil, "", maxVocab) }

// after is the first string behind all that begin with prefix; nil if there is none.
func after(prefix string) []byte {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return nil
}

// maxDistance is the most edits of a fuzzy query.
const maxDistance = 2

// automata makes Levenshtein automata, in which two neighbours changed about are one edit. Its tables take some milliseconds, so
// an Index makes them at its first fuzzy query.
type automata struct {
	once     sync.Once
	builders [maxDistance + 1]*levenshtein.LevenshteinAutomatonBuilder
	err      error
}

func (a *automata) build(word string, distance int) (vellum.Automaton, error) {
	a.once.Do(func() {
		for d := 1; d <= maxDistance && a.err == nil; d++ {
			a.builders[d], a.err = levenshtein.NewLevenshteinAutomatonBuilder(uint8(d), true)
		}
	})
	if a.err != nil {
		return nil, fmt.Errorf("sse: Levenshtein tables: %w", a.err)
	}
	dfa, err := a.builders[distance].BuildDfa(word, uint8(distance))
	if err != nil {
		return nil, fmt.Errorf("sse: the word is too long for a fuzzy query (%w): use a prefix query: %w", err, ErrTooBroad)
	}
	return dfa, nil
}

// The list of terms, for compaction: front-coded, sorted. docs/spec/sse.md, section Term list.
var errTerms = errors.New("its list of terms does not decode")

// maxTermBytes bounds one encoded term.
const maxTermBytes = 4 + maxFieldName + 1 + 4 + MaxKeyword

// appendTerms encodes sorted, distinct terms: of each the number of bytes it shares with the one before, and the rest.
func appendTerms(b []byte, terms []term) []byte {
	last := term("")
	for _, t := range terms {
		b = appendTerm(b, last, t)
		last = t
	}
	return b
}

// readTerms is the inverse of appendTerms.
func readTerms(b []byte) ([]term, error) {
	var terms []term
	last := term("")
	for len(b) > 0 {
		t, n := readTerm(b, last, maxTermBytes)
		if n == 0 {
			return nil, errTerms
		}
		b = b[n:]
		terms, last = append(terms, t), t
	}
	return terms, nil
}

// appendTerm encodes a term behind last: the number of bytes that it shares with it, and the rest.
func appendTerm(b []byte, last, t term) []byte {
	n := 0
	for n < len(t) && n < len(last) && t[n] == last[n] {
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(t)-n))
	return append(b, t[n:]...)
}

// readTerm reads a term of at most so many bytes that stands behind last in b, and says how many bytes it took: 0 if it is none.
func readTerm(b []byte, last term, most uint64) (t term, n int) {
	shared, n := shortUvarint(b)
	rest, m := shortUvarint(b[n:])
	if n == 0 || m == 0 || shared > uint64(len(last)) || rest == 0 || rest > most || shared+rest > most || rest > uint64(len(b)-n-m) {
		return "", 0
	}
	n += m
	t = last[:shared] + term(b[n:n+int(rest)])
	if t <= last || shared < uint64(len(last)) && last[shared] == t[shared] {
		return "", 0
	}
	return t, n + int(rest)
}

// shortUvarint reads a varint that could not be shorter; n is 0 if there is none.
func shortUvarint(b []byte) (v uint64, n int) {
	v, n = binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}
