//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package dp

import (
	"errors"
	"os"
)

func tryLock(f *os.File) (bool, error) {
	return false, &os.PathError{Op: "lock (ledgers need flock; run the gateway on Linux, macOS or BSD)", Path: f.Name(), Err: errors.ErrUnsupported}
}

func unlock(*os.File) error { return nil }
