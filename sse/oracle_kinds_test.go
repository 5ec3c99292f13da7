package sse

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// The kinds of queries of the oracle: how they are drawn, and what they mean.

// An oracleQuery is a query and what it means.
type oracleQuery struct {
	query  Query
	match  func(oracleDoc) bool
	scored []oracleScore // what documents are ranked by
	exists bool          // it asks whether a field has a value
}

// An oracleScore is a word, or the stem of words, that documents are ranked by.
type oracleScore struct {
	field string
	key   string
}

// An oracleKind makes queries of one kind, of the fields that take them, often from values that documents have.
type oracleKind struct {
	name string
	fits func(Field) bool
	draw func(r *rand.Rand, f Field, known []oracleValue) oracleQuery
}

func anyField(Field) bool { return true }

var oracleKinds = []oracleKind{
	{"term", anyField, drawTerm},
	{"range", hasOrder, drawRange},
	{"prefix", func(f Field) bool { return f.Prefix }, drawPrefix},
	{"wildcard", func(f Field) bool { return f.Prefix }, drawWildcard},
	{"regexp", func(f Field) bool { return f.Prefix }, drawRegexp},
	{"fuzzy", func(f Field) bool { return f.Fuzzy }, drawFuzzy},
	{"substring", func(f Field) bool { return f.Substring }, drawSubstring},
	{"phrase", func(f Field) bool { return f.Phrase }, drawInRow},
	{"sounds", func(f Field) bool { return f.Type == Name }, drawSounds},
	{"exists", anyField, drawExists},
	{"all", anyField, drawAll},
}

// drawQuery makes a tree of queries.
func drawQuery(r *rand.Rand, s Schema, known map[string][]oracleValue, depth int) oracleQuery {
	if depth == 0 || r.IntN(3) == 0 {
		for {
			kind, f := oracleKinds[r.IntN(len(oracleKinds))], s.Fields[r.IntN(len(s.Fields))]
			if kind.fits(f) {
				return kind.draw(r, f, known[f.Name])
			}
		}
	}
	a, b := drawQuery(r, s, known, depth-1), drawQuery(r, s, known, depth-1)
	both := oracleQuery{scored: slices.Concat(a.scored, b.scored), exists: a.exists || b.exists}
	switch r.IntN(4) {
	case 0:
		return oracleQuery{Not(a.query), func(d oracleDoc) bool { return !a.match(d) }, nil, a.exists}
	case 1:
		both.query, both.match = And(a.query, b.query), func(d oracleDoc) bool { return a.match(d) && b.match(d) }
	case 2: // what stands under Not does not rank
		both.query, both.match = And(a.query, Not(b.query)), func(d oracleDoc) bool { return a.match(d) && !b.match(d) }
		both.scored = a.scored
	default:
		both.query, both.match = Or(a.query, b.query), func(d oracleDoc) bool { return a.match(d) || b.match(d) }
	}
	return both
}

// pickValue is mostly a value that a document had.
func pickValue(r *rand.Rand, f Field, known []oracleValue) oracleValue {
	if len(known) > 0 && r.IntN(4) > 0 {
		return known[r.IntN(len(known))]
	}
	return drawOracleValue(r, f)
}

// pickItems are at most so many items in a row, mostly of a value that a document had.
func pickItems(r *rand.Rand, f Field, known []oracleValue, most int) []oracleItem {
	items := pickValue(r, f, known).items
	if len(items) == 0 {
		return drawItems(r, f, most)
	}
	from := r.IntN(len(items))
	return slices.Clone(items[from:min(len(items), from+1+r.IntN(most))])
}

// pickWord is one word of the vocabulary of the field.
func pickWord(r *rand.Rand, f Field, known []oracleValue) string {
	for {
		if t := pickValue(r, f, known).tokens; len(t) > 0 {
			return t[r.IntN(len(t))].word
		}
	}
}

func drawTerm(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	switch f.Type {
	case Keyword:
		v := keywordValue(r, pickValue(r, f, known).text)
		return oracleQuery{query: Term(f.Name, v.value), match: each(f, words(v.tokens), same)}
	case Bytes:
		v := pickValue(r, f, known)
		return oracleQuery{query: Term(f.Name, v.value), match: each(f, words(v.tokens), same)}
	case Text, Name:
		items := pickItems(r, f, known, 2)
		if r.IntN(4) == 0 {
			items = append(items, pickItems(r, f, known, 2)...)
		}
		var stems []string
		q := oracleQuery{query: Term(f.Name, String(spellAll(r, joinItems(r, items))))}
		for _, t := range askedTokens(items) {
			stems = append(stems, stemOf(f, t.word))
			if f.Rank {
				q.scored = append(q.scored, oracleScore{f.Name, stemOf(f, t.word)})
			}
		}
		q.match = each(f, stems, func(_ int, x, w string) bool { return stemOf(f, x) == w })
		return q
	}
	n := pickValue(r, f, known).n
	return oracleQuery{query: Term(f.Name, oracleNumber(f, n)), match: func(d oracleDoc) bool {
		return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool { return v.n == n })
	}}
}

