//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package sse

import (
	"errors"
	"os"
)

var errNoLocks = errors.New("this system has no locks between processes that end with the process: use another store")

func tryLockFile(*os.File) (bool, error) { return false, errNoLocks }

func lockFile(*os.File) error { return errNoLocks }

func syncDir(string) error { return errNoLocks }
