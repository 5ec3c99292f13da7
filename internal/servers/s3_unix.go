//go:build unix

package servers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// s3Tool is the program, and s3Module the folder of the module that names its version.
const (
	s3Tool   = "github.com/versity/versitygw/cmd/versitygw"
	s3Module = "internal/servers/versitygw"
)

// S3Server is a versitygw that this process started: a real S3 server over a folder. It listens on a socket in that folder and on no port.
type S3Server struct {
	folder  string
	process *process
}

// s3Binary builds the server, or finds the one that was built before from the same versions, in the user's cache folder.
func s3Binary() (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", unavailable("S3 (versitygw)", "it is built with the go command: put that on the PATH")
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/veilchart/veilchart").Output()
	if err != nil {
		return "", unavailable("S3 (versitygw)", fmt.Sprintf("its module is not found from this folder (%v): run the tests in the source tree", err))
	}
	module := filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(s3Module))
	sums, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return "", unavailable("S3 (versitygw)", fmt.Sprintf("%v: run the tests in the source tree", err))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "veilchart-servers")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(cache, fmt.Sprintf("versitygw-%x", sha256.Sum256(sums)))
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	// Test binaries that run at the same time build it once.
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	building := path + ".new"
	cmd := exec.Command("go", "build", "-o", building, s3Tool)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", unavailable("S3 (versitygw)", fmt.Sprintf("`go build %s` in %s fails (%v): mend what it says, mostly the way to the module proxy:\n%s",
			s3Tool, s3Module, err, out))
	}
	return path, os.Rename(building, path)
}

// StartS3 starts an S3 server without buckets and waits until it answers. Who is not a test calls it: bench does. The server ends with
// this process.
func StartS3() (*S3Server, error) {
	binary, err := s3Binary()
	if err != nil {
		return nil, err
	}
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	s := &S3Server{folder: dir}
	// The account that the server runs as cannot enter the cache folder.
	if err := bring(binary, s.binary()); err != nil {
		return nil, err
	}
	owner, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{s.data(), s.versions()} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return nil, err
		}
		if st, ok := owner.Sys().(*syscall.Stat_t); ok {
			if err := os.Chown(sub, int(st.Uid), int(st.Gid)); err != nil {
				return nil, err
			}
		}
	}
	return s, s.Start()
}

// bring links or copies a program.
func bring(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return os.Chmod(to, 0o755)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (s *S3Server) binary() string   { return filepath.Join(s.folder, "versitygw") }
func (s *S3Server) data() string     { return filepath.Join(s.folder, "data") }
func (s *S3Server) versions() string { return filepath.Join(s.folder, "versions") }

// Socket is the path of the socket that the server listens on.
func (s *S3Server) Socket() string { return filepath.Join(s.folder, "s3.sock") }

// Start starts the server again after Kill and waits until it answers.
func (s *S3Server) Start() error {
	if err := os.Remove(s.Socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a killed server leaves it
	}
	process, err := command{path: s.binary(), dir: s.folder, args: []string{
		"--port", s.Socket(), "--keep-alive", "--quiet", "posix", "--versioning-dir", s.versions(), s.data(),
	}, env: []string{"ROOT_ACCESS_KEY=" + S3AccessKey, "ROOT_SECRET_KEY=" + S3SecretKey}}.start()
	if err != nil {
		return err
	}
	s.process = process
	return process.await(s.answers)
}

// Kill kills the server with SIGKILL and returns when it has ended. Start starts it again over the same folder.
func (s *S3Server) Kill() error { return s.process.kill() }
