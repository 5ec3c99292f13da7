//go:build unix

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// watchdog is a shell program that outlives the test binary by seconds. It reads on its standard input what there is to clean up. When
// the other end is closed, which the operating system does for a process that is killed too, it ends the process groups, first with
// the signal that asks for it, and removes the folders. It is in a session of its own, so that a key pressed in the terminal spares it.
const watchdog = `
groups= ; folders=
while read -r what value; do
	case $what in
	group) groups="$groups $value" ;;
	ended) groups=$(for g in $groups; do [ "$g" = "$value" ] || printf ' %s' "$g"; done) ;;
	folder) folders="$folders $value" ;;
	esac
done
for g in $groups; do kill -QUIT "-$g" 2>/dev/null; done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	left=
	for g in $groups; do kill -0 "-$g" 2>/dev/null && left=1; done
	[ -z "$left" ] && break
	sleep 0.2
done
for g in $groups; do kill -KILL "-$g" 2>/dev/null; done
for f in $folders; do rm -rf -- "$f"; done
`

// guard is the watchdog of this test binary: the pipe that it reads, nil before it is started.
var guard struct {
	sync.Mutex
	pipe *os.File
}

// guarded starts the watchdog if it does not run yet, and returns the end of its pipe that this process writes to and nobody closes.
func guarded() (*os.File, error) {
	guard.Lock()
	defer guard.Unlock()
	if guard.pipe != nil {
		return guard.pipe, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", watchdog)
	cmd.Stdin = r // and no output: go test waits for those who hold that of the test binary
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = r.Close() // the watchdog has its own
	if err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("servers: the process that cleans up does not start: %w", err)
	}
	guard.pipe = w
	return w, nil
}

// tell writes a line to the watchdog. Lines are shorter than what a pipe takes in one piece, so several writers do not mix theirs.
func tell(what string, value any) error {
	w, err := guarded()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s %v\n", what, value)
	return err
}
