//go:build unix

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server that this process started. Its settings are those that PostgreSQL comes with: it syncs
// to disk. Only who may enter its folder, the user it runs as and root, can connect.
type Postgres struct {
	folder string // holds the data, the socket and what the server prints
	bin    string // holds initdb and postgres

	process *process
}

// postgresBin finds the folder of initdb and postgres: on the PATH, or where Debian and others keep them beside it, the newest first.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	best, version := "", 0
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb", "/usr/local/pgsql*/bin/initdb",
		"/opt/homebrew/opt/postgresql@*/bin/initdb", "/usr/local/opt/postgresql@*/bin/initdb",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, path := range found {
			dir := filepath.Dir(path)
			name := filepath.Base(filepath.Dir(dir)) // 15, pgsql-15, postgresql@15
			v, _ := strconv.Atoi(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz-@"))
			if best == "" || v > version {
				best, version = dir, v
			}
		}
	}
	if best == "" {
		return "", unavailable("PostgreSQL", postgresRemedy)
	}
	return best, nil
}

// StartPostgreSQL starts a PostgreSQL server with an empty data folder and waits until it answers. Who is not a test calls it: bench does.
// The server ends with this process.
func StartPostgreSQL() (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	p := &Postgres{folder: dir, bin: bin}
	// initdb need not sync: a machine that fails before the server runs fails the test too.
	err = command{path: filepath.Join(bin, "initdb"), dir: dir, args: []string{
		"--pgdata=" + p.data(), "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C",
	}}.run()
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

func (p *Postgres) data() string { return filepath.Join(p.folder, "data") }

// Start starts the server again after Kill and waits until it has recovered and answers.
func (p *Postgres) Start() error {
	process, err := command{path: filepath.Join(p.bin, "postgres"), dir: p.folder, args: []string{
		"-D", p.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories=" + p.folder, "-c", "port=5432",
	}}.start()
	if err != nil {
		return err
	}
	p.process = process
	return process.await(p.answers)
}

// Kill kills the server and its children with SIGKILL, wherever they are, and returns when all have ended. Start starts it again.
func (p *Postgres) Kill() error {
	children := p.processes()
	if err := p.process.kill(); err != nil {
		return err
	}
	for limit := time.Now().Add(patience); ; {
		alive := false
		for _, pid := range children {
			// They are in groups of their own. They end on their own too, when they notice that the first one is gone. Who has ended stays in the
			// table of processes until its parent asks, and in some containers process 1, which is that by then, never does.
			alive = syscall.Kill(pid, syscall.SIGKILL) == nil && !zombie(pid) || alive
		}
		if !alive {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("servers: processes %v of PostgreSQL do not end %v after they were killed", children, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// status are the fields of a process's line in /proc after its number and name: state, parent and more. Without one there are none.
func status(pid string) []string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil // ended, or no /proc
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // the name may have blanks and brackets
}

// zombie says whether a process has ended and nobody has asked how.
func zombie(pid int) bool {
	s := status(strconv.Itoa(pid))
	return len(s) > 0 && s[0] == "Z"
}

// processes are the numbers of the server's children. Without /proc there are none: they end on their own, and Start waits for that.
func (p *Postgres) processes() (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		s := status(filepath.Base(path))
		if len(s) > 1 && s[1] == strconv.Itoa(p.process.cmd.Process.Pid) {
			if pid, err := strconv.Atoi(filepath.Base(path)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
