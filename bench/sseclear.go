package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/vellum"
	"github.com/blevesearch/vellum/levenshtein"
)

// clearEngine is the limit that encryption is measured against: Roaring lists in a file in the clear, read by pread where a dictionary in
// memory says, with the same blocks for ranges, the same automata over the same words, and the same impacts in a byte as veilchart.
func clearEngine() engine {
	return engine{impl: "clear", fill: clearFill,
		fits: func(_ string, c corpus) bool { return c.truth }, // it cuts text at blanks
		open: func(_ context.Context, dir string, _ corpus) (searcher, error) { return openClear(dir) }}
}

// A key of the dictionary is a letter for the field and the value; of numbers and days the level of the block, in units of 16 values, and its
// number above the least.
const (
	clearCode, clearText, clearName = "c", "t", "n"
	levels                          = 5
)

func blockKey(field string, level int, block int64) string {
	letter := "#"
	if field == fieldDay {
		letter = "d"
	}
	return fmt.Sprintf("%s%d:%d", letter, level, block)
}

// offset is where blocks of the field are counted from.
func offset(field string) int64 {
	if field == fieldDay {
		return firstDay
	}
	return 0
}

// cover are the keys of the fewest blocks that make up the range.
func cover(field string, low, high int64) (keys []string) {
	low, high = low-offset(field), high-offset(field)
	for level := 0; low <= high; level++ {
		for ; low <= high && (low%16 != 0 || level == levels-1); low++ {
			keys = append(keys, blockKey(field, level, low))
		}
		for ; low <= high && high%16 != 15; high-- {
			keys = append(keys, blockKey(field, level, high))
		}
		low, high = low/16, (high+1)/16-1
	}
	return keys
}

// clearTerm is where a list is: Roaring's bytes, and of a text one byte of impact for each row behind them.
type clearTerm struct {
	at         int64
	size, rows int
}

func clearFill(_ context.Context, dir string, c corpus) error {
	lists := map[string][]uint32{}
	impacts := map[string][]byte{}
	var ids []string
	for r, err := range c.records {
		if err != nil {
			return err
		}
		row := uint32(len(ids))
		ids = append(ids, r.id)
		post := func(key string) { lists[key] = append(lists[key], row) }
		for _, code := range r.codes {
			post(clearCode + code)
		}
		if r.name != "" {
			post(clearName + r.name)
		}
		for _, v := range []struct {
			field string
			n     int64
			has   bool
		}{{fieldNumber, r.number, r.number >= 0}, {fieldDay, r.day, r.day != noDay}} {
			for level, block := 0, v.n-offset(v.field); v.has && level < levels; level, block = level+1, block/16 {
				post(blockKey(v.field, level, block))
			}
		}
		some := strings.Fields(r.text)
		length := len(some)
		slices.Sort(some)
		for i := 0; i < len(some); {
			from := i
			for ; i < len(some) && some[i] == some[from]; i++ {
			}
			key := clearText + some[from]
			post(key)
			impacts[key] = append(impacts[key], clearImpact(i-from, length))
		}
	}
	return errors.Join(writeClear(dir, lists, impacts), writeIDs(dir, ids))
}

// clearImpact is BM25's share of the document in a byte, as the specification of veilchart has it.
func clearImpact(tf, length int) byte {
	x := float64(tf) / (float64(tf) + 0.3 + 0.9*float64(length)/64)
	return byte(max(1, math.Round(255*x)))
}

func writeFile(dir, name string, write func(w *bufio.Writer) error) (err error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(w), w.Flush()); err != nil {
		return err
	}
	return f.Sync()
}

func writeClear(dir string, lists map[string][]uint32, impacts map[string][]byte) error {
	keys := make([]string, 0, len(lists))
	for key := range lists {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var dictionary []byte
	err := writeFile(dir, "lists", func(w *bufio.Writer) error {
		for _, key := range keys {
			m := roaring.BitmapOf(lists[key]...)
			m.RunOptimize()
			n, err := m.WriteTo(w)
			if err != nil {
				return err
			}
			if _, err := w.Write(impacts[key]); err != nil {
				return err
			}
			dictionary = binary.AppendUvarint(dictionary, uint64(len(key)))
			dictionary = append(dictionary, key...)
			dictionary = binary.AppendUvarint(dictionary, uint64(n))
			dictionary = binary.AppendUvarint(dictionary, uint64(len(lists[key])))
		}
		return nil
	})
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "dictionary"), dictionary, 0o600))
}

