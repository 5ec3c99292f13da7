package sse

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is everything that Dir does to a file system other than to read. Tests let one operation after the other fail.
type disk struct {
	fault func(op, path string) error // nil outside tests
}

func (d disk) check(op, path string) error {
	if d.fault == nil {
		return nil
	}
	if err := d.fault(op, path); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// mkdir makes a folder, with those above it, and makes that durable.
func (d disk) mkdir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file, where the store needs a folder: move it away", path)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := d.mkdir(parent); err != nil {
		return err
	}
	if err := d.check("mkdir", path); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncDir(parent)
}

func (d disk) create(path string) (*os.File, error) {
	if err := d.check("create", path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d disk) write(f *os.File, b []byte, off int64) error {
	if err := d.check("write", f.Name()); err != nil {
		// A full disk takes what fits.
		_, _ = f.WriteAt(b[:len(b)/2], off)
		return err
	}
	_, err := f.WriteAt(b, off)
	return err
}

func (d disk) sync(f *os.File) error {
	if err := d.check("sync", f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

func (d disk) rename(from, to string) error {
	if err := d.check("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (d disk) remove(path string) error {
	if err := d.check("remove", path); err != nil {
		return err
	}
	return os.Remove(path)
}

func (d disk) syncDir(path string) error {
	if err := d.check("syncdir", path); err != nil {
		return err
	}
	return syncDir(path)
}

// writeFile makes the file path with content b, atomically and durably, by way of tmp in a folder of the same file system. After an
// error the file is as it was, unless it was the last step that failed, which makes the new name durable.
func (d disk) writeFile(tmp, path string, b []byte) error {
	f, err := d.create(tmp)
	if err != nil {
		return fmt.Errorf("sse: %w", err)
	}
	err = d.write(f, b, 0)
	if err == nil {
		err = d.sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = d.rename(tmp, path)
	}
	if err != nil {
		_ = d.remove(tmp) // what stays is swept
		return fmt.Errorf("sse: %s is not written, and what was there before stays: %w", path, err)
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("sse: %s is %w: %w", path, errNotDurable, err)
	}
	return nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	if size > limit {
		return nil, damagedFile(path, fmt.Errorf("it has %d bytes, the limit is %d", size, limit))
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, damagedFile(path, errors.New("it became shorter while it was read"))
	} else if err != nil {
		return nil, fmt.Errorf("sse: %w", err)
	}
	return b, nil
}

// openRegular opens a file for reading, but no pipe, device, folder or link, which might block or lead elsewhere.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("sse: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, damagedFile(path, fmt.Errorf("it is no regular file (%v)", info.Mode().Type()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("sse: %w", err)
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, 0, fmt.Errorf("sse: %w", err)
	}
	return f, info.Size(), nil
}

// readDir lists a folder; one that does not exist is empty.
func readDir(path string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sse: %w", err)
	}
	return entries, nil
}

// readNames is readDir without order and kinds of files, for the folder that is listed most.
func readNames(path string) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sse: %w", err)
	}
	defer f.Close() // only read
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("sse: %w", err)
	}
	return names, nil
}

func damagedFile(path string, cause error) error {
	return fmt.Errorf("sse: %s is %w: %w: restore it from a backup", path, ErrDamaged, cause)
}
