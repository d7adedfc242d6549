// Package callback is about the functions of the program's that a broker calls: promises,
// partitioners, what a consumer of a group tells. Who waits for one must not be called by it, and
// does not wait for ever. Users import the module root.
package callback

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// CloseLimit is how long Close waits for functions of the program's, as Kafka's
// Consumer.close. Who wants another limit calls Shutdown.
const CloseLimit = 30 * time.Second

// Client is what the broker closes before itself, as a producer. Its exported fields do not change.
type Client struct {
	Name string // for people
	// Shut has the client refuse what is new, and returns at once, with what ends it and returns when nothing
	// of it runs any more: even if ctx, which says how long somebody waits for that, ends before. It may be
	// called more than once.
	Shut func(ctx context.Context) (end func())
	// CallsOn reports whether a function of the program's, for which Shut would wait, is being
	// called on that goroutine. nil is for a client that calls none.
	CallsOn func(goroutine uint64) bool
	// Die, if set, is called before Shut when the broker dies as the process would: nobody is to be
	// told that the client ends.
	Die func()
	// Server, if set, is the server of another package that the client is.
	Server any

	ended atomic.Bool // the end that Shut has returned did
}

// Name returns the name, for people, of a client that the program calls clientID, or does not name.
func Name(what, clientID string) string {
	if clientID == "" {
		return what
	}
	return fmt.Sprintf("%s (client %q)", what, clientID)
}

// Check refuses, with ErrInCallback, to wait for clients by whom the caller is called.
func Check(clients ...*Client) error {
	me := Goroutine()
	for _, c := range clients {
		if c.CallsOn != nil && c.CallsOn(me) {
			return fmt.Errorf("%w: one of %s", log.ErrInCallback, c.Name)
		}
	}
	return nil
}

// Shut ends clients side by side, and waits for them until ctx ends: then the error says
// which functions of the program's have not returned. What one has panicked with comes out of
// here, as out of any call of the program's, once the others have ended and then was called.
func Shut(ctx context.Context, then func(late error) error, clients ...*Client) error {
	panics := make(chan any, len(clients))
	ended := make(chan *Client, len(clients))
	late := make(map[*Client]bool)
	var wg sync.WaitGroup // those left behind nobody waits for
	for _, c := range clients {
		if c.ended.Load() {
			continue // even when ctx has ended too
		}
		late[c] = true
		end := c.Shut(ctx)
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
				c.ended.Store(true)
				ended <- c
			}()
			end()
		})
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
			errs = append(errs, fmt.Errorf("%w: %s has not ended, nor returned from what it calls of the program's: %w", log.ErrCutOff, c.Name, ctx.Err()))
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

// Close is Shutdown with the limit of every Close.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), CloseLimit)
	defer cancel()
	return c.Shutdown(ctx)
}

// Shutdown ends one client, by itself, and waits for that until ctx ends.
func (c *Client) Shutdown(ctx context.Context) error {
	if err := Check(c); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return Shut(ctx, func(late error) error {
		if late != nil {
			return fmt.Errorf("close: %w", late)
		}
		return nil
	}, c)
}

// Goroutine returns the number of the calling goroutine as tracebacks show it, or 0 if they
// should ever show it otherwise.
//
// A function that waits for a callback, and is called by it, would wait for ever. Whether
// it is can only be told by the goroutine: a mark that the callback is under way would refuse
// others too, who may wait. Go has no name for a goroutine in its API; this one is good to be
// compared while the goroutine lives. It costs a microsecond and is asked for where a callback
// begins that is not called for each record, and where somebody is about to wait.
func Goroutine() uint64 {
	var buf [64]byte
	text, _ := bytes.CutPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, _ := strconv.ParseUint(string(digits), 10, 64)
	return n
}
