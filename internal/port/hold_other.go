//go:build !linux

package port

import (
	"net"
	"os"
)

// hold holds nothing.
func hold(at string, _ *net.TCPAddr) (string, *os.File) { return at, nil }
