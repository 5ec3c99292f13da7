package measure

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Row is one row of a summary: all samples of one implementation of one case in one unit.
type Row struct {
	Suite, Name, Impl, Unit string
	Interval
	Ratio    Interval // over the rounds; see Ratios
	HasRatio bool
	N        int // samples
}

// Summarize groups lines by suite, name, implementation and unit, in the order of their first appearance, cases together.
func Summarize(lines []Line) []Row {
	type group struct{ suite, name, impl, unit string }
	values := map[group][]float64{}
	type topic struct{ suite, name string }
	var topics []topic
	order := map[topic][]group{}
	for _, l := range lines {
		c := topic{l.Suite, l.Name}
		if order[c] == nil {
			topics = append(topics, c)
		}
		for _, v := range l.Values {
			g := group{l.Suite, l.Name, l.Impl, v.Unit}
			if values[g] == nil {
				order[c] = append(order[c], g)
			}
			values[g] = append(values[g], v.X)
		}
	}
	var rows []Row
	for _, c := range topics {
		for _, g := range order[c] {
			row := Row{Suite: g.suite, Name: g.name, Impl: g.impl, Unit: g.unit, Interval: Summary(values[g]), N: len(values[g])}
			ours := values[group{g.suite, g.name, Reference, g.unit}]
			if ratios := Ratios(ours, values[g], g.unit); len(ratios) > 0 {
				row.Ratio, row.HasRatio = Summary(ratios), true
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// Columns are the columns of a summary file.
const Columns = "suite\tname\timpl\tunit\tmedian\tlow\thigh\tratio\tn"

// WriteSummary writes rows as tab-separated values under a line with the names of the columns. A ratio that cannot be had is empty.
func WriteSummary(w io.Writer, rows []Row) error {
	if _, err := fmt.Fprintln(w, Columns); err != nil {
		return err
	}
	for _, r := range rows {
		ratio := ""
		if r.HasRatio {
			ratio = number(round(r.Ratio.Median))
		}
		_, err := fmt.Fprintln(w, strings.Join([]string{r.Suite, r.Name, r.Impl, r.Unit,
			number(round(r.Median)), number(round(r.Low)), number(round(r.High)), ratio, fmt.Sprint(r.N)}, "\t"))
		if err != nil {
			return err
		}
	}
	return nil
}

// Growth is the exponent of a cost over a parameter, such as 0.9 for the time to seal over the leaves.
type Growth struct {
	Name, Impl, Unit string // Name without the parameter
	Parameter        string
	From, To         float64
	Exponent         float64
}

// Growths fits an exponent to every series of least or more rows of times or lengths whose names differ in a last part parameter=number only.
func Growths(rows []Row, parameter string, least int) []Growth {
	type series struct{ name, impl, unit string }
	var order []series
	xs, ys := map[series][]float64{}, map[series][]float64{}
	for _, r := range rows {
		at := strings.LastIndexByte(r.Name, '/')
		if at < 0 || r.Unit != Nanoseconds && r.Unit != Seconds && r.Unit != Bytes {
			continue
		}
		var x float64
		if _, err := fmt.Sscanf(r.Name[at+1:], parameter+"=%g", &x); err != nil {
			continue
		}
		s := series{r.Name[:at], r.Impl, r.Unit}
		if xs[s] == nil {
			order = append(order, s)
		}
		xs[s], ys[s] = append(xs[s], x), append(ys[s], r.Median)
	}
	var out []Growth
	for _, s := range order {
		if e, ok := Exponent(xs[s], ys[s]); ok && len(xs[s]) >= least {
			out = append(out, Growth{s.name, s.impl, s.unit, parameter, slices.Min(xs[s]), slices.Max(xs[s]), e})
		}
	}
	return out
}
