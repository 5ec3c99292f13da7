package abe

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func vocabulary(t require.TestingT, text string) *Vocabulary {
	v, err := ParseVocabulary(text)
	require.NoError(t, err)
	return v
}

const wardVocabulary = "age: number 0..150\nborn: date 1900-01-01..2100-12-31\ndept: many of cardiology, \"intensive care\", psychiatry\non-call: flag\nproject: text\nrole: one of biller, doctor, nurse\n"

func TestExpandWard(t *testing.T) {
	v := vocabulary(t, wardVocabulary)
	require.Equal(t, wardVocabulary, v.String())
	items, err := v.items(attributes(t, "age = 42", "role = doctor", "dept = cardiology", "on-call"))
	require.NoError(t, err)
	held := map[atom]bool{}
	for _, item := range items {
		decoded, err := decodeItem([]byte(item))
		require.NoError(t, err)
		require.Equal(t, item, decoded)
		for _, a := range itemAtoms(item) {
			held[a] = true
		}
	}
	for text, want := range map[string]bool{
		"age >= 18": true, "age > 42": false, "age in 18..65": true, "not age in 18..65": false, "age != 42": false, "age in (1, 42)": true,
		"role != nurse": true, "not role = doctor": false, "dept != psychiatry": true, "not dept = cardiology": false,
		"on-call and not (role = nurse or dept = psychiatry)": true, "not 2 of (role = doctor, age < 18, dept = cardiology)": false,
	} {
		p, err := ParsePolicy(text)
		require.NoError(t, err)
		f, err := p.expand(v)
		require.NoError(t, err, text)
		_, ok := f.satisfy(func(a atom) bool { return held[a] })
		require.Equal(t, want, ok, text)
		var key []Attribute
		for _, item := range items {
			key = append(key, itemAttribute(item))
		}
		require.Equal(t, want, Explain(p, v, key).Granted, text)
	}
}
