//go:build !unix

package servers

// Postgres is a PostgreSQL server. Here there is none.
type Postgres struct{ folder string }

// StartPostgreSQL returns ErrUnavailable.
func StartPostgreSQL() (*Postgres, error) {
	return nil, unavailable("PostgreSQL", "servers are started on Unix only: run the tests there")
}

// Start returns ErrUnavailable.
func (p *Postgres) Start() error { _, err := StartPostgreSQL(); return err }

// Kill returns ErrUnavailable.
func (p *Postgres) Kill() error { _, err := StartPostgreSQL(); return err }
