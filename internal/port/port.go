// Package port keeps the ports of who listens now and then. One that nobody listens at the system gives to any connection that goes out,
// which keeps it for as long as it lasts, and for a minute after that.
package port

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
)

// Hold returns n addresses, host:port: addr and the ports that follow it, or with port 0 any that are free; or addr, if it is n addresses with
// commas between them. Where the system has it (Linux) the ports are held until the files are closed, or nobody has them any more: who listens there
// may end and listen again, and no connection that goes out takes the port meanwhile. Those that come in are refused, as where
// nobody listens. A file is nil where there is nothing to hold: who listens is told why.
func Hold(addr string, n int) (addrs []string, held []*os.File) {
	addrs = strings.Split(addr, ",")
	for i := len(addrs); i < n; i++ {
		addrs = append(addrs, Behind(addr, i))
	}
	held = make([]*os.File, len(addrs))
	for i, at := range addrs {
		if a, err := net.ResolveTCPAddr("tcp", at); err == nil {
			addrs[i], held[i] = hold(at, a)
		}
	}
	return addrs, held
}

// Listen is net.Listen for TCP, without MPTCP, whose listeners cannot be Deaf. When the listener is closed nobody listens at its port any more:
// net's goes on where the program starts another one just then, until that has begun to run.
func Listen(addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return listener{ln.(*net.TCPListener)}, nil
}

type listener struct{ *net.TCPListener }

// Close implements net.Listener.
func (l listener) Close() error {
	defer shut(l.TCPListener)()
	return l.TCPListener.Close()
}

// Behind returns addr with a port that is greater by n; port 0 stays.
func Behind(addr string, n int) string {
	host, p, err := net.SplitHostPort(addr)
	port, perr := strconv.Atoi(p)
	if err != nil || perr != nil || port == 0 {
		return addr
	}
	return net.JoinHostPort(host, strconv.Itoa(port+n))
}
