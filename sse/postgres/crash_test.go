package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/internal/servers"
	"github.com/veilchart/veilchart/sse"
)

// TestServerKilledInWrite kills the server while it has a part of a large segment, and while it has a part of a large head.
func TestServerKilledInWrite(t *testing.T) {
	t.Parallel()
	server := servers.NewPostgreSQL(t)
	pool, _ := created(t, server)
	s, p := open(t, pool), sse.GenerateID()
	before := put(t, s, p)
	require.NoError(t, s.SwapHead(t.Context(), p, 1, []byte("before")))
	for _, at := range []int{0, 600, 1700} {
		id := sse.GenerateID()
		err := s.WriteSegment(t.Context(), p, id, func(yield func([]byte, error) bool) {
			for n := range 1800 {
				if n == at {
					require.NoError(t, server.Kill())
				}
				if !yield(bytes.Repeat([]byte{5}, sse.PageSize), nil) {
					return
				}
			}
		})
		require.Error(t, err)
		require.ErrorContains(t, err, "connection", "it says what is wrong")
		_, _, err = s.Head(t.Context(), p, 0)
		require.Error(t, err, "the server is away")
		require.NoError(t, server.Start())
		require.False(t, requireWholeOrAbsent(t, s, p, id, 5, 1800))
		require.True(t, requireWholeOrAbsent(t, s, p, before, 7, 2))
		require.NoError(t, s.WriteSegment(t.Context(), p, id, filled(5, 1800)), "the ID is free")
		require.True(t, requireWholeOrAbsent(t, s, p, id, 5, 1800))
	}
}

// TestServerKilledAnywhere kills the server under writers that go on. What was acknowledged is there when it is up again, of the rest nothing is half.
func TestServerKilledAnywhere(t *testing.T) {
	t.Parallel()
	server := servers.NewPostgreSQL(t)
	pool, dsn := created(t, server)
	p := sse.GenerateID()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	type segment struct {
		id    sse.ID
		with  byte
		count int
	}
	var kept []segment
	version := uint64(0)
	content := func(v uint64) []byte { return bytes.Repeat(fmt.Appendf(nil, "head %d;", v), 3000) }
	for round := range rounds {
		var mu sync.Mutex
		var doubtful []segment
		acknowledged := make(chan struct{}, 1000)
		var wg sync.WaitGroup
		for w := range 3 {
			own, err := pgxpool.New(t.Context(), dsn)
			require.NoError(t, err)
			defer own.Close()
			s := open(t, own)
			wg.Go(func() {
				for n := 0; ; n++ {
					c := segment{sse.GenerateID(), byte(w), []int{1, 300, 900}[n%3]}
					err := s.WriteSegment(context.Background(), p, c.id, filled(c.with, c.count))
					mu.Lock()
					if err != nil {
						doubtful = append(doubtful, c)
						mu.Unlock()
						return
					}
					kept = append(kept, c)
					mu.Unlock()
					acknowledged <- struct{}{}
				}
			})
		}
		s := open(t, pool)
		wg.Go(func() {
			for {
				if err := s.SwapHead(context.Background(), p, version+1, content(version+1)); err != nil {
					assert.NotErrorIs(t, err, sse.ErrConflict)
					return
				}
				version++
				acknowledged <- struct{}{}
			}
		})
		for range 5 + 7*round {
			<-acknowledged
		}
		require.NoError(t, server.Kill())
		wg.Wait()
		require.NoError(t, server.Start())

		for _, c := range kept {
			require.True(t, requireWholeOrAbsent(t, s, p, c.id, c.with, c.count), "what was acknowledged is there")
		}
		for _, c := range doubtful {
			requireWholeOrAbsent(t, s, p, c.id, c.with, c.count)
		}
		_, latest, err := s.Head(t.Context(), p, 0)
		require.NoError(t, err)
		require.GreaterOrEqual(t, latest, version)
		require.LessOrEqual(t, latest, version+1, "one was not acknowledged")
		version = latest
		for v := max(1, int(latest)-sse.HeadsKept+1); v <= int(latest); v++ {
			got, _, err := s.Head(t.Context(), p, uint64(v))
			require.NoError(t, err)
			require.True(t, bytes.Equal(content(uint64(v)), got), "head %d", v)
		}
	}
}
