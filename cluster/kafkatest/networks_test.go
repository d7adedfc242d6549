package kafkatest

import (
	"errors"
	"net"
	"testing"
	"time"
)

// Networks part who is cut off, and no others, until they are healed.
func TestNetworks(t *testing.T) {
	NeedNetworks(t)
	w, err := newNetworks(2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	reach := func(id int) error {
		c, err := net.DialTimeout("tcp", w.host(id)+":9", 2*time.Second) // nobody listens, which somebody there has to say
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	silent := func(err error) bool {
		var e net.Error
		return errors.As(err, &e) && e.Timeout()
	}
	for step, want := range []bool{false, true, false} {
		if step == 1 {
			err = w.cut(0, 1)
		} else {
			err = w.heal()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := silent(reach(1)); got != want {
			t.Errorf("step %d: silent %v", step, got)
		}
		if silent(reach(2)) {
			t.Errorf("step %d: the other one is silent", step)
		}
	}
}
