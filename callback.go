package samsa

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// closeLimit is how long Close waits for functions of the program's, as Kafka's
// Consumer.close.
const closeLimit = 30 * time.Second

// client is what the broker closes before itself.
type client interface {
	// shut ends the client and returns when nothing of it runs any more. It may be called more
	// than once.
	shut()
	// callsOn reports whether a function of the program's, for which shut would wait, is being
	// called on that goroutine.
	callsOn(goroutine uint64) bool
	describe() string
}

// shutAll ends clients side by side, and waits for them until ctx ends: then the error says
// which functions of the program's have not returned. What one has panicked with comes out of
// here, as out of any call of the program's, once the others have ended and then was called.
func shutAll(ctx context.Context, then func(late error) error, clients ...client) error {
	panics := make(chan any, len(clients))
	ended := make(chan client, len(clients))
	var wg sync.WaitGroup // those left behind nobody waits for
	for _, c := range clients {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
				ended <- c
			}()
			c.shut()
		})
	}
	late := make(map[client]bool)
	for _, c := range clients {
		late[c] = true
	}
	for len(late) > 0 && ctx.Err() == nil {
		select {
		case c := <-ended:
			delete(late, c)
		case <-ctx.Done():
		}
	}
	var errs []error
	for _, c := range clients {
		if late[c] {
			errs = append(errs, fmt.Errorf("%w: %s has not ended, nor returned from what it calls of the program's: %w", ErrCutOff, c.describe(), ctx.Err()))
		}
	}
	err := then(store.Join(errs...))
	select {
	case p := <-panics:
		panic(p)
	default:
		return err
	}
}

// closeClient is the Close of a client.
func closeClient(c client) error {
	if c.callsOn(goroutine()) {
		return fmt.Errorf("close: %w: one of %s", ErrInCallback, c.describe())
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return shutAll(ctx, func(late error) error {
		if late != nil {
			return fmt.Errorf("close: %w", late)
		}
		return nil
	}, c)
}

// goroutine returns the number of the calling goroutine as tracebacks show it, or 0 if they
// should ever show it otherwise.
//
// A function that waits for a callback, and is called by it, would wait for ever. Whether
// it is can only be told by the goroutine: a mark that the callback is under way would refuse
// others too, who may wait. Go has no name for a goroutine in its API; this one is good to be
// compared while the goroutine lives. It costs a microsecond and is asked for where a callback
// begins that is not called for each record, and where somebody is about to wait.
func goroutine() uint64 {
	var buf [64]byte
	text, _ := bytes.CutPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, _ := strconv.ParseUint(string(digits), 10, 64)
	return n
}
