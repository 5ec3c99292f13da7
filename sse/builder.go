package sse

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// builder collects the rows and postings of one full segment in memory: some five bytes for each posting and a map entry for each term.
// In the end a counting sort turns the sequence of documents into lists of terms.
type builder struct {
	schema Schema
	docs   []row
	tombs  []row
	hidden map[uint32]bool // documents that cannot be found by ID, as another row of the segment has it

	numbers map[term]uint32 // of each term, counted from 0 in the order of their first appearance
	terms   []termCount     // by number

	// stream is the postings in the order in which they came: the number of a row with its highest bit set, then the numbers of terms that it has.
	stream    chunks[uint32]
	impacts   chunks[byte] // of those postings whose terms have impacts
	positions chunks[byte] // of those postings whose terms have positions, encoded
	current   uint32       // the row that stream is at
	scratch   []byte
	fault     error // the first posting without what its term must have: its segment could not be read
}

// rowMark is the highest bit of the number of a row in builder.stream.
const rowMark = 1 << 31

// termCount is what a builder counts of a term.
type termCount struct {
	term               term
	rows               uint32
	positionBytes      int
	impacts, positions bool
}

func newBuilder(schema Schema) *builder {
	return &builder{schema: schema, numbers: make(map[term]uint32), current: math.MaxUint32}
}

// addDoc adds a document and returns its row. Tombstones are numbered after all documents; see addTomb.
func (b *builder) addDoc(r row) uint32 {
	b.docs = append(b.docs, r)
	return uint32(len(b.docs) - 1)
}

// addTomb adds a tombstone and returns its number among the tombstones.
func (b *builder) addTomb(r row) uint32 {
	b.tombs = append(b.tombs, r)
	return uint32(len(b.tombs) - 1)
}

// add adds a document with its postings, or a tombstone.
func (b *builder) add(d document) {
	if d.tomb {
		b.addTomb(d.row)
		return
	}
	r := b.addDoc(d.row)
	for i := range d.postings {
		p := &d.postings[i]
		n := b.number(p.term)
		b.scratch = b.scratch[:0]
		if b.terms[n].positions {
			b.scratch = appendPositions(b.scratch, p.positions)
		}
		b.post(r, n, p.impact, b.scratch)
	}
}

// number is the number of a term, which may be new.
func (b *builder) number(t term) uint32 {
	n, ok := b.numbers[t]
	if !ok {
		n = uint32(len(b.terms))
		t = term(strings.Clone(string(t))) // it may be cut from something larger
		b.numbers[t] = n
		impacts, positions := b.schema.aux(t)
		b.terms = append(b.terms, termCount{term: t, impacts: impacts, positions: positions})
	}
	return n
}

// post adds a posting, its positions encoded. The rows of a term ascend. The impact is ignored where the term has none, and so are the positions.
func (b *builder) post(row, n uint32, impact uint8, positions []byte) {
	if row != b.current {
		b.current = row
		b.stream.add(row | rowMark)
	}
	b.stream.add(n)
	t := &b.terms[n]
	t.rows++
	if b.fault == nil && (t.impacts && impact == 0 || t.positions && len(positions) < 2) {
		b.fault = fmt.Errorf("sse: a word of field %q has no impact or no positions, and its field wants them: nothing was written: report it", t.term.field())
	}
	if t.impacts {
		b.impacts.add(impact)
	}
	if t.positions {
		b.positions.add(positions...)
		t.positionBytes += len(positions)
	}
}

// chunks is a long sequence in pieces that never move: a slice needs room for more than two of itself when it grows.
type chunks[T any] struct {
	list [][]T
}

// The lengths of chunks.
const (
	chunkLeast = 1 << 8
	chunkMost  = 1 << 18
)

// add appends values, which come to lie in one piece.
func (c *chunks[T]) add(v ...T) {
	last := len(c.list) - 1
	if last < 0 || cap(c.list[last])-len(c.list[last]) < len(v) {
		size := chunkLeast
		if last >= 0 {
			size = min(2*cap(c.list[last]), chunkMost)
		}
		c.list = append(c.list, make([]T, 0, max(size, len(v))))
		last++
	}
	c.list[last] = append(c.list[last], v...)
}

// front is the first values that drop left, as many as lie together; nil if there are none.
func (c *chunks[T]) front() []T {
	for len(c.list) > 0 && len(c.list[0]) == 0 {
		c.list[0] = nil // for the garbage collector
		c.list = c.list[1:]
	}
	if len(c.list) == 0 {
		return nil
	}
	return c.list[0]
}

// drop takes n values away from front.
func (c *chunks[T]) drop(n int) { c.list[0] = c.list[0][n:] }

// sortedLists are the lists of all terms, by number of the term: those of term n are between starts n and n+1.
type sortedLists struct {
	rows       []uint32
	rowsAt     []int
	impacts    []byte
	impactsAt  []int
	positions  []byte
	positionAt []int
}

