package sse

import (
	"os"

	"golang.org/x/sys/windows"
)

// tryLockFile locks an open file for this handle alone, if nobody has it.
func tryLockFile(f *os.File) (bool, error) {
	err := lockHandle(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

func lockFile(f *os.File) error { return lockHandle(f, windows.LOCKFILE_EXCLUSIVE_LOCK) }

// lockHandle locks one byte far behind the end, as locks keep others from writing on this system.
func lockHandle(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}

// syncDir does nothing: the system has no such call, and its file systems log changes of names.
func syncDir(string) error { return nil }
