package abe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// wish is a policy as the test knows it: a gate over kids, or one question about a name.
type wish struct {
	not  bool
	k    int
	kids []*wish

	name string
	op   string
	ints []int // for numbers and dates
}

// random vocabularies: what each name is, and its values. Dates are days after 2024-02-01.
type domain struct {
	is   meaning
	size int // values 0 to size-1
}

func (d domain) literal(x int) string {
	switch d.is {
	case declaredNumber:
		return fmt.Sprint(x - 5)
	case declaredDate:
		return formatOrdinal(Date, 19_754+int64(x))
	}
	return fmt.Sprintf("v%d", x)
}

// namesFor gives the domains the names n0, n1 and so on, and declares them.
func namesFor(t require.TestingT, all ...domain) (map[string]domain, []string, *Vocabulary) {
	domains, text := map[string]domain{}, ""
	var names []string
	for i, d := range all {
		name := fmt.Sprintf("n%d", i)
		switch d.is {
		case declaredOne, declaredMany:
			var values []string
			for x := range d.size {
				values = append(values, d.literal(x))
			}
			text += fmt.Sprintf("%s: %s of %s\n", name, meaningTexts[d.is], strings.Join(values, ", "))
		case declaredNumber, declaredDate:
			text += fmt.Sprintf("%s: %s %s..%s\n", name, meaningTexts[d.is], d.literal(0), d.literal(d.size-1))
		case declaredFlag, declaredText:
			text += fmt.Sprintf("%s: %s\n", name, meaningTexts[d.is])
		}
		domains[name] = d
		names = append(names, name)
	}
	return domains, names, vocabulary(t, text)
}

func drawDomains(t *rapid.T) (map[string]domain, []string, *Vocabulary) {
	var all []domain
	for range rapid.IntRange(1, 5).Draw(t, "names") {
		d := domain{is: rapid.SampledFrom([]meaning{declaredOne, declaredMany, declaredNumber, declaredDate, declaredText, declaredFlag, undeclared}).Draw(t, "meaning")}
		d.size = rapid.IntRange(2, 40).Draw(t, "size")
		if d.is == declaredOne || d.is == declaredMany {
			d.size = min(d.size, 6)
		}
		all = append(all, d)
	}
	return namesFor(t, all...)
}

