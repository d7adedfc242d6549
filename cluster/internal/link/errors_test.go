package link_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/log"
)

// A broker to whom no connection comes about in time does not answer: that is worth another try, as long as the caller's context goes on. The end of the
// context is not.
func TestExplain(t *testing.T) {
	late := net.Dialer{Timeout: time.Nanosecond}
	_, slow := late.Dial("tcp", "127.0.0.1:9")
	ended, cancel := context.WithDeadline(t.Context(), time.Time{})
	defer cancel()
	for _, test := range []struct {
		err         error
		unavailable bool
	}{{slow, true}, {net.ErrClosed, true}, {ended.Err(), false}, {context.Canceled, false}} {
		got := link.Explain("topic orders", test.err)
		if errors.Is(got, log.ErrUnavailable) != test.unavailable || !errors.Is(got, test.err) {
			t.Errorf("of %v: %v", test.err, got)
		}
	}
}
