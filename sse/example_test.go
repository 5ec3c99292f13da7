package sse_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/veilchart/veilchart/sse"
)

func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "ward-index")
	defer os.RemoveAll(dir)
	store, err := sse.OpenDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	key := make([]byte, sse.KeySize) // from a key manager
	rand.Read(key)
	schema := sse.Schema{Fields: []sse.Field{
		{Name: "name", Type: sse.Text, Fuzzy: true},
		{Name: "born", Type: sse.Date},
	}}
	ix, err := sse.Create(ctx, store, key, sse.GenerateID(), schema, sse.Options{})
	if err != nil {
		log.Fatal(err)
	}
	err = ix.Apply(ctx, sse.Batch{Put: []sse.Document{{
		ID: "record-1", Revision: 1, Stored: []byte("bed 7"),
		Fields: sse.Fields{
			"name": {sse.String("Zoë Müller")},
			"born": {sse.Day(time.Date(1961, time.May, 4, 0, 0, 0, 0, time.UTC))},
		},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	sixties := sse.Range("born", sse.Day(time.Date(1960, time.January, 1, 0, 0, 0, 0, time.UTC)), sse.Value{})
	res, err := ix.Search(ctx, sse.And(sse.Fuzzy("name", "muler", 1), sixties), sse.SearchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, hit := range res.Hits {
		fmt.Printf("%s: %s\n", hit.ID, hit.Stored)
	}
	// Output: record-1: bed 7
}

func ExampleParseQuery() {
	schema := sse.Schema{Fields: []sse.Field{
		{Name: "diagnosis", Type: sse.Keyword, Prefix: true},
		{Name: "age", Type: sse.Integer, Max: 120},
		{Name: "name", Type: sse.Name, Fuzzy: true},
	}}
	for _, text := range []string{
		"diagnosis:diabetes AND age:[50 TO 70] NOT name:smth~1",
		"diagnosis:(E11* OR I10) AND age:<18",
		"diagnosis:diabetes OR diagnosis:I10 AND age:>60",
		"diagnoses:diabetes",
	} {
		q, err := sse.ParseQuery(schema, text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(q)
	}
	// Output:
	// diagnosis:diabetes AND age:[50 TO 70] AND NOT name:smth~1
	// (diagnosis:E11* OR diagnosis:I10) AND age:[* TO 17]
	// sse: query is wrong at byte 36: expected one operator for the whole list, found "AND"; AND and OR cannot be mixed without parentheses: write one of [(diagnosis:diabetes OR diagnosis:I10) AND ...] and [diagnosis:diabetes OR (diagnosis:I10 AND ...)]
	// sse: query is wrong at byte 0: expected a field of the schema, found "diagnoses"; did you mean diagnosis?
}
