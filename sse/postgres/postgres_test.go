package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/postgres"
	"github.com/veilchart/veilchart/sse/ssetest"
)

const schema = "index pages" // quoted everywhere

func newPool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// created is a pool of a database with the tables.
func created(t testing.TB, p *servers.Postgres) (*pgxpool.Pool, string) {
	t.Helper()
	dsn := p.Database(t)
	pool := newPool(t, dsn)
	require.NoError(t, postgres.Create(context.Background(), pool, schema))
	return pool, dsn
}

func open(t testing.TB, pool *pgxpool.Pool) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), pool, schema)
	require.NoError(t, err)
	return s
}

func newStore(t testing.TB) *postgres.Store {
	pool, _ := created(t, servers.PostgreSQL(t))
	return open(t, pool)
}

func TestStore(t *testing.T) {
	t.Parallel()
	ssetest.Run(t, func(t *testing.T) sse.Store { return newStore(t) })
}

func TestStoreProcesses(t *testing.T) {
	t.Parallel()
	ssetest.RunProcesses(t, func(t *testing.T) string {
		_, dsn := created(t, servers.PostgreSQL(t))
		return dsn
	}, func(address string) (sse.Store, error) {
		pool, err := pgxpool.New(context.Background(), address)
		if err != nil {
			return nil, err
		}
		t.Cleanup(pool.Close)
		return postgres.Open(context.Background(), pool, schema)
	})
}
