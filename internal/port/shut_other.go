//go:build !linux

package port

import "net"

// shut does nothing: see the one of Linux.
func shut(*net.TCPListener) func() { return func() {} }
