package sse

import (
	"slices"
	"strings"
)

// Daitch-Mokotoff soundex (Gary Mokotoff and Randy Daitch, 1985; rules at www.avotaynu.com/soundex.htm): six digits for the consonants of a
// surname, made for names that came through several languages and spellings. Letters that can sound in two ways give several codes.

// A soundRule says what letters give: at the beginning of the word, before a vowel, and elsewhere. A bar parts alternatives.
type soundRule struct {
	letters, first, vowel, other string // letters: spellings with the same sound
}

var soundRules = [...]soundRule{
	{"ai aj ay ei ej ey oi oj oy ui uj uy", "0", "1", ""},
	{"au", "0", "7", ""},
	{"eu", "1", "1", ""},
	{"ia ie io iu", "1", "", ""},
	{"a e i o u", "0", "", ""},
	{"ue", "0", "1", ""},
	{"y", "1", "", ""},
	{"j", "1|4", "|4", "|4"},
	{"b f p v w fb pf ph", "7", "7", "7"},
	{"c ch", "4|5", "4|5", "4|5"},
	{"ck", "5|45", "5|45", "5|45"},
	{"chs ks x", "5", "54", "54"},
	{"g k kh q", "5", "5", "5"},
	{"h", "5", "5", ""},
	{"d t dt th", "3", "3", "3"},
	{"l", "8", "8", "8"},
	{"m n", "6", "6", "6"},
	{"mn nm", "66", "66", "66"},
	{"r", "9", "9", "9"},
	{"rs rz", "4|94", "4|94", "4|94"},
	{"s z cs csz cz czs drs drz ds dsh dsz dz dzh dzs sch sh", "4", "4", "4"},
	{"tc tch trs trz ts tsch tsh tsz ttch tts ttsch ttsz ttz tz tzs zh zs zsch zsh", "4", "4", "4"},
	{"sc schtch schtsch schtsh shch shtch shtsh stch strs strz stsch stsh szcs szcz zdz zdzh zhdzh", "2", "4", "4"},
	{"schd scht sd shd sht st szd szt zd zhd", "2", "43", "43"},
}

const (
	soundDigits  = 6
	maxSpelling  = 7  // letters of the longest spelling
	maxSounds    = 64 // codes of a word; real names have up to eight
	soundLetters = 64 // letters of a word that count; six digits are full long before
)

// ruleOf is the rule of the longest spelling at the front.
func ruleOf(letters string) (rule soundRule, n int) {
	for n = min(maxSpelling, len(letters)); n > 0; n-- {
		if i, ok := soundSpellings[letters[:n]]; ok {
			return soundRules[i], n
		}
	}
	return soundRule{}, 1
}

// soundSpellings says which rule a spelling has.
var soundSpellings = func() map[string]int {
	spellings := make(map[string]int)
	for i, rule := range soundRules {
		for spelling := range strings.FieldsSeq(rule.letters) {
			spellings[spelling] = i
		}
	}
	return spellings
}()

// daitchMokotoff are the codes of a folded word, distinct: none if it has no letter a to z, or only vowels, which have one code for all.
func daitchMokotoff(word string) []string {
	letters := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r
		}
		return -1
	}, word)
	letters = letters[:min(len(letters), soundLetters)]

	// A branch is the digits of one way to say what was read, and what the last letters gave: the same again is not written twice.
	type branch struct{ digits, last string }
	branches := []branch{{last: "-"}}
	before := byte(0)
	for i := 0; i < len(letters); {
		rule, n := ruleOf(letters[i:])
		sounds := rule.other
		if i == 0 {
			sounds = rule.first
		} else if i+n < len(letters) && strings.IndexByte("aeiou", letters[i+n]) >= 0 {
			sounds = rule.vowel
		}
		again := before == 'm' && letters[i] == 'n' || before == 'n' && letters[i] == 'm'
		var next []branch
		for _, b := range branches {
			for sound := range strings.SplitSeq(sounds, "|") {
				to := branch{b.digits, sound}
				if again || !strings.HasSuffix(b.last, sound) {
					to.digits += sound
					to.digits = to.digits[:min(len(to.digits), soundDigits)]
				}
				if len(next) < maxSounds && !slices.Contains(next, to) {
					next = append(next, to)
				}
			}
		}
		branches = next
		before = letters[i]
		i += n
	}
	var codes []string
	for _, b := range branches {
		code := b.digits + "000000"[len(b.digits):]
		if strings.Trim(code, "0") != "" && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}
