package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/postgres"
)

// sql executes a statement with the schema's name in place of @.
func sql(t *testing.T, pool *pgxpool.Pool, statement string, args ...any) int64 {
	t.Helper()
	tag, err := pool.Exec(t.Context(), strings.ReplaceAll(statement, "@", pgx.Identifier{schema}.Sanitize()), args...)
	require.NoError(t, err)
	return tag.RowsAffected()
}

func count(t *testing.T, pool *pgxpool.Pool, table string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{schema, table}.Sanitize()).Scan(&n))
	return n
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	dsn := server.Database(t)
	pool := newPool(t, dsn)
	_, err := postgres.Open(t.Context(), pool, schema)
	require.ErrorContains(t, err, "call postgres.Create")
	require.NoError(t, postgres.Create(t.Context(), pool, schema))
	require.NoError(t, postgres.Create(t.Context(), pool, schema), "again, which changes nothing")
	s := open(t, pool)
	p := sse.GenerateID()
	id := put(t, s, p)
	require.NoError(t, postgres.Create(t.Context(), pool, schema))
	require.True(t, requireWholeOrAbsent(t, s, p, id, 7, 2))

	for _, setting := range []string{"synchronous_commit=off"} {
		_, err := postgres.Open(t.Context(), newPool(t, dsn+" options='-c "+setting+"'"), schema)
		require.ErrorContains(t, err, strings.Split(setting, "=")[0])
		require.ErrorContains(t, err, "crash")
	}
	for _, name := range []string{"", strings.Repeat("x", postgres.MaxSchema+1), "a\x00b"} {
		_, err := postgres.Open(t.Context(), pool, name)
		require.ErrorContains(t, err, "no name for a schema")
		require.ErrorContains(t, postgres.Create(t.Context(), pool, name), "no name for a schema")
		_, err = postgres.Statements(name)
		require.ErrorContains(t, err, "no name for a schema")
	}
	for _, name := range []string{`x"; DROP TABLE y; --`, "Größe", strings.Repeat("x", postgres.MaxSchema), "@.chunks", "$1"} {
		require.NoError(t, postgres.Create(t.Context(), pool, name))
		other, err := postgres.Open(t.Context(), pool, name)
		require.NoError(t, err)
		require.False(t, requireWholeOrAbsent(t, other, p, id, 7, 2), "schemas are apart")
		put(t, other, p)
	}
	sql(t, pool, "INSERT INTO @.layout VALUES (2)")
	_, err = postgres.Open(t.Context(), pool, schema)
	require.ErrorContains(t, err, "use a newer program")
	sql(t, pool, "DELETE FROM @.layout")
	_, err = postgres.Open(t.Context(), pool, schema)
	require.ErrorContains(t, err, "call postgres.Create")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = postgres.Open(ended, pool, schema)
	require.ErrorIs(t, err, context.Canceled)
	away, err := pgxpool.New(t.Context(), "host=127.0.0.1 port=1 connect_timeout=5")
	require.NoError(t, err)
	defer away.Close()
	_, err = postgres.Open(t.Context(), away, schema)
	require.ErrorContains(t, err, "connection")
}

