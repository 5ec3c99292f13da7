package s3_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
)

// fault is what happens to one connection. Numbers count bytes; negative ones mean never.
type fault struct {
	cutUp    int64 // the connection breaks after so many bytes from the client
	cutDown  int64 // it breaks after so many bytes from the server
	hangDown int64 // the server's answer stands still after so many bytes, until the proxy is closed
	late     bool  // what the client sends is held back until the client has gone and the proxy is closed, and then reaches the server
}

var (
	none       = fault{-1, -1, -1, false}
	loseAnswer = fault{-1, 0, -1, false} // the server does what it is asked, and nobody hears of it
	late       = fault{-1, -1, -1, true}
)

func cutUp(n int64) fault    { return fault{n, -1, -1, false} }
func cutDown(n int64) fault  { return fault{-1, n, -1, false} }
func hangDown(n int64) fault { return fault{-1, -1, n, false} }

// proxy stands between a client and the server on a TCP port. Clients made by client use one connection per request, so a fault
// befalls one request.
type proxy struct {
	listener net.Listener
	socket   string
	closed   chan struct{} // releases the answers that stand still
	once     sync.Once
	wg       sync.WaitGroup

	mu     sync.Mutex
	faults []fault
	always *fault
	hung   chan struct{} // one token for each answer that stands still, or request that is held back
	done   chan struct{} // one token for each request that was held back and is answered
}

func newProxy(t *testing.T, server *servers.S3Server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, socket: server.Socket(), closed: make(chan struct{}), hung: make(chan struct{}, 1000), done: make(chan struct{}, 1000)}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		p.cut()
		_ = l.Close()
		p.wg.Wait()
	})
	return p
}

// client is one that goes through the proxy.
func (p *proxy) client(t *testing.T) *minio.Client {
	t.Helper()
	transport := servers.S3Transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", p.listener.Addr().String())
	})
	transport.DisableKeepAlives = true
	c, err := servers.S3ClientOver(transport, servers.S3AccessKey, servers.S3SecretKey)
	require.NoError(t, err)
	return c
}

// cut breaks the connections whose answers stand still.
func (p *proxy) cut() { p.once.Do(func() { close(p.closed) }) }

// next says what happens to the next connections, one each. Those after them are untouched.
func (p *proxy) next(faults ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

// left is how many faults have not happened.
func (p *proxy) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.faults)
}

// every says what happens to all connections from now on, after the faults of next.
func (p *proxy) every(f *fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.always = f
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	f := none
	if len(p.faults) > 0 {
		f, p.faults = p.faults[0], p.faults[1:]
	} else if p.always != nil {
		f = *p.always
	}
	p.mu.Unlock()
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	if f.late {
		var held bytes.Buffer
		p.hung <- struct{}{}
		_, _ = io.Copy(&held, client) // to its end: the client gives up
		<-p.closed
		_, _ = server.Write(held.Bytes())
		_, _ = server.Read(make([]byte, 1)) // the answer has begun, so it is decided
		p.done <- struct{}{}
		return
	}
	done := make(chan struct{}, 2)
	go func() {
		pour(server, client, f.cutUp) // to the cut, or until the client closes
		_ = client.Close()
		_ = server.Close()
		done <- struct{}{}
	}()
	go func() {
		switch {
		case f.cutDown == 0:
			_, _ = server.Read(make([]byte, 1)) // the answer has begun, so it is decided
		case f.hangDown >= 0:
			pour(client, server, f.hangDown)
			p.hung <- struct{}{}
			<-p.closed
		default:
			pour(client, server, f.cutDown)
		}
		_ = client.Close()
		_ = server.Close()
		done <- struct{}{}
	}()
	<-done
	<-done
}

// pour copies n bytes, or all if n is negative.
func pour(to io.Writer, from io.Reader, n int64) {
	if n < 0 {
		_, _ = io.Copy(to, from)
		return
	}
	_, _ = io.CopyN(to, from, n)
}

// watched is a transport that counts requests, and can hold them until a number of them are there.
type watched struct {
	http.RoundTripper
	mu      sync.Mutex
	lines   []string
	holding int
	gate    chan struct{}
}

// hold makes the next n requests wait until all n have been sent: they are one round or the test does not end.
func (w *watched) hold(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines, w.holding, w.gate = nil, n, make(chan struct{})
	if n == 0 {
		close(w.gate)
	}
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.lines = append(w.lines, what(r))
	gate, n := w.gate, len(w.lines)
	if n == w.holding {
		close(gate)
	}
	w.mu.Unlock()
	if n <= w.holding {
		select {
		case <-gate:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

// what names a request as people do.
func what(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "LIST"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "BEGIN"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "COMPLETE"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "ABORT"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "PART"
	}
	return r.Method
}

// take returns the requests since hold.
func (w *watched) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines, w.holding = nil, 0
	return lines
}

// newWatched is a client whose requests are counted.
func newWatched(t *testing.T, server *servers.S3Server) (*minio.Client, *watched) {
	t.Helper()
	w := &watched{RoundTripper: servers.S3Transport(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", server.Socket())
	})}
	w.hold(0)
	c, err := servers.S3ClientOver(w, servers.S3AccessKey, servers.S3SecretKey)
	require.NoError(t, err)
	return c, w
}
