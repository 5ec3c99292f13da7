package keymgmt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/veilchart/veilchart/internal/wire"
)

// Replacing a root file erases the old one, and a process may be killed at any moment between. So the old content
// keeps a name, <root>.old, until its bytes are overwritten: whoever comes next finds it and goes on
// (docs/spec/keymgmt.md, section 7).

// aside is the name of path's old content while it waits to be overwritten.
func aside(path string) string { return path + ".old" }

// replaceErasing is replace, and overwrites the bytes of the old content. It has succeeded only if that has.
func (d *disk) replaceErasing(path string, b []byte) error {
	if err := d.eraseAside(path); err != nil {
		return err
	}
	if err := d.writeTemporary(path, b); err != nil {
		return err
	}
	err := d.setAside(path)
	if err == nil {
		err = d.rename(path)
	}
	if err != nil {
		// The next call does the same if this cannot.
		return errors.Join(err, d.restore(path), d.eraseAside(path), d.erase(temporary(path)))
	}
	return d.eraseAside(path)
}

// setAside gives path's content its second name, durably. With a hard link path is never missing. File systems without
// hard links move it; restore moves it back if nothing comes into its place.
func (d *disk) setAside(path string) error {
	if missing, err := isMissing(path); missing || err != nil {
		return err
	}
	if err := d.step("aside", path); err != nil {
		return err
	}
	if d.noLinks || os.Link(path, aside(path)) != nil {
		if err := os.Rename(path, aside(path)); err != nil {
			return err
		}
	}
	return d.syncDir(path)
}

// restore moves path's content back that setAside had moved when the process was killed.
func (d *disk) restore(path string) error {
	if missing, err := isMissing(path); !missing || err != nil {
		return err
	}
	if missing, err := isMissing(aside(path)); missing || err != nil {
		return err
	}
	if err := d.step("restore", path); err != nil {
		return err
	}
	if err := os.Rename(aside(path), path); err != nil {
		return err
	}
	return d.syncDir(path)
}

// eraseAside overwrites and removes the old content, if any. The caller knows that path's content is whole.
func (d *disk) eraseAside(path string) error {
	old := aside(path)
	if missing, err := isMissing(old); missing || err != nil {
		return err
	}
	if err := d.restore(path); err != nil {
		return err
	}
	before, err := oldRoot(old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // moved back just now
	}
	if err != nil {
		return err
	}
	// Until the rename is durable, a power failure would bring the name path back to the bytes that go now.
	if err := d.syncDir(path); err != nil {
		return err
	}
	same, err := sameFile(path, old)
	if err != nil {
		return err
	}
	if same && !d.noInodes { // killed between the link and the rename: one file with two names, and it is the present one
		return d.remove(old)
	}
	if present, err := readBounded(path, maxRootFile); err != nil {
		return err
	} else if bytes.Equal(present, before) {
		// Two names of one file on a file system that does not say so, or a copy. A fresh file in place of path is
		// surely another one than old.
		if err := d.writeTemporary(path, present); err != nil {
			return err
		}
		if err := d.rename(path); err != nil {
			return err
		}
	}
	return d.erase(old)
}

// oldRoot reads a file that is to be overwritten because of its name. What this package did not put there, it refuses: the
// start must be that of a root file, or zeros where overwriting it was cut off.
func oldRoot(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	b := []byte(nil)
	ours := info.Mode().IsRegular() && info.Size() <= maxRootFile
	if ours && info.Size() > 0 {
		if b, err = readBounded(path, maxRootFile); err != nil {
			return nil, err
		}
		head := binary.BigEndian.AppendUint16([]byte(wire.Magic), uint16(wire.KindKeyRoot))
		n := min(len(b), len(head))
		ours = bytes.Equal(b[:n], head[:n]) || bytes.Equal(b[:n], make([]byte, n))
	}
	if !ours {
		return nil, fmt.Errorf("%s is no old root file, and files of that name are erased: move it elsewhere", path)
	}
	return b, nil
}

// erase overwrites and removes path, if it is there.
func (d *disk) erase(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // what a link points to is not ours
		return fmt.Errorf("%s is not a regular file, and files of that name are erased: move it elsewhere", path)
	}
	if err := d.step("overwrite", path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrPermission) { // the owner may have made it read-only
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(overwrite(f), f.Close()); err != nil {
		return err
	}
	return d.remove(path)
}

// remove takes the name away, durably.
func (d *disk) remove(path string) error {
	if err := d.step("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return d.syncDir(path)
}

// overwrite puts zeros where the file's content is.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, min(info.Size(), 64<<10))
	for at := int64(0); at < info.Size(); {
		n, err := f.WriteAt(zeros[:min(info.Size()-at, int64(len(zeros)))], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return f.Sync()
}

// unsettled reports whether a killed process left anything to erase or move back.
func (d *disk) unsettled(f Files) (bool, error) {
	for _, path := range []string{aside(f.Root), temporary(f.Root), temporary(f.Ring)} {
		if missing, err := isMissing(path); !missing || err != nil {
			return true, err
		}
	}
	return false, nil
}

func isMissing(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