// TestRights grants what the package documentation says, no more, and works with it.
func TestRights(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	pool, dsn := created(t, server)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	grants := regexp.MustCompile(`(?m)^//\t(GRANT .*) TO ward;$`).FindAllStringSubmatch(string(doc), -1)
	require.Len(t, grants, 5)
	// Roles belong to the server, so each has a name of its own.
	reader, writer, nobody := "reader"+sse.GenerateID().String(), "writer"+sse.GenerateID().String(), "nobody"+sse.GenerateID().String()
	for _, role := range []string{reader, writer, nobody} {
		sql(t, pool, "CREATE ROLE "+role+" LOGIN")
	}
	as := func(role string) (*postgres.Store, error) {
		return postgres.Open(t.Context(), newPool(t, strings.ReplaceAll(dsn, "user=postgres", "user="+role)), schema)
	}
	for i, g := range grants {
		statement := strings.ReplaceAll(strings.ReplaceAll(g[1], "SCHEMA veilchart", "SCHEMA @"), "veilchart.", "@.")
		sql(t, pool, statement+" TO "+writer)
		if i < 2 {
			sql(t, pool, statement+" TO "+reader)
		}
	}
	_, err = as(nobody)
	require.ErrorContains(t, err, "lacks a right")
	w, err := as(writer)
	require.NoError(t, err)
	p := sse.GenerateID()
	id, large := put(t, w, p), sse.GenerateID()
	require.NoError(t, w.WriteSegment(t.Context(), p, large, filled(1, 1200)))
	for v := uint64(1); v <= 2*sse.HeadsKept; v++ {
		require.NoError(t, w.SwapHead(t.Context(), p, v, make([]byte, 10*v)))
	}
	require.EqualValues(t, sse.HeadsKept, count(t, pool, "heads"), "old ones are removed")
	require.NoError(t, w.SwapHead(t.Context(), p, 2*sse.HeadsKept+1, make([]byte, 3<<20)))
	require.NoError(t, w.DeleteSegment(t.Context(), p, large))
	_, err = w.Sweep(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Error(t, postgres.Create(t.Context(), newPool(t, strings.ReplaceAll(dsn, "user=postgres", "user="+writer)), "another"))

	r, err := as(reader)
	require.NoError(t, err)
	require.True(t, requireWholeOrAbsent(t, r, p, id, 7, 2))
	_, latest, err := r.Head(t.Context(), p, 0)
	require.NoError(t, err)
	require.EqualValues(t, 2*sse.HeadsKept+1, latest)
	for what, err := range map[string]error{
		"write":       r.WriteSegment(t.Context(), p, sse.GenerateID(), filled(1, 1)),
		"large write": r.WriteSegment(t.Context(), p, sse.GenerateID(), filled(1, 1200)),
		"swap":        r.SwapHead(t.Context(), p, latest+1, nil),
		"delete":      r.DeleteSegment(t.Context(), p, id),
	} {
		require.ErrorContains(t, err, "lacks a right", what)
		require.NotErrorIs(t, err, sse.ErrMissing, what)
		require.NotErrorIs(t, err, sse.ErrConflict, what)
	}
}

// TestSweep removes what dead writers left and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	pool, _ := created(t, server)
	s, p := open(t, pool), sse.GenerateID()
	id := put(t, s, p)
	age := func(by string) { sql(t, pool, "UPDATE @.uploads SET touched = touched - interval '"+by+"'") }
	leave := func() { // a writer whose machine is gone: it cannot even remove what it wrote
		ctx, cancel := context.WithCancel(t.Context())
		own := newPool(t, pool.Config().ConnString())
		dying := open(t, own)
		err := dying.WriteSegment(ctx, p, sse.GenerateID(), func(yield func([]byte, error) bool) {
			for n := range 1500 {
				if n == 1200 {
					own.Close()
					cancel()
				}
				if !yield(bytes.Repeat([]byte{3}, sse.PageSize), nil) {
					return
				}
			}
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	leave()
	require.Equal(t, 1, count(t, pool, "uploads"))
	require.Equal(t, 1+64, count(t, pool, "chunks"))
	for range 2 {
		n, err := s.Sweep(t.Context(), time.Hour)
		require.NoError(t, err)
		require.Zero(t, n, "it may be alive")
		age("50 minutes")
	}
	n, err := s.Sweep(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 0, count(t, pool, "uploads"))
	require.Equal(t, 1, count(t, pool, "chunks"))
	require.True(t, requireWholeOrAbsent(t, s, p, id, 7, 2))
	_, err = s.Sweep(t.Context(), time.Hour-1)
	require.ErrorContains(t, err, "an hour or more")

	leave()
	age("25 hours")
	require.NoError(t, s.WriteSegment(t.Context(), p, sse.GenerateID(), filled(1, 600)), "sweeps too")
	require.Equal(t, 1+38, count(t, pool, "chunks"))

	// A writer that is swept because it slept cannot make half a segment of the rest, nor half a head.
	for _, at := range []int{600, 1199} {
		late := sse.GenerateID()
		err = s.WriteSegment(t.Context(), p, late, func(yield func([]byte, error) bool) {
			for n := range 1200 {
				if n == at {
					age("25 hours")
					n, err := s.Sweep(t.Context(), time.Hour)
					assert.NoError(t, err)
					assert.Equal(t, 1, n)
				}
				if !yield(bytes.Repeat([]byte{3}, sse.PageSize), nil) {
					return
				}
			}
		})
		require.ErrorContains(t, err, "swept")
		require.False(t, requireWholeOrAbsent(t, s, p, late, 3, 1200))
		require.Equal(t, 1+38, count(t, pool, "chunks"), "nothing is left")
	}
}

// TestDamage changes rows behind the store's back. It is told from what is merely missing.
func TestDamage(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	pool, _ := created(t, server)
	s, p := open(t, pool), sse.GenerateID()
	for name, statement := range map[string]string{
		"a chunk is gone":        "DELETE FROM @.chunks WHERE number = 3",
		"the last chunk is gone": "DELETE FROM @.chunks WHERE number = 6",
		"a chunk is short":       "UPDATE @.chunks SET data = substring(data, 1, 65535) WHERE number = 2",
		"the last is short":      "UPDATE @.chunks SET data = substring(data, 1, 100) WHERE number = 6",
		"too many pages":         "UPDATE @.segments SET pages = 101",
	} {
		id := sse.GenerateID()
		require.NoError(t, s.WriteSegment(t.Context(), p, id, filled(4, 100)))
		require.Positive(t, sql(t, pool, statement), name)
		pages := uint32(100)
		if strings.HasPrefix(name, "too many") {
			pages = 101
		}
		got, err := s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 1}, {Segment: id, Count: pages}})
		require.ErrorIs(t, err, sse.ErrDamaged, name)
		require.ErrorContains(t, err, id.String())
		require.Nil(t, got)
		got, err = s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 30}})
		require.NoError(t, err, "%s: the rest can be read", name)
		require.True(t, bytes.Equal(bytes.Repeat([]byte{4}, 30*sse.PageSize), got[0]))
		require.NoError(t, s.DeleteSegment(t.Context(), p, id))
	}
	require.Zero(t, count(t, pool, "chunks"))

	for name, statement := range map[string]string{
		"the head is gone":     "DELETE FROM @.heads",
		"a chunk is gone":      "DELETE FROM @.chunks WHERE number = 1",
		"all chunks are gone":  "DELETE FROM @.chunks",
		"a chunk is short":     "UPDATE @.chunks SET data = substring(data, 1, 10) WHERE number = 0",
		"a chunk is too long":  "UPDATE @.chunks SET data = data || '\\x00' WHERE number = 1",
		"it is shorter":        "UPDATE @.heads SET bytes = bytes - 1",
		"it is a chunk longer": "UPDATE @.heads SET bytes = bytes + 65536",
	} {
		q := sse.GenerateID()
		require.NoError(t, s.SwapHead(t.Context(), q, 1, make([]byte, 100_000)))
		require.Positive(t, sql(t, pool, statement), name)
		_, _, err := s.Head(t.Context(), q, 0)
		require.ErrorIs(t, err, sse.ErrDamaged, name)
		sql(t, pool, "DELETE FROM @.heads")
		sql(t, pool, "DELETE FROM @.chunks")
	}
	sql(t, pool, "INSERT INTO @.segments SELECT decode('"+p.String()+"', 'hex'), decode(lpad(to_hex(i), 32, '0'), 'hex'), '0123456789abcdef', 1, now() FROM generate_series(0, 1 << 17) i")
	_, err := s.Segments(t.Context(), p)
	require.ErrorContains(t, err, "more than 131072 segments")
	sql(t, pool, "DELETE FROM @.segments")

	// Who owns the tables can take their keys away and put in rows that contradict each other.
	sql(t, pool, "ALTER TABLE @.heads DROP CONSTRAINT heads_pkey")
	sql(t, pool, "ALTER TABLE @.chunks DROP CONSTRAINT chunks_pkey")
	double := "INSERT INTO @.chunks SELECT blob, 0, data FROM @.chunks WHERE number = 0"
	for name, statements := range map[string][]string{
		"two heads of different lengths": {
			"INSERT INTO @.heads SELECT partition, version, '0123456789abcdef', 67108864 FROM @.heads",
			"INSERT INTO @.chunks SELECT '0123456789abcdef', 1000, data FROM @.chunks WHERE number = 0",
		},
		"two heads, the other first": {
			"INSERT INTO @.heads SELECT partition, version, '0123456789abcdef', 10 FROM @.heads",
			"UPDATE @.heads SET bytes = bytes WHERE bytes > 10",
		},
		"a chunk twice, and another missing": {"DELETE FROM @.chunks WHERE number = 1", double},
		"a chunk twice":                      {double},
	} {
		q := sse.GenerateID()
		require.NoError(t, s.SwapHead(t.Context(), q, 1, bytes.Repeat([]byte{9}, 2<<16)))
		for _, statement := range statements {
			require.Positive(t, sql(t, pool, statement), name)
		}
		_, _, err := s.Head(t.Context(), q, 0)
		require.ErrorIs(t, err, sse.ErrDamaged, name)
		sql(t, pool, "DELETE FROM @.heads")
		sql(t, pool, "DELETE FROM @.chunks")
	}
	id := sse.GenerateID()
	require.NoError(t, s.WriteSegment(t.Context(), p, id, filled(4, 100)))
	sql(t, pool, double)
	_, err = s.Read(t.Context(), p, []sse.Run{{Segment: id, Count: 1}})
	require.ErrorIs(t, err, sse.ErrDamaged)

	_, err = s.Read(t.Context(), p, []sse.Run{{Segment: sse.GenerateID(), Count: postgres.MaxRead}, {Segment: sse.GenerateID(), Count: 1}})
	require.ErrorContains(t, err, "limit")
}