// sort is the counting sort. It takes the stream apart.
func (b *builder) sort() *sortedLists {
	n := len(b.terms)
	l := &sortedLists{rowsAt: make([]int, n+1), impactsAt: make([]int, n+1), positionAt: make([]int, n+1)}
	for i := range b.terms {
		t := &b.terms[i]
		impacts := 0
		if t.impacts {
			impacts = int(t.rows)
		}
		l.rowsAt[i+1], l.impactsAt[i+1], l.positionAt[i+1] = l.rowsAt[i]+int(t.rows), l.impactsAt[i]+impacts, l.positionAt[i]+t.positionBytes
	}
	l.rows, l.impacts, l.positions = make([]uint32, l.rowsAt[n]), make([]byte, l.impactsAt[n]), make([]byte, l.positionAt[n])
	// The places where the next posting of a term goes.
	rows, impacts, positions := slices.Clone(l.rowsAt), slices.Clone(l.impactsAt), slices.Clone(l.positionAt)
	row := uint32(0)
	for {
		chunk := b.stream.front()
		if chunk == nil {
			break
		}
		for _, v := range chunk {
			if v&rowMark != 0 {
				row = v &^ rowMark
				continue
			}
			l.rows[rows[v]] = row
			rows[v]++
			t := &b.terms[v]
			if t.impacts {
				l.impacts[impacts[v]] = b.impacts.front()[0]
				impacts[v]++
				b.impacts.drop(1)
			}
			if t.positions {
				from := b.positions.front()
				k := skipPositions(from)
				copy(l.positions[positions[v]:], from[:k])
				positions[v] += k
				b.positions.drop(k)
			}
		}
		b.stream.drop(len(chunk))
	}
	return l
}

// arranged is what a segment is made of before it has keys.
type arranged struct {
	segment // its numbers, as far as they do not depend on keys
	lists   *sortedLists
	counts  []termCount
	order   []uint32 // numbers of terms, in the order of the terms
	vocabs  [][]byte
	columns [][]byte
	terms   []byte
	rows    []row
	hidden  map[uint32]bool
	firsts  []uint32
}

// arrange decides what does not depend on keys. The builder is empty afterwards.
func (b *builder) arrange() (*arranged, error) {
	if b.fault != nil {
		return nil, b.fault
	}
	a := &arranged{rows: append(b.docs[:len(b.docs):len(b.docs)], b.tombs...), counts: b.terms, hidden: b.hidden}
	a.form, a.docs, a.segment.rows = formFull, uint32(len(b.docs)), uint32(len(a.rows))
	if len(a.rows) > maxRows {
		return nil, fmt.Errorf("sse: %w: %d rows, a segment takes %d: write smaller batches", ErrBatch, len(a.rows), maxRows)
	}
	a.lists = b.sort()
	for _, t := range b.terms {
		if t.positionBytes > maxAux {
			return nil, fmt.Errorf("sse: %w: a word has %d bytes of positions, %d are the limit: write smaller batches", ErrBatch, t.positionBytes, maxAux)
		}
	}
	b.numbers, b.docs, b.tombs, b.hidden = nil, nil, nil, nil
	a.order = make([]uint32, len(a.counts))
	for i := range a.order {
		a.order[i] = uint32(i)
	}
	slices.SortFunc(a.order, func(x, y uint32) int { return strings.Compare(string(a.counts[x].term), string(a.counts[y].term)) })
	if err := a.words(b.schema); err != nil {
		return nil, err
	}
	if err := a.makeColumns(b.schema); err != nil {
		return nil, err
	}
	a.firsts = packRows(a.rows)
	a.rowPages = uint32(len(a.firsts))
	a.directory = (a.rowPages + directoryOf - 1) / directoryOf
	return a, nil
}

// words builds the vocabularies, and the list of all terms that are in none.
func (a *arranged) words(schema Schema) error {
	words := make([][]string, 0, len(schema.Fields))
	var fields []uint16
	last := term("")
	for _, n := range a.order {
		t := a.counts[n].term
		field, word, ok := schema.vocabularyWord(t)
		if !ok {
			a.terms = appendTerm(a.terms, last, t)
			last = t
			continue
		}
		i := slices.Index(fields, field)
		if i < 0 {
			i = len(fields)
			fields, words = append(fields, field), append(words, nil)
		}
		words[i] = append(words[i], word)
	}
	if len(a.terms) > maxTerms {
		return fmt.Errorf("sse: %w: the list of terms has %d bytes, %d is the limit: write smaller batches", ErrBatch, len(a.terms), maxTerms)
	}
	a.segment.terms = uint32(len(a.terms))
	for _, field := range slices.Sorted(slices.Values(fields)) {
		w := words[slices.Index(fields, field)]
		slices.Sort(w)
		v, err := encodeVocab(w)
		if err != nil {
			return err
		}
		if len(v) > maxVocab {
			return fmt.Errorf("sse: %w: the vocabulary of field %q has %d bytes, %d is the limit: write smaller batches", ErrBatch, schema.fieldName(field), len(v), maxVocab)
		}
		a.segment.vocabs = append(a.segment.vocabs, fieldStream{field, uint32(len(v))})
		a.vocabs = append(a.vocabs, v)
	}
	return nil
}

// makeColumns builds the columns of the fields that hits are sorted by, and that some document has a value in.
func (a *arranged) makeColumns(schema Schema) error {
	for _, field := range schema.sortFields() {
		keys, has := make([]sortKey, a.docs), make([]bool, a.docs)
		for i := range keys {
			var err error
			if keys[i], has[i], err = schema.sortKey(field, a.rows[i].values); err != nil {
				return fmt.Errorf("sse: the values of document %q: %w", a.rows[i].id, err)
			}
		}
		if !slices.Contains(has, true) {
			continue
		}
		encode := encodeNumbers
		if schema.sortsWords(field) {
			encode = encodeWords
		}
		c := encode(keys, has)
		if len(c) > maxColumn {
			return fmt.Errorf("sse: %w: the column of field %q has %d bytes, %d is the limit: write smaller batches", ErrBatch, schema.fieldName(field), len(c), maxColumn)
		}
		a.segment.columns = append(a.segment.columns, fieldStream{field, uint32(len(c))})
		a.columns = append(a.columns, c)
	}
	return nil
}
