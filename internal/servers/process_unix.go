//go:build unix

package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folder makes a folder that the account can write and nobody else but root can open. It is removed after the test binary has ended.
// Its path is short, as that of a socket must be.
func folder() (string, error) {
	path, err := os.MkdirTemp("", "vcs-") // mode 0700
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(path, " \t\n\\*?[") {
		return "", fmt.Errorf("servers: %q: set TMPDIR to a folder whose path has no blanks and no signs that a shell reads", path)
	}
	if err := tell("folder", path); err != nil {
		return "", err
	}
	who, err := account()
	if err != nil {
		return "", err
	}
	if who != nil {
		err = os.Chown(path, int(who.Uid), int(who.Gid))
	}
	return path, err
}

// account is the ordinary user that servers run as when the tests run as root, as some servers refuse root; nil if the tests do not.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("servers: the tests run as root, and the servers would run as the user nobody: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// command is a program with its arguments. It runs in dir, with the variables of env and no others but PATH, HOME and TMPDIR, which are set.
type command struct {
	path string
	args []string
	dir  string
	env  []string
}

func (c command) cmd(output *os.File) (*exec.Cmd, error) {
	who, err := account()
	if err != nil {
		return nil, err
	}
	// The shell tells the watchdog of itself and becomes the program: there is no moment at which this process can die and leave it.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `echo "group $$" >&3; exec "$0" "$@" 3>&-`, c.path}, c.args...)...)
	w, err := guarded()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{w}
	cmd.Dir = c.dir
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + c.dir, "TMPDIR=" + c.dir, "LC_ALL=C"}, c.env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: who}
	return cmd, nil
}

// run runs the command to its end.
func (c command) run() error {
	p, err := c.start()
	if err != nil {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("servers: %s: %w\n%s", filepath.Base(c.path), p.err, p.output())
	}
	return nil
}

// process is a server that runs, in a process group of its own.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed when it has ended
	err   error         // how it ended; read it after that
}

// start starts the command. What it prints goes to a file in its folder.
func (c command) start() (*process, error) {
	log, err := os.CreateTemp(c.dir, filepath.Base(c.path)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	cmd, err := c.cmd(log)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	p := &process{name: filepath.Base(c.path), cmd: cmd, log: log.Name(), ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		_ = tell("ended", cmd.Process.Pid) // its number may be another's soon
		close(p.ended)
	}()
	return p, nil
}

// await asks ready again and again until it returns nil, and fails when the process has ended or time is up.
func (p *process) await(ready func() error) error {
	limit := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("servers: %s ended: %w\n%s", p.name, errors.Join(p.err, err), p.output())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("servers: %s does not answer after %v: %w\n%s", p.name, patience, err, p.output())
		}
	}
}

// signal sends a signal to the process and those of its children that did not leave its group.
func (p *process) signal(s syscall.Signal) error {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("servers: signal to %s: %w", p.name, err)
	}
	return nil
}

// kill ends the process at once, with the signal that it cannot catch, and waits until it has ended.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("servers: %s does not end %v after it was killed", p.name, patience)
	}
}

// output is the end of what the process printed.
func (p *process) output() []byte {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(b[max(0, len(b)-4000):])
}
