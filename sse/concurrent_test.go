package sse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

var smallSchema = Schema{Fields: []Field{{Name: "tag", Type: Keyword, Prefix: true}, {Name: "n", Type: Integer, Min: 0, Max: 1 << 20}}}

func smallDoc(id string, n int) Document {
	return Document{ID: id, Revision: 1, Stored: []byte(id), Fields: Fields{"tag": {String("t-" + strconv.Itoa(n%7)), String("all")}, "n": {Int(int64(n))}}}
}

// mustCreate makes an Index that begins no merges in the background, so that tests know what happens when.
func mustCreate(t testing.TB, s Store, schema Schema, o Options) *Index {
	ix, err := Create(context.Background(), s, testKey, ID{1}, schema, o)
	require.NoError(t, err)
	ix.Close()
	return ix
}

func mustOpen(t testing.TB, s Store, o Options) *Index {
	ix, err := Open(context.Background(), s, testKey, ID{1}, o)
	require.NoError(t, err)
	ix.Close()
	return ix
}

func count(t testing.TB, ix *Index, q Query) int {
	res, err := ix.Search(context.Background(), q, SearchOptions{CountOnly: true})
	require.NoError(t, err)
	return res.Total
}

// Several writers, updates of common IDs, compactions and readers at once, each with an Index of its own as if it were another
// program. Nothing is lost, and readers never see half a batch.
func TestWritersReadersAndCompactions(t *testing.T) {
	ctx := context.Background()
	store := newMemStore()
	mustCreate(t, store, smallSchema, Options{})
	const writers, batches = 3, 25
	var wg sync.WaitGroup
	fail := make(chan error, 100)
	note := func(err error) {
		if err != nil {
			fail <- err
		}
	}
	for w := range writers {
		ix := mustOpen(t, store, Options{})
		wg.Go(func() {
			for i := range batches {
				var b Batch
				size := 1 + (i%5)*70 // now tails, now full segments
				for j := range size {
					b.Put = append(b.Put, smallDoc(fmt.Sprintf("w%d-%d-%d", w, i, j), i))
				}
				// All writers raise the revision of the same documents; the highest must win.
				b.Put = append(b.Put, Document{ID: fmt.Sprint("shared-", i%4), Revision: uint64(1 + i*writers + w), Fields: Fields{"tag": {String("shared")}}})
				if i%6 == 5 {
					b.Delete = []Deletion{{ID: fmt.Sprintf("w%d-%d-0", w, i-1)}}
				}
				note(ix.Apply(ctx, b))
			}
		})
	}
	done := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() {
		ix := mustOpen(t, store, Options{})
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				err := ix.Compact(ctx, CompactOptions{Full: i%2 == 1, DeleteNow: i%3 > 0})
				if !errors.Is(err, errReplaced) {
					note(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
	background.Go(func() {
		ix := mustOpen(t, store, Options{CacheBytes: 200_000})
		for {
			select {
			case <-done:
				return
			default:
				for i := range batches {
					for w := range writers {
						res, err := ix.Search(ctx, And(Prefix("tag", "t-"), Range("n", Int(int64(i)), Int(int64(i)))), SearchOptions{})
						if err != nil {
							note(err)
							return
						}
						n := 0
						for _, h := range res.Hits {
							if strings.HasPrefix(h.ID, fmt.Sprintf("w%d-", w)) {
								n++
							}
						}
						if size := 1 + (i%5)*70; n != 0 && n != size && n != size-1 {
							fail <- fmt.Errorf("half a batch: %d of %d rows", n, size)
						}
					}
				}
			}
		}
	})
	wg.Wait()
	close(done)
	background.Wait()
	select {
	case err := <-fail:
		require.NoError(t, err)
	default:
	}
	ix := mustOpen(t, store, Options{})
	want := 0
	for i := range batches {
		want += writers * (1 + (i%5)*70)
		if i%6 == 5 {
			want -= writers
		}
	}
	require.Equal(t, want, count(t, ix, Term("tag", String("all"))))
	for s := range 4 {
		h, err := ix.Get(ctx, fmt.Sprint("shared-", s))
		require.NoError(t, err)
		last := batches - 1
		for last%4 != s {
			last--
		}
		require.Equal(t, uint64(1+last*writers+writers-1), h.Revision)
	}
	require.Equal(t, 4, count(t, ix, Term("tag", String("shared"))))
	require.NoError(t, ix.Verify(ctx))
}

// childEnv makes the test binary a writer that runs until it is killed. It prints the number of each batch once Apply returned.
const childEnv = "SSE_TEST_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		childWriter(spec)
		return
	}
	if spec := os.Getenv(killedEnv); spec != "" {
		killedWriter(spec)
		return
	}
	os.Exit(m.Run())
}

func childWriter(spec string) {
	name, dir, _ := strings.Cut(spec, ":")
	ctx := context.Background()
	fatal := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	d, err := OpenDir(dir)
	fatal(err)
	ix, err := Open(ctx, d, testKey, ID{1}, Options{})
	fatal(err)
	ix.Close()
	for i := 0; ; i++ {
		size := []int{1, 3, 300}[i%3]
		var b Batch
		for j := range size {
			b.Put = append(b.Put, smallDoc(fmt.Sprintf("%s-%d-%d", name, i, j), i))
		}
		fatal(ix.Apply(ctx, b))
		if i%5 == 4 {
			fatal(ix.Compact(ctx, CompactOptions{Full: i%2 == 0, DeleteNow: true}))
		}
		fmt.Println("batch", i)
	}
}

// Two processes write and compact; both are killed in the middle, several times. What Apply confirmed is there, whole batches only,
// and the next writer goes on.
func TestKilledProcessesLoseNothing(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	d, err := OpenDir(dir)
	require.NoError(t, err)
	mustCreate(t, d, smallSchema, Options{})
	confirmed := make(map[string]int) // batches by writer
	for round := range 4 {
		var cmds []*exec.Cmd
		var outs []*strings.Builder
		for w := range 2 {
			cmd := exec.Command(os.Args[0])
			out := &strings.Builder{}
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=r%d.%d:%s", childEnv, round, w, dir))
			cmd.Stdout = out
			require.NoError(t, cmd.Start())
			cmds, outs = append(cmds, cmd), append(outs, out)
		}
		// Time to start and to write some batches; how many does not matter, but a loop without any would show nothing.
		progress := func() bool {
			_, latest, err := d.Head(ctx, ID{1}, 0)
			return err == nil && latest > uint64(8*(round+1))
		}
		require.Eventually(t, progress, 10*time.Minute, 5*time.Millisecond, "nobody writes any more") // so long that no load comes near it
		time.Sleep(time.Duration(round*7) * time.Millisecond)
		for i, cmd := range cmds {
			require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			_ = cmd.Wait()
			require.NotContains(t, outs[i].String(), "error")
			confirmed[fmt.Sprintf("r%d.%d", round, i)] = strings.Count(outs[i].String(), "batch")
		}
	}
	ix := mustOpen(t, d, Options{})
	require.NoError(t, ix.Verify(ctx))
	res, err := ix.Search(ctx, Term("tag", String("all")), SearchOptions{})
	require.NoError(t, err)
	batches := make(map[string]int)
	for _, h := range res.Hits {
		i := strings.LastIndexByte(h.ID, '-')
		batches[h.ID[:i]]++
	}
	for name, n := range batches {
		i, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
		require.NoError(t, err)
		require.Equal(t, []int{1, 3, 300}[i%3], n, "half of batch %s", name)
	}
	total := 0
	for w, n := range confirmed {
		total += n
		for i := range n {
			require.Contains(t, batches, fmt.Sprintf("%s-%d", w, i), "a confirmed batch is lost")
		}
	}
	require.Positive(t, total, "nobody confirmed anything: the test showed nothing")
	require.NoError(t, ix.Apply(ctx, Batch{Put: []Document{smallDoc("after", 1)}}))
	require.NoError(t, ix.Compact(ctx, CompactOptions{Full: true, DeleteNow: true}))
	require.Equal(t, res.Total+1, count(t, ix, Term("tag", String("all"))))
}
