package he_test

import (
	"context"
	"fmt"
	"log"

	"github.com/veilchart/veilchart/he"
)

// The example of the package documentation, with its errors checked.
func Example() {
	key, err := he.GenerateKey(he.ProfileSum)
	if err != nil {
		log.Fatal(err)
	}
	column, err := key.EncryptColumn(he.ColumnSchema{Name: "bmi", Min: 10, Max: 60, Scale: 10}, []he.Value{
		{Row: 0, X: 22.5}, {Row: 1, X: 31.2}, {Row: 3, X: 27.0}, // row 2 has no value
	})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := he.NewPlan(he.Query{Kind: he.Mean, Column: "bmi", Rows: he.NewRowSet(1, 2, 3)}, column)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := he.Evaluate(context.Background(), plan, column) // on the server
	if err != nil {
		log.Fatal(err)
	}
	exact, err := key.Decrypt(plan, answer) // at the gateway
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(exact.ExposeCount(), exact.ExposeSum())
	fmt.Println(exact)
	// Output:
	// 2 382
	// redacted
}

// A gateway loads a column from a file, checks it with the key, and asks for a histogram.
func ExampleKey_Verify() {
	key, err := he.GenerateKey(he.ProfileSum)
	if err != nil {
		log.Fatal(err)
	}
	column, err := key.EncryptColumn(he.ColumnSchema{Name: "bmi", Min: 10, Max: 60, Scale: 10, Edges: []float64{10, 25, 30, 60}},
		[]he.Value{{Row: 0, X: 22.5}, {Row: 1, X: 31.2}, {Row: 2, X: 30}})
	if err != nil {
		log.Fatal(err)
	}
	file := column.Bytes()

	loaded, err := he.NewColumn(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := key.Verify(loaded); err != nil {
		log.Fatal(err)
	}
	plan, err := he.NewPlan(he.Query{Kind: he.Histogram, Column: "bmi"}, loaded)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := he.Evaluate(context.Background(), plan, loaded)
	if err != nil {
		log.Fatal(err)
	}
	exact, err := key.Decrypt(plan, answer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(exact.ExposeBuckets())
	// Output: [1 0 2]
}

// A patient leaves: the column is sealed again under a new key without that patient's row. Then the old key is destroyed.
func ExampleKey_Reencrypt() {
	old, err := he.GenerateKey(he.ProfileSum)
	if err != nil {
		log.Fatal(err)
	}
	column, err := old.EncryptColumn(he.ColumnSchema{Name: "sbp", Min: 60, Max: 260, Scale: 1}, []he.Value{{Row: 0, X: 120}, {Row: 1, X: 140}})
	if err != nil {
		log.Fatal(err)
	}
	fresh, err := he.GenerateKey(he.ProfileSum)
	if err != nil {
		log.Fatal(err)
	}
	column, err = old.Reencrypt(column, fresh, []uint32{1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(column.KeyID() == fresh.ID(), old.Verify(column) != nil)
	// Output: true true
}