func words(tokens []oracleToken) (list []string) {
	for _, t := range tokens {
		list = append(list, t.word)
	}
	return list
}

// each matches documents that have, for each of the words, one that is like it in the field.
func each(f Field, words []string, like func(i int, word, asked string) bool) func(oracleDoc) bool {
	return func(d oracleDoc) bool {
		for i, w := range words {
			if !d.hasWord(f, func(x string) bool { return like(i, x, w) }) {
				return false
			}
		}
		return true
	}
}

func same(_ int, x, w string) bool { return x == w }

func drawRange(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	a, b := pickValue(r, f, known).n, drawNumber(r, f)
	lo, hi := min(a, b), max(a, b)
	q := Range(f.Name, oracleNumber(f, lo), oracleNumber(f, hi))
	switch r.IntN(4) {
	case 0:
		q, lo = Range(f.Name, Value{}, oracleNumber(f, hi)), math.MinInt64
	case 1:
		q, hi = Range(f.Name, oracleNumber(f, lo), Value{}), math.MaxInt64
	case 2: // an end outside the declared interval is allowed
		if f.Type == Integer && f.Min > math.MinInt64+9 && f.Max < math.MaxInt64-9 {
			lo, hi = lo-int64(r.IntN(9)), hi+int64(r.IntN(9))
			q = Range(f.Name, Int(lo), Int(hi))
		}
	}
	return oracleQuery{query: q, match: func(d oracleDoc) bool {
		return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool { return lo <= v.n && v.n <= hi })
	}}
}

// drawWords makes the text of a query that is not for stems, and the words that it asks for, in order. change is what is done to the last
// word, or to the keyword.
func drawWords(r *rand.Rand, f Field, known []oracleValue, change func([]rune) []rune) (text string, asked []string) {
	if f.Type == Keyword {
		form := string(change([]rune(formOf(pickValue(r, f, known).text))))
		return spellForm(r, piecesOf(form)), []string{form}
	}
	items := pickItems(r, f, known, 2)
	last := &items[len(items)-1]
	if last.run == nil {
		last.word = string(change([]rune(last.word)))
	} else {
		last.run = last.run[:1+r.IntN(len(last.run))]
	}
	return spellAll(r, joinItems(r, items)), words(askedTokens(items))
}

func drawPrefix(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	text, asked := drawWords(r, f, known, func(w []rune) []rune { return w[:1+r.IntN(len(w))] })
	return oracleQuery{query: Prefix(f.Name, text), match: each(f, asked, func(i int, x, w string) bool {
		return x == w || i == len(asked)-1 && strings.HasPrefix(x, w)
	})}
}

func drawFuzzy(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	text, asked := drawWords(r, f, known, func(w []rune) []rune {
		w = slices.Clone(w)
		for range r.IntN(4) {
			switch at := r.IntN(len(w)); r.IntN(4) {
			case 0:
				w = slices.Insert(w, at, rune("abco"[r.IntN(4)]))
			case 1:
				w[at] = rune("abco"[r.IntN(4)])
			case 2:
				if len(w) > 1 {
					w = slices.Delete(w, at, at+1)
				}
			default:
				if at > 0 {
					w[at-1], w[at] = w[at], w[at-1]
				}
			}
		}
		return w
	})
	n := 1 + r.IntN(2)
	return oracleQuery{query: Fuzzy(f.Name, text, n), match: each(f, asked, func(_ int, x, w string) bool { return oracleDistance(x, w) <= n })}
}

