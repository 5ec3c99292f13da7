package measure

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// WriteTable writes what a person reads: one line for each implementation of each case, its allocations beside it, then the growths.
func WriteTable(w io.Writer, rows []Row, growths []Growth) error {
	type key struct{ suite, name, impl string }
	memory := map[key]map[string]string{}
	for _, r := range rows {
		k := key{r.Suite, r.Name, r.Impl}
		if r.Unit == Allocated || r.Unit == Allocations {
			if memory[k] == nil {
				memory[k] = map[string]string{}
			}
			memory[k][r.Unit] = Human(r.Median, r.Unit)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\timpl\tmedian\tinterval\tratio\tinterval\tallocated\tallocs\tn")
	last := ""
	for _, r := range rows {
		if r.Unit == Allocated || r.Unit == Allocations {
			continue
		}
		name := r.Name
		if name == last {
			name = ""
		}
		last = r.Name
		ratio, span := "", ""
		if r.HasRatio && r.Impl != Reference {
			ratio, span = factor(r.Ratio.Median), factor(r.Ratio.Low)+" .. "+factor(r.Ratio.High)
		}
		m := memory[key{r.Suite, r.Name, r.Impl}]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s .. %s\t%s\t%s\t%s\t%s\t%d\n", name, r.Impl, Human(r.Median, r.Unit),
			Human(r.Low, r.Unit), Human(r.High, r.Unit), ratio, span, m[Allocated], m[Allocations], r.N)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(growths) == 0 {
		return nil
	}
	fmt.Fprintln(t, "\ngrowth\timpl\tunit\texponent")
	for _, g := range growths {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s^%.2f from %g to %g\n", g.Name, g.Impl, g.Unit, g.Parameter, g.Exponent, g.From, g.To)
	}
	return t.Flush()
}

func factor(x float64) string { return digits(x) + "x" }

// digits is x to three significant digits.
func digits(x float64) string {
	switch {
	case x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.9995:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// count is x as a whole number if it is one.
func count(x float64) string {
	if x == math.Trunc(x) {
		return fmt.Sprintf("%.0f", x)
	}
	return digits(x)
}

// Human is a value with its unit as people read it: 1.23 ms, 36.0 KiB, 1.20 GB/s.
func Human(x float64, unit string) string {
	scale := func(step float64, names string) string {
		list := strings.Fields(names)
		for len(list) > 1 && x >= step*0.9995 {
			x, list = x/step, list[1:]
		}
		return digits(x) + " " + list[0]
	}
	switch unit {
	case Seconds:
		x *= 1e9
		return scale(1000, "ns µs ms s")
	case Nanoseconds:
		return scale(1000, "ns µs ms s")
	case Allocated:
		return scale(1024, "B KiB MiB GiB")
	case Bytes:
		return count(x) + " B"
	case Rate:
		return scale(1000, "B/s kB/s MB/s GB/s")
	case Allocations:
		return count(x)
	}
	return digits(x) + " " + unit
}
