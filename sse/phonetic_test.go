package sse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestDaitchMokotoff has the examples published at www.jewishgen.org/infofiles/soundex.html, www.avotaynu.com/soundex.htm and in
// Wikipedia's article on the algorithm, and those of the tests of Apache Commons Codec.
func TestDaitchMokotoff(t *testing.T) {
	for name, want := range map[string]string{
		"GOLDEN": "583600", "Alpert": "087930", "Breuer": "791900", "Haber": "579000", "Mannheim": "665600", "Mintz": "664000", "Topf": "370000",
		"Kleinmann": "586660", "BenAron": "769600", "AUERBACH": "097400|097500", "OHRBACH": "097400|097500", "LIPSHITZ": "874400",
		"LIPPSZYC": "874400|874500", "LEWINSKY": "876450", "LEVINSKI": "876450", "SZLAMAWICZ": "486740", "SHLAMOVITZ": "486740",
		"Ceniow": "467000|567000", "Tsenyuv": "467000", "Holubica": "587400|587500", "Golubitsa": "587400", "Przemysl": "746480|794648",
		"Pshemeshil": "746480", "Rosochowaciec": "944744|944745|944754|944755|945744|945745|945754|945755", "Rosokhovatsets": "945744",
		"Peters": "734000|739400", "Peterson": "734600|739460", "Moskowitz": "645740", "Moskovitz": "645740",
		"Jackson": "154600|145460|454600|445460", "JacksonJackson": "154654|154645|154644|145465|145464|454654|454645|454644|445465|445464",
		"Stra\u00dfburg": "294795", "Strasburg": "294795", "\u00c9regon": "095600", "AKSSOL": "054800", "GERSCHFELD": "547830|545783|594783|594578",
		"KINGSMITH": "565463", "Washington": "746536", "OBrien": "079600",
	} {
		assert.ElementsMatch(t, strings.Split(want, "|"), daitchMokotoff(foldText(name)), name)
	}
	assert.Empty(t, daitchMokotoff("aei"), "vowels alone have one code for all")
	assert.Empty(t, daitchMokotoff(""))
	assert.Empty(t, daitchMokotoff("\u0438\u0432\u0430\u043d"))
	assert.LessOrEqual(t, len(daitchMokotoff(strings.Repeat("jbrscrzch", 100))), maxSounds)
}

var nameSchema = Schema{Fields: []Field{{Name: "name", Type: Name, Stored: true}}}

func TestSounds(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"Catherine Meyer", "kathryn maier", true},
		{"Catherine Meyer", "Maier", true},
		{"Catherine Meyer", "Maier Stephen", false},
		{"Schmidt, Jürgen", "Shmitt", true},
		{"Steven O'Brien", "Stephen OBrien", false}, // two words are not one
		{"Steven O'Brien", "Stephen O Brian", true},
		{"Smith", "Jones", false},
		{"王小明", "王晓明", true},
		{"王小明", "Wang Xiaoming", true},
		{"王小明", "xiao ming", true},
		{"王小明", "Wáng Xiǎomíng", true},
		{"王小明", "李小明", false},
		{"Wang Xiaoming", "王小明", true},
		{"Xiao Ming Wang", "王小明", true},
		{"Wang Xiaohong", "王小明", false},
		{"張偉", "张伟", true},                    // traditional and simplified
		{"欧阳修", "Ouyang Xiu", true},           // surname of two characters
		{"曾国藩", "Zeng", true},                 // a character with two readings
		{"曾国藩", "Ceng", true},                 // the other one
		{"吕布", "Lü Bu", true},                 // and not Lv
		{"Ivan Петров", "Петров", true},       // stands for itself
		{"Ivan Петров", "Петрова", false},     //
		{"김철수", "김철수", true},                  //
		{"田中さくら", "さくら", true},                //
		{"Ann 2nd", "2nd", true},              //
		{"Au", "Io", false},                   // vowels alone stand for themselves
		{"Au", "AU", true},                    //
		{"王小明 Wang Xiaoming", "王 Wong", true}, // each word is asked for
	} {
		d := indexDocument(t, nameSchema, Fields{"name": {String(c.name)}})
		assert.Equal(t, c.want, d.matches(t, "sounds", "name", c.text), "%s: %s", c.name, c.text)
	}
	_, err := nameSchema.soundTerms("name", "--")
	require.ErrorContains(t, err, "no word")
	_, err = nameSchema.soundTerms("name", strings.Repeat("a1 b2 ", 40)+strings.Repeat("王", 9000))
	require.NoError(t, err, "repetitions are asked once")
	var many strings.Builder
	for i := range maxQueryWords + 1 {
		fmt.Fprint(&many, i, " ")
	}
	_, err = nameSchema.soundTerms("name", many.String())
	require.ErrorContains(t, err, "has 257 words, 256 is the limit")
	_, err = nameSchema.soundTerms("name", "\xff")
	require.ErrorIs(t, err, ErrSchema)
	_, err = wardSchema(t).soundTerms("note", "x")
	require.ErrorContains(t, err, "type name")
	_, err = nameSchema.soundTerms("none", "x")
	require.ErrorIs(t, err, ErrSchema)
}

// TestSoundsFindThemselves: a name is found by every part of it, in any order.
func TestSoundsFindThemselves(t *testing.T) {
	part := rapid.OneOf(rapid.StringMatching(`[a-zA-Z]{1,12}`), rapid.StringMatching(`[王小明张偉曾单行]{1,4}`), rapid.SampledFrom(pieces), rapid.String())
	rapid.Check(t, func(r *rapid.T) {
		parts := rapid.SliceOfN(part, 1, 6).Draw(r, "parts")
		d := indexDocument(r, nameSchema, Fields{"name": {String(strings.Join(parts, " "))}})
		some := strings.Join(rapid.Permutation(parts).Draw(r, "order")[:rapid.IntRange(1, len(parts)).Draw(r, "some")], " ")
		if len(textWords(some, forQuery)) > 0 {
			require.True(r, d.matches(r, "sounds", "name", some), "%q", some)
		}
	})
}
