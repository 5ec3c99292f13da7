//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sse

import (
	"os"
	"syscall"
)

// flock locks belong to the open file, not to the process, so that two Dirs in one process exclude each other as well; and the
// kernel ends them when a process dies, however it dies.

// tryLockFile locks an open file for this open file alone, if nobody has it.
func tryLockFile(f *os.File) (bool, error) {
	err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

func lockFile(f *os.File) error { return flock(f, syscall.LOCK_EX) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}

// syncDir makes the names in a folder durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