// roaringSize is how many bytes Roaring writes of the rows.
func roaringSize(rows []uint32) uint64 {
	m := roaring.BitmapOf(rows...)
	m.RunOptimize()
	return m.GetSerializedSizeInBytes()
}

func writeIDs(dir string, ids []string) error {
	return writeFile(dir, "ids", func(w *bufio.Writer) error {
		for _, id := range ids {
			if _, err := w.Write(append(binary.AppendUvarint(nil, uint64(len(id))), id...)); err != nil {
				return err
			}
		}
		return nil
	})
}

type clearSearcher struct {
	lists, ids *os.File
	dictionary map[string]clearTerm
	rows       []int64 // where IDs begin
	names      []string
	words      *vellum.FST // of names
	automata   [3]*levenshtein.LevenshteinAutomatonBuilder
}

func openClear(dir string) (_ *clearSearcher, err error) {
	s := &clearSearcher{dictionary: map[string]clearTerm{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.lists, err = os.Open(filepath.Join(dir, "lists")); err != nil {
		return nil, err
	}
	if s.ids, err = os.Open(filepath.Join(dir, "ids")); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "dictionary"))
	if err != nil {
		return nil, err
	}
	at := int64(0)
	for len(b) > 0 {
		n, w := binary.Uvarint(b)
		key := string(b[w : w+int(n)])
		b = b[w+int(n):]
		size, w := binary.Uvarint(b)
		rows, v := binary.Uvarint(b[w:])
		b = b[w+v:]
		s.dictionary[key] = clearTerm{at, int(size), int(rows)}
		at += int64(size)
		if key[:1] == clearText {
			at += int64(rows)
		}
		if name, ok := strings.CutPrefix(key, clearName); ok {
			s.names = append(s.names, name)
		}
	}
	if b, err = io.ReadAll(s.ids); err != nil {
		return nil, err
	}
	for at := 0; at < len(b); {
		s.rows = append(s.rows, int64(at))
		n, w := binary.Uvarint(b[at:])
		at += w + int(n)
	}
	s.rows = append(s.rows, int64(len(b)))
	return s, s.buildWords()
}

func (s *clearSearcher) buildWords() error {
	var out strings.Builder
	b, err := vellum.New(&out, nil)
	if err != nil {
		return err
	}
	for i, name := range s.names {
		if err := b.Insert([]byte(name), uint64(i)); err != nil {
			return err
		}
	}
	if err := b.Close(); err != nil {
		return err
	}
	for edits := uint8(1); edits <= 2; edits++ {
		if s.automata[edits], err = levenshtein.NewLevenshteinAutomatonBuilder(edits, true); err != nil {
			return err
		}
	}
	s.words, err = vellum.Load([]byte(out.String()))
	return err
}

