package sse

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"unicode/utf8"
)

// The values of the fields with Stored, as a row keeps them. docs/spec/sse-analysis.md, section Stored values.

var errValues = errors.New("its stored values do not decode")

// encodeValues encodes the values of the fields with Stored, which were checked; nothing if there are none.
func (s Schema) encodeValues(fields Fields) ([]byte, error) {
	type numbered struct {
		number uint16
		field  *Field
	}
	var kept []numbered
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Stored && len(fields[f.Name]) > 0 {
			n, _ := s.number(f.Name)
			kept = append(kept, numbered{n, f})
		}
	}
	slices.SortFunc(kept, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	var b []byte
	for _, k := range kept {
		values := fields[k.field.Name]
		b = binary.AppendUvarint(b, uint64(k.number))
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, v := range values {
			v, err := k.field.check(v)
			if err != nil {
				return nil, err
			}
			if k.field.Type.ranged() {
				n, err := k.field.number(v)
				if err != nil {
					return nil, err
				}
				lo, _ := k.field.bounds()
				b = binary.AppendUvarint(b, uint64(n)-uint64(lo))
				continue
			}
			b = binary.AppendUvarint(b, uint64(len(v.text)))
			b = append(b, v.text...)
		}
	}
	return b, nil
}

// eachValue decodes what encodeValues wrote and calls visit for every value, with the bytes of a text or the number of the others. It takes
// nothing but the one encoding.
func (s Schema) eachValue(b []byte, visit func(number uint16, f *Field, text []byte, n int64)) error {
	last := -1
	for len(b) > 0 {
		number, n := shortUvarint(b)
		count, m := shortUvarint(b[n:])
		if n == 0 || m == 0 || number > 1<<16-1 || int(number) <= last {
			return errValues
		}
		b = b[n+m:]
		last = int(number)
		var f *Field
		for i := range s.Fields {
			if got, _ := s.number(s.Fields[i].Name); got == uint16(number) {
				f = &s.Fields[i]
			}
		}
		// Every value takes a byte.
		if f == nil || !f.Stored || count == 0 || count > uint64(len(b)) || f.Sort && count > 1 {
			return errValues
		}
		for range count {
			v, n := shortUvarint(b)
			if n == 0 {
				return errValues
			}
			b = b[n:]
			if f.Type.ranged() {
				lo, hi := f.bounds()
				if v > uint64(hi)-uint64(lo) {
					return errValues
				}
				visit(uint16(number), f, nil, int64(uint64(lo)+v))
				continue
			}
			if v > uint64(len(b)) || !f.keeps(b[:v]) {
				return errValues
			}
			visit(uint16(number), f, b[:v:v], 0)
			b = b[v:]
		}
	}
	return nil
}

// keeps says whether a text is one that the field stores.
func (f *Field) keeps(text []byte) bool {
	if f.Substring && len(text) > MaxKeyword {
		return false
	}
	switch f.Type {
	case Bytes:
		return len(text) > 0 && len(text) <= MaxBytes
	case Keyword:
		word, err := f.keyword(String(string(text)))
		return err == nil && word == string(text)
	}
	return len(text) <= MaxText && utf8.Valid(text)
}

// decodeValues is the inverse of encodeValues. Keywords are in normal form, times in UTC and whole seconds.
func decodeValues(s Schema, b []byte) (Fields, error) {
	fields := make(Fields)
	err := s.eachValue(b, func(_ uint16, f *Field, text []byte, n int64) {
		v := f.value(n)
		if !f.Type.ranged() {
			v = Value{kind: f.Type.takes(), text: string(text)}
		}
		fields[f.Name] = append(fields[f.Name], v)
	})
	if err != nil {
		return nil, err
	}
	return fields, nil
}

// sortFields are the numbers of the fields with Sort, ascending.
func (s Schema) sortFields() []uint16 {
	var numbers []uint16
	for i := range s.Fields {
		if s.Fields[i].Sort {
			n, _ := s.number(s.Fields[i].Name)
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// sortsWords says whether hits are sorted by words in the field with that number, and not by numbers.
func (s Schema) sortsWords(field uint16) bool {
	f, _ := s.numbered(field)
	return f.Type == Keyword
}

// sortKey is the value that the field with that number has in encoded values; ok is false if it has none.
func (s Schema) sortKey(field uint16, values []byte) (k sortKey, ok bool, err error) {
	err = s.eachValue(values, func(number uint16, f *Field, text []byte, n int64) {
		if number == field {
			k, ok = sortKey{word: string(text), number: n}, true
		}
	})
	return k, ok, err
}

// A sortKey is what hits are sorted by: a word for Keyword fields, a number for the rest.
type sortKey struct {
	word   string
	number int64
}