func drawWildcard(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	if f.Type != Keyword && r.IntN(3) == 0 {
		return drawWide(r, f, known)
	}
	word := []rune(pickWord(r, f, known))
	for f.Type != Keyword && slices.ContainsFunc(word, func(c rune) bool { return c > 'z' }) {
		word = []rune(pickWord(r, f, known))
	}
	var pattern []rune
	var text strings.Builder
	for _, c := range word {
		switch r.IntN(6) {
		case 0:
			pattern = append(pattern, oracleOne)
			text.WriteByte('?')
			continue
		case 1: // in place of the character, or besides it
			pattern = append(pattern, oracleAny)
			text.WriteByte('*')
			if r.IntN(2) == 0 {
				continue
			}
		}
		pattern = append(pattern, c)
		switch {
		case f.Type != Keyword:
			text.WriteString(oraclePiece{folded: string(c)}.spell(r))
		case strings.ContainsRune(`*?\`, c):
			text.WriteString(`\` + string(c))
		default:
			text.WriteString(spellForm(r, piecesOf(string(c))))
		}
	}
	return oracleQuery{query: Wildcard(f.Name, text.String()), match: func(d oracleDoc) bool {
		return d.hasWord(f, func(x string) bool { return oraclePattern(pattern, []rune(x)) })
	}}
}

// drawWide makes a pattern of characters of a script without spaces: up to two are words of the vocabulary, more are a phrase.
func drawWide(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	var run []rune
	for run == nil {
		for _, it := range pickItems(r, f, known, 2) {
			run = slices.Concat(run, it.run) // of two runs that something may part, too
		}
	}
	if most := 2; len(run) > most && !f.Phrase {
		run = run[:most]
	}
	pattern := slices.Clone(run)
	one := r.IntN(len(run))
	if len(run) == 2 || 0 < one && one < len(run)-1 {
		pattern[one] = oracleOne
	}
	text := []string{"", "*", "**"}[r.IntN(3)]
	for _, c := range pattern {
		if c == oracleOne {
			text += "?"
		} else {
			text += string(c)
		}
	}
	text += []string{"", "*"}[r.IntN(2)]
	q := oracleQuery{query: Wildcard(f.Name, text)}
	if len(pattern) < 3 {
		q.match = func(d oracleDoc) bool {
			return d.hasWord(f, func(x string) bool { return oraclePattern(pattern, []rune(x)) })
		}
		return q
	}
	var phrase []oracleToken
	for i, c := range pattern {
		if c != oracleOne {
			phrase = append(phrase, oracleToken{string(c), i})
		}
		if i > 0 && c != oracleOne && pattern[i-1] != oracleOne {
			phrase = append(phrase, oracleToken{string(pattern[i-1 : i+1]), i - 1})
		}
	}
	q.match = func(d oracleDoc) bool { return d.hasPhrase(f, phrase) }
	return q
}

// drawRegexp makes an expression from a word, and asks package regexp what it means.
func drawRegexp(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	var b strings.Builder
	for _, c := range pickWord(r, f, known) {
		s := regexp.QuoteMeta(string(c))
		b.WriteString([]string{s, s, s, ".", "[" + s + "x]", "[^" + s + "]", "(?:" + s + "|bo)", s + "?", s + "*", s + "+?", ".*", "(" + s + ".?){1,2}", "(?i:" + strings.ToUpper(s) + ")", `\pL`}[r.IntN(14)])
	}
	text := b.String()
	if r.IntN(5) == 0 {
		text = "^" + text + "$"
	}
	if r.IntN(5) == 0 {
		text = "co*|" + text
	}
	whole := regexp.MustCompile(`\A(?:` + text + `)\z`)
	return oracleQuery{query: Regexp(f.Name, text), match: func(d oracleDoc) bool { return d.hasWord(f, whole.MatchString) }}
}

func drawSubstring(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	for {
		text := pickValue(r, f, known).text
		if len(text) == 0 {
			continue
		}
		from := r.IntN(len(text))
		text = text[from : from+1+r.IntN(len(text)-from)]
		part := folded(text)
		if c := []rune(part); len(c) < 2 || len(c) == 2 && c[0] < 0x3000 && c[1] < 0x3000 {
			continue // too short to be asked
		}
		return oracleQuery{query: Substring(f.Name, spellAll(r, text)), match: func(d oracleDoc) bool {
			return slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool { return strings.Contains(folded(v.text), part) })
		}}
	}
}

func drawInRow(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	items := pickItems(r, f, known, 4)
	if first := &items[0]; len(first.run) > 1 {
		first.run = first.run[r.IntN(len(first.run)):]
	}
	if last := &items[len(items)-1]; len(last.run) > 1 {
		last.run = last.run[:1+r.IntN(len(last.run))]
	}
	if r.IntN(4) == 0 {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	return phraseQuery(r, f, items)
}

func phraseQuery(r *rand.Rand, f Field, items []oracleItem) oracleQuery {
	phrase := askedTokens(items)
	return oracleQuery{query: Phrase(f.Name, spellAll(r, joinItems(r, items))), match: func(d oracleDoc) bool { return d.hasPhrase(f, phrase) }}
}

func drawSounds(r *rand.Rand, f Field, known []oracleValue) oracleQuery {
	items := pickItems(r, f, known, 2)
	if r.IntN(2) == 0 { // another name, which may sound like one that is there
		items[0] = drawItem(r, f)
	}
	return soundsQuery(r, f, items)
}

func soundsQuery(r *rand.Rand, f Field, items []oracleItem) oracleQuery {
	sets := askedSounds(items)
	return oracleQuery{query: Sounds(f.Name, spellAll(r, joinItems(r, items))), match: func(d oracleDoc) bool {
		for _, set := range sets {
			if !slices.ContainsFunc(d.values[f.Name], func(v oracleValue) bool {
				return slices.ContainsFunc(v.sounds, func(k string) bool { return slices.Contains(set, k) })
			}) {
				return false
			}
		}
		return true
	}}
}

func drawExists(_ *rand.Rand, f Field, _ []oracleValue) oracleQuery {
	return oracleQuery{query: Exists(f.Name), match: func(d oracleDoc) bool { return len(d.values[f.Name]) > 0 }, exists: true}
}

func drawAll(*rand.Rand, Field, []oracleValue) oracleQuery {
	return oracleQuery{query: All(), match: func(oracleDoc) bool { return true }}
}
