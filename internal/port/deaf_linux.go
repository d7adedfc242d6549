package port

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Deaf has the system drop what asks for a connection to ln, which then meets silence, as behind a network that is cut; false ends that. Connections
// that it has stay as they are. Where the system refuses it nothing changes. ln is one of Listen.
func Deaf(ln net.Listener, deaf bool) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // fails where it is closed
		if !deaf {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			return
		}
		nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // how many bytes of a packet pass: 0
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
	})
}
