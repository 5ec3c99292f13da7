package dp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// storage is the file under a ledger. Tests put one in its place that fails or dies at a chosen step.
type storage interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Size() (int64, error)
	Lock(ctx context.Context) error // also makes sure that the path still names this file
	Unlock() error
	Close() error
}

type diskFile struct {
	*os.File
}

func openDisk(path string) (storage, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Lock waits for the lock until ctx ends. It polls, since a thread that waits inside flock cannot be called back.
func (f diskFile) Lock(ctx context.Context) error {
	wait := 200 * time.Microsecond
	for {
		ok, err := tryLock(f.File)
		if err != nil {
			return err
		}
		if ok {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("dp: %s: waiting for another process to release the lock: %w", f.Name(), ctx.Err())
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Millisecond)
		}
	}
	if err := f.same(); err != nil {
		return errors.Join(err, f.Unlock())
	}
	return nil
}

// same refuses to go on with a file that was replaced under its name: its new owner would not see what is spent here.
func (f diskFile) same() error {
	named, err := os.Stat(f.Name())
	if err != nil {
		return err
	}
	own, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(named, own) {
		return fmt.Errorf("%w: %s was replaced while it was open; close this ledger and open the file with its last anchor", ErrRollback, f.Name())
	}
	return nil
}

func (f diskFile) Unlock() error { return unlock(f.File) }

// createDisk writes a new file so that it exists whole or not at all, and never over another one.
func createDisk(path string, content []byte) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return &os.PathError{Op: "create ledger", Path: path, Err: os.ErrExist}
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A hard link fails if the name is taken, where a rename would replace what is there.
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