func (s *clearSearcher) close() error {
	var err error
	for _, f := range []*os.File{s.lists, s.ids} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// list reads the list of a key, with impacts if there are some; an empty one if the key is not there.
func (s *clearSearcher) list(key string, impacts bool) (*roaring.Bitmap, []byte, error) {
	t, ok := s.dictionary[key]
	if !ok {
		return roaring.New(), nil, nil
	}
	size := t.size
	if impacts {
		size += t.rows
	}
	b := make([]byte, size)
	if _, err := s.lists.ReadAt(b, t.at); err != nil {
		return nil, nil, err
	}
	m := roaring.New()
	_, err := m.FromBuffer(b[:t.size])
	return m, b[t.size:], err
}

func (s *clearSearcher) union(keys []string) (*roaring.Bitmap, error) {
	var all []*roaring.Bitmap
	for _, key := range keys {
		m, _, err := s.list(key, false)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return roaring.FastOr(all...), nil
}

// match are the rows that match.
func (s *clearSearcher) match(q question) (*roaring.Bitmap, error) {
	var sets []*roaring.Bitmap
	for _, w := range q.words {
		m, _, err := s.list(clearText+w, false)
		if err != nil {
			return nil, err
		}
		sets = append(sets, m)
	}
	switch q.kind {
	case kindTerm:
		return sets[0], nil
	case kindBool:
		return roaring.AndNot(roaring.And(sets[0], roaring.Or(sets[1], sets[2])), sets[3]), nil
	case kindRanked:
		return roaring.FastOr(sets...), nil
	case kindRange:
		return s.union(cover(q.field, q.low, q.high))
	case kindPrefix:
		from, _ := slices.BinarySearch(s.names, q.text)
		var keys []string
		for _, name := range s.names[from:] {
			if !strings.HasPrefix(name, q.text) {
				break
			}
			keys = append(keys, clearName+name)
		}
		return s.union(keys)
	case kindFuzzy:
		automaton, err := s.automata[q.edits].BuildDfa(q.text, uint8(q.edits))
		if err != nil {
			return nil, err
		}
		var keys []string
		at, err := s.words.Search(automaton, nil, nil)
		for ; err == nil; err = at.Next() {
			name, _ := at.Current()
			keys = append(keys, clearName+string(name))
		}
		if !errors.Is(err, vellum.ErrIteratorDone) {
			return nil, err
		}
		return s.union(keys)
	}
	return nil, fmt.Errorf("there is no kind %q", q.kind)
}

func (s *clearSearcher) id(row uint32) (string, error) {
	b := make([]byte, s.rows[row+1]-s.rows[row])
	if _, err := s.ids.ReadAt(b, s.rows[row]); err != nil {
		return "", err
	}
	_, w := binary.Uvarint(b)
	return string(b[w:]), nil
}

func (s *clearSearcher) search(_ context.Context, q question) (found, error) {
	if q.kind == kindRanked {
		return s.ranked(q)
	}
	m, err := s.match(q)
	if err != nil {
		return found{}, err
	}
	f := found{total: int(m.GetCardinality())}
	for it := m.Iterator(); len(f.ids) < firstPage && it.HasNext(); {
		id, err := s.id(it.Next())
		if err != nil {
			return found{}, err
		}
		f.ids = append(f.ids, id)
	}
	return f, nil
}

// scored is a row with its score.
type scored struct {
	row   uint32
	score float64
}

// ranked adds impacts times inverse document frequencies and keeps the best.
func (s *clearSearcher) ranked(q question) (found, error) {
	docs := float64(len(s.rows) - 1)
	var all []scored
	for _, w := range q.words {
		m, impacts, err := s.list(clearText+w, true)
		if err != nil {
			return found{}, err
		}
		n := float64(m.GetCardinality())
		idf := math.Log(1 + (docs-n+0.5)/(n+0.5))
		more := make([]scored, len(impacts))
		for i, row := range m.ToArray() {
			more[i] = scored{row, idf * float64(impacts[i])}
		}
		all = add(all, more)
	}
	f := found{total: len(all)}
	var best []scored
	for _, x := range all {
		if len(best) == firstPage && x.score <= best[firstPage-1].score {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, x, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.row, b.row)) })
		best = slices.Insert(best[:min(len(best), firstPage-1)], min(at, firstPage-1, len(best)), x)
	}
	for _, x := range best {
		id, err := s.id(x.row)
		if err != nil {
			return found{}, err
		}
		f.ids = append(f.ids, id)
	}
	return f, nil
}

// add merges two lists of rows, the scores of a row in both being added.
func add(a, b []scored) []scored {
	if len(a) == 0 {
		return b
	}
	out := make([]scored, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].row < b[0].row:
			out, a = append(out, a[0]), a[1:]
		case a[0].row > b[0].row:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, scored{a[0].row, a[0].score + b[0].score})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func (s *clearSearcher) all(_ context.Context, q question, _ int) ([]string, error) {
	m, err := s.match(q)
	if err != nil {
		return nil, err
	}
	var ids []string
	for it := m.Iterator(); it.HasNext(); {
		id, err := s.id(it.Next())
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}
