package keymgmt

import (
	"syscall"
	"testing"
)

// smallDisk is a folder on a file system of 128 KiB. TestFaultAtEveryStep covers the same where it cannot be mounted.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("no small file system without the right to mount one: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	return dir
}
