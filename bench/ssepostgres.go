package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veilchart/veilchart/bench/measure"
	"github.com/veilchart/veilchart/internal/servers"
)

// database is the PostgreSQL server of this process.
var database = sync.OnceValues(servers.StartPostgreSQL)

// databaseConfig says how to connect to it, or why there is none.
func databaseConfig() (*pgxpool.Config, error) {
	server, err := database()
	if errors.Is(err, servers.ErrUnavailable) {
		return nil, measure.Skip(err.Error())
	}
	if err != nil {
		return nil, err
	}
	return pgxpool.ParseConfig(fmt.Sprintf("host=%s port=5432 user=postgres dbname=postgres sslmode=disable", filepath.Dir(server.Socket())))
}

// postgresEngine is PostgreSQL in the clear, with its settings as they come: full text under GIN, the others under B-trees. The folder's name is
// that of the schema.
func postgresEngine() engine {
	return engine{impl: "postgres",
		// Its parser cuts text in other places, and nothing that comes with it finds the same words with typing errors by an index.
		fits: func(kind string, c corpus) bool { return c.truth && kind != kindFuzzy },
		fill: func(ctx context.Context, dir string, c corpus) error {
			s, err := openPostgres(ctx, dir)
			if err != nil {
				return err
			}
			return errors.Join(s.fill(ctx, c), s.close())
		},
		open: func(ctx context.Context, dir string, _ corpus) (searcher, error) { return openPostgres(ctx, dir) }}
}

type postgresSearcher struct {
	conn  *pgx.Conn
	table string
}

func openPostgres(ctx context.Context, dir string) (*postgresSearcher, error) {
	config, err := databaseConfig()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	return &postgresSearcher{conn, pgx.Identifier{filepath.Base(dir)}.Sanitize()}, nil
}

func (s *postgresSearcher) close() error { return s.conn.Close(context.Background()) }

// fill copies the records and makes the indexes afterwards, as the documentation advises.
func (s *postgresSearcher) fill(ctx context.Context, c corpus) error {
	_, err := s.conn.Exec(ctx, "CREATE TABLE "+s.table+` (id text PRIMARY KEY, code text[], body text,
		words tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED, name text, number bigint, day bigint)`)
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(c.records)
	defer stop()
	_, err = s.conn.CopyFrom(ctx, pgx.Identifier{strings.Trim(s.table, `"`)}, []string{"id", "code", "body", "name", "number", "day"},
		pgx.CopyFromFunc(func() ([]any, error) {
			r, err, ok := next()
			if !ok || err != nil {
				return nil, err
			}
			return r.columns(), nil
		}))
	if err != nil {
		return err
	}
	for _, index := range []string{"gin (words)", "gin (code)", "btree (name)", "btree (number)", "btree (day)"} {
		if _, err := s.conn.Exec(ctx, "CREATE INDEX ON "+s.table+" USING "+index); err != nil {
			return err
		}
	}
	_, err = s.conn.Exec(ctx, "VACUUM ANALYZE "+s.table)
	return err
}

func (r entry) columns() []any {
	var name, number, day any
	if r.name != "" {
		name = r.name
	}
	if r.number >= 0 {
		number = r.number
	}
	if r.day != noDay {
		day = r.day
	}
	return []any{r.id, r.codes, r.text, name, number, day}
}

// where is the condition of a question, with its values.
func (q question) where() (string, []any) {
	switch q.kind {
	case kindTerm:
		return "words @@ to_tsquery('simple', $1)", []any{q.words[0]}
	case kindBool:
		return "words @@ to_tsquery('simple', $1)", []any{fmt.Sprintf("%s & (%s | %s) & !%s", q.words[0], q.words[1], q.words[2], q.words[3])}
	case kindRanked:
		return "words @@ to_tsquery('simple', $1)", []any{strings.Join(q.words, " | ")}
	case kindRange:
		return q.field + " BETWEEN $1 AND $2", []any{q.low, q.high}
	}
	// The first text behind all that begin so, in the order of bytes.
	return "name >= $1 AND name < $2", []any{q.text, q.text[:len(q.text)-1] + string(q.text[len(q.text)-1]+1)}
}

func (s *postgresSearcher) search(ctx context.Context, q question) (found, error) {
	where, values := q.where()
	sql := "SELECT id, count(*) OVER () FROM " + s.table + " WHERE " + where
	if q.kind == kindRanked {
		sql += " ORDER BY ts_rank(words, to_tsquery('simple', $1)) DESC"
	}
	rows, err := s.conn.Query(ctx, fmt.Sprintf("%s LIMIT %d", sql, firstPage), values...)
	if err != nil {
		return found{}, err
	}
	var f found
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id, &f.total}, func() error {
		f.ids = append(f.ids, id)
		return nil
	})
	return f, err
}

func (s *postgresSearcher) all(ctx context.Context, q question, _ int) ([]string, error) {
	where, values := q.where()
	rows, err := s.conn.Query(ctx, "SELECT id FROM "+s.table+" WHERE "+where, values...)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(ids)
	return ids, err
}
