package port

import (
	"errors"
	"net"
	"testing"
)

// A listener that is closed has ended, though another program has its file still, as one that is being started has for a moment.
func TestCloseEnds(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	at := ln.Addr().String()
	copied, err := ln.(listener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	accepted := make(chan error)
	go func() {
		_, err := ln.Accept()
		accepted <- err
	}()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("who accepts hears %v", err)
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second close: %v", err)
	}
	if err := listen(t, at).Close(); err != nil {
		t.Error(err)
	}
}
