//go:build !unix

package ledger

import (
	"errors"
	"os"
)

// lockFile refuses: two writers without a lock would destroy a log.
func lockFile(path string, exclusive, wait bool) (f *os.File, busy bool, err error) {
	return nil, false, &os.PathError{Op: "flock", Path: path, Err: errors.ErrUnsupported}
}
