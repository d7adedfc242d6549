package serve

import (
	"fmt"
	"net"
	"time"
)

// notifyWithin is how long who is notified may take.
const notifyWithin = time.Second

// notify tells systemd, or whoever else has given the socket, a state: "READY=1", "STOPPING=1" (sd_notify(3)). Without a socket it
// does nothing. A name that begins with @ is one of Linux's abstract sockets.
func notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetWriteDeadline(time.Now().Add(notifyWithin)) // who does not read is not waited for
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return nil
}
