package main

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/veilchart/veilchart/bench/measure"
)

// syncCalls are the calls that wait for the disk.
var syncCalls = map[uint64]bool{unix.SYS_FSYNC: true, unix.SYS_FDATASYNC: true, unix.SYS_SYNC: true, unix.SYS_SYNCFS: true, unix.SYS_SYNC_FILE_RANGE: true, unix.SYS_MSYNC: true}

// countSyncs runs a program to its end under ptrace and counts its calls that wait for the disk, in all its threads.
func countSyncs(program string, args ...string) (count int, err error) {
	runtime.LockOSThread() // ptrace takes commands from the thread that began
	defer runtime.UnlockOSThread()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		return 0, measure.Skip("this system does not let a program trace its child")
	} else if err != nil {
		return 0, err
	}
	first := cmd.Process.Pid
	ended := false
	defer func() {
		if !ended {
			err = errors.Join(err, syscall.Kill(first, syscall.SIGKILL))
			_, waitErr := syscall.Wait4(first, nil, unix.WALL, nil)
			err = errors.Join(err, waitErr)
		}
		err = errors.Join(err, cmd.Process.Release())
	}()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(first, &status, 0, nil); err != nil {
		return 0, err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(first, options); err != nil {
		return 0, err
	}
	if err := syscall.PtraceSyscall(first, 0); err != nil {
		return 0, err
	}
	for {
		// Children of other threads, such as a server, are none of this.
		thread, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return count, err
		}
		if status.Exited() || status.Signaled() {
			if thread != first {
				continue
			}
			if ended = true; status.ExitStatus() != 0 {
				return count, fmt.Errorf("%s %v ended with status %d", program, args, status.ExitStatus())
			}
			return count, nil
		}
		signal := 0
		switch stop := status.StopSignal(); {
		case stop == syscall.SIGTRAP|0x80:
			var regs syscall.PtraceRegs
			// A thread that is killed between the stop and this is gone.
			if err := syscall.PtraceGetRegs(thread, &regs); err == nil && int64(regs.Rax) == -int64(syscall.ENOSYS) && syncCalls[regs.Orig_rax] {
				count++
			}
		case stop != syscall.SIGTRAP && stop != syscall.SIGSTOP: // those are ptrace's own
			signal = int(stop)
		}
		if err := syscall.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return count, err
		}
	}
}
