package dp_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/veilchart/veilchart/dp"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "dp")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	key := make([]byte, 32) // from keymgmt, in earnest
	rand.Read(key)

	limit, err := dp.EpsilonDelta(1, 1e-6)
	if err != nil {
		log.Fatal(err)
	}
	ledger, err := dp.Create(ctx, filepath.Join(dir, "ward.budget"), key, dp.Limits{Dataset: "ward", Querier: limit, Global: limit})
	if err != nil {
		log.Fatal(err)
	}
	defer ledger.Close()

	q := dp.Query{Dataset: "ward", Predicate: "code = obesity", Kind: dp.Count, Unit: dp.Contribution{Rows: 1}, Epsilon: 0.125}
	plan, err := q.Plan()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("costs %v, 95%% of answers within %v\n", plan.Cost, plan.Margin(0))

	exact := func(context.Context) (dp.Exact, error) { return dp.Exact{Count: 42}, nil } // from he, say
	first, err := ledger.Release(ctx, "researcher@example.org", q, exact)
	if err != nil {
		log.Fatal(err)
	}
	again, err := ledger.Release(ctx, "researcher@example.org", q, exact)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("same answer again:", first.Values[0] == again.Values[0], "charged:", again.Charged)

	q.Predicate, q.Epsilon = "code = diabetes", 2
	_, err = ledger.Release(ctx, "researcher@example.org", q, exact)
	var short *dp.BudgetError
	fmt.Println("a question that costs too much is refused:", errors.As(err, &short))

	// Output:
	// costs rho 0.0078125, 95% of answers within 24
	// same answer again: true charged: rho 0
	// a question that costs too much is refused: true
}

// At most two rows of each patient count, chosen by an order that only the key holder knows.
func ExampleBoundContributions() {
	key := []byte("32 random bytes, kept at ingest.")
	rows := []dp.Row{
		{Patient: "p1", ID: "obs-1"}, {Patient: "p1", ID: "obs-2"}, {Patient: "p1", ID: "obs-3"}, {Patient: "p2", ID: "obs-4"},
	}
	keep, err := dp.BoundContributions(key, dp.Contribution{Rows: 2}, rows)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(keep), "of", len(rows), "rows count")
	// Output: 3 of 4 rows count
}

// What a question costs and how exact its answer will be is known before anything is spent.
func ExampleQuery_Plan() {
	q := dp.Query{
		Dataset: "ward", Predicate: "age >= 50", Kind: dp.Mean, Column: "systolic",
		Bounds: dp.Bounds{Lo: 80, Hi: 200}, Unit: dp.Contribution{Rows: 1}, Rho: 0.125,
	}
	plan, err := q.Plan()
	if err != nil {
		log.Fatal(err)
	}
	epsilon, err := plan.Cost.Epsilon(1e-6)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v, alone (%.2f, 1e-6)-DP; with 100 patients +-%.1f, with 10,000 +-%.2f\n", plan.Cost, epsilon, plan.Margin(100), plan.Margin(10_000))
	// Output: rho 0.125, alone (2.42, 1e-6)-DP; with 100 patients +-7.5, with 10,000 +-0.08
}
