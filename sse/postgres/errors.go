package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Codes of errors, from appendix A of the PostgreSQL manual; CockroachDB and YugabyteDB use the same.
const (
	codeUnique        = "23505" // a key is taken
	codeNotNull       = "23502"
	codeSerialization = "40001" // transactions got in each other's way: try again
	codeUnknown       = "40003" // the server does not know itself how the statement ended
	codeDeadlock      = "40P01"
	codePermission    = "42501"
	codeNoTable       = "42P01"
	codeNoSchema      = "3F000"
	codeNoColumn      = "42703"
)

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lost says whether the connection broke, so that it is open whether the statement was executed.
func lost(err error) bool {
	var op net.Error
	switch code(err) {
	case "":
	case codeUnknown, "57P01", "57P02", "57P03", "08000", "08003", "08006", "08007":
		return true // the server ends, starts, or lost another part of itself
	default:
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

const (
	attempts  = 10
	firstWait = 2 * time.Millisecond // doubled each time: at most 2 seconds in all
)

// always and onlyReads say whether a statement is repeated after the connection broke: it may have been executed.
const (
	onlyIfRefused = false
	always        = true
)

// retry calls do until it succeeds, for as long as it fails in a way that passes: the transaction got in the way of another and was rolled
// back, nothing was sent, or, if again, the connection broke. It gives up after some attempts, with the last error.
func retry[T any](ctx context.Context, again bool, do func() (T, error)) (T, error) {
	for n := 0; ; n++ {
		result, err := do()
		c := code(err)
		passing := c == codeSerialization || c == codeDeadlock || err != nil && (unsent(err) || again && lost(err))
		if !passing || n == attempts-1 || ctx.Err() != nil {
			return result, err
		}
		var draw [4]byte
		_, _ = rand.Read(draw[:])
		share := 0.5 + float64(binary.BigEndian.Uint32(draw[:]))/(1<<33) // two that met must not meet again
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(time.Duration(share * float64(firstWait<<n))):
		}
	}
}

// explain says what to do about an error of the database. If ctx has ended that is the error.
func explain(ctx context.Context, schema, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sse/postgres: schema %q: %s: %w", schema, doing, ctx.Err())
	}
	switch code(err) {
	case codeNoTable, codeNoSchema:
		return fmt.Errorf("sse/postgres: schema %q: %s: %w (%w)", schema, doing, errNoTables, err)
	case codePermission:
		return fmt.Errorf("sse/postgres: schema %q: %s: the role lacks a right: grant what the package documentation of postgres lists (%w)", schema, doing, err)
	case codeNoColumn:
		return fmt.Errorf("sse/postgres: schema %q: %s: the tables are not those of this store: take a schema of its own (%w)", schema, doing, err)
	case codeSerialization, codeDeadlock:
		return fmt.Errorf("sse/postgres: schema %q: %s: %d attempts got in the way of other transactions, nothing was changed: try again later (%w)", schema, doing, attempts, err)
	}
	if lost(err) {
		return fmt.Errorf("sse/postgres: schema %q: %s: the connection to the database broke or cannot be made: try again when the server can be reached (%w)", schema, doing, err)
	}
	return fmt.Errorf("sse/postgres: schema %q: %s: %w", schema, doing, err)
}

func (s *Store) explain(ctx context.Context, doing string, err error) error {
	return explain(ctx, s.schema, doing, err)
}

// settled says whether the server has told how a statement ended: not at all.
func settled(err error) bool {
	return code(err) != "" && !lost(err) || unsent(err)
}

// unsent says whether a statement never left: there was no connection.
func unsent(err error) bool {
	var e *pgconn.ConnectError
	return errors.As(err, &e) || pgconn.SafeToRetry(err)
}

// errRolledBack ends a transaction that was never meant to last.
var errRolledBack = errors.New("rolled back")
