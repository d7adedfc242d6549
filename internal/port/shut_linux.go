package port

import (
	"net"

	"golang.org/x/sys/unix"
)

// shut returns what ends listening once ln is closed, for who has a copy of its file too. Who accepts hears of the close first.
func shut(ln *net.TCPListener) func() {
	own := -1
	if raw, err := ln.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // fails where it is closed
			own, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) // -1 with an error
		})
	}
	return func() {
		if own >= 0 {
			_ = unix.Shutdown(own, unix.SHUT_RDWR)
			_ = unix.Close(own)
		}
	}
}