// TestPoolModes: pages come through whatever mode the pool is in, and swaps hold at every level of isolation.
func TestPoolModes(t *testing.T) {
	t.Parallel()
	server := servers.PostgreSQL(t)
	pool, dsn := created(t, server)
	q := sse.GenerateID()
	var wg sync.WaitGroup
	settings := []string{
		"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "default_query_exec_mode=cache_describe",
		"default_query_exec_mode=exec description_cache_capacity=0", "options='-c default_transaction_isolation=serializable'",
		"options='-c default_transaction_isolation=repeatable\\\\ read'",
	}
	const each = 10
	for i, setting := range settings {
		s, p := open(t, newPool(t, dsn+" "+setting)), sse.GenerateID()
		id := sse.GenerateID()
		require.NoError(t, s.WriteSegment(t.Context(), p, id, filled(byte(i), 1100)))
		require.True(t, requireWholeOrAbsent(t, s, p, id, byte(i), 1100))
		require.NoError(t, s.DeleteSegment(t.Context(), p, id))
		require.False(t, requireWholeOrAbsent(t, s, p, id, byte(i), 1100))
		wg.Go(func() {
			for n := 0; n < each; {
				head, latest, err := s.Head(t.Context(), q, 0)
				if !assert.NoError(t, err) {
					return
				}
				err = s.SwapHead(t.Context(), q, latest+1, append(head, byte(i)))
				switch {
				case err == nil:
					n++
				case errors.Is(err, sse.ErrConflict):
				case !assert.ErrorContains(t, err, "nothing was changed: try again later"): // at the strict levels, where many meet
					return
				}
			}
		})
	}
	wg.Wait()
	head, latest, err := open(t, pool).Head(t.Context(), q, 0)
	require.NoError(t, err)
	require.EqualValues(t, each*len(settings), latest)
	require.Len(t, head, each*len(settings))
	for i := range settings {
		require.Equal(t, each, bytes.Count(head, []byte{byte(i)}), "none is lost")
	}
}

// TestWriteMemory: a large segment passes through a bounded memory.
func TestWriteMemory(t *testing.T) {
	s, p := newStore(t), sse.GenerateID()
	const size = 48 << 20 / sse.PageSize
	most := uint64(0)
	page := make([]byte, sse.PageSize)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	require.NoError(t, s.WriteSegment(t.Context(), p, sse.GenerateID(), func(yield func([]byte, error) bool) {
		for n := range size {
			if n%512 == 511 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			if !yield(page, nil) {
				return
			}
		}
	}))
	// 2 MiB wait, and pgx keeps what it sent last.
	require.Less(t, int64(most)-int64(before), int64(16<<20))
}
