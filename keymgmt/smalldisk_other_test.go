//go:build !linux

package keymgmt

import "testing"

func smallDisk(t *testing.T) string {
	t.Skip("mounting a small file system is written for Linux only; TestFaultAtEveryStep covers the same")
	return ""
}
