package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// tablesVersion is the version of the tables, and of the meaning of what is in them. Retired numbers stay listed here: none yet.
	tablesVersion = 1

	// MaxSchema is the greatest length in bytes of the name of a schema. PostgreSQL would cut a longer one off.
	MaxSchema = 63
)

// tables are the statements that Statements returns; %s is the quoted name of the schema. docs/spec/sse-store.md says what the columns hold.
// Only what PostgreSQL, CockroachDB and YugabyteDB have in common is used.
var tables = []string{
	`CREATE SCHEMA IF NOT EXISTS %s`,
	`CREATE TABLE IF NOT EXISTS %s.layout (
	version int8 NOT NULL PRIMARY KEY
)`,
	`CREATE TABLE IF NOT EXISTS %s.chunks (
	blob bytea NOT NULL CHECK (octet_length(blob) = 16),
	number int8 NOT NULL CHECK (number >= 0),
	data bytea NOT NULL CHECK (octet_length(data) BETWEEN 1 AND 65536),
	PRIMARY KEY (blob, number)
)`,
	`CREATE TABLE IF NOT EXISTS %s.uploads (
	blob bytea NOT NULL PRIMARY KEY CHECK (octet_length(blob) = 16),
	touched timestamptz NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS %s.segments (
	partition bytea NOT NULL CHECK (octet_length(partition) = 16),
	segment bytea NOT NULL CHECK (octet_length(segment) = 16),
	blob bytea NOT NULL CHECK (octet_length(blob) = 16),
	pages int8 NOT NULL CHECK (pages BETWEEN 1 AND 4294967295),
	created timestamptz NOT NULL,
	PRIMARY KEY (partition, segment)
)`,
	`CREATE TABLE IF NOT EXISTS %s.partitions (
	partition bytea NOT NULL PRIMARY KEY CHECK (octet_length(partition) = 16),
	latest int8 NOT NULL CHECK (latest >= 0),
	fence int8 NOT NULL CHECK (fence >= 0)
)`,
	`CREATE TABLE IF NOT EXISTS %s.heads (
	partition bytea NOT NULL CHECK (octet_length(partition) = 16),
	version int8 NOT NULL CHECK (version >= 1),
	blob bytea NOT NULL CHECK (octet_length(blob) = 16),
	bytes int8 NOT NULL CHECK (bytes BETWEEN 0 AND 67108864),
	PRIMARY KEY (partition, version)
)`,
	`INSERT INTO %s.layout (version) VALUES (1) ON CONFLICT (version) DO NOTHING`,
}

// Statements returns the SQL statements that Create runs, in order, for who makes tables with a tool of his own. Each may be run again. The name is that
// of a schema of the store's own, 1 to MaxSchema bytes, quoted as it stands: capitals and signs are kept.
func Statements(schema string) ([]string, error) {
	quoted, err := quote(schema)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range tables {
		all = append(all, fmt.Sprintf(s, quoted))
	}
	return all, nil
}

// quote checks the name of a schema and quotes it.
func quote(schema string) (string, error) {
	if schema == "" || len(schema) > MaxSchema || strings.ContainsRune(schema, 0) {
		return "", fmt.Errorf("sse/postgres: %q is no name for a schema: take 1 to %d bytes without a zero byte", schema, MaxSchema)
	}
	return pgx.Identifier{schema}.Sanitize(), nil
}

// Create makes the schema and its tables; what is there already stays. It is called once, when the program is set up, with a role that may create
// schemas in the database: programs that use the store need no such right. Open says which tables and rights they need.
func Create(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	statements, err := Statements(schema)
	if err != nil {
		return err
	}
	// One by one: CockroachDB and YugabyteDB have no transactions around several changes of tables. Two that create at the same time may get in each
	// other's way; then the second try finds everything there.
	for _, statement := range statements {
		_, err := retry(ctx, always, func() (struct{}, error) {
			_, err := pool.Exec(ctx, statement)
			return struct{}{}, err
		})
		if err != nil {
			return explain(ctx, schema, "making the tables", err)
		}
	}
	return nil
}

// check looks whether the tables are there in a version that this program knows, and whether what is committed survives a crash.
func (s *Store) check(ctx context.Context) error {
	type answer struct {
		version            *int64
		fsync, synchronous *string
	}
	a, err := retry(ctx, always, func() (a answer, err error) {
		// A missing setting is null: not every server of the family has them.
		err = s.pool.QueryRow(ctx, fmt.Sprintf(`SELECT max(version), current_setting('fsync', true), current_setting('synchronous_commit', true) FROM %s.layout`,
			s.quoted)).Scan(&a.version, &a.fsync, &a.synchronous)
		return a, err
	})
	if err != nil {
		return s.explain(ctx, "looking for the tables", err)
	}
	if a.version == nil {
		return fmt.Errorf("sse/postgres: schema %q: %w", s.schema, errNoTables)
	}
	if *a.version != tablesVersion {
		return fmt.Errorf("sse/postgres: schema %q: the tables have version %d, this program knows %d: use a newer program", s.schema, *a.version, tablesVersion)
	}
	for name, value := range map[string]*string{"fsync": a.fsync, "synchronous_commit": a.synchronous} {
		if value != nil && *value == "off" {
			return fmt.Errorf("sse/postgres: the setting %s is off, so what is committed may be lost in a crash: switch it on for the server, the database, the role and the connections of the pool", name)
		}
	}
	return nil
}

var errNoTables = errors.New("the tables are missing: call postgres.Create once with a role that may create a schema, or look whether this is the right database")
