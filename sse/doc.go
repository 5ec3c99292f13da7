// Package sse searches encrypted records on a machine that must not learn what they say.
//
// An Index is one partition: documents with fields, found by exact values, words, phrases, ranges, beginnings and parts of words, patterns,
// sounds and words with typing errors, combined with and, or and not; ranked, sorted, counted by value, and page by page. All of
// that is worked out by the client, who holds the 32-byte partition key. The server stores sealed pages of 4,096 bytes and returns
// those it is asked for; any place that keeps pages is a Store, and a folder is one (OpenDir). There is no state on the client to
// keep or lose but the key.
//
//	ctx := context.Background()
//	dir, _ := os.MkdirTemp("", "ward-index")
//	defer os.RemoveAll(dir)
//	store, err := sse.OpenDir(dir)
//	if err != nil {
//		log.Fatal(err)
//	}
//	key := make([]byte, sse.KeySize) // from a key manager
//	rand.Read(key)
//	schema := sse.Schema{Fields: []sse.Field{
//		{Name: "name", Type: sse.Text, Fuzzy: true},
//		{Name: "born", Type: sse.Date},
//	}}
//	ix, err := sse.Create(ctx, store, key, sse.GenerateID(), schema, sse.Options{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	err = ix.Apply(ctx, sse.Batch{Put: []sse.Document{{
//		ID: "record-1", Revision: 1, Stored: []byte("bed 7"),
//		Fields: sse.Fields{
//			"name": {sse.String("Zoë Müller")},
//			"born": {sse.Day(time.Date(1961, time.May, 4, 0, 0, 0, 0, time.UTC))},
//		},
//	}}})
//	if err != nil {
//		log.Fatal(err)
//	}
//	sixties := sse.Range("born", sse.Day(time.Date(1960, time.January, 1, 0, 0, 0, 0, time.UTC)), sse.Value{})
//	res, err := ix.Search(ctx, sse.And(sse.Fuzzy("name", "muler", 1), sixties), sse.SearchOptions{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	for _, hit := range res.Hits {
//		fmt.Printf("%s: %s\n", hit.ID, hit.Stored)
//	}
//
// A batch takes effect as a whole and is on disk when Apply returns, whatever is killed when. Several programs may write to one
// partition; they lose nothing of each other's. The highest revision of an ID wins, so repeating a batch does no harm. Batches of several
// goroutines that wait for each other share what makes them durable. Load writes long sequences in bounded memory, AddField widens the
// schema of a partition in use. Segments are merged in the background; Stats says if that fails, and Close ends it. Every page is
// authenticated, and so is the absence of a term; what was changed in the store is reported with the name of the file. A store that
// goes back to an older state is found out by every Index that has seen a newer one, and by Open when it is given the Anchor that the
// caller remembers.
//
// To erase rows, delete them and call Compact with Full and DeleteNow: every segment is written again under fresh keys, without them.
// Who holds the partition key and a copy of the old files can still read those; give NewKey as well, and destroy the old key, to end
// that. Where one person's data must be destroyable at once, seal ID and Stored under that person's key.
//
// # Leakage
//
// What the server learns with profile Balanced, the default:
//
//   - At rest: how many segments there are, the number of pages of each, when each was written, and the length of the manifest,
//     padded. Not how many rows, terms or fields there are, nor how often a term occurs.
//   - Writing: when, and how many pages; batches that are written together count as one. If IDs are looked up (Batch.New unset), which
//     table pages that reads, and for IDs that are there which row page. A new segment has fresh keys, so nothing seen before tells what
//     is in it (forward privacy). Merging, in the background too: which segments became which.
//   - Searching: which pages of which segments are read. A term asked again in the same segment reads the same pages: the search
//     pattern, until that segment is compacted away. Lists of a page or more show their length in pages, rounded up by at most
//     12 %; shorter and absent ones show one page that says nothing. The number of terms of a query; of a range, and of what a
//     prefix, a pattern, a word with errors or a sound matches, only rounded up to 16, 32, 64 and so on per segment. The dummies that
//     fill it up belong to the whole query, so that several ranges that overlap show by their common pages which terms are real. That
//     words of a vocabulary are looked for or counted, its field, and its size.
//   - Phrases and ranking: that positions or weights of words are read, of how many words, and the length of long ones in pages, rounded.
//   - Substrings: how many pieces of three characters the text has, and which row pages hold documents with all of them that
//     the rest of the query leaves open, unless they are cached. No other kind of query shows as much.
//   - Sorting: by which field.
//   - Get: whether the ID is there, by whether a row page is read after its table page.
//   - Bringing back hits: which row pages hold them, unless they are cached; and so whether there are any. CountOnly avoids it.
//   - Deleting: that the manifest changed. Deletions are sealed in it, or in an object of their own when they are many.
//
// Profile Fast hides less: it fills nothing up, reads only lists that are there, and keeps them in the cache, so that the server sees how many terms
// a query has in a segment, which are there, and the exact length of long lists. Profile Strict hides more: lists take one, two, four, eight pages and
// so on; ranges have the same number of terms whatever their ends; and which row pages hold hits does not show in one search, as with a Limit as many are read in
// every segment, and without one, or for a substring, all.
//
// Index.Rows and Index.Token give something to others: a RowSet tells which rows of a segment match, a Token lets its holder find named terms in named
// segments until a compaction replaces them, and nothing else.
//
// Explain says it for one query, with numbers, before it runs. Result.Cost says what it was.
//
// # Not protected
//
// The search pattern and the volume of results, against somebody who watches for years; hiding those takes oblivious memory, at a
// price. What a person who has the partition key does with it: the key writes, reads and deletes, in future segments too, and to
// revoke it is to rotate it. Forks, shown to clients that never compare anchors. A client's memory: opened pages are cached there, up to
// Options.CacheBytes. Whether the documents are true.
//
// Formats, keys, leakage functions and what is argued about them: docs/spec/sse.md.
package sse
