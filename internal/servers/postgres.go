package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresRemedy is what to do where PostgreSQL is not installed.
const postgresRemedy = "run `apt-get install postgresql` (or install PostgreSQL 13 or newer another way, with initdb and postgres on the PATH)"

// shared is the PostgreSQL server of this test binary.
var shared = sync.OnceValues(StartPostgreSQL)

// PostgreSQL returns the PostgreSQL server of this test binary. The first call starts it, which takes a second or two.
func PostgreSQL(t testing.TB) *Postgres {
	t.Helper()
	p, err := shared()
	Need(t, err)
	return p
}

// NewPostgreSQL starts a PostgreSQL server for this test alone, which may kill it.
func NewPostgreSQL(t testing.TB) *Postgres {
	t.Helper()
	p, err := StartPostgreSQL()
	Need(t, err)
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Socket is the path of the socket that the server listens on. It listens on no port.
func (p *Postgres) Socket() string { return p.folder + "/.s.PGSQL.5432" }

// Database makes an empty database of a new name and returns how to connect to it as its owner, a user who may do everything.
func (p *Postgres) Database(t testing.TB) (dsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.dsn("postgres"))
	Need(t, err)
	defer conn.Close(ctx) // the server's end of it shows in no test
	name := "t" + rand.Text()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	Need(t, err)
	return p.dsn(name)
}

// dsn is how to connect to a database as the first user.
func (p *Postgres) dsn(database string) string {
	return fmt.Sprintf("host=%s port=5432 user=postgres dbname=%s sslmode=disable", p.folder, database)
}

// answers connects and asks a question.
func (p *Postgres) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.dsn("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}
