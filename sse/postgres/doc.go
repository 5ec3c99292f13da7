// Package postgres keeps the pages of encrypted indexes in a PostgreSQL database: it is a sse.Store for who has one already, and for many machines that search
// and write the same index. It uses pgx and a pool that the program has.
//
//	pool, err := pgxpool.New(ctx, "postgres://ward@db/hospital") // or the program's own
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer pool.Close()
//	if err := postgres.Create(ctx, pool, "veilchart"); err != nil { // once, with a role that may create a schema
//		log.Fatal(err)
//	}
//	store, err := postgres.Open(ctx, pool, "veilchart")
//	if err != nil {
//		log.Fatal(err)
//	}
//	ix, err := sse.Create(ctx, store, key, sse.GenerateID(), schema, sse.Options{})
//
// Read is one statement and one round trip, however many segments and runs of pages it names; each connection prepares the statement when it meets it first. A
// segment of up to 2 MiB is stored by one statement, so is a head; larger ones are written in rows that nobody sees until one statement refers to them. A writer
// that dies leaves rows behind that Sweep removes, and so does the next large write after a day. A head is swapped by comparing and setting one row. If the
// connection breaks in the middle of that, Head of the same Store first makes sure that the swap cannot take effect later, and then tells.
//
// # Tables and rights
//
// All tables are in a schema of their own. Create makes them; Statements returns the same SQL for a migration tool. Nothing else changes tables. The columns and the
// version are specified in docs/spec/sse-store.md. A role that reads and writes indexes needs, with the schema's name in place:
//
//	GRANT USAGE ON SCHEMA veilchart TO ward;
//	GRANT SELECT ON ALL TABLES IN SCHEMA veilchart TO ward;
//	GRANT INSERT, DELETE ON veilchart.chunks, veilchart.segments, veilchart.heads TO ward;
//	GRANT INSERT, DELETE, UPDATE ON veilchart.uploads TO ward;
//	GRANT INSERT, UPDATE ON veilchart.partitions TO ward;
//
// A role that only searches needs the first two. Rights of the database are no cryptography: they keep accidents away, the partition key keeps readers away.
//
// # Settings
//
// Open refuses a server or a connection with fsync or synchronous_commit switched off: what it has acknowledged could be lost in a crash, and after that a writer could
// make a second, different head of the same version. Any isolation level will do; where transactions get in each other's way they are repeated, some ten times. The pool
// may be in any mode of pgx; pages are always sent as bytes. With a pooler such as PgBouncer between, in transaction mode, set default_query_exec_mode to
// cache_describe.
//
// # What the database sees
//
// What docs/spec/sse.md calls the server's view: when a segment is written and of how many pages, which pages are read together, and when, the length of each
// head. The database can also tell connections, roles and addresses apart. A log of statements (log_statement, log_min_duration_statement, auto_explain,
// pg_stat_statements with parameters, audit extensions) keeps all of that for as long as the log is kept, the pages in its parameters included: they are sealed, but
// which ones are read together is the search pattern. Write-ahead logs, replicas and backups keep deleted pages; to erase, destroy the partition key.
//
// What the server says about lengths and numbers of rows is checked before room is made for heads and pages. But pgx reads each message of the protocol whole: a server
// that is not the one you think can exhaust memory, so have its certificate verified (sslmode=verify-full).
//
// # Backups
//
// pg_dump of the schema, a copy of the cluster and point-in-time recovery all work: tables are consistent at every moment. A restored backup is an older state of
// every index in it. An Index that has seen a newer one, or is given the anchor that the caller remembers, refuses it with sse.ErrRollback: that is its task. Restore
// all tables of the schema together, and keep anchors somewhere else. A replica that lags behind shows an older state as well: read from the primary.
//
// # CockroachDB and YugabyteDB
//
// Only what these have in common with PostgreSQL is used: plain tables, bytea of at most 64 KiB a row and 2 MiB a statement, no locks but those of rows, no statement
// that changes a table twice. The tests run against PostgreSQL alone; run the package's tests against your own server before you rely on another one.
package postgres
