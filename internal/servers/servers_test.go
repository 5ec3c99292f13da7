//go:build unix

package servers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestPostgreSQLDatabases: the databases of two tests are two, on one server that syncs to disk.
func TestPostgreSQLDatabases(t *testing.T) {
	p := PostgreSQL(t)
	assert.Same(t, p, PostgreSQL(t))
	a, b := connect(t, p.Database(t)), connect(t, p.Database(t))
	for _, conn := range []*pgx.Conn{a, b} {
		_, err := conn.Exec(t.Context(), "CREATE TABLE alone (n int)")
		require.NoError(t, err)
	}
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": ""} {
		var got string
		require.NoError(t, a.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
		assert.Equal(t, want, got, setting)
	}
	info, err := os.Stat(p.folder)
	require.NoError(t, err)
	assert.Zero(t, info.Mode().Perm()&0o077, "nobody else can connect")
	owner, err := exec.Command("ps", "-o", "uid=", "-p", fmt.Sprint(p.process.cmd.Process.Pid)).Output()
	if err == nil { // there is ps
		assert.NotEqual(t, "0", strings.TrimSpace(string(owner)), "it does not run as root")
	}
}

// TestPostgreSQLKilled: what was committed is there after the server was killed and started again.
func TestPostgreSQLKilled(t *testing.T) {
	p := NewPostgreSQL(t)
	dsn := p.Database(t)
	conn := connect(t, dsn)
	_, err := conn.Exec(t.Context(), "CREATE TABLE kept (n int)")
	require.NoError(t, err)
	for round := range 3 {
		_, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", round)
		require.NoError(t, err)
		require.NoError(t, p.Kill())
		_, err = pgx.Connect(t.Context(), dsn)
		require.Error(t, err)
		require.NoError(t, p.Start())
		conn = connect(t, dsn)
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n))
		require.Equal(t, round+1, n)
	}
}

const childEnv = "VEILCHART_SERVERS_CHILD"

// TestKilledTestBinaryLeavesNothing starts a server in a process like a test binary and kills that: server and folder go with it.
func TestKilledTestBinaryLeavesNothing(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		p, err := StartPostgreSQL()
		require.NoError(t, err)
		fmt.Println("folder", p.folder)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	_, err := postgresBin()
	Need(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, kill := range []bool{true, false} {
		cmd := exec.Command(exe, "-test.run=^TestKilledTestBinaryLeavesNothing$", "-test.count=1")
		cmd.Env = append(os.Environ(), childEnv+"=1")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		dir, ok := strings.CutPrefix(lines.Text(), "folder ")
		require.True(t, ok, "%s", lines.Text())
		conn := connect(t, (&Postgres{folder: dir}).dsn("postgres"))
		require.NoError(t, conn.Ping(t.Context()))
		_, err = os.Stat(filepath.Join(dir, "data", "postmaster.pid"))
		require.NoError(t, err)
		if kill {
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
		} else {
			require.NoError(t, in.Close())
			require.NoError(t, cmd.Wait())
		}
		// A minute is for a busy machine; it takes a fraction of a second.
		require.Eventually(t, func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err)
		}, time.Minute, 10*time.Millisecond, "the folder is removed")
		require.Error(t, conn.Ping(t.Context()), "the server is gone")
	}
}
