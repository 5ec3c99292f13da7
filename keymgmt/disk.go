package keymgmt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// hasModes: the system has owner, group and others; it also lets a folder be synced.
const hasModes = runtime.GOOS != "windows"

// disk replaces files atomically. Tests only set its fields: fault is asked before each step and may end it with an
// error, or the process; noLinks makes hard links fail, as on file systems that have none; noInodes makes two names of
// one file look like two files, as some network file systems do.
type disk struct {
	fault    func(step, path string) error
	noLinks  bool
	noInodes bool
}

func (d *disk) step(step, path string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(step, path)
}

// temporary is where the next content of path grows. There is one name only, used under the lock, so that the next
// process finds and erases what a killed one left.
func temporary(path string) string { return path + ".tmp" }

// writeTemporary writes and syncs path's temporary file.
func (d *disk) writeTemporary(path string, b []byte) (err error) {
	tmp := temporary(path)
	if err := d.erase(tmp); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = d.erase(tmp)
		}
	}()
	if err := d.step("create", tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := d.step("write", tmp); err != nil {
		_, _ = f.Write(b[:len(b)/2]) // a full disk takes a part
		return errors.Join(err, f.Close())
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := d.step("sync", tmp); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// replace gives path the content b: after a crash at any point, path has the old content or the new one. The blocks of the
// old content are freed with what is in them; see replaceErasing.
func (d *disk) replace(path string, b []byte) error {
	if err := d.writeTemporary(path, b); err != nil {
		return err
	}
	if err := d.rename(path); err != nil {
		return errors.Join(err, d.erase(temporary(path)))
	}
	return nil
}

// rename puts the temporary file into path's place, durably.
func (d *disk) rename(path string) error {
	if err := d.step("rename", path); err != nil {
		return err
	}
	if err := os.Rename(temporary(path), path); err != nil {
		return err
	}
	return d.syncDir(path)
}

// makeFolder makes dir and the folders above it that are missing, and makes their names durable: a ring whose folder
// is lost in a power failure is a lost ring.
func (d *disk) makeFolder(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var missing []string
	there := dir
	for ; there != filepath.Dir(there); there = filepath.Dir(there) {
		if _, err := os.Stat(there); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, there)
	}
	// A process killed in this loop leaves at most one folder whose name is not durable: the first that is there now. Who
	// may not read the folder above it did not make it.
	if err := d.syncDir(there); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	for _, path := range slices.Backward(missing) {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.syncDir(path); err != nil {
			return err
		}
	}
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}

// createNew is replace for a file that must not exist yet.
func (d *disk) createNew(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // after the link below, the second name of the same file
	if _, err := tmp.Write(b); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := tmp.Sync(); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	// A link, unlike a rename, fails if the name is taken.
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	return d.syncDir(path)
}

// syncDir makes the names in path's folder durable.
func (d *disk) syncDir(path string) error {
	if err := d.step("syncdir", path); err != nil {
		return err
	}
	if !hasModes {
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// syncFile makes the content and the name of path durable.
func (d *disk) syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return d.syncDir(path)
}

// readBounded reads a file of at most max bytes; a longer one is ErrDamaged.
func readBounded(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keymgmt: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > max {
		return nil, fmt.Errorf("keymgmt: %s has %d bytes, which is more than the limit of %d, or is no regular file: %w", path, info.Size(), max, ErrDamaged)
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("keymgmt: reading %s: %w", path, err)
	}
	return b, nil
}
