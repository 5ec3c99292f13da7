package abe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStreamMemory sends a stream through a pipe in a process of its own, sealing on one side and opening on the other, and asks the system how
// much memory the process has had at most: it does not grow with the stream.
func TestStreamMemory(t *testing.T) {
	const child = "ABE_STREAM_MEMORY"
	if text := os.Getenv(child); text != "" {
		size, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		require.NoError(t, throughPipe(generate(t), size))
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		fmt.Printf("%s\n", regexp.MustCompile(`VmHWM:.*`).Find(status))
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("the peak of memory stands in /proc/self/status, which Linux alone has")
	}
	size := int64(4 << 30)
	if testing.Short() {
		size = 256 << 20
	}
	command := exec.Command(os.Args[0], "-test.run=^TestStreamMemory$", "-test.count=1")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", child, size))
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	require.NotNil(t, found, "%s", out)
	peak, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	t.Logf("%d MiB through a pipe: %d kB at most", size>>20, peak)
	require.Less(t, peak, 64<<10, "kB of memory")
}

// throughPipe seals size bytes and opens them.
func throughPipe(a *Authority, size int64) error {
	k, err := a.IssueKey(always, Attribute{Name: "a"})
	if err != nil {
		return err
	}
	policy, err := ParsePolicy("a")
	if err != nil {
		return err
	}
	from, to := io.Pipe()
	go func() { to.CloseWithError(a.Params().EncryptFrom(to, &endless{size}, policy, nil)) }()
	r, err := k.Decrypt(from, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(new(sink), r)
	if err == nil && n != size {
		err = errors.New("the stream has another length")
	}
	return err
}
