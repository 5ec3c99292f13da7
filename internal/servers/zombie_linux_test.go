package servers

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestZombie: a process that has ended and whose parent does not ask takes signals, and counts as ended all the same.
func TestZombie(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "1000")
	require.NoError(t, cmd.Start())
	pid := cmd.Process.Pid
	require.False(t, zombie(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return zombie(pid) }, time.Minute, time.Millisecond)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL), "a signal reaches it")
	require.Error(t, cmd.Wait())
	require.False(t, zombie(pid))
}