// attributesFor are those of a key that holds these values.
func attributesFor(domains map[string]domain, names []string, held map[string][]int) []Attribute {
	attributes := []Attribute{{Name: "holder"}}
	for _, name := range names {
		d := domains[name]
		for _, x := range held[name] {
			a := Attribute{Name: name, Value: d.literal(x), Kind: d.is.ordinal()}
			if d.is == declaredFlag {
				a.Value = ""
			}
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// everyHolding goes through all that a key can hold of the names: no value or one, and of a name declared many or text each set of values.
func everyHolding(domains map[string]domain, names []string, see func(held map[string][]int)) {
	held := map[string][]int{}
	var from func(i int)
	from = func(i int) {
		if i == len(names) {
			see(held)
			return
		}
		d := domains[names[i]]
		sets := 1 << d.size
		for set := range sets {
			var values []int
			for x := range d.size {
				if set>>x&1 == 1 {
					values = append(values, x)
				}
			}
			if len(values) > 1 && d.is != declaredMany && d.is != declaredText {
				continue
			}
			held[names[i]] = values
			from(i + 1)
		}
	}
	from(0)
}

// drawHoldings gives each name its values, none for some.
func drawHoldings(t *rapid.T, domains map[string]domain, names []string) (map[string][]int, []Attribute) {
	held := map[string][]int{}
	for _, name := range names {
		d := domains[name]
		n := 1
		if d.is == declaredMany || d.is == declaredText || d.is == undeclared {
			n = rapid.IntRange(0, 3).Draw(t, "values")
		} else if rapid.IntRange(0, 5).Draw(t, "none") == 0 {
			n = 0
		}
		for range n {
			if x := rapid.IntRange(0, d.size-1).Draw(t, "value"); !slices.Contains(held[name], x) {
				held[name] = append(held[name], x)
			}
		}
	}
	return held, attributesFor(domains, names, held)
}

func drawWish(t *rapid.T, domains map[string]domain, names []string, depth int, negated bool) *wish {
	w := &wish{not: rapid.IntRange(0, 3).Draw(t, "not") == 0}
	negated = negated != w.not
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "gate") > 0 {
		n := rapid.IntRange(1, 4).Draw(t, "kids")
		w.k = rapid.IntRange(1, n).Draw(t, "k")
		for range n {
			w.kids = append(w.kids, drawWish(t, domains, names, depth-1, negated))
		}
		return w
	}
	w.name = rapid.SampledFrom(names).Draw(t, "name")
	d := domains[w.name]
	ops := []string{"=", "in"}
	switch d.is {
	case declaredNumber, declaredDate:
		ops = []string{"=", "!=", "<", "<=", ">", ">=", "in", ".."}
	case declaredOne, declaredMany:
		ops = []string{"=", "!=", "in"}
	case declaredFlag:
		ops = []string{""}
	}
	if (d.is == declaredFlag || d.is == declaredText || d.is == undeclared) && negated {
		w.not = !w.not
	}
	w.op = rapid.SampledFrom(ops).Draw(t, "op")
	n := map[string]int{"": 0, "in": rapid.IntRange(1, 3).Draw(t, "list"), "..": 2}
	count, ok := n[w.op]
	if !ok {
		count = 1
	}
	for range count {
		x := rapid.IntRange(0, d.size-1).Draw(t, "literal")
		if d.is == declaredNumber || d.is == declaredDate {
			x = rapid.IntRange(-1, d.size).Draw(t, "literal")
		}
		w.ints = append(w.ints, x)
	}
	if w.op == ".." {
		slices.Sort(w.ints)
	}
	return w
}

func (w *wish) text(domains map[string]domain) string {
	not := ""
	if w.not {
		not = "not "
	}
	if w.kids != nil {
		var parts []string
		for _, kid := range w.kids {
			parts = append(parts, kid.text(domains))
		}
		return fmt.Sprintf("%s(%d of (%s))", not, w.k, strings.Join(parts, ", "))
	}
	var values []string
	for _, x := range w.ints {
		values = append(values, domains[w.name].literal(x))
	}
	switch w.op {
	case "":
		return not + w.name
	case "..":
		return not + w.name + " in " + strings.Join(values, "..")
	case "in":
		return not + w.name + " in (" + strings.Join(values, ",") + ")"
	}
	return not + w.name + w.op + values[0]
}

// holds evaluates w with plain numbers. Below an odd number of nots, it asks for the opposite of each leaf, and a key that has no value of a
// number, a date or a name declared one satisfies neither a leaf nor its opposite.
func (w *wish) holds(domains map[string]domain, held map[string][]int, negated bool) bool {
	negated = negated != w.not
	if w.kids != nil {
		n, k := 0, w.k
		if negated {
			k = len(w.kids) - w.k + 1
		}
		for _, kid := range w.kids {
			if kid.holds(domains, held, negated) {
				n++
			}
		}
		return n >= k
	}
	asks := func(x int) bool {
		a := w.ints
		switch w.op {
		case "=":
			return x == a[0]
		case "!=":
			return x != a[0]
		case "<":
			return x < a[0]
		case "<=":
			return x <= a[0]
		case ">":
			return x > a[0]
		case ">=":
			return x >= a[0]
		case "..":
			return a[0] <= x && x <= a[1]
		case "in":
			return slices.Contains(a, x)
		}
		return true
	}
	if domains[w.name].is == declaredMany {
		positive := slices.ContainsFunc(held[w.name], func(x int) bool { return slices.Contains(w.ints, x) })
		return positive != (negated != (w.op == "!="))
	}
	return slices.ContainsFunc(held[w.name], func(x int) bool { return asks(x) != negated })
}
