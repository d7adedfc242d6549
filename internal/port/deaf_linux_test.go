package port

import (
	"errors"
	"net"
	"testing"
	"time"
)

// Who dials a listener that is deaf hears nothing, until it is not any more. One at the same port hears.
func TestDeaf(t *testing.T) {
	addrs, held := Hold("127.0.0.1:0", 1)
	defer func() { _ = held[0].Close() }()
	var ln net.Listener
	again := func() {
		t.Helper()
		var err error
		if ln, err = Listen(addrs[0]); err != nil {
			t.Fatal(err)
		}
	}
	dial := func(wait time.Duration) error {
		nc, err := (&net.Dialer{Timeout: wait}).Dial("tcp", addrs[0])
		if err == nil {
			_ = nc.Close()
		}
		return err
	}
	silent := func() {
		t.Helper()
		err := dial(10 * time.Millisecond)
		if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() {
			t.Errorf("a deaf listener: %v", err)
		}
	}
	heard := func() {
		t.Helper()
		if err := dial(0); err != nil {
			t.Error(err)
		}
	}
	again()
	heard()
	for range 3 {
		Deaf(ln, true)
		Deaf(ln, true)
		silent()
		Deaf(ln, false)
		Deaf(ln, false)
		heard()
		Deaf(ln, true)
		silent()
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		Deaf(ln, true)
		again()
		heard()
		Deaf(ln, true)
		silent()
		Deaf(ln, false)
	}
	_ = ln.Close()
	Deaf(nil, true)
}
