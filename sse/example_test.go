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
