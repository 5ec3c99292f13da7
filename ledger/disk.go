package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is how this package changes files. Every step can be made to fail by a test; programs leave its fields alone.
type disk struct {
	fault func(step, path string) error // nil in programs
	lazy  bool                          // do not wait for the medium; false in programs
}

func (d *disk) check(step, path string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(step, path)
}

// create makes a new file for writing. What is there under that name is unlinked first: a hard link of it in somebody's
// backup keeps its bytes.
func (d *disk) create(path string) (*os.File, error) {
	if err := d.check("create", path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return f, err
}

// write appends b to f. An injected fault leaves half of b behind, as a full disk does.
func (d *disk) write(f *os.File, b []byte) error {
	if err := d.check("write", f.Name()); err != nil {
		f.Write(b[:len(b)/2])
		return err
	}
	_, err := f.Write(b)
	return err
}

// syncFile makes the bytes of f durable.
func (d *disk) syncFile(f *os.File) error {
	if err := d.check("sync", f.Name()); err != nil {
		return err
	}
	if d.lazy {
		return nil
	}
	return f.Sync()
}

// writeFile writes a whole new file and makes its bytes durable; its name is durable after syncDir.
func (d *disk) writeFile(path string, b []byte) (err error) {
	f, err := d.create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := d.write(f, b); err != nil {
		return err
	}
	return d.syncFile(f)
}

// replaceFile puts b at path in one step: whoever reads path sees the old bytes or the new ones. renamed says whether
// the step was tried; if not, the old bytes are there for certain.
func (d *disk) replaceFile(path string, b []byte) (renamed bool, err error) {
	tmp := path + tmpSuffix
	if err := d.writeFile(tmp, b); err != nil {
		return false, errors.Join(err, removeIfThere(tmp))
	}
	if err := d.rename(tmp, path); err != nil {
		return true, err
	}
	return true, d.syncDir(filepath.Dir(path))
}

const tmpSuffix = ".new"

func (d *disk) rename(from, to string) error {
	if err := d.check("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// syncDir makes the names in a folder durable.
func (d *disk) syncDir(path string) error {
	if err := d.check("syncdir", path); err != nil {
		return err
	}
	if d.lazy {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// mkdirs makes a folder and those above it, and adds to made the folders that have new names in them. The caller makes
// these durable with syncDirs.
func (d *disk) mkdirs(path string, made map[string]bool) error {
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		return nil
	}
	if err := d.check("mkdir", path); err != nil {
		return err
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := d.mkdirs(parent, made); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	made[parent] = true
	return nil
}

func (d *disk) syncDirs(dirs map[string]bool) error {
	for dir := range dirs {
		if err := d.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
