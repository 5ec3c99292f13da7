package keymgmt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A lock file beside the ring lets one process at a time change it. The file stays; the system drops the lock when the
// process ends, however it ends.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: lock file: %w", err)
	}
	wait := time.Millisecond
	for {
		ok, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keymgmt: locking %s: %w", path, err), f.Close())
		}
		if ok {
			return f.Close, nil // closing drops the lock
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("keymgmt: waiting for %s, which another process holds: %w", path, ctx.Err()), f.Close())
		case <-time.After(wait):
			wait = min(2*wait, 32*time.Millisecond)
		}
	}
}
