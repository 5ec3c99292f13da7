package sse

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzIndex indexes a text in fields of every kind. Whatever the text, the document is found by all of it, and by its parts.
func FuzzIndex(f *testing.F) {
	for _, seed := range []string{"O'Brien-Müller", "高血圧と糖尿病 HbA1c", "王小明 Wang", strings.Join(pieces, ""), strings.Repeat("jrsrzck", 20), "ﷺ", "\u0301\u0301a", "糖\n尿"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, text, part string) {
		if len(text) > 300 || len(part) > 300 {
			return // the invariants are the same, and minimising is quick
		}
		for _, field := range matchSchema.Fields {
			values := Fields{field.Name: {String(text)}}
			if _, _, err := matchSchema.index(&Document{Fields: values}); err != nil {
				require.ErrorIs(t, err, ErrSchema)
				require.True(t, field.Type == Keyword || !utf8.ValidString(text))
				continue
			}
			d := indexDocument(t, matchSchema, values)
			kinds := []string{"term"}
			if field.Type == Text || field.Type == Name {
				if len(textWords(text, forQuery)) == 0 || len(textWords(text, forQuery)) > maxQueryWords {
					continue
				}
				kinds = append(kinds, "phrase", "prefix")
			}
			if field.Type == Name {
				kinds = append(kinds, "sounds")
			}
			if _, _, err := matchSchema.substringTerms(field.Name, text); err == nil {
				kinds = append(kinds, "substring")
			} else {
				require.ErrorContains(t, err, "too short")
			}
			for _, kind := range kinds {
				require.True(t, d.matches(t, kind, field.Name, text), "%s in %s", kind, field.Name)
			}
			// Other queries give an error or terms, and end.
			_, err := matchSchema.wildcard(field.Name, part)
			if err == nil {
				d.matches(t, "wildcard", field.Name, part)
			} else {
				require.ErrorIs(t, err, ErrSchema)
			}
			for _, ask := range []func() error{
				func() error { _, err := matchSchema.queryTerms(field.Name, String(part)); return err },
				func() error { _, err := matchSchema.phraseWords(field.Name, part); return err },
				func() error { _, err := matchSchema.soundTerms(field.Name, part); return err },
			} {
				if err := ask(); err != nil {
					require.ErrorIs(t, err, ErrSchema)
				}
			}
			if _, _, err := matchSchema.substringTerms(field.Name, part); err == nil {
				require.Equal(t, strings.Contains(foldText(d.values[field.Name][0].text), foldText(part)), d.matches(t, "substring", field.Name, part))
			}
		}
	})
}

// FuzzDecimal: what is read is shown as it was meant, and nothing is read twice.
func FuzzDecimal(f *testing.F) {
	for _, seed := range []string{"12.50", "-0.25", "+7", "9223372036854775807", "-9.223372036854775808", "1e3", "00.10"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseDecimal(text)
		if err != nil {
			require.ErrorIs(t, err, ErrSchema)
			return
		}
		again, err := ParseDecimal(v.String())
		require.NoError(t, err)
		require.Equal(t, v, again)
		whole, fraction, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
		plain := strings.TrimLeft(whole, "0")
		if plain == "" {
			plain = "0"
		}
		if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
			plain += "." + fraction
		}
		if text[0] == '-' && plain != "0" {
			plain = "-" + plain
		}
		require.Equal(t, plain, v.String())
	})
}
