package sse

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wardSchema has a field of every kind.
func wardSchema(t testing.TB) Schema {
	t.Helper()
	s := Schema{Fields: []Field{
		{Name: "name", Type: Text, Prefix: true, Fuzzy: true},
		{Name: "note", Type: Text},
		{Name: "code", Type: Keyword, Prefix: true},
		{Name: "bmi", Type: Integer, Min: 0, Max: 255},
		{Name: "any", Type: Integer, Min: math.MinInt64, Max: math.MaxInt64},
		{Name: "born", Type: Date, Min: DayNumber(date(1880, 1, 1)), Max: DayNumber(date(2100, 12, 31))},
		{Name: "when", Type: Date},
	}}
	require.NoError(t, s.Validate())
	return s
}

func date(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func TestTextWords(t *testing.T) {
	for _, c := range []struct{ text, words string }{
		{"Hypertension, essential (primary)", "hypertension|essential|primary"},
		{"Müller-Lüdenscheidt, STRASSE straße", "muller|ludenscheidt|strasse|strasse"},
		{"O'Brien O’Brien Oʼbrien", "o|brien|o|brien|o|brien"},
		{"Sørensen Łódź Đorđević Æsir Œuvre Þór", "sorensen|lodz|dordevic|aesir|oeuvre|thor"},
		{"İstanbul Iğdır ılık", "istanbul|igdir|ilik"},
		{"ΟΔΥΣΣΕΥΣ Οδυσσεύς", "οδυσσευσ|οδυσσευσ"},
		{"Ёлка ёлка Йод йод ї ѓ ќ за́мок", "елка|елка|йод|йод|ї|ѓ|ќ|замок"},
		{"ﬁeber Ｆｕｌｌ ① x²", "fieber|full|1|x2"},
		{"3.14 mmHg 1,000 HER2+ B_12", "3.14|mmhg|1,000|her2|b_12"},
		{"soft\u00adhyphen zero\u200bwidth می\u200cخواهم", "softhyphen|zerowidth|میخواهم"},
		{"أحمد إحمد آمنة مُحَمَّد مـحـمد", "احمد|احمد|امنة|محمد|محمد"},
		{"שָׁלוֹם", "שלום"},
		{"हिन्दी", "हिन्दी"},
		{"高血圧", "高血|血圧"},
		{"王", "王"},
		{"ｶﾞﾝ カルテー", "ガン|カル|ルテ|テー"},
		{"당뇨병", "당뇨|뇨병"},
		{"ผู้ป่วย", "ผู้ป่|ป่ว|วย"},
		{"CT検査 2回", "ct|検査|2|回"},
		{"  --- …_ _ 🙂 ", ""},
		{"_under_score_", "under_score"},
		{"a\u0378b", "a|b"}, // not assigned
	} {
		assert.Equal(t, c.words, strings.Join(textWords(c.text, forQuery), "|"), "%q", c.text)
	}
	assert.Equal(t, []string{"高", "血", "高血", "圧", "血圧"}, textWords("高血圧", forIndex))
}
