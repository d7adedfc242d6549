package turns

import (
	"context"
	"errors"
	"testing"
)

// A turn that is free is nobody's whose context has ended, and who waits for it ends with his.
func TestTurn(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	turn := New()
	for range 20 { // some of them would take it, were that left to select
		if err := turn.TakeUntil(ended); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	turn.Take()
	waits, end := context.WithCancel(t.Context())
	ends := make(chan error)
	go func() { ends <- turn.TakeUntil(waits) }()
	end()
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	turn.Give()
	if err := turn.TakeUntil(t.Context()); err != nil {
		t.Fatal(err)
	}
}
