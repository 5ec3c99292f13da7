//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dp

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the advisory lock of the open file, which excludes other processes and other Ledgers of this one; the system
// releases it when a process dies. It reports false if somebody else holds it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
