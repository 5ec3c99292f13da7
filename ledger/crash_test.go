package ledger

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// child is another process that runs play.
type child struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func start(t *testing.T, role, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "LEDGER_TEST_ROLE="+role, "LEDGER_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd, bufio.NewScanner(out)}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	require.True(t, c.out.Scan(), "the child did not start")
	require.Equal(t, "open", c.out.Text())
	return c
}

// killAfter lets the child write some lines and then work for a while, kills it with SIGKILL and returns the last line it wrote in full.
func (c *child) killAfter(t *testing.T, lines int, d time.Duration) string {
	t.Helper()
	last := ""
	for range lines {
		require.True(t, c.out.Scan())
		last = c.out.Text()
	}
	timer := time.AfterFunc(d, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	for c.out.Scan() {
		last = c.out.Text()
	}
	err := c.cmd.Wait()
	require.ErrorContains(t, err, "killed", "it must not have ended by itself")
	return last
}

// TestKillAppend kills a process again and again while it appends to one log. What it was told is durable is there, the
// log is whole, and it contains every head seen before.
func TestKillAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s := testSigner(t)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // any moment will do
	var remembered []byte
	told := int64(0)
	for i := range 25 {
		last := start(t, "append", dir).killAfter(t, i%2, time.Duration(rng.IntN(60))*time.Millisecond)
		if last != "" {
			n, err := strconv.ParseInt(last, 10, 64)
			require.NoError(t, err)
			told = n
		}
		l, err := OpenLog(t.Context(), dir, s, remembered)
		require.NoError(t, err)
		size := l.Checkpoint().Size
		require.GreaterOrEqual(t, size, told)
		require.NoError(t, l.Verify(t.Context(), nil))
		require.Equal(t, referenceRoot(testLeaves(0, size)), l.Checkpoint().Root[:])
		remembered = l.Checkpoint().Bytes()
		require.NoError(t, l.Close())
	}
	require.Positive(t, told)
}

// TestKillBatch kills a process while it stores batches of blobs. Whatever is visible is whole, and what was committed is
// visible. Half-written files are gone after the next open.
func TestKillBatch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	most := int64(0)
	for i := range 12 {
		// Every other time not before something was committed, however slow the machine is.
		last := start(t, "batch", dir).killAfter(t, 2*(i%2), time.Duration(rng.IntN(150))*time.Millisecond)
		n, _ := strconv.ParseInt(last, 10, 64) // "" and "first ..." mean none
		most = max(most, n)
		b := newBlobs(t, dir)
		require.NoError(t, b.Verify(t.Context(), nil))
		require.NoDirExists(t, filepath.Join(dir, tmpDir))
		for i := range n {
			want := patternBytes2(i)
			c, _, err := ComputeCID(t.Context(), bytes.NewReader(want))
			require.NoError(t, err)
			got, err := readBlob(b, c)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		}
		require.NoError(t, b.Close())
	}
	require.Positive(t, most)
}

// TestTwoProcesses: while one process writes, another is refused as a writer, welcome as a reader, and may write once
// the first is dead, however it died.
func TestTwoProcesses(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "log")
	s := testSigner(t)
	c := start(t, "append", dir)
	require.True(t, c.out.Scan())
	_, err := OpenLog(ctx, dir, s, nil)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, filepath.Join(dir, lockName))
	r, err := ReadLog(ctx, dir, s.Verifier(), nil)
	require.NoError(t, err)
	begin := r.Checkpoint().Size
	for r.Checkpoint().Size < begin+1000 {
		require.NoError(t, r.Refresh(ctx))
		require.NoError(t, r.Verify(ctx, nil))
		head := r.Checkpoint()
		p, err := r.ProveInclusion(ctx, head.Size-1, head)
		require.NoError(t, err)
		require.NoError(t, VerifyInclusion(head.Bytes(), s.Verifier(), testLeaf(head.Size-1), head.Size-1, p))
	}
	c.killAfter(t, 0, 0)
	l, err := OpenLog(ctx, dir, s, r.Checkpoint().Bytes())
	require.NoError(t, err)
	require.NoError(t, l.Close())

	h := start(t, "hold", dir)
	_, err = OpenLog(ctx, dir, s, nil)
	require.ErrorIs(t, err, ErrLocked)
	h.killAfter(t, 0, 0)
	l, err = OpenLog(ctx, dir, s, nil)
	require.NoError(t, err)
	require.NoError(t, l.Close())

	// Blob folders are shared: both processes write at once.
	blobs := filepath.Join(t.TempDir(), "blobs")
	w := start(t, "batch", blobs)
	b := newBlobs(t, blobs)
	for i := range int64(40) {
		putBytes(t, b, testLeaf(1_000_000+i))
	}
	w.killAfter(t, 0, 50*time.Millisecond)
	require.NoError(t, b.Verify(ctx, nil))
	n := 0
	for _, err := range b.All(ctx) {
		require.NoError(t, err)
		n++
	}
	require.GreaterOrEqual(t, n, 40)
}
