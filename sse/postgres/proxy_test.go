package postgres_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
)

// proxy stands between a pool and a server: it counts, cuts and holds back what goes through.
type proxy struct {
	net.Listener
	socket string

	bytes atomic.Int64 // all that went through
	turns atomic.Int64 // how often the client spoke after the server had: round trips
	cutAt atomic.Int64 // cut all connections when so many more bytes have gone through; below 0: never
	held  atomic.Bool  // what the client sends waits
	free  chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool // of clients
}

func newProxy(t testing.TB, p *servers.Postgres) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	x := &proxy{Listener: l, socket: p.Socket(), free: make(chan struct{}), conns: make(map[net.Conn]bool)}
	x.cutAt.Store(-1)
	t.Cleanup(func() {
		_ = l.Close()
		x.cut()
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", x.socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			x.mu.Lock()
			x.conns[client] = true
			x.mu.Unlock()
			var spoke atomic.Bool // the server, last
			spoke.Store(true)
			go x.pass(server, client, func() {
				if spoke.Swap(false) {
					x.turns.Add(1)
				}
			}, true)
			go x.pass(client, server, func() { spoke.Store(true) }, false)
		}
	}()
	return x
}

// pass copies from one end to the other. What it has read goes on to a server even if the client is gone by then, as in a network.
func (x *proxy) pass(to, from net.Conn, note func(), fromClient bool) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
	}()
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			note()
			x.bytes.Add(int64(n))
			if fromClient && n == 16 && bytes.Equal(buf[4:8], []byte{0x04, 0xd2, 0x16, 0x2e}) {
				return // a request to cancel, which may get lost in a network too
			}
			if fromClient && x.held.Load() {
				<-x.free
			}
			if left := x.cutAt.Load(); left >= 0 && x.cutAt.Add(-int64(n)) < 0 {
				x.cutAt.Store(-1)
				part := buf[:max(0, min(n, int(left)))]
				_, _ = to.Write(part)
				x.cut()
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections of clients. Their other ends follow.
func (x *proxy) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.conns {
		_ = c.Close()
	}
	clear(x.conns)
}

// pool is one through the proxy, whose connections are not tried out before they are used. Who makes one call after the other uses one connection; the second is
// for what comes after a connection was given up: pgx keeps its place for up to 15 seconds, in which it waits for the server.
func (x *proxy) pool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	c, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	c.MaxConns = 2
	c.ConnConfig.RuntimeParams["application_name"] = x.Addr().String()
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	c.ConnConfig.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", x.Addr().String())
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
