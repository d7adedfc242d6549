package workload

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// newSleeper returns a sleep that wakes within microseconds, and what ends its use. Go's own
// timers may be a millisecond late in a process that is idle, which would count as the
// latency of the peer. The goroutine keeps its thread meanwhile.
func newSleeper() (sleep func(time.Duration), end func()) {
	runtime.LockOSThread()
	precise := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) == nil
	sleep = func(d time.Duration) {
		ts := unix.NsecToTimespec(int64(d))
		for d > 0 && unix.Nanosleep(&ts, &ts) == unix.EINTR { //nolint:errorlint // an errno
		}
	}
	end = func() {
		if precise { // 0 is the thread's default again
			_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
		}
		runtime.UnlockOSThread()
	}
	return sleep, end
}
