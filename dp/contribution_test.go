package dp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var orderKey = bytesOf(7, keySize)

func drawRows(t *rapid.T) []Row {
	n := rapid.IntRange(0, 40).Draw(t, "n")
	var rows []Row
	for i := range n {
		rows = append(rows, Row{
			Patient: fmt.Sprint("p", rapid.IntRange(0, 4).Draw(t, "patient")),
			Group:   fmt.Sprint("g", rapid.IntRange(0, 5).Draw(t, "group")),
			ID:      fmt.Sprint(i),
		})
	}
	return rows
}

func kept(t require.TestingT, c Contribution, rows []Row) []Row {
	at, err := BoundContributions(orderKey, c, rows)
	require.NoError(t, err)
	var out []Row
	for i, k := range at {
		if i > 0 {
			require.Less(t, at[i-1], k)
		}
		out = append(out, rows[k])
	}
	return out
}

// What is kept respects the bound, is as much as the bound allows, and follows from a patient's own rows alone.
func TestBoundContributions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t)
		c := Contribution{Rows: rapid.IntRange(1, 4).Draw(t, "m"), Groups: rapid.IntRange(0, 3).Draw(t, "g")}
		out := kept(t, c, rows)

		count := func(rows []Row) (perPatient map[string]int, perGroup map[[2]string]int, groups map[string]map[string]bool) {
			perPatient, perGroup, groups = map[string]int{}, map[[2]string]int{}, map[string]map[string]bool{}
			for _, r := range rows {
				perPatient[r.Patient]++
				perGroup[[2]string{r.Patient, r.Group}]++
				if groups[r.Patient] == nil {
					groups[r.Patient] = map[string]bool{}
				}
				groups[r.Patient][r.Group] = true
			}
			return
		}
		allPatient, allGroup, allGroups := count(rows)
		gotPatient, gotGroup, gotGroups := count(out)
		for p := range allPatient {
			if c.Groups == 0 {
				require.Equal(t, min(c.Rows, allPatient[p]), gotPatient[p])
				continue
			}
			require.Len(t, gotGroups[p], min(c.Groups, len(allGroups[p])))
			for g := range gotGroups[p] {
				k := [2]string{p, g}
				require.Equal(t, min(c.Rows, allGroup[k]), gotGroup[k])
			}
		}

		// Without patient p0, and in another order, everybody else keeps the same rows.
		var others, want []Row
		for _, r := range rows {
			if r.Patient != "p0" {
				others = append(others, r)
			}
		}
		for _, r := range out {
			if r.Patient != "p0" {
				want = append(want, r)
			}
		}
		require.ElementsMatch(t, want, kept(t, c, rapid.Permutation(others).Draw(t, "order")))
	})
}

// Which rows are kept depends on the key: an attacker without it cannot choose IDs that win.
func TestBoundContributionsNeedsTheKey(t *testing.T) {
	var rows []Row
	for i := range 200 {
		rows = append(rows, Row{Patient: "p", ID: fmt.Sprint(i)})
	}
	a, err := BoundContributions(orderKey, Contribution{Rows: 20}, rows)
	require.NoError(t, err)
	b, err := BoundContributions(bytesOf(8, keySize), Contribution{Rows: 20}, rows)
	require.NoError(t, err)
	require.NotEqual(t, a, b)

	_, err = BoundContributions(nil, Contribution{Rows: 1}, rows)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = BoundContributions(orderKey, Contribution{}, rows)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = BoundContributions(orderKey, Contribution{Rows: 1}, append(rows, rows[3]))
	require.ErrorContains(t, err, "rows 3 and 200")
}

// A part of one name cannot pass for a part of another.
func TestContributionOrderIsInjective(t *testing.T) {
	rows := []Row{{Patient: "ab", ID: "c"}, {Patient: "a", ID: "bc"}}
	require.Equal(t, rows, kept(t, Contribution{Rows: 1}, rows))
}

// The order of docs/spec/dp.md, computed by another program.
func TestContributionOrderIsFixed(t *testing.T) {
	var rows []Row
	for i := range 24 {
		rows = append(rows, Row{Patient: fmt.Sprint("p", i%3), Group: fmt.Sprint("g", i%4), ID: fmt.Sprint(i)})
	}
	got, err := BoundContributions(orderKey, Contribution{Rows: 3}, rows)
	require.NoError(t, err)
	require.Equal(t, []int{0, 3, 7, 9, 10, 14, 16, 17, 20}, got)
	got, err = BoundContributions(orderKey, Contribution{Rows: 1, Groups: 2}, rows)
	require.NoError(t, err)
	require.Equal(t, []int{3, 6, 10, 16, 17, 23}, got)
}
