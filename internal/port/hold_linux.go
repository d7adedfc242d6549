package port

import (
	"net"
	"os"
	"strconv"
	"syscall"
)

// hold binds a socket to a, which at is, and does not listen. Go's listeners set SO_REUSEADDR too, so that they may be bound besides.
func hold(at string, a *net.TCPAddr) (string, *os.File) {
	v6 := &syscall.SockaddrInet6{Port: a.Port}
	copy(v6.Addr[:], a.IP.To16())
	family, to := syscall.AF_INET6, syscall.Sockaddr(v6)
	if ip := a.IP.To4(); ip != nil {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, nil
	}
	f := os.NewFile(uintptr(fd), at)
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, to)
	}
	if err == nil {
		to, err = syscall.Getsockname(fd)
	}
	if err != nil {
		_ = f.Close()
		return at, nil
	}
	host, _, _ := net.SplitHostPort(at)
	port := a.Port
	switch to := to.(type) {
	case *syscall.SockaddrInet4:
		port = to.Port
	case *syscall.SockaddrInet6:
		port = to.Port
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), f
}
