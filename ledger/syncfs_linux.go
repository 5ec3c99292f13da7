package ledger

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes everything written below dir durable with one call, and says whether it could. Before Linux 5.8 the call
// did not report failed writes, so it is not trusted there.
func syncAll(dir string) (done bool, err error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false, nil
	}
	if major, minor := kernelVersion(u.Release[:]); major < 5 || major == 5 && minor < 8 {
		return false, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return false, &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return true, nil
}

// kernelVersion reads the first two numbers of a release such as "6.1.0-13-amd64".
func kernelVersion(release []byte) (major, minor int) {
	v := [2]int{}
	i := 0
	for _, c := range release {
		switch {
		case c >= '0' && c <= '9':
			v[i] = v[i]*10 + int(c-'0')
		case c == '.' && i == 0:
			i = 1
		default:
			return v[0], v[1]
		}
	}
	return v[0], v[1]
}
